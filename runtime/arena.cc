// SPDX-License-Identifier: Apache-2.0
#include "runtime/arena.h"

#include <cstdint>
#include <utility>

#include <sys/mman.h>

namespace rulec {

static constexpr std::size_t huge_page = std::size_t{2} << 20;

Arena::~Arena() {
  if (mapping_ != nullptr) munmap(mapping_, mapped_);
}

Arena::Arena(Arena&& other) noexcept
    : mapping_(std::exchange(other.mapping_, nullptr)),
      mapped_(std::exchange(other.mapped_, 0)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(mapping_, other.mapping_);
  std::swap(mapped_, other.mapped_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Result<Arena> Arena::allocate(std::size_t bytes) {
  Arena arena;
  if (bytes == 0) return arena;
  // A page more than asked: kernels read a vector, never write, past a tensor's end.
  const std::size_t rounded = (bytes + 4096 + huge_page - 1) / huge_page * huge_page;
  arena.mapped_ = rounded + huge_page;
  void* p =
      mmap(nullptr, arena.mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    arena.mapped_ = 0;
    return make_error("cannot allocate an arena of {} bytes: out of memory", bytes);
  }
  arena.mapping_ = p;
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  const std::uintptr_t aligned = (address + huge_page - 1) / huge_page * huge_page;
  arena.data_ = reinterpret_cast<std::byte*>(aligned);
  arena.size_ = bytes;
#ifdef MADV_HUGEPAGE
  madvise(arena.data_, rounded, MADV_HUGEPAGE);  // advice: its refusal changes nothing
#endif
  return arena;
}

Result<Arena> ArenaPool::take(std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      if (it->size() == bytes) {
        Arena arena = std::move(*it);
        free_.erase(it);
        return arena;
      }
    }
  }
  return Arena::allocate(bytes);
}

void ArenaPool::give(Arena arena) {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(arena));
}

}  // namespace rulec
