// SPDX-License-Identifier: Apache-2.0
#include "tests/support/graph_generator.h"

#include <algorithm>
#include <array>

namespace rulec::test {
namespace {

struct Planned {
  std::string type;
  std::vector<std::size_t> inputs;  // 0: the input, 1 and 2: constants, then the nodes' results
};

}  // namespace

static Model build(const std::vector<Planned>& plan, const std::vector<bool>& exposed) {
  Model model;
  model.ir_version = 8;
  model.opset_imports = {{"", 17}};
  const GraphId graph = model.main();
  model.graph(graph).name = "g";
  const Type type = Type::tensor(DType::F32, {3});
  std::vector<ValueId> values = {model.add_input(graph, "x", type)};
  for (const float constant : {0.0F, 1.0F}) {
    const bool used = std::any_of(plan.begin(), plan.end(), [&](const Planned& node) {
      return std::any_of(node.inputs.begin(), node.inputs.end(),
                         [&](std::size_t input) { return input == values.size(); });
    });
    values.push_back(
        used ? model.add_initializer(graph, constant == 0 ? "zero" : "one",
                                     Tensor::of<float>({3}, std::vector<float>(3, constant)))
             : ValueId{});
  }
  for (std::size_t i = 0; i < plan.size(); ++i) {
    NewNode node;
    node.name = "n" + std::to_string(i);
    node.type = plan[i].type;
    for (const std::size_t input : plan[i].inputs)
      node.inputs.push_back(values[input]);
    node.output_names = {"v" + std::to_string(i)};
    const NodeId made = model.add_node(graph, std::move(node));
    values.push_back(model.node(made).outputs.front());
    model.value(values.back()).type = type;
  }
  for (std::size_t i = 3; i < values.size(); ++i) {
    if (model.use_count(values[i]) == 0 || exposed[i - 3]) model.add_output(graph, values[i]);
  }
  return model;
}

static void extend(std::vector<Planned>& plan, int nodes, std::size_t& count,
                   const std::function<void(Model&)>& visit) {
  if (static_cast<int>(plan.size()) == nodes) {
    Model model = build(plan, std::vector<bool>(plan.size(), false));
    visit(model);
    ++count;
    return;
  }
  std::vector<std::size_t> values = {0, 1};
  for (std::size_t i = 0; i < plan.size(); ++i)
    values.push_back(3 + i);
  for (const std::size_t a : values) {
    plan.push_back({"Relu", {a}});
    extend(plan, nodes, count, visit);
    plan.pop_back();
    for (const std::size_t b : values) {
      plan.push_back({"Add", {a, b}});
      extend(plan, nodes, count, visit);
      plan.pop_back();
    }
  }
}

std::size_t for_each_graph(int nodes, const std::function<void(Model&)>& visit) {
  std::size_t count = 0;
  std::vector<Planned> plan;
  extend(plan, nodes, count, visit);
  return count;
}

Model random_graph(std::mt19937& random, int nodes) {
  static constexpr std::array<const char*, 5> types = {"Relu", "Neg", "Add", "Mul", "Sub"};
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  std::vector<Planned> plan;
  std::vector<bool> exposed;
  for (int i = 0; i < nodes; ++i) {
    Planned node{types[below(types.size())], {}};
    const std::size_t operands = node.type == "Relu" || node.type == "Neg" ? 1 : 2;
    for (std::size_t k = 0; k < operands; ++k) {
      // Mostly recent values, so that trees come out.
      const std::size_t count = 3 + plan.size();
      node.inputs.push_back(below(3) == 0 || plan.empty()
                                ? below(count)
                                : count - 1 - below(std::min<std::size_t>(4, plan.size())));
    }
    plan.push_back(std::move(node));
    exposed.push_back(below(8) == 0);
  }
  return build(plan, exposed);
}

static std::string random_pattern(std::mt19937& random, int depth) {
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  static constexpr std::array<const char*, 8> leaves = {"x", "y", "x",       "z",
                                                        "0", "_", "const c", "1"};
  if (depth == 0 || below(4) == 0) return leaves[below(leaves.size())];
  const auto operand = [&] { return random_pattern(random, depth - 1); };
  switch (below(9)) {
    case 0:
      return "Relu(" + operand() + ")";
    case 1:
      return "Neg(" + operand() + ")";
    case 2:
      return "Sub(" + operand() + ", " + operand() + ")";
    case 3:
      return "shared Relu(" + operand() + ")";
    case 4:
      return "Relu?(" + operand() + ")";
    case 5:
      return "(Relu | Neg)*(" + operand() + ")";
    case 6:
      return "Mul(" + operand() + ", " + operand() + ")";
    default:
      return "Add(" + operand() + ", " + operand() + ")";
  }
}

std::string random_rule(std::mt19937& random, const std::string& name) {
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  static constexpr std::array<const char*, 3> roots = {"Add", "Mul", "Sub"};
  const std::string root = roots[below(roots.size())];
  const std::string pattern =
      root + "(" + random_pattern(random, 2) + ", " + random_pattern(random, 2) + ")";
  for (const char* name_of : {"x", "y", "z"}) {
    if (pattern.find(name_of) == std::string::npos) continue;
    std::string text = "rule " + name + ": " + pattern + " -> Abs(" + name_of + ")";
    if (below(3) == 0) text += std::string(" where users(") + name_of + ") = 1";
    return text;
  }
  return "rule " + name + ": " + root + "(x, " + random_pattern(random, 2) + ") -> Abs(x)";
}

}  // namespace rulec::test
