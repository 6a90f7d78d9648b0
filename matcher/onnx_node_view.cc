// SPDX-License-Identifier: Apache-2.0
#include "matcher/onnx_node_view.h"

#include <algorithm>

#include "matcher/evaluate.h"
#include "matcher/onnx_attribute.h"
#include "matcher/onnx_type_proto.h"

namespace rulec {

namespace {

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

}  // namespace

static int kind_of(const AttributeValue& value) {
  if (const auto* ref = std::get_if<RefAttribute>(&value)) return ref->kind;
  // In the order of AttributeValue's alternatives.
  static constexpr int kinds[] = {2, 1, 3, 4, 11, 5, 13, 7, 6, 8, 9, 10};
  return kinds[value.index()];
}

std::string misfit(const onnx::OpSchema& schema, const GraphNode& node) {
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

NodeView::NodeView(Inference& all, NodeId id, const Call& call) : all_(all), id_(id), call_(call) {
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

static void encode(const std::string& name, const AttributeValue& value, onnx::AttributeProto& to) {
  const auto* const tensor = std::get_if<Tensor>(&value);
  if (tensor != nullptr && tensor->size() > longest_operand) {
    to.set_name(name);
    to.set_type(onnx::AttributeProto::TENSOR);
    to.mutable_t()->ParseFromString(encode_tensor_header({}, *tensor).joined());
    return;
  }
  const Attribute attribute{.name = name, .value = value};
  to.ParseFromString(encode_attribute(attribute, [](GraphId) { return wire::Writer(); }).joined());
}

// What a reference to a function's parameter stands for; null when it was not given.
const AttributeValue* NodeView::resolve(const AttributeValue& value) const {
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

const onnx::AttributeProto* NodeView::getAttribute(const std::string& name) const {
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

const onnx::TypeProto* NodeView::getInputType(std::size_t index) const {
  if (index >= inputs_.size()) fail_type_inference("operand ", index, " is missing");
  return inputs_[index].get();
}

const onnx::TensorProto* NodeView::getInputData(std::size_t index) const {
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

const onnx::TensorShapeProto* NodeView::getSymbolicInput(std::size_t index) const {
  if (!hasInput(index)) return nullptr;
  const auto found = all_.propagated().find(it().inputs[index].index);
  return found == all_.propagated().end() ? nullptr : &found->second;
}

onnx::TypeProto* NodeView::getOutputType(std::size_t index) {
  if (index >= outputs_.size()) fail_type_inference("result ", index, " is missing");
  return &outputs_[index];
}

onnx::GraphInferencer* NodeView::getGraphAttributeInferencer(const std::string& name) {
  const auto* const body = it().attributes.get<GraphId>(name);
  if (body == nullptr) fail_type_inference("attribute ", name, " is no graph");
  return bodies_.emplace_back(std::make_unique<BodyInference>(all_, *body, call_)).get();
}

bool NodeView::all_inputs_known() const {
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (it().inputs[i] && !inputs_[i]) return false;
  }
  return true;
}

const onnx::TensorShapeProto* NodeData::getInputData(std::size_t index) {
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

void NodeData::addOutputData(std::size_t index, onnx::TensorShapeProto&& data) {
  const auto& outputs = all_.model().node(id_).outputs;
  if (index < outputs.size() && outputs[index]) {
    all_.propagated()[outputs[index].index] = std::move(data);
  }
}

}  // namespace rulec
