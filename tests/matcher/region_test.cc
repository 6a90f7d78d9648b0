// SPDX-License-Identifier: Apache-2.0
// Scopes, clusters by a captured value, `let … from`, templates in expressions, assumptions.
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/support/rewriting.h"

namespace rulec::test {
namespace {

std::vector<std::string> output_names(const Model& model) {
  std::vector<std::string> names;
  for (const ValueId output : model.graph(model.main()).outputs)
    names.push_back(model.value(output).name);
  return names;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string metadata_of(const Model& model, const std::string& type, const std::string& key) {
  for (const NodeId node : model.nodes(model.main())) {
    if (model.node(node).type != type) continue;
    for (const Metadata& one : model.node(node).metadata) {
      if (one.key == key) return one.value;
    }
  }
  return {};
}

const std::string scoped =
    "g (float[2,3] x) => (float[2,3] y) {"
    " [\"in/a\"] a = Neg(x) [\"post/b\"] b = Relu(a) [helper] c = Abs(b) [\"post/d\"] d = Exp(c)"
    " [out] y = Neg(d) }";

}  // namespace

// ---- scopes -------------------------------------------------------------------------------------

TEST(Scope, IsReplacedWithWhatLiesBetweenItsNodes) {
  const auto out =
      rewritten(scoped, "rule r: scope \"post/**\" -> Tanh(v)  let v = from scope \"in/**\"");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.ops(), "Neg Tanh Neg") << out.misses();
}

TEST(Scope, ABlockGivesItsLastStatement) {
  const auto out = rewritten(
      scoped,
      "rule r: scope \"post/**\" -> { t = Tanh(v)  u = Sqrt(t) }  let v = from scope \"in/**\"");
  EXPECT_EQ(out.ops(), "Neg Tanh Sqrt Neg") << out.misses();
}

TEST(Scope, ResultsOfAnotherTypeAreRefused) {
  const auto out =
      rewritten(scoped, "rule r: scope \"post/**\" -> Shape(v)  let v = from scope \"in/**\"");
  EXPECT_EQ(out.ops(), "Neg Relu Abs Exp Neg");
  EXPECT_TRUE(has(out.misses(), "results in place of")) << out.misses();
}

TEST(Scope, SeveralValuesThatComeOutAreListed) {
  const auto out = rewritten(
      "g (float[2] x) => (float[2] y) { [\"in/a\"] a = Neg(x) [\"in/b\"] b = Exp(x)"
      " c = Mul(a, b) [\"post/d\"] y = Relu(c) }",
      "rule r: scope \"post/**\" -> Tanh(v)  let v = from scope \"in/**\"");
  EXPECT_EQ(out.ops(), "Neg Exp Mul Relu");
  EXPECT_TRUE(has(out.misses(), "2 values come out of scope \"in/**\"")) << out.misses();
  EXPECT_TRUE(has(out.misses(), "`a` : f32[2], `b` : f32[2]")) << out.misses();
}

TEST(Scope, AConcatJoinsWhatComesOut) {
  const auto out = rewritten(
      "g (float[2] x) => (float[4] y) { [\"in_0/box/a\"] a = Neg(x) [\"in_1/box/b\"] b = Exp(x)"
      " c = Concat<axis = 0>(a, b) [\"post/d\"] y = Relu(c) }",
      "rule r: scope \"post/**\" -> Tanh(v)  let v = from scope \"**/box/**\"");
  EXPECT_EQ(out.ops(), "Neg Exp Concat Tanh") << out.misses();
}

TEST(Scope, WhatHangsOnConstantsIsComputed) {
  const auto out = rewritten(
      "g (float[2,4] x) => (float[2,4] y) <float one = {1}, float four = {4}> {"
      " [\"anchors/range\"] r = Range(one, four, one) [\"anchors/sum\"] s = ReduceSum<keepdims = "
      "0>(r)"
      " [\"post/d\"] y = Mul(x, s) }",
      "rule r: scope \"post/**\" -> Add(x, v)\n"
      "let x = from scope \"in/**\", v = from scope \"anchors/**\"");
  EXPECT_TRUE(has(out.misses(), "no node is named so")) << out.misses();
  const auto folded = rewritten(
      "g (float[2,4] x) => (float[2,4] y) <float one = {1}, float four = {4}> {"
      " [\"in/a\"] a = Neg(x)"
      " [\"anchors/range\"] r = Range(one, four, one) [\"anchors/sum\"] s = ReduceSum<keepdims = "
      "0>(r)"
      " [\"post/d\"] y = Mul(a, s) }",
      "rule r: scope \"post/**\" -> Add(x, v)\n"
      "let x = from scope \"in/**\", v = from scope \"anchors/**\"");
  EXPECT_EQ(folded.ops(), "Neg Add") << folded.misses();
  const NodeId add = folded.model.last_node(folded.model.main());
  const auto sum = folded.model.constant(folded.model.node(add).inputs[1]);
  ASSERT_NE(sum, nullptr);
  EXPECT_EQ(sum->number(0), 6);
}

TEST(Scope, AnUnsafeRuleMayGiveOtherOutputs) {
  const std::string graph =
      "g (float[2,3] x) => (float[2,3] y, float[2,3] z) {"
      " [\"in/a\"] a = Neg(x) [\"post/b\"] b = Relu(a) [\"post/c\"] c = Abs(a)"
      " [y] y = Identity(b) [z] z = Identity(c) }";
  const std::string body = "scope \"post/**\" -> Softmax(v)  let v = from scope \"in/**\"";
  RewriteOptions allowed;
  allowed.allow_unsafe = true;
  const auto out = rewritten(graph, "rule r unsafe(\"read it\"): " + body, 17, allowed);
  EXPECT_EQ(out.ops(), "Neg Softmax") << out.misses();
  EXPECT_EQ(output_names(out.model), std::vector<std::string>{"output"});
  ASSERT_EQ(out.report.firings.size(), 1U);
  EXPECT_TRUE(has(out.report.firings[0].notes.back(), "outputs `y`, `z` went, `output` stand"));
  const auto safe = rewritten(graph, "rule r: " + body, 17, allowed);
  EXPECT_EQ(safe.ops(), "Neg Relu Abs Identity Identity");
}

TEST(Scope, WhatIsReadElsewhereIsNoOutput) {
  RewriteOptions allowed;
  allowed.allow_unsafe = true;
  const auto out = rewritten(
      "g (float[2,3] x) => (float[2,3] y, float[2,3] z) {"
      " [\"in/a\"] a = Neg(x) [\"post/b\"] b = Relu(a) [\"post/c\"] c = Abs(a)"
      " y = Identity(b) z = Exp(c) }",
      "op Detect(x : f32[...]) -> (found : f32[...])\n"
      "rule r unsafe(\"read it\"): scope \"post/**\" -> Detect(v)  let v = from scope \"in/**\"",
      17, allowed);
  EXPECT_EQ(out.ops(), "Neg Relu Abs Identity Exp");
  EXPECT_TRUE(has(out.misses(), "`c` is used by `")) << out.misses();
}

TEST(Let, FromSourceLooksThroughWhatMovesData) {
  const auto out = rewritten(
      "g (float[2,3] x) => (float[3,2] y) { a = Exp(x) t = Transpose<perm = [1,0]>(a) y = Relu(t) "
      "}",
      "rule r: Relu(b) -> Transpose(Tanh(s)){perm = [1, 0]}  let s = from source(b)");
  EXPECT_EQ(out.ops(), "Exp Tanh Transpose") << out.misses();
}

// ---- clusters by a captured value ---------------------------------------------------------------

TEST(ClusterBy, MembersBecomeOneNodeAndASplit) {
  const auto out = rewritten(
      "g (float[3,4] x) => (float[3,2] y, float[3,1] z)"
      " <float[4,2] a = {1, 2, 3, 4, 5, 6, 7, 8}, float[4,1] b = {1, 2, 3, 4}> {"
      " y = MatMul(x, a) z = MatMul(x, b) }",
      "rule r: MatMul(x, const w : [K, ?])* by x -> Split(MatMul(x, concat(w, 1))){axis = -1}");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.ops(), "MatMul Split") << out.misses();
  EXPECT_EQ(output_names(out.model), (std::vector<std::string>{"y", "z"}));
}

