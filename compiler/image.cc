// SPDX-License-Identifier: Apache-2.0
#include "compiler/image.h"

#include <algorithm>
#include <cmath>

#include "runtime/convert.h"

namespace rulec {

namespace {

// The source pixels of one target pixel along an axis, and their shares.
struct Taps {
  int first = 0;
  std::vector<float> weights;
};

}  // namespace

static std::vector<Taps> taps_of(int from, int to) {
  const double scale = static_cast<double>(from) / to;
  const double reach = std::max(scale, 1.0);  // half the width of the triangle
  std::vector<Taps> out(static_cast<std::size_t>(to));
  for (int i = 0; i < to; ++i) {
    Taps& taps = out[static_cast<std::size_t>(i)];
    const double centre = (i + 0.5) * scale;
    const int low = std::max(0, static_cast<int>(std::floor(centre - reach)));
    const int high = std::min(from, static_cast<int>(std::ceil(centre + reach)));
    double sum = 0;
    std::vector<double> weights;
    for (int x = low; x < high; ++x) {
      weights.push_back(std::max(0.0, 1 - std::abs((x + 0.5 - centre) / reach)));
      sum += weights.back();
    }
    taps.first = low;
    for (const double weight : weights)
      taps.weights.push_back(static_cast<float>(weight / sum));
  }
  return out;
}

Image resized(const Image& image, int height, int width) {
  if (height == image.height && width == image.width) return image;
  const auto columns = taps_of(image.width, width), rows = taps_of(image.height, height);
  const auto stride = static_cast<std::size_t>(width) * 3;
  std::vector<float> wide(static_cast<std::size_t>(image.height) * stride);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < width; ++x) {
      const Taps& taps = columns[static_cast<std::size_t>(x)];
      for (std::size_t c = 0; c < 3; ++c) {
        float sum = 0;
        for (std::size_t k = 0; k < taps.weights.size(); ++k)
          sum += taps.weights[k] * image.pixel(y, taps.first + static_cast<int>(k))[c];
        wide[static_cast<std::size_t>(y) * stride + 3 * static_cast<std::size_t>(x) + c] = sum;
      }
    }
  Image out{.height = height, .width = width, .rgb = {}};
  out.rgb.resize(static_cast<std::size_t>(height) * stride);
  for (int y = 0; y < height; ++y) {
    const Taps& taps = rows[static_cast<std::size_t>(y)];
    for (std::size_t i = 0; i < stride; ++i) {
      float sum = 0;
      for (std::size_t k = 0; k < taps.weights.size(); ++k)
        sum += taps.weights[k] * wide[(static_cast<std::size_t>(taps.first) + k) * stride + i];
      out.rgb[static_cast<std::size_t>(y) * stride + i] =
          static_cast<std::uint8_t>(std::lround(std::clamp(sum, 0.0F, 255.0F)));
    }
  }
  return out;
}

Result<ImageLayout> image_layout(const Type& type) {
  const auto no_image = [&](std::string_view why) {
    return make_error("an input of type {} takes no picture: {}", to_string(type), why);
  };
  if (!type.is_tensor() || !type.dims) return no_image("it is no tensor of known rank");
  const std::vector<Dim>& dims = *type.dims;
  if (dims.size() != 3 && dims.size() != 4)
    return no_image("pictures are [N,H,W,C], [N,C,H,W], [H,W,C] or [C,H,W]");
  const DType dtype = type.dtype;
  if (!(is_float(dtype) && bit_width(dtype) >= 16) && dtype != DType::U8 &&
      !(is_integer(dtype) && bit_width(dtype) >= 16))
    return no_image("its elements cannot hold the values 0 to 255");
  ImageLayout layout;
  layout.has_batch = dims.size() == 4;
  const std::size_t first = layout.has_batch ? 1 : 0;
  const auto colours = [](const Dim& dim) { return dim.size == 1 || dim.size == 3; };
  const Dim& front = dims[first];
  const Dim& back = dims.back();
  // Where both could be the channels, three beats one, and the front beats the back.
  if (!colours(front) && !colours(back)) return no_image("no dimension is of 1 or 3 channels");
  layout.channels_first = colours(front) && !(colours(back) && back.size > front.size);
  layout.channels = layout.channels_first ? front.size : back.size;
  const std::size_t height = layout.channels_first ? first + 1 : first;
  layout.height = dims[height].size;
  layout.width = dims[height + 1].size;
  if (layout.has_batch && dims[0].known()) layout.batch = dims[0].size;
  if (layout.height == 0 || layout.width == 0 || layout.batch == 0)
    return no_image("a dimension is 0");
  if (layout.height > (1 << 16) || layout.width > (1 << 16) || layout.batch > (1 << 16))
    return no_image("it is too large");
  return layout;
}

// Brightness as ITU-R BT.601 weighs the colours.
static double gray(const std::uint8_t* rgb) {
  return std::round(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]);
}

Result<Tensor> fit_image(const Image& image, const Type& type, std::vector<std::string>& notes) {
  const auto found = image_layout(type);
  if (!found) return found.error();
  const ImageLayout& layout = *found;
  const int height = layout.height < 0 ? image.height : static_cast<int>(layout.height);
  const int width = layout.width < 0 ? image.width : static_cast<int>(layout.width);
  const Image fitted = resized(image, height, width);
  if (height != image.height || width != image.width)
    notes.push_back(fmt::format("the picture is resized from {}x{} to {}x{} pixels", image.width,
                                image.height, width, height));
  if (layout.channels == 1) notes.push_back("the picture is made gray");
  if (is_float(type.dtype))
    notes.push_back(fmt::format("pixels become {} as they are, 0 to 255", name(type.dtype)));
  if (layout.batch > 1)
    notes.push_back(fmt::format("the picture fills all {} places of the batch", layout.batch));

  Shape shape = layout.channels_first ? Shape{layout.channels, height, width}
                                      : Shape{height, width, layout.channels};
  std::vector<double> values(static_cast<std::size_t>(element_count(shape)));
  const auto channels = static_cast<std::size_t>(layout.channels);
  const std::size_t pixels = values.size() / channels;
  for (std::size_t i = 0; i < pixels; ++i)
    for (std::size_t c = 0; c < channels; ++c)
      values[layout.channels_first ? c * pixels + i : i * channels + c] =
          channels == 1 ? gray(&fitted.rgb[3 * i]) : fitted.rgb[3 * i + c];
  if (layout.has_batch) shape.insert(shape.begin(), layout.batch);
  Tensor tensor = Tensor::allocate(type.dtype, shape);
  for (std::int64_t n = 0; n < layout.batch; ++n)
    store_numbers(tensor, n * static_cast<std::int64_t>(values.size()), values);
  return tensor;
}

}  // namespace rulec
