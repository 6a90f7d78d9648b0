// SPDX-License-Identifier: Apache-2.0
// Functions of one number: signs, rounding, powers, exponentials, trigonometry.
#include <cmath>

#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"

namespace rulec::generic {

template <double (*f)(double)>
static Result<Outputs> on_floats(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  return one(map_numbers(call.tensor(0), f));
}

// `f` takes a double or any integer and returns the same type.
template <typename F>
static Result<Outputs> on_numbers(const Call& call, F f) {
  const Tensor& x = call.tensor(0);
  if (is_float(x.dtype())) return one(map_numbers(x, f));
  Tensor y;
  const bool done = with_integer_type(x.dtype(), [&]<typename T>() { y = map_elements<T>(x, f); });
  if (!done) return make_error("operand 0 is of type {}, but must be a number", name(x.dtype()));
  return one(std::move(y));
}

template <typename T>
static T negated(T v) {
  if constexpr (std::is_integral_v<T>) {
    return wrapping_subtract(T{0}, v);
  } else {
    return -v;
  }
}

static Result<Outputs> run_neg(const Call& call) {
  return on_numbers(call, [](auto v) { return negated(v); });
}

static Result<Outputs> run_abs(const Call& call) {
  return on_numbers(call, []<typename T>(T v) {
    if constexpr (std::is_floating_point_v<T>) {
      return std::fabs(v);
    } else {
      return v < T{0} ? negated(v) : v;
    }
  });
}

static Result<Outputs> run_sign(const Call& call) {
  return on_numbers(call, []<typename T>(T v) {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(v)) return v;
    }
    return v > T{0} ? T{1} : v < T{0} ? static_cast<T>(-1) : T{0};
  });
}

static double reciprocal(double v) {
  return 1 / v;
}
static double round_half_even(double v) {
  return std::nearbyint(v);
}

std::span<const KernelEntry> unary_kernels() {
  static constexpr KernelEntry entries[] = {
      {"", "Abs", run_abs},
      {"", "Acos", on_floats<std::acos>},
      {"", "Acosh", on_floats<std::acosh>},
      {"", "Asin", on_floats<std::asin>},
      {"", "Asinh", on_floats<std::asinh>},
      {"", "Atan", on_floats<std::atan>},
      {"", "Atanh", on_floats<std::atanh>},
      {"", "Ceil", on_floats<std::ceil>},
      {"", "Cos", on_floats<std::cos>},
      {"", "Cosh", on_floats<std::cosh>},
      {"", "Erf", on_floats<std::erf>},
      {"", "Exp", on_floats<std::exp>},
      {"", "Floor", on_floats<std::floor>},
      {"", "Log", on_floats<std::log>},
      {"", "Neg", run_neg},
      {"", "Reciprocal", on_floats<reciprocal>},
      {"", "Round", on_floats<round_half_even>},
      {"", "Sign", run_sign},
      {"", "Sin", on_floats<std::sin>},
      {"", "Sinh", on_floats<std::sinh>},
      {"", "Sqrt", on_floats<std::sqrt>},
      {"", "Tan", on_floats<std::tan>},
      {"", "Tanh", on_floats<std::tanh>},
  };
  return entries;
}

}  // namespace rulec::generic
