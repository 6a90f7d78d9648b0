// SPDX-License-Identifier: Apache-2.0
#pragma once

// Box<T>: one T on the heap that copies like a value, or nothing. It lets a syntax node hold a node
// of its own kind. Not a shared pointer and not an optional argument type.
//
//   struct Expr { Box<Expr> left, right; };
//   if (expr.left) visit(*expr.left);

#include <memory>
#include <utility>

namespace rulec {

template <typename T>
class Box {
 public:
  Box() = default;
  Box(T value) : held_(std::make_unique<T>(std::move(value))) {}
  Box(const Box& other) : held_(other.held_ ? std::make_unique<T>(*other.held_) : nullptr) {}
  Box(Box&&) noexcept = default;
  Box& operator=(const Box& other) {
    if (this != &other) held_ = other.held_ ? std::make_unique<T>(*other.held_) : nullptr;
    return *this;
  }
  Box& operator=(Box&&) noexcept = default;
  ~Box() = default;

  explicit operator bool() const { return held_ != nullptr; }

  T& operator*() { return *held_; }
  const T& operator*() const { return *held_; }
  T* operator->() { return held_.get(); }
  const T* operator->() const { return held_.get(); }

 private:
  std::unique_ptr<T> held_;
};

}  // namespace rulec
