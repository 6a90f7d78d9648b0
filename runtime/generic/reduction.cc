// SPDX-License-Identifier: Apache-2.0
// Reductions over axes, positions of extremes, running sums.
#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/convert.h"
#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"

namespace rulec::generic {
namespace {

// Which axes vanish, and the shapes of the result with them kept as ones and as asked for.
struct Plan {
  Shape kept;
  Shape shape;
  Strides strides;  // one for each axis of the operand, into the result
  std::int64_t reduced = 1;
};

}  // namespace

// Axes are an attribute before opset 13 (ReduceSum) or 18 (the others), an operand since.
static Result<Plan> plan_reduction(const Call& call) {
  const Tensor& x = call.tensor(0);
  const auto given = optional_integers(call, 1, "axes");
  if (!given) return given.error();
  Integers axes = given->value_or(Integers());
  const bool keep = call.attributes.integer("keepdims", 1) != 0;
  std::vector<bool> reduces(x.rank(), false);
  if (axes.empty()) {
    const bool none = call.attributes.integer("noop_with_empty_axes", 0) != 0;
    reduces.assign(x.rank(), !none);
  }
  const auto normalized = normalize_axes(axes, x.rank());
  if (!normalized) return normalized.error();
  for (const std::size_t axis : *normalized)
    reduces[axis] = true;
  Plan plan;
  for (std::size_t i = 0; i < x.rank(); ++i) {
    plan.kept.push_back(reduces[i] ? 1 : x.dim(i));
    if (!reduces[i] || keep) plan.shape.push_back(plan.kept.back());
    if (reduces[i]) plan.reduced *= x.dim(i);
  }
  plan.strides = broadcast_strides(plan.kept, plan.kept);
  for (std::size_t i = 0; i < x.rank(); ++i) {
    if (reduces[i]) plan.strides[i] = 0;
  }
  return plan;
}

// Starts every element of the result at `start` and lets `step` add each element to it.
template <typename T, typename Step>
static Tensor accumulate(const Tensor& x, const Plan& plan, T start, Step step) {
  Tensor out = Tensor::allocate(x.dtype(), plan.shape);
  T* to = out.mutable_data<T>();
  std::fill_n(to, out.size(), start);
  const T* from = x.data<T>();
  walk<1>(x.shape(), {plan.strides},
          [&](std::int64_t first, std::int64_t count, const auto& at, const auto& stride) {
            for (std::int64_t i = 0; i < count; ++i) {
              T& total = to[at[0] + i * stride[0]];
              total = step(total, from[first + i]);
            }
          });
  return out;
}

template <typename T>
static T add(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return wrapping_add(a, b);
  } else {
    return a + b;
  }
}

template <typename T>
static T multiply(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return wrapping_multiply(a, b);
  } else {
    return a * b;
  }
}

template <typename T>
static T magnitude(T v) {
  if constexpr (std::is_unsigned_v<T>) {
    return v;
  } else {
    return v < T{0} ? multiply(v, static_cast<T>(-1)) : v;
  }
}

// `reduce` is called as reduce.operator()<T>(x, plan), T being double or an integer, on the operand
// in that type, and gives the result in it.
template <typename Reduce>
static Result<Outputs> on_numbers(const Call& call, Reduce reduce) {
  const Result<Plan> plan = plan_reduction(call);
  if (!plan) return plan.error();
  const Tensor& x = call.tensor(0);
  Tensor out;
  bool done = false;
  if (is_float(x.dtype())) {
    out = convert(reduce.template operator()<double>(as_doubles(x), *plan), x.dtype());
    done = true;
  } else {
    done = with_integer_type(x.dtype(),
                             [&]<typename T>() { out = reduce.template operator()<T>(x, *plan); });
  }
  if (!done) return make_error("operand 0 is of type {}, but must be a number", name(x.dtype()));
  return one(std::move(out));
}

// The same for functions whose result is no integer: computed in double for every type.
template <typename Reduce>
static Result<Outputs> in_doubles(const Call& call, Reduce reduce) {
  const Result<Plan> plan = plan_reduction(call);
  if (!plan) return plan.error();
  const Tensor& x = call.tensor(0);
  if (!is_float(x.dtype()) && !is_integer(x.dtype())) {
    return make_error("operand 0 is of type {}, but must be a number", name(x.dtype()));
  }
  return one(convert(reduce(as_doubles(x), *plan), x.dtype()));
}

