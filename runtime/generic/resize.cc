// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"
#include "runtime/resampling.h"

namespace rulec::generic {
namespace {

// How one axis is resized.
struct AxisPlan : Resampling {
  std::size_t axis = 0;
};

struct Method {
  std::string_view mode = "nearest";
  std::string_view transformation = "asymmetric";
  std::string_view nearest = "floor";
  double cubic_a = -0.75;
  bool exclude_outside = false;
  bool antialias = false;
};

// One output position as a weighted sum of input positions.
struct Tap {
  std::int64_t index;
  double weight;
};

}  // namespace

static double cubic_weight(double distance, double a) {
  const double d = std::abs(distance);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  return 0;
}

static std::vector<Tap> taps_of(const AxisPlan& plan, const Method& method, double x) {
  const bool cubic = method.mode == "cubic";
  const double shrink = method.antialias ? std::min(plan.scale, 1.0) : 1.0;
  double base = std::floor(x);
  double ratio = x - base;
  if (ratio == 0) {
    base -= 1;
    ratio = 1;
  }
  const auto start = static_cast<std::int64_t>(std::floor((cubic ? -2 : -1) / shrink)) + 1;
  std::vector<Tap> taps;
  double sum = 0;
  for (std::int64_t i = start; i < 2 - start; ++i) {
    const double distance = (static_cast<double>(i) - ratio) * shrink;
    double weight =
        cubic ? cubic_weight(distance, method.cubic_a) : std::max(0.0, 1 - std::abs(distance));
    const std::int64_t index = static_cast<std::int64_t>(base) + i;
    if (method.exclude_outside && (index < 0 || index >= plan.in)) weight = 0;
    sum += weight;
    if (weight != 0) taps.push_back({std::clamp<std::int64_t>(index, 0, plan.in - 1), weight});
  }
  if (method.antialias || method.exclude_outside) {
    for (Tap& tap : taps)
      tap.weight /= sum;
  }
  return taps;
}

// `data` of `shape`, resized along one axis; `shape` becomes the new one.
static std::vector<double> interpolated(const std::vector<double>& data, Shape& shape,
                                        const AxisPlan& plan, const Method& method) {
  const std::int64_t outer = element_count(std::span(shape).first(plan.axis));
  const std::int64_t inner = element_count(std::span(shape).subspan(plan.axis + 1));
  std::vector<double> out(static_cast<std::size_t>(outer * plan.out * inner), 0.0);
  for (std::int64_t at = 0; at < plan.out; ++at) {
    const std::vector<Tap> taps = taps_of(plan, method, source_of(plan, method.transformation, at));
    for (std::int64_t o = 0; o < outer; ++o) {
      double* to = out.data() + (o * plan.out + at) * inner;
      for (const Tap& tap : taps) {
        const double* from = data.data() + (o * plan.in + tap.index) * inner;
        for (std::int64_t i = 0; i < inner; ++i)
          to[i] += tap.weight * from[i];
      }
    }
  }
  shape[plan.axis] = plan.out;
  return out;
}

static Tensor rounded(DType dtype, Shape shape, std::vector<double> values) {
  if (is_integer(dtype)) {
    const int bits = bit_width(dtype) - (is_signed_integer(dtype) ? 1 : 0);
    const double high = std::exp2(bits) - 1;
    const double low = is_signed_integer(dtype) ? -std::exp2(bits) : 0;
    for (double& value : values)
      value = std::clamp(std::nearbyint(value), low, high);
  }
  return from_numbers(dtype, std::move(shape), values);
}

// Rows of the output that lie outside the input become `value` (tf_crop_and_resize).
static Tensor extrapolated(const Tensor& in, std::span<const AxisPlan> plans, double value) {
  Tensor out = cloned(in);
  const Tensor scalar = from_numbers(in.dtype(), {}, std::vector{value});
  const Integers strides = strides_of(in.shape());
  for (const AxisPlan& plan : plans) {
    Shape slab = in.shape();
    slab[plan.axis] = 1;
    for (std::int64_t at = 0; at < plan.out; ++at) {
      const double x = source_of(plan, "tf_crop_and_resize", at);
      if (x >= 0 && x <= static_cast<double>(plan.in - 1)) continue;
      copy_strided(scalar, 0, Integers(slab.size(), 0), out, at * strides[plan.axis], strides,
                   slab);
    }
  }
  return out;
}

static Result<Outputs> resized(const Tensor& in, std::vector<AxisPlan> plans, const Method& method,
                               double extrapolation) {
  Shape full = in.shape();
  for (const AxisPlan& plan : plans) {
    full[plan.axis] = plan.out;
    if (plan.out < 0 || (plan.in == 0 && plan.out > 0) || !(plan.scale > 0 || plan.out == 0)) {
      return make_error("axis {} of {} cannot become {} long", plan.axis, to_string(in.shape()),
                        plan.out);
    }
  }
  if (auto fine = check_shape(full); !fine) return fine.error();
  if (element_count(full) == 0) return one(Tensor::allocate(in.dtype(), full));
  const bool crops = method.transformation == "tf_crop_and_resize";
  // An axis that keeps its length and is sampled at its own positions needs no work.
  std::vector<AxisPlan> active;
  for (const AxisPlan& plan : plans) {
    bool moves = plan.in != plan.out;
    for (std::int64_t at = 0; at < plan.out && !moves; ++at) {
      const double x = source_of(plan, method.transformation, at);
      moves = method.mode == "nearest"
                  ? std::clamp<std::int64_t>(nearest_of(x, method.nearest), 0, plan.in - 1) != at
                  : x != static_cast<double>(at);
    }
    if (moves) active.push_back(plan);
  }
  Tensor out = in;
  if (method.mode == "nearest") {
    for (const AxisPlan& plan : active) {
      Integers indices;
      for (std::int64_t at = 0; at < plan.out; ++at) {
        const double x = source_of(plan, method.transformation, at);
        indices.push_back(std::clamp<std::int64_t>(nearest_of(x, method.nearest), 0, plan.in - 1));
      }
      out = take(out, plan.axis, indices);
    }
  } else if (!active.empty()) {
    if (!is_float(in.dtype()) && !is_integer(in.dtype())) {
      return make_error("mode \"{}\" of {}", method.mode, name(in.dtype()));
    }
    std::vector<double> data = in.numbers();
    Shape shape = in.shape();
    // Shrinking axes first keeps the intermediate results small.
    std::stable_sort(active.begin(), active.end(), [](const AxisPlan& a, const AxisPlan& b) {
      return a.out * b.in < b.out * a.in;
    });
    for (const AxisPlan& plan : active)
      data = interpolated(data, shape, plan, method);
    out = rounded(in.dtype(), std::move(shape), std::move(data));
  }
  if (crops && in.dtype() != DType::String) out = extrapolated(out, plans, extrapolation);
  return one(std::move(out));
}

static Status known_method(const Method& method) {
  if (method.mode != "nearest" && method.mode != "linear" && method.mode != "cubic") {
    return make_error("mode \"{}\" is not known", method.mode);
  }
  if (!is_nearest_mode(method.nearest)) {
    return make_error("nearest_mode \"{}\" is not known", method.nearest);
  }
  if (!is_transformation(method.transformation)) {
    return make_error("coordinate_transformation_mode \"{}\" is not known", method.transformation);
  }
  return Done{};
}

static std::int64_t scaled_length(std::int64_t length, double scale) {
  return static_cast<std::int64_t>(
      std::floor(static_cast<float>(length) * static_cast<float>(scale)));
}

// Plans from one scale for each of `axes`.
static Result<std::vector<AxisPlan>> plans_from_scales(const Tensor& in,
                                                       std::span<const std::size_t> axes,
                                                       std::span<const double> scales) {
  if (scales.size() != axes.size()) {
    return make_error("{} scales for {} axes", scales.size(), axes.size());
  }
  std::vector<AxisPlan> plans;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (!(scales[i] > 0) || !(scales[i] < 1e9)) return make_error("a scale is {}", scales[i]);
    const std::int64_t length = in.dim(axes[i]);
    plans.push_back({{length, scaled_length(length, scales[i]), scales[i]}, axes[i]});
  }
  return plans;
}

