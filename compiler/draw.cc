// SPDX-License-Identifier: Apache-2.0
#include "compiler/draw.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/convert.h"

namespace rulec {

namespace {

struct Glyph {
  char character;
  std::array<std::uint8_t, 7> rows;  // five bits each, the leftmost highest
};

// clang-format off
constexpr Glyph glyphs[] = {
    {'A', {0x0e, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11}},
    {'B', {0x1e, 0x11, 0x11, 0x1e, 0x11, 0x11, 0x1e}},
    {'C', {0x0e, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0e}},
    {'D', {0x1e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1e}},
    {'E', {0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f}},
    {'F', {0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x10}},
    {'G', {0x0e, 0x11, 0x10, 0x17, 0x11, 0x11, 0x0e}},
    {'H', {0x11, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11}},
    {'I', {0x0e, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0e}},
    {'J', {0x07, 0x02, 0x02, 0x02, 0x02, 0x12, 0x0c}},
    {'K', {0x11, 0x12, 0x14, 0x18, 0x14, 0x12, 0x11}},
    {'L', {0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1f}},
    {'M', {0x11, 0x1b, 0x15, 0x15, 0x11, 0x11, 0x11}},
    {'N', {0x11, 0x19, 0x19, 0x15, 0x13, 0x13, 0x11}},
    {'O', {0x0e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e}},
    {'P', {0x1e, 0x11, 0x11, 0x1e, 0x10, 0x10, 0x10}},
    {'Q', {0x0e, 0x11, 0x11, 0x11, 0x15, 0x12, 0x0d}},
    {'R', {0x1e, 0x11, 0x11, 0x1e, 0x14, 0x12, 0x11}},
    {'S', {0x0f, 0x10, 0x10, 0x0e, 0x01, 0x01, 0x1e}},
    {'T', {0x1f, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04}},
    {'U', {0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e}},
    {'V', {0x11, 0x11, 0x11, 0x11, 0x11, 0x0a, 0x04}},
    {'W', {0x11, 0x11, 0x11, 0x15, 0x15, 0x1b, 0x11}},
    {'X', {0x11, 0x11, 0x0a, 0x04, 0x0a, 0x11, 0x11}},
    {'Y', {0x11, 0x11, 0x0a, 0x04, 0x04, 0x04, 0x04}},
    {'Z', {0x1f, 0x01, 0x02, 0x04, 0x08, 0x10, 0x1f}},
    {'a', {0x00, 0x00, 0x0e, 0x01, 0x0f, 0x11, 0x0f}},
    {'b', {0x10, 0x10, 0x1e, 0x11, 0x11, 0x11, 0x1e}},
    {'c', {0x00, 0x00, 0x0f, 0x10, 0x10, 0x10, 0x0f}},
    {'d', {0x01, 0x01, 0x0f, 0x11, 0x11, 0x11, 0x0f}},
    {'e', {0x00, 0x00, 0x0e, 0x11, 0x1f, 0x10, 0x0e}},
    {'f', {0x06, 0x08, 0x1e, 0x08, 0x08, 0x08, 0x08}},
    {'g', {0x00, 0x0f, 0x11, 0x11, 0x0f, 0x01, 0x0e}},
    {'h', {0x10, 0x10, 0x1e, 0x11, 0x11, 0x11, 0x11}},
    {'i', {0x04, 0x00, 0x0c, 0x04, 0x04, 0x04, 0x0e}},
    {'j', {0x02, 0x00, 0x06, 0x02, 0x02, 0x12, 0x0c}},
    {'k', {0x10, 0x10, 0x12, 0x14, 0x18, 0x14, 0x12}},
    {'l', {0x0c, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0e}},
    {'m', {0x00, 0x00, 0x1a, 0x15, 0x15, 0x15, 0x15}},
    {'n', {0x00, 0x00, 0x1e, 0x11, 0x11, 0x11, 0x11}},
    {'o', {0x00, 0x00, 0x0e, 0x11, 0x11, 0x11, 0x0e}},
    {'p', {0x00, 0x1e, 0x11, 0x11, 0x1e, 0x10, 0x10}},
    {'q', {0x00, 0x0f, 0x11, 0x11, 0x0f, 0x01, 0x01}},
    {'r', {0x00, 0x00, 0x16, 0x18, 0x10, 0x10, 0x10}},
    {'s', {0x00, 0x00, 0x0f, 0x10, 0x0e, 0x01, 0x1e}},
    {'t', {0x08, 0x08, 0x1e, 0x08, 0x08, 0x08, 0x06}},
    {'u', {0x00, 0x00, 0x11, 0x11, 0x11, 0x11, 0x0f}},
    {'v', {0x00, 0x00, 0x11, 0x11, 0x11, 0x0a, 0x04}},
    {'w', {0x00, 0x00, 0x11, 0x15, 0x15, 0x15, 0x0a}},
    {'x', {0x00, 0x00, 0x11, 0x0a, 0x04, 0x0a, 0x11}},
    {'y', {0x00, 0x11, 0x11, 0x11, 0x0f, 0x01, 0x0e}},
    {'z', {0x00, 0x00, 0x1f, 0x02, 0x04, 0x08, 0x1f}},
    {'0', {0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e}},
    {'1', {0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e}},
    {'2', {0x0e, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1f}},
    {'3', {0x0e, 0x11, 0x01, 0x06, 0x01, 0x11, 0x0e}},
    {'4', {0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02}},
    {'5', {0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e}},
    {'6', {0x0e, 0x10, 0x10, 0x1e, 0x11, 0x11, 0x0e}},
    {'7', {0x1f, 0x01, 0x02, 0x04, 0x04, 0x08, 0x08}},
    {'8', {0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e}},
    {'9', {0x0e, 0x11, 0x11, 0x0f, 0x01, 0x01, 0x0e}},
    {'.', {0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x0c}},
    {'-', {0x00, 0x00, 0x00, 0x0e, 0x00, 0x00, 0x00}},
    {'_', {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1f}},
    {'%', {0x19, 0x1a, 0x02, 0x04, 0x08, 0x0b, 0x13}},
    {':', {0x00, 0x0c, 0x0c, 0x00, 0x0c, 0x0c, 0x00}},
    {'/', {0x01, 0x02, 0x02, 0x04, 0x08, 0x08, 0x10}},
    {'(', {0x02, 0x04, 0x08, 0x08, 0x08, 0x04, 0x02}},
    {')', {0x08, 0x04, 0x02, 0x02, 0x02, 0x04, 0x08}},
    {'?', {0x0e, 0x11, 0x01, 0x02, 0x04, 0x00, 0x04}},
};
// clang-format on

using Colour = std::array<std::uint8_t, 3>;

// Far from one another and readable on light and dark.
constexpr std::array<Colour, 10> palette = {{{230, 57, 70},
                                             {42, 157, 90},
                                             {38, 112, 233},
                                             {244, 140, 6},
                                             {148, 68, 214},
                                             {0, 164, 180},
                                             {222, 60, 160},
                                             {134, 110, 40},
                                             {90, 105, 120},
                                             {110, 180, 20}}};

struct Box {
  int top, left, bottom, right;  // the last two are outside
};

}  // namespace

static void fill(Image& image, const Box& box, const Colour& colour, double share = 1) {
  for (int y = std::max(0, box.top); y < std::min(image.height, box.bottom); ++y)
    for (int x = std::max(0, box.left); x < std::min(image.width, box.right); ++x)
      for (std::size_t c = 0; c < 3; ++c) {
        std::uint8_t& value = image.pixel(y, x)[c];
        value = static_cast<std::uint8_t>(std::lround(value + share * (colour[c] - value)));
      }
}

static void frame(Image& image, const Box& box, int width, const Colour& colour) {
  fill(image, {box.top, box.left, box.top + width, box.right}, colour);
  fill(image, {box.bottom - width, box.left, box.bottom, box.right}, colour);
  fill(image, {box.top + width, box.left, box.bottom - width, box.left + width}, colour);
  fill(image, {box.top + width, box.right - width, box.bottom - width, box.right}, colour);
}

static void write(Image& image, int top, int left, int scale, std::string_view text,
                  const Colour& colour) {
  for (const char character : text) {
    const auto* glyph = std::find_if(std::begin(glyphs), std::end(glyphs),
                                     [&](const Glyph& g) { return g.character == character; });
    if (glyph != std::end(glyphs))
      for (int y = 0; y < 7; ++y)
        for (int x = 0; x < 5; ++x)
          if ((glyph->rows[static_cast<std::size_t>(y)] >> (4 - x) & 1) != 0)
            fill(image,
                 {top + y * scale, left + x * scale, top + (y + 1) * scale, left + (x + 1) * scale},
                 colour);
    left += 6 * scale;
  }
}

// Above the box, else below it, else inside at its top or bottom: the first place that is in the
// picture and free of other labels; the last resort is on top of them.
static Box place_label(const Box& box, int wide, int high, const Image& image,
                       const std::vector<Box>& taken) {
  const int left = std::max(0, std::min(box.left, image.width - wide));
  const auto at = [&](int top) { return Box{top, left, top + high, left + wide}; };
  for (const int top : {box.top - high, box.bottom, box.top, box.bottom - high}) {
    const Box place = at(top);
    const bool free = std::none_of(taken.begin(), taken.end(), [&](const Box& other) {
      return place.top < other.bottom && other.top < place.bottom && place.left < other.right &&
             other.left < place.right;
    });
    if (free && place.top >= 0 && place.bottom <= image.height) return place;
  }
  return at(std::clamp(box.top, 0, std::max(0, image.height - high)));
}

Image draw_boxes(const Image& picture, const Detections& detections,
                 const std::vector<std::string>& labels, double threshold) {
  // Small pictures are enlarged, so that lines and letters do not hide what they mark.
  const int longer = std::max(picture.height, picture.width);
  const int zoom = std::max(1, 640 / longer);
  Image out = resized(picture, picture.height * zoom, picture.width * zoom);
  const int size = std::max(out.height, out.width);
  const int line = std::max(2, size / 200), scale = std::max(1, size / 320);
  // The best one is painted last, over the others.
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < detections.items.size(); ++i)
    if (detections.items[i].score >= threshold) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return detections.items[a].score < detections.items[b].score;
  });
  const auto at = [](double share, int of) {
    return static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * of));
  };
  const auto box_of = [&](const Detection& item) {
    return Box{at(item.top, out.height), at(item.left, out.width), at(item.bottom, out.height),
               at(item.right, out.width)};
  };
  const auto colour_of = [](const Detection& item) -> const Colour& {
    return palette[static_cast<std::size_t>(std::abs(item.category)) % palette.size()];
  };
  for (const std::size_t index : order)
    fill(out, box_of(detections.items[index]), colour_of(detections.items[index]), 0.12);
  for (const std::size_t index : order)
    frame(out, box_of(detections.items[index]), line, colour_of(detections.items[index]));
  // The labels of the best ones choose their places first.
  std::vector<Box> taken;
  for (auto index = order.rbegin(); index != order.rend(); ++index) {
    const Detection& item = detections.items[*index];
    const std::string label = fmt::format(
        "{} {:.0f}%", label_of(item.category, labels, detections.first_class), 100 * item.score);
    const int wide = static_cast<int>(label.size()) * 6 * scale + 3 * scale, high = 11 * scale;
    const Box place = place_label(box_of(item), wide, high, out, taken);
    taken.push_back(place);
    fill(out, place, colour_of(item));
    write(out, place.top + 2 * scale, place.left + 2 * scale, scale, label, {255, 255, 255});
  }
  return out;
}

