// SPDX-License-Identifier: Apache-2.0
#include "tests/support/graph_generator.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <tuple>

namespace rulec::test {
namespace {

struct Planned {
  std::string type;
  std::vector<std::size_t> inputs;  // 0: the input, then constants, then the nodes' results
  float alpha = 0;                  // of a LeakyRelu; 0: its default
};

// Of the input, two constants of three elements and two of rank 0.
constexpr std::size_t leaves = 5;
constexpr std::size_t absent = SIZE_MAX;

}  // namespace

static Model build(const std::vector<Planned>& plan, const std::vector<bool>& exposed) {
  Model model;
  model.ir_version = 8;
  model.opset_imports = {{"", 17}};
  const GraphId graph = model.main();
  model.graph(graph).name = "g";
  const Type type = Type::tensor(DType::F32, {3});
  std::vector<ValueId> values = {model.add_input(graph, "x", type)};
  for (const auto& [name, constant, rank] :
       {std::tuple{"zero", 0.0F, 1}, std::tuple{"one", 1.0F, 1}, std::tuple{"low", 0.0F, 0},
        std::tuple{"high", 1.0F, 0}}) {
    const bool used = std::any_of(plan.begin(), plan.end(), [&](const Planned& node) {
      return std::any_of(node.inputs.begin(), node.inputs.end(),
                         [&](std::size_t input) { return input == values.size(); });
    });
    values.push_back(
        !used       ? ValueId{}
        : rank == 0 ? model.add_initializer(graph, name, Tensor::scalar(constant))
                    : model.add_initializer(
                          graph, name, Tensor::of<float>({3}, std::vector<float>(3, constant))));
  }
  for (std::size_t i = 0; i < plan.size(); ++i) {
    NewNode node;
    node.name = "n" + std::to_string(i);
    node.type = plan[i].type;
    for (const std::size_t input : plan[i].inputs)
      node.inputs.push_back(input == absent ? ValueId{} : values[input]);
    node.output_names = {"v" + std::to_string(i)};
    const NodeId made = model.add_node(graph, std::move(node));
    if (plan[i].alpha != 0) model.node(made).attributes.set("alpha", plan[i].alpha);
    values.push_back(model.node(made).outputs.front());
    model.value(values.back()).type = type;
  }
  for (std::size_t i = leaves; i < values.size(); ++i) {
    if (model.use_count(values[i]) == 0 || exposed[i - leaves]) model.add_output(graph, values[i]);
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
    values.push_back(leaves + i);
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
  static constexpr std::array<const char*, 10> types = {
      "Relu", "Neg", "Add", "Mul", "Sub", "Add", "Identity", "LeakyRelu", "Sum", "Clip"};
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  std::vector<Planned> plan;
  std::vector<bool> exposed;
  for (int i = 0; i < nodes; ++i) {
    Planned node{types[below(types.size())], {}};
    // Mostly recent values, so that trees come out.
    const auto operand = [&] {
      const std::size_t count = leaves + plan.size();
      return below(3) == 0 || plan.empty()
                 ? below(count)
                 : count - 1 - below(std::min<std::size_t>(4, plan.size()));
    };
    const bool binary = node.type == "Add" || node.type == "Mul" || node.type == "Sub";
    const std::size_t operands = binary ? 2 : node.type == "Sum" ? 1 + below(3) : 1;
    for (std::size_t k = 0; k < operands; ++k)
      node.inputs.push_back(operand());
    // Bounds are of rank 0: the last two leaves.
    if (node.type == "Clip" && below(4) != 0) {
      node.inputs.push_back(below(3) == 0 ? absent : 3);
      if (below(2) == 0) node.inputs.push_back(4);
    }
    if (node.type == "LeakyRelu" && below(2) == 0) node.alpha = 0.5F;
    plan.push_back(std::move(node));
    exposed.push_back(below(8) == 0);
  }
  return build(plan, exposed);
}

static std::string random_pattern(std::mt19937& random, int depth) {
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  static constexpr std::array<const char*, 12> values = {
      "x", "y", "x", "z", "0", "_", "const c", "1", "scalar s", "exact 1", "x : f32[3]", "y : [N]"};
  if (depth == 0 || below(4) == 0) return values[below(values.size())];
  const auto operand = [&] { return random_pattern(random, depth - 1); };
  switch (below(17)) {
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
    case 7:
      return "ordered Add(" + operand() + ", " + operand() + ")";
    case 8:
      return "(Neg | Identity)+(" + operand() + ")";
    case 9:
      return "LeakyRelu(" + operand() + "){alpha = a}";
    case 10:
      return "LeakyRelu(" + operand() + "){alpha = 0.01}";
    case 11:
      return "Sum(" + operand() + (below(2) == 0 ? ", xs...)" : ", _...)");
    case 12:
      return below(2) == 0 ? "Clip(" + operand() + ", none, b?)" : "Clip(" + operand() + ", 0)";
    case 13:
      return "Relu[users = 1](" + operand() + ")";
    case 14:
      return "Neg[is output or users > 1](" + operand() + ")";
    case 15:
      return "Relu";
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
  const auto mentions = [&](const char* word) { return pattern.find(word) != std::string::npos; };
  std::string text = "rule " + name + ": " + pattern;
  std::string value;
  // A name by itself, no letter of another word.
  const auto letter = [&](std::size_t at) {
    return at < pattern.size() && std::isalpha(static_cast<unsigned char>(pattern[at])) != 0;
  };
  for (std::size_t i = 0; i < pattern.size(); ++i)
    if (pattern[i] >= 'x' && pattern[i] <= 'z' && !letter(i - 1) && !letter(i + 1))
      value = pattern[i];
  if (value.empty()) {
    text = "rule " + name + ": " + root + "(x, " + random_pattern(random, 2) + ")";
    return text + " -> Abs(x)";
  }
  text += " -> Abs(" + value + ")";
  std::vector<std::string> guards;
  if (below(4) == 0) guards.push_back("users(" + value + ") = 1");
  if (below(6) == 0) guards.push_back("not is_input(" + value + ")");
  if (below(8) == 0) guards.push_back("is_output(" + value + ") or rank(" + value + ") = 1");
  if (below(8) == 0) guards.push_back("dim(" + value + ", 1) = 3 or unknown");
  if (mentions("alpha = a") && below(2) == 0) guards.push_back("a > 0.1");
  for (std::size_t i = 0; i < guards.size(); ++i)
    text += (i == 0 ? " where " : ", ") + guards[i];
  if (below(5) == 0) text += " see through {Identity}";
  return text;
}

}  // namespace rulec::test
