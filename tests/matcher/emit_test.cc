// SPDX-License-Identifier: Apache-2.0
// emit() alone: the replacement of a rule made at a match, beside what it would replace; and what
// an emission that fails leaves behind, which is nothing.
#include "matcher/emit.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "matcher/matcher.h"
#include "tests/support/rewriting.h"

namespace rulec::test {
namespace {

struct Made {
  Model model;
  std::string error;
  Emitted emitted;
  std::string before;  // the graph's operators, without what was made

  // The operators that were made, in order.
  std::string ops() const {
    std::string out;
    for (const NodeId node : emitted.nodes)
      out += (out.empty() ? "" : " ") + model.node(node).type.str();
    return out;
  }
  const GraphNode& node(std::size_t i) const { return model.node(emitted.nodes.at(i)); }
  std::string type(std::size_t result) const {
    return to_string(model.value(emitted.results.at(result)).type);
  }
};

// Makes the replacement of the last rule at the first node where it matches.
Made made(const std::string& graph, const std::string& rules, int opset = 17,
          EmitOptions options = {}) {
  Made out;
  out.model = model_of(graph, opset);
  const CompiledRules compiled = rules_of(rules);
  if (compiled.rules.rules.empty()) return out;
  const RuleId id{static_cast<std::uint32_t>(compiled.rules.rules.size() - 1)};
  const Rule& rule = compiled.rules[id];
  const Situation situation;
  std::optional<Match> match;
  {
    Matcher matcher(out.model, compiled.rules, compiled.ops, situation);
    for (const NodeId node : out.model.nodes(out.model.main())) {
      match = matcher.match(id, node, nullptr);
      if (match) break;
    }
  }
  if (!match) {
    ADD_FAILURE() << "the rule matches nowhere";
    return out;
  }
  out.before = ops_of(out.model, out.model.main());
  const std::size_t initializers = out.model.graph(out.model.main()).initializers.size();
  options.graph = out.model.main();
  options.before = match->root;
  options.name_hint = "made";
  const Scope scope{.model = out.model,
                    .rules = compiled.rules,
                    .ops = compiled.ops,
                    .slots = rule.slots,
                    .bindings = match->slots,
                    .situation = situation,
                    .self = match->root};
  auto emitted = emit(out.model, scope, rule.replacement, options);
  if (emitted) {
    out.emitted = std::move(*emitted);
    for (const NodeId node : out.emitted.nodes)
      EXPECT_TRUE(out.model.before(node, match->root));
  } else {
    out.error = emitted.error().message;
    // Taken back: the graph is as it was.
    EXPECT_EQ(ops_of(out.model, out.model.main()), out.before);
    EXPECT_EQ(out.model.graph(out.model.main()).initializers.size(), initializers);
  }
  const Status valid = out.model.verify();
  EXPECT_TRUE(valid) << valid.error().message;
  return out;
}

const std::string relu = "g (float[2,3] x) => (float[2,3] y) { a = Relu(x) y = Neg(a) }";

}  // namespace

TEST(Emit, NestedOperatorsAreMadeInOrder) {
  const Made out = made(relu, "rule r: Relu(x) -> Abs(Exp(x))");
  EXPECT_EQ(out.ops(), "Exp Abs");
  ASSERT_EQ(out.emitted.results.size(), 1U);
  EXPECT_EQ(out.emitted.results[0], out.node(1).outputs[0]);
  EXPECT_EQ(out.type(0), "f32[2,3]");
  EXPECT_EQ(out.model.live_nodes(), 4U);
}

TEST(Emit, ACapturedValueNeedsNoNode) {
  const Made out = made(relu, "rule r: Neg(Relu(x)) -> x");
  EXPECT_EQ(out.ops(), "");
  ASSERT_EQ(out.emitted.results.size(), 1U);
  EXPECT_EQ(out.model.value(out.emitted.results[0]).name, "x");
}

TEST(Emit, AValueUsedTwiceIsOneOperand) {
  const Made out = made(relu, "rule r: Relu(x) -> Mul(x, x)");
  EXPECT_EQ(out.ops(), "Mul");
  EXPECT_EQ(out.node(0).inputs[0], out.node(0).inputs[1]);
}

TEST(Emit, ALiteralTakesTheDtypeOfTheOperandBesideIt) {
  const Made out =
      made("g (double[2] x) => (double[2] y) { y = Relu(x) }", "rule r: Relu(x) -> Max(x, 0)");
  ASSERT_EQ(out.ops(), "Max");
  const auto zero = out.model.constant(out.node(0).inputs[1]);
  ASSERT_NE(zero, nullptr);
  EXPECT_EQ(zero->dtype(), DType::F64);
  EXPECT_EQ(zero->rank(), 0U);
}

TEST(Emit, ALiteralAloneTakesTheDtypeThatIsWanted) {
  EmitOptions options;
  options.literal_dtype = DType::F16;
  const Made out = made(relu, "rule r: Relu(x) -> 2.5", 17, options);
  ASSERT_EQ(out.emitted.results.size(), 1U);
  const auto constant = out.model.constant(out.emitted.results[0]);
  ASSERT_NE(constant, nullptr);
  EXPECT_EQ(constant->dtype(), DType::F16);
  EXPECT_EQ(constant->number(0), 2.5);
}

TEST(Emit, OperandsThatWereAttributesAreWrittenAsTheOpsetWants) {
  const std::string rule = "rule r: Relu(x) -> Unsqueeze(x){axes = [0]}";
  const Made old = made(relu, rule, 11);
  ASSERT_EQ(old.ops(), "Unsqueeze");
  EXPECT_EQ(old.node(0).inputs.size(), 1U);
  EXPECT_NE(old.node(0).attributes.find("axes"), nullptr);
  const Made now = made(relu, rule, 17);
  ASSERT_EQ(now.ops(), "Unsqueeze");
  EXPECT_EQ(now.node(0).inputs.size(), 2U);
  EXPECT_EQ(now.node(0).attributes.find("axes"), nullptr);
  EXPECT_EQ(now.type(0), "f32[1,2,3]");
}

TEST(Emit, AnAbsentOptionalOperandStaysAbsent) {
  const std::string rule = "rule r: Clip(x, low?, high?) -> Clip(Abs(x), low, high)";
  const Made gap =
      made("g (float[2] x) => (float[2] y) <float h = {1}> { y = Clip(x, , h) }", rule);
  ASSERT_EQ(gap.ops(), "Abs Clip");
  ASSERT_EQ(gap.node(1).inputs.size(), 3U);
  EXPECT_FALSE(gap.node(1).inputs[1]);
  EXPECT_EQ(gap.model.value(gap.node(1).inputs[2]).name, "h");
  const Made none = made("g (float[2] x) => (float[2] y) { y = Clip(x) }", rule);
  EXPECT_EQ(none.node(1).inputs.size(), 1U);
}

TEST(Emit, AnAbsentReplacementIsNone) {
  const Made out =
      made("g (float[2] x) => (float[2] y) { y = Clip(x) }", "rule r: Clip(x, low?, high?) -> low");
  EXPECT_EQ(out.error, "the replacement is an absent operand");
}

TEST(Emit, AllResultsAreMadeWhereSeveralAreWanted) {
  const std::string graph =
      "g (float[4] x) => (float[2] a, float[2] b) <int64[2] s = {2, 2}> { a, b = Split<axis = "
      "0>(x, "
      "s) }";
  EmitOptions two;
  two.results = 2;
  const Made out = made(graph, "rule r: Split(x, s) -> Split(Neg(x), s){axis = 0}", 17, two);
  EXPECT_EQ(out.ops(), "Neg Split");
  EXPECT_EQ(out.emitted.results.size(), 2U);
  EXPECT_EQ(out.type(1), "f32[2]");
}

TEST(Emit, AChoiceIsMadeByWhatIsKnown) {
  const std::string rule = "rule r: Relu(x) -> (rank(x) = 2 ? Exp(x) : Log(x))";
  EXPECT_EQ(made(relu, rule).ops(), "Exp");
  EXPECT_EQ(made("g (float[2] x) => (float[2] y) { y = Relu(x) }", rule).ops(), "Log");
  const Made open = made("g (float[N] x) => (float[N] y) { y = Relu(x) }",
                         "rule r: Relu(x) -> (dim(x, 0) = 2 ? Exp(x) : Log(x))");
  EXPECT_TRUE(open.error.starts_with("a replacement's condition")) << open.error;
}

TEST(Emit, ArithmeticOverConstantsIsAConstant) {
  const Made out = made(
      "g (float[2] x) => (float[2] y) <float[2] p = {1, 2}, float[2] q = {3, 4}> {"
      " a = Mul(x, p) y = Mul(a, q) }",
      "rule r: Mul(Mul(x, const p), const q) -> Mul(x, p * q)");
  ASSERT_EQ(out.ops(), "Mul");
  const auto product = out.model.constant(out.node(0).inputs[1]);
  ASSERT_NE(product, nullptr);
  EXPECT_EQ(product->number(1), 8);
}

TEST(Emit, ArithmeticOverValuesIsANode) {
  EXPECT_EQ(made(relu, "rule r: Neg(Relu(x)) -> Abs(x - Exp(x))").ops(), "Exp Sub Abs");
}

TEST(Emit, MetadataAndNamesAreThoseAskedFor) {
  EmitOptions options;
  options.metadata = {{"key", "text"}};
  const Made out = made(relu, "rule r: Relu(x) -> Abs(Exp(x))", 17, options);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::vector<Metadata>& metadata = out.node(i).metadata;
    ASSERT_EQ(metadata.size(), 1U);
    EXPECT_EQ(metadata.front().value, "text");
    EXPECT_TRUE(out.node(i).name.starts_with("made")) << out.node(i).name;
  }
  EXPECT_NE(out.node(0).name, out.node(1).name);
}