TEST(ClusterBy, AGuardHoldsForTheWholeCluster) {
  const std::string graph =
      "g (float[3,4] x) => (float[3,2] y, float[3,1] z)"
      " <float[4,2] a = {1, 2, 3, 4, 5, 6, 7, 8}, float[4,1] b = {1, 2, 3, 4}> {"
      " y = MatMul(x, a) z = MatMul(x, b) }";
  const std::string rule =
      "rule r: MatMul(x, const w)* by x -> Split(MatMul(x, concat(w, 1))){axis = -1}  where ";
  EXPECT_EQ(rewritten(graph, rule + "len(w) = 2").ops(), "MatMul Split");
  EXPECT_EQ(rewritten(graph, rule + "len(w) > 2").ops(), "MatMul MatMul");
}

// ---- templates in expressions -------------------------------------------------------------------

TEST(TemplateExpr, IsWrittenInTheCallsPlace) {
  const auto out = rewritten("g (float[2,3] x) => (float[2,3] y) { a = Relu(x) y = Neg(a) }",
                             "template twice(n : int = 2) for (v : f32[A, B]) -> (w : f32[A, B])\n"
                             "  where n = 2\n"
                             "{ w = Abs(Exp(v)) } else { w = Tanh(v) }\n"
                             "rule r: Relu(x) -> Sqrt(twice(x))");
  EXPECT_EQ(out.ops(), "Exp Abs Sqrt Neg") << out.misses();
}

