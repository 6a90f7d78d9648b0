// SPDX-License-Identifier: Apache-2.0
#pragma once

// A growing array whose elements never move: references stay good while others are added, and
// growth copies nothing, so that large elements are touched once. Elements lie in blocks of a fixed
// count, found by two look-ups. No removal.
//
//   Chunked<GraphNode> nodes;
//   GraphNode& first = nodes.emplace_back();
//   nodes.emplace_back();   // `first` is still good

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace rulec {

template <typename T>
class Chunked {
 public:
  Chunked() = default;
  Chunked(Chunked&& other) noexcept
      : blocks_(std::move(other.blocks_)), size_(std::exchange(other.size_, 0)) {}
  Chunked(const Chunked& other) {
    for (std::size_t i = 0; i < other.size_; ++i)
      emplace_back(other[i]);
  }
  Chunked& operator=(Chunked other) noexcept {
    blocks_.swap(other.blocks_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Chunked() {
    for (std::size_t i = 0; i < size_; ++i)
      std::destroy_at(&(*this)[i]);
    for (T* const block : blocks_)
      std::allocator<T>().deallocate(block, block_size);
  }

  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return blocks_[i / block_size][i % block_size]; }
  const T& operator[](std::size_t i) const { return blocks_[i / block_size][i % block_size]; }

  template <typename... Args>
  T& emplace_back(Args&&... args) {
    if (size_ == blocks_.size() * block_size) {
      blocks_.push_back(std::allocator<T>().allocate(block_size));
    }
    T* const made = std::construct_at(&(*this)[size_], std::forward<Args>(args)...);
    ++size_;
    return *made;
  }

 private:
  static constexpr std::size_t block_size = 256;

  std::vector<T*> blocks_;
  std::size_t size_ = 0;
};

}  // namespace rulec
