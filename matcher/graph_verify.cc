// SPDX-License-Identifier: Apache-2.0
// Model::verify: every list against what it lists, and the order against the data flow.
#include <algorithm>
#include <unordered_set>

#include "matcher/graph.h"

namespace rulec {

Status Model::verify() const {
  if (node_links_.size() != nodes_.size() || value_links_.size() != values_.size() ||
      graph_links_.size() != graphs_.size()) {
    return make_error(
        "lists of the model have {}, {}, {} entries for {} nodes, {} values, {} graphs",
        node_links_.size(), value_links_.size(), graph_links_.size(), nodes_.size(), values_.size(),
        graphs_.size());
  }
  std::size_t live = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    live += nodes_[i].alive ? 1 : 0;
  if (live != live_nodes_) return make_error("{} live nodes are counted as {}", live, live_nodes_);
  std::size_t listed = 0;
  for (std::uint32_t i = 0; i < graphs_.size(); ++i) {
    if (!graphs_[i].alive) continue;
    if (Status status = verify_graph({i}); !status) return status;
    for (NodeId id = first_node({i}); id; id = next_node(id))
      ++listed;
  }
  if (listed != live) return make_error("{} live nodes, but graphs list {}", live, listed);
  if (Status status = verify_values(); !status) return status;
  return verify_uses();
}

Status Model::verify_graph(GraphId id) const {
  const GraphInfo& info = graph(id);
  if (info.owner) {
    const GraphNode& owner = node(info.owner);
    const std::vector<GraphId> all = bodies(info.owner);
    if (!owner.alive) return make_error("{} belongs to the removed node {}", id, info.owner);
    if (info.parent != owner.graph)
      return make_error("{} has parent {}, its owner is in {}", id, info.parent, owner.graph);
    if (std::find(all.begin(), all.end(), id) == all.end()) {
      return make_error("{} belongs to {}, whose attributes do not name it", id, info.owner);
    }
  }
  NodeId previous;
  for (NodeId at = first_node(id); at; previous = at, at = next_node(at)) {
    const GraphNode& it = node(at);
    if (!it.alive || it.graph != id) return make_error("{} lists {}, which is not in it", id, at);
    if (previous_node(at) != previous) {
      return make_error("{} follows {} but names {}", at, previous, previous_node(at));
    }
    if (previous && order_key(previous) >= order_key(at)) {
      return make_error("order keys of {} and {} do not grow", previous, at);
    }
    for (std::uint32_t i = 0; i < it.outputs.size(); ++i) {
      if (!it.outputs[i]) continue;
      const GraphValue& output = value(it.outputs[i]);
      if (!output.alive || output.producer != at || output.output != i || output.graph != id) {
        return make_error("output {} of {} is {}, which says otherwise", i, at, it.outputs[i]);
      }
    }
    for (const GraphId body : bodies(at)) {
      if (!graph(body).alive || graph(body).owner != at) {
        return make_error("{} holds {}, which belongs to {}", at, body, graph(body).owner);
      }
    }
  }
  if (last_node(id) != previous)
    return make_error("{} ends at {}, not {}", id, previous, last_node(id));
  for (const ValueId input : info.inputs) {
    if (!value(input).alive || !value(input).is_input || value(input).graph != id) {
      return make_error("{} is listed as an input of {} but is none", input, id);
    }
  }
  for (const ValueId constant : info.initializers) {
    const GraphValue& it = value(constant);
    if (!it.alive || it.graph != id || (!it.initializer && !it.sparse_initializer)) {
      return make_error("{} is listed as an initializer of {} but is none", constant, id);
    }
  }
  return Done{};
}

Status Model::verify_values() const {
  std::unordered_set<std::uint32_t> listed;
  for (const GraphInfo& info : graphs_) {
    if (!info.alive) continue;
    for (const ValueId id : info.inputs)
      listed.insert(id.index);
    for (const ValueId id : info.initializers)
      listed.insert(id.index);
  }
  for (std::uint32_t i = 0; i < values_.size(); ++i) {
    const GraphValue& it = values_[i];
    const ValueId id{i};
    if (!it.alive) {
      if (use_count(id) != 0) return make_error("removed value {} still has uses", id);
      continue;
    }
    if (it.name.empty()) return make_error("{} has no name", id);
    if (!graph(it.graph).alive) return make_error("{} lives in the removed {}", id, it.graph);
    if (it.producer) {
      const GraphNode& producer = node(it.producer);
      if (!producer.alive || it.output >= producer.outputs.size() ||
          producer.outputs[it.output] != id) {
        return make_error("{} names {} as its producer, which does not give it", id, it.producer);
      }
      if (it.is_input || it.initializer || it.sparse_initializer) {
        return make_error("{} is both computed and given", id);
      }
    } else if (!listed.contains(i)) {
      return make_error("{} is neither computed nor given", id);
    }
    std::uint32_t count = 0, previous = none;
    for (std::uint32_t at = value_links_[i].first; at != none; at = uses_[at].next, ++count) {
      if (uses_[at].value != id || uses_[at].previous != previous || count > uses_.size()) {
        return make_error("the list of uses of {} is broken", id);
      }
      previous = at;
    }
    if (count != value_links_[i].count || value_links_[i].last != previous) {
      return make_error("{} has {} uses but counts {}", id, count, value_links_[i].count);
    }
  }
  return Done{};
}

Status Model::verify_uses() const {
  // Operand `slot`, read at `reader` in `inside` (none: as an output of that graph).
  const auto check = [&](const Use& use, std::uint32_t at, ValueId read) -> Status {
    if (uses_[at].value != read || uses_[at].use != use) {
      return make_error("use {} of {} {} is linked as another one", use.slot,
                        use.node ? "node" : "graph", use.node ? use.node.index : use.graph.index);
    }
    if (!read) return Done{};
    const GraphValue& it = value(read);
    if (!it.alive) return make_error("{} reads the removed {}", use.node, read);
    if (!encloses(it.graph, use.graph)) {
      return make_error("{} in {} reads {}, which lives in {}", use.node, use.graph, read,
                        it.graph);
    }
    if (!it.producer) return Done{};
    // The reader itself, or the node around it that stands beside the producer.
    NodeId beside = use.node;
    for (GraphId inside = use.graph; inside != it.graph; inside = graph(inside).parent) {
      beside = graph(inside).owner;
    }
    if (beside && !before(it.producer, beside)) {
      return make_error("{} reads {} before {} computes it", use.node, read, it.producer);
    }
    return Done{};
  };
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i].alive) continue;
    for (std::uint32_t slot = 0; slot < nodes_[i].inputs.size(); ++slot) {
      Status status = check({{i}, nodes_[i].graph, slot}, node_links_[i].uses.first + slot,
                            nodes_[i].inputs[slot]);
      if (!status) return status;
    }
  }
  for (std::uint32_t i = 0; i < graphs_.size(); ++i) {
    if (!graphs_[i].alive) continue;
    for (std::uint32_t slot = 0; slot < graphs_[i].outputs.size(); ++slot) {
      Status status =
          check({{}, {i}, slot}, graph_links_[i].uses.first + slot, graphs_[i].outputs[slot]);
      if (!status) return status;
    }
  }
  return Done{};
}

}  // namespace rulec