static Result<Outputs> reduce_sum(const Call& call) {
  return on_numbers(call, []<typename T>(const Tensor& x, const Plan& plan) {
    return accumulate<T>(x, plan, T{0}, add<T>);
  });
}

static Result<Outputs> reduce_prod(const Call& call) {
  return on_numbers(call, []<typename T>(const Tensor& x, const Plan& plan) {
    return accumulate<T>(x, plan, T{1}, multiply<T>);
  });
}

static Result<Outputs> reduce_sum_square(const Call& call) {
  return on_numbers(call, []<typename T>(const Tensor& x, const Plan& plan) {
    return accumulate<T>(x, plan, T{0}, [](T a, T b) { return add(a, multiply(b, b)); });
  });
}

static Result<Outputs> reduce_l1(const Call& call) {
  return on_numbers(call, []<typename T>(const Tensor& x, const Plan& plan) {
    return accumulate<T>(x, plan, T{0}, [](T a, T b) { return add(a, magnitude(b)); });
  });
}

static Result<Outputs> reduce_mean(const Call& call) {
  return in_doubles(call, [](const Tensor& x, const Plan& plan) {
    const auto count = static_cast<double>(plan.reduced);
    return map_numbers(accumulate<double>(x, plan, 0.0, add<double>),
                       [count](double v) { return v / count; });
  });
}

static Result<Outputs> reduce_l2(const Call& call) {
  return in_doubles(call, [](const Tensor& x, const Plan& plan) {
    return map_numbers(
        accumulate<double>(x, plan, 0.0, [](double a, double b) { return a + b * b; }),
        [](double v) { return std::sqrt(v); });
  });
}

static Result<Outputs> reduce_log_sum(const Call& call) {
  return in_doubles(call, [](const Tensor& x, const Plan& plan) {
    return map_numbers(accumulate<double>(x, plan, 0.0, add<double>),
                       [](double v) { return std::log(v); });
  });
}

static double greater_number(double a, double b) {
  if (std::isnan(a)) return a;
  return std::isnan(b) || b > a ? b : a;
}

static double lesser_number(double a, double b) {
  if (std::isnan(a)) return a;
  return std::isnan(b) || b < a ? b : a;
}

static Result<Outputs> reduce_log_sum_exp(const Call& call) {
  return in_doubles(call, [](const Tensor& x, const Plan& plan) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    // Relative to the greatest element, so that no exponential overflows.
    const Tensor most = accumulate<double>(x, plan, -infinity, greater_number);
    Tensor sum = Tensor::zeros(DType::F64, plan.shape);
    double* total = sum.mutable_data<double>();
    walk<1>(x.shape(), {plan.strides},
            [&](std::int64_t first, std::int64_t count, const auto& at, const auto& stride) {
              for (std::int64_t i = 0; i < count; ++i) {
                const std::int64_t to = at[0] + i * stride[0];
                const double base = most.data<double>()[to];
                const double v = x.data<double>()[first + i];
                total[to] += std::isinf(base) ? std::exp(v) : std::exp(v - base);
              }
            });
    for (std::int64_t i = 0; i < sum.size(); ++i) {
      const double base = most.data<double>()[i];
      total[i] = std::log(total[i]) + (std::isinf(base) ? 0 : base);
    }
    return sum;
  });
}

template <bool greatest>
static Result<Outputs> reduce_extreme(const Call& call) {
  if (call.tensor(0).dtype() == DType::Bool) {
    const Result<Plan> plan = plan_reduction(call);
    if (!plan) return plan.error();
    return one(accumulate<bool>(call.tensor(0), *plan, !greatest,
                                [](bool a, bool b) { return greatest ? a || b : a && b; }));
  }
  return on_numbers(call, []<typename T>(const Tensor& x, const Plan& plan) {
    if constexpr (std::is_floating_point_v<T>) {
      constexpr double infinity = std::numeric_limits<double>::infinity();
      return accumulate<T>(x, plan, greatest ? -infinity : infinity,
                           greatest ? greater_number : lesser_number);
    } else {
      using Limits = std::numeric_limits<T>;
      return accumulate<T>(x, plan, greatest ? Limits::min() : Limits::max(),
                           [](T a, T b) { return greatest ? std::max(a, b) : std::min(a, b); });
    }
  });
}

// Whether `b`, which comes later, is to be taken instead of `a`.
template <bool greatest, typename T>
static bool beats(T b, T a, bool last) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a)) return last && std::isnan(b);
    if (std::isnan(b)) return true;
  }
  if (a == b) return last;
  return greatest ? b > a : b < a;
}

