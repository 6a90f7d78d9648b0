// SPDX-License-Identifier: Apache-2.0
#include "matcher/visit_order.h"

#include <algorithm>

namespace rulec {
namespace {

struct Frame {
  NodeId node;
  std::vector<ValueId> reads;  // operands, results of bodies
  std::size_t next = 0;
};

}  // namespace

static Frame frame_of(const Model& model, NodeId id) {
  Frame frame{id, {}, 0};
  const GraphNode& node = model.node(id);
  frame.reads = node.inputs;
  for (const GraphId body : model.bodies(id)) {
    const auto& outputs = model.graph(body).outputs;
    frame.reads.insert(frame.reads.end(), outputs.begin(), outputs.end());
  }
  return frame;
}

// Post-order from the graph's outputs: what a node reads stands before it.
VisitOrder::VisitOrder(const Model& model) {
  std::vector<std::uint8_t> seen(model.node_capacity(), 0);
  std::vector<NodeId> order;
  std::vector<Frame> open;
  const auto walk = [&](NodeId start) {
    if (!start || seen[start.index] != 0) return;
    seen[start.index] = 1;
    open.push_back(frame_of(model, start));
    while (!open.empty()) {
      Frame& top = open.back();
      if (top.next == top.reads.size()) {
        order.push_back(top.node);
        open.pop_back();
        continue;
      }
      const ValueId value = top.reads[top.next++];
      const NodeId producer = value ? model.value(value).producer : NodeId{};
      if (!producer || seen[producer.index] != 0) continue;
      seen[producer.index] = 1;
      open.push_back(frame_of(model, producer));
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
}

void VisitOrder::grow(NodeId node) {
  if (node.index < next_.size()) return;
  next_.resize(node.index + 1);
  previous_.resize(node.index + 1);
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
  }
}

}  // namespace rulec
