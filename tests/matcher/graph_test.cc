// SPDX-License-Identifier: Apache-2.0
#include "matcher/graph.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

namespace rulec {
namespace {

NodeId add(Model& model, const char* type, std::vector<ValueId> inputs, NodeId before = {}) {
  return model.add_node(model.main(), {.type = type, .inputs = std::move(inputs)}, before);
}
ValueId out(const Model& model, NodeId node) {
  return model.node(node).outputs[0];
}

TEST(Graph, ListsNodesInOrder) {
  Model model;
  const ValueId x = model.add_input(model.main(), "x", Type::tensor(DType::F32));
  const NodeId a = add(model, "Relu", {x});
  const NodeId c = add(model, "Abs", {out(model, a)});
  const NodeId b = add(model, "Neg", {out(model, a)}, c);
  EXPECT_EQ(model.nodes(model.main()), (std::vector{a, b, c}));
  EXPECT_TRUE(model.before(a, b) && model.before(b, c));
  EXPECT_EQ(model.live_nodes(), 3u);
  EXPECT_TRUE(model.verify());
}

TEST(Graph, ReplacesUsesInNodesAndOutputs) {
  Model model;
  const ValueId x = model.add_input(model.main(), "x", {});
  const ValueId y = model.add_input(model.main(), "y", {});
  const NodeId add_node = add(model, "Add", {x, x});
  model.add_output(model.main(), x);
  EXPECT_EQ(model.use_count(x), 3u);
  EXPECT_TRUE(model.is_graph_output(x));
  model.replace_uses(x, y);
  EXPECT_EQ(model.use_count(x), 0u);
  EXPECT_EQ(model.use_count(y), 3u);
  EXPECT_EQ(model.node(add_node).inputs, (std::vector{y, y}));
  EXPECT_EQ(model.graph(model.main()).outputs, std::vector{y});
  EXPECT_EQ(model.uses(y).size(), 3u);
  EXPECT_TRUE(model.verify());
}

TEST(Graph, GrowsAndShrinksOperands) {
  Model model;
  const ValueId x = model.add_input(model.main(), "x", {});
  const NodeId node = add(model, "Concat", {x});
  for (std::size_t i = 1; i < 40; ++i)
    model.set_input(node, i, x);
  EXPECT_EQ(model.use_count(x), 40u);
  EXPECT_TRUE(model.verify());
  model.set_input(node, 3, {});
  EXPECT_EQ(model.use_count(x), 39u);
  model.resize_inputs(node, 2);
  EXPECT_EQ(model.use_count(x), 2u);
  EXPECT_TRUE(model.verify());
}

TEST(Graph, RemovesANodeWithItsBodies) {
  Model model;
  const ValueId x = model.add_input(model.main(), "x", {});
  const NodeId loop = add(model, "Loop", {});
  const GraphId body = model.add_graph("body", loop);
  model.node(loop).attributes.set("body", body);
  const NodeId inner = model.add_node(body, {.type = "Relu", .inputs = {x}});  // captures x
  model.add_output(body, model.node(inner).outputs[0]);
  EXPECT_TRUE(model.verify());
  EXPECT_TRUE(model.encloses(model.main(), body));
  EXPECT_FALSE(model.encloses(body, model.main()));
  EXPECT_EQ(model.bodies(loop), std::vector{body});
  EXPECT_EQ(model.use_count(x), 1u);
  model.remove_node(loop);
  EXPECT_EQ(model.use_count(x), 0u);
  EXPECT_EQ(model.live_nodes(), 0u);
  EXPECT_FALSE(model.graph(body).alive);
  EXPECT_TRUE(model.verify());
}

TEST(Graph, BodiesMoveToAnotherNode) {
  Model model;
  const NodeId old = add(model, "Loop", {});
  const GraphId body = model.add_graph("body", old);
  model.node(old).attributes.set("body", body);
  const NodeId changed =
      model.add_node(model.main(), {.type = "Loop", .attributes = model.node(old).attributes}, old);
  model.remove_node(old);
  EXPECT_TRUE(model.graph(body).alive);
  EXPECT_EQ(model.graph(body).owner, changed);
  EXPECT_TRUE(model.verify());
}

TEST(Graph, FreshNamesAreFresh) {
  Model model;
  model.add_input(model.main(), "x", {});
  model.add_input(model.main(), "x_1", {});
  EXPECT_EQ(model.fresh_value_name("x"), "x_2");
  EXPECT_EQ(model.fresh_value_name("x"), "x_3");
  EXPECT_EQ(model.fresh_value_name("y"), "y");
  EXPECT_EQ(model.fresh_value_name("y"), "y_1");
  model.add_input(model.main(), "z", {});
  EXPECT_EQ(model.fresh_value_name("z"), "z_1");
}

// Thousands of insertions at one place exhaust the keys between two neighbours again and again.
TEST(Graph, OrderHoldsUnderInsertionsAtOnePlace) {
  Model model;
  const NodeId first = add(model, "First", {});
  const NodeId last = add(model, "Last", {});
  std::vector<NodeId> expected = {first};
  for (int i = 0; i < 20000; ++i)
    expected.push_back(add(model, "Node", {}, last));
  NodeId front = expected[1];
  std::vector<NodeId> reversed;
  for (int i = 0; i < 20000; ++i)
    reversed.push_back(front = add(model, "Node", {}, front));
  std::vector<NodeId> all = {first};
  all.insert(all.end(), reversed.rbegin(), reversed.rend());
  all.insert(all.end(), expected.begin() + 1, expected.end());
  all.push_back(last);
  EXPECT_EQ(model.nodes(model.main()), all);
  EXPECT_TRUE(model.verify());
}

TEST(Graph, OrderHoldsUnderInsertionsBeforeTheFirst) {
  Model model;
  NodeId front = add(model, "Node", {});
  for (int i = 0; i < 5000; ++i)
    front = add(model, "Node", {}, front);
  EXPECT_EQ(model.first_node(model.main()), front);
  EXPECT_TRUE(model.verify());
}

// Random edits against the invariants.
TEST(Graph, RandomEditsKeepTheInvariants) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](std::size_t n) {
      return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
    };
    Model model;
    std::vector<ValueId> inputs;
    for (int i = 0; i < 3; ++i) {
      inputs.push_back(model.add_input(model.main(), fmt::format("x{}", i), {}));
    }
    for (int step = 0; step < 400; ++step) {
      const std::vector<NodeId> nodes = model.nodes(model.main());
      const auto any_before = [&](std::size_t place) {
        const std::size_t pick = below(place + inputs.size());
        return pick < place ? out(model, nodes[pick]) : inputs[pick - place];
      };
      switch (below(5)) {
        case 0:
        case 1: {
          const std::size_t place = below(nodes.size() + 1);
          std::vector<ValueId> operands;
          for (std::size_t i = below(4); i > 0; --i)
            operands.push_back(any_before(place));
          add(model, "Node", operands, place < nodes.size() ? nodes[place] : NodeId{});
          break;
        }
        case 2:
          if (!nodes.empty()) {
            const std::size_t place = below(nodes.size());
            const GraphNode& node = model.node(nodes[place]);
            model.set_input(nodes[place], below(node.inputs.size() + 1), any_before(place));
          }
          break;
        case 3:
          if (!nodes.empty()) {
            const std::size_t place = below(nodes.size());
            model.replace_uses(out(model, nodes[place]), any_before(place));
            model.remove_node(nodes[place]);
          }
          break;
        default:
          if (!nodes.empty()) model.add_output(model.main(), any_before(nodes.size()));
      }
      const Status status = model.verify();
      ASSERT_TRUE(status) << "seed " << seed << " step " << step << ": " << status.error().message;
    }
  }
}

