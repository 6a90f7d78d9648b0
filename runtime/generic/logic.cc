// SPDX-License-Identifier: Apache-2.0
// Comparisons, truth values, and Where, which chooses by them.
#include <cmath>

#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"

namespace rulec::generic {

template <typename F>
static Result<Outputs> compare(const Call& call, F f) {
  const Result<DType> dtype = common_type(call);
  if (!dtype) return dtype.error();
  const auto shape = common_shape(call.inputs);
  if (!shape) return shape.error();
  const Tensor& a = call.tensor(0);
  const Tensor& b = call.tensor(1);
  Tensor out;
  const bool done = with_computed_type(*dtype, [&]<typename T>() {
    out = zip_elements<T, T, bool>(as_computed(a), as_computed(b), *shape, DType::Bool,
                                   [f](T x, T y) { return f(x, y); });
  });
  if (!done) return make_error("operands of type {} cannot be compared", name(*dtype));
  return one(std::move(out));
}

static Result<Outputs> equal_strings(const Call& call) {
  const auto shape = common_shape(call.inputs);
  if (!shape) return shape.error();
  const Tensor& a = call.tensor(0);
  const Tensor& b = call.tensor(1);
  Tensor out = Tensor::allocate(DType::Bool, *shape);
  bool* to = out.mutable_data<bool>();
  walk<2>(*shape, {broadcast_strides(a.shape(), *shape), broadcast_strides(b.shape(), *shape)},
          [&](std::int64_t first, std::int64_t count, const auto& at, const auto& step) {
            for (std::int64_t i = 0; i < count; ++i) {
              const auto x = static_cast<std::size_t>(at[0] + i * step[0]);
              const auto y = static_cast<std::size_t>(at[1] + i * step[1]);
              to[first + i] = a.strings()[x] == b.strings()[y];
            }
          });
  return one(std::move(out));
}

static Result<Outputs> run_equal(const Call& call) {
  const Result<DType> dtype = common_type(call);
  if (dtype && *dtype == DType::String) return equal_strings(call);
  return compare(call, [](auto a, auto b) { return a == b; });
}
static Result<Outputs> run_less(const Call& call) {
  return compare(call, [](auto a, auto b) { return a < b; });
}
static Result<Outputs> run_less_or_equal(const Call& call) {
  return compare(call, [](auto a, auto b) { return a <= b; });
}
static Result<Outputs> run_greater(const Call& call) {
  return compare(call, [](auto a, auto b) { return a > b; });
}
static Result<Outputs> run_greater_or_equal(const Call& call) {
  return compare(call, [](auto a, auto b) { return a >= b; });
}

static Status check_bool(const Call& call, std::size_t operand) {
  const DType dtype = call.tensor(operand).dtype();
  if (dtype == DType::Bool) return Done{};
  return make_error("operand {} is of type {}, but must be bool", operand, name(dtype));
}

template <typename F>
static Result<Outputs> on_truth(const Call& call, F f) {
  for (const std::size_t i : {0U, 1U}) {
    const Status ok = check_bool(call, i);
    if (!ok) return ok.error();
  }
  return compare(call, f);
}

static Result<Outputs> run_and(const Call& call) {
  return on_truth(call, [](auto a, auto b) { return a && b; });
}
static Result<Outputs> run_or(const Call& call) {
  return on_truth(call, [](auto a, auto b) { return a || b; });
}
static Result<Outputs> run_xor(const Call& call) {
  return on_truth(call, [](auto a, auto b) { return a != b; });
}
static Result<Outputs> run_not(const Call& call) {
  const Status ok = check_bool(call, 0);
  if (!ok) return ok.error();
  return one(map_elements<bool>(call.tensor(0), [](bool v) { return !v; }));
}

template <typename F>
static Result<Outputs> classify(const Call& call, F f) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Tensor x = as_doubles(call.tensor(0));
  Tensor out = Tensor::allocate(DType::Bool, x.shape());
  for (std::int64_t i = 0; i < x.size(); ++i) {
    out.mutable_data<bool>()[i] = f(x.data<double>()[i]);
  }
  return one(std::move(out));
}

