// SPDX-License-Identifier: Apache-2.0
// Poolings: a number of each window, or of all spatial elements, of each channel.
#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/convert.h"
#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"
#include "runtime/generic/windows.h"

namespace rulec::generic {

using Dims = std::span<const std::int64_t>;

static Result<Windows> plan_pooling(const Call& call) {
  const Tensor& x = call.tensor(0);
  if (x.rank() < 3) {
    return make_error("operand 0 of shape {} has no spatial axes", to_string(x.shape()));
  }
  return plan_windows(call, Dims(x.shape()).subspan(2), {});
}

static Shape pooled_shape(const Tensor& x, const Windows& windows) {
  Shape shape = {x.dim(0), x.dim(1)};
  shape.insert(shape.end(), windows.out.begin(), windows.out.end());
  return shape;
}

// Calls f(plane, position, offsets) for every window of every channel's plane.
template <typename F>
static void on_windows(const Tensor& x, const Windows& windows, F f) {
  std::vector<std::int64_t> offsets;
  const std::int64_t count = element_count(windows.out);
  for (std::int64_t p = 0; p < count; ++p) {
    window_offsets(windows, p, offsets);
    for (std::int64_t plane = 0; plane < x.dim(0) * x.dim(1); ++plane)
      f(plane, p, offsets);
  }
}

// How many taps of a window lie within the padded operand: in ceil mode a last window may reach
// beyond even that.
static std::int64_t padded_taps(const Windows& w, std::int64_t position) {
  std::int64_t taps = 1;
  std::int64_t below = element_count(w.out);
  for (std::size_t d = 0; d < w.in.size(); ++d) {
    below /= w.out[d];
    const std::int64_t start = position / below % w.out[d] * w.strides[d] - w.begin[d];
    std::int64_t inside = 0;
    for (std::int64_t tap = 0; tap < w.kernel[d]; ++tap) {
      inside += start + tap * w.dilations[d] < w.in[d] + w.end[d] ? 1 : 0;
    }
    taps *= inside;
  }
  return taps;
}

static Result<Outputs> run_average_pool(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Result<Windows> windows = plan_pooling(call);
  if (!windows) return windows.error();
  const bool with_padding = call.attributes.integer("count_include_pad", 0) != 0;
  const Tensor x = as_doubles(call.tensor(0));
  const std::int64_t area = element_count(windows->in);
  const std::int64_t count = element_count(windows->out);
  Tensor y = Tensor::allocate(DType::F64, pooled_shape(x, *windows));
  on_windows(x, *windows, [&](std::int64_t plane, std::int64_t p, const auto& offsets) {
    double sum = 0;
    std::int64_t taps = 0;
    for (const std::int64_t at : offsets) {
      if (at < 0) continue;
      sum += x.data<double>()[plane * area + at];
      ++taps;
    }
    if (with_padding) taps = padded_taps(*windows, p);
    y.mutable_data<double>()[plane * count + p] = sum / static_cast<double>(taps);
  });
  return one(convert(y, call.tensor(0).dtype()));
}

static Result<Outputs> run_lp_pool(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Result<Windows> windows = plan_pooling(call);
  if (!windows) return windows.error();
  const auto p = static_cast<double>(call.attributes.integer("p", 2));
  const Tensor x = as_doubles(call.tensor(0));
  const std::int64_t area = element_count(windows->in);
  const std::int64_t count = element_count(windows->out);
  Tensor y = Tensor::allocate(DType::F64, pooled_shape(x, *windows));
  on_windows(x, *windows, [&](std::int64_t plane, std::int64_t at_out, const auto& offsets) {
    double sum = 0;
    for (const std::int64_t at : offsets) {
      if (at >= 0) sum += std::pow(std::fabs(x.data<double>()[plane * area + at]), p);
    }
    y.mutable_data<double>()[plane * count + at_out] = std::pow(sum, 1 / p);
  });
  return one(convert(y, call.tensor(0).dtype()));
}

// The flat position of a spatial element when the first axis runs fastest.
static std::int64_t column_major(std::int64_t offset, Dims shape) {
  std::int64_t result = 0;
  std::int64_t below = element_count(shape);
  std::int64_t stride = 1;
  for (const std::int64_t dim : shape) {
    below /= dim;
    result += offset / below % dim * stride;
    stride *= dim;
  }
  return result;
}

static Result<Outputs> run_max_pool(const Call& call) {
  const Result<Windows> windows = plan_pooling(call);
  if (!windows) return windows.error();
  const bool columns_first = call.attributes.integer("storage_order", 0) != 0;
  const Tensor& given = call.tensor(0);
  const std::int64_t area = element_count(windows->in);
  const std::int64_t count = element_count(windows->out);
  const Shape shape = pooled_shape(given, *windows);
  Tensor out;
  Tensor indices = Tensor::zeros(DType::I64, shape);
  const bool done = with_computed_type(given.dtype(), [&]<typename T>() {
    const Tensor x = as_computed(given);
    Tensor y = Tensor::allocate(x.dtype(), shape);
    on_windows(x, *windows, [&](std::int64_t plane, std::int64_t p, const auto& offsets) {
      const T* from = x.data<T>() + plane * area;
      std::int64_t best = -1;
      for (const std::int64_t at : offsets) {
        if (at < 0) continue;
        if (best < 0 || from[at] > from[best]) best = at;
        if constexpr (std::is_floating_point_v<T>) {
          if (std::isnan(from[at])) best = at;
        }
      }
      T value = std::numeric_limits<T>::lowest();  // of a window that lies in the padding
      if (best >= 0) value = from[best];
      y.mutable_data<T>()[plane * count + p] = value;
      const std::int64_t index =
          best >= 0 && columns_first ? column_major(best, windows->in) : best;
      indices.mutable_data<std::int64_t>()[plane * count + p] = plane * area + index;
    });
    out = convert(y, given.dtype());
  });
  if (!done)
    return make_error("operand 0 is of type {}, but must be a number", name(given.dtype()));
  Outputs outputs = one(std::move(out));
  if (call.output_count > 1) outputs.emplace_back(std::move(indices));
  return outputs;
}

// `f` gives a number of the elements of one channel.
template <typename F>
static Result<Outputs> pool_globally(const Call& call, F f) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Tensor x = as_doubles(call.tensor(0));
  if (x.rank() < 2) return make_error("operand 0 has the shape {}", to_string(x.shape()));
  Shape shape(x.rank(), 1);
  shape[0] = x.dim(0);
  shape[1] = x.dim(1);
  const std::int64_t area = element_count(Dims(x.shape()).subspan(2));
  Tensor y = Tensor::allocate(DType::F64, shape);
  for (std::int64_t i = 0; i < y.size(); ++i) {
    const auto plane =
        std::span<const double>(x.data<double>() + i * area, static_cast<std::size_t>(area));
    y.mutable_data<double>()[i] = f(plane);
  }
  return one(convert(y, call.tensor(0).dtype()));
}

