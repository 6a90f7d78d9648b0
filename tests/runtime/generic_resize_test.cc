// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/kernel_call.h"

namespace rulec::generic {

using Numbers = std::vector<double>;

static KernelCall resize_by(Tensor in, std::vector<float> scales, int opset = 19) {
  KernelCall call("Resize", opset);
  const auto count = static_cast<std::int64_t>(scales.size());
  call.input(std::move(in)).absent().input(f32({count}, scales));
  return call;
}

static KernelCall resize_to(Tensor in, std::vector<std::int64_t> sizes) {
  KernelCall call("Resize", 19);
  const auto count = static_cast<std::int64_t>(sizes.size());
  call.input(std::move(in)).absent().absent().input(i64({count}, sizes));
  return call;
}

static Tensor ramp() {
  return f32({4}, {0, 1, 2, 3});
}

TEST(Resize, OldOpsetsFloorAsymmetricPositions) {
  KernelCall ten("Resize", 10);
  ten.input(ramp()).input(f32({1}, {1.5F}));
  EXPECT_EQ(numbers(ten.run()[0]), (Numbers{0, 0, 1, 2, 2, 3}));
  KernelCall nine("Upsample", 9);
  nine.input(ramp()).input(f32({1}, {2})).text("mode", "linear");
  EXPECT_EQ(numbers(nine.run()[0]), (Numbers{0, 0.5, 1, 1.5, 2, 2.5, 3, 3}));
  KernelCall seven("Upsample", 7);
  seven.input(ramp()).attribute("scales", std::vector<float>{2});
  EXPECT_EQ(numbers(seven.run()[0]), (Numbers{0, 0, 1, 1, 2, 2, 3, 3}));
}

TEST(Resize, SingleScalesMeetWholePositions) {
  // 1/3 in single precision is a little too large: position 1 must still be element 3.
  KernelCall call("Resize", 10);
  call.input(f32({9}, {0, 1, 2, 3, 4, 5, 6, 7, 8})).input(f32({1}, {1.0F / 3}));
  EXPECT_EQ(numbers(call.run()[0]), (Numbers{0, 3, 6}));
}

TEST(Resize, NearestModesPartAtHalves) {
  auto call = resize_by(ramp(), {0.5F});  // half-pixel positions 0.5 and 2.5
  EXPECT_EQ(numbers(call.run()[0]), (Numbers{0, 2}));
  EXPECT_EQ(numbers(call.text("nearest_mode", "round_prefer_ceil").run()[0]), (Numbers{1, 3}));
  EXPECT_EQ(numbers(call.text("nearest_mode", "floor").run()[0]), (Numbers{0, 2}));
  EXPECT_EQ(numbers(call.text("nearest_mode", "ceil").run()[0]), (Numbers{1, 3}));
}

TEST(Resize, CoordinateModes) {
  auto call = resize_by(ramp(), {0.5F});
  call.text("mode", "linear");
  EXPECT_EQ(numbers(call.run()[0]), (Numbers{0.5, 2.5}));
  EXPECT_EQ(numbers(call.text("coordinate_transformation_mode", "asymmetric").run()[0]),
            (Numbers{0, 2}));
  EXPECT_EQ(numbers(call.text("coordinate_transformation_mode", "align_corners").run()[0]),
            (Numbers{0, 3}));
  auto one = resize_to(ramp(), {1});
  one.text("mode", "linear");
  EXPECT_EQ(numbers(one.run()[0]), Numbers{1.5});
  EXPECT_EQ(numbers(one.text("coordinate_transformation_mode", "pytorch_half_pixel").run()[0]),
            Numbers{0});
}

TEST(Resize, CropAndResizeExtrapolates) {
  KernelCall call("Resize", 13);
  call.input(ramp()).input(f32({2}, {0, 2})).absent().input(i64({1}, {3}));
  call.text("mode", "linear").text("coordinate_transformation_mode", "tf_crop_and_resize");
  call.number("extrapolation_value", 9);
  EXPECT_EQ(numbers(call.run()[0]), (Numbers{0, 3, 9}));
}

TEST(Resize, CubicKeepsConstantsAndExcludesOutside) {
  auto call = resize_by(f32({4}, {2, 2, 2, 2}), {2});
  call.text("mode", "cubic");
  for (double value : numbers(call.run()[0]))
    EXPECT_DOUBLE_EQ(value, 2);
  call.integer("exclude_outside", 1);
  for (double value : numbers(call.run()[0]))
    EXPECT_DOUBLE_EQ(value, 2);
}

TEST(Resize, AntialiasingLooksAtAllPixels) {
  auto call = resize_by(f32({4}, {0, 0, 0, 8}), {0.25F});
  call.text("mode", "linear");
  EXPECT_EQ(numbers(call.run()[0]), Numbers{0});
  EXPECT_GT(numbers(call.integer("antialias", 1).run()[0])[0], 0);
}

TEST(Resize, AxesAndAspectRatio) {
  auto call = resize_to(f32({1, 2, 4}, {0, 1, 2, 3, 4, 5, 6, 7}), {6, 6});
  call.attribute("axes", std::vector<std::int64_t>{2, 1});
  EXPECT_EQ(shape_of(call.run()[0]), (Shape{1, 6, 6}));
  EXPECT_EQ(shape_of(call.text("keep_aspect_ratio_policy", "not_larger").run()[0]),
            (Shape{1, 3, 6}));
  EXPECT_EQ(shape_of(call.text("keep_aspect_ratio_policy", "not_smaller").run()[0]),
            (Shape{1, 6, 12}));
}

TEST(Resize, IntegersAreRoundedAndKept) {
  const std::vector<std::uint8_t> bytes = {0, 255};
  auto call = resize_to(Tensor::of<std::uint8_t>({2}, bytes), {4});
  call.text("mode", "cubic");
  const auto out = numbers(call.run()[0]);
  EXPECT_EQ(out.front(), 0);
  EXPECT_EQ(out.back(), 255);
}

TEST(Resize, RefusesWhatItCannotDo) {
  EXPECT_NE(resize_by(ramp(), {1, 2}).error().find("2 scales for 1 axes"), std::string::npos);
  EXPECT_NE(resize_by(ramp(), {-1}).error().find("a scale is -1"), std::string::npos);
  auto call = resize_by(ramp(), {2});
  EXPECT_NE(call.text("mode", "lanczos").error().find("lanczos"), std::string::npos);
}

}  // namespace rulec::generic
