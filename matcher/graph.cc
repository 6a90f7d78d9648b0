// SPDX-License-Identifier: Apache-2.0
// Reading a Model, and making its parts. Lists are graph_links.cc's, changes graph_edit.cc's.
#include "matcher/graph.h"

namespace rulec {

Model::Model() {
  add_graph("");
}

std::int64_t Model::opset(std::string_view of) const {
  for (const auto& [name, version] : opset_imports) {
    if (name == of || (of.empty() && name == "ai.onnx")) return version;
  }
  return 0;
}

NodeId Model::first_node(GraphId graph) const {
  return graph_links_[graph.index].first;
}
NodeId Model::last_node(GraphId graph) const {
  return graph_links_[graph.index].last;
}
NodeId Model::next_node(NodeId id) const {
  return node_links_[id.index].next;
}
NodeId Model::previous_node(NodeId id) const {
  return node_links_[id.index].previous;
}
std::uint64_t Model::order_key(NodeId id) const {
  return node_links_[id.index].key;
}

std::vector<NodeId> Model::nodes(GraphId graph) const {
  std::vector<NodeId> all;
  for (NodeId id = first_node(graph); id; id = next_node(id))
    all.push_back(id);
  return all;
}

bool Model::is_graph_output(ValueId id) const {
  for (std::uint32_t at = value_links_[id.index].first; at != none; at = uses_[at].next) {
    if (!uses_[at].use.node) return true;
  }
  return false;
}

std::vector<GraphId> Model::bodies(NodeId id) const {
  std::vector<GraphId> all;
  for (const Attribute& attribute : node(id).attributes.all()) {
    if (const auto* one = std::get_if<GraphId>(&attribute.value)) {
      all.push_back(*one);
    } else if (const auto* many = std::get_if<std::vector<GraphId>>(&attribute.value)) {
      all.insert(all.end(), many->begin(), many->end());
    }
  }
  return all;
}

bool Model::encloses(GraphId outer, GraphId inner) const {
  while (inner && inner != outer)
    inner = graph(inner).parent;
  return static_cast<bool>(inner);
}

// The tensor of a Constant node's attribute, whichever of its spellings it uses.
static std::shared_ptr<const Tensor> constant_of(const Attributes& attributes) {
  const auto share = [](Tensor tensor) {
    return std::make_shared<const Tensor>(std::move(tensor));
  };
  for (const Attribute& attribute : attributes.all()) {
    if (!attribute.name.starts_with("value")) continue;
    if (const auto* tensor = std::get_if<Tensor>(&attribute.value)) return share(*tensor);
    if (const auto* i = std::get_if<std::int64_t>(&attribute.value)) {
      return share(Tensor::scalar(*i));
    }
    if (const auto* f = std::get_if<float>(&attribute.value)) return share(Tensor::scalar(*f));
    if (const auto* s = std::get_if<std::string>(&attribute.value)) {
      return share(Tensor::of_strings({}, {*s}));
    }
    if (const auto* all = std::get_if<std::vector<std::int64_t>>(&attribute.value)) {
      return share(
          Tensor::of<std::int64_t>({static_cast<std::int64_t>(all->size())}, std::span(*all)));
    }
    if (const auto* all = std::get_if<std::vector<float>>(&attribute.value)) {
      return share(Tensor::of<float>({static_cast<std::int64_t>(all->size())}, std::span(*all)));
    }
    if (const auto* all = std::get_if<std::vector<std::string>>(&attribute.value)) {
      return share(Tensor::of_strings({static_cast<std::int64_t>(all->size())}, *all));
    }
  }
  return nullptr;
}

std::shared_ptr<const Tensor> Model::constant(ValueId id) const {
  if (!id) return nullptr;
  const GraphValue& it = value(id);
  if (it.initializer) return !it.is_input || ir_version < 4 ? it.initializer : nullptr;
  if (!it.producer) return nullptr;
  const GraphNode& producer = node(it.producer);
  if (producer.type != "Constant" || !producer.domain.empty()) return nullptr;
  return constant_of(producer.attributes);
}

// At least doubles what there is, so that many small steps cost no more than few large ones.
template <typename T>
static void make_room(std::vector<T>& all, std::size_t more) {
  const std::size_t wanted = all.size() + more;
  if (wanted > all.capacity()) all.reserve(std::max(wanted, 2 * all.capacity()));
}

void Model::reserve(std::size_t nodes, std::size_t values) {
  node_names_.reserve(node_names_.count + nodes);
  value_names_.reserve(value_names_.count + values);
  make_room(node_links_, nodes);
  make_room(value_links_, values);
  make_room(uses_, 2 * nodes);
}

GraphId Model::add_graph(std::string name, NodeId owner) {
  const GraphId id{static_cast<std::uint32_t>(graphs_.size())};
  GraphInfo& info = graphs_.emplace_back();
  info.name = std::move(name);
  info.owner = owner;
  if (owner) info.parent = node(owner).graph;
  graph_links_.emplace_back();
  return id;
}

ValueId Model::add_value(GraphId graph, std::string name) {
  const ValueId id{static_cast<std::uint32_t>(values_.size())};
  note_name(value_names_, name);
  GraphValue& it = values_.emplace_back();
  it.name = std::move(name);
  it.graph = graph;
  value_links_.emplace_back();
  return id;
}

ValueId Model::add_input(GraphId graph, std::string name, Type type) {
  const ValueId id = add_value(graph, std::move(name));
  value(id).type = std::move(type);
  value(id).is_input = true;
  graphs_[graph.index].inputs.push_back(id);
  return id;
}

ValueId Model::add_initializer(GraphId graph, std::string name, Tensor tensor) {
  const ValueId id = add_value(graph, std::move(name));
  value(id).type = Type::tensor(tensor.dtype(), tensor.shape());
  value(id).initializer = std::make_shared<const Tensor>(std::move(tensor));
  graphs_[graph.index].initializers.push_back(id);
  return id;
}

NodeId Model::add_node(GraphId graph, NewNode made, NodeId before) {
  RULEC_CHECK(!before || node(before).graph == graph);
  const NodeId id{static_cast<std::uint32_t>(nodes_.size())};
  note_name(node_names_, made.name);
  GraphNode& it = nodes_.emplace_back();
  it.name = std::move(made.name);
  if (made.domain != "ai.onnx") it.domain = made.domain;
  it.type = made.type;
  it.overload = made.overload;
  it.graph = graph;
  it.attributes = std::move(made.attributes);
  it.metadata = std::move(made.metadata);
  it.inputs = std::move(made.inputs);
  node_links_.emplace_back();
  ++live_nodes_;
  link_node(id, before);

  Block& block = node_links_[id.index].uses;
  reserve_uses(block, 0, it.inputs.size());
  for (std::uint32_t slot = 0; slot < it.inputs.size(); ++slot) {
    link_use(block.first + slot, {id, graph, slot}, it.inputs[slot]);
  }
  for (const GraphId body : bodies(id))
    adopt_graph(body, id);
  const std::size_t outputs = std::max(made.output_count, made.output_names.size());
  nodes_[id.index].outputs.reserve(outputs);
  for (std::size_t i = 0; i < outputs; ++i) {
    const bool named = i < made.output_names.size();
    add_node_output(id, named ? std::move(made.output_names[i])
                              : fresh_value_name(made.type.empty() ? "value" : made.type));
  }
  return id;
}

ValueId Model::add_node_output(NodeId node, std::string name) {
  GraphNode& it = nodes_[node.index];
  const auto output = static_cast<std::uint32_t>(it.outputs.size());
  if (name.empty()) {
    it.outputs.emplace_back();
    return {};
  }
  const ValueId id = add_value(it.graph, std::move(name));
  value(id).producer = node;
  value(id).output = output;
  it.outputs.push_back(id);
  return id;
}

}  // namespace rulec