TEST(Emit, WhatFailsIsTakenBack) {
  // The first node can be made, the second has no type.
  const Made out =
      made("g (int64[2] x) => (int64[2] y) { y = Neg(x) }", "rule r: Neg(x) -> Exp(Mul(x, 3))");
  EXPECT_NE(out.error, "");
}

TEST(Emit, AnOperatorThatTheOpsetLacksIsRefused) {
  const Made out = made(relu, "rule r: Relu(x) -> Mish(x)", 13);
  EXPECT_NE(out.error.find("Mish"), std::string::npos) << out.error;
}

// ---- templates in expressions -------------------------------------------------------------------

TEST(EmitTemplate, ParametersTakeWhatIsGivenOrTheirDefault) {
  const std::string text =
      "template grow(n : int = 2) for (v : f32[...]) -> (w : f32[...]) { w = Mul(v, n) }\n";
  const Made own = made(relu, text + "rule r: Relu(x) -> grow(x)");
  ASSERT_EQ(own.ops(), "Mul") << own.error;
  EXPECT_EQ(own.model.constant(own.node(0).inputs[1])->number(0), 2);
  const Made given = made(relu, text + "rule r: Relu(x) -> grow(x, n = 5)");
  ASSERT_EQ(given.ops(), "Mul") << given.error;
  EXPECT_EQ(given.model.constant(given.node(0).inputs[1])->number(0), 5);
}