static Result<Outputs> run_global_average_pool(const Call& call) {
  return pool_globally(call, [](std::span<const double> plane) {
    double sum = 0;
    for (const double v : plane)
      sum += v;
    return sum / static_cast<double>(plane.size());
  });
}

static Result<Outputs> run_global_max_pool(const Call& call) {
  return pool_globally(call, [](std::span<const double> plane) {
    double most = -std::numeric_limits<double>::infinity();
    for (const double v : plane) {
      if (std::isnan(v)) return v;
      most = std::max(most, v);
    }
    return most;
  });
}

static Result<Outputs> run_global_lp_pool(const Call& call) {
  const auto p = static_cast<double>(call.attributes.integer("p", 2));
  return pool_globally(call, [p](std::span<const double> plane) {
    double sum = 0;
    for (const double v : plane)
      sum += std::pow(std::fabs(v), p);
    return std::pow(sum, 1 / p);
  });
}

// Puts each element where MaxPool's index says, zeros elsewhere.
static Result<Outputs> run_max_unpool(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Tensor& x = call.tensor(0);
  const Tensor& indices = call.tensor(1);
  if (indices.shape() != x.shape() || indices.dtype() != DType::I64 || x.rank() < 3) {
    return make_error("operand 1 must be i64 of the shape {}", to_string(x.shape()));
  }
  const std::size_t rank = x.rank() - 2;
  const Shape kernel = call.attributes.integers("kernel_shape");
  Shape strides = call.attributes.integers("strides");
  Shape pads = call.attributes.integers("pads");
  if (strides.empty()) strides.assign(rank, 1);
  if (pads.empty()) pads.assign(rank * 2, 0);
  if (kernel.size() != rank || strides.size() != rank || pads.size() != rank * 2) {
    return make_error("kernel_shape, strides or pads do not fit {} spatial axes", rank);
  }
  Shape inferred = {x.dim(0), x.dim(1)};
  for (std::size_t i = 0; i < rank; ++i) {
    inferred.push_back((x.dim(i + 2) - 1) * strides[i] - pads[i] - pads[rank + i] + kernel[i]);
  }
  Shape shape = inferred;
  if (call.has(2)) shape = call.tensor(2).integers();
  const auto size = checked_element_count(shape);
  if (!size || shape.size() != x.rank()) {
    return make_error("the output shape {} does not fit", to_string(shape));
  }
  Tensor y = Tensor::zeros(DType::F64, shape);
  // The indices count elements of the inferred shape; a larger output shape leaves a border.
  const Strides from = strides_of(inferred);
  const Strides to = strides_of(shape);
  const auto inferred_size = checked_element_count(inferred).value_or(0);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    std::int64_t rest = indices.data<std::int64_t>()[i];
    if (rest < 0 || rest >= std::max(inferred_size, *size)) {
      return make_error("index {} at element {} is outside the output", rest, i);
    }
    std::int64_t at = rest;
    if (rest < inferred_size) {
      at = 0;
      for (std::size_t d = 0; d < from.size(); ++d) {
        at += rest / from[d] * to[d];
        rest %= from[d];
      }
    }
    if (at >= *size) return make_error("index {} at element {} is outside the output", at, i);
    y.mutable_data<double>()[at] = x.number(i);
  }
  return one(convert(y, x.dtype()));
}

