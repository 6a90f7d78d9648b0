// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "matcher/label.h"
#include "tests/support/rewriting.h"

namespace rulec::test {

TEST(Rewrite, RemovesARepeatedNode) {
  const auto out = rewritten("g (float[N] x) => (float[N] y) { a = Relu(x) y = Relu(a) }",
                             "rule r exact: Relu(Relu(x)) -> Relu(x)");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.ops(), "Relu") << out.misses();
  EXPECT_EQ(out.model.value(out.model.graph(out.model.main()).outputs[0]).name, "y");
}

// The output's name goes over to what replaces it; messages keep calling the old one by it.
TEST(Rewrite, ANearMissIsToldByTheNamesOfTheModel) {
  const auto out =
      rewritten("g (float[N] x) => (float[N] y) { a = Relu(x) y = Neg(a) }",
                "rule near: Neg(Relu(x)) -> x where rank(x) = 7\nrule r: Neg(Relu(x)) -> Abs(x)");
  ASSERT_EQ(out.ops(), "Abs") << out.misses();
  ASSERT_FALSE(out.report.near_misses.empty());
  EXPECT_EQ(label(out.model, out.report.near_misses.front().root), "Neg → \"y\"");
}

TEST(Rewrite, AChainOfRepeatsBecomesOne) {
  const auto out = rewritten(
      "g (float[N] x) => (float[N] y) { a = Relu(x) b = Relu(a) c = Relu(b) y = Relu(c) }",
      "rule r exact: Relu(Relu(x)) -> Relu(x)");
  EXPECT_EQ(out.ops(), "Relu") << out.misses();
  // What a firing made is no root for the same rule, but may be the inside of a later match.
  EXPECT_EQ(out.report.firings.size(), 3U);
}

TEST(Rewrite, AnInteriorResultThatIsUsedElsewhereStays) {
  const auto out =
      rewritten("g (float[N] x) => (float[N] y, float[N] z) { a = Relu(x) y = Relu(a) z = Neg(a) }",
                "rule r exact: Relu(Relu(x)) -> Relu(x)");
  EXPECT_EQ(out.ops(), "Relu Relu Neg");
  EXPECT_NE(out.misses().find("use"), std::string::npos) << out.misses();
}

TEST(Rewrite, SharedPermitsTheOtherUse) {
  const auto out =
      rewritten("g (float[N] x) => (float[N] y, float[N] z) { a = Relu(x) y = Relu(a) z = Neg(a) }",
                "rule r exact: Relu(shared Relu(x)) -> Relu(x)");
  EXPECT_EQ(out.report.firings.size(), 1U) << out.misses();
}

TEST(Rewrite, ForwardingWantsAProof) {
  const std::string rule = "rule r exact: Reshape(x, _) -> x";
  const auto known = rewritten(
      "g (float[2,3] x) => (float[2,3] y) <int64[2] s = {2, 3}> { a = Reshape(x, s) y = Relu(a) }",
      rule);
  EXPECT_EQ(known.ops(), "Relu") << known.misses();
  const auto open = rewritten(
      "g (float[N,3] x, int64[2] s) => (float[A,B] y) { a = Reshape(x, s) y = Relu(a) }", rule);
  EXPECT_EQ(open.ops(), "Reshape Relu");
  EXPECT_NE(open.misses().find("type"), std::string::npos) << open.misses();
}

TEST(Rewrite, AZeroThatWidensIsNone) {
  const std::string rule = "rule r: Add(x, 0) -> x";
  const auto scalar = rewritten(
      "g (float[3] x) => (float[3] y) <float zero = {0}> { a = Add(x, zero) y = Relu(a) }", rule);
  EXPECT_EQ(scalar.ops(), "Relu") << scalar.misses();
  const auto wide = rewritten(
      "g (float[3] x) => (float[1,3] y) <float[1,1] zero = {0}> { a = Add(x, zero) y = Relu(a) }",
      rule);
  EXPECT_EQ(wide.ops(), "Add Relu");
}

