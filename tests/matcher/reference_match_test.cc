// SPDX-License-Identifier: Apache-2.0
// The compiled matcher against the naive one: the same matches at every node, the same firings, and
// a program that leaves out no rule that holds.
#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "matcher/matcher.h"
#include "matcher/program.h"
#include "tests/support/graph_generator.h"
#include "tests/support/naive_matcher.h"
#include "tests/support/rewriting.h"

namespace rulec::test {

static constexpr const char* small_rules = R"(
rule relu_relu exact: Relu(Relu(x)) -> Relu(x)
rule add_zero: Add(x, 0) -> x
rule both: Add(Relu(x), Relu(y)) -> Relu(Add(x, y))
rule again: Add(Add(x, y), x) -> Add(x, y)
rule twice: Add(x, x) -> Relu(x)
rule cross: Add(Add(x, y), Add(y, z)) -> Add(x, z)
rule maybe: Relu(Add(Relu?(x), y)) -> Add(x, y)
rule chain: Add((Relu)*(x), x) -> Relu(x)
rule kept: Relu(shared Add(x, y)) -> Neg(x)
rule either: Add(Relu(x) | Add(x, _), x) -> Neg(x)
rule single: Add(Relu(x), y) -> Neg(y) where users(x) = 1
rule constant: Add(Add(x, const c), y) -> Add(y, c)
rule pair {
  match {
    a = Relu(x)
    b = Add(x, y)
  }
  emit { a = Neg(x)  b = Neg(y) }
}
)";

static std::string text_of(const Model& model, const std::optional<Match>& match) {
  if (!match) return "no match";
  std::string out = "nodes";
  for (const NodeId node : match->nodes)
    out += " " + model.node(node).name;
  out += " kept";
  for (const NodeId node : match->kept)
    out += " " + model.node(node).name;
  for (const Binding& slot : match->slots) {
    out += fmt::format(" {}", slot.held.index());
    if (const auto* value = std::get_if<ValueId>(&slot.held)) out += fmt::format(":{}", *value);
    if (const auto* node = std::get_if<NodeId>(&slot.held)) out += fmt::format(":{}", *node);
    if (const auto* number = std::get_if<Binding::Number>(&slot.held)) {
      out += fmt::format(":{}", number->number);
    }
  }
  return out;
}

// Compares both matchers for every rule at every node; gives the number of matches.
static std::size_t compare(const Model& model, const CompiledRules& compiled,
                           const RuleProgram& program, Matcher& matcher) {
  std::size_t matches = 0;
  std::vector<RuleId> candidates;
  const NaiveFacts facts(model, compiled.ops);
  for (const NodeId node : model.nodes(model.main())) {
    program.candidates(model, node, candidates);
    for (std::uint32_t i = 0; i < compiled.rules.rules.size(); ++i) {
      const auto expected = naive_match(model, compiled.rules, facts, {i}, node);
      const auto found = matcher.match({i}, node, nullptr);
      EXPECT_EQ(text_of(model, found), text_of(model, expected))
          << compiled.rules.rules[i].name << " at " << model.node(node).name << "\n"
          << dump(model);
      if (!expected) continue;
      ++matches;
      EXPECT_TRUE(std::find(candidates.begin(), candidates.end(), RuleId{i}) != candidates.end())
          << compiled.rules.rules[i].name << " was turned away at " << model.node(node).name << "\n"
          << dump(model) << program.dump(compiled.rules);
    }
  }
  return matches;
}

TEST(ReferenceMatch, AllSmallGraphs) {
  const CompiledRules compiled = rules_of(small_rules);
  ASSERT_FALSE(compiled.rules.phases.empty());
  const RuleProgram program = compile_program(compiled.rules, compiled.rules.phases[0].rules);
  std::size_t graphs = 0, matches = 0;
  const Situation situation;
  for (int nodes = 1; nodes <= 4; ++nodes) {
    graphs += for_each_graph(nodes, [&](Model& model) {
      if (testing::Test::HasFailure()) return;
      Matcher matcher(model, compiled.rules, compiled.ops, situation);
      matches += compare(model, compiled, program, matcher);
    });
  }
  RecordProperty("graphs", static_cast<int>(graphs));
  RecordProperty("matches", static_cast<int>(matches));
  EXPECT_GT(matches, 1000U);
}

TEST(ReferenceMatch, RandomGraphsAndRules) {
  const std::uint32_t seed = 20240607;
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const Situation situation;
  std::size_t matches = 0;
  for (int round = 0; round < 20 && !testing::Test::HasFailure(); ++round) {
    std::string text;
    for (int i = 0; i < 20; ++i)
      text += random_rule(random, fmt::format("r{}", i)) + "\n";
    const CompiledRules compiled = rules_of(text);
    ASSERT_FALSE(compiled.rules.phases.empty()) << text;
    const RuleProgram program = compile_program(compiled.rules, compiled.rules.phases[0].rules);
    for (int i = 0; i < 100 && !testing::Test::HasFailure(); ++i) {
      const Model model = random_graph(random, 4 + static_cast<int>(random() % 12));
      Matcher matcher(model, compiled.rules, compiled.ops, situation);
      matches += compare(model, compiled, program, matcher);
    }
    if (testing::Test::HasFailure()) ADD_FAILURE() << text;
  }
  RecordProperty("matches", static_cast<int>(matches));
  EXPECT_GT(matches, 1000U);
}

