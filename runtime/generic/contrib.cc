// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

// The fused operators of domain com.microsoft that ONNX Runtime's optimizer writes into models.
namespace rulec::generic {

static constexpr std::string_view microsoft = "com.microsoft";

static double gelu(double x) {
  return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
}

static double fast_gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

// Operand `index`, absent or with one number for each element of the last axis of `in`.
static Result<std::vector<double>> per_feature(const Call& call, std::size_t index,
                                               const Tensor& in) {
  if (!call.has(index)) return std::vector<double>();
  const Tensor& given = call.tensor(index);
  if (in.rank() == 0 || given.rank() != 1 || given.dim(0) != in.shape().back()) {
    return make_error("operand {} has shape {}, for features of {}", index,
                      to_string(given.shape()), to_string(in.shape()));
  }
  return given.numbers();
}

static Result<Outputs> any_gelu(const Call& call) {
  const Tensor& in = call.tensor(0);
  if (!is_float(in.dtype())) return make_error("it works on floats, not {}", name(in.dtype()));
  auto bias = per_feature(call, 1, in);
  if (!bias) return bias.error();
  const auto alpha = static_cast<double>(call.attributes.number("alpha", 1.702F));
  std::vector<double> values = in.numbers();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = values[i] + (bias->empty() ? 0 : (*bias)[i % bias->size()]);
    values[i] = call.type == "FastGelu"    ? fast_gelu(x)
                : call.type == "QuickGelu" ? x / (1 + std::exp(-alpha * x))
                                           : gelu(x);
  }
  return one(from_numbers(in.dtype(), in.shape(), values));
}

static Result<Outputs> skip_layer_normalization(const Call& call) {
  const Tensor& in = call.tensor(0);
  const Tensor& skip = call.tensor(1);
  const bool simplified = call.type == "SkipSimplifiedLayerNormalization";
  auto gamma = per_feature(call, 2, in);
  if (!gamma) return gamma.error();
  auto beta = per_feature(call, simplified ? call.inputs.size() : 3, in);
  if (!beta) return beta.error();
  auto bias = per_feature(call, simplified ? 3 : 4, in);
  if (!bias) return bias.error();
  if (!is_float(in.dtype()) || skip.size() == 0 || in.size() % skip.size() != 0 ||
      skip.rank() > in.rank() || skip.shape().back() != in.shape().back()) {
    return make_error("{}{} and its skip {} do not fit", name(in.dtype()), to_string(in.shape()),
                      to_string(skip.shape()));
  }
  const auto epsilon = static_cast<double>(call.attributes.number("epsilon", 1e-12F));
  const auto features = static_cast<std::size_t>(in.shape().back());
  const std::vector<double> other = skip.numbers();
  std::vector<double> sum = in.numbers();
  for (std::size_t i = 0; i < sum.size(); ++i) {
    // A skip of fewer rows serves every image of the batch.
    sum[i] += other[i % other.size()] + (bias->empty() ? 0 : (*bias)[i % features]);
  }
  std::vector<double> out(sum.size()), means, scales;
  for (std::size_t row = 0; row < sum.size(); row += features) {
    double mean = 0, variance = 0;
    for (std::size_t i = 0; i < features && !simplified; ++i)
      mean += sum[row + i];
    mean /= static_cast<double>(features);
    for (std::size_t i = 0; i < features; ++i) {
      variance += (sum[row + i] - mean) * (sum[row + i] - mean);
    }
    const double scale = 1 / std::sqrt(variance / static_cast<double>(features) + epsilon);
    for (std::size_t i = 0; i < features; ++i) {
      out[row + i] = (sum[row + i] - mean) * scale * (*gamma)[i] + (beta->empty() ? 0 : (*beta)[i]);
    }
    means.push_back(mean);
    scales.push_back(scale);
  }
  Shape rows = in.shape();
  rows.back() = 1;
  const DType statistics = in.dtype() == DType::F64 ? DType::F64 : DType::F32;
  Outputs outputs;
  outputs.push_back(from_numbers(in.dtype(), in.shape(), out));
  outputs.push_back(from_numbers(statistics, rows, means));
  outputs.push_back(from_numbers(statistics, rows, scales));
  outputs.push_back(from_numbers(in.dtype(), in.shape(), sum));
  return outputs;
}

