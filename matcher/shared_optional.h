// SPDX-License-Identifier: Apache-2.0
#pragma once

// An optional value that its copies share until one of them changes it: as std::optional in use, as
// cheap as a pointer to copy. Reading through a non-const one gives it a value of its own first.
//
//   SharedOptional<std::vector<Dim>> dims = std::vector<Dim>{…};
//   auto same = dims;       // no copy of the list
//   same->push_back({});    // now there are two

#include <memory>
#include <optional>
#include <utility>

namespace rulec {

template <typename T>
class SharedOptional {
 public:
  SharedOptional() = default;
  SharedOptional(std::nullopt_t) {}
  SharedOptional(T value) : held_(std::make_shared<T>(std::move(value))) {}

  explicit operator bool() const { return held_ != nullptr; }
  bool has_value() const { return held_ != nullptr; }
  const T& operator*() const { return *held_; }
  const T* operator->() const { return held_.get(); }
  T& operator*() { return own(); }
  T* operator->() { return &own(); }

  template <typename... Args>
  T& emplace(Args&&... args) {
    held_ = std::make_shared<T>(std::forward<Args>(args)...);
    return *held_;
  }
  void reset() { held_.reset(); }

  friend bool operator==(const SharedOptional& a, const SharedOptional& b) {
    if (a.held_ == b.held_) return true;
    return a.held_ && b.held_ && *a.held_ == *b.held_;
  }

 private:
  T& own() {
    if (held_.use_count() != 1) held_ = std::make_shared<T>(*held_);
    return *held_;
  }
  std::shared_ptr<T> held_;
};

}  // namespace rulec
