// SPDX-License-Identifier: Apache-2.0
#include "matcher/onnx_function.h"

#include <exception>

#include <onnx/defs/function.h>
#include <onnx/defs/schema.h>

#include "matcher/onnx_attribute.h"
#include "matcher/onnx_io.h"
#include "matcher/onnx_type.h"

namespace rulec {

static bool holds_graph(const AttributeValue& value) {
  return std::holds_alternative<GraphId>(value) ||
         std::holds_alternative<std::vector<GraphId>>(value);
}

// The node as ONNX sees it: operands i0, i1, …, results o0, o1, …
static bool to_proto(const Application& it, onnx::NodeProto& node,
                     std::vector<onnx::TypeProto>& types) {
  node.set_op_type(std::string(it.type));
  node.set_domain(std::string(it.domain));
  for (std::size_t i = 0; i < it.inputs.size(); ++i) {
    const bool present = it.inputs[i].kind != Type::Kind::Unknown;
    node.add_input(present ? fmt::format("i{}", i) : std::string());
    types.emplace_back();
    if (present && !types.back().ParseFromString(encode_type(it.inputs[i]).joined())) return false;
  }
  for (std::size_t i = 0; i < it.outputs; ++i)
    node.add_output(fmt::format("o{}", i));
  for (const Attribute& attribute : it.attributes.all()) {
    if (holds_graph(attribute.value)) continue;
    if (!node.add_attribute()->ParseFromString(encode_attribute(attribute, {}).joined())) {
      return false;
    }
  }
  return true;
}

std::optional<Model> expand_operator(const Application& application) {
  try {
    const auto* const schema = onnx::OpSchemaRegistry::Schema(
        std::string(application.type), application.opset, std::string(application.domain));
    if (schema == nullptr) return std::nullopt;
    onnx::FunctionProto function;
    if (schema->HasContextDependentFunction()) {
      onnx::NodeProto node;
      std::vector<onnx::TypeProto> types;
      if (!to_proto(application, node, types)) return std::nullopt;
      const onnx::FunctionBodyBuildContextImpl context(node, types);
      if (!schema->BuildContextDependentFunction(context, function, application.opset)) {
        return std::nullopt;
      }
    } else if (schema->HasFunction()) {
      const onnx::FunctionProto* const found = schema->GetFunction(application.opset);
      if (found == nullptr) return std::nullopt;
      function = *found;
    } else {
      return std::nullopt;
    }
    schema->BuildFunction(function);
    onnx::ModelProto model;
    model.set_ir_version(onnx::IR_VERSION);
    *model.mutable_opset_import() = function.opset_import();
    model.mutable_graph()->set_name(function.name());
    *model.add_functions() = std::move(function);
    auto imported = import_onnx_bytes(model.SerializeAsString());
    if (!imported) return std::nullopt;
    return std::move(*imported);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace rulec
