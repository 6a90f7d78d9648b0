// SPDX-License-Identifier: Apache-2.0
// The same model and rules give the same bytes every time, and a file that lists its nodes in
// another valid order gives the same firings and names.
#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "bench/corpus.h"
#include "matcher/onnx_io.h"
#include "tests/support/graph_generator.h"
#include "tests/support/rewriting.h"

namespace rulec::test {

static constexpr const char* rules = R"(
rule relu_relu exact: Relu(Relu(x)) -> Relu(x)
rule add_zero: Add(x, 0) -> x
rule both: Add(Relu(x), Relu(y)) -> Relu(Add(x, y))
rule again: Add(Add(x, y), x) -> Add(x, y)
rule twice: Add(x, x) -> Relu(x)
rule cross: Add(Add(x, y), Add(y, z)) -> Add(x, z)
rule kept: Relu(shared Add(x, y)) -> Neg(x)
rule either: Add(Relu(x) | Add(x, _), x) -> Neg(x)
rule single: Mul(Relu(x), y) -> Neg(y) where users(x) = 1
rule pair {
  match {
    a = Relu(x)
    b = Mul(x, y)
  }
  emit { a = Neg(x)  b = Neg(y) }
}
)";

struct Outcome {
  std::vector<std::string> firings, nodes, values;
  std::string bytes;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

static Outcome outcome_of(Model model, const CompiledRules& compiled) {
  Outcome out;
  const auto report = rewrite(model, compiled.rules, compiled.ops, {});
  if (!report) {
    out.firings.push_back(report.error().message);
    return out;
  }
  for (const Firing& firing : report->firings) {
    out.firings.push_back(compiled.rules[firing.rule].name + " at " + firing.root);
  }
  for (std::uint32_t i = 0; i < model.node_capacity(); ++i) {
    const GraphNode& node = model.node(NodeId{i});
    if (!node.alive) continue;
    std::string text = node.name + " = " + node.type.str();
    for (const ValueId input : node.inputs)
      text += " " + (input ? model.value(input).name : std::string("_"));
    out.nodes.push_back(std::move(text));
    for (const ValueId output : node.outputs)
      out.values.push_back(model.value(output).name);
  }
  std::sort(out.nodes.begin(), out.nodes.end());
  std::sort(out.values.begin(), out.values.end());
  auto bytes = export_onnx_bytes(model);
  if (bytes) out.bytes = std::move(*bytes);
  return out;
}

// Another topological order of the main graph, at random.
static void permute(Model& model, std::mt19937& random) {
  std::vector<NodeId> left = model.nodes(model.main());
  std::vector<bool> placed(model.node_capacity(), false);
  while (!left.empty()) {
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < left.size(); ++i) {
      const auto& inputs = model.node(left[i]).inputs;
      const bool all = std::all_of(inputs.begin(), inputs.end(), [&](ValueId value) {
        const NodeId producer = value ? model.value(value).producer : NodeId{};
        return !producer || placed[producer.index];
      });
      if (all) ready.push_back(i);
    }
    const std::size_t at = ready[random() % ready.size()];
    placed[left[at].index] = true;
    model.move_before(left[at], {});
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

TEST(Determinism, TheSameBytesEveryTime) {
  const CompiledRules compiled = rules_of(bench::gelu_rules(10));
  const Outcome first = outcome_of(bench::gelu_chain(700), compiled);
  ASSERT_FALSE(first.bytes.empty());
  for (int run = 0; run < 20; ++run)
    ASSERT_EQ(outcome_of(bench::gelu_chain(700), compiled).bytes, first.bytes) << "run " << run;
}

TEST(Determinism, AnotherOrderInTheFileGivesTheSameFiringsAndNames) {
  const std::uint32_t seed = 4711;
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const CompiledRules compiled = rules_of(rules);
  std::size_t firings = 0;
  for (int round = 0; round < 150 && !testing::Test::HasFailure(); ++round) {
    const Model model = random_graph(random, 5 + static_cast<int>(random() % 30));
    const auto bytes = export_onnx_bytes(model);
    ASSERT_TRUE(static_cast<bool>(bytes));
    const auto read = [](const std::string& file) {
      auto again = import_onnx_bytes(file);
      std::vector<std::string> warnings;
      infer_types(*again, warnings);
      return std::move(*again);
    };
    const Outcome expected = outcome_of(read(*bytes), compiled);
    firings += expected.firings.size();
    for (int i = 0; i < 4; ++i) {
      Model other = model;
      permute(other, random);
      const auto file = export_onnx_bytes(other);
      ASSERT_TRUE(static_cast<bool>(file));
      const Outcome found = outcome_of(read(*file), compiled);
      EXPECT_EQ(found.firings, expected.firings) << dump(model) << dump(other);
      EXPECT_EQ(found.nodes, expected.nodes) << dump(model) << dump(other);
      EXPECT_EQ(found.values, expected.values) << dump(model) << dump(other);
    }
  }
  EXPECT_GT(firings, 300U);
}

}  // namespace rulec::test
