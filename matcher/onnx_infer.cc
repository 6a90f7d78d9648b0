// SPDX-License-Identifier: Apache-2.0
// infer_types: ONNX's inference functions, node by node, straight on the Model. ONNX's own driver
// wants a ModelProto with every weight and stops at the first surprise; ours hands over one node at
// a time, with the constants it asks for, and goes on after a node that fails.
#include <algorithm>
#include <charconv>
#include <exception>
#include <memory>
#include <unordered_map>

#include <onnx/defs/schema.h>
#include <onnx/shape_inference/implementation.h>

#include "matcher/evaluate.h"
#include "matcher/onnx_attribute.h"
#include "matcher/onnx_io.h"
#include "matcher/onnx_type_proto.h"
#include "matcher/plugin_ops.h"

namespace rulec {

// Operands whose numbers decide a shape are short: nothing longer is handed over.
static constexpr std::int64_t longest_operand = 1024;
static constexpr int deepest_call = 32;  // functions in functions

namespace {

// The function that is being inferred, and what its caller gave.
struct Call {
  const Function* function = nullptr;
  const Attributes* arguments = nullptr;
  int depth = 0;
};

using Propagated = std::unordered_map<std::uint32_t, onnx::TensorShapeProto>;

class Inference {
 public:
  Inference(Model& model, std::vector<std::string>& warnings)
      : model_(model), warnings_(warnings) {}
  void run();
  void graph(GraphId id, const Call& call);
  // Adds what is inferred to what is known; on contradiction the inferred wins, save for the
  // interface of the model.
  void learn(ValueId id, Type inferred);

  Model& model() { return model_; }
  Propagated& propagated() { return propagated_; }

 private:
  void node(NodeId id, const Call& call);
  bool infer(NodeId id, const Call& call, const onnx::OpSchema& schema);
  bool infer_function(NodeId id, const Function& function, const Call& call);
  std::int64_t opset(std::string_view domain, const Call& call) const;
  void warn(NodeId id, std::string_view what);
  void name_unknown_dims(Type& type);

  Model& model_;
  std::vector<std::string>& warnings_;
  Propagated propagated_;
  std::uint64_t next_symbol_ = 0;
};

// Infers a body when ONNX asks for it.
class BodyInference : public onnx::GraphInferencer {
 public:
  BodyInference(Inference& all, GraphId body, const Call& call)
      : all_(all), body_(body), call_(call) {}

  std::vector<const onnx::TypeProto*> doInferencing(
      const std::vector<const onnx::TypeProto*>& types,
      const std::vector<const onnx::TensorProto*>&) override {
    const std::vector<ValueId> inputs = all_.model().graph(body_).inputs;
    if (types.size() != inputs.size()) {
      fail_type_inference("the body has ", inputs.size(), " inputs and is given ", types.size());
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (types[i] != nullptr) all_.learn(inputs[i], from_proto(*types[i]));
    }
    all_.graph(body_, call_);
    std::vector<const onnx::TypeProto*> results;
    for (const ValueId output : all_.model().graph(body_).outputs) {
      outputs_.push_back(std::make_unique<onnx::TypeProto>());
      to_proto(all_.model().value(output).type, *outputs_.back());
      results.push_back(outputs_.back().get());
    }
    return results;
  }

 private:
  Inference& all_;
  GraphId body_;
  Call call_;
  std::vector<std::unique_ptr<onnx::TypeProto>> outputs_;
};

// A node as ONNX's inference functions see it.
class NodeView : public onnx::InferenceContext {
 public:
  NodeView(Inference& all, NodeId id, const Call& call) : all_(all), id_(id), call_(call) {
    const GraphNode& node = it();
    for (const ValueId input : node.inputs) {
      auto& type = inputs_.emplace_back();
      if (!input || model().value(input).type.kind == Type::Kind::Unknown) continue;
      type = std::make_unique<onnx::TypeProto>();
      to_proto(model().value(input).type, *type);
    }
    outputs_.resize(node.outputs.size());
    data_.resize(node.inputs.size());
  }