TEST(TemplateExpr, TheFirstBodyThatHoldsIsTaken) {
  const auto out = rewritten("g (float[2,3] x) => (float[2,3] y) { a = Relu(x) y = Neg(a) }",
                             "template t() for (v : f32[A, B]) -> (w : f32[A, B])\n"
                             "  where A > 0\n"
                             "{ w = Log(v) } else where B = 3 { w = Tanh(v) }\n"
                             "template u() for (v : f32[A, B]) -> (w : f32[A, B]) where A = 3\n"
                             "{ w = Log(v) }\n"
                             "rule r: Relu(x) -> t(x)");
  EXPECT_EQ(out.ops(), "Log Neg") << out.misses();
}

TEST(TemplateExpr, APortOfAnotherTypeRefuses) {
  const auto out = rewritten("g (float[2,3] x) => (float[2,3] y) { a = Relu(x) y = Neg(a) }",
                             "template t() for (v : f32[A, A]) -> (w : f32[A, A]) { w = Log(v) }\n"
                             "rule r: Relu(x) -> t(x)");
  EXPECT_EQ(out.ops(), "Relu Neg");
  EXPECT_TRUE(has(out.misses(), "port `v` of t does not take `x`")) << out.misses();
}

// ---- assumptions --------------------------------------------------------------------------------

TEST(Assuming, IsClaimedWhereItsConditionHolds) {
  const std::string rule =
      "rule r: Relu(x) -> Abs(x)  assuming \"no number is negative\" when size(x) > 4";
  const std::string large = "g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }";
  const std::string small = "g (float[3] x) => (float[3] y) { y = Relu(x) }";
  EXPECT_EQ(metadata_of(rewritten(large, rule).model, "Abs", "rulec.assuming"),
            "no number is negative");
  EXPECT_EQ(metadata_of(rewritten(small, rule).model, "Abs", "rulec.assuming"), "");
  RewriteOptions strict;
  strict.strict = true;
  EXPECT_EQ(rewritten(large, rule, 17, strict).ops(), "Relu");
  EXPECT_EQ(rewritten(small, rule, 17, strict).ops(), "Abs");
}

TEST(Assuming, BelongsToABody) {
  const std::string rules =
      "template t() for (v : f32[A]) -> (w : f32[A])\n"
      "  assuming \"small\" when A > 100\n"
      "{ w = Log(v) } else assuming \"large\" { w = Tanh(v) }\n"
      "rule r: Relu(x) -> t(x)";
  const auto first = rewritten("g (float[3] x) => (float[3] y) { y = Relu(x) }", rules);
  EXPECT_EQ(first.ops(), "Log");
  EXPECT_TRUE(first.report.firings.at(0).notes.empty());
}

// ---- Loop ---------------------------------------------------------------------------------------

TEST(Iteration, IsACarriedIndexThatCountsFromNought) {
  const auto loop = [](const std::string& start, const std::string& step) {
    return "g (float[4,3] x) => (float[n,3] y, int32 z) <int64 count = {4}, bool go = {1}, int32 "
           "zero = {" +
           start +
           "}> { last, y = Loop <body = b (int64 i, bool on, int32 at) =>"
           " (bool more, int32 next, float[3] row) <int32 one = {" +
           step +
           "}> { more = Identity(on) next = Add(at, one) row = Gather<axis = 0>(x, at) }>"
           "(count, go, zero) z = Abs(last) }";
  };
  const auto found = [&](const std::string& graph) {
    const auto out = rewritten(
        graph,
        "rule r: Abs(shared Loop[body contains Gather(outer v, iteration)](m, c, s)) -> Neg(s)");
    return out.ops() == "Loop Neg";
  };
  EXPECT_TRUE(found(loop("0", "1")));
  EXPECT_FALSE(found(loop("1", "1")));
  EXPECT_FALSE(found(loop("0", "2")));
}

}  // namespace rulec::test
