// SPDX-License-Identifier: Apache-2.0
// fire_template alone: a region is replaced where the template computes the same on probes, and
// the model stays as it was where it does not.
#include <algorithm>

#include <gtest/gtest.h>

#include "matcher/matcher.h"
#include "matcher/region.h"
#include "tests/support/rewriting.h"

namespace rulec::test {
namespace {

struct Fired {
  Model model;
  std::optional<Firing> firing;
  std::vector<NearMiss> misses;
  std::string before;

  std::string ops() const { return ops_of(model, model.main()); }
  std::string why() const {
    std::string out;
    for (const NearMiss& miss : misses)
      out += fmt::format("{}: wanted {}, found {}\n", miss.kind, miss.expected, miss.found);
    return out;
  }
  bool unchanged() const { return dump(model) == before; }
};

// Fires the only rule of `rules`, which is rooted at a scope, at its first region.
Fired fired(const std::string& graph, const std::string& rules,
            const RewriteOptions& options = {}) {
  Fired out;
  out.model = model_of(graph);
  out.before = dump(out.model);
  const CompiledRules compiled = rules_of(rules);
  if (compiled.rules.rules.empty()) return out;
  const auto matches = find_scopes(out.model, compiled.rules, {0}, out.model.main());
  if (matches.empty()) {
    ADD_FAILURE() << "nothing lies under the scope";
    return out;
  }
  out.firing =
      fire_template(out.model, compiled.rules, compiled.ops, matches.front(), options, out.misses);
  EXPECT_NE(out.firing.has_value(), out.unchanged());
  const Status valid = out.model.verify();
  EXPECT_TRUE(valid) << valid.error().message;
  return out;
}

// |exp(-x)| under `post`, which is exp(-x).
const std::string graph =
    "g (float[2,3] x) => (float[2,3] y) {"
    " [\"in/a\"] a = Neg(x) [\"post/b\"] b = Exp(a) [\"post/c\"] y = Abs(b) }";
const std::string rule = "rule r: scope \"post/**\" -> t\n";

}  // namespace

TEST(Template, TakesThePlaceOfWhatComputesTheSame) {
  const Fired out =
      fired(graph, "template t() for (v : f32[A, B]) -> (w : f32[A, B]) { w = Exp(v) }\n" + rule);
  ASSERT_TRUE(out.firing) << out.why();
  EXPECT_EQ(out.ops(), "Neg Exp");
  EXPECT_EQ(out.model.value(out.model.graph(out.model.main()).outputs[0]).name, "y");
}

TEST(Template, RefusesWhatComputesSomethingElse) {
  const Fired out =
      fired(graph, "template t() for (v : f32[A, B]) -> (w : f32[A, B]) { w = Tanh(v) }\n" + rule);
  EXPECT_FALSE(out.firing);
  EXPECT_FALSE(out.misses.empty());
}

TEST(Template, TheBodyThatServesIsTaken) {
  const Fired out = fired(graph,
                          "template t() for (v : f32[A, B]) -> (w : f32[A, B])\n"
                          "{ w = Tanh(v) } else where A = 7 { w = Log(v) } else { w = Exp(v) }\n" +
                              rule);
  ASSERT_TRUE(out.firing) << out.why();
  EXPECT_EQ(out.ops(), "Neg Exp");
}

TEST(Template, APortThatNothingFitsRefuses) {
  const Fired out = fired(
      graph,
      "template t() for (v : i64[A, B]) -> (w : f32[A, B]) { w = Cast(v){to = f32} }\n" + rule);
  EXPECT_FALSE(out.firing);
  EXPECT_NE(out.why(), "");
}

TEST(Template, AResultThatTheRegionLacksIsNotMade) {
  const Fired out = fired(graph,
                          "template t() for (v : f32[A, B]) -> (w : f32[A, B], u : f32[A, B])\n"
                          "{ w = Exp(v)  u = Tanh(v) }\n" +
                              rule);
  ASSERT_TRUE(out.firing) << out.why();
  EXPECT_EQ(out.ops(), "Neg Exp");
}

TEST(Template, AResultThatTheTemplateLacksRefuses) {
  // `b` is read outside and the template does not give it.
  const Fired out = fired(
      "g (float[2,3] x) => (float[2,3] y, float[2,3] z) {"
      " a = Neg(x) [\"post/b\"] b = Tanh(a) [\"post/c\"] y = Exp(b) z = Abs(b) }",
      "template t() for (v : f32[A, B]) -> (w : f32[A, B]) { w = Exp(Tanh(v)) }\n" + rule);
  EXPECT_FALSE(out.firing);
  EXPECT_NE(out.why(), "");
}

TEST(Template, ParametersAreFittedToTheRegion) {
  const Fired out = fired(
      "g (float[4,3] x) => (float[4,3] y) <float[3] m = {1, 2, 3}, float s = {0.5}> {"
      " a = Neg(x) [\"post/b\"] b = Mul(a, s) [\"post/c\"] y = Sub(b, m) }",
      "template t(k : f32[3] = fit, c : f32[3] = fit) for (v : f32[A, 3]) -> (w : f32[A, 3])\n"
      "{ w = Add(Mul(v, k), c) }\n" +
          rule);
  ASSERT_TRUE(out.firing) << out.why();
  EXPECT_EQ(out.ops(), "Neg Mul Add");
  const NodeId last = out.model.last_node(out.model.main());
  const auto constant = out.model.constant(out.model.node(last).inputs[1]);
  ASSERT_NE(constant, nullptr);
  EXPECT_NEAR(constant->number(2), -3, 1e-5);
}

TEST(Template, WhatIsNoAffineMapCannotBeFitted) {
  const Fired out = fired(
      graph,
      "template t(k : f32[3] = fit, c : f32[3] = fit) for (v : f32[A, 3]) -> (w : f32[A, 3])\n"
      "{ w = Add(Mul(v, k), c) }\n" +
          rule);
  EXPECT_FALSE(out.firing);
  EXPECT_NE(out.why().find("fit"), std::string::npos) << out.why();
}

TEST(Template, AnAssumptionIsToldAndRefusedWhenStrict) {
  const std::string rules =
      "template t() for (v : f32[A, B]) -> (w : f32[A, B])\n"
      "  assuming \"nothing is cold\" { w = Exp(v) }\n" +
      rule;
  const Fired told = fired(graph, rules);
  ASSERT_TRUE(told.firing) << told.why();
  EXPECT_TRUE(std::any_of(
      told.firing->notes.begin(), told.firing->notes.end(),
      [](const std::string& note) { return note.find("nothing is cold") != std::string::npos; }));
  RewriteOptions strict;
  strict.strict = true;
  EXPECT_FALSE(fired(graph, rules, strict).firing);
}

TEST(Template, AValueThatIsReadTwiceIsOnePort) {
  const Fired out = fired(
      "g (float[2,3] x) => (float[2,3] y) {"
      " a = Neg(x) [\"post/b\"] b = Mul(a, a) [\"post/c\"] y = Tanh(b) }",
      "template t() for (v : f32[A, B]) -> (w : f32[A, B]) { w = Tanh(Mul(v, v)) }\n" + rule);
  ASSERT_TRUE(out.firing) << out.why();
  EXPECT_EQ(out.ops(), "Neg Mul Tanh");
}

}  // namespace rulec::test
