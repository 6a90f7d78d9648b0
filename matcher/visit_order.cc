// SPDX-License-Identifier: Apache-2.0
#include "matcher/visit_order.h"

#include <algorithm>

namespace rulec {
namespace {

struct Frame {
  NodeId node;
  std::size_t next = 0;  // what it reads is looked at from here on
};

}  // namespace

// What a node reads: its operands, then the results of its bodies. False past the last.
static bool read_of(const Model& model, NodeId id, std::size_t at, ValueId& value) {
  const GraphNode& node = model.node(id);
  if (at < node.inputs.size()) {
    value = node.inputs[at];
    return true;
  }
  at -= node.inputs.size();
  for (const GraphId body : model.bodies(id)) {
    const auto& outputs = model.graph(body).outputs;
    if (at < outputs.size()) {
      value = outputs[at];
      return true;
    }
    at -= outputs.size();
  }
  return false;
}

// Post-order from the graph's outputs: what a node reads stands before it.
VisitOrder::VisitOrder(const Model& model) {
  std::vector<std::uint8_t> seen(model.node_capacity(), 0);
  std::vector<NodeId> order;
  order.reserve(model.live_nodes());
  std::vector<Frame> open;
  const auto walk = [&](NodeId start) {
    if (!start || seen[start.index] != 0) return;
    seen[start.index] = 1;
    open.push_back({start});
    while (!open.empty()) {
      Frame& top = open.back();
      ValueId value;
      if (!read_of(model, top.node, top.next++, value)) {
        order.push_back(top.node);
        open.pop_back();
        continue;
      }
      const NodeId producer = value ? model.value(value).producer : NodeId{};
      if (!producer || seen[producer.index] != 0) continue;
      seen[producer.index] = 1;
      open.push_back({producer});
    }
  };
  for (const ValueId output : model.graph(model.main()).outputs) {
    walk(model.value(output).producer);
  }
  for (const Function& function : model.functions) {
    for (const ValueId output : model.graph(function.body).outputs) {
      walk(model.value(output).producer);
    }
  }
  // What no output needs: by name, since nothing else tells such nodes apart in every file.
  std::vector<NodeId> rest;
  for (std::uint32_t i = 0; i < model.node_capacity(); ++i) {
    if (seen[i] == 0 && model.node(NodeId{i}).alive) rest.push_back({i});
  }
  std::stable_sort(rest.begin(), rest.end(),
                   [&](NodeId a, NodeId b) { return model.node(a).name < model.node(b).name; });
  for (const NodeId node : rest)
    walk(node);

  next_.resize(model.node_capacity());
  previous_.resize(model.node_capacity());
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i == 0) first_ = order[i];
    if (i > 0) {
      next_[order[i - 1].index] = order[i];
      previous_[order[i].index] = order[i - 1];
    }
  }
  number();
}

void VisitOrder::number() {
  static constexpr std::uint64_t gap = std::uint64_t{1} << 32;
  keys_.resize(next_.size());
  std::uint64_t key = 0;
  for (NodeId at = first_; at; at = next_[at.index])
    keys_[at.index] = key += gap;
}

void VisitOrder::sort(std::vector<NodeId>& nodes) const {
  std::sort(nodes.begin(), nodes.end(), [this](NodeId a, NodeId b) { return before(a, b); });
}

void VisitOrder::grow(NodeId node) {
  if (node.index < next_.size()) return;
  next_.resize(node.index + 1);
  previous_.resize(node.index + 1);
  keys_.resize(node.index + 1);
}

void VisitOrder::insert_before(NodeId place, std::span<const NodeId> nodes) {
  for (const NodeId node : nodes) {
    grow(node);
    const NodeId before = previous_[place.index];
    previous_[node.index] = before;
    next_[node.index] = place;
    previous_[place.index] = node;
    if (before) {
      next_[before.index] = node;
    } else {
      first_ = node;
    }
    const std::uint64_t low = before ? keys_[before.index] : 0, high = keys_[place.index];
    keys_[node.index] = low + (high - low) / 2;
    if (keys_[node.index] == low) number();
  }
}

}  // namespace rulec
