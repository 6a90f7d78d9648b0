// SPDX-License-Identifier: Apache-2.0
// find_clusters alone: which nodes belong together, and what the captures of a cluster are.
#include <algorithm>

#include <gtest/gtest.h>

#include "matcher/region.h"
#include "tests/support/rewriting.h"

namespace rulec::test {
namespace {

struct Clusters {
  Model model;
  CompiledRules rules;
  std::vector<Match> matches;
  std::vector<NearMiss> misses;

  // The members of one cluster by the names of their first results: "a b".
  std::string members(std::size_t i) const {
    std::string out;
    for (const NodeId node : matches.at(i).nodes)
      out += (out.empty() ? "" : " ") + model.value(model.node(node).outputs.front()).name;
    return out;
  }

  const Binding& capture(std::size_t i, std::string_view name) const {
    const auto& slots = rules.rules.rules[0].slots;
    const auto at = std::find_if(slots.begin(), slots.end(),
                                 [&](const Slot& slot) { return slot.name == name; });
    return matches.at(i).slots.at(static_cast<std::size_t>(at - slots.begin()));
  }

  // The values that a captured list holds, by name; `-` for what is absent or no value.
  std::string list(std::size_t i, std::string_view name) const {
    const auto* all = std::get_if<std::vector<Binding>>(&capture(i, name).held);
    if (all == nullptr) return "no list";
    std::string out;
    for (const Binding& one : *all) {
      const auto* value = std::get_if<ValueId>(&one.held);
      out += (out.empty() ? "" : " ") +
             (value != nullptr && *value ? model.value(*value).name : std::string("-"));
    }
    return out;
  }
};

Clusters clusters(const std::string& graph, const std::string& rule, bool inner = false) {
  Clusters out;
  out.model = model_of(graph);
  out.rules = rules_of(rule);
  if (out.rules.rules.rules.empty()) return out;
  const GraphId where = inner ? GraphId{1} : out.model.main();
  out.matches =
      find_clusters(out.model, out.rules.rules, out.rules.ops, {0}, where, {}, &out.misses);
  return out;
}

const std::string by_source =
    "template t() for (v : f32[...]) -> (w : f32[...]) { w = Abs(v) }\n"
    "rule r: Relu* -> t\n";

}  // namespace

TEST(Cluster, AGraphWithoutTheOperatorHasNone) {
  const auto found = clusters("g (float[2] x) => (float[2] y) { y = Neg(x) }", by_source);
  EXPECT_TRUE(found.matches.empty());
  EXPECT_TRUE(found.misses.empty());
}

TEST(Cluster, OneNodeIsACluster) {
  const auto found = clusters("g (float[2] x) => (float[2] y) { y = Relu(x) }", by_source);
  ASSERT_EQ(found.matches.size(), 1U);
  EXPECT_EQ(found.members(0), "y");
  EXPECT_EQ(found.matches[0].root, found.matches[0].nodes.front());
}

TEST(Cluster, MembersWorkOnOneSourceAndStandInGraphOrder) {
  const auto found = clusters(
      "g (float[2] x, float[2] z) => (float[2] a, float[2] b, float[2] c) {"
      " a = Relu(x) b = Relu(z) c = Relu(x) }",
      by_source);
  ASSERT_EQ(found.matches.size(), 2U);
  EXPECT_EQ(found.members(0), "a c");
  EXPECT_EQ(found.members(1), "b");
}

TEST(Cluster, WhatOnlyMovesDataKeepsTheSource) {
  const auto found = clusters(
      "g (float[2,3] x) => (float[2,3] a, float[3,2] b, float[2,3] c) {"
      " t = Transpose<perm = [1,0]>(x) n = Neg(x) a = Relu(x) b = Relu(t) c = Relu(n) }",
      by_source);
  ASSERT_EQ(found.matches.size(), 2U);
  EXPECT_EQ(found.members(0), "a b");
  EXPECT_EQ(found.members(1), "c");
}

TEST(Cluster, GraphsAreLookedAtOneByOne) {
  const std::string graph =
      "g (bool c, float[2] x) => (float[2] y, float[2] z) {"
      " z = Relu(x)"
      " y = If (c) <then_branch = t () => (float[2] a) { a = Relu(x) },"
      "             else_branch = e () => (float[2] b) { b = Neg(x) }> }";
  const auto outer = clusters(graph, by_source);
  ASSERT_EQ(outer.matches.size(), 1U);
  EXPECT_EQ(outer.members(0), "z");
  const auto inner = clusters(graph, by_source, true);
  ASSERT_EQ(inner.matches.size(), 1U);
  EXPECT_EQ(inner.members(0), "a");
}

TEST(Cluster, CapturesAreListsOneElementForEachMember) {
  const auto found = clusters(
      "g (float[2] x) => (float[2] a, float[2] b)"
      " <float[2] p = {1, 2}, float[2] q = {3, 4}> { a = Add(x, p) b = Add(x, q) }",
      "rule r: Add(x, const w)* by x -> Split(Add(x, concat(w, 0))){axis = 0}");
  ASSERT_EQ(found.matches.size(), 1U);
  EXPECT_EQ(found.members(0), "a b");
  EXPECT_EQ(found.list(0, "w"), "p q");
  // The value that they share is one.
  const auto* shared = std::get_if<ValueId>(&found.capture(0, "x").held);
  ASSERT_NE(shared, nullptr);
  EXPECT_EQ(found.model.value(*shared).name, "x");
}

TEST(Cluster, AnOptionalOperandIsMissingInTheListWhereItIsMissing) {
  const auto found = clusters(
      "g (float[1,2,4,4] x) => (float[1,1,4,4] a, float[1,1,4,4] b)"
      " <float[1,2,1,1] p = {1, 2}, float[1,2,1,1] q = {3, 4}, float[1] c = {5}> {"
      " a = Conv(x, p) b = Conv(x, q, c) }",
      "rule r: Conv(x, const w, const? b)* by x -> Split(Conv(x, concat(w, 0))){axis = 1}");
  ASSERT_EQ(found.matches.size(), 1U);
  EXPECT_EQ(found.list(0, "w"), "p q");
  EXPECT_EQ(found.list(0, "b"), "- c");
}

TEST(Cluster, ByAValueTakesTwo) {
  const std::string rule =
      "rule r: MatMul(x, const w)* by x -> Split(MatMul(x, concat(w, 1))){axis = -1}";
  const std::string weights = "<float[2,2] p = {1, 2, 3, 4}, float[2,2] q = {1, 2, 3, 4}>";
  EXPECT_TRUE(
      clusters("g (float[2,2] x) => (float[2,2] a) " + weights + " { a = MatMul(x, p) }", rule)
          .matches.empty());
  EXPECT_TRUE(clusters("g (float[2,2] x, float[2,2] z) => (float[2,2] a, float[2,2] b) " + weights +
                           " { a = MatMul(x, p) b = MatMul(z, q) }",
                       rule)
                  .matches.empty());
  EXPECT_EQ(clusters("g (float[2,2] x) => (float[2,2] a, float[2,2] b) " + weights +
                         " { a = MatMul(x, p) b = MatMul(x, q) }",
                     rule)
                .matches.size(),
            1U);
}

TEST(Cluster, OtherAttributesAreAnotherCluster) {
  const auto found = clusters(
      "g (float[1,1,4,4] x) => (float[1,1,?,?] a, float[1,1,?,?] b, float[1,1,?,?] c,"
      " float[1,1,?,?] d) <float[1,1,2,2] w = {1, 2, 3, 4}> {"
      " a = Conv<strides = [2,2]>(x, w) b = Conv<group = 1>(x, w)"
      " c = Conv<strides = [2,2]>(x, w) d = Conv(x, w) }",
      "rule r: Conv(x, const w){..rest}* by x -> Split(Conv(x, concat(w, 0)){..rest}){axis = 1}");
  ASSERT_EQ(found.matches.size(), 2U);
  EXPECT_EQ(found.members(0), "a c");
  EXPECT_EQ(found.members(1), "b d") << "what is absent is the default";
}

TEST(Cluster, WhatDoesNotFitIsToldAndLeftOut) {
  const auto found = clusters(
      "g (float[2,2] x, float[2,2] v) => (float[2,2] a, float[2,2] b, float[2,2] c)"
      " <float[2,2] p = {1, 2, 3, 4}, float[2,2] q = {1, 2, 3, 4}> {"
      " a = MatMul(x, p) b = MatMul(x, v) c = MatMul(x, q) }",
      "rule r: MatMul(x, const w)* by x -> Split(MatMul(x, concat(w, 1))){axis = -1}");
  ASSERT_EQ(found.matches.size(), 1U);
  EXPECT_EQ(found.members(0), "a c");
  ASSERT_EQ(found.misses.size(), 1U);
  EXPECT_EQ(found.misses[0].kind, "constant");
  EXPECT_EQ(found.model.value(found.model.node(found.misses[0].root).outputs[0]).name, "b");
}

}  // namespace rulec::test
