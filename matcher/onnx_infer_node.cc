// SPDX-License-Identifier: Apache-2.0
#include "matcher/onnx_infer_node.h"

#include <exception>
#include <memory>
#include <unordered_map>

#include <onnx/defs/schema.h>
#include <onnx/shape_inference/implementation.h>

#include "matcher/facts.h"
#include "matcher/onnx_attribute.h"
#include "matcher/onnx_tensor.h"
#include "matcher/onnx_type.h"
#include "matcher/plugin_ops.h"
#include "matcher/type_rules.h"

namespace rulec {

// Operands whose numbers decide a shape are short: nothing longer is handed over.
static constexpr std::int64_t longest_operand = 1024;

static bool has_bodies(const GraphNode& node) {
  for (const Attribute& attribute : node.attributes.all()) {
    if (std::holds_alternative<GraphId>(attribute.value) ||
        std::holds_alternative<std::vector<GraphId>>(attribute.value)) {
      return true;
    }
  }
  return false;
}

namespace {

// One node as ONNX's inference wants it: operands by name, their types, short constants.
struct NodeMessages {
  onnx::NodeProto node;
  std::vector<std::unique_ptr<onnx::TypeProto>> types;
  std::vector<std::unique_ptr<onnx::TensorProto>> tensors;
  std::unordered_map<std::string, onnx::TypeProto*> type_of;
  std::unordered_map<std::string, const onnx::TensorProto*> data_of;
  std::unordered_map<std::string, const onnx::SparseTensorProto*> sparse_of;
};

}  // namespace

// False: there is too little to infer from.
static bool fill(const Model& model, const GraphNode& node, NodeMessages& out) {
  out.node.set_op_type(node.type.str());
  out.node.set_domain(node.domain.str());
  for (const ValueId value : node.inputs) {
    if (!value) {
      out.node.add_input("");
      continue;
    }
    const std::string name = "v" + std::to_string(value.index);
    out.node.add_input(name);
    const Type type = type_of(model, value);
    // In a function's body nothing has a type; ONNX's inference would call that an error.
    if (type.kind == Type::Kind::Unknown) return false;
    if (out.type_of.contains(name)) continue;
    auto message = std::make_unique<onnx::TypeProto>();
    if (!message->ParseFromString(encode_type(type).joined())) return false;
    out.type_of[name] = out.types.emplace_back(std::move(message)).get();
    const auto shape = type.static_shape();
    if (!shape || element_count(*shape) > longest_operand) continue;
    // Folding walks up the graph, and such operands are lists or single numbers.
    const bool worth_folding = shape->size() <= 1;
    if (!worth_folding && !model.constant(value)) continue;
    if (const auto tensor = constant_tensor(model, value)) {
      auto data = std::make_unique<onnx::TensorProto>();
      if (!data->ParseFromString(encode_tensor(name, *tensor).joined())) return false;
      out.data_of[name] = out.tensors.emplace_back(std::move(data)).get();
    }
  }
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    out.node.add_output(node.outputs[i] ? "o" + std::to_string(i) : std::string());
  }
  for (const Attribute& attribute : node.attributes.all()) {
    const auto bytes = encode_attribute(attribute, [](GraphId) { return wire::Writer(); }).joined();
    if (!out.node.add_attribute()->ParseFromString(bytes)) return false;
  }
  return true;
}

Status infer_node_types(Model& model, std::span<const NodeId> nodes) {
  register_plugin_operators();
  for (const NodeId id : nodes) {
    const GraphNode& node = model.node(id);
    if (has_bodies(node)) continue;
    if (auto type = type_of_result(model, node, opset_of(model, ""))) {
      if (node.outputs.size() > 1 && node.outputs[1]) {
        model.value(node.outputs[1]).type = type_of_indices(*type);
      }
      model.value(node.outputs[0]).type = std::move(*type);
      continue;
    }
    try {
      const auto* schema = onnx::OpSchemaRegistry::Schema(
          node.type.str(), opset_of(model, node.domain.str()), node.domain.str());
      if (schema == nullptr || !schema->has_type_and_shape_inference_function()) continue;
      NodeMessages messages;
      if (!fill(model, node, messages)) continue;
      const onnx::ShapeInferenceOptions options(true, 1, false);
      onnx::shape_inference::InferenceContextImpl context(
          messages.node, messages.type_of, messages.data_of, messages.sparse_of, options);
      schema->GetTypeAndShapeInferenceFunction()(context);
      for (std::size_t i = 0; i < node.outputs.size(); ++i) {
        if (!node.outputs[i]) continue;
        std::string bytes;
        if (!context.getOutputType(i)->SerializeToString(&bytes)) continue;
        const auto type = decode_type(bytes);
        if (type && type->kind != Type::Kind::Unknown) model.value(node.outputs[i]).type = *type;
      }
    } catch (const std::exception& error) {
      return make_error("ONNX refuses {}: {}", node.type, error.what());
    }
  }
  return Done{};
}

}  // namespace rulec