static Result<Outputs> run_is_nan(const Call& call) {
  return classify(call, [](double v) { return std::isnan(v); });
}

static Result<Outputs> run_is_inf(const Call& call) {
  const bool positive = call.attributes.integer("detect_positive", 1) != 0;
  const bool negative = call.attributes.integer("detect_negative", 1) != 0;
  return classify(call, [=](double v) { return std::isinf(v) && (v > 0 ? positive : negative); });
}

static Tensor choose_strings(const Tensor& condition, const Tensor& a, const Tensor& b,
                             const Shape& shape) {
  Tensor out = Tensor::allocate(DType::String, shape);
  walk<3>(shape,
          {broadcast_strides(condition.shape(), shape), broadcast_strides(a.shape(), shape),
           broadcast_strides(b.shape(), shape)},
          [&](std::int64_t first, std::int64_t count, const auto& at, const auto& step) {
            for (std::int64_t i = 0; i < count; ++i) {
              const bool yes = condition.data<bool>()[at[0] + i * step[0]];
              const Tensor& from = yes ? a : b;
              const std::int64_t index = yes ? at[1] + i * step[1] : at[2] + i * step[2];
              out.mutable_strings()[static_cast<std::size_t>(first + i)] =
                  from.strings()[static_cast<std::size_t>(index)];
            }
          });
  return out;
}

static Result<Outputs> run_where(const Call& call) {
  const Status ok = check_bool(call, 0);
  if (!ok) return ok.error();
  const Result<DType> dtype = common_type(call, 1);
  if (!dtype) return dtype.error();
  const auto shape = common_shape(call.inputs);
  if (!shape) return shape.error();
  const Tensor& condition = call.tensor(0);
  const Tensor a = *dtype == DType::String ? call.tensor(1) : convert(call.tensor(1), *dtype);
  const Tensor b = *dtype == DType::String ? call.tensor(2) : convert(call.tensor(2), *dtype);
  if (*dtype == DType::String) return one(choose_strings(condition, a, b, *shape));
  Tensor out = Tensor::allocate(*dtype, *shape);
  const bool done = with_storage_type(*dtype, [&]<typename T>() {
    const bool* which = condition.data<bool>();
    const T* from_a = a.data<T>();
    const T* from_b = b.data<T>();
    T* to = out.mutable_data<T>();
    walk<3>(*shape,
            {broadcast_strides(condition.shape(), *shape), broadcast_strides(a.shape(), *shape),
             broadcast_strides(b.shape(), *shape)},
            [&](std::int64_t first, std::int64_t count, const auto& at, const auto& step) {
              for (std::int64_t i = 0; i < count; ++i) {
                to[first + i] = which[at[0] + i * step[0]] ? from_a[at[1] + i * step[1]]
                                                           : from_b[at[2] + i * step[2]];
              }
            });
  });
  if (!done) return make_error("operands of type {} are not supported", name(*dtype));
  return one(std::move(out));
}

std::span<const KernelEntry> logic_kernels() {
  static constexpr KernelEntry entries[] = {
      {"", "And", run_and, 2},         {"", "Equal", run_equal, 2},
      {"", "Greater", run_greater, 2}, {"", "GreaterOrEqual", run_greater_or_equal, 2},
      {"", "IsInf", run_is_inf, 1},    {"", "IsNaN", run_is_nan, 1},
      {"", "Less", run_less, 2},       {"", "LessOrEqual", run_less_or_equal, 2},
      {"", "Not", run_not, 1},         {"", "Or", run_or, 2},
      {"", "Where", run_where, 3},     {"", "Xor", run_xor, 2},
  };
  return entries;
}

}  // namespace rulec::generic
