// SPDX-License-Identifier: Apache-2.0
// Changes of a Model. Each keeps the use lists and the order in step with what it changes.
#include <algorithm>

#include "matcher/graph.h"

namespace rulec {

void Model::set_input(NodeId node, std::size_t slot, ValueId value) {
  GraphNode& it = nodes_[node.index];
  RULEC_CHECK(slot <= it.inputs.size());
  if (slot == it.inputs.size()) resize_inputs(node, slot + 1);
  const std::uint32_t at = node_links_[node.index].uses.first + static_cast<std::uint32_t>(slot);
  unlink_use(at);
  it.inputs[slot] = value;
  link_use(at, {node, it.graph, static_cast<std::uint32_t>(slot)}, value);
}

void Model::resize_inputs(NodeId node, std::size_t count) {
  GraphNode& it = nodes_[node.index];
  Block& block = node_links_[node.index].uses;
  const std::size_t held = it.inputs.size();
  for (std::size_t slot = count; slot < held; ++slot) {
    unlink_use(block.first + static_cast<std::uint32_t>(slot));
  }
  reserve_uses(block, std::min(held, count), count);
  it.inputs.resize(count);
  for (auto slot = static_cast<std::uint32_t>(held); slot < count; ++slot) {
    link_use(block.first + slot, {node, it.graph, slot}, {});
  }
}

void Model::add_output(GraphId graph, ValueId value) {
  std::vector<ValueId> all = graphs_[graph.index].outputs;
  all.push_back(value);
  set_outputs(graph, std::move(all));
}

void Model::set_output(GraphId graph, std::size_t slot, ValueId value) {
  GraphInfo& it = graphs_[graph.index];
  RULEC_CHECK(slot < it.outputs.size());
  const std::uint32_t at = graph_links_[graph.index].uses.first + static_cast<std::uint32_t>(slot);
  unlink_use(at);
  it.outputs[slot] = value;
  link_use(at, {{}, graph, static_cast<std::uint32_t>(slot)}, value);
}

void Model::set_outputs(GraphId graph, std::vector<ValueId> values) {
  GraphInfo& it = graphs_[graph.index];
  Block& block = graph_links_[graph.index].uses;
  for (std::uint32_t slot = 0; slot < it.outputs.size(); ++slot)
    unlink_use(block.first + slot);
  reserve_uses(block, 0, values.size());
  it.outputs = std::move(values);
  for (std::uint32_t slot = 0; slot < it.outputs.size(); ++slot) {
    link_use(block.first + slot, {{}, graph, slot}, it.outputs[slot]);
  }
}

void Model::replace_use(const Use& use, ValueId by) {
  if (use.node) {
    set_input(use.node, use.slot, by);
  } else {
    set_output(use.graph, use.slot, by);
  }
}

void Model::replace_uses(ValueId value, ValueId by) {
  if (value == by) return;
  while (value_links_[value.index].first != none) {
    replace_use(uses_[value_links_[value.index].first].use, by);
  }
}

void Model::rename(ValueId value, std::string name) {
  note_name(value_names_, name);
  values_[value.index].name = std::move(name);
}

void Model::move_before(NodeId node, NodeId before) {
  if (node == before) return;
  RULEC_CHECK(!before || nodes_[before.index].graph == nodes_[node.index].graph);
  unlink_node(node);
  link_node(node, before);
}

void Model::remove_node(NodeId node) {
  GraphNode& it = nodes_[node.index];
  RULEC_CHECK(it.alive);
  for (const ValueId output : it.outputs) {
    if (!output) continue;
    RULEC_CHECK(use_count(output) == 0);
    values_[output.index].alive = false;
  }
  resize_inputs(node, 0);
  release_uses(node_links_[node.index].uses);
  unlink_node(node);
  const std::vector<GraphId> nested = bodies(node);
  it.alive = false;
  it.attributes = {};
  it.metadata = {};
  it.leftover = {};
  --live_nodes_;
  for (const GraphId body : nested) {
    if (graphs_[body.index].owner == node && graphs_[body.index].alive) drop_graph(body);
  }
}

// Removes whole graphs, the nested ones with a list of those still to do instead of recursion.
void Model::drop_graph(GraphId graph) {
  std::vector<GraphId> pending = {graph};
  while (!pending.empty()) {
    const GraphId id = pending.back();
    pending.pop_back();
    set_outputs(id, {});
    release_uses(graph_links_[id.index].uses);
    // All uses first: within the graph any order of removal is then possible.
    const std::vector<NodeId> all = nodes(id);
    for (const NodeId node : all)
      resize_inputs(node, 0);
    for (const NodeId node : all) {
      for (const GraphId body : bodies(node)) {
        if (graphs_[body.index].owner == node && graphs_[body.index].alive) pending.push_back(body);
      }
      GraphNode& it = nodes_[node.index];
      for (const ValueId output : it.outputs) {
        if (output) values_[output.index].alive = false;
      }
      release_uses(node_links_[node.index].uses);
      unlink_node(node);
      it.alive = false;
      it.attributes = {};
      --live_nodes_;
    }
    GraphInfo& info = graphs_[id.index];
    for (const ValueId value : info.inputs)
      values_[value.index].alive = false;
    for (const ValueId value : info.initializers) {
      values_[value.index].alive = false;
      values_[value.index].initializer = nullptr;
    }
    info.alive = false;
  }
}

void Model::remove_graph(GraphId graph) {
  RULEC_CHECK(graph != main() && graphs_[graph.index].alive);
  drop_graph(graph);
}

void Model::adopt_graph(GraphId graph, NodeId owner) {
  graphs_[graph.index].owner = owner;
  graphs_[graph.index].parent = owner ? nodes_[owner.index].graph : GraphId{};
}

// Lists of values mostly ascend, as they were added: looks there first, then everywhere.
static void erase(std::vector<ValueId>& list, ValueId value) {
  std::size_t begin = 0, end = list.size();
  while (begin < end) {
    const std::size_t middle = begin + (end - begin) / 2;
    if (list[middle] < value)
      begin = middle + 1;
    else
      end = middle;
  }
  auto at = list.begin() + static_cast<std::ptrdiff_t>(begin);
  if (at == list.end() || *at != value) at = std::find(list.begin(), list.end(), value);
  if (at != list.end()) list.erase(at);
}

void Model::remove_initializer(ValueId value) {
  GraphValue& it = values_[value.index];
  RULEC_CHECK(it.alive && (it.initializer || it.sparse_initializer) && use_count(value) == 0);
  erase(graphs_[it.graph.index].initializers, value);
  it.initializer = nullptr;
  it.sparse_initializer = nullptr;
  if (it.is_input) erase(graphs_[it.graph.index].inputs, value);
  it.alive = false;
}

void Model::remove_input(GraphId graph, ValueId value) {
  GraphValue& it = values_[value.index];
  RULEC_CHECK(it.alive && it.is_input && it.graph == graph && use_count(value) == 0);
  erase(graphs_[graph.index].inputs, value);
  if (it.initializer || it.sparse_initializer) {
    it.is_input = false;  // stays as an initializer that nobody may override
    return;
  }
  it.alive = false;
}

}  // namespace rulec