std::string label_of(int category, const std::vector<std::string>& labels, int first_class) {
  const int index = category - first_class;
  if (index >= 0 && static_cast<std::size_t>(index) < labels.size())
    return labels[static_cast<std::size_t>(index)];
  return fmt::format("class {}", category);
}

// What a detector's output is, told by its name; shapes settle the rest.
static bool named(std::string_view name, std::string_view word) {
  std::string lower;
  for (const char c : name)
    lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower.find(word) != std::string::npos;
}

static const Tensor* find_output(std::span<const std::pair<std::string, Value>> outputs,
                                 std::initializer_list<std::string_view> words,
                                 const std::vector<std::size_t>& ranks) {
  for (const std::string_view word : words)
    for (const auto& [name, value] : outputs) {
      if (!value.is_tensor() || !named(name, word)) continue;
      const Tensor& tensor = value.tensor();
      if (tensor.dtype() == DType::String || is_complex(tensor.dtype())) continue;
      if (std::find(ranks.begin(), ranks.end(), tensor.rank()) != ranks.end()) return &tensor;
    }
  return nullptr;
}

Result<Detections> find_detections(std::span<const std::pair<std::string, Value>> outputs,
                                   int picture_height, int picture_width) {
  const Tensor* boxes =
      find_output(outputs, {"detection_boxes", "nmsed_boxes", "boxes"}, {2, 3, 4});
  const Tensor* scores =
      find_output(outputs, {"detection_scores", "nmsed_scores", "scores", "score"}, {1, 2});
  const Tensor* classes = find_output(
      outputs, {"detection_classes", "nmsed_classes", "classes", "class", "labels"}, {1, 2});
  const Tensor* count = find_output(outputs, {"num_detections", "num"}, {0, 1, 2});
  if (boxes == nullptr || scores == nullptr || classes == nullptr) {
    std::string names;
    for (const auto& [name, value] : outputs)
      names += fmt::format("{}`{}`", names.empty() ? "" : ", ", name);
    return make_error(
        "there is nothing to draw: outputs named like detection_boxes, detection_scores and "
        "detection_classes are wanted, the model gives {}",
        names);
  }
  const std::int64_t rows = scores->dim(scores->rank() - 1);
  if (boxes->dim(boxes->rank() - 1) != 4 || boxes->size() < 4 * rows || classes->size() < rows)
    return make_error("there is nothing to draw: boxes are {}, scores {}, classes {}",
                      to_string(boxes->shape()), to_string(scores->shape()),
                      to_string(classes->shape()));
  // Rows of the first picture of the batch.
  std::int64_t held = rows;
  if (count != nullptr && count->size() > 0)
    held = std::clamp<std::int64_t>(count->integer(0), 0, rows);
  Detections out;
  bool pixels = false, zero = false;
  for (std::int64_t i = 0; i < held; ++i) {
    Detection item;
    item.top = boxes->number(4 * i);
    item.left = boxes->number(4 * i + 1);
    item.bottom = boxes->number(4 * i + 2);
    item.right = boxes->number(4 * i + 3);
    item.score = scores->number(i);
    item.category = static_cast<int>(std::clamp(classes->number(i), -1e6, 1e6));
    pixels = pixels || std::max(item.bottom, item.right) > 2;
    zero = zero || item.category == 0;
    out.items.push_back(item);
  }
  if (pixels)
    for (Detection& item : out.items) {
      item.top /= picture_height;
      item.bottom /= picture_height;
      item.left /= picture_width;
      item.right /= picture_width;
    }
  // The plugin counts its classes from 0, the detection API's models theirs from 1.
  const bool plugin = std::any_of(outputs.begin(), outputs.end(), [&](const auto& output) {
    return output.second.is_tensor() && &output.second.tensor() == classes &&
           named(output.first, "nmsed");
  });
  out.first_class = plugin || zero ? 0 : 1;
  return out;
}

}  // namespace rulec
