// SPDX-License-Identifier: Apache-2.0
#pragma once

// A text or list that is empty nearly always: while it is, it takes a pointer. Reads as the text or
// list itself; changed by assignment or through edit().
//
//   Rare<std::string> leftover;
//   leftover.empty();              // true, nothing was allocated
//   leftover.edit() += "…";

#include <memory>
#include <utility>

namespace rulec {

template <typename T>
class Rare {
 public:
  Rare() = default;
  Rare(T value) : held_(value.empty() ? nullptr : std::make_unique<T>(std::move(value))) {}
  Rare(Rare&&) noexcept = default;
  Rare(const Rare& other) : held_(other.held_ ? std::make_unique<T>(*other.held_) : nullptr) {}
  Rare& operator=(Rare other) noexcept {
    held_.swap(other.held_);
    return *this;
  }

  const T& get() const {
    static const T none;
    return held_ ? *held_ : none;
  }
  operator const T&() const { return get(); }
  T& edit() {
    if (!held_) held_ = std::make_unique<T>();
    return *held_;
  }
  bool empty() const { return !held_ || held_->empty(); }
  auto begin() const { return get().begin(); }
  auto end() const { return get().end(); }

 private:
  std::unique_ptr<T> held_;
};

}  // namespace rulec
