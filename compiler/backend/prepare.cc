// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/prepare.h"

#include "compiler/backend/fuse.h"
#include "compiler/backend/inline_functions.h"
#include "compiler/backend/joined_slices.h"
#include "compiler/backend/transposed_convs.h"
#include "matcher/evaluate.h"
#include "matcher/onnx_io.h"

namespace rulec::backend {

static Status set_dimensions(Model& model, const BuildOptions& options) {
  for (const auto& [name, size] : options.dims) {
    if (size < 0) return make_error("dimension '{}' cannot have size {}", name, size);
    bool found = false;
    for (std::uint32_t i = 0; i < model.value_capacity(); ++i) {
      GraphValue& value = model.value(ValueId{i});
      if (!value.alive || !value.type.dims) continue;
      for (Dim& dim : *value.type.dims) {
        if (dim.symbol != name) continue;
        dim = {.size = size};
        found = true;
      }
    }
    if (!found) return make_error("the model has no dimension named '{}'", name);
  }
  for (const auto& [name, shape] : options.input_shapes) {
    bool found = false;
    for (ValueId id : model.graph(model.main()).inputs) {
      GraphValue& value = model.value(id);
      if (value.name != name) continue;
      found = true;
      Type given = value.type;
      given.dims.emplace();
      for (std::int64_t size : shape)
        given.dims->push_back({.size = size});
      if (!compatible(value.type, given)) {
        return make_error("input '{}' is {}; it cannot have the shape {}", name,
                          to_string(value.type), to_string(shape));
      }
      value.type = given;
    }
    if (!found) return make_error("the model has no input named '{}'", name);
  }
  return Done{};
}

void forget_inferred_types(Model& model) {
  for (NodeId node : model.nodes(model.main())) {
    for (ValueId id : model.node(node).outputs) {
      if (id) model.value(id).type.dims.reset();
    }
  }
}

// Removes nodes, bodies included, whose results nobody reads.
static void remove_dead_nodes(Model& model, const char* why, std::vector<BuiltNode>& report) {
  for (std::uint32_t g = 0; g < model.graph_capacity(); ++g) {
    if (!model.graph(GraphId{g}).alive) continue;
    std::vector<NodeId> nodes = model.nodes(GraphId{g});
    for (std::size_t i = nodes.size(); i-- > 0;) {
      bool used = false;
      for (ValueId out : model.node(nodes[i]).outputs) {
        used = used || (out && (model.use_count(out) > 0 || model.is_graph_output(out)));
      }
      if (used) continue;
      const GraphNode& n = model.node(nodes[i]);
      if (n.type != "Constant") report.push_back({n.name, n.type.str(), "", why});
      model.remove_node(nodes[i]);
    }
  }
}

// Weights of 8 bits that a product reads: rules/lower/quantized.rules want to see them as they are.
static bool is_quantized_weight(const Model& model, NodeId node) {
  const GraphNode& n = model.node(node);
  if (n.type != "DequantizeLinear" || n.inputs.empty() || !n.inputs[0]) return false;
  const auto w = model.constant(n.inputs[0]);
  if (!w || (w->dtype() != DType::I8 && w->dtype() != DType::U8)) return false;
  for (const Use& use : model.uses(n.outputs[0])) {
    if (!use.node) continue;
    const auto type = model.node(use.node).type;
    if (type == "Conv" || type == "Gemm" || type == "MatMul") return true;
  }
  return false;
}

// Replaces what can be computed now by its value. Gives whether anything was.
static bool fold_constants(Model& model, bool keep_weights) {
  bool any = false;
  const GraphId main = model.main();
  for (NodeId node : model.nodes(main)) {
    const GraphNode& n = model.node(node);
    if (n.type == "Constant" && n.domain.empty()) continue;
    if (keep_weights && is_quantized_weight(model, node)) continue;
    for (std::size_t i = 0; i < n.outputs.size(); ++i) {
      const ValueId out = model.node(node).outputs[i];
      if (!out || model.use_count(out) == 0) continue;
      const auto value = fold(model, out);
      if (!value) continue;
      const bool is_output = model.is_graph_output(out);
      if (is_output) continue;  // an output needs a node that makes it
      const ValueId constant =
          model.add_initializer(main, model.fresh_value_name(model.value(out).name), *value);
      model.replace_uses(out, constant);
      any = true;
    }
  }
  return any;
}

// Inputs with a default that a caller could override are built in: weights must be known now.
static void build_in_defaults(Model& model, std::vector<std::string>& warnings) {
  const GraphId main = model.main();
  std::size_t count = 0;
  const std::vector<ValueId> inputs = model.graph(main).inputs;
  for (ValueId id : inputs) {
    const auto tensor = model.value(id).initializer;
    if (!tensor || model.constant(id)) continue;
    const ValueId constant =
        model.add_initializer(main, model.fresh_value_name(model.value(id).name), *tensor);
    model.replace_uses(id, constant);
    model.remove_input(main, id);
    ++count;
  }
  if (count > 0) {
    warnings.push_back(
        fmt::format("{} inputs with default values are built in as constants", count));
  }
}

// Operators that ONNX has dropped have no inference; ImageScaler keeps its operand's type.
static void infer_dropped_operators(Model& model) {
  for (NodeId id : model.nodes(model.main())) {
    const GraphNode& n = model.node(id);
    if (n.type != "ImageScaler" || !n.domain.empty() || n.inputs.empty() || n.outputs.empty())
      continue;
    model.value(n.outputs[0]).type = model.value(n.inputs[0]).type;
  }
}

// A constant scalar that is joined with vectors is a vector of one, as the kernel of Concat takes
// it; ONNX's inference would stop there.
static void widen_joined_scalars(Model& model) {
  for (std::uint32_t i = 0; i < model.node_capacity(); ++i) {
    const NodeId id{i};
    const GraphNode& n = model.node(id);
    if (!n.alive || n.type != "Concat" || !n.domain.empty()) continue;
    const GraphId graph = n.graph;
    std::vector<std::size_t> scalars;
    bool vectors = false;
    for (std::size_t k = 0; k < n.inputs.size(); ++k) {
      const auto c = n.inputs[k] ? model.constant(n.inputs[k]) : nullptr;
      if (c && c->rank() == 0) scalars.push_back(k);
      const NodeId maker = n.inputs[k] ? model.value(n.inputs[k]).producer : NodeId{};
      vectors =
          vectors || (c && c->rank() == 1) || (maker && model.node(maker).type == "Unsqueeze");
    }
    if (!vectors) continue;
    for (const std::size_t k : scalars) {
      const ValueId old = model.node(id).inputs[k];
      const Tensor wide = model.constant(old)->reshaped({1});
      const ValueId made =
          model.add_initializer(graph, model.fresh_value_name(model.value(old).name), wide);
      model.set_input(id, k, made);
    }
  }
}

// Inference keeps what a graph declares of its outputs, which may be less than it could find: for
// its time the graph has none.
void infer(Model& model, std::vector<std::string>& warnings) {
  infer_dropped_operators(model);
  const std::vector<ValueId> outputs = model.graph(model.main()).outputs;
  model.set_outputs(model.main(), {});
  infer_types(model, warnings);
  model.set_outputs(model.main(), outputs);
}

// Rules leave what they make between two of the engine's own operators without a shape: these keep
// that of their operand.
static void infer_stored(Model& model) {
  for (NodeId id : model.nodes(model.main())) {
    const GraphNode& n = model.node(id);
    const bool table = n.type == "QuantizedLookup";
    if (n.domain != "rulec" || (!table && n.type != "Quantize") || n.inputs.empty() ||
        n.outputs.empty() || model.value(n.outputs[0]).type.dims) {
      continue;
    }
    const std::size_t typed = table ? 1 : 2;  // the operand that has the result's type
    Type type = model.value(n.inputs[0]).type;
    type.dtype = DType::U8;
    if (typed < n.inputs.size() && n.inputs[typed]) {
      const auto constant = model.constant(n.inputs[typed]);
      type.dtype = constant ? constant->dtype() : model.value(n.inputs[typed]).type.dtype;
    }
    model.value(n.outputs[0]).type = std::move(type);
  }
}

Status settle_types(Model& model, const BuildOptions& options, BuiltEngine& built) {
  std::vector<std::string>& warnings = built.warnings;
  if (Status ok = inline_functions(model); !ok) return ok;
  if (Status ok = set_dimensions(model, options); !ok) return ok;
  build_in_defaults(model, warnings);
  widen_joined_scalars(model);
  if (!options.dims.empty() || !options.input_shapes.empty()) forget_inferred_types(model);
  remove_dead_nodes(model, "nothing reads it", built.report);
  // Each round may turn a Shape into a constant, and with it a Reshape's result into a known one:
  // exporters chain tens of these.
  for (int round = 0; round < 64; ++round) {
    std::vector<std::string> found;
    infer(model, found);
    if (round == 0) warnings.insert(warnings.end(), found.begin(), found.end());
    if (!fold_constants(model, options.fast_kernels)) break;
    remove_dead_nodes(model, "computed when the engine was built", built.report);
  }
  remove_dead_nodes(model, "nothing reads it", built.report);
  return Done{};
}

Status prepare(Model& model, const BuildOptions& options, BuiltEngine& built) {
  if (Status ok = settle_types(model, options, built); !ok) return ok;
  if (options.fast_kernels) {
    spell_transposed_convs(model);
    if (join_slices(model) > 0)
      remove_dead_nodes(model, "the convolution behind it reads its operand", built.report);
    if (Status ok = fuse(model, built.report); !ok) return ok;
    infer_stored(model);
    if (fold_constants(model, false))
      remove_dead_nodes(model, "computed when the engine was built", built.report);
  }
  return Done{};
}

}  // namespace rulec::backend
