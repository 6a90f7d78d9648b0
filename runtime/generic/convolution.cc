// SPDX-License-Identifier: Apache-2.0
#include "runtime/generic/convolution.h"

#include <algorithm>

#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"
#include "runtime/generic/product.h"
#include "runtime/generic/windows.h"

namespace rulec::generic {

using Dims = std::span<const std::int64_t>;

// Where the taps of every window lie, window by window: computed once for all channels and groups.
static std::vector<std::int64_t> all_offsets(const Windows& windows) {
  std::vector<std::int64_t> all;
  all.reserve(static_cast<std::size_t>(element_count(windows.out) * windows.taps()));
  std::vector<std::int64_t> offsets;
  for (std::int64_t p = 0; p < element_count(windows.out); ++p) {
    window_offsets(windows, p, offsets);
    all.insert(all.end(), offsets.begin(), offsets.end());
  }
  return all;
}

// The taps of eight windows at a time, as columns of a panel: the convolution is then a product of
// the weights [M, C * taps] with them.
static PackPanel panels_of_windows(const double* x, const Windows& windows,
                                   const std::vector<std::int64_t>& offsets,
                                   std::int64_t channels) {
  const std::int64_t area = element_count(windows.in);
  const std::int64_t count = element_count(windows.out);
  const std::int64_t taps = windows.taps();
  return [=, offsets = offsets.data()](std::int64_t first, double* panel) {
    for (std::int64_t column = 0; column < panel_width; ++column) {
      double* to = panel + column;
      if (first + column >= count) {
        for (std::int64_t i = 0; i < channels * taps; ++i)
          to[i * panel_width] = 0;
        continue;
      }
      const std::int64_t* own = offsets + (first + column) * taps;
      for (std::int64_t c = 0; c < channels; ++c) {
        const double* from = x + c * area;
        for (std::int64_t tap = 0; tap < taps; ++tap) {
          *to = own[tap] < 0 ? 0 : from[own[tap]];
          to += panel_width;
        }
      }
    }
  };
}

static Status check_bias(const Tensor* bias, std::int64_t channels) {
  if (!bias || bias->size() == channels) return Done{};
  return make_error("the bias has {} elements for {} channels", bias->size(), channels);
}

Result<Tensor> convolve(const Call& call, const Tensor& x, const Tensor& weights,
                        const Tensor* bias) {
  if (x.rank() < 2 || weights.rank() != x.rank()) {
    return make_error("an operand of shape {} cannot be convolved with weights of shape {}",
                      to_string(x.shape()), to_string(weights.shape()));
  }
  const std::int64_t groups = call.attributes.integer("group", 1);
  const std::int64_t outputs = weights.dim(0);
  const std::int64_t channels = weights.dim(1);
  if (groups < 1 || x.dim(1) != channels * groups || outputs % groups != 0) {
    return make_error("{} channels in {} groups do not fit weights of shape {}", x.dim(1), groups,
                      to_string(weights.shape()));
  }
  const Status bias_fits = check_bias(bias, outputs);
  if (!bias_fits) return bias_fits.error();
  const Result<Windows> windows =
      plan_windows(call, Dims(x.shape()).subspan(2), Dims(weights.shape()).subspan(2));
  if (!windows) return windows.error();
  const std::int64_t area = element_count(windows->in);
  const std::int64_t count = element_count(windows->out);
  const std::int64_t depth = channels * windows->taps();
  const std::int64_t rows = outputs / groups;
  Shape shape = {x.dim(0), outputs};
  shape.insert(shape.end(), windows->out.begin(), windows->out.end());
  Tensor y = Tensor::allocate(DType::F64, shape);
  double* to = y.mutable_data<double>();
  for (std::int64_t i = 0; i < x.dim(0) * outputs; ++i) {
    std::fill_n(to + i * count, count, bias ? bias->data<double>()[i % outputs] : 0.0);
  }
  const std::vector<std::int64_t> offsets = all_offsets(*windows);
  for (std::int64_t n = 0; n < x.dim(0); ++n) {
    for (std::int64_t g = 0; g < groups; ++g) {
      const double* from = x.data<double>() + (n * groups + g) * channels * area;
      multiply_add(weights.data<double>() + g * rows * depth, depth, rows, depth, count,
                   panels_of_windows(from, *windows, offsets, channels),
                   to + (n * outputs + g * rows) * count, count);
    }
  }
  return y;
}

static Result<Outputs> run_conv(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Result<DType> dtype = common_type(call);
  if (!dtype) return dtype.error();
  const Tensor bias = call.has(2) ? as_doubles(call.tensor(2)) : Tensor();
  const Result<Tensor> y = convolve(call, as_doubles(call.tensor(0)), as_doubles(call.tensor(1)),
                                    call.has(2) ? &bias : nullptr);
  if (!y) return y.error();
  return one(convert(*y, *dtype));
}

// The windows of the transposed convolution: those of the convolution that maps its output to its
// input. `output_shape` and `auto_pad` decide the padding from the size.
static Result<Windows> plan_transposed(const Call& call, Dims in, Dims kernel) {
  const std::size_t rank = in.size();
  Windows w;
  w.out.assign(in.begin(), in.end());
  w.kernel.assign(kernel.begin(), kernel.end());
  const auto read = [&](std::string_view name, std::size_t count,
                        std::int64_t otherwise) -> Result<Shape> {
    Shape values = call.attributes.integers(name);
    if (values.empty()) return Shape(count, otherwise);
    if (values.size() != count) {
      return make_error("the attribute {} has {} values, but {} are needed", name, values.size(),
                        count);
    }
    return values;
  };
  const auto strides = read("strides", rank, 1);
  if (!strides) return strides.error();
  const auto dilations = read("dilations", rank, 1);
  if (!dilations) return dilations.error();
  const auto extra = read("output_padding", rank, 0);
  if (!extra) return extra.error();
  const auto pads = read("pads", rank * 2, 0);
  if (!pads) return pads.error();
  Shape wanted = call.attributes.integers("output_shape");
  if (wanted.size() == rank + 2) wanted.erase(wanted.begin(), wanted.begin() + 2);
  if (!wanted.empty() && wanted.size() != rank) {
    return make_error("the attribute output_shape has {} values for {} spatial axes", wanted.size(),
                      rank);
  }
  w.strides = *strides;
  w.dilations = *dilations;
  const std::string_view automatic = call.attributes.text("auto_pad", "NOTSET");
  const bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER";
  for (std::size_t i = 0; i < rank; ++i) {
    if (w.strides[i] < 1 || w.dilations[i] < 1) {
      return make_error("strides and dilations must be at least 1");
    }
    const std::int64_t extent = (w.kernel[i] - 1) * w.dilations[i] + 1;
    const std::int64_t full = w.strides[i] * (in[i] - 1) + (*extra)[i] + extent;
    std::int64_t begin = (*pads)[i];
    std::int64_t size = full - begin - (*pads)[rank + i];
    if (automatic == "VALID") {
      begin = 0;
      size = full;
    }
    if (!wanted.empty() || same) {
      size = wanted.empty() ? in[i] * w.strides[i] : wanted[i];
      const std::int64_t total = std::max<std::int64_t>(0, full - size);
      // The odd element goes to the end for SAME_UPPER and to the beginning otherwise.
      begin = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
    }
    if (size < 0) return make_error("the output would have {} elements on axis {}", size, i);
    w.begin.push_back(begin);
    w.end.push_back(full - begin - size);
    w.in.push_back(size);
  }
  return w;
}

static Result<Outputs> run_conv_transpose(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Result<DType> dtype = common_type(call);
  if (!dtype) return dtype.error();
  const Tensor x = as_doubles(call.tensor(0));
  const Tensor weights = as_doubles(call.tensor(1));
  const std::int64_t groups = call.attributes.integer("group", 1);
  if (x.rank() < 2 || weights.rank() != x.rank() || groups < 1 || x.dim(1) != weights.dim(0) ||
      x.dim(1) % groups != 0) {
    return make_error("an operand of shape {} in {} groups does not fit weights of shape {}",
                      to_string(x.shape()), groups, to_string(weights.shape()));
  }
  const Result<Windows> windows =
      plan_transposed(call, Dims(x.shape()).subspan(2), Dims(weights.shape()).subspan(2));
  if (!windows) return windows.error();
  const std::int64_t channels = x.dim(1) / groups;
  const std::int64_t rows = weights.dim(1);
  const std::int64_t outputs = rows * groups;
  const std::int64_t taps = windows->taps();
  const std::int64_t count = element_count(windows->out);  // of the operand
  const std::int64_t area = element_count(windows->in);    // of the result
  const Tensor bias = call.has(2) ? as_doubles(call.tensor(2)) : Tensor();
  const Status bias_fits = check_bias(call.has(2) ? &bias : nullptr, outputs);
  if (!bias_fits) return bias_fits.error();
  Shape shape = {x.dim(0), outputs};
  shape.insert(shape.end(), windows->in.begin(), windows->in.end());
  Tensor y = Tensor::allocate(DType::F64, shape);
  double* to = y.mutable_data<double>();
  for (std::int64_t i = 0; i < x.dim(0) * outputs; ++i) {
    std::fill_n(to + i * area, area, bias.defined() ? bias.data<double>()[i % outputs] : 0.0);
  }
  // Each element of the operand, times the weights, is added where its window lies.
  std::vector<double> turned(static_cast<std::size_t>(rows * taps * channels));
  std::vector<double> columns(static_cast<std::size_t>(rows * taps * count));
  std::vector<std::int64_t> offsets;
  for (std::int64_t g = 0; g < groups; ++g) {
    const double* w = weights.data<double>() + g * channels * rows * taps;
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t i = 0; i < rows * taps; ++i) {
        turned[static_cast<std::size_t>(i * channels + c)] = w[c * rows * taps + i];
      }
    }
    for (std::int64_t n = 0; n < x.dim(0); ++n) {
      const double* from = x.data<double>() + (n * groups + g) * channels * count;
      std::fill(columns.begin(), columns.end(), 0.0);
      multiply_add(turned.data(), channels, rows * taps, channels, count,
                   panels_of(from, channels, count, count, 1), columns.data(), count);
      for (std::int64_t p = 0; p < count; ++p) {
        window_offsets(*windows, p, offsets);
        for (std::int64_t r = 0; r < rows; ++r) {
          double* plane = to + (n * outputs + g * rows + r) * area;
          for (std::int64_t tap = 0; tap < taps; ++tap) {
            const std::int64_t at = offsets[static_cast<std::size_t>(tap)];
            if (at >= 0)
              plane[at] += columns[static_cast<std::size_t>((r * taps + tap) * count + p)];
          }
        }
      }
    }
  }
  return one(convert(y, *dtype));
}

std::span<const KernelEntry> convolution_kernels() {
  static constexpr KernelEntry entries[] = {
      {"", "Conv", run_conv, 2},
      {"", "ConvTranspose", run_conv_transpose, 2},
  };
  return entries;
}

}  // namespace rulec::generic
