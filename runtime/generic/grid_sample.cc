// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

namespace rulec::generic {
namespace {

enum class Padding { Zeros, Border, Reflection };

struct Tap {
  std::int64_t index;  // flat, within one channel
  double weight;
};

// One spatial axis of the sampled image.
struct SampledAxis {
  std::int64_t length = 0;
  double low = 0, high = 0;  // where reflection turns back
};

}  // namespace

static double reflected(double x, double low, double high) {
  const double range = high - low;
  if (!(range > 0)) return low;
  const double distance = x < low ? low - x : x > high ? x - high : -1;
  if (distance < 0) return x;
  const double turns = std::trunc(distance / range);
  const double rest = distance - turns * range;
  const bool even = std::fmod(turns, 2) == 0;
  return (x < low) == even ? low + rest : high - rest;
}

// The pixel that stands at `index`; -1: a zero.
static std::int64_t pixel_at(const SampledAxis& axis, std::int64_t index, Padding padding) {
  if (index >= 0 && index < axis.length) return index;
  if (padding == Padding::Zeros) return -1;
  if (padding == Padding::Reflection) {
    index = static_cast<std::int64_t>(reflected(static_cast<double>(index), axis.low, axis.high));
  }
  return std::clamp<std::int64_t>(index, 0, axis.length - 1);
}

// Positions and weights along one axis around `x`.
static std::vector<Tap> taps_along(const SampledAxis& axis, double x, std::string_view mode,
                                   Padding padding) {
  if (mode == "nearest") {
    const double at = std::nearbyint(static_cast<double>(static_cast<float>(x)));
    return {{pixel_at(axis, static_cast<std::int64_t>(at), padding), 1.0}};
  }
  const double base = std::floor(x);
  const double t = x - base;
  const auto first = static_cast<std::int64_t>(base);
  if (mode == "linear") {
    return {{pixel_at(axis, first, padding), 1 - t}, {pixel_at(axis, first + 1, padding), t}};
  }
  constexpr double a = -0.75;
  const auto near = [](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  const auto far = [](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  return {{pixel_at(axis, first - 1, padding), far(t + 1)},
          {pixel_at(axis, first, padding), near(t)},
          {pixel_at(axis, first + 1, padding), near(1 - t)},
          {pixel_at(axis, first + 2, padding), far(2 - t)}};
}

static Result<Outputs> grid_sample(const Call& call) {
  const Tensor& in = call.tensor(0);
  const Tensor& grid = call.tensor(1);
  std::string_view mode = call.attributes.text("mode", "linear");
  if (mode == "bilinear") mode = "linear";
  if (mode == "bicubic") mode = "cubic";
  if (mode != "nearest" && mode != "linear" && mode != "cubic") {
    return make_error("mode \"{}\" is not known", mode);
  }
  const std::string_view padding_mode = call.attributes.text("padding_mode", "zeros");
  const Padding padding = padding_mode == "border"       ? Padding::Border
                          : padding_mode == "reflection" ? Padding::Reflection
                                                         : Padding::Zeros;
  const bool corners = call.attributes.integer("align_corners", 0) != 0;
  if (in.rank() < 3 || grid.rank() != in.rank() || grid.dim(0) != in.dim(0) ||
      grid.shape().back() != static_cast<std::int64_t>(in.rank() - 2)) {
    return make_error("grid {} does not sample {}", to_string(grid.shape()), to_string(in.shape()));
  }
  const std::size_t spatial = in.rank() - 2;
  std::vector<SampledAxis> axes;
  for (std::size_t i = 0; i < spatial; ++i) {
    const auto length = static_cast<double>(in.dim(i + 2));
    axes.push_back({in.dim(i + 2), corners ? 0 : -0.5, corners ? length - 1 : length - 0.5});
  }
  Shape shape = {in.dim(0), in.dim(1)};
  shape.insert(shape.end(), grid.shape().begin() + 1, grid.shape().end() - 1);
  const std::int64_t points = element_count(std::span(shape).subspan(2));
  const std::int64_t pixels = element_count(std::span(in.shape()).subspan(2));
  std::vector<double> out(static_cast<std::size_t>(element_count(shape)), 0.0);
  if (!out.empty() && pixels == 0) return make_error("there is nothing to sample");
  const std::vector<double> data = in.numbers(), where = grid.numbers();
  for (std::int64_t n = 0; n < in.dim(0); ++n) {
    for (std::int64_t p = 0; p < points; ++p) {
      std::vector<Tap> taps = {{0, 1.0}};
      for (std::size_t i = 0; i < spatial; ++i) {
        const SampledAxis& axis = axes[i];
        const auto length = static_cast<double>(axis.length);
        // The grid lists coordinates innermost axis first.
        const double g =
            where[static_cast<std::size_t>(n * points + p) * spatial + spatial - 1 - i];
        double x = corners ? (g + 1) / 2 * (length - 1) : ((g + 1) * length - 1) / 2;
        if (std::isnan(x)) x = -1;  // as an out-of-range coordinate
        if (x < axis.low || x > axis.high) {
          if (padding == Padding::Border) x = std::clamp(x, 0.0, length - 1);
          if (padding == Padding::Reflection) x = reflected(x, axis.low, axis.high);
        }
        x = std::clamp(x, -1e9, 1e9);
        std::vector<Tap> product;
        for (const Tap& outer : taps) {
          for (const Tap& inner : taps_along(axis, x, mode, padding)) {
            if (inner.index < 0) continue;
            product.push_back(
                {outer.index * axis.length + inner.index, outer.weight * inner.weight});
          }
        }
        taps = std::move(product);
      }
      for (std::int64_t c = 0; c < in.dim(1); ++c) {
        const double* channel = data.data() + (n * in.dim(1) + c) * pixels;
        double sum = 0;
        for (const Tap& tap : taps)
          sum += tap.weight * channel[tap.index];
        out[static_cast<std::size_t>((n * in.dim(1) + c) * points + p)] = sum;
      }
    }
  }
  return one(from_numbers(in.dtype(), std::move(shape), out));
}

static Result<Outputs> affine_grid(const Call& call) {
  const Tensor& theta = call.tensor(0);
  auto size = required_integers(call, 1, "size");
  if (!size) return size.error();
  const bool corners = call.attributes.integer("align_corners", 0) != 0;
  const std::size_t spatial = size->size() < 2 ? 0 : size->size() - 2;
  const auto width = static_cast<std::int64_t>(spatial);
  if ((spatial != 2 && spatial != 3) || theta.shape() != Shape{(*size)[0], width, width + 1}) {
    return make_error("theta {} does not suit size {}", to_string(theta.shape()), to_string(*size));
  }
  Shape shape = {(*size)[0]};
  shape.insert(shape.end(), size->begin() + 2, size->end());
  const Shape image(size->begin() + 2, size->end());
  shape.push_back(width);
  if (auto fine = check_shape(shape); !fine) return fine.error();
  const std::int64_t points = element_count(image);
  const Integers strides = strides_of(image);
  const std::vector<double> matrix = theta.numbers();
  std::vector<double> out;
  out.reserve(static_cast<std::size_t>(element_count(shape)));
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    const double* rows = matrix.data() + n * width * (width + 1);
    for (std::int64_t p = 0; p < points; ++p) {
      std::array<double, 4> at = {1, 1, 1, 1};  // innermost axis first, then the homogeneous 1
      for (std::size_t i = 0; i < spatial; ++i) {
        const auto index = static_cast<double>(p / strides[i] % image[i]);
        const auto length = static_cast<double>(image[i]);
        at[spatial - 1 - i] = corners ? (length > 1 ? -1 + 2 * index / (length - 1) : -1)
                                      : (2 * index + 1) / length - 1;
      }
      for (std::int64_t r = 0; r < width; ++r) {
        double sum = 0;
        for (std::int64_t c = 0; c <= width; ++c) {
          sum += rows[r * (width + 1) + c] * at[static_cast<std::size_t>(c)];
        }
        out.push_back(sum);
      }
    }
  }
  return one(from_numbers(theta.dtype(), std::move(shape), out));
}

std::span<const KernelEntry> sampling_kernels() {
  static const KernelEntry entries[] = {
      {"", "AffineGrid", affine_grid, 2},
      {"", "GridSample", grid_sample, 2},
  };
  return entries;
}

}  // namespace rulec::generic
