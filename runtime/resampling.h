// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where the positions of a resized axis lie in the axis it came from, as ONNX's Resize defines it.
// For the generic kernel and for the lowering, which must not differ. Not the interpolation.
//
//   const Resampling axis{.in = 13, .out = 19, .scale = 1.5};
//   double x = source_of(axis, "align_corners", 18);

#include <cstdint>
#include <string_view>

namespace rulec {

struct Resampling {
  std::int64_t in = 0, out = 0;       // lengths
  double scale = 1;                   // the one given, where one is: not out / in
  double roi_start = 0, roi_end = 1;  // of tf_crop_and_resize, in lengths of the axis
};

// The position, in elements, that output element `at` comes from; may lie outside the axis.
// `transformation` is a coordinate_transformation_mode.
double source_of(const Resampling& axis, std::string_view transformation, std::int64_t at);

// The element that a position means, by a nearest_mode; may lie outside the axis.
std::int64_t nearest_of(double x, std::string_view mode);

bool is_transformation(std::string_view text);
bool is_nearest_mode(std::string_view text);

}  // namespace rulec