TEST(Graph, VerifyFindsAUseBeforeItsDefinition) {
  Model model;
  const NodeId a = add(model, "A", {});
  const NodeId b = add(model, "B", {});
  model.set_input(a, 0, out(model, b));
  const Status status = model.verify();
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("before"), std::string::npos);
  model.move_before(a, {});
  EXPECT_TRUE(model.verify());
}

TEST(Graph, VerifyFindsALeakOutOfABody) {
  Model model;
  const NodeId loop = add(model, "Loop", {});
  const GraphId body = model.add_graph("body", loop);
  model.node(loop).attributes.set("body", body);
  const NodeId inner = model.add_node(body, {.type = "Relu"});
  add(model, "Abs", {model.node(inner).outputs[0]});
  EXPECT_FALSE(model.verify());
}

TEST(Graph, ConstantsAreInitializersAndConstantNodes) {
  Model model;
  const ValueId w = model.add_initializer(model.main(), "w", Tensor::scalar(2.0f));
  const ValueId x = model.add_input(model.main(), "x", {});
  Attributes attributes;
  attributes.set("value_ints", std::vector<std::int64_t>{1, 2});
  const NodeId node = model.add_node(model.main(), {.type = "Constant", .attributes = attributes});
  ASSERT_TRUE(model.constant(w));
  EXPECT_EQ(model.constant(w)->number(0), 2.0);
  EXPECT_FALSE(model.constant(x));
  ASSERT_TRUE(model.constant(out(model, node)));
  EXPECT_EQ(model.constant(out(model, node))->integers(), (std::vector<std::int64_t>{1, 2}));
  model.value(w).is_input = true;  // a default that a caller may override
  EXPECT_FALSE(model.constant(w));
  model.ir_version = 3;
  EXPECT_TRUE(model.constant(w));
}

TEST(Graph, Dumps) {
  Model model;
  const ValueId x = model.add_input(model.main(), "x", Type::tensor(DType::F32, {2, 3}));
  const NodeId node =
      model.add_node(model.main(), {.type = "Relu", .inputs = {x, {}}, .output_names = {"y"}});
  model.add_output(model.main(), out(model, node));
  EXPECT_EQ(dump(model),
            "graph (%x : f32[2,3]) {\n"
            "  %y = Relu(%x, none) : ?\n"
            "  return %y\n"
            "}\n");
}

TEST(Symbol, IsInterned) {
  const Symbol a("Conv"), b(std::string("Co") + "nv");
  EXPECT_EQ(a, b);
  EXPECT_EQ(&a.str(), &b.str());
  EXPECT_EQ(a, "Conv");
  EXPECT_NE(a, Symbol("Gemm"));
  EXPECT_TRUE(Symbol().empty());
}

}  // namespace
}  // namespace rulec
