// SPDX-License-Identifier: Apache-2.0
// Normalizations: elements less their mean over the root of their variance, in various groups.
#include <algorithm>
#include <cmath>

#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"

namespace rulec::generic {
namespace {

struct Moments {
  double mean = 0;
  double variance = 0;
};

}  // namespace

using Dims = std::span<const std::int64_t>;

static Moments moments_of(const double* from, std::int64_t count) {
  Moments m;
  const auto n = static_cast<double>(count);
  for (std::int64_t i = 0; i < count; ++i)
    m.mean += from[i];
  m.mean /= n;
  for (std::int64_t i = 0; i < count; ++i) {
    m.variance += (from[i] - m.mean) * (from[i] - m.mean);
  }
  m.variance /= n;
  return m;
}

static double epsilon_of(const Call& call) {
  return static_cast<double>(call.attributes.number("epsilon", 1e-5F));
}

static Status check_sizes(const Call& call, std::size_t first, std::size_t last,
                          std::int64_t size) {
  for (std::size_t i = first; i <= last; ++i) {
    if (call.tensor(i).size() != size) {
      return make_error("operand {} has {} elements, but {} are needed", i, call.tensor(i).size(),
                        size);
    }
  }
  return Done{};
}

static Result<Outputs> run_batch_normalization(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  // Before opset 14 a node trains when it names the statistics it updates.
  const bool names_statistics = call.output_count > 1 && (call.outputs_used & ~1ULL) != 0;
  if (call.attributes.integer("training_mode", 0) != 0 || (call.opset < 14 && names_statistics)) {
    return make_error("training_mode=1 is not supported: set it to 0 to run the model");
  }
  const Tensor x = as_doubles(call.tensor(0));
  if (x.rank() < 1) return make_error("operand 0 is a scalar");
  const bool spatial = call.opset >= 9 || call.attributes.integer("spatial", 1) != 0;
  const std::int64_t channels = x.rank() > 1 ? x.dim(1) : 1;
  const std::int64_t each = x.rank() > 1 ? element_count(Dims(x.shape()).subspan(1)) : 1;
  const std::int64_t area = spatial && channels > 0 ? each / channels : 1;
  const std::int64_t statistics = spatial ? channels : each;
  const Status fits = check_sizes(call, 1, 4, statistics);
  if (!fits) return fits.error();
  const Tensor scale = as_doubles(call.tensor(1));
  const Tensor bias = as_doubles(call.tensor(2));
  const Tensor mean = as_doubles(call.tensor(3));
  const Tensor variance = as_doubles(call.tensor(4));
  const double epsilon = epsilon_of(call);
  Tensor y = Tensor::allocate(DType::F64, x.shape());
  for (std::int64_t line = 0; area > 0 && line < x.size() / area; ++line) {
    const std::int64_t c = line % statistics;
    const double factor = scale.data<double>()[c] / std::sqrt(variance.data<double>()[c] + epsilon);
    for (std::int64_t i = line * area; i < (line + 1) * area; ++i) {
      y.mutable_data<double>()[i] =
          (x.data<double>()[i] - mean.data<double>()[c]) * factor + bias.data<double>()[c];
    }
  }
  return one(convert(y, call.tensor(0).dtype()));
}

// Groups of channels of [N, C, spatial…]; `per_channel`: scale and bias have C elements, else one
// for each group.
static Result<Outputs> normalize_groups(const Call& call, std::int64_t groups, bool per_channel) {
  const Tensor x = as_doubles(call.tensor(0));
  const std::int64_t channels = x.dim(1);
  if (groups < 1 || channels % groups != 0) {
    return make_error("{} channels do not divide into {} groups", channels, groups);
  }
  const Status fits = check_sizes(call, 1, 2, per_channel ? channels : groups);
  if (!fits) return fits.error();
  const Tensor scale = as_doubles(call.tensor(1));
  const Tensor bias = as_doubles(call.tensor(2));
  const double epsilon = epsilon_of(call);
  const std::int64_t area = element_count(Dims(x.shape()).subspan(2));
  const std::int64_t count = channels / groups * area;
  Tensor y = Tensor::allocate(DType::F64, x.shape());
  for (std::int64_t g = 0; g < x.dim(0) * groups; ++g) {
    const double* from = x.data<double>() + g * count;
    const Moments m = moments_of(from, count);
    const double factor = 1 / std::sqrt(m.variance + epsilon);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t group = g % groups;
      const std::int64_t c = per_channel ? group * (channels / groups) + i / area : group;
      y.mutable_data<double>()[g * count + i] =
          (from[i] - m.mean) * factor * scale.data<double>()[c] + bias.data<double>()[c];
    }
  }
  return one(convert(y, call.tensor(0).dtype()));
}

