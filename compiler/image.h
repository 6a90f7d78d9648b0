// SPDX-License-Identifier: Apache-2.0
#pragma once

// Pictures: PNG and JPEG files to RGB bytes, PNG back, and a picture as the tensor that a model's
// image input wants.
//
//   auto picture = read_image("cat.jpg");
//   std::vector<std::string> notes;
//   auto tensor = fit_image(*picture, model.value(input).type, notes);

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "matcher/type.h"
#include "runtime/result.h"
#include "runtime/tensor.h"

namespace rulec {

struct Image {
  int height = 0, width = 0;
  std::vector<std::uint8_t> rgb;  // row by row, three bytes a pixel

  std::uint8_t* pixel(int y, int x) {
    return &rgb[3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                     static_cast<std::size_t>(x))];
  }
  const std::uint8_t* pixel(int y, int x) const { return const_cast<Image*>(this)->pixel(y, x); }
};

// PNG or JPEG, told apart by their first bytes. What is transparent lies on black.
Result<Image> read_image(const std::filesystem::path& path);
Status write_png(const std::filesystem::path& path, const Image& image);

// Bilinear, pixel centres at halves; each source pixel counts when it shrinks.
Image resized(const Image& image, int height, int width);

// Where a type says an image lies; unknown sizes are -1.
struct ImageLayout {
  bool channels_first = false;
  bool has_batch = true;
  std::int64_t batch = 1, height = -1, width = -1, channels = 3;
};
// An Error says why the type is no image's: [N,H,W,C], [N,C,H,W] or without N, C of 1 or 3.
Result<ImageLayout> image_layout(const Type& type);

// Resized to the type's sizes where they are known and differ, in its layout and element type
// (values 0 to 255 in every type). What was done besides is told in `notes`.
Result<Tensor> fit_image(const Image& image, const Type& type, std::vector<std::string>& notes);

}  // namespace rulec
