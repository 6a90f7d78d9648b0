// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a value of a graph hangs on: the nodes below a set of roots, the values that can be computed
// once some values are fed, and whether a value reads its sources' elements or only their shapes.
// Facts only: what a region is, and what may replace it, is template.cc's business.
//
//   auto below = nodes_below(model, graph, roots);
//   auto able = computable_from(model, graph, {boxes, scores});
//   if (!able.ok(v)) … able.blame(v) names what is missing …

#include <set>
#include <span>
#include <utility>
#include <vector>

#include "matcher/graph.h"
#include "runtime/value.h"

namespace rulec {

// Values of enclosing graphs that the nested graphs of a node read, each once, in reading order.
std::vector<ValueId> captures(const Model& model, NodeId node);

// Inputs and captures of a node: all that it reads from its own graph and from outer ones.
std::vector<ValueId> reads(const Model& model, NodeId node);

// Nodes of `graph` that use a result of `roots`, however far down, the roots included, in graph
// order. Nodes that `stop` holds are not entered.
std::vector<NodeId> nodes_below(const Model& model, GraphId graph, std::span<const NodeId> roots,
                                bool (*stop)(const GraphNode&) = nullptr);

// Convolutions, matrix products, recurrences: too much work for a probe.
bool is_heavy(const GraphNode& node);

// Which values of a graph follow from fed values and constants alone, without heavy nodes.
class Computable {
 public:
  Computable(const Model& model, GraphId graph, std::span<const ValueId> feeds);

  bool ok(ValueId value) const { return state_[value.index].known && state_[value.index].ok; }
  // One value that would have to be fed too (a graph input, mostly).
  ValueId blame(ValueId value) const { return state_[value.index].blame; }
  // Results of Shape and Size nodes over statically shaped values that are not fed: they are fed as
  // constants, so that their operands need not be computed.
  const std::vector<std::pair<ValueId, Value>>& shapes() const { return shapes_; }

 private:
  struct State {
    bool known = false, ok = false, constant = false;
    ValueId blame;
  };
  std::vector<State> state_;
  std::vector<std::pair<ValueId, Value>> shapes_;
};

// Sources (graph inputs that no constant stands behind) that a value reads.
struct Dependence {
  std::set<ValueId> by_data;   // elements matter
  std::set<ValueId> by_shape;  // only the shape does
};
Dependence trace(const Model& model, ValueId value);

// Numbers of nodes on the shortest way from each value of a graph to one of its outputs; -1 where
// there is none. Index by ValueId.
std::vector<int> distances_to_outputs(const Model& model, GraphId graph);

}  // namespace rulec
