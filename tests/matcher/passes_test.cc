// SPDX-License-Identifier: Apache-2.0
// Each built-in phase by itself, once: what it takes away, what it leaves, and what it says.
#include "matcher/passes.h"

#include <gtest/gtest.h>

#include "tests/support/rewriting.h"

namespace rulec::test {

namespace {

struct Passed {
  Model model;
  PassResult result;
  std::string ops() const { return ops_of(model, model.main()); }
};

Passed passed(const std::string& graph, Pass pass) {
  Passed out{model_of(graph, 17), {}};
  out.result = run_pass(out.model, OpTable(), pass);
  const Status sound = out.model.verify();
  EXPECT_TRUE(static_cast<bool>(sound)) << (sound ? "" : sound.error().message);
  return out;
}

}  // namespace

TEST(FoldConstants, WhatHangsOnConstantsAlone) {
  const auto out = passed(
      "g (float[2] x) => (float[2] y) <float[2] a = {1, 2}> { b = Neg(a) c = Abs(b) y = Add(x, c) "
      "}",
      Pass::FoldConstants);
  EXPECT_EQ(out.ops(), "Add");
  EXPECT_GT(out.result.changes, 0U);
  const GraphNode& add = out.model.node(out.model.nodes(out.model.main()).front());
  ASSERT_NE(out.model.constant(add.inputs[1]), nullptr);
  EXPECT_EQ(out.model.constant(add.inputs[1])->numbers(), (std::vector<double>{1, 2}));
}

TEST(FoldConstants, WhatIsRandomOrLargeStays) {
  EXPECT_EQ(
      passed("g () => (float[2] y) { y = RandomNormal<shape = [2]>() }", Pass::FoldConstants).ops(),
      "RandomNormal");
  const auto large = passed(
      "g (float[2000,2000] x) => (float[2000,2000] y) <float one = {1}, int64[2] s = {2000, 2000}> "
      "{ e = Expand(one, s) y = Add(x, e) }",
      Pass::FoldConstants);
  EXPECT_EQ(large.ops(), "Expand Add");
}

TEST(KnownShapes, WhatFollowsFromTypesIsConstant) {
  const auto out = passed(
      "g (float[2,3] x) => (float[3,2] y) <int64[2] turned = {1, 0}> "
      "{ s = Shape(x) t = Gather(s, turned) y = Reshape(x, t) }",
      Pass::KnownShapes);
  EXPECT_GT(out.result.changes, 0U);
  const GraphNode& reshape = out.model.node(out.model.nodes(out.model.main()).back());
  ASSERT_NE(out.model.constant(reshape.inputs[1]), nullptr) << out.ops();
}

TEST(KnownShapes, UnknownSizesStayComputed) {
  const auto out = passed(
      "g (float[N,M] x, float[M,N] z) => (float[M,N] y) { s = Shape(z) y = "
      "Reshape(x, s) }",
      Pass::KnownShapes);
  EXPECT_EQ(out.ops(), "Shape Reshape");
}

TEST(CommonSubexpressions, TheFirstStays) {
  const auto out = passed("g (float[2] x) => (float[2] y) { a = Exp(x) b = Exp(x) y = Add(a, b) }",
                          Pass::CommonSubexpressions);
  EXPECT_EQ(out.ops(), "Exp Add");
  const GraphNode& add = out.model.node(out.model.nodes(out.model.main()).back());
  EXPECT_EQ(add.inputs[0], add.inputs[1]);
}

TEST(CommonSubexpressions, WhatDiffersIsComputedTwice) {
  for (const char* graph :
       {"g (float[2,2] x) => (float[2,2] y) { a = Softmax<axis = 0>(x) b = Softmax<axis = 1>(x) y "
        "= "
        "Add(a, b) }",
        "g (float[2,2] x, float[2,2] z) => (float[2,2] y) { a = Sub(x, z) b = Sub(z, x) y = "
        "Add(a, b) }"})
    EXPECT_EQ(passed(graph, Pass::CommonSubexpressions).result.changes, 0U) << graph;
  const auto random = passed(
      "g (float[2] x) => (float[2] y) { a = RandomNormalLike(x) b = RandomNormalLike(x) y = "
      "Add(a, b) }",
      Pass::CommonSubexpressions);
  EXPECT_EQ(random.result.changes, 0U) << "two draws are two numbers";
}

// Both are outputs under their own names.
TEST(CommonSubexpressions, OutputsKeepTheirNames) {
  const auto out = passed("g (float[2] x) => (float[2] y, float[2] z) { y = Exp(x) z = Exp(x) }",
                          Pass::CommonSubexpressions);
  std::vector<std::string> names;
  for (const ValueId output : out.model.graph(out.model.main()).outputs)
    names.push_back(out.model.value(output).name);
  EXPECT_EQ(names, (std::vector<std::string>{"y", "z"}));
}

TEST(UnusedNodes, GoWithWhatTheyRead) {
  const auto out = passed(
      "g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { a = Add(x, w) b = Neg(a) y = Exp(x) "
      "}",
      Pass::UnusedNodes);
  EXPECT_EQ(out.ops(), "Exp");
  EXPECT_TRUE(out.model.graph(out.model.main()).initializers.empty());
}

TEST(Passes, AreNamedAsInPipelines) {
  EXPECT_EQ(pass_named("fold_constants"), Pass::FoldConstants);
  EXPECT_EQ(pass_named("unused_nodes"), Pass::UnusedNodes);
  EXPECT_EQ(pass_named("unused"), std::nullopt);
}

}  // namespace rulec::test
