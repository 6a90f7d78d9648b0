// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include <gtest/gtest.h>

#include "matcher/onnx_io.h"
#include "shared_models.h"

namespace rulec {
namespace {

std::string type_of(const Model& model, std::string_view name) {
  for (std::uint32_t i = 0; i < model.value_capacity(); ++i) {
    if (model.value(ValueId{i}).name == name) return to_string(model.value(ValueId{i}).type);
  }
  return "no such value";
}

Model infer(const char* text, std::vector<std::string>* warnings = nullptr) {
  auto model = import_onnx_text(text);
  EXPECT_TRUE(model) << model.error().message;
  std::vector<std::string> told;
  infer_types(*model, warnings != nullptr ? *warnings : told);
  EXPECT_TRUE(model->verify());
  return std::move(*model);
}

TEST(InferTypes, FollowsSymbolsAndComputedShapes) {
  const Model model = infer(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (float[N, 6] x) => (float[] y) <int64[1] zero = {0}, int64[1] rest = {2}, int64[1] three = {3}> {
      a = Relu(x)
      s = Shape(x)
      n = Gather(s, zero)
      t = Concat<axis = 0>(n, rest, three)
      y = Reshape(a, t)
    })");
  EXPECT_EQ(type_of(model, "a"), "f32[N,6]");
  EXPECT_EQ(type_of(model, "s"), "i64[2]");
  EXPECT_EQ(type_of(model, "t"), "i64[3]");
}

TEST(InferTypes, EntersBodies) {
  const Model model = infer(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (bool c, float[2, 3] x) => (float[2, 3] y) {
      y = If(c) <then_branch = t () => (float[] r) { r = Relu(x) },
                 else_branch = e () => (float[] q) { k = Abs(x) q = Neg(k) }>
    })");
  EXPECT_EQ(type_of(model, "r"), "f32[2,3]");
  EXPECT_EQ(type_of(model, "k"), "f32[2,3]");
}

TEST(InferTypes, EntersFunctions) {
  const Model model = infer(R"(
    <ir_version: 8, opset_import: ["" : 17, "mine" : 1]>
    main (float[2, 3] x, double[4] z) => (float[] y, double[] w) {
      y = mine.twice(x)
      w0 = mine.twice(z)
      w = Relu(w0)
    }
    <domain: "mine", opset_import: ["" : 17]>
    twice (a) => (b) { b = Add(a, a) })");
  EXPECT_EQ(type_of(model, "w0"), "f64[4]");
  EXPECT_EQ(type_of(model, "b"), "?");  // differs from call to call
}

TEST(InferTypes, KnowsPlugins) {
  const Model model = infer(R"(
    <ir_version: 8, opset_import: ["" : 13]>
    main (float[N, 8, 1, 4] boxes, float[N, 8, 3] scores) => (int32[N] n) {
      n, b, s, c = BatchedNMS_TRT<shareLocation = 1, backgroundLabelId = -1, numClasses = 3, topK = 8, keepTopK = 5, scoreThreshold = 0.5, iouThreshold = 0.5>(boxes, scores)
      a0, a1 = GridAnchor_TRT<aspectRatios = [1.0, 2.0, 0.5], featureMapShapes = [4, 2], variance = [0.1, 0.1, 0.2, 0.2], numLayers = 2>()
    })");
  EXPECT_EQ(type_of(model, "b"), "f32[N,5,4]");
  EXPECT_EQ(type_of(model, "c"), "f32[N,5]");
  EXPECT_EQ(type_of(model, "a0"), "f32[2,192,1]");
  EXPECT_EQ(type_of(model, "a1"), "f32[2,64,1]");
}

TEST(InferTypes, DeclaredInterfacesStay) {
  const Model model = infer(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (float[2, 3] x) => (float[A, B] y) { y = Relu(x) })");
  EXPECT_EQ(type_of(model, "y"), "f32[A,B]");
}

TEST(InferTypes, GoesOnAfterAFailure) {
  std::vector<std::string> warnings;
  const Model model = infer(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (float[2, 3] x, float[5] z) => (float[] y, float[] w) {
      y = MatMul(x, z)
      v = Relu(z)
      u = Unheard(x)
      w = Conv(v)
      t = DepthToSpace<blocksize = 0>(x)
    })",
                            &warnings);
  EXPECT_EQ(type_of(model, "v"), "f32[5]");
  EXPECT_EQ(warnings.size(), 3u);
}

// ONNX's function for Squeeze fails with the shape of a scalar in its hands.
TEST(InferTypes, AFailureLeavesNoShape) {
  std::vector<std::string> warnings;
  const Model model = infer(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (float[2, 3] x) => (float[] y) <int64[1] first = {0}> {
      s = Squeeze(x, first)
      y = Relu(s)
    })",
                            &warnings);
  EXPECT_EQ(type_of(model, "s"), "f32[...]");
  EXPECT_EQ(warnings.size(), 1u);
}

TEST(InferTypes, FunctionsThatCallThemselvesEnd) {
  std::vector<std::string> warnings;
  infer(R"(
    <ir_version: 8, opset_import: ["" : 17, "mine" : 1]>
    main (float[2, 3] x) => (float[] y) { y = mine.f(x) }
    <domain: "mine", opset_import: ["" : 17, "mine" : 1]>
    f (a) => (b) { b = mine.f(a) })",
        &warnings);
  EXPECT_FALSE(warnings.empty());
}

TEST(InferTypes, FreshSymbolsDoNotMeetOldOnes) {
  std::vector<std::string> warnings;
  Model model = infer(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (float[unk__7, 3] x) => (int64[] y) { y0 = NonZero(x) y = Identity(y0) })");
  EXPECT_EQ(type_of(model, "y0"), "i64[2,unk__8]");
  infer_types(model, warnings);
  EXPECT_EQ(type_of(model, "y0"), "i64[2,unk__8]");
}

TEST(InferTypes, EverySharedModel) {
  RULEC_NEEDS_SHARED_MODELS();
  for (const auto& path : shared_models()) {
    auto model = import_onnx(path);
    ASSERT_TRUE(model) << model.error().message;
    std::vector<std::string> warnings;
    infer_types(*model, warnings);
    const Status status = model->verify();
    EXPECT_TRUE(status) << path << ": " << status.error().message;
  }
}

}  // namespace
}  // namespace rulec