  const onnx::AttributeProto* getAttribute(const std::string& name) const override {
    if (const auto known = attributes_.find(name); known != attributes_.end()) {
      return known->second.get();
    }
    auto& made = attributes_[name];
    const AttributeValue* value = it().attributes.find(name);
    if (value != nullptr) value = resolve(*value);
    if (value == nullptr) return nullptr;
    made = std::make_unique<onnx::AttributeProto>();
    encode(name, *value, *made);
    return made.get();
  }
  std::size_t getNumInputs() const override { return inputs_.size(); }
  const onnx::TypeProto* getInputType(std::size_t index) const override {
    if (index >= inputs_.size()) fail_type_inference("operand ", index, " is missing");
    return inputs_[index].get();
  }
  bool hasInput(std::size_t index) const override {
    return index < inputs_.size() && static_cast<bool>(it().inputs[index]);
  }
  const onnx::TensorProto* getInputData(std::size_t index) const override {
    if (!hasInput(index)) return nullptr;
    if (data_[index]) return data_[index].get();
    const ValueId input = it().inputs[index];
    const auto shape = model().value(input).type.static_shape();
    if (shape && element_count(*shape) > longest_operand) return nullptr;
    std::optional<Tensor> tensor;
    if (const auto constant = model().constant(input)) {
      tensor = *constant;
    } else if (model().value(input).producer) {
      tensor = fold(model(), input, longest_operand);
    }
    if (!tensor || tensor->size() > longest_operand) return nullptr;
    data_[index] = std::make_unique<onnx::TensorProto>();
    data_[index]->ParseFromString(encode_tensor({}, *tensor).joined());
    return data_[index].get();
  }
  const onnx::SparseTensorProto* getInputSparseData(std::size_t) const override { return nullptr; }
  const onnx::TensorShapeProto* getSymbolicInput(std::size_t index) const override {
    if (!hasInput(index)) return nullptr;
    const auto found = all_.propagated().find(it().inputs[index].index);
    return found == all_.propagated().end() ? nullptr : &found->second;
  }
  std::size_t getNumOutputs() const override { return outputs_.size(); }
  onnx::TypeProto* getOutputType(std::size_t index) override {
    if (index >= outputs_.size()) fail_type_inference("result ", index, " is missing");
    return &outputs_[index];
  }
  bool hasOutput(std::size_t index) override {
    return index < outputs_.size() && static_cast<bool>(it().outputs[index]);
  }
  onnx::GraphInferencer* getGraphAttributeInferencer(const std::string& name) override {
    const auto* const body = it().attributes.get<GraphId>(name);
    if (body == nullptr) fail_type_inference("attribute ", name, " is no graph");
    return bodies_.emplace_back(std::make_unique<BodyInference>(all_, *body, call_)).get();
  }

  bool all_inputs_known() const {
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (it().inputs[i] && !inputs_[i]) return false;
    }
    return true;
  }

 private:
  const Model& model() const { return all_.model(); }
  const GraphNode& it() const { return model().node(id_); }

  // What a reference to a function's parameter stands for; null when it was not given.
  const AttributeValue* resolve(const AttributeValue& value) const {
    const auto* const ref = std::get_if<RefAttribute>(&value);
    if (ref == nullptr) return &value;
    if (call_.arguments != nullptr) {
      if (const auto* given = call_.arguments->find(ref->name)) return given;
    }
    if (call_.function == nullptr) return nullptr;
    for (const Attribute& fallback : call_.function->attribute_defaults) {
      if (fallback.name == ref->name) return &fallback.value;
    }
    return nullptr;
  }

  static void encode(const std::string& name, const AttributeValue& value,
                     onnx::AttributeProto& to) {
    const auto* const tensor = std::get_if<Tensor>(&value);
    if (tensor != nullptr && tensor->size() > longest_operand) {
      to.set_name(name);
      to.set_type(onnx::AttributeProto::TENSOR);
      to.mutable_t()->ParseFromString(encode_tensor_header({}, *tensor).joined());
      return;
    }
    const Attribute attribute{.name = name, .value = value};
    to.ParseFromString(
        encode_attribute(attribute, [](GraphId) { return wire::Writer(); }).joined());
  }

  Inference& all_;
  NodeId id_;
  Call call_;
  std::vector<std::unique_ptr<onnx::TypeProto>> inputs_;
  std::vector<onnx::TypeProto> outputs_;
  mutable std::vector<std::unique_ptr<onnx::TensorProto>> data_;
  mutable std::unordered_map<std::string, std::unique_ptr<onnx::AttributeProto>> attributes_;
  std::vector<std::unique_ptr<onnx::GraphInferencer>> bodies_;
};

// The same node for ONNX's propagation of shapes that are computed.
class NodeData : public onnx::DataPropagationContext {
 public:
  NodeData(NodeView& view, Inference& all, NodeId id) : view_(view), all_(all), id_(id) {}

  const onnx::AttributeProto* getAttribute(const std::string& name) const override {
    return view_.getAttribute(name);
  }
  std::size_t getNumInputs() const override { return view_.getNumInputs(); }
  const onnx::TypeProto* getInputType(std::size_t index) const override {
    return view_.getInputType(index);
  }
  std::size_t getNumOutputs() const override { return view_.getNumOutputs(); }
  const onnx::TypeProto* getOutputType(std::size_t index) const override {
    return view_.getOutputType(index);
  }
  const onnx::TensorShapeProto* getInputData(std::size_t index) override {
    if (!view_.hasInput(index)) return nullptr;
    if (const auto* known = view_.getSymbolicInput(index)) return known;
    const auto constant = all_.model().constant(all_.model().node(id_).inputs[index]);
    const bool integers =
        constant && (constant->dtype() == DType::I64 || constant->dtype() == DType::I32);
    if (!integers || constant->rank() > 1 || constant->size() > longest_operand) return nullptr;
    auto& made = made_.emplace_back(std::make_unique<onnx::TensorShapeProto>());
    for (const std::int64_t n : constant->integers())
      made->add_dim()->set_dim_value(n);
    return made.get();
  }
  void addOutputData(std::size_t index, onnx::TensorShapeProto&& data) override {
    const auto& outputs = all_.model().node(id_).outputs;
    if (index < outputs.size() && outputs[index]) {
      all_.propagated()[outputs[index].index] = std::move(data);
    }
  }