TEST(EmitTemplate, StatementsSeeEarlierOnes) {
  const Made out = made(relu,
                        "template t() for (v : f32[A, B]) -> (w : f32[A, B])\n"
                        "{ e = Exp(v)  w = Add(e, Neg(e)) }\n"
                        "rule r: Relu(x) -> t(x)");
  EXPECT_EQ(out.ops(), "Exp Neg Add") << out.error;
  EXPECT_EQ(out.node(1).inputs[0], out.node(0).outputs[0]);
}

TEST(EmitTemplate, AnOptionalPortMayBeLeftOut) {
  const std::string text =
      "template t() for (v : f32[...], b? : f32[]) -> (w : f32[...]) { w = Clip(v, b) }\n";
  const Made left_out = made(relu, text + "rule r: Relu(x) -> t(x)");
  ASSERT_EQ(left_out.ops(), "Clip") << left_out.error;
  EXPECT_EQ(left_out.node(0).inputs.size(), 1U);
  const Made given = made(relu, text + "rule r: Relu(x) -> t(x, 1.5)");
  ASSERT_EQ(given.ops(), "Clip") << given.error;
  ASSERT_EQ(given.node(0).inputs.size(), 2U);
  EXPECT_EQ(given.model.constant(given.node(0).inputs[1])->number(0), 1.5);
}

TEST(EmitTemplate, APortThatIsAbsentButNeededIsRefused) {
  const Made out = made("g (float[2] x) => (float[2] y) { y = Clip(x) }",
                        "template t() for (v : f32[...]) -> (w : f32[...]) { w = Exp(v) }\n"
                        "rule r: Clip(x, low?) -> t(low)");
  EXPECT_EQ(out.error, "port `v` of t is absent");
}

TEST(EmitTemplate, SizesOfPortsMustAgree) {
  const std::string text =
      "template t() for (v : f32[A, B], u : f32[B]) -> (w : f32[A, B]) { w = Add(v, u) }\n"
      "rule r: Mul(x, z) -> t(x, z)";
  EXPECT_EQ(made("g (float[2,3] x, float[3] z) => (float[2,3] y) { y = Mul(x, z) }", text).ops(),
            "Add");
  const Made out = made("g (float[2,3] x, float[1] z) => (float[2,3] y) { y = Mul(x, z) }", text);
  EXPECT_NE(out.error.find("port `u` of t does not take `z`"), std::string::npos) << out.error;
}

TEST(EmitTemplate, NoBodyThatServesIsAnError) {
  const Made out = made(relu,
                        "template t() for (v : f32[A, B]) -> (w : f32[A, B])\n"
                        "  where A = 7 { w = Exp(v) } else where B = 9 { w = Log(v) }\n"
                        "rule r: Relu(x) -> Abs(t(x))");
  EXPECT_NE(out.error.find("no body of t serves"), std::string::npos) << out.error;
}

TEST(EmitTemplate, AssumptionsAreCollectedOrRefused) {
  const std::string text =
      "template t() for (v : f32[A, B]) -> (w : f32[A, B])\n"
      "  assuming \"all is well\" when A = 2 { w = Exp(v) }\n"
      "rule r: Relu(x) -> t(x)";
  EXPECT_EQ(made(relu, text).emitted.assumed, std::vector<std::string>{"all is well"});
  EmitOptions strict;
  strict.strict = true;
  const Made refused = made(relu, text, 17, strict);
  EXPECT_NE(refused.error.find("--strict"), std::string::npos) << refused.error;
  // Where the clause does not apply there is nothing to assume.
  const Made other = made("g (float[3,3] x) => (float[3,3] y) { y = Relu(x) }", text, 17, strict);
  EXPECT_EQ(other.ops(), "Exp") << other.error;
  EXPECT_TRUE(other.emitted.assumed.empty());
}

}  // namespace rulec::test