TEST(Rewrite, CommutativeOperandsInEitherOrder) {
  const auto out = rewritten(
      "g (float[3] x) => (float[3] y) <float zero = {0}> { a = Add(zero, x) y = Relu(a) }",
      "rule r: Add(x, 0) -> x");
  EXPECT_EQ(out.ops(), "Relu") << out.misses();
  const auto pinned = rewritten(
      "g (float[3] x) => (float[3] y) <float zero = {0}> { a = Add(zero, x) y = Relu(a) }",
      "rule r: ordered Add(x, 0) -> x");
  EXPECT_EQ(pinned.ops(), "Add Relu");
}

TEST(Rewrite, FoldsBatchNormIntoAConvolution) {
  const auto out = rewritten(R"(g (float[1,1,3,3] x) => (float[1,1,3,3] y)
    <float[1,1,1,1] w = {2}, float[1] s = {3}, float[1] t = {1}, float[1] m = {4}, float[1] v = {0.25}>
    { c = Conv(x, w) y = BatchNormalization<epsilon = 0.0>(c, s, t, m, v) })",
                             R"(rule conv_bn:
  BatchNormalization(Conv(x, const w, const? b){..a}, const s, const t, const m, const v){epsilon = e, training_mode = 0}
  -> Conv(x, w * k.reshape(-1, 1...), ((b else 0) - m) * k + t){..a}
  let k = s / sqrt(v + e))");
  ASSERT_EQ(out.ops(), "Conv") << out.misses();
  const NodeId conv = out.model.first_node(out.model.main());
  const auto& inputs = out.model.node(conv).inputs;
  ASSERT_EQ(inputs.size(), 3U);
  EXPECT_EQ(out.model.constant(inputs[1])->number(0), 12);
  EXPECT_EQ(out.model.constant(inputs[1])->shape(), (Shape{1, 1, 1, 1}));
  EXPECT_EQ(out.model.constant(inputs[2])->number(0), -23);
  EXPECT_EQ(out.model.constant(inputs[2])->dtype(), DType::F32);
}

TEST(Rewrite, ComposesPermutations) {
  const auto out = rewritten(
      "g (float[2,3,4] x) => (float[B,C,D] y) { a = Transpose<perm = [2,0,1]>(x) "
      "y = Transpose<perm = [1,0,2]>(a) }",
      "rule t exact: Transpose(Transpose(x){perm = p}){perm = q} -> Transpose(x){perm = compose(p, "
      "q)}");
  ASSERT_EQ(out.ops(), "Transpose") << out.misses();
  const auto& node = out.model.node(out.model.first_node(out.model.main()));
  EXPECT_EQ(node.attributes.integers("perm"), (std::vector<std::int64_t>{0, 2, 1}));
}

TEST(Rewrite, AxesAreAttributeOrOperandAsTheOpsetHasIt) {
  const std::string rule = "rule s exact: Squeeze(Unsqueeze(x){axes = a}){axes = a} -> x";
  const auto old = rewritten(
      "g (float[2] x) => (float[2] y) { a = Unsqueeze<axes = [0]>(x) b = Squeeze<axes = [0]>(a) "
      "y = Relu(b) }",
      rule, 11);
  EXPECT_EQ(old.ops(), "Relu") << old.misses();
  const auto now = rewritten(
      "g (float[2] x) => (float[2] y) <int64[1] z = {0}> { a = Unsqueeze(x, z) b = Squeeze(a, z) "
      "y = Relu(b) }",
      rule, 17);
  EXPECT_EQ(now.ops(), "Relu") << now.misses();
}

TEST(Rewrite, WritesTheFormOfTheOpset) {
  const std::string rule = "rule s exact: Neg(x) -> Squeeze(Unsqueeze(x){axes = [0]}){axes = [0]}";
  const auto old = rewritten("g (float[2] x) => (float[2] y) { y = Neg(x) }", rule, 11);
  EXPECT_EQ(old.ops(), "Unsqueeze Squeeze") << old.misses();
  const auto now = rewritten("g (float[2] x) => (float[2] y) { y = Neg(x) }", rule, 17);
  EXPECT_EQ(now.ops(), "Unsqueeze Squeeze") << now.misses();
}

