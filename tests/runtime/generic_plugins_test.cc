// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cmath>

#include "tests/runtime/kernel_call.h"

namespace rulec::generic {

// One image, boxes shared by the classes; defaults that a test changes.
static KernelCall batched(Tensor boxes, Tensor scores, std::int64_t classes, std::int64_t top_k,
                          std::int64_t keep_top_k, const std::string& type = "BatchedNMS_TRT") {
  KernelCall call(type);
  call.input(std::move(boxes)).input(std::move(scores)).outputs(4);
  call.integer("shareLocation", 1).integer("backgroundLabelId", -1);
  call.integer("numClasses", classes).integer("topK", top_k).integer("keepTopK", keep_top_k);
  call.number("scoreThreshold", 0.1F).number("iouThreshold", 0.5F);
  call.integer("isNormalized", 1).integer("clipBoxes", 0);
  return call;
}

static Tensor apart() {  // three boxes that do not touch
  return f32({1, 3, 1, 4}, {0, 0, 1, 1, 2, 0, 3, 1, 4, 0, 5, 1});
}

TEST(BatchedNms, TiesTakeTheLowerBoxThenTheLowerClass) {
  const auto out =
      batched(apart(), f32({1, 3, 2}, {0.5F, 0.5F, 0.5F, 0.5F, 0.9F, 0.5F}), 2, 3, 3).run();
  EXPECT_EQ(shape_of(out[0]), Shape{1});
  EXPECT_EQ(numbers(out[0]), std::vector<double>{3});
  EXPECT_EQ(numbers(out[1]), (std::vector<double>{4, 0, 5, 1, 0, 0, 1, 1, 2, 0, 3, 1}));
  EXPECT_EQ(numbers(out[3]), (std::vector<double>{0, 0, 0}));
}

TEST(BatchedNms, OnlyTheDynamicFormCountsInAColumn) {
  const Tensor scores = f32({1, 3, 1}, {0.5F, 0.4F, 0.05F});
  const auto fixed = batched(apart(), scores, 1, 3, 3).run();
  const auto dynamic = batched(apart(), scores, 1, 3, 3, "BatchedNMSDynamic_TRT").run();
  EXPECT_EQ(shape_of(fixed[0]), Shape{1});
  EXPECT_EQ(shape_of(dynamic[0]), (Shape{1, 1}));
  EXPECT_EQ(dynamic[0].tensor().dtype(), DType::I32);
  EXPECT_EQ(dynamic[3].tensor().dtype(), DType::F32);
  EXPECT_EQ(numbers(dynamic[3]), (std::vector<double>{0, 0, -1}));
  EXPECT_EQ(numbers(dynamic[2])[2], 0);
}

TEST(BatchedNms, ScoresMustExceedTheThreshold) {
  const auto out = batched(apart(), f32({1, 3, 1}, {0.1F, 0.2F, 0.1F}), 1, 3, 3).run();
  EXPECT_EQ(numbers(out[0]), std::vector<double>{1});
}

TEST(BatchedNms, TheBackgroundIsLeftOut) {
  auto call = batched(apart(), f32({1, 3, 2}, {0.9F, 0.2F, 0.9F, 0.3F, 0.9F, 0.4F}), 2, 3, 3);
  EXPECT_EQ(numbers(call.integer("backgroundLabelId", 0).run()[3]), (std::vector<double>{1, 1, 1}));
}

TEST(BatchedNms, TopKCountsTheCandidatesOfEachClass) {
  // With one candidate a class the better two boxes of class 0 cannot both come.
  const Tensor scores = f32({1, 3, 2}, {0.9F, 0.2F, 0.8F, 0.3F, 0.7F, 0.4F});
  const auto out = batched(apart(), scores, 2, 1, 1).run();
  EXPECT_EQ(numbers(out[0]), std::vector<double>{1});
  EXPECT_EQ(numbers(batched(apart(), scores, 2, 2, 2).run()[3]), (std::vector<double>{0, 0}));
}

TEST(BatchedNms, MoreCandidatesThanBoxesDoNotSpillIntoTheNextClass) {
  const Tensor scores = f32({1, 3, 2}, {0.9F, 0.2F, 0.8F, 0.3F, 0.7F, 0.4F});
  const auto out = batched(apart(), scores, 2, 100, 10).run();
  EXPECT_EQ(numbers(out[0]), std::vector<double>{6});
  EXPECT_EQ(numbers(out[3]), (std::vector<double>{0, 0, 0, 1, 1, 1, -1, -1, -1, -1}));
}

TEST(BatchedNms, RefusesWhatTensorRtLeavesOpen) {
  const Tensor scores = f32({1, 3, 1}, {0.5F, 0.4F, -0.3F});
  EXPECT_NE(batched(apart(), scores, 1, 5000, 3).error().find("topK is 5000"), std::string::npos);
  EXPECT_NE(batched(apart(), scores, 1, 3, 4).error().find("keepTopK is 4"), std::string::npos);
  KernelCall open("BatchedNMS_TRT");
  open.input(apart()).input(scores).integer("shareLocation", 1).integer("backgroundLabelId", -1);
  open.integer("numClasses", 1).integer("topK", 3).integer("keepTopK", 3);
  open.number("scoreThreshold", 0.1F).number("iouThreshold", 0.5F);
  EXPECT_NE(open.error().find("isNormalized is not given"), std::string::npos);
  auto negative = batched(apart(), scores, 1, 3, 3);
  EXPECT_NE(negative.number("scoreThreshold", -1).error().find("negative"), std::string::npos);
  auto flag = batched(apart(), scores, 1, 3, 3);
  EXPECT_NE(flag.integer("clipBoxes", 256).error().find("first byte"), std::string::npos);
  auto integer = batched(apart(), scores, 1, 3, 3);
  EXPECT_NE(integer.integer("iouThreshold", 1).error().find("float"), std::string::npos);
}

TEST(BatchedNms, ClippingToTheUnitSquareIgnoresPixels) {
  auto call = batched(apart(), f32({1, 3, 1}, {0.3F, 0.2F, 0.9F}), 1, 3, 1);
  call.integer("isNormalized", 0).integer("clipBoxes", 1);
  EXPECT_EQ(numbers(call.run()[1]), (std::vector<double>{1, 0, 1, 1}));
}

TEST(BatchedNms, PixelBoxesAreOneLarger) {
  // Two 10×10 boxes that share 5 columns: 1/3 when normalised; with the extra pixel
  // 6·11 / (2·121 - 66) = 0.375.
  const Tensor boxes = f32({1, 2, 1, 4}, {0, 0, 10, 10, 5, 0, 15, 10});
  const Tensor scores = f32({1, 2, 1}, {0.9F, 0.8F});
  auto call = batched(boxes, scores, 1, 2, 2);
  call.number("iouThreshold", 0.35F);
  EXPECT_EQ(numbers(call.run()[0]), std::vector<double>{2});
  call.integer("isNormalized", 0);
  EXPECT_EQ(numbers(call.run()[0]), std::vector<double>{1});
  // Without Caffe's semantics the intersection loses the pixel, the areas keep it: 50 / 192.
  call.integer("caffeSemantics", 0);
  EXPECT_EQ(numbers(call.run()[0]), std::vector<double>{2});
}

TEST(BatchedNms, BoxesOfEachClass) {
  // Class 1 has its boxes on top of one another, class 0 apart.
  const Tensor boxes = f32({1, 2, 2, 4}, {0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 0, 0, 1, 1});
  auto call = batched(boxes, f32({1, 2, 2}, {0.9F, 0.8F, 0.7F, 0.6F}), 2, 2, 4 - 2);
  call.integer("shareLocation", 0).integer("topK", 4).integer("keepTopK", 4);
  const auto out = call.run();
  EXPECT_EQ(numbers(out[0]), std::vector<double>{3});
  EXPECT_EQ(numbers(out[3]), (std::vector<double>{0, 1, 0, -1}));
}

TEST(BatchedNms, ReversedCornersKeepTheirOrder) {
  const Tensor boxes = f32({1, 2, 1, 4}, {1, 1, 0, 0, 0, 0, 1, 1});
  const auto out = batched(boxes, f32({1, 2, 1}, {0.9F, 0.8F}), 1, 2, 2).run();
  EXPECT_EQ(numbers(out[0]), std::vector<double>{1});
  EXPECT_EQ(numbers(out[1]), (std::vector<double>{1, 1, 0, 0, 0, 0, 0, 0}));
}

TEST(BatchedNms, FewScoreBitsMakeCoarserTies) {
  const Tensor boxes = convert(apart(), DType::F16);
  const Tensor scores = convert(f32({1, 3, 1}, {0.50F, 0.51F, 0.9F}), DType::F16);
  auto call = batched(boxes, scores, 1, 3, 3);
  EXPECT_NEAR(numbers(call.run()[2])[1], 0.51, 1e-3);
  call.integer("scoreBits", 2);  // quarters: 0.50 and 0.51 are one
  EXPECT_NEAR(numbers(call.run()[2])[1], 0.50, 1e-3);
}

static KernelCall efficient(Tensor boxes, Tensor scores, std::int64_t most, float score,
                            float iou) {
  KernelCall call("EfficientNMS_TRT");
  call.input(std::move(boxes)).input(std::move(scores)).outputs(4);
  call.number("score_threshold", score).number("iou_threshold", iou);
  call.integer("max_output_boxes", most).integer("background_class", -1);
  call.integer("score_activation", 0).integer("box_coding", 0);
  return call;
}

TEST(EfficientNms, ThresholdsAreNotStrict) {
  const Tensor boxes = f32({1, 2, 4}, {0, 0, 1, 1, 0.5F, 0, 1.5F, 1});  // IoU 1/3
  const Tensor scores = f32({1, 2, 1}, {0.5F, 0.75F});
  EXPECT_EQ(numbers(efficient(boxes, scores, 2, 0.5F, 0.34F).run()[0]), std::vector<double>{2});
  const Tensor halves = f32({1, 2, 4}, {0, 0, 1, 2, 0, 0, 1, 1});  // IoU exactly 1/2
  const auto out = efficient(halves, scores, 2, 0.5F, 0.5F).run();
  EXPECT_EQ(numbers(out[0]), std::vector<double>{1});
  EXPECT_EQ(out[3].tensor().dtype(), DType::I32);
  EXPECT_EQ(shape_of(out[0]), (Shape{1, 1}));
}

TEST(EfficientNms, LowThresholdsKeepEverything) {
  const Tensor boxes = f32({1, 2, 4}, {0, 0, 1, 1, 2, 0, 3, 1});
  const auto out = efficient(boxes, f32({1, 2, 1}, {0.5F, 0.001F}), 2, 0.005F, 0.5F).run();
  EXPECT_EQ(numbers(out[0]), std::vector<double>{2});
  EXPECT_EQ(numbers(out[2])[1], -32768);
}

TEST(EfficientNms, ClassAgnosticAndBackground) {
  const Tensor boxes = f32({1, 1, 4}, {0, 0, 1, 1});
  auto call = efficient(boxes, f32({1, 1, 3}, {0.9F, 0.8F, 0.7F}), 3, 0.5F, 0.5F);
  EXPECT_EQ(numbers(call.run()[0]), std::vector<double>{3});
  call.integer("background_class", 0);
  EXPECT_EQ(numbers(call.run()[3]), (std::vector<double>{1, 2, 0}));
  call.integer("class_agnostic", 1);
  EXPECT_EQ(numbers(call.run()[0]), std::vector<double>{1});
}

TEST(EfficientNms, DecodesAnchorsAndGivesCorners) {
  auto call = efficient(f32({1, 1, 4}, {0.5F, 0, 0, 0}), f32({1, 1, 1}, {0}), 1, 0.25F, 0.5F);
  call.input(f32({1, 1, 4}, {10, 20, 4, 2})).integer("box_coding", 1);
  call.integer("score_activation", 1);
  const auto out = call.run();
  EXPECT_EQ(numbers(out[1]), (std::vector<double>{10, 19, 14, 21}));
  EXPECT_EQ(numbers(out[2]), std::vector<double>{0.5});
}

TEST(EfficientNmsOnnx, RepeatsTheLastRow) {
  KernelCall call("EfficientNMS_ONNX_TRT");
  call.input(f32({1, 2, 4}, {0, 0, 1, 1, 2, 0, 3, 1})).input(f32({1, 2, 1}, {0.6F, 0.9F}));
  call.number("score_threshold", 0.5F).number("iou_threshold", 0.5F);
  call.integer("max_output_boxes_per_class", 3).integer("center_point_box", 0);
  EXPECT_EQ(numbers(call.run()[0]), (std::vector<double>{0, 0, 1, 0, 0, 0, 0, 0, 0}));
}

TEST(NmsTrt, DecodesSsdBoxesAndCountsInBits) {
  KernelCall call("NMS_TRT");
  call.input(f32({1, 4, 1, 1}, {0, 0, 0, 0})).input(f32({1, 2, 1, 1}, {0.1F, 0.9F}));
  call.input(f32({1, 2, 4, 1}, {0.25F, 0.25F, 0.75F, 0.75F, 0.1F, 0.1F, 0.2F, 0.2F}));
  call.attribute("inputOrder", std::vector<std::int64_t>{0, 1, 2}).outputs(2);
  call.integer("shareLocation", 1).integer("varianceEncodedInTarget", 0);
  call.integer("backgroundLabelId", 0).integer("numClasses", 2).integer("topK", 2);
  call.integer("keepTopK", 2).number("confidenceThreshold", 0.2F).number("nmsThreshold", 0.5F);
  call.integer("confSigmoid", 0).integer("isNormalized", 1).integer("codeType", 3);
  const auto out = call.run();
  const auto rows = numbers(out[0]);
  EXPECT_EQ(shape_of(out[0]), (Shape{1, 1, 2, 7}));
  EXPECT_EQ(std::vector<double>(rows.begin() + 3, rows.begin() + 7),
            (std::vector<double>{0.25, 0.25, 0.75, 0.75}));
  EXPECT_EQ(rows[1], 1);
  EXPECT_EQ(rows[8], -1);
  EXPECT_EQ(std::bit_cast<std::int32_t>(out[1].tensor().data<float>()[0]), 1);
}

TEST(GridAnchor, TheSsdOf300PixelsHas1917Priors) {
  KernelCall call("GridAnchor_TRT");
  call.attribute("aspectRatios", std::vector<float>{1, 2, 0.5F, 3, 0.33F});
  call.attribute("featureMapShapes", std::vector<std::int64_t>{19, 10, 5, 3, 2, 1});
  call.attribute("variance", std::vector<float>{0.1F, 0.1F, 0.2F, 0.2F});
  call.number("minSize", 0.2F).number("maxSize", 0.95F).integer("numLayers", 6).outputs(6);
  const auto out = call.run();
  ASSERT_EQ(out.size(), 6U);
  std::int64_t priors = 0;
  for (const Value& layer : out)
    priors += layer.tensor().size() / 8;
  EXPECT_EQ(priors, 1917);
  // The first box: scale 0.1, ratio 1, at the centre of the first of 19 cells.
  EXPECT_NEAR(out[0].tensor().number(0), 0.5 / 19 - 0.05, 1e-7);
  // The last: ratio 1 with sqrt(0.95 · 1).
  const Tensor& last = out[5].tensor();
  EXPECT_EQ(last.shape(), (Shape{2, 24, 1}));
  EXPECT_NEAR(last.number(20), 0.5 - 0.5 * std::sqrt(0.95), 1e-6);
  EXPECT_EQ(last.number(24), static_cast<double>(0.1F));
  EXPECT_NE(call.integer("numLayers", 1).error().find("numLayers"), std::string::npos);
}

TEST(OtherPlugins, FlattenConcatAndResizeNearest) {
  const auto flat = KernelCall("FlattenConcat_TRT")
                        .input(f32({1, 2, 1, 1}, {1, 2}))
                        .input(f32({1, 1, 1, 3}, {3, 4, 5}))
                        .run();
  EXPECT_EQ(shape_of(flat[0]), (Shape{1, 5, 1, 1}));
  const auto big =
      KernelCall("ResizeNearest_TRT").input(f32({1, 1, 1, 2}, {1, 2})).number("scale", 2).run();
  EXPECT_EQ(numbers(big[0]), (std::vector<double>{1, 1, 2, 2, 1, 1, 2, 2}));
}

}  // namespace rulec::generic
