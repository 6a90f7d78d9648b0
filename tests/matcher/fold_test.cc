// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "matcher/evaluate.h"
#include "matcher/onnx_io.h"

namespace rulec {
namespace {

std::optional<Tensor> folded(const char* text, std::int64_t max_elements = 1 << 20) {
  const auto model = import_onnx_text(text);
  EXPECT_TRUE(model) << model.error().message;
  return fold(*model, model->graph(model->main()).outputs[0], max_elements);
}

TEST(Fold, ComputesFromConstants) {
  const auto value = folded(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main () => (float[2] y) <float[2] w = {1, 2}> {
      c = Constant<value = float[2] {10, 20}>()
      s = Add(w, c)
      y = Mul(s, s)
    })");
  ASSERT_TRUE(value);
  EXPECT_EQ(value->numbers(), (std::vector<double>{121, 484}));
}

TEST(Fold, KnowsStaticShapes) {
  const auto value = folded(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (float[4, 6] x) => (int64[2] y) <int64[2] two = {2, 2}> {
      s = Shape(x)
      y = Div(s, two)
    })");
  ASSERT_TRUE(value);
  EXPECT_EQ(value->integers(), (std::vector<std::int64_t>{2, 3}));
  EXPECT_FALSE(folded(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (float[N, 6] x) => (int64[2] y) { y = Shape(x) })"));
  const auto part = folded(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (float[N, 6] x) => (int64[1] y) { y = Shape<start = 1>(x) })");
  ASSERT_TRUE(part);
  EXPECT_EQ(part->integers(), std::vector<std::int64_t>{6});
}

TEST(Fold, RefusesInputsAndChance) {
  EXPECT_FALSE(folded(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (float[2] x) => (float[2] y) { y = Neg(x) })"));
  EXPECT_FALSE(folded(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main () => (float[2] y) <float[2] w = {1, 2}> { y = RandomNormalLike(w) })"));
}

TEST(Fold, NeverBlowsUp) {
  EXPECT_FALSE(folded(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main () => (float[] y) <int64[2] s = {1000000, 1000000}> { y = ConstantOfShape(s) })"));
  EXPECT_FALSE(folded(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main () => (float[] y) <float[1] w = {1}, int64[1] s = {1000000000000}> { y = Expand(w, s) })"));
  EXPECT_FALSE(folded(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main () => (int64[] y) <int64 a = {0}, int64 b = {1000000000000}, int64 c = {1}> { y = Range(a, b, c) })"));
}

}  // namespace
}  // namespace rulec