TEST(Rewrite, BetweenInputAndOutputAnIdentityStays) {
  const std::string rule = "rule d exact: Dropout(x) -> x";
  const auto out = rewritten("g (float[2] x) => (float[2] y) { y = Dropout(x) }", rule, 13);
  EXPECT_EQ(out.ops(), "Identity") << out.misses();
  EXPECT_EQ(out.report.firings.size(), 1U);
  const auto same = rewritten("g (float[2] x) => (float[2] y) { y = Identity(x) }",
                              "rule i exact: Identity(x) -> x", 13);
  EXPECT_EQ(same.ops(), "Identity");
  EXPECT_EQ(same.report.firings.size(), 0U);
}

TEST(Rewrite, MatchBlocks) {
  const auto out = rewritten(R"(g (float[2,4] x) => (float[2,4] y)
    <float two = {2}, float eps = {0.00001}, float[4] s = {1,1,1,1}, float[4] t = {0,0,0,0}>
    { m = ReduceMean<axes = [-1]>(x) d = Sub(x, m) p = Pow(d, two) v = ReduceMean<axes = [1]>(p)
      e = Add(v, eps) q = Sqrt(e) n = Div(d, q) k = Mul(n, s) y = Add(k, t) })",
                             R"(rule layer_norm {
  match {
    d = Sub(x, ReduceMean(x){axes = [-1], keepdims = 1})
    y = Add(Mul(Div(d, Sqrt(Add(ReduceMean(Pow(d, 2) | Mul(d, d)){axes = [-1]}, scalar eps))), const g), const b)
  }
  where opset >= 17
  emit y = LayerNormalization(x, g, b){axis = -1, epsilon = eps}
})");
  EXPECT_EQ(out.ops(), "LayerNormalization") << out.misses();
}

TEST(Rewrite, InlinesABranch) {
  const auto out =
      rewritten(R"(g (float[2] x) => (float[2] y) <bool c = {1}>
    { y = If(c) <then_branch = t () => (float[2] a) { a = Relu(x) },
                 else_branch = e () => (float[2] b) { b = Neg(x) }> })",
                "rule if_known exact: If(const c) -> inline(c ? then_body : else_body)");
  EXPECT_EQ(out.ops(), "Relu") << out.misses();
}

TEST(Rewrite, EndlessRulesAreAnErrorThatNamesThem) {
  const auto out = rewritten("g (float[2] x) => (float[2] y) { y = Relu(x) }",
                             "rule there: Relu(x) -> Neg(x)\nrule back: Neg(x) -> Relu(x)");
  EXPECT_NE(out.error.find("there"), std::string::npos) << out.error;
  EXPECT_NE(out.error.find("back"), std::string::npos) << out.error;
}

TEST(Rewrite, AFailedExpectationNamesTheNearestMiss) {
  const auto out = rewritten("g (float[2] x) => (float[2] y) { a = Relu(x) y = Neg(a) }",
                             "rule r: Neg(Exp(x)) -> Exp(x) expect 1");
  EXPECT_NE(out.error.find("fired 0 times, expected 1"), std::string::npos) << out.error;
  EXPECT_NE(out.error.find("Exp"), std::string::npos) << out.error;
}

TEST(Rewrite, UnknownDoesNotFire) {
  const std::string rule = "rule r: Relu(x) -> Neg(x) where dim(x, 0) = 3";
  EXPECT_EQ(rewritten("g (float[3] x) => (float[3] y) { y = Relu(x) }", rule).ops(), "Neg");
  EXPECT_EQ(rewritten("g (float[N] x) => (float[N] y) { y = Relu(x) }", rule).ops(), "Relu");
  EXPECT_EQ(rewritten("g (float[N] x) => (float[N] y) { y = Relu(x) }",
                      "rule r: Relu(x) -> Neg(x) where dim(x, 0) = 3 or unknown")
                .ops(),
            "Neg");
}

}  // namespace rulec::test