static Result<std::vector<AxisPlan>> plans_from_sizes(const Tensor& in,
                                                      std::span<const std::size_t> axes,
                                                      std::span<const std::int64_t> sizes,
                                                      std::string_view policy) {
  if (sizes.size() != axes.size()) {
    return make_error("{} sizes for {} axes", sizes.size(), axes.size());
  }
  std::vector<AxisPlan> plans;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::int64_t length = in.dim(axes[i]);
    const double scale =
        length == 0 ? 1 : static_cast<double>(sizes[i]) / static_cast<double>(length);
    plans.push_back({{length, sizes[i], scale}, axes[i]});
  }
  if (policy == "stretch" || plans.empty()) return plans;
  if (policy != "not_larger" && policy != "not_smaller") {
    return make_error("keep_aspect_ratio_policy \"{}\" is not known", policy);
  }
  double scale = plans[0].scale;
  for (const AxisPlan& plan : plans) {
    scale = policy == "not_larger" ? std::min(scale, plan.scale) : std::max(scale, plan.scale);
  }
  for (AxisPlan& plan : plans) {
    plan.scale = scale;
    plan.out = static_cast<std::int64_t>(scale * static_cast<double>(plan.in) + 0.5);
  }
  return plans;
}

// Upsample, and Resize before opset 11: scales only, asymmetric, the floor of the position.
static Result<Outputs> upsample(const Call& call) {
  const Tensor& in = call.tensor(0);
  std::vector<double> scales;
  if (call.has(1)) {
    scales = call.tensor(1).numbers();
  } else if (const auto* given = call.attributes.get<std::vector<float>>("scales")) {
    scales.assign(given->begin(), given->end());
  } else {
    return make_error("neither operand 1 nor attribute scales is given");
  }
  std::vector<std::size_t> axes(in.rank());
  std::iota(axes.begin(), axes.end(), std::size_t{0});
  auto plans = plans_from_scales(in, axes, scales);
  if (!plans) return plans.error();
  Method method;
  method.mode = call.attributes.text("mode", "nearest");
  if (method.mode == "bilinear") method.mode = "linear";
  if (auto fine = known_method(method); !fine) return fine.error();
  return resized(in, *std::move(plans), method, 0);
}

