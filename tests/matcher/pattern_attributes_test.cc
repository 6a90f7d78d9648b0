// SPDX-License-Identifier: Apache-2.0
// docs/language.md, "Patterns", attributes: defaults, axes, captures, and what is an attribute in
// one opset and an operand in another.
#include <gtest/gtest.h>

#include "tests/support/rewriting.h"

namespace rulec::test {

TEST(Pattern, AttributesCompareWithTheirDefaults) {
  const std::string rule = "rule r: LeakyRelu(x){alpha = 0.01} -> Relu(x)";
  EXPECT_EQ(firings("g (float[3] x) => (float[3] y) { y = LeakyRelu(x) }", rule), 1U);
  EXPECT_EQ(firings("g (float[3] x) => (float[3] y) { y = LeakyRelu<alpha = 0.01>(x) }", rule), 1U);
  EXPECT_EQ(firings("g (float[3] x) => (float[3] y) { y = LeakyRelu<alpha = 0.2>(x) }", rule), 0U);
  // One that the opset does not have yet counts as its later default.
  EXPECT_EQ(firings("g (float[3] x) => (float16[3] y) { y = Cast<to = 10>(x) }",
                    "rule r: Cast(x){to = f16, saturate = 1} -> Cast(x){to = f16}", 13),
            1U);
}

TEST(Pattern, AxesCompareByTheRank) {
  const std::string rule = "rule r: Softmax(x){axis = -1} -> Exp(x)";
  EXPECT_EQ(firings("g (float[2,3] x) => (float[2,3] y) { y = Softmax<axis = 1>(x) }", rule), 1U);
  EXPECT_EQ(firings("g (float[2,3] x) => (float[2,3] y) { y = Softmax<axis = 0>(x) }", rule), 0U);
  const std::string sum =
      "rule r: ReduceSum(x){axes = [-1, 0], keepdims = 0} -> ReduceMax(x){keepdims = 0}";
  EXPECT_EQ(firings("g (float[2,3] x) => (float y) <int64[2] a = {0, 1}> "
                    "{ y = ReduceSum<keepdims = 0>(x, a) }",
                    sum),
            1U)
      << "axes are a set";
}

TEST(Pattern, AttributesBindAndSpread) {
  const auto out = rewritten(
      "g (float[1,1,4,4] x, float[1,1,3,3] w) => (float[1,1,4,4] y) "
      "{ c = Conv<pads = [1,1,1,1], group = 1>(x, w) y = Relu(c) }",
      "rule r: Relu(Conv(x, w){pads = p, ..rest}) -> Conv(x, w){pads = p, ..rest}");
  EXPECT_EQ(out.ops(), "Conv") << out.misses();
  // A name bound twice is one value.
  const std::string same = "rule r: Softmax(LogSoftmax(x){axis = a}){axis = a} -> Exp(x)";
  EXPECT_EQ(firings("g (float[2,3] x) => (float[2,3] y) "
                    "{ a = LogSoftmax<axis = 1>(x) y = Softmax<axis = 1>(a) }",
                    same),
            1U);
  EXPECT_EQ(firings("g (float[2,3] x) => (float[2,3] y) "
                    "{ a = LogSoftmax<axis = 0>(x) y = Softmax<axis = 1>(a) }",
                    same),
            0U);
}

TEST(Pattern, MovedOperandsAreWrittenTheSameEverywhere) {
  // Squeeze's axes: an attribute before 13, an input from 13 on.
  const std::string rule = "rule r: Squeeze(x){axes = [0]} -> Reshape(x, [3])";
  EXPECT_EQ(firings("g (float[1,3] x) => (float[3] y) { y = Squeeze<axes = [0]>(x) }", rule, 11),
            1U);
  EXPECT_EQ(firings("g (float[1,3] x) => (float[3] y) <int64[1] a = {0}> { y = Squeeze(x, a) }",
                    rule, 13),
            1U);
  // In its input position too.
  const std::string place = "rule r: Squeeze(x, [0]) -> Reshape(x, [3])";
  EXPECT_EQ(firings("g (float[1,3] x) => (float[3] y) { y = Squeeze<axes = [0]>(x) }", place, 11),
            1U);
  EXPECT_EQ(firings("g (float[1,3] x) => (float[3] y) <int64[1] a = {0}> { y = Squeeze(x, a) }",
                    place, 13),
            1U);
  // One that the model computes is matched by no attribute.
  EXPECT_EQ(firings("g (float[1,3] x, int64[1] a) => (float[3] y) { y = Squeeze(x, a) }",
                    "rule r: Squeeze(x){axes = a} -> Reshape(x, [3])", 13),
            0U);
}

TEST(Pattern, AnOperandInBracesTakesNoPlace) {
  const std::string rule =
      "rule r: Relu(Pad(x, 0){pads = p, mode = \"constant\"}) -> Pad(Relu(x), 0){pads = p}";
  const std::string head =
      "g (float[2] x) => (float[4] y) <int64[2] p = {1, 1}, float z = {0}, float o = {1}> ";
  EXPECT_EQ(rewritten(head + "{ a = Pad(x, p, z) y = Relu(a) }", rule).ops(), "Relu Pad");
  EXPECT_EQ(rewritten(head + "{ a = Pad(x, p) y = Relu(a) }", rule).ops(), "Relu Pad")
      << "an absent value is its default";
  EXPECT_EQ(firings(head + "{ a = Pad(x, p, o) y = Relu(a) }", rule), 0U);
  const std::string old = "g (float[2] x) => (float[4] y) ";
  EXPECT_EQ(firings(old + "{ a = Pad<pads = [1, 1]>(x) y = Relu(a) }", rule, 9), 1U);
  EXPECT_EQ(firings(old + "{ a = Pad<pads = [1, 1], value = 1.0>(x) y = Relu(a) }", rule, 9), 0U);
  // The value is known by the name of the input, too.
  const std::string named = "rule r: Relu(Pad(x){pads = p, constant_value = 0}) -> Relu(x)";
  EXPECT_EQ(firings(head + "{ a = Pad(x, p, o) y = Relu(a) }", named), 0U);
  const auto five =
      rewritten(head + "{ y = Pad(x, p, z) }", "rule r: Pad(x){pads = p} -> Pad(x, 5){pads = p}");
  ASSERT_EQ(five.ops(), "Pad") << five.misses();
  const GraphNode& pad = five.model.node(five.model.nodes(five.model.main()).front());
  ASSERT_EQ(pad.inputs.size(), 3U);
  EXPECT_EQ(five.model.constant(pad.inputs[2])->number(0), 5) << "nothing is dropped";
}

TEST(Pattern, ScalesOfAResizeCountAsAnAttribute) {
  const std::string rule = "rule r: Resize(x){scales = [1, 1], ..a} -> Relu(x)";
  EXPECT_EQ(
      firings("g (float[2,3] x) => (float[2,3] y) <float[2] s = {1, 1}> { y = Resize(x, , s) }",
              rule),
      1U);
  EXPECT_EQ(
      firings("g (float[2,3] x) => (float[2,6] y) <float[2] s = {1, 2}> { y = Resize(x, , s) }",
              rule),
      0U);
  EXPECT_EQ(firings("g (float[2,3] x) => (float[2,3] y) <float[2] s = {1, 1}> { y = Resize(x, s) }",
                    rule, 10),
            1U);
  EXPECT_EQ(
      firings("g (float[2,3] x) => (float[2,3] y) <int64[2] s = {2, 3}> { y = Resize(x, , , s) }",
              "rule r: Resize(x){sizes = s} -> Relu(x) where s = shape(x)"),
      1U);
}

}  // namespace rulec::test
