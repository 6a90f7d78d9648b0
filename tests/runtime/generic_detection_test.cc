// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include "tests/runtime/kernel_call.h"

namespace rulec::generic {

// Three boxes: 0 and 1 overlap by more than half, 2 stands apart.
static Tensor three_boxes() {
  return f32({1, 3, 4}, {0, 0, 1, 1, 0, 0.1F, 1, 1.1F, 0, 10, 1, 11});
}

static KernelCall nms(Tensor boxes, Tensor scores, std::int64_t most, float iou, float score) {
  KernelCall call("NonMaxSuppression", 11);
  call.input(std::move(boxes)).input(std::move(scores)).input(i64({1}, {most}));
  call.input(f32({1}, {iou})).input(f32({1}, {score}));
  return call;
}

TEST(NonMaxSuppression, EqualScoresKeepTheLowerIndex) {
  const auto out = nms(three_boxes(), f32({1, 1, 3}, {0.5F, 0.5F, 0.5F}), 3, 0.5F, 0).run();
  EXPECT_EQ(numbers(out[0]), (std::vector<double>{0, 0, 0, 0, 0, 2}));
}

TEST(NonMaxSuppression, BetterScoresComeFirst) {
  const auto out = nms(three_boxes(), f32({1, 1, 3}, {0.5F, 0.6F, 0.9F}), 3, 0.5F, 0).run();
  EXPECT_EQ(numbers(out[0]), (std::vector<double>{0, 0, 2, 0, 0, 1}));
}

TEST(NonMaxSuppression, ThresholdsAreStrict) {
  // Boxes of area 1 that share one half: the IoU is exactly 1/3.
  const Tensor boxes = f32({1, 2, 4}, {0, 0, 1, 1, 0, 0.5F, 1, 1.5F});
  const Tensor scores = f32({1, 1, 2}, {0.75F, 0.5F});
  EXPECT_EQ(shape_of(nms(boxes, scores, 2, 1.0F / 3, 0).run()[0]), (Shape{2, 3}));
  EXPECT_EQ(shape_of(nms(boxes, scores, 2, 0.33F, 0).run()[0]), (Shape{1, 3}));
  EXPECT_EQ(shape_of(nms(boxes, scores, 2, 0.9F, 0.5F).run()[0]), (Shape{1, 3}));
}

TEST(NonMaxSuppression, WithoutLimitThereIsNothing) {
  const auto out = KernelCall("NonMaxSuppression", 11)
                       .input(three_boxes())
                       .input(f32({1, 1, 3}, {1, 1, 1}))
                       .run();
  EXPECT_EQ(shape_of(out[0]), (Shape{0, 3}));
}

TEST(NonMaxSuppression, WithoutScoreThresholdNegativeScoresCount) {
  const auto out = KernelCall("NonMaxSuppression", 11)
                       .input(three_boxes())
                       .input(f32({1, 1, 3}, {-3, -2, -1}))
                       .input(i64({1}, {3}))
                       .run();
  EXPECT_EQ(numbers(out[0]), (std::vector<double>{0, 0, 2, 0, 0, 1}));
}

TEST(NonMaxSuppression, FlippedCornersAndCenters) {
  const Tensor flipped = f32({1, 2, 4}, {1, 1, 0, 0, 0, 0.1F, 1, 1.1F});
  const Tensor scores = f32({1, 1, 2}, {0.9F, 0.8F});
  EXPECT_EQ(shape_of(nms(flipped, scores, 2, 0.5F, 0).run()[0]), (Shape{1, 3}));
  const Tensor centers = f32({1, 2, 4}, {0.5F, 0.5F, 1, 1, 0.5F, 0.6F, 1, 1});
  EXPECT_EQ(shape_of(nms(centers, scores, 2, 0.5F, 0).integer("center_point_box", 1).run()[0]),
            (Shape{1, 3}));
}

TEST(NonMaxSuppression, NinetyClassesOfAnSsdTakeLessThanASecond) {
  constexpr std::int64_t classes = 90, boxes = 1917;
  std::vector<float> corners, scores;
  std::uint32_t state = 1;
  const auto next = [&] {
    state = state * 1664525U + 1013904223U;
    return static_cast<float>(state >> 8) / static_cast<float>(1 << 24);
  };
  for (std::int64_t i = 0; i < boxes; ++i) {
    const float y = next(), x = next();
    corners.insert(corners.end(), {y, x, y + next() * 0.2F, x + next() * 0.2F});
  }
  for (std::int64_t i = 0; i < classes * boxes; ++i)
    scores.push_back(next());
  const auto start = std::chrono::steady_clock::now();
  const auto out =
      nms(f32({1, boxes, 4}, corners), f32({1, classes, boxes}, scores), 100, 0.6F, 0.01F).run();
  EXPECT_EQ(shape_of(out[0]), (Shape{classes * 100, 3}));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(RoiAlign, AverageAndMaximumOfOnePixel) {
  KernelCall call("RoiAlign", 16);
  call.input(f32({1, 1, 2, 2}, {1, 2, 3, 4}))
      .input(f32({1, 4}, {0, 0, 2, 2}))
      .input(i64({1}, {0}))
      .integer("sampling_ratio", 1);
  EXPECT_EQ(numbers(call.run()[0]), std::vector<double>{2.5});
  // Over the weighted neighbours: 4 · 1/4.
  EXPECT_EQ(numbers(call.text("mode", "max").run()[0]), std::vector<double>{1});
}

}  // namespace rulec::generic