static Result<Outputs> resize(const Call& call) {
  if (call.opset < 11) return upsample(call);
  const Tensor& in = call.tensor(0);
  const Attributes& attributes = call.attributes;
  Method method;
  method.mode = attributes.text("mode", "nearest");
  method.transformation = attributes.text("coordinate_transformation_mode", "half_pixel");
  method.nearest = attributes.text("nearest_mode", "round_prefer_floor");
  method.cubic_a = static_cast<double>(attributes.number("cubic_coeff_a", -0.75F));
  method.exclude_outside = attributes.integer("exclude_outside", 0) != 0;
  method.antialias = attributes.integer("antialias", 0) != 0 && method.mode != "nearest";
  if (auto fine = known_method(method); !fine) return fine.error();

  Integers given(in.rank());
  std::iota(given.begin(), given.end(), 0);
  if (attributes.has("axes")) given = attributes.integers("axes");
  auto axes = normalize_axes(given, in.rank());
  if (!axes) return axes.error();

  // Absent operands may be given as empty tensors.
  const bool by_scales = call.has(2) && call.tensor(2).size() > 0;
  const bool by_sizes = call.has(3) && (call.tensor(3).size() > 0 || axes->empty());
  if (by_scales == by_sizes) return make_error("it needs either scales or sizes");
  auto sizes = optional_integers(call, 3, "sizes");
  if (!sizes) return sizes.error();
  auto plans = by_scales ? plans_from_scales(in, *axes, call.tensor(2).numbers())
                         : plans_from_sizes(in, *axes, **sizes,
                                            attributes.text("keep_aspect_ratio_policy", "stretch"));
  if (!plans) return plans.error();
  if (method.transformation == "tf_crop_and_resize") {
    if (!call.has(1) || call.tensor(1).size() != static_cast<std::int64_t>(2 * axes->size())) {
      return make_error("tf_crop_and_resize needs a roi of {} numbers", 2 * axes->size());
    }
    for (std::size_t i = 0; i < plans->size(); ++i) {
      (*plans)[i].roi_start = call.tensor(1).number(static_cast<std::int64_t>(i));
      (*plans)[i].roi_end = call.tensor(1).number(static_cast<std::int64_t>(i + plans->size()));
    }
  }
  return resized(in, *std::move(plans), method,
                 static_cast<double>(attributes.number("extrapolation_value", 0)));
}

std::span<const KernelEntry> resize_kernels() {
  static const KernelEntry entries[] = {
      {"", "Resize", resize},
      {"", "Upsample", upsample},
  };
  return entries;
}

}  // namespace rulec::generic