static Result<Outputs> fused_mat_mul(const Call& call) {
  Tensor a = call.tensor(0), b = call.tensor(1);
  if (a.rank() < 2 || b.rank() < 2 || !is_float(a.dtype()) || a.dtype() != b.dtype()) {
    return make_error("{}{} and {}{} are not two matrices", name(a.dtype()), to_string(a.shape()),
                      name(b.dtype()), to_string(b.shape()));
  }
  // A stack that is stored with its first axis of rows (transBatch) in front, its last two axes the
  // other way round (trans), or both.
  const auto stacked = [](const Tensor& in, bool rows_first, bool turned) {
    Integers order(in.rank());
    std::iota(order.begin(), order.end(), 0);
    if (rows_first) std::rotate(order.begin(), order.begin() + 1, order.end() - 1);
    if (turned) std::swap(order[in.rank() - 1], order[in.rank() - 2]);
    return rows_first || turned ? transposed(in, order) : in;
  };
  const auto asked = [&](const char* attribute) {
    return call.attributes.integer(attribute, 0) != 0;
  };
  a = stacked(a, asked("transBatchA"), asked("transA"));
  b = stacked(b, asked("transBatchB"), asked("transB"));
  const std::int64_t m = a.dim(a.rank() - 2), k = a.dim(a.rank() - 1), n = b.dim(b.rank() - 1);
  const auto batch =
      broadcast(std::span(a.shape()).first(a.rank() - 2), std::span(b.shape()).first(b.rank() - 2));
  if (!batch || b.dim(b.rank() - 2) != k) {
    return make_error("{} and {} cannot be multiplied", to_string(a.shape()), to_string(b.shape()));
  }
  const auto offset = [&](const Tensor& in, std::int64_t index) {
    const Integers own = strides_of(in.shape()), all = strides_of(*batch);
    const std::size_t lead = batch->size() - (in.rank() - 2);
    std::int64_t at = 0;
    for (std::size_t i = 0; i + 2 < in.rank(); ++i) {
      if (in.dim(i) != 1) at += index / all[lead + i] % (*batch)[lead + i] * own[i];
    }
    return at;
  };
  Shape shape = *batch;
  shape.insert(shape.end(), {m, n});
  if (auto fine = check_shape(shape); !fine) return fine.error();
  const auto alpha = static_cast<double>(call.attributes.number("alpha", 1));
  const std::vector<double> left = a.numbers(), right = b.numbers();
  std::vector<double> out(static_cast<std::size_t>(element_count(shape)), 0.0);
  for (std::int64_t i = 0; i < element_count(*batch); ++i) {
    const double* x = left.data() + offset(a, i);
    const double* y = right.data() + offset(b, i);
    for (std::int64_t r = 0; r < m; ++r) {
      double* to = out.data() + (i * m + r) * n;
      for (std::int64_t j = 0; j < k; ++j) {
        for (std::int64_t c = 0; c < n; ++c)
          to[c] += alpha * x[r * k + j] * y[j * n + c];
      }
    }
  }
  return one(from_numbers(a.dtype(), std::move(shape), out));
}

std::span<const KernelEntry> contrib_kernels() {
  static const KernelEntry entries[] = {
      {microsoft, "BiasGelu", any_gelu, 2},
      {microsoft, "FastGelu", any_gelu},
      {microsoft, "FusedMatMul", fused_mat_mul, 2},
      {microsoft, "Gelu", any_gelu},
      {microsoft, "QuickGelu", any_gelu},
      {microsoft, "SkipLayerNormalization", skip_layer_normalization, 3},
      {microsoft, "SkipSimplifiedLayerNormalization", skip_layer_normalization, 3},
  };
  return entries;
}

}  // namespace rulec::generic
