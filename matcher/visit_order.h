// SPDX-License-Identifier: Apache-2.0
#pragma once

// The order in which a rewrite visits nodes: topological, bodies before their owners, and the same
// whatever the (valid) order of the model's file. New nodes take the place of what they replace.

#include <cstdint>
#include <span>
#include <vector>

#include "matcher/graph.h"

namespace rulec {

class VisitOrder {
 public:
  explicit VisitOrder(const Model& model);

  // Walks over all nodes, including ones that have been removed since.
  NodeId first() const { return first_; }
  NodeId next(NodeId node) const { return next_[node.index]; }
  void insert_before(NodeId place, std::span<const NodeId> nodes);
  bool before(NodeId a, NodeId b) const { return key(a) < key(b); }
  void sort(std::vector<NodeId>& nodes) const;

 private:
  void grow(NodeId node);
  void number();
  std::uint64_t key(NodeId node) const {
    return node.index < keys_.size() ? keys_[node.index] : UINT64_MAX;
  }
  NodeId first_;
  std::vector<NodeId> next_, previous_;
  std::vector<std::uint64_t> keys_;  // ascend along the order, with gaps
};

}  // namespace rulec
