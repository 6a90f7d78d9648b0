// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "runtime/check.h"

namespace rulec {

// Why an operation on the outside world failed: a file, a model, an engine.
// Mistakes in a .rules file are Diagnostics, never Errors. The message says what, where,
// why and what to do, starts in lower case and has no full stop.
struct [[nodiscard]] Error {
  std::string message;
};

template <typename... Args>
Error make_error(fmt::format_string<Args...> format, Args&&... args) {
  return {fmt::format(format, std::forward<Args>(args)...)};
}

// A T, or the Error that explains its absence. std::expected is C++23 and
// absent from GCC 12 in C++20 mode.
//
//   Result<Tensor> read(...);
//   auto tensor = read(...);
//   if (!tensor) return tensor.error();
//   use(*tensor);
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }

  T& operator*() & { return get(); }
  const T& operator*() const& { return get(); }
  T&& operator*() && { return std::move(get()); }
  T* operator->() { return &get(); }
  const T* operator->() const { return &get(); }

  const Error& error() const {
    RULEC_CHECK(!*this);
    return *std::get_if<1>(&state_);
  }

 private:
  T& get() {
    RULEC_CHECK(*this);
    return *std::get_if<0>(&state_);
  }
  const T& get() const {
    RULEC_CHECK(*this);
    return *std::get_if<0>(&state_);
  }

  std::variant<T, Error> state_;
};

// Success without a value.
struct Done {};
using Status = Result<Done>;

}  // namespace rulec
