// SPDX-License-Identifier: Apache-2.0
#include "matcher/clone.h"

#include <utility>

namespace rulec {
namespace {

struct Pending {
  GraphId from, to;
};

}  // namespace

static ValueId mapped(const ValueMap& map, ValueId value) {
  if (!value) return value;
  const auto found = map.find(value.index);
  return found == map.end() ? value : found->second;
}

// The attribute for the copy: nested graphs become new empty ones, to be filled from `pending`.
static bool copy_attribute(Model& model, const Attribute& attribute, NodeId owner,
                           const std::vector<Attribute>& parameters, AttributeValue& out,
                           std::vector<Pending>& pending) {
  const auto nested = [&](GraphId from) {
    const GraphId to = model.add_graph(model.graph(from).name, owner);
    pending.push_back({from, to});
    return to;
  };
  if (const auto* graph = std::get_if<GraphId>(&attribute.value)) {
    out = nested(*graph);
    return true;
  }
  if (const auto* graphs = std::get_if<std::vector<GraphId>>(&attribute.value)) {
    std::vector<GraphId> copies;
    for (const GraphId graph : *graphs)
      copies.push_back(nested(graph));
    out = std::move(copies);
    return true;
  }
  if (const auto* reference = std::get_if<RefAttribute>(&attribute.value)) {
    for (const Attribute& parameter : parameters) {
      if (parameter.name == reference->name) {
        out = parameter.value;
        return true;
      }
    }
    if (!parameters.empty()) return false;
  }
  out = attribute.value;
  return true;
}

static NodeId clone_node(Model& model, NodeId from, GraphId to, NodeId before, ValueMap& map,
                         const std::vector<Attribute>& parameters, std::vector<Pending>& pending) {
  NewNode made;
  {
    const GraphNode& node = model.node(from);
    made.domain = node.domain.str();
    made.type = node.type.str();
    for (const ValueId input : node.inputs)
      made.inputs.push_back(mapped(map, input));
    made.output_count = node.outputs.size();
    made.metadata = node.metadata;
  }
  made.name = model.fresh_node_name(model.node(from).name);
  for (std::size_t i = 0; i < model.node(from).outputs.size(); ++i) {
    const ValueId output = model.node(from).outputs[i];
    made.output_names.push_back(
        model.fresh_value_name(output ? model.value(output).name : std::string("unused")));
  }
  const NodeId id = model.add_node(to, std::move(made), before);
  const std::vector<Attribute> attributes = model.node(from).attributes.all();
  for (const Attribute& attribute : attributes) {
    AttributeValue value;
    if (copy_attribute(model, attribute, id, parameters, value, pending)) {
      model.node(id).attributes.set(attribute.name, std::move(value));
    }
  }
  model.node(id).overload = model.node(from).overload;
  for (std::size_t i = 0; i < model.node(from).outputs.size(); ++i) {
    const ValueId output = model.node(from).outputs[i];
    if (!output) continue;
    const ValueId copy = model.node(id).outputs[i];
    model.value(copy).type = model.value(output).type;
    map[output.index] = copy;
  }
  return id;
}

static std::vector<NodeId> clone_contents(Model& model, GraphId from, GraphId to, NodeId before,
                                          ValueMap& map, const std::vector<Attribute>& parameters,
                                          std::vector<Pending>& pending) {
  const std::vector<ValueId> initializers = model.graph(from).initializers;
  for (const ValueId old : initializers) {
    if (map.contains(old.index) || !model.value(old).initializer) continue;
    map[old.index] = model.add_initializer(to, model.fresh_value_name(model.value(old).name),
                                           *model.value(old).initializer);
  }
  std::vector<NodeId> made;
  for (const NodeId node : model.nodes(from)) {
    made.push_back(clone_node(model, node, to, before, map, parameters, pending));
  }
  return made;
}

static void clone_pending(Model& model, ValueMap& map, const std::vector<Attribute>& parameters,
                          std::vector<Pending> pending) {
  while (!pending.empty()) {
    const Pending next = pending.back();
    pending.pop_back();
    const std::vector<ValueId> inputs = model.graph(next.from).inputs;
    for (const ValueId input : inputs) {
      map[input.index] = model.add_input(next.to, model.fresh_value_name(model.value(input).name),
                                         model.value(input).type);
    }
    clone_contents(model, next.from, next.to, {}, map, parameters, pending);
    const std::vector<ValueId> outputs = model.graph(next.from).outputs;
    for (const ValueId output : outputs)
      model.add_output(next.to, mapped(map, output));
  }
}

std::vector<NodeId> clone_nodes(Model& model, GraphId from, GraphId to, NodeId before,
                                ValueMap& map, const std::vector<Attribute>& parameters) {
  std::vector<Pending> pending;
  auto made = clone_contents(model, from, to, before, map, parameters, pending);
  clone_pending(model, map, parameters, std::move(pending));
  return made;
}

GraphId clone_graph(Model& model, GraphId from, NodeId owner, const ValueMap& map) {
  const GraphId to = model.add_graph(model.graph(from).name, owner);
  ValueMap values = map;
  clone_pending(model, values, {}, {{from, to}});
  return to;
}

}  // namespace rulec