static Status check_channels(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok;
  if (call.tensor(0).rank() >= 2) return Done{};
  return make_error("operand 0 of shape {} has no channels", to_string(call.tensor(0).shape()));
}

static Result<Outputs> run_instance_normalization(const Call& call) {
  const Status ok = check_channels(call);
  if (!ok) return ok.error();
  return normalize_groups(call, call.tensor(0).dim(1), true);
}

static Result<Outputs> run_group_normalization(const Call& call) {
  const Status ok = check_channels(call);
  if (!ok) return ok.error();
  return normalize_groups(call, call.attributes.integer("num_groups", 0), call.opset >= 21);
}

// y * scale (+ bias), both broadcast to y's shape.
static Result<Tensor> scaled(const Tensor& y, const Tensor& scale, const Tensor* bias) {
  for (const Tensor* operand : {&scale, bias}) {
    if (!operand) continue;
    const auto shape = broadcast(operand->shape(), y.shape());
    if (!shape || *shape != y.shape()) {
      return make_error("an operand of shape {} does not broadcast to {}",
                        to_string(operand->shape()), to_string(y.shape()));
    }
  }
  const auto times = [](double a, double b) { return a * b; };
  const auto plus = [](double a, double b) { return a + b; };
  Tensor out =
      zip_elements<double, double, double>(y, as_doubles(scale), y.shape(), DType::F64, times);
  if (!bias) return out;
  return zip_elements<double, double, double>(out, as_doubles(*bias), y.shape(), DType::F64, plus);
}

static Result<Outputs> run_layer_normalization(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Tensor x = as_doubles(call.tensor(0));
  const auto axis = axis_attribute(call, -1, x.rank());
  if (!axis) return axis.error();
  const std::int64_t count = element_count(Dims(x.shape()).subspan(*axis));
  Shape reduced = x.shape();
  std::fill(reduced.begin() + static_cast<std::ptrdiff_t>(*axis), reduced.end(), 1);
  const double epsilon = epsilon_of(call);
  Tensor y = Tensor::allocate(DType::F64, x.shape());
  Tensor means = Tensor::allocate(DType::F64, reduced);
  Tensor inverses = Tensor::allocate(DType::F64, reduced);
  for (std::int64_t line = 0; line < means.size(); ++line) {
    const double* from = x.data<double>() + line * count;
    const Moments m = moments_of(from, count);
    const double factor = 1 / std::sqrt(m.variance + epsilon);
    for (std::int64_t i = 0; i < count; ++i) {
      y.mutable_data<double>()[line * count + i] = (from[i] - m.mean) * factor;
    }
    means.mutable_data<double>()[line] = m.mean;
    inverses.mutable_data<double>()[line] = factor;
  }
  const Result<Tensor> out = scaled(y, call.tensor(1), call.has(2) ? &call.tensor(2) : nullptr);
  if (!out) return out.error();
  const bool bf16 =
      call.attributes.integer("stash_type", 1) == static_cast<std::int64_t>(DType::BF16);
  const DType stash = bf16 ? DType::BF16 : DType::F32;
  Outputs outputs = one(convert(*out, call.tensor(0).dtype()));
  if (call.output_count > 1) outputs.emplace_back(convert(means, stash));
  if (call.output_count > 2) outputs.emplace_back(convert(inverses, stash));
  return outputs;
}

static Result<Outputs> run_rms_normalization(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Tensor x = as_doubles(call.tensor(0));
  const auto axis = axis_attribute(call, -1, x.rank());
  if (!axis) return axis.error();
  const std::int64_t count = element_count(Dims(x.shape()).subspan(*axis));
  const double epsilon = epsilon_of(call);
  Tensor y = Tensor::allocate(DType::F64, x.shape());
  for (std::int64_t line = 0; count > 0 && line < x.size() / count; ++line) {
    const double* from = x.data<double>() + line * count;
    double squares = 0;
    for (std::int64_t i = 0; i < count; ++i)
      squares += from[i] * from[i];
    const double root = std::sqrt(squares / static_cast<double>(count) + epsilon);
    for (std::int64_t i = 0; i < count; ++i) {
      y.mutable_data<double>()[line * count + i] = from[i] / root;
    }
  }
  const Result<Tensor> out = scaled(y, call.tensor(1), nullptr);
  if (!out) return out.error();
  return one(convert(*out, call.tensor(0).dtype()));
}

