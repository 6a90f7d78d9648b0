// SPDX-License-Identifier: Apache-2.0
// DeformConv, whose taps are displaced by an operand, and Col2Im, which adds columns of taps back
// into an image.
#include <cmath>

#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"
#include "runtime/generic/windows.h"

namespace rulec::generic {

using Dims = std::span<const std::int64_t>;

// The value of a plane between its elements, linear along every axis, zero outside.
static double sample(const double* plane, Dims shape, std::span<const double> position) {
  const std::size_t rank = shape.size();
  double total = 0;
  for (std::size_t corner = 0; corner < (std::size_t{1} << rank); ++corner) {
    double weight = 1;
    std::int64_t at = 0;
    bool inside = true;
    for (std::size_t d = 0; d < rank; ++d) {
      const double low = std::floor(position[d]);
      const double part = position[d] - low;
      const bool upper = ((corner >> d) & 1) != 0;
      const double coordinate = upper ? low + 1 : low;
      weight *= upper ? part : 1 - part;
      inside = inside && coordinate >= 0 && coordinate < static_cast<double>(shape[d]);
      if (inside) at = at * shape[d] + static_cast<std::int64_t>(coordinate);
    }
    if (inside && weight != 0) total += weight * plane[at];
  }
  return total;
}

static Result<Outputs> run_deform_conv(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Tensor x = as_doubles(call.tensor(0));
  const Tensor w = as_doubles(call.tensor(1));
  const Tensor offset = as_doubles(call.tensor(2));
  const Tensor bias = call.has(3) ? as_doubles(call.tensor(3)) : Tensor();
  const Tensor mask = call.has(4) ? as_doubles(call.tensor(4)) : Tensor();
  const std::int64_t groups = call.attributes.integer("group", 1);
  const std::int64_t offset_groups = call.attributes.integer("offset_group", 1);
  if (x.rank() < 3 || w.rank() != x.rank() || groups < 1 || offset_groups < 1 ||
      x.dim(1) != w.dim(1) * groups || w.dim(0) % groups != 0 || x.dim(1) % offset_groups != 0) {
    return make_error("operands of shapes {} and {} in {} groups do not fit", to_string(x.shape()),
                      to_string(w.shape()), groups);
  }
  const Result<Windows> windows =
      plan_windows(call, Dims(x.shape()).subspan(2), Dims(w.shape()).subspan(2));
  if (!windows) return windows.error();
  const std::size_t rank = windows->in.size();
  const auto axes = static_cast<std::int64_t>(rank);
  const std::int64_t taps = windows->taps();
  const std::int64_t count = element_count(windows->out);
  const std::int64_t area = element_count(windows->in);
  const auto expected = [&](std::int64_t channels) {
    Shape shape = {x.dim(0), channels};
    shape.insert(shape.end(), windows->out.begin(), windows->out.end());
    return shape;
  };
  if (offset.shape() != expected(offset_groups * taps * axes) ||
      (mask.defined() && mask.shape() != expected(offset_groups * taps)) ||
      (bias.defined() && bias.size() != w.dim(0))) {
    return make_error("the offset, bias or mask do not fit an output of shape {}",
                      to_string(expected(w.dim(0))));
  }
  const Strides out_strides = strides_of(windows->out);
  const Strides tap_strides = strides_of(windows->kernel);
  const std::int64_t channels = w.dim(1), outputs = w.dim(0), rows = outputs / groups;
  Tensor y = Tensor::allocate(DType::F64, expected(outputs));
  std::vector<double> position(rank);
  std::vector<double> values(static_cast<std::size_t>(x.dim(1) * taps));
  for (std::int64_t n = 0; n < x.dim(0); ++n) {
    for (std::int64_t p = 0; p < count; ++p) {
      for (std::int64_t i = 0; i < x.dim(1) * taps; ++i) {
        const std::int64_t c = i / taps, tap = i % taps;
        const std::int64_t g = n * offset_groups + c / (x.dim(1) / offset_groups);
        for (std::size_t d = 0; d < rank; ++d) {
          const std::int64_t start =
              p / out_strides[d] % windows->out[d] * windows->strides[d] - windows->begin[d];
          const std::int64_t step =
              tap / tap_strides[d] % windows->kernel[d] * windows->dilations[d];
          const std::int64_t at = ((g * taps + tap) * axes + static_cast<std::int64_t>(d)) * count;
          position[d] = static_cast<double>(start + step) + offset.data<double>()[at + p];
        }
        const double weight =
            mask.defined() ? mask.data<double>()[(g * taps + tap) * count + p] : 1;
        const double* plane = x.data<double>() + (n * x.dim(1) + c) * area;
        values[static_cast<std::size_t>(i)] = weight * sample(plane, windows->in, position);
      }
      for (std::int64_t m = 0; m < outputs; ++m) {
        double sum = bias.defined() ? bias.data<double>()[m] : 0;
        const double* from = values.data() + m / rows * channels * taps;
        for (std::int64_t i = 0; i < channels * taps; ++i) {
          sum += w.data<double>()[m * channels * taps + i] * from[i];
        }
        y.mutable_data<double>()[(n * outputs + m) * count + p] = sum;
      }
    }
  }
  return one(convert(y, call.tensor(0).dtype()));
}

static Result<Outputs> run_col2im(const Call& call) {
  const Tensor& given = call.tensor(0);
  const auto image = required_integers(call, 1, "image_shape");
  if (!image) return image.error();
  const auto block = required_integers(call, 2, "block_shape");
  if (!block) return block.error();
  const Result<Windows> windows = plan_windows(call, *image, *block);
  if (!windows) return windows.error();
  const std::int64_t taps = windows->taps();
  const std::int64_t count = element_count(windows->out);
  if (given.rank() != 3 || given.dim(1) % taps != 0 || given.dim(2) != count) {
    return make_error("operand 0 of shape {} does not hold {} columns of {} taps",
                      to_string(given.shape()), count, taps);
  }
  const Tensor x = as_doubles(given);
  const std::int64_t area = element_count(windows->in);
  Shape shape = {x.dim(0), x.dim(1) / taps};
  shape.insert(shape.end(), windows->in.begin(), windows->in.end());
  Tensor y = Tensor::zeros(DType::F64, shape);
  std::vector<std::int64_t> offsets;
  for (std::int64_t p = 0; p < count; ++p) {
    window_offsets(*windows, p, offsets);
    for (std::int64_t i = 0; i < x.dim(0) * x.dim(1); ++i) {
      const std::int64_t at = offsets[static_cast<std::size_t>(i % taps)];
      if (at < 0) continue;
      y.mutable_data<double>()[i / taps * area + at] += x.data<double>()[i * count + p];
    }
  }
  return one(convert(y, given.dtype()));
}

std::span<const KernelEntry> deformation_kernels() {
  static constexpr KernelEntry entries[] = {
      {"", "Col2Im", run_col2im, 3},
      {"", "DeformConv", run_deform_conv, 3},
  };
  return entries;
}

}  // namespace rulec::generic