 private:
  NodeView& view_;
  Inference& all_;
  NodeId id_;
  std::vector<std::unique_ptr<onnx::TensorShapeProto>> made_;
};

}  // namespace

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
  if (!a.dims) return b;
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
  if (!type.dims) return;
  for (Dim& dim : *type.dims) {
    if (!dim.known() && dim.symbol.empty()) {
      dim.symbol = fmt::format("{}{}", fresh_symbol, next_symbol_++);
    }
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
  const std::string_view result =
      it.outputs.empty() || !it.outputs[0] ? "" : model.value(it.outputs[0]).name;
  return fmt::format("type inference stops at {} `{}`:", it.type,
                     it.name.empty() ? result : std::string_view(it.name));
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

static int kind_of(const AttributeValue& value) {
  if (const auto* ref = std::get_if<RefAttribute>(&value)) return ref->kind;
  // In the order of AttributeValue's alternatives.
  static constexpr int kinds[] = {2, 1, 3, 4, 11, 5, 13, 7, 6, 8, 9, 10};
  return kinds[value.index()];
}

// Why a node must not be handed to ONNX's inference function, which trusts its schema; empty: it
// may.
static std::string misfit(const onnx::OpSchema& schema, const GraphNode& node) {
  const auto inputs = static_cast<int>(node.inputs.size());
  const auto outputs = static_cast<int>(node.outputs.size());
  if (inputs < schema.min_input() || inputs > schema.max_input()) {
    return fmt::format("it has {} operands, its schema wants {} to {}", inputs, schema.min_input(),
                       schema.max_input());
  }
  if (outputs < schema.min_output() || outputs > schema.max_output()) {
    return fmt::format("it has {} results, its schema wants {} to {}", outputs, schema.min_output(),
                       schema.max_output());
  }
  for (const auto& [name, attribute] : schema.attributes()) {
    const AttributeValue* value = node.attributes.find(name);
    if (value == nullptr) {
      if (attribute.required) return fmt::format("it lacks attribute `{}`", name);
    } else if (kind_of(*value) != static_cast<int>(attribute.type)) {
      return fmt::format("its attribute `{}` is of another kind than its schema says", name);
    }
  }
  // What inference functions divide by.
  static constexpr std::string_view divisors[] = {
      "blocksize",   "group",       "num_outputs",     "num_heads",  "kv_num_heads",
      "dilations",   "q_num_heads", "strides",         "num_groups", "kernel_shape",
      "hidden_size", "block_size",  "deformable_group"};
  for (const std::string_view name : divisors) {
    const AttributeValue* value = node.attributes.find(name);
    if (value == nullptr) continue;
    const auto* const one = std::get_if<std::int64_t>(value);
    const auto* const many = std::get_if<std::vector<std::int64_t>>(value);
    const bool bad = (one != nullptr && *one <= 0) ||
                     (many != nullptr && std::any_of(many->begin(), many->end(),
                                                     [](std::int64_t n) { return n <= 0; }));
    if (bad) return fmt::format("its attribute `{}` is not positive", name);
  }
  return {};
}

bool Inference::infer(NodeId id, const Call& call, const onnx::OpSchema& schema) {
  if (const std::string why = misfit(schema, model_.node(id)); !why.empty()) {
    warn(id, why);
    return false;
  }
  NodeView view(*this, id, call);
  const std::size_t told = warnings_.size();
  try {
    if (schema.has_type_and_shape_inference_function()) {
      schema.GetTypeAndShapeInferenceFunction()(view);
    } else if (schema.HasFunction()) {
      onnx::shape_inference::InferShapeForFunctionNode(*schema.GetFunction(),
                                                       onnx::OpSchemaRegistry::Instance(), view);
    }
  } catch (const std::exception& error) {
    // With operands of unknown type failing is no news.
    if (view.all_inputs_known() && warnings_.size() == told) warn(id, error.what());
  }
  // By index: bodies may have changed the model's vectors of types, not their sizes.
  for (std::size_t i = 0; i < model_.node(id).outputs.size(); ++i) {
    const ValueId output = model_.node(id).outputs[i];
    if (output) learn(output, from_proto(*view.getOutputType(i)));
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

void Inference::node(NodeId id, const Call& call) {
  const GraphNode& it = model_.node(id);
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

void infer_types(Model& model, std::vector<std::string>& warnings) {
  register_plugin_operators();
  Inference(model, warnings).run();
}

}  // namespace rulec
