// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a detector found, painted over the picture it looked at.
//
//   auto found = find_detections(outputs, picture.height, picture.width);
//   if (found) write_png("out.png", draw_boxes(picture, *found, labels, 0.5));

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "compiler/image.h"
#include "runtime/result.h"
#include "runtime/value.h"

namespace rulec {

struct Detection {
  double top = 0, left = 0, bottom = 0, right = 0;  // parts of the picture, 0 to 1
  double score = 0;
  int category = 0;
};

struct Detections {
  std::vector<Detection> items;
  int first_class = 1;  // what the first label is called by number
};

// From a detector's outputs by their names and shapes: boxes [N,K,4] as ymin, xmin, ymax, xmax (in
// parts of the picture, or in its pixels), scores and classes [N,K], the number of valid rows where
// there is one. Of a batch the first picture.
Result<Detections> find_detections(std::span<const std::pair<std::string, Value>> outputs,
                                   int picture_height, int picture_width);

// The label of a class, or "class 7".
std::string label_of(int category, const std::vector<std::string>& labels, int first_class);

// A copy of the picture (enlarged when it is small) with a frame and a label for every detection
// that scores at least `threshold`.
Image draw_boxes(const Image& picture, const Detections& detections,
                 const std::vector<std::string>& labels, double threshold);

}  // namespace rulec
