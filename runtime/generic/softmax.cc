// SPDX-License-Identifier: Apache-2.0
// Softmax, LogSoftmax, Hardmax: functions of all elements along an axis. Before opset 13 the
// operand is a matrix, split before `axis`; since then the function runs along that one axis.
#include <cmath>
#include <limits>

#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"

namespace rulec::generic {

// Calls f(from, to, count, step) for every line of the operand.
template <typename F>
static Result<Outputs> on_lines(const Call& call, F f) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Tensor x = as_doubles(call.tensor(0));
  const bool matrix = call.opset < 13;
  std::int64_t outer = 1, count = 1, inner = 1;
  if (x.rank() > 0) {
    std::int64_t given = call.attributes.integer("axis", matrix ? 1 : -1);
    const bool at_end = matrix && given == static_cast<std::int64_t>(x.rank());
    if (at_end) --given;
    const auto axis = normalize_axis(given, x.rank());
    if (!axis) return axis.error();
    const std::span<const std::int64_t> dims = x.shape();
    const std::size_t split = *axis + (at_end ? 1 : 0);
    outer = element_count(dims.first(split));
    count = matrix ? element_count(dims.subspan(split)) : dims[split];
    inner = matrix ? 1 : element_count(dims.subspan(split + 1));
  }
  Tensor y = Tensor::allocate(DType::F64, x.shape());
  if (x.size() == 0) return one(convert(y, call.tensor(0).dtype()));
  for (std::int64_t i = 0; i < outer; ++i) {
    for (std::int64_t k = 0; k < inner; ++k) {
      const std::int64_t start = i * count * inner + k;
      f(x.data<double>() + start, y.mutable_data<double>() + start, count, inner);
    }
  }
  return one(convert(y, call.tensor(0).dtype()));
}

static double greatest(const double* from, std::int64_t count, std::int64_t step) {
  double most = -std::numeric_limits<double>::infinity();
  for (std::int64_t i = 0; i < count; ++i)
    most = std::fmax(most, from[i * step]);
  return most;
}

static Result<Outputs> run_softmax(const Call& call) {
  return on_lines(call, [](const double* from, double* to, std::int64_t count, std::int64_t step) {
    const double most = greatest(from, count, step);
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      to[i * step] = std::exp(from[i * step] - most);
      sum += to[i * step];
    }
    for (std::int64_t i = 0; i < count; ++i)
      to[i * step] /= sum;
  });
}

static Result<Outputs> run_log_softmax(const Call& call) {
  return on_lines(call, [](const double* from, double* to, std::int64_t count, std::int64_t step) {
    const double most = greatest(from, count, step);
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i)
      sum += std::exp(from[i * step] - most);
    const double log_sum = std::log(sum);
    for (std::int64_t i = 0; i < count; ++i)
      to[i * step] = from[i * step] - most - log_sum;
  });
}

static Result<Outputs> run_hardmax(const Call& call) {
  return on_lines(call, [](const double* from, double* to, std::int64_t count, std::int64_t step) {
    std::int64_t best = 0;
    for (std::int64_t i = 1; i < count; ++i) {
      if (from[i * step] > from[best * step]) best = i;
    }
    for (std::int64_t i = 0; i < count; ++i)
      to[i * step] = i == best ? 1 : 0;
  });
}

std::span<const KernelEntry> softmax_kernels() {
  static constexpr KernelEntry entries[] = {
      {"", "Hardmax", run_hardmax},
      {"", "LogSoftmax", run_log_softmax},
      {"", "Softmax", run_softmax},
  };
  return entries;
}

}  // namespace rulec::generic
