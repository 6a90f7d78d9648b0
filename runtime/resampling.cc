// SPDX-License-Identifier: Apache-2.0
#include "runtime/resampling.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace rulec {

static constexpr std::array<std::string_view, 7> transformations = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
    "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};
static constexpr std::array<std::string_view, 4> nearest_modes = {
    "round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};

bool is_transformation(std::string_view text) {
  return std::find(transformations.begin(), transformations.end(), text) != transformations.end();
}

bool is_nearest_mode(std::string_view text) {
  return std::find(nearest_modes.begin(), nearest_modes.end(), text) != nearest_modes.end();
}

// The length of the output is the unrounded one,
// as ONNX's reference has it.
double source_of(const Resampling& axis, std::string_view transformation, std::int64_t at) {
  const auto x = static_cast<double>(at);
  const auto in = static_cast<double>(axis.in);
  const double out = axis.scale * in;
  if (transformation == "align_corners") return out == 1 ? 0 : x * (in - 1) / (out - 1);
  if (transformation == "asymmetric") return x / axis.scale;
  if (transformation == "tf_crop_and_resize") {
    const double size = axis.roi_end - axis.roi_start;
    const double inside = out == 1 ? size * (in - 1) / 2 : x * size * (in - 1) / (out - 1);
    return inside + axis.roi_start * (in - 1);
  }
  if (transformation == "pytorch_half_pixel" && out == 1) return -0.5;
  if (transformation == "tf_half_pixel_for_nn") return (x + 0.5) / axis.scale;
  const double half_pixel = (x + 0.5) / axis.scale - 0.5;
  if (transformation == "half_pixel_symmetric") {
    return in / 2 * (1 - static_cast<double>(axis.out) / out) + half_pixel;
  }
  return half_pixel;
}

std::int64_t nearest_of(double x, std::string_view mode) {
  // Quotients by single-precision scales: one step to single precision makes 2.9999999 a 3 again,
  // as every single-precision implementation has it.
  x = static_cast<double>(static_cast<float>(x));
  if (mode == "round_prefer_floor") return static_cast<std::int64_t>(std::ceil(x - 0.5));
  if (mode == "round_prefer_ceil") return static_cast<std::int64_t>(std::floor(x + 0.5));
  return static_cast<std::int64_t>(mode == "ceil" ? std::ceil(x) : std::floor(x));
}

}  // namespace rulec
