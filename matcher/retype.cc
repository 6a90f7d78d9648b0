// SPDX-License-Identifier: Apache-2.0
#include "matcher/retype.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "matcher/facts.h"
#include "matcher/onnx_infer_node.h"

namespace rulec {
namespace {

// Copies of the nodes behind, reading the new values; taken back when this goes.
class Rehearsal {
 public:
  Rehearsal(Model& model, const OpTable& ops) : model_(model), ops_(ops) {}
  Rehearsal(const Rehearsal&) = delete;
  Rehearsal& operator=(const Rehearsal&) = delete;
  ~Rehearsal() {
    for (std::size_t i = made_.size(); i-- > 0;)
      model_.remove_node(made_[i]);
  }

  std::map<std::uint32_t, ValueId> stands_for;  // old value → the one in its place

  bool reads_a_changed_one(NodeId id) const {
    const auto& inputs = model_.node(id).inputs;
    return std::any_of(inputs.begin(), inputs.end(),
                       [&](ValueId input) { return input && stands_for.contains(input.index); });
  }

  // Nothing when the node takes the new operands; its results that change join `stands_for`.
  std::optional<std::string> rehearse(NodeId id) {
    const GraphNode node = model_.node(id);  // adding one may move it
    if (!model_.bodies(id).empty())
      return fmt::format("`{}` has bodies that cannot be checked again", node.name);
    NewNode copy;
    copy.domain = node.domain.str();
    copy.type = node.type.str();
    copy.name = model_.fresh_node_name(node.name + "_retyped");
    for (const ValueId input : node.inputs) {
      const auto changed = input ? stands_for.find(input.index) : stands_for.end();
      copy.inputs.push_back(changed == stands_for.end() ? input : changed->second);
    }
    if (auto trouble = refused_dtype(node, copy.inputs)) return trouble;
    copy.output_count = node.outputs.size();
    const NodeId made = model_.add_node(node.graph, std::move(copy));
    made_.push_back(made);
    for (const Attribute& attribute : node.attributes.all())
      model_.node(made).attributes.set(attribute.name, attribute.value);
    const NodeId fresh[] = {made};
    if (const Status inferred = infer_node_types(model_, fresh); !inferred)
      return inferred.error().message;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      const ValueId old_value = node.outputs[i];
      if (!old_value) continue;
      const ValueId new_value = model_.node(made).outputs[i];
      const Type had = type_of(model_, old_value), has = type_of(model_, new_value);
      if (proven_equal(had, has) || has.kind == Type::Kind::Unknown) continue;
      if (model_.is_graph_output(old_value) && !compatible(had, has))
        return fmt::format("output `{}` of the graph would be {} instead of {}",
                           model_.value(old_value).name, to_string(has), to_string(had));
      stands_for[old_value.index] = new_value;
    }
    return std::nullopt;
  }

 private:
  std::optional<std::string> refused_dtype(const GraphNode& node,
                                           const std::vector<ValueId>& inputs) const {
    const OpSchema* schema =
        ops_.find(node.domain.str(), node.type.str(), opset_of(model_, node.domain.str()));
    if (schema == nullptr || schema->inputs.empty()) return std::nullopt;
    std::map<std::string, DType> of_parameter;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i]) continue;
      const Operand& operand = schema->inputs[std::min(i, schema->inputs.size() - 1)];
      const DType dtype = type_of(model_, inputs[i]).dtype;
      if (dtype == DType::Undefined) continue;
      const bool accepted =
          operand.dtypes.empty() ||
          std::find(operand.dtypes.begin(), operand.dtypes.end(), dtype) != operand.dtypes.end();
      const auto [bound, fresh] = of_parameter.try_emplace(operand.type_parameter, dtype);
      const bool same =
          operand.type_parameter.empty() || !operand.homogeneous || fresh || bound->second == dtype;
      if (!accepted || !same)
        return fmt::format("{} `{}` does not take {} as operand {}", node.type, node.name,
                           name(dtype), i + 1);
    }
    return std::nullopt;
  }

  Model& model_;
  const OpTable& ops_;
  std::vector<NodeId> made_;
};

}  // namespace

std::optional<std::string> retype_trouble(Model& model, const OpTable& ops,
                                          std::span<const RetypedValue> values,
                                          std::span<const NodeId> gone,
                                          std::vector<std::pair<ValueId, Type>>& types) {
  Rehearsal rehearsal(model, ops);
  GraphId graph;
  NodeId first;
  for (const RetypedValue& one : values) {
    if (proven_equal(type_of(model, one.old_value), type_of(model, one.new_value))) continue;
    if (model.is_graph_output(one.old_value))
      return fmt::format("`{}` is an output of the graph and keeps its type",
                         model.value(one.old_value).name);
    rehearsal.stands_for[one.old_value.index] = one.new_value;
    const NodeId producer = model.value(one.old_value).producer;
    graph = model.node(producer).graph;
    if (!first || model.before(producer, first)) first = producer;
  }
  if (rehearsal.stands_for.empty()) return std::nullopt;
  // A body that captures one is not followed.
  const auto captured = [&](std::uint32_t value) {
    const auto uses = model.uses(ValueId{value});
    return std::any_of(uses.begin(), uses.end(), [&](const Use& use) {
      return use.node && model.node(use.node).graph != graph;
    });
  };
  const NodeId last = model.last_node(graph);
  for (NodeId node = first; node; node = node == last ? NodeId{} : model.next_node(node)) {
    if (std::find(gone.begin(), gone.end(), node) != gone.end()) continue;
    if (!rehearsal.reads_a_changed_one(node)) continue;
    if (auto trouble = rehearsal.rehearse(node)) return trouble;
  }
  for (const auto& [value, by] : rehearsal.stands_for) {
    if (captured(value))
      return fmt::format("a body reads `{}`, and cannot be checked again",
                         model.value(ValueId{value}).name);
    const bool root = std::any_of(values.begin(), values.end(), [&](const RetypedValue& one) {
      return one.old_value.index == value;
    });
    if (!root) types.emplace_back(ValueId{value}, type_of(model, by));
  }
  return std::nullopt;
}

bool announces(const TypePattern& announced, const Type& known) {
  if (!known.is_tensor()) return known.kind == Type::Kind::Unknown;
  const bool dtype = announced.dtypes.empty() || known.dtype == DType::Undefined ||
                     std::find(announced.dtypes.begin(), announced.dtypes.end(), known.dtype) !=
                         announced.dtypes.end();
  if (!dtype || announced.shapes.empty() || !known.dims) return dtype;
  return std::any_of(announced.shapes.begin(), announced.shapes.end(), [&](const auto& shape) {
    const auto rest = std::find_if(shape.begin(), shape.end(), [](const DimPattern& dim) {
      return dim.kind == DimPattern::Kind::Rest;
    });
    if (rest != shape.end()) return known.dims->size() + 1 >= shape.size();
    if (shape.size() != known.dims->size()) return false;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const Dim& dim = (*known.dims)[i];
      if (shape[i].kind == DimPattern::Kind::Fixed && dim.known() && dim.size != shape[i].size)
        return false;
    }
    return true;
  });
}

}  // namespace rulec
