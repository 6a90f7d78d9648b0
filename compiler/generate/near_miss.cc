// SPDX-License-Identifier: Apache-2.0
#include "compiler/generate/near_miss.h"

#include <algorithm>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "compiler/generate/guess.h"
#include "matcher/facts.h"
#include "matcher/onnx_io.h"

namespace rulec {
namespace {

class Neighbour {
 public:
  Neighbour(const Model& model, const OpTable& ops, Random& random)
      : model_(model), ops_(ops), random_(random) {
    for (std::uint32_t i = 0; i < model_.node_capacity(); ++i)
      if (const GraphNode& node = model_.node(NodeId{i});
          node.alive && !node.name.starts_with("reader"))
        nodes_.push_back({i});
  }

  std::optional<Variation> make() {
    if (nodes_.empty()) return std::nullopt;
    std::string what;
    switch (random_.below(4)) {
      case 0:
        what = read_elsewhere();
        break;
      case 1:
        what = other_attribute();
        break;
      case 2:
        what = other_constant();
        break;
      default:
        what = other_operand();
    }
    if (what.empty()) return std::nullopt;
    for (std::uint32_t i = 0; i < model_.value_capacity(); ++i)
      if (GraphValue& info = model_.value(ValueId{i}); info.alive && info.producer) info.type = {};
    std::vector<std::string> warnings;
    infer_types(model_, warnings, &ops_);
    if (!warnings.empty()) return std::nullopt;
    return Variation{std::move(model_), std::move(what), false};
  }

 private:
  std::size_t below(std::size_t count) {
    return static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(count)));
  }
  NodeId some_node() { return nodes_[below(nodes_.size())]; }

  std::string read_elsewhere() {
    const NodeId node = some_node();
    const ValueId value = model_.node(node).outputs[0];
    if (!value || model_.is_graph_output(value) || !model_.value(value).type.is_tensor()) return "";
    if (const GraphId graph = model_.node(node).graph; graph != model_.main())
      model_.add_node(
          graph,
          {.name = model_.fresh_node_name("elsewhere"), .type = "Identity", .inputs = {value}});
    else
      model_.add_output(graph, value);
    return fmt::format("`{}` is read elsewhere too", model_.value(value).name);
  }

  std::string other_attribute() {
    const NodeId id = some_node();
    GraphNode& node = model_.node(id);
    const auto* then = node.attributes.get<GraphId>("then_branch");
    const auto* otherwise = node.attributes.get<GraphId>("else_branch");
    if (then != nullptr && otherwise != nullptr) {
      const GraphId first = *then, second = *otherwise;
      node.attributes.set("then_branch", second);
      node.attributes.set("else_branch", first);
      return fmt::format("the branches of `{}` change places", node.name);
    }
    const OpSchema* schema =
        ops_.find(node.domain.str(), node.type.str(), opset_of(model_, node.domain.str()));
    if (schema == nullptr || schema->attributes.empty()) return "";
    const AttributeSchema& attribute = schema->attributes[below(schema->attributes.size())];
    Spot spot{.type = node.type.str(), .opset = model_.opset("")};
    for (const ValueId input : node.inputs)
      spot.operands.push_back(input ? type_of(model_, input) : Type{});
    std::optional<AttributeValue> value;
    if (const AttributeValue* there = node.attributes.find(attribute.name))
      value = nudged(*there);
    else
      value = guess_attribute(spot, attribute, random_, {});
    if (!value) return "";
    node.attributes.set(attribute.name, std::move(*value));
    return fmt::format("`{}` of `{}` is another", attribute.name, node.name);
  }

  std::optional<AttributeValue> nudged(const AttributeValue& value) {
    if (const auto* i = std::get_if<std::int64_t>(&value)) return *i + (random_.below(2) ? 1 : -1);
    if (const auto* f = std::get_if<float>(&value)) return *f * 1.01F + (*f == 0 ? 0.01F : 0);
    if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value); list && !list->empty()) {
      std::vector<std::int64_t> out = *list;
      if (out.size() > 1 && random_.below(2))
        std::swap(out[below(out.size())], out[below(out.size())]);
      else
        out[below(out.size())] += 1;
      return out;
    }
    return std::nullopt;
  }

  std::string other_constant() {
    std::vector<ValueId> constants;
    for (std::uint32_t i = 0; i < model_.value_capacity(); ++i)
      if (const GraphValue& value = model_.value(ValueId{i});
          value.alive && value.initializer && value.initializer->size() > 0 &&
          value.initializer->dtype() != DType::String && model_.use_count({i}) > 0)
        constants.push_back({i});
    if (constants.empty()) return "";
    GraphValue& value = model_.value(constants[below(constants.size())]);
    const Tensor& old = *value.initializer;
    Tensor tensor = Tensor::zeros(old.dtype(), old.shape());
    // All elements stay equal where they were: one that differs is another kind of near miss.
    const std::size_t chosen = below(static_cast<std::size_t>(old.size()));
    const bool all = one_distinct_value(old) && random_.below(2);
    for (std::int64_t i = 0; i < old.size(); ++i) {
      const bool off = all || static_cast<std::size_t>(i) == chosen;
      if (is_float(old.dtype())) {
        const double number = old.number(i);
        tensor.set_number(i, off ? number * 1.01 + (number == 0 ? 0.01 : 0) : number);
      } else {
        const std::int64_t number = old.integer(i);
        tensor.set_integer(i, !off ? number : old.dtype() == DType::Bool ? 1 - number : number + 1);
      }
    }
    value.initializer = std::make_shared<const Tensor>(std::move(tensor));
    return fmt::format("the constant `{}` is off by a hair", value.name);
  }

  std::string other_operand() {
    const NodeId id = some_node();
    const GraphNode& node = model_.node(id);
    if (node.inputs.empty()) return "";
    const std::size_t slot = below(node.inputs.size());
    const ValueId there = node.inputs[slot];
    if (!there) return "";
    if (node.inputs.size() > 1 && random_.below(2)) {
      const std::size_t other = below(node.inputs.size());
      const ValueId swapped = node.inputs[other];
      if (!swapped || swapped == there) return "";
      model_.set_input(id, slot, swapped);
      model_.set_input(id, other, there);
      return fmt::format("operands {} and {} of `{}` change places", slot + 1, other + 1,
                         model_.node(id).name);
    }
    const Type type = type_of(model_, there);
    if (!type.is_tensor() || !type.static_shape()) return "";
    const ValueId fresh = model_.add_input(model_.main(), model_.fresh_value_name("other"), type);
    model_.set_input(id, slot, fresh);
    return fmt::format("operand {} of `{}` is another value", slot + 1, model_.node(id).name);
  }

  Model model_;
  const OpTable& ops_;
  Random& random_;
  std::vector<NodeId> nodes_;
};

}  // namespace

std::optional<Variation> vary(const Model& model, const OpTable& ops, Random& random) {
  return Neighbour(model, ops, random).make();
}

}  // namespace rulec
