// SPDX-License-Identifier: Apache-2.0
// Arithmetic of two or more numbers, broadcast. Integers wrap; a division of an integer by zero is
// an Error, since no result would be right.
#include <cmath>

#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"

namespace rulec::generic {

// `f` takes two doubles or two integers of one type and returns the same type.
template <typename F>
static Result<Tensor> combine(const Tensor& a, const Tensor& b, DType dtype, F f) {
  const auto shape = broadcast(a.shape(), b.shape());
  if (!shape) {
    return make_error("the shapes {} and {} do not broadcast", to_string(a.shape()),
                      to_string(b.shape()));
  }
  if (is_float(dtype)) {
    return convert(
        zip_elements<double, double, double>(as_doubles(a), as_doubles(b), *shape, DType::F64, f),
        dtype);
  }
  Tensor out;
  const bool done = with_integer_type(
      dtype, [&]<typename T>() { out = zip_elements<T, T, T>(a, b, *shape, dtype, f); });
  if (!done) return make_error("the operands are of type {}, but must be numbers", name(dtype));
  return out;
}

template <typename F>
static Result<Outputs> on_two(const Call& call, F f) {
  const Result<DType> dtype = common_type(call);
  if (!dtype) return dtype.error();
  Result<Tensor> out = combine(call.tensor(0), call.tensor(1), *dtype, f);
  if (!out) return out.error();
  return one(*std::move(out));
}

static constexpr auto plus = []<typename T>(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return wrapping_add(a, b);
  } else {
    return a + b;
  }
};

static Result<Outputs> run_add(const Call& call) {
  return on_two(call, plus);
}

static Result<Outputs> run_sub(const Call& call) {
  return on_two(call, []<typename T>(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      return wrapping_subtract(a, b);
    } else {
      return a - b;
    }
  });
}

static Result<Outputs> run_mul(const Call& call) {
  return on_two(call, []<typename T>(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      return wrapping_multiply(a, b);
    } else {
      return a * b;
    }
  });
}

static Status check_integer_divisor(const Tensor& divisor) {
  if (!is_integer(divisor.dtype())) return Done{};
  for (std::int64_t i = 0; i < divisor.size(); ++i) {
    if (divisor.integer(i) == 0) {
      return make_error("operand 1 is zero at element {}: an integer cannot be divided by it", i);
    }
  }
  return Done{};
}

static Result<Outputs> run_div(const Call& call) {
  const Status ok = check_integer_divisor(call.tensor(1));
  if (!ok) return ok.error();
  return on_two(call, []<typename T>(T a, T b) {
    if constexpr (std::is_signed_v<T> && std::is_integral_v<T>) {
      if (b == T{-1}) return wrapping_subtract(T{0}, a);  // the least one overflows
    }
    return static_cast<T>(a / b);
  });
}

// a - floor(a / b) * b: has the sign of b, zero too.
static double floored_rest(double a, double b) {
  const double rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(0.0, b);
  return (rest < 0) != (b < 0) ? rest + b : rest;
}

static Result<Outputs> run_mod(const Call& call) {
  const bool c_sign = call.attributes.integer("fmod", 0) != 0;
  if (!c_sign && call.opset < 28 && is_float(call.tensor(0).dtype())) {
    return make_error("the attribute fmod must be 1 for operands of type {} before opset 28",
                      name(call.tensor(0).dtype()));
  }
  const Status ok = check_integer_divisor(call.tensor(1));
  if (!ok) return ok.error();
  return on_two(call, [c_sign]<typename T>(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
      return c_sign ? std::fmod(a, b) : floored_rest(a, b);
    } else {
      if constexpr (std::is_signed_v<T>) {
        if (b == T{-1}) return T{0};
      }
      const T rest = static_cast<T>(a % b);
      const bool signs_differ = rest != 0 && (rest < T{0}) != (b < T{0});
      return !c_sign && signs_differ ? static_cast<T>(rest + b) : rest;
    }
  });
}

template <typename T>
static T integer_power(T base, std::int64_t exponent) {
  if (exponent < 0) {  // 1 / base^n, truncated
    if (base == T{1}) return T{1};
    if (std::is_signed_v<T> && base == static_cast<T>(-1)) {
      return exponent % 2 == 0 ? T{1} : base;
    }
    return T{0};
  }
  T result{1};
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = wrapping_multiply(result, base);
    base = wrapping_multiply(base, base);
  }
  return result;
}

// The result has the base's type, whatever the exponent's is.
static Result<Outputs> run_pow(const Call& call) {
  const Tensor& base = call.tensor(0);
  const Tensor& exponent = call.tensor(1);
  const auto shape = broadcast(base.shape(), exponent.shape());
  if (!shape) {
    return make_error("the shapes {} and {} do not broadcast", to_string(base.shape()),
                      to_string(exponent.shape()));
  }
  if (is_integer(base.dtype()) && is_integer(exponent.dtype())) {
    const Tensor wide = convert(exponent, DType::I64);
    Tensor out;
    const bool done = with_integer_type(base.dtype(), [&]<typename T>() {
      out = zip_elements<T, std::int64_t, T>(base, wide, *shape, base.dtype(), integer_power<T>);
    });
    if (!done) return make_error("operand 0 is of type {}", name(base.dtype()));
    return one(std::move(out));
  }
  const auto power = [](double a, double b) { return std::pow(a, b); };
  return one(convert(zip_elements<double, double, double>(as_doubles(base), as_doubles(exponent),
                                                          *shape, DType::F64, power),
                     base.dtype()));
}

