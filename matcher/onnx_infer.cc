// SPDX-License-Identifier: Apache-2.0
// infer_types: everyday operators by our own rules, the others by ONNX's inference functions, node
// by node, straight on the Model. ONNX's own driver wants a ModelProto with every weight and stops
// at the first surprise; ours hands over one node at a time, with the constants it asks for, and
// goes on after a node that fails.
#include <algorithm>
#include <charconv>
#include <exception>

#include "matcher/declared_types.h"
#include "matcher/onnx_inference.h"
#include "matcher/onnx_io.h"
#include "matcher/onnx_node_view.h"
#include "matcher/onnx_type_proto.h"
#include "matcher/plugin_ops.h"
#include "matcher/type_rules.h"

namespace rulec {

static constexpr int deepest_call = 32;  // functions in functions
static constexpr std::string_view fresh_symbol = "unk__";

// What two descriptions of one value say together; `b` where they contradict each other.
static Type merge(const Type& a, Type b, bool& conflict) {
  if (a.kind == Type::Kind::Unknown) return b;
  if (b.kind == Type::Kind::Unknown) return a;
  if (a.kind != b.kind) {
    conflict = true;
    return b;
  }
  if (a.dtype != b.dtype) {
    if (b.dtype == DType::Undefined) {
      b.dtype = a.dtype;
    } else if (a.dtype != DType::Undefined) {
      conflict = true;
    }
  }
  if (a.element && b.element) {
    b.element = std::make_shared<Type>(merge(*a.element, *b.element, conflict));
  } else if (a.element) {
    b.element = a.element;
  }
  if (!b.dims) b.dims = a.dims;
  if (!a.dims || a.dims == b.dims) return b;
  if (a.dims->size() != b.dims->size()) {
    conflict = true;
    return b;
  }
  for (std::size_t i = 0; i < a.dims->size(); ++i) {
    const Dim& known = (*a.dims)[i];
    Dim& inferred = (*b.dims)[i];
    if (known.known() && inferred.known()) {
      conflict = conflict || known.size != inferred.size;
    } else if (known.known() || inferred.symbol.empty() ||
               (!inferred.known() && !known.symbol.empty() &&
                !known.symbol.starts_with(fresh_symbol))) {
      if (!inferred.known()) inferred = known;
    }
  }
  return b;
}

void Inference::name_unknown_dims(Type& type) {
  const auto nameless = [](const Dim& dim) { return !dim.known() && dim.symbol.empty(); };
  const Type& known = type;  // to read a list is not to make it the type's own
  if (!known.dims || std::none_of(known.dims->begin(), known.dims->end(), nameless)) return;
  for (Dim& dim : *type.dims) {
    if (nameless(dim)) dim.symbol = fmt::format("{}{}", fresh_symbol, next_symbol_++);
  }
}

void Inference::learn(ValueId id, Type inferred) {
  GraphValue& value = model_.value(id);
  const bool computed = static_cast<bool>(value.producer);
  const bool interface = value.graph == model_.main() && value.type.kind != Type::Kind::Unknown &&
                         (value.is_input || model_.is_graph_output(id));
  bool conflict = false;
  Type merged = merge(value.type, std::move(inferred), conflict);
  if (conflict) {
    warnings_.push_back(fmt::format("`{}` is declared as {} but inferred as {}", value.name,
                                    to_string(value.type), to_string(merged)));
    if (!computed) return;  // a body's input: what its author wrote
  }
  if (interface) return;
  if (computed) name_unknown_dims(merged);
  value.type = std::move(merged);
}

std::string stops_at(const Model& model, NodeId id) {
  const GraphNode& it = model.node(id);
  std::string_view name = it.name;
  if (name.empty() && !it.outputs.empty() && it.outputs[0]) name = model.value(it.outputs[0]).name;
  return fmt::format("type inference stops at {} `{}`:", it.type, name);
}

void Inference::warn(NodeId id, std::string_view what) {
  while (what.ends_with('\n'))
    what.remove_suffix(1);
  warnings_.push_back(fmt::format("{} {}", stops_at(model_, id), what));
}

std::int64_t Inference::opset(std::string_view domain, const Call& call) const {
  if (call.function != nullptr) {
    for (const auto& [name, version] : call.function->opset_imports) {
      if (name == domain) return version;
    }
  }
  return model_.opset(domain);
}

bool Inference::infer(NodeId id, const Call& call, const onnx::OpSchema& schema) {
  if (const std::string why = misfit(schema, model_.node(id)); !why.empty()) {
    warn(id, why);
    return false;
  }
  NodeView view(*this, id, call);
  const std::size_t told = warnings_.size();
  bool failed = false;
  try {
    if (schema.has_type_and_shape_inference_function()) {
      schema.GetTypeAndShapeInferenceFunction()(view);
    } else if (schema.HasFunction()) {
      onnx::shape_inference::InferShapeForFunctionNode(*schema.GetFunction(),
                                                       onnx::OpSchemaRegistry::Instance(), view);
    }
  } catch (const std::exception& error) {
    failed = true;
    // With operands of unknown type failing is no news.
    if (view.all_inputs_known() && warnings_.size() == told) warn(id, error.what());
  }
  // By index: bodies may have changed the model's vectors of types, not their sizes.
  for (std::size_t i = 0; i < model_.node(id).outputs.size(); ++i) {
    const ValueId output = model_.node(id).outputs[i];
    if (!output) continue;
    Type type = from_proto(*view.getOutputType(i));
    if (failed) type.dims.reset();  // a shape left half made: Squeeze's has no dimension yet
    learn(output, std::move(type));
  }
  if (schema.has_data_propagation_function()) {
    NodeData data(view, *this, id);
    try {
      schema.GetDataPropagationFunction()(data);
    } catch (const std::exception& error) {
      if (view.all_inputs_known() && warnings_.size() == told) warn(id, error.what());
    }
  }
  return true;
}

// A model-local function: its body's types are those of this call, so they are forgotten after it.
bool Inference::infer_function(NodeId id, const Function& function, const Call& call) {
  if (call.depth >= deepest_call) {
    warn(id, "functions are nested too deep, or call themselves");
    return false;
  }
  std::vector<std::pair<ValueId, Type>> before;
  for (std::uint32_t i = 0; i < model_.value_capacity(); ++i) {
    if (model_.value(ValueId{i}).alive &&
        model_.encloses(function.body, model_.value(ValueId{i}).graph)) {
      before.emplace_back(ValueId{i}, model_.value(ValueId{i}).type);
    }
  }
  const std::vector<ValueId> formal = model_.graph(function.body).inputs;
  const std::vector<ValueId> actual = model_.node(id).inputs;
  for (std::size_t i = 0; i < formal.size() && i < actual.size(); ++i) {
    if (actual[i]) model_.value(formal[i]).type = model_.value(actual[i]).type;
  }
  const Attributes arguments = model_.node(id).attributes;
  graph(function.body, {.function = &function, .arguments = &arguments, .depth = call.depth + 1});
  std::vector<Type> results;
  for (const ValueId output : model_.graph(function.body).outputs) {
    results.push_back(model_.value(output).type);
  }
  for (auto& [value, type] : before) {
    model_.value(value).type = std::move(type);
    propagated_.erase(value.index);
  }
  const std::vector<ValueId> outputs = model_.node(id).outputs;
  for (std::size_t i = 0; i < outputs.size() && i < results.size(); ++i) {
    if (outputs[i]) learn(outputs[i], std::move(results[i]));
  }
  return true;
}

// What `op` declarations say besides.
void Inference::infer_declared(NodeId id, int version) {
  const GraphNode& it = model_.node(id);
  const OpSchema* schema = ops_->find(it.domain, it.type, version);
  if (schema == nullptr || !schema->declared) return;
  auto types = declared_types(*schema, model_, it);
  if (!types) return warn(id, types.error().message);
  for (std::size_t i = 0; i < types->size(); ++i) {
    const ValueId output = model_.node(id).outputs[i];
    if (output && (*types)[i].kind != Type::Kind::Unknown) learn(output, std::move((*types)[i]));
  }
}

void Inference::node(NodeId id, const Call& call) {
  const GraphNode& it = model_.node(id);
  if (model_.functions.empty()) {
    if (auto type = type_of_result(model_, it, standard_opset_)) {
      if (it.outputs.size() > 1 && it.outputs[1]) {
        learn(it.outputs[1], type_of_indices(*type));
      }
      learn(it.outputs[0], std::move(*type));
      return;
    }
  }
  for (const Function& function : model_.functions) {
    if (it.type == function.name && it.domain == function.domain &&
        it.overload == function.overload) {
      infer_function(id, function, call);
      return;
    }
  }
  const auto version = static_cast<int>(opset(it.domain, call));
  const auto* schema = onnx::OpSchemaRegistry::Schema(it.type.str(), version, it.domain.str());
  if (schema != nullptr) {
    infer(id, call, *schema);
  }
  if (ops_ != nullptr) infer_declared(id, version);
  // Bodies that ONNX did not ask for (of an unknown operator, or after a failure) still have what
  // follows from their own declarations.
  if (schema == nullptr) {
    for (const GraphId body : model_.bodies(id))
      graph(body, call);
  }
}

void Inference::graph(GraphId id, const Call& call) {
  for (NodeId at = model_.first_node(id); at; at = model_.next_node(at))
    node(at, call);
}

void Inference::run() {
  standard_opset_ = static_cast<int>(model_.opset(""));
  // New symbols must not meet old ones.
  for (std::uint32_t i = 0; i < model_.value_capacity(); ++i) {
    const Type& type = model_.value(ValueId{i}).type;
    if (!type.dims) continue;
    for (const Dim& dim : *type.dims) {
      if (!dim.symbol.starts_with(fresh_symbol)) continue;
      std::uint64_t number = 0;
      const char* const digits = dim.symbol.data() + fresh_symbol.size();
      const auto [end, code] =
          std::from_chars(digits, dim.symbol.data() + dim.symbol.size(), number);
      if (code == std::errc() && number < (1ULL << 62)) {
        next_symbol_ = std::max(next_symbol_, number + 1);
      }
    }
  }
  graph(model_.main(), {});
}

void infer_types(Model& model, std::vector<std::string>& warnings, const OpTable* ops) {
  register_plugin_operators();
  const bool declarations = ops != nullptr && ops->has_declarations();
  Inference(model, warnings, declarations ? ops : nullptr).run();
}

}  // namespace rulec