template <bool greatest>
static Result<Outputs> find_extreme(const Call& call) {
  const Tensor& x = call.tensor(0);
  const auto axis = axis_attribute(call, 0, x.rank());
  if (!axis) return axis.error();
  const bool keep = call.attributes.integer("keepdims", 1) != 0;
  const bool last = call.attributes.integer("select_last_index", 0) != 0;
  const std::int64_t count = x.dim(*axis);
  Shape shape = x.shape();
  shape[*axis] = 1;
  const std::int64_t inner =
      element_count(std::span<const std::int64_t>(x.shape()).subspan(*axis + 1));
  if (!keep) shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(*axis));
  Tensor out = Tensor::allocate(DType::I64, shape);
  if (count == 0 && out.size() > 0) return make_error("axis {} is empty", *axis);
  const bool done = with_computed_type(x.dtype(), [&]<typename T>() {
    const Tensor numbers = as_computed(x);
    for (std::int64_t i = 0; i < out.size(); ++i) {
      const T* line = numbers.data<T>() + i / inner * inner * count + i % inner;
      std::int64_t best = 0;
      for (std::int64_t k = 1; k < count; ++k) {
        if (beats<greatest>(line[k * inner], line[best * inner], last)) best = k;
      }
      out.mutable_data<std::int64_t>()[i] = best;
    }
  });
  if (!done) return make_error("operand 0 is of type {}, but must be a number", name(x.dtype()));
  return one(std::move(out));
}

template <bool product>
static Result<Outputs> run_cumulative(const Call& call) {
  const Tensor& x = call.tensor(0);
  const auto given = integer_operand(call, 1, 0);
  if (!given) return given.error();
  const auto axis = normalize_axis(*given, x.rank());
  if (!axis) return axis.error();
  const bool exclusive = call.attributes.integer("exclusive", 0) != 0;
  const bool reverse = call.attributes.integer("reverse", 0) != 0;
  const std::int64_t count = x.dim(*axis);
  const std::int64_t inner =
      element_count(std::span<const std::int64_t>(x.shape()).subspan(*axis + 1));
  Tensor out;
  const auto sum_up = [&]<typename T>() {
    const Tensor numbers = as_computed(x);
    Tensor sums = Tensor::allocate(numbers.dtype(), x.shape());
    const std::int64_t lines = count == 0 ? 0 : x.size() / count;
    for (std::int64_t i = 0; i < lines; ++i) {
      const std::int64_t start = i / inner * inner * count + i % inner;
      T total = product ? T{1} : T{0};
      for (std::int64_t k = 0; k < count; ++k) {
        const std::int64_t at = start + (reverse ? count - 1 - k : k) * inner;
        const T value = numbers.data<T>()[at];
        if (exclusive) sums.mutable_data<T>()[at] = total;
        if constexpr (product) {
          total = multiply(total, value);
        } else {
          total = add(total, value);
        }
        if (!exclusive) sums.mutable_data<T>()[at] = total;
      }
    }
    out = convert(sums, x.dtype());
  };
  bool done = true;
  if (is_float(x.dtype())) {
    sum_up.template operator()<double>();
  } else {
    done = with_integer_type(x.dtype(), sum_up);
  }
  if (!done) return make_error("operand 0 is of type {}, but must be a number", name(x.dtype()));
  return one(std::move(out));
}

std::span<const KernelEntry> reduction_kernels() {
  static constexpr KernelEntry entries[] = {
      {"", "ArgMax", find_extreme<true>},
      {"", "ArgMin", find_extreme<false>},
      {"", "CumProd", run_cumulative<true>, 2},
      {"", "CumSum", run_cumulative<false>, 2},
      {"", "ReduceL1", reduce_l1},
      {"", "ReduceL2", reduce_l2},
      {"", "ReduceLogSum", reduce_log_sum},
      {"", "ReduceLogSumExp", reduce_log_sum_exp},
      {"", "ReduceMax", reduce_extreme<true>},
      {"", "ReduceMean", reduce_mean},
      {"", "ReduceMin", reduce_extreme<false>},
      {"", "ReduceProd", reduce_prod},
      {"", "ReduceSum", reduce_sum},
      {"", "ReduceSumSquare", reduce_sum_square},
  };
  return entries;
}

}  // namespace rulec::generic