// The greatest element in each cell of a grid laid over each region [batch, x1, y1, x2, y2].
static Result<Outputs> run_max_roi_pool(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Tensor x = as_doubles(call.tensor(0));
  const Tensor rois = as_doubles(call.tensor(1));
  const Shape grid = call.attributes.integers("pooled_shape");
  const auto scale = static_cast<double>(call.attributes.number("spatial_scale", 1));
  if (x.rank() != 4 || rois.rank() != 2 || rois.dim(1) != 5 || grid.size() != 2 || grid[0] < 1 ||
      grid[1] < 1) {
    return make_error("operands of shapes {} and {} with pooled_shape {} do not fit",
                      to_string(x.shape()), to_string(rois.shape()), to_string(grid));
  }
  const std::int64_t height = x.dim(2), width = x.dim(3);
  Tensor y = Tensor::zeros(DType::F64, {rois.dim(0), x.dim(1), grid[0], grid[1]});
  double* to = y.mutable_data<double>();
  const auto cell = [](std::int64_t i, std::int64_t cells, std::int64_t start, std::int64_t extent,
                       std::int64_t limit) {
    const double size = static_cast<double>(extent) / static_cast<double>(cells);
    const auto low = static_cast<std::int64_t>(std::floor(static_cast<double>(i) * size)) + start;
    const auto high =
        static_cast<std::int64_t>(std::ceil(static_cast<double>(i + 1) * size)) + start;
    return std::pair(std::clamp<std::int64_t>(low, 0, limit),
                     std::clamp<std::int64_t>(high, 0, limit));
  };
  for (std::int64_t r = 0; r < rois.dim(0); ++r) {
    const double* roi = rois.data<double>() + r * 5;
    const std::int64_t batch = truncate_to_integer(roi[0]);
    if (batch < 0 || batch >= x.dim(0)) return make_error("region {} is of no batch", r);
    std::int64_t edges[4];
    for (int i = 0; i < 4; ++i)
      edges[i] = truncate_to_integer(std::round(roi[i + 1] * scale));
    const std::int64_t roi_width = std::max<std::int64_t>(edges[2] - edges[0] + 1, 1);
    const std::int64_t roi_height = std::max<std::int64_t>(edges[3] - edges[1] + 1, 1);
    for (std::int64_t c = 0; c < x.dim(1); ++c) {
      const double* plane = x.data<double>() + (batch * x.dim(1) + c) * height * width;
      for (std::int64_t i = 0; i < grid[0] * grid[1]; ++i) {
        const auto [top, bottom] = cell(i / grid[1], grid[0], edges[1], roi_height, height);
        const auto [left, right] = cell(i % grid[1], grid[1], edges[0], roi_width, width);
        bool any = false;
        double most = 0;
        for (std::int64_t v = top; v < bottom; ++v) {
          for (std::int64_t u = left; u < right; ++u) {
            most = any ? std::max(most, plane[v * width + u]) : plane[v * width + u];
            any = true;
          }
        }
        to[(r * x.dim(1) + c) * grid[0] * grid[1] + i] = most;
      }
    }
  }
  return one(convert(y, call.tensor(0).dtype()));
}

std::span<const KernelEntry> pooling_kernels() {
  static constexpr KernelEntry entries[] = {
      {"", "AveragePool", run_average_pool},
      {"", "GlobalAveragePool", run_global_average_pool},
      {"", "GlobalLpPool", run_global_lp_pool},
      {"", "GlobalMaxPool", run_global_max_pool},
      {"", "LpPool", run_lp_pool},
      {"", "MaxPool", run_max_pool},
      {"", "MaxRoiPool", run_max_roi_pool, 2},
      {"", "MaxUnpool", run_max_unpool, 2},
  };
  return entries;
}

}  // namespace rulec::generic