// Bodies: what lies in them, what they capture, carry and give out.
static constexpr const char* loop_graph =
    "g (float[3] x, int64 n, bool c, float[3] s0) => (float[3] s, float[K,3] all, float[3] z) {"
    "  s, all = Loop(n, c, s0) <body = b (int64 i, bool go, float[3] st)"
    "    => (bool goes, float[3] next, float[3] row)"
    "    { f = Cast<to = 1>(i) m = Mul(st, f) next = Add(m, x) row = Neg(next) goes = Identity(go) "
    "}>"
    "  r = Relu(x)"
    "  z = If(c) <then_branch = t () => (float[3] p) { p = Neg(r) },"
    "             else_branch = e () => (float[3] q) { q = Abs(s) }> }";

TEST(ReferenceMatch, Bodies) {
  static constexpr std::array predicates = {
      "body contains Mul",
      "body contains Exp",
      "not body contains Exp",
      "body contains Add(_, outer o)",
      "body contains Mul(_, outer o)",
      "body contains Mul(state st, _)",
      "body contains Mul(state 0, _)",
      "body contains Mul(state 1, _)",
      "body contains Cast(iteration)",
      "body contains Neg(iteration)",
      "body contains Neg(Add(Mul, outer o))",
      "body contains Neg(scan 0)",
      "users = 2",
  };
  std::string text;
  for (std::size_t i = 0; i < predicates.size(); ++i)
    text += fmt::format("rule r{}: n @ Loop[{}] -> n{{}}\n", i, predicates[i]);
  text +=
      "rule whole: n @ Loop[body is { f = Cast(iteration) m = Mul(state a, f) k = Add(m, outer o) "
      "w = Neg(k) g = Identity(go) }] -> n{}\n"
      "rule part: n @ Loop[body is { f = Cast(iteration) m = Mul(state a, f) }] -> n{}\n"
      "rule branch: n @ If[then_body contains Neg(outer r)](c) -> n{}\n"
      "rule other: n @ If[else_body contains Neg(outer r)](c) -> n{}\n";
  const CompiledRules compiled = rules_of(text);
  ASSERT_FALSE(compiled.rules.phases.empty()) << text;
  const RuleProgram program = compile_program(compiled.rules, compiled.rules.phases[0].rules);
  const Model model = model_of(loop_graph);
  const Situation situation;
  Matcher matcher(model, compiled.rules, compiled.ops, situation);
  EXPECT_GE(compare(model, compiled, program, matcher), 8U);
}

// A Scan of one carried value over two inputs: state, slices, rows given out, nothing that counts.
static constexpr const char* scan_graph =
    "g (float[3] s0, float[4,3] a, float[4,3] b, float[3] x) => (float[3] s, float[4,3] all) {"
    "  s, all = Scan <num_scan_inputs = 2, body = k (float[3] st, float[3] p, float[3] q)"
    "    => (float[3] next, float[3] row)"
    "    { m = Mul(p, q) next = Add(m, st) n = Sub(next, x) row = Neg(n) }>(s0, a, b) }";

TEST(ReferenceMatch, BodiesOfScan) {
  static constexpr std::array predicates = {
      "body contains Mul",
      "body contains Add(Mul, state st)",
      "body contains Add(_, state 0)",
      "body contains Add(_, state 1)",
      "body contains Mul(state 0, _)",
      "body contains Mul(scan 0, _)",
      "body contains Sub(_, outer o)",
      "body contains Mul(iteration, _)",
      "body contains Neg(Sub(Add(Mul(p, q), state s), outer o))",
      "body contains Mul and not body contains Exp",
  };
  std::string text;
  for (std::size_t i = 0; i < predicates.size(); ++i)
    text += fmt::format("rule r{}: n @ Scan[{}] -> n{{}}\n", i, predicates[i]);
  text +=
      "rule whole: n @ Scan[body is { w = Neg(Sub(Add(Mul(p, q), state s), outer o)) }] -> n{}\n"
      "rule part: n @ Scan[body is { w = Sub(Add(Mul(p, q), state s), outer o) }] -> n{}\n";
  const CompiledRules compiled = rules_of(text);
  ASSERT_FALSE(compiled.rules.phases.empty()) << text;
  const RuleProgram program = compile_program(compiled.rules, compiled.rules.phases[0].rules);
  const Model model = model_of(scan_graph);
  const Situation situation;
  Matcher matcher(model, compiled.rules, compiled.ops, situation);
  EXPECT_EQ(compare(model, compiled, program, matcher), 7U);
}

TEST(ReferenceMatch, TheSameFirings) {
  const std::uint32_t seed = 7;
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const CompiledRules compiled = rules_of(small_rules);
  std::size_t firings = 0;
  for (int i = 0; i < 300 && !testing::Test::HasFailure(); ++i) {
    const std::uint32_t own = static_cast<std::uint32_t>(random());
    std::mt19937 first(own), second(own);
    const int nodes = 4 + static_cast<int>(own % 12);
    Model fast = random_graph(first, nodes);
    Model slow = random_graph(second, nodes);
    const std::string before = dump(fast);
    const auto expected =
        naive_rewrite(slow, compiled.rules, compiled.ops, 20 * static_cast<std::size_t>(nodes));
    const auto report = rewrite(fast, compiled.rules, compiled.ops, {});
    if (!report) {
      EXPECT_GT(expected.size(), 20 * static_cast<std::size_t>(nodes)) << report.error().message;
      continue;
    }
    std::vector<std::string> fired;
    for (const Firing& firing : report->firings) {
      fired.push_back(compiled.rules[firing.rule].name);
    }
    firings += fired.size();
    EXPECT_EQ(fired, expected) << before;
    EXPECT_EQ(dump(fast), dump(slow)) << before;
    const Status sound = fast.verify();
    EXPECT_TRUE(static_cast<bool>(sound)) << (sound ? "" : sound.error().message) << before;
  }
  EXPECT_GT(firings, 300U);
}

}  // namespace rulec::test