static Result<Outputs> run_lp_normalization(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Tensor x = as_doubles(call.tensor(0));
  const auto axis = axis_attribute(call, -1, x.rank());
  if (!axis) return axis.error();
  const std::int64_t p = call.attributes.integer("p", 2);
  if (p != 1 && p != 2) return make_error("the attribute p is {}, but must be 1 or 2", p);
  const std::int64_t count = x.dim(*axis);
  const std::int64_t inner = element_count(Dims(x.shape()).subspan(*axis + 1));
  Tensor y = Tensor::allocate(DType::F64, x.shape());
  for (std::int64_t line = 0; count > 0 && line < x.size() / count; ++line) {
    const std::int64_t start = line / inner * inner * count + line % inner;
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const double v = x.data<double>()[start + i * inner];
      sum += p == 1 ? std::fabs(v) : v * v;
    }
    const double norm = p == 1 ? sum : std::sqrt(sum);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t at = start + i * inner;
      y.mutable_data<double>()[at] = norm == 0 ? 0 : x.data<double>()[at] / norm;
    }
  }
  return one(convert(y, call.tensor(0).dtype()));
}

static Result<Outputs> run_lrn(const Call& call) {
  const Status ok = check_channels(call);
  if (!ok) return ok.error();
  const Tensor x = as_doubles(call.tensor(0));
  const std::int64_t size = call.attributes.integer("size", 0);
  if (size < 1) return make_error("the attribute size is {}, but must be positive", size);
  const auto alpha = static_cast<double>(call.attributes.number("alpha", 1e-4F));
  const auto beta = static_cast<double>(call.attributes.number("beta", 0.75F));
  const auto bias = static_cast<double>(call.attributes.number("bias", 1));
  const std::int64_t channels = x.dim(1);
  const std::int64_t area = element_count(Dims(x.shape()).subspan(2));
  Tensor y = Tensor::allocate(DType::F64, x.shape());
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const std::int64_t c = i / area % channels;
    const std::int64_t low = std::max<std::int64_t>(0, c - (size - 1) / 2);
    const std::int64_t high = std::min(channels - 1, c + size / 2);
    double squares = 0;
    for (std::int64_t k = low; k <= high; ++k) {
      const double v = x.data<double>()[i + (k - c) * area];
      squares += v * v;
    }
    const double base = bias + alpha / static_cast<double>(size) * squares;
    y.mutable_data<double>()[i] = x.data<double>()[i] / std::pow(base, beta);
  }
  return one(convert(y, call.tensor(0).dtype()));
}

// Over any axes, by default all but the channels; the deviation gets 1e-9 added, as the standard's
// function says.
static Result<Outputs> run_mean_variance_normalization(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Tensor x = as_doubles(call.tensor(0));
  Integers axes = call.attributes.integers("axes");
  if (axes.empty()) axes = {0, 2, 3};
  const auto normalized = normalize_axes(axes, x.rank());
  if (!normalized) return normalized.error();
  Shape kept = x.shape();
  for (const std::size_t axis : *normalized)
    kept[axis] = 1;
  const Strides strides = broadcast_strides(kept, x.shape());
  Tensor means = Tensor::zeros(DType::F64, kept);
  Tensor variances = Tensor::zeros(DType::F64, kept);
  const double count = static_cast<double>(x.size()) / static_cast<double>(means.size());
  Tensor y = Tensor::allocate(DType::F64, x.shape());
  const double* from = x.data<double>();
  const auto each = [&](auto f) {
    walk<1>(x.shape(), {strides},
            [&](std::int64_t first, std::int64_t length, const auto& at, const auto& step) {
              for (std::int64_t i = 0; i < length; ++i)
                f(first + i, at[0] + i * step[0]);
            });
  };
  double* mean = means.mutable_data<double>();
  double* variance = variances.mutable_data<double>();
  each([&](std::int64_t i, std::int64_t k) { mean[k] += from[i] / count; });
  each([&](std::int64_t i, std::int64_t k) {
    variance[k] += (from[i] - mean[k]) * (from[i] - mean[k]) / count;
  });
  each([&](std::int64_t i, std::int64_t k) {
    y.mutable_data<double>()[i] = (from[i] - mean[k]) / (std::sqrt(variance[k]) + 1e-9);
  });
  return one(convert(y, call.tensor(0).dtype()));
}

std::span<const KernelEntry> normalization_kernels() {
  static constexpr KernelEntry entries[] = {
      {"", "BatchNormalization", run_batch_normalization, 5},
      {"", "GroupNormalization", run_group_normalization, 3},
      {"", "InstanceNormalization", run_instance_normalization, 3},
      {"", "LRN", run_lrn, 1},
      {"", "LayerNormalization", run_layer_normalization, 2},
      {"", "LpNormalization", run_lp_normalization, 1},
      {"", "MeanVarianceNormalization", run_mean_variance_normalization, 1},
      {"", "RMSNormalization", run_rms_normalization, 2},
  };
  return entries;
}

}  // namespace rulec::generic