// Folds any number of operands from the left.
template <typename F>
static Result<Tensor> on_all(const Call& call, F f) {
  const Result<DType> dtype = common_type(call);
  if (!dtype) return dtype.error();
  // Floats stay in double until the last operand, so that the result is rounded once.
  const DType working = is_float(*dtype) ? DType::F64 : *dtype;
  Tensor total = convert(call.tensor(0), working);
  for (std::size_t i = 1; i < call.inputs.size(); ++i) {
    if (!call.has(i)) continue;
    Result<Tensor> next = combine(total, call.tensor(i), working, f);
    if (!next) return next.error();
    total = *std::move(next);
  }
  return convert(total, *dtype);
}

static Result<Outputs> run_max(const Call& call) {
  Result<Tensor> out = on_all(call, []<typename T>(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(a)) return a;
      if (std::isnan(b)) return b;
    }
    return a > b ? a : b;
  });
  if (!out) return out.error();
  return one(*std::move(out));
}

static Result<Outputs> run_min(const Call& call) {
  Result<Tensor> out = on_all(call, []<typename T>(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(a)) return a;
      if (std::isnan(b)) return b;
    }
    return a < b ? a : b;
  });
  if (!out) return out.error();
  return one(*std::move(out));
}

static Result<Outputs> run_sum(const Call& call) {
  Result<Tensor> out = on_all(call, plus);
  if (!out) return out.error();
  return one(*std::move(out));
}

static Result<Outputs> run_mean(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Result<DType> dtype = common_type(call);
  if (!dtype) return dtype.error();
  Tensor total = as_doubles(call.tensor(0));
  for (std::size_t i = 1; i < call.inputs.size(); ++i) {
    Result<Tensor> next = combine(total, call.tensor(i), DType::F64, plus);
    if (!next) return next.error();
    total = *std::move(next);
  }
  const auto count = static_cast<double>(call.inputs.size());
  return one(convert(map_numbers(total, [count](double v) { return v / count; }), *dtype));
}

template <typename F>
static Result<Outputs> on_bits(const Call& call, F f) {
  const Result<DType> dtype = common_type(call);
  if (!dtype) return dtype.error();
  const auto shape = common_shape(call.inputs);
  if (!shape) return shape.error();
  Tensor out;
  const bool done = with_integer_type(*dtype, [&]<typename T>() {
    out = zip_elements<T, T, T>(call.tensor(0), call.tensor(1), *shape, *dtype,
                                [f](T a, T b) { return static_cast<T>(f(a, b)); });
  });
  if (!done) return make_error("the operands are of type {}, but must be integers", name(*dtype));
  return one(std::move(out));
}

static Result<Outputs> run_bitwise_and(const Call& call) {
  return on_bits(call, [](auto a, auto b) { return a & b; });
}
static Result<Outputs> run_bitwise_or(const Call& call) {
  return on_bits(call, [](auto a, auto b) { return a | b; });
}
static Result<Outputs> run_bitwise_xor(const Call& call) {
  return on_bits(call, [](auto a, auto b) { return a ^ b; });
}

static Result<Outputs> run_bitwise_not(const Call& call) {
  const Tensor& x = call.tensor(0);
  Tensor out;
  const bool done = with_integer_type(x.dtype(), [&]<typename T>() {
    out = map_elements<T>(x, [](T v) { return static_cast<T>(~v); });
  });
  if (!done) return make_error("operand 0 is of type {}, but must be integers", name(x.dtype()));
  return one(std::move(out));
}

static Result<Outputs> run_bit_shift(const Call& call) {
  const std::string_view direction = call.attributes.text("direction", "");
  if (direction != "LEFT" && direction != "RIGHT") {
    return make_error("the attribute direction is '{}', but must be LEFT or RIGHT", direction);
  }
  const bool left = direction == "LEFT";
  return on_bits(call, [left]<typename T>(T value, T by) {
    // A negative count is out of range like one that is too great. Signed numbers, which came with
    // opset 28, shift to the right arithmetically.
    constexpr T width = sizeof(T) * 8;
    const bool in_range = by >= T{0} && by < width;
    if (std::is_signed_v<T> && !left) {
      return static_cast<T>(value >> (in_range ? by : static_cast<T>(width - 1)));
    }
    if (!in_range) return T{0};
    const auto wide = static_cast<std::uint64_t>(static_cast<std::make_unsigned_t<T>>(value));
    return static_cast<T>(left ? wide << by : wide >> by);
  });
}

std::span<const KernelEntry> binary_kernels() {
  static constexpr KernelEntry entries[] = {
      {"", "Add", run_add, 2},
      {"", "BitShift", run_bit_shift, 2},
      {"", "BitwiseAnd", run_bitwise_and, 2},
      {"", "BitwiseNot", run_bitwise_not, 1},
      {"", "BitwiseOr", run_bitwise_or, 2},
      {"", "BitwiseXor", run_bitwise_xor, 2},
      {"", "Div", run_div, 2},
      {"", "Max", run_max, 1},
      {"", "Mean", run_mean, 1},
      {"", "Min", run_min, 1},
      {"", "Mod", run_mod, 2},
      {"", "Mul", run_mul, 2},
      {"", "Pow", run_pow, 2},
      {"", "Sub", run_sub, 2},
      {"", "Sum", run_sum, 1},
  };
  return entries;
}

}  // namespace rulec::generic
