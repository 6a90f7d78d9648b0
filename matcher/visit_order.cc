// SPDX-License-Identifier: Apache-2.0
#include "matcher/visit_order.h"

#include <algorithm>

namespace rulec {

static constexpr std::uint64_t gap = std::uint64_t{1} << 32;  // between keys

namespace {

// What nodes read, packed: a walk over a large graph would else wait for memory at each step.
class Reads {
 public:
  explicit Reads(const Model& model) : producers_(model.value_capacity()) {
    const std::size_t nodes = model.node_capacity();
    firsts_.reserve(nodes + 1);
    values_.reserve(3 * nodes);
    for (std::uint32_t i = 0; i < nodes; ++i) {
      firsts_.push_back(static_cast<std::uint32_t>(values_.size()));
      const GraphNode& node = model.node(NodeId{i});
      if (!node.alive) continue;
      for (const ValueId output : node.outputs) {
        if (output) producers_[output.index] = {i};
      }
      add(node.inputs);
      for (const GraphId body : model.bodies({i}))
        add(model.graph(body).outputs);
    }
    firsts_.push_back(static_cast<std::uint32_t>(values_.size()));
  }

  NodeId producer(ValueId value) const { return producers_[value.index]; }
  // Operands, then the results of bodies.
  std::span<const ValueId> of(NodeId node) const {
    return std::span(values_).subspan(firsts_[node.index],
                                      firsts_[node.index + 1] - firsts_[node.index]);
  }

 private:
  void add(std::span<const ValueId> all) {
    for (const ValueId value : all) {
      if (value) values_.push_back(value);
    }
  }
  std::vector<NodeId> producers_;  // by value
  std::vector<std::uint32_t> firsts_;
  std::vector<ValueId> values_;
};

// A node of which not all that it reads has been looked at.
struct Frame {
  NodeId node;
  std::span<const ValueId> reads;
};

}  // namespace

// Post-order from the graph's outputs: what a node reads stands before it.
VisitOrder::VisitOrder(const Model& model) {
  const Reads reads(model);
  std::vector<std::uint8_t> seen(model.node_capacity(), 0);
  std::vector<NodeId> order;
  order.reserve(model.live_nodes());
  std::vector<Frame> open;
  const auto enter = [&](NodeId node) {
    if (!node || seen[node.index] != 0) return;
    seen[node.index] = 1;
    open.push_back({node, reads.of(node)});
  };
  const auto walk = [&](NodeId start) {
    enter(start);
    while (!open.empty()) {
      Frame& top = open.back();
      if (top.reads.empty()) {
        order.push_back(top.node);
        open.pop_back();
        continue;
      }
      const ValueId value = top.reads.front();
      top.reads = top.reads.subspan(1);
      enter(reads.producer(value));
    }
  };
  for (const ValueId output : model.graph(model.main()).outputs) {
    walk(reads.producer(output));
  }
  for (const Function& function : model.functions) {
    for (const ValueId output : model.graph(function.body).outputs) {
      walk(reads.producer(output));
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
