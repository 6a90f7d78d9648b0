// SPDX-License-Identifier: Apache-2.0
// fold_constants: what depends on constants alone is computed now. A result is kept only where it
// is small, or no larger than the constants that it was made from: a repeated weight stays repeated
// at run time. Quantization stays as it is written, since engines read it as a promise.
#include <algorithm>

#include "matcher/evaluate.h"
#include "matcher/facts.h"
#include "matcher/passes.h"

namespace rulec {

static constexpr std::size_t always_small = std::size_t{1} << 20;  // bytes

static bool may_fold(const GraphNode& node) {
  if (!node.domain.empty() || node.outputs.empty()) return false;
  return node.type != "QuantizeLinear" && node.type != "DequantizeLinear" &&
         node.type != "DynamicQuantizeLinear";
}

// Bytes of the constants that a node reads; nothing where it reads something else too. The type of
// an operand is enough for Shape and Size.
static std::optional<std::size_t> constant_bytes(const Model& model, const GraphNode& node) {
  if (node.type == "Shape" || node.type == "Size") return 0;
  if (node.inputs.empty()) return std::nullopt;
  std::size_t bytes = 0;
  bool any = false;
  for (const ValueId input : node.inputs) {
    if (!input) continue;
    const auto tensor = model.constant(input);
    if (!tensor) return std::nullopt;
    any = true;
    bytes += tensor->byte_size();
  }
  return any ? std::optional(bytes) : std::nullopt;
}

static std::optional<Tensor> small_enough(const Model& model, ValueId value, std::size_t read) {
  const auto most = std::max<std::int64_t>(1 << 20, static_cast<std::int64_t>(read));
  auto tensor = fold(model, value, most);
  if (!tensor || tensor->dtype() == DType::Undefined) return std::nullopt;
  const bool text = tensor->dtype() == DType::String;
  if (!text && tensor->byte_size() > std::max(always_small, read)) return std::nullopt;
  return tensor;
}

// An initializer that takes the place (and the name) of a value that a node gave.
static void put_constant(Model& model, ValueId old_value, Tensor tensor) {
  const GraphId graph = model.value(old_value).graph;
  const std::string name = model.value(old_value).name;
  const ValueId constant =
      model.add_initializer(graph, model.fresh_value_name(name), std::move(tensor));
  model.replace_uses(old_value, constant);
  // The two are not there together: the node that gave the old one goes.
  const std::string spare = model.value(constant).name;
  model.rename(old_value, model.fresh_value_name(spare));
  model.rename(constant, name);
}

static void drop_unread_initializers(Model& model, const std::vector<ValueId>& values) {
  for (const ValueId value : values) {
    if (!value || !model.value(value).alive || model.use_count(value) > 0) continue;
    const GraphValue& info = model.value(value);
    if ((info.initializer || info.sparse_initializer) && !info.is_input && !info.producer) {
      model.remove_initializer(value);
    }
  }
}

// Outputs of the model keep a node that gives them; a body's may be initializers. An Identity is a
// rule's business, save where it stands between a constant and a body's output.
static bool keeps_its_node(const Model& model, NodeId id) {
  const GraphNode& node = model.node(id);
  const bool is_output = is_any_output(model, id);
  return (is_output && node.graph == model.main()) || (!is_output && node.type == "Identity");
}

// Whether the node was replaced by constants.
static bool fold_node(Model& model, NodeId id, bool* types_may_follow) {
  const GraphNode& node = model.node(id);
  if (keeps_its_node(model, id) || !model.bodies(id).empty() || !may_fold(node)) return false;
  std::vector<std::pair<ValueId, Tensor>> results;
  if (node.type == "Constant") {
    const auto tensor = node.outputs[0] ? model.constant(node.outputs[0]) : nullptr;
    if (!tensor) return false;
    results.emplace_back(node.outputs[0], *tensor);
  } else {
    const auto read = constant_bytes(model, node);
    if (!read) return false;
    for (const ValueId output : node.outputs) {
      if (!output || model.use_count(output) == 0) continue;
      auto tensor = small_enough(model, output, *read);
      if (!tensor) return false;
      results.emplace_back(output, std::move(*tensor));
    }
    if (results.empty()) return false;
    *types_may_follow = true;
  }
  for (auto& [value, tensor] : results)
    put_constant(model, value, std::move(tensor));
  const std::vector<ValueId> inputs = model.node(id).inputs;
  model.remove_node(id);
  drop_unread_initializers(model, inputs);
  return true;
}

PassResult fold_constants(Model& model) {
  PassResult out;
  for (const GraphId graph : open_graphs(model)) {
    // Before IR version 4 an initializer is an input, which a body cannot have more of.
    if (model.ir_version < 4 && graph != model.main()) continue;
    for (NodeId at = model.first_node(graph); at;) {
      const NodeId next = model.next_node(at);
      if (fold_node(model, at, &out.types_may_follow)) ++out.changes;
      at = next;
    }
  }
  return out;
}

}  // namespace rulec
