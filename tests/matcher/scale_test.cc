// SPDX-License-Identifier: Apache-2.0
// How much work a rewrite is, counted and not timed: linear in the graph, independent of rules that
// cannot match, of shared constants, of the order of commutative operands, without recursion.
#include <gtest/gtest.h>

#include "bench/corpus.h"
#include "matcher/matcher.h"
#include "matcher/onnx_io.h"
#include "tests/support/rewriting.h"

namespace rulec::test {

static RewriteReport rewrite_chain(std::size_t nodes, int rules) {
  Model model = bench::gelu_chain(nodes);
  const CompiledRules compiled = rules_of(bench::gelu_rules(rules));
  auto report = rewrite(model, compiled.rules, compiled.ops, {});
  EXPECT_TRUE(static_cast<bool>(report));
  EXPECT_EQ(model.live_nodes(), nodes / 7 * 3);
  return report ? std::move(*report) : RewriteReport();
}

static double per_node(std::int64_t count, std::size_t nodes) {
  return static_cast<double>(count) / static_cast<double>(nodes);
}

TEST(Scale, WorkGrowsWithTheGraph) {
  const RewriteReport small = rewrite_chain(700, 10);
  const RewriteReport large = rewrite_chain(14'000, 10);
  EXPECT_EQ(large.firings.size(), 2000U);
  // Each node once, and again what a firing made or touched.
  EXPECT_LT(per_node(large.nodes_visited, 14'000), 1.5);
  EXPECT_LT(per_node(large.rules[0].tests, 14'000), 1.1 * per_node(small.rules[0].tests, 700));
}

TEST(Scale, RulesThatCannotMatchCostNothingAtANode) {
  const RewriteReport ten = rewrite_chain(7000, 10);
  const RewriteReport many = rewrite_chain(7000, 300);
  EXPECT_EQ(many.nodes_visited, ten.nodes_visited);
  std::int64_t tried = 0;
  for (std::size_t i = 1; i < many.rules.size(); ++i)
    tried += many.rules[i].tried;
  EXPECT_EQ(tried, 0);
}

TEST(Scale, SharedConstantsDoNotBringBackTheirReaders) {
  Model model;
  model.opset_imports = {{"", 20}};
  const GraphId graph = model.main();
  model.graph(graph).name = "g";
  ValueId x = model.add_input(graph, "x", Type::tensor(DType::F32, {4}));
  const ValueId one = model.add_initializer(graph, "one", Tensor::scalar(1.0F));
  static constexpr int pairs = 3000;
  for (int i = 0; i < pairs; ++i) {
    for (const char* type : {"Add", "Relu", "Neg"}) {
      NewNode node{.name = model.fresh_node_name(type), .type = type, .inputs = {x}};
      if (std::string_view(type) == "Add") node.inputs.push_back(one);
      x = model.node(model.add_node(graph, std::move(node))).outputs[0];
    }
  }
  model.add_output(graph, x);
  std::vector<std::string> warnings;
  infer_types(model, warnings);
  const CompiledRules compiled = rules_of("rule r: Relu(Add(x, 1)) -> Abs(x)");
  const auto report = rewrite(model, compiled.rules, compiled.ops, {});
  ASSERT_TRUE(static_cast<bool>(report));
  EXPECT_EQ(report->firings.size(), static_cast<std::size_t>(pairs));
  EXPECT_LT(report->nodes_visited, 3 * 3 * pairs);
}

// Twelve nested additions whose innermost operand is wrong, with the operands of every second one
// in the other order than the pattern's.
static std::uint64_t nested_tests(const std::string& modifier) {
  static constexpr int depth = 12;
  Model model;
  model.opset_imports = {{"", 20}};
  const GraphId graph = model.main();
  const ValueId input = model.add_input(graph, "x", Type::tensor(DType::F32, {4}));
  const auto apply = [&](const char* type, std::vector<ValueId> inputs) {
    const NodeId node = model.add_node(
        graph, {.name = model.fresh_node_name(type), .type = type, .inputs = std::move(inputs)});
    return model.node(node).outputs[0];
  };
  std::string pattern = "Neg(x)";
  ValueId value = apply("Abs", {input});
  for (int i = 0; i < depth; ++i) {
    const ValueId other = apply("Relu", {input});
    const bool swapped = modifier.empty() && i % 2 == 1;
    value = apply("Add", swapped ? std::vector{other, value} : std::vector{value, other});
    pattern = modifier + "Add(" + pattern + ", Relu(y" + std::to_string(i) + "))";
  }
  model.add_output(graph, value);
  const CompiledRules compiled = rules_of("rule r: " + pattern + " -> Abs(x)");
  const Situation situation;
  Matcher matcher(model, compiled.rules, compiled.ops, situation);
  EXPECT_FALSE(matcher.match(RuleId{0}, model.last_node(graph), nullptr));
  return matcher.tests();
}

TEST(Scale, CommutativeOperandsAreNoPowersOfTwo) {
  EXPECT_LE(nested_tests(""), 2 * nested_tests("ordered ") + 2);
}

TEST(Scale, DepthCostsNoStack) {
  Model model;
  model.opset_imports = {{"", 20}};
  const GraphId graph = model.main();
  ValueId x = model.add_input(graph, "x", Type::tensor(DType::F32, {4}));
  static constexpr int nodes = 200'000;
  for (int i = 0; i < nodes; ++i) {
    const NodeId node = model.add_node(
        graph,
        {.name = "n" + std::to_string(i), .type = i % 2 == 0 ? "Relu" : "Identity", .inputs = {x}});
    x = model.node(node).outputs[0];
  }
  model.add_output(graph, x);
  std::vector<std::string> warnings;
  infer_types(model, warnings);
  EXPECT_TRUE(model.value(x).type.static_shape());
  const CompiledRules compiled = rules_of("rule r exact: Identity(x) -> x");
  const auto report = rewrite(model, compiled.rules, compiled.ops, {});
  ASSERT_TRUE(static_cast<bool>(report)) << report.error().message;
  // The last Identity keeps the output's name.
  EXPECT_GE(report->firings.size(), nodes / 2 - 1U);
  EXPECT_LT(report->nodes_visited, 4 * nodes);
}

}  // namespace rulec::test
