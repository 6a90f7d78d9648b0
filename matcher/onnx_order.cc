// SPDX-License-Identifier: Apache-2.0
#include "matcher/onnx_order.h"

#include <queue>
#include <set>

namespace rulec {

// The node of `graph` that a use belongs to: its reader, or the node around the reader; none for an
// output of `graph` itself.
static NodeId reader_in(const Model& model, GraphId graph, const Use& use) {
  NodeId reader = use.node;
  for (GraphId inside = use.graph; inside != graph; inside = model.graph(inside).parent) {
    reader = model.graph(inside).owner;
  }
  return reader;
}

// Kahn's algorithm; among nodes that are ready the earliest of the file goes first.
static NodeId sort_graph(Model& model, GraphId graph) {
  const std::vector<NodeId> nodes = model.nodes(graph);
  std::unordered_map<std::uint32_t, std::size_t> place, waiting;
  for (std::size_t i = 0; i < nodes.size(); ++i)
    place[nodes[i].index] = i;
  const auto readers = [&](NodeId node) {
    std::vector<NodeId> all;
    for (const ValueId output : model.node(node).outputs) {
      if (!output) continue;
      for (const Use& use : model.uses(output)) {
        if (const NodeId reader = reader_in(model, graph, use)) all.push_back(reader);
      }
    }
    return all;
  };
  for (const NodeId node : nodes) {
    for (const NodeId reader : readers(node))
      ++waiting[reader.index];
  }
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!waiting.contains(nodes[i].index)) ready.push(i);
  }
  std::size_t done = 0;
  while (!ready.empty()) {
    const NodeId node = nodes[ready.top()];
    ready.pop();
    ++done;
    model.move_before(node, {});
    for (const NodeId reader : readers(node)) {
      if (--waiting[reader.index] == 0) ready.push(place[reader.index]);
    }
  }
  if (done == nodes.size()) return {};
  for (const NodeId node : nodes) {
    if (const auto at = waiting.find(node.index); at != waiting.end() && at->second != 0) {
      return node;
    }
  }
  return nodes.front();
}

NodeId sort_nodes(Model& model) {
  std::set<GraphId> unsorted;
  for (std::uint32_t i = 0; i < model.value_capacity(); ++i) {
    const GraphValue& value = model.value(ValueId{i});
    if (!value.alive || !value.producer || model.use_count({i}) == 0) continue;
    for (const Use& use : model.uses({i})) {
      const NodeId reader = reader_in(model, value.graph, use);
      if (reader && !model.before(value.producer, reader)) unsorted.insert(value.graph);
    }
  }
  for (const GraphId graph : unsorted) {
    if (const NodeId stuck = sort_graph(model, graph)) return stuck;
  }
  return {};
}

}  // namespace rulec
