// SPDX-License-Identifier: Apache-2.0
#include "compiler/draw.h"

#include <array>

#include <gtest/gtest.h>

namespace rulec {
namespace {

using Outputs = std::vector<std::pair<std::string, Value>>;

Tensor floats(Shape shape, std::vector<float> values) {
  return Tensor::of<float>(std::move(shape), std::span<const float>(values));
}

Outputs two_detections() {
  return {{"detection_boxes", floats({1, 3, 4}, {0.1F, 0.2F, 0.5F, 0.6F,  //
                                                 0, 0, 1, 1,              //
                                                 9, 9, 9, 9})},
          {"detection_scores", floats({1, 3}, {0.9F, 0.4F, 0})},
          {"detection_classes", floats({1, 3}, {2, 1, 1})},
          {"num_detections", floats({1}, {2})}};
}

TEST(Draw, FindsDetectionsByName) {
  const auto found = find_detections(two_detections(), 100, 100);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->items.size(), 2U);
  EXPECT_NEAR(found->items[0].top, 0.1, 1e-6);
  EXPECT_NEAR(found->items[0].right, 0.6, 1e-6);
  EXPECT_EQ(found->items[0].category, 2);
  EXPECT_EQ(found->first_class, 1);
}

TEST(Draw, FindsThePluginsOutputs) {
  const Outputs outputs = {{"num_detections", Tensor::of<std::int32_t>({1, 1}, std::array{1})},
                           {"nmsed_boxes", floats({1, 2, 4}, {10, 20, 50, 60, 0, 0, 0, 0})},
                           {"nmsed_scores", floats({1, 2}, {0.7F, 0})},
                           {"nmsed_classes", floats({1, 2}, {3, 0})}};
  const auto found = find_detections(outputs, 100, 200);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->items.size(), 1U);
  EXPECT_NEAR(found->items[0].top, 0.1, 1e-9);  // pixels became parts of the picture
  EXPECT_NEAR(found->items[0].left, 0.1, 1e-9);
  EXPECT_EQ(found->first_class, 0);
}

TEST(Draw, SaysWhatIsMissing) {
  const auto found =
      find_detections(Outputs{{"logits", floats({1, 10}, std::vector<float>(10))}}, 100, 100);
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("`logits`"), std::string::npos);
  Outputs bad = two_detections();
  bad[0].second = floats({1, 2, 4}, std::vector<float>(8));
  EXPECT_FALSE(find_detections(bad, 100, 100));
}

TEST(Draw, LabelsCountFromTheFirstClass) {
  EXPECT_EQ(label_of(1, {"circle", "square"}, 1), "circle");
  EXPECT_EQ(label_of(0, {"circle", "square"}, 0), "circle");
  EXPECT_EQ(label_of(3, {"circle", "square"}, 1), "class 3");
  EXPECT_EQ(label_of(0, {"circle"}, 1), "class 0");
}

TEST(Draw, PaintsFramesWhereTheBoxesAre) {
  const Image picture{
      .height = 320, .width = 640, .rgb = std::vector<std::uint8_t>(3U * 320 * 640, 255)};
  const auto found = find_detections(two_detections(), 320, 640);
  ASSERT_TRUE(found);
  const Image out = draw_boxes(picture, *found, {"circle", "square"}, 0.5);
  EXPECT_EQ(out.height, 320);
  EXPECT_EQ(out.width, 640);
  const auto white = [&](int y, int x) {
    return out.pixel(y, x)[0] == 255 && out.pixel(y, x)[1] == 255 && out.pixel(y, x)[2] == 255;
  };
  EXPECT_FALSE(white(32, 200));   // the top edge of the first box: 0.1 * 320, 0.2 * 640 to 0.6
  EXPECT_FALSE(white(100, 128));  // its left edge
  EXPECT_FALSE(white(159, 300));  // its bottom edge
  EXPECT_TRUE(white(200, 20));
  EXPECT_TRUE(white(319, 639));  // the second one is below the threshold
  EXPECT_FALSE([&] {
    const Image both = draw_boxes(picture, *found, {}, 0.3);
    return both.pixel(319, 639)[0] == 255 && both.pixel(319, 639)[1] == 255;
  }());
}

TEST(Draw, OddDetectionsDoNotHurt) {
  const Image picture{.height = 10, .width = 10, .rgb = std::vector<std::uint8_t>(300, 0)};
  Detections odd;
  odd.items = {
      {.top = -5, .left = 2, .bottom = 7, .right = -1, .score = 1, .category = -3},
      {.top = 0.5, .left = 0.5, .bottom = 0.5, .right = 0.5, .score = 1, .category = 1000}};
  const Image out = draw_boxes(picture, odd, {}, 0);
  EXPECT_EQ(out.width, 640);  // small pictures are enlarged
}

}  // namespace
}  // namespace rulec
