// SPDX-License-Identifier: Apache-2.0
#include "compiler/generate/check_rule.h"

#include <gtest/gtest.h>

#include "compiler/compile.h"

namespace rulec::command {
namespace {

GeneratedTests tests_of(const std::string& text, int instances = 12) {
  auto files = load_rule_text("t.rules", text, default_rule_path({}));
  EXPECT_TRUE(files) << files.error().message;
  std::vector<std::string> settings;
  auto compiled = compile_rules(*files, {}, settings);
  EXPECT_TRUE(compiled) << files->render();
  for (std::uint32_t i = 0; i < compiled->rules.rules.size(); ++i)
    if (compiled->rules.rules[i].place.file == "t.rules")
      return check_rule(*compiled, RuleId{i}, {.instances = instances});
  ADD_FAILURE() << "no rule";
  return {};
}

TEST(CheckRule, ARightRulePassesOnManyInstances) {
  const GeneratedTests found = tests_of("rule r exact: Relu(Relu(x)) -> Relu(x)");
  EXPECT_TRUE(found.passed) << found.why;
  EXPECT_EQ(found.instances, 12);
  EXPECT_GT(found.near_misses, 0);
  EXPECT_EQ(found.skipped, "");
}

TEST(CheckRule, TheSameSeedGivesTheSameFigures) {
  const std::string text = "rule r: Sub(x, exact 0) -> x";
  const GeneratedTests a = tests_of(text), b = tests_of(text);
  EXPECT_EQ(a.tried, b.tried);
  EXPECT_EQ(a.near_misses, b.near_misses);
  EXPECT_EQ(a.left, b.left);
}

// Rules that are wrong in ways that people write them.
TEST(CheckRule, WrongRulesAreFound) {
  for (const char* text : {
           "rule operands: Sub(a, b) -> Sub(b, a)",
           "rule dropped: Softmax(x) -> Softmax(x)",
           "rule dropped_group: Relu(Conv(x, const w, none)) -> Conv(Relu(x), w, none)",
           "rule attribute: LeakyRelu(LeakyRelu(x){alpha = a}){alpha = b} -> LeakyRelu(x){alpha = "
           "a}",
           "rule transposed: Transpose(Transpose(x){perm = p}){perm = q} -> Transpose(x){perm = p}",
           "rule constant: Mul(Mul(x, scalar a), scalar b) -> Mul(x, a + b)",
           "rule sign exact: Relu(Neg(x)) -> Neg(Relu(x))",
           "rule widened: Mul(x, const c) -> Mul(x, c.reshape(-1)) where rank(c) = 2",
           "rule bias: Add(MatMul(a, const b), const c) -> MatMul(Add(a, c), b)",
       }) {
    const GeneratedTests found = tests_of(text, 20);
    EXPECT_FALSE(found.passed) << text << ": " << found.instances << " instances";
    EXPECT_NE(found.why, "") << text;
    EXPECT_NE(found.graph, "") << text;
  }
}

TEST(CheckRule, ARuleWithoutInstancesSaysSo) {
  const GeneratedTests never = tests_of("rule r: Relu(x) -> x where rank(x) = 77");
  EXPECT_TRUE(never.passed);
  EXPECT_EQ(never.instances, 0);
  EXPECT_EQ(never.skipped.find("no instance was found in 250 tries"), 0U) << never.skipped;
  EXPECT_NE(never.skipped.find("expected the guard to hold"), std::string::npos) << never.skipped;
  const GeneratedTests region = tests_of("rule r: NonMaxSuppression* -> BatchedNMS_TRT");
  EXPECT_NE(region.skipped.find("a template replaces"), std::string::npos) << region.skipped;
  const GeneratedTests body = tests_of(
      "op my::F(x : f32[...]) -> (y : f32[...])\n"
      "rule r: my::F[body contains Relu](x) -> Relu(x)");
  EXPECT_NE(body.skipped.find("the body of F is that of a model-local function"), std::string::npos)
      << body.skipped;
}

TEST(CheckRule, BodiesAreMadeUp) {
  for (const char* text : {
           "rule branch exact: If(const c) -> inline(c ? then_body : else_body)",
           "rule wanted exact: If[then_body contains Relu(Neg(x))](true) -> inline(then_body)",
           "rule closed exact: If[else_body is { a = Exp(x)  y = Add(a, outer b) }](false) -> "
           "inline(else_body)",
           "rule loop exact: Neg(Neg(n @ Loop[body contains Add(state 0, outer x)](m, c, s))) -> n",
           "rule turn exact: Neg(Neg(n @ Loop[body contains Cast(iteration)](m, c, s))) -> n",
           "rule scan exact: Neg(Neg(n @ Scan[body contains Add(state 0, x)](s, xs))) -> n",
           "rule out exact: Neg(Neg(n @ Loop[body contains Relu(scan 0)](m, c))) -> n",
           "rule both exact: Neg(Neg(n @ If[then_body contains Relu and else_body contains "
           "Abs](c)))"
           " -> n",
       }) {
    const GeneratedTests found = tests_of(text, 4);
    EXPECT_TRUE(found.passed) << text << ": " << found.why << found.graph;
    EXPECT_EQ(found.instances, 4) << text << ": " << found.skipped;
    EXPECT_GT(found.near_misses, 0) << text;
  }
  for (const char* text : {
           "rule other: If[then_body contains Relu](c) -> inline(then_body)",
           "rule swapped: If(const c) -> inline(c ? else_body : then_body)",
           "rule once: Loop[body contains Add(state 0, outer x)](m, c, s : f32[...]) -> s",
       }) {
    const GeneratedTests found = tests_of(text, 20);
    EXPECT_FALSE(found.passed) << text << ": " << found.instances << " instances" << found.skipped;
  }
}

TEST(CheckRule, ClustersHaveMembers) {
  const GeneratedTests right = tests_of(
      "rule r: MatMul(x, const w : [K, ?])* by x -> Split(MatMul(x, concat(w, 1))){axis = -1}", 4);
  EXPECT_TRUE(right.passed) << right.why << right.graph;
  EXPECT_EQ(right.instances, 4) << right.skipped;
  EXPECT_GT(right.near_misses, 0);
  const GeneratedTests wrong = tests_of(
      "rule r: MatMul(x, const w : [K, ?])* by x -> Split(MatMul(x, Neg(concat(w, 1)))){axis = -1}",
      4);
  EXPECT_FALSE(wrong.passed) << wrong.instances;
}

TEST(CheckRule, ScopesHoldWhatTheReplacementMakes) {
  const GeneratedTests found = tests_of(
      "rule r: scope \"**/Act/**\" -> { s = Sigmoid(x)  y = Mul(x, s) }\n"
      "let x = from scope \"**/Dense/**\"",
      6);
  EXPECT_TRUE(found.passed) << found.why << found.graph;
  EXPECT_EQ(found.instances, 6) << found.skipped;
  EXPECT_GT(found.left, 0) << "names that the globs do not match";
}

}  // namespace
}  // namespace rulec::command
