// SPDX-License-Identifier: Apache-2.0
#pragma once

// A vector of small plain elements that keeps up to `Inline` of them in itself: the operands of
// most nodes, without an allocation. Converts to a std::vector where a copy is wanted.
//
//   SmallVector<ValueId, 4> inputs = {x, y};

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace rulec {

template <typename T, std::size_t Inline>
class SmallVector {
  static_assert(std::is_trivially_copyable_v<T> && Inline * sizeof(T) >= sizeof(T*));

 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  SmallVector() = default;
  SmallVector(std::initializer_list<T> all) { assign({all.begin(), all.size()}); }
  SmallVector(std::span<const T> all) { assign(all); }
  SmallVector(const std::vector<T>& all) { assign(all); }
  SmallVector(const SmallVector& other) { assign(other); }
  SmallVector(SmallVector&& other) noexcept { take(other); }
  SmallVector& operator=(const SmallVector& other) {
    if (this != &other) assign(other);
    return *this;
  }
  SmallVector& operator=(SmallVector&& other) noexcept {
    if (this == &other) return *this;
    release();
    take(other);
    return *this;
  }
  ~SmallVector() { release(); }
  operator std::vector<T>() const { return {begin(), end()}; }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return capacity_ > Inline ? far() : near(); }
  const T* data() const { return const_cast<SmallVector*>(this)->data(); }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& operator[](std::size_t i) { return data()[i]; }
  const T& operator[](std::size_t i) const { return data()[i]; }
  T& front() { return data()[0]; }
  const T& front() const { return data()[0]; }
  T& back() { return data()[size_ - 1]; }
  const T& back() const { return data()[size_ - 1]; }

  void reserve(std::size_t count) {
    if (count <= Inline || count <= capacity_) return;
    T* const grown = new T[count];
    std::copy_n(data(), size_, grown);
    release();
    std::memcpy(room_, &grown, sizeof(grown));
    capacity_ = static_cast<std::uint32_t>(count);
  }
  void push_back(T value) {
    if (size_ == capacity_) reserve(2 * std::size_t{capacity_});
    data()[size_++] = value;
  }
  T& emplace_back(T value = {}) {
    push_back(value);
    return back();
  }
  void resize(std::size_t count) {
    reserve(count);
    if (count > size_) std::fill(data() + size_, data() + count, T{});
    size_ = static_cast<std::uint32_t>(count);
  }
  void clear() { size_ = 0; }
  void assign(std::span<const T> all) {
    reserve(all.size());
    std::copy(all.begin(), all.end(), data());
    size_ = static_cast<std::uint32_t>(all.size());
  }

  friend bool operator==(const SmallVector& a, const SmallVector& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  T* near() { return std::launder(reinterpret_cast<T*>(room_)); }
  T* far() {
    T* where = nullptr;
    std::memcpy(&where, room_, sizeof(where));
    return where;
  }
  void release() {
    if (capacity_ > Inline) delete[] far();
    capacity_ = Inline;
  }
  void take(SmallVector& other) {
    std::memcpy(room_, other.room_, sizeof(room_));
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, Inline);
  }

  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = Inline;
  alignas(T) alignas(T*) std::byte room_[Inline * sizeof(T)];  // elements, or where they lie
};

}  // namespace rulec
