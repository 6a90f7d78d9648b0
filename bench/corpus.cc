// SPDX-License-Identifier: Apache-2.0
#include "bench/corpus.h"

#include <array>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "runtime/tensor.h"

namespace rulec::bench {

static constexpr std::int64_t width = 8;

static ValueId constant(Model& model, const std::string& name, float number) {
  return model.add_initializer(model.main(), name, Tensor::scalar(number));
}

static ValueId apply(Model& model, const std::string& type, std::vector<ValueId> inputs) {
  const NodeId node = model.add_node(
      model.main(),
      {.name = model.fresh_node_name(type), .type = type, .inputs = std::move(inputs)});
  return model.node(node).outputs[0];
}

static Tensor weight(std::size_t seed, Shape shape) {
  Tensor out = Tensor::allocate(DType::F32, std::move(shape));
  std::uint32_t state = static_cast<std::uint32_t>(seed) * 2654435761U + 1;
  for (std::int64_t i = 0; i < out.size(); ++i) {
    state = state * 1664525U + 1013904223U;
    out.mutable_data<float>()[i] = static_cast<float>(state >> 8) / (1U << 25) - 0.25F;
  }
  return out;
}

Model gelu_chain(std::size_t nodes) {
  static constexpr std::size_t block_nodes = 7;
  Model model;
  model.opset_imports = {{"", 20}, {"com.microsoft", 1}};
  const GraphId graph = model.main();
  model.graph(graph).name = "gelu_chain";
  const Shape shape = {4, width};
  ValueId x = model.add_input(graph, "x", Type::tensor(DType::F32, shape));
  for (std::size_t i = 0; i < std::max<std::size_t>(1, nodes / block_nodes); ++i) {
    const std::string layer = fmt::format("layer.{}.", i);
    const ValueId w = model.add_initializer(graph, layer + "w", weight(2 * i, {width, width}));
    const ValueId b = model.add_initializer(graph, layer + "b", weight(2 * i + 1, {width}));
    x = apply(model, "Add", {apply(model, "MatMul", {x, w}), b});
    const ValueId erf = apply(
        model, "Erf", {apply(model, "Div", {x, constant(model, layer + "root", 1.41421356F)})});
    const ValueId sum = apply(model, "Add", {erf, constant(model, layer + "one", 1.0F)});
    x = apply(model, "Mul", {apply(model, "Mul", {x, sum}), constant(model, layer + "half", 0.5F)});
  }
  model.value(x).type = Type::tensor(DType::F32, shape);
  model.add_output(graph, x);
  return model;
}

static constexpr std::string_view declarations =
    "op com.microsoft::Gelu(x : f32[...]) -> (y : f32[...])\n"
    "op test::Never(x : f32[...]) -> (y : f32[...])\n\n";

// A near miss: all holds but its last constant, or an operator that the graphs do not have.
static std::string near_miss(int number) {
  static constexpr std::array patterns = {
      "Mul(Mul(x, Add(Erf(Div(x, 1.4142135623730951)), 1.0)), {0}.0)",
      "Mul(Mul(x, Add(Tanh(Div(x, {0}.0)), 1.0)), 0.5)",
      "Relu(Add(MatMul(x, w), {0}.0))",
      "Add(MatMul(Mul(x, {0}.0), w), b)",
      "Add(Mul(Div(x, b), {0}.0), d)",
      "Mul(Sigmoid(Mul(x, {0}.0)), x)",
      "Erf(Div(Add(MatMul(x, w), b), {0}.0))",
  };
  const std::string pattern = fmt::format(
      fmt::runtime(patterns[static_cast<std::size_t>(number) % patterns.size()]), number + 3);
  return fmt::format("rule never_{}: {} -> test::Never(x)\n", number, pattern);
}

std::string gelu_rules(int count) {
  std::string out(declarations);
  out +=
      "rule gelu: Mul(Mul(x, Add(Erf(Div(x, 1.4142135623730951)), 1.0)), 0.5) "
      "-> com.microsoft::Gelu(x)\n";
  for (int i = 0; i + 1 < count; ++i)
    out += near_miss(i);
  return out;
}

std::string rule_text(std::size_t bytes) {
  std::string out(declarations);
  for (int i = 0; out.size() < bytes; ++i) {
    out += near_miss(i);
    out += "# a remark between two rules\n";
  }
  return out;
}

static std::unique_ptr<Rules> compile(Result<RuleFiles> files) {
  if (!files) {
    fmt::print(stderr, "{}\n", files.error().message);
    std::exit(1);
  }
  auto out = std::make_unique<Rules>();
  out->files = std::move(*files);
  std::vector<std::string> setting_errors;
  auto compiled = compile_rules(out->files, {}, setting_errors);
  if (!compiled) {
    fmt::print(stderr, "{}", out->files.render());
    std::exit(1);
  }
  out->compiled = std::move(*compiled);
  return out;
}

std::unique_ptr<Rules> compile(std::string text) {
  return compile(load_rule_text("bench.rules", std::move(text), default_rule_path({})));
}

std::unique_ptr<Rules> compile_files(const std::vector<std::string>& names) {
  return compile(load_rule_files(names, default_rule_path({})));
}

std::filesystem::path shared_file(std::string_view path) {
  const std::filesystem::path file = std::filesystem::path(RULEC_SHARED_DIR) / path;
  std::error_code code;
  return std::filesystem::exists(file, code) ? file : std::filesystem::path();
}

}  // namespace rulec::bench
