// SPDX-License-Identifier: Apache-2.0
#include "matcher/visit_order.h"

#include <algorithm>

namespace rulec {

static constexpr std::uint64_t gap = std::uint64_t{1} << 32;  // between keys

namespace {

// A node of which not all that it reads has been looked at: operands, then the results of bodies.
struct Frame {
  NodeId node;
  std::span<const ValueId> reads;
  std::uint32_t bodies = 0;  // whose results are or were `reads`
};

}  // namespace

// Post-order from the graph's outputs: what a node reads stands before it.
VisitOrder::VisitOrder(const Model& model) {
  std::vector<std::uint8_t> seen(model.node_capacity(), 0);
  std::vector<NodeId> order;
  order.reserve(model.live_nodes());
  std::vector<Frame> open;
  const auto enter = [&](NodeId node) {
    if (!node || seen[node.index] != 0) return;
    seen[node.index] = 1;
    open.push_back({node, model.node(node).inputs});
  };
  const auto walk = [&](NodeId start) {
    enter(start);
    while (!open.empty()) {
      Frame& top = open.back();
      if (!top.reads.empty()) {
        const ValueId value = top.reads.front();
        top.reads = top.reads.subspan(1);
        if (value) enter(model.value(value).producer);
        continue;
      }
      const std::vector<GraphId> bodies = model.bodies(top.node);
      if (top.bodies < bodies.size()) {
        top.reads = model.graph(bodies[top.bodies++]).outputs;
        continue;
      }
      order.push_back(top.node);
      open.pop_back();
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
  keys_.resize(model.node_capacity());
  NodeId last;
  std::uint64_t key = 0;
  for (const NodeId node : order) {
    (last ? next_[last.index] : first_) = node;
    previous_[node.index] = last;
    keys_[node.index] = key += gap;
    last = node;
  }
}

void VisitOrder::number() {
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
