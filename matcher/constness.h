// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which values are constants: initializers, and what is computed from such alone and can be folded.
// Remembered, so that asking for every value of a graph costs as much as the graph is large. Not
// the constants themselves: those are facts.h's constant_tensor.
//
//   Constness constness(model, ops);
//   if (constness.holds(value)) …
//   constness.recheck(readers);   // after these nodes got a constant as operand

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "matcher/graph.h"
#include "matcher/op_table.h"

namespace rulec {

class Constness {
 public:
  Constness(const Model& model, const OpTable& ops) : model_(model), ops_(ops) {}

  bool holds(ValueId value);
  void recheck(std::span<const NodeId> readers);  // and what lies below them, as far as it matters
  void forget() { known_.clear(); }               // after changes that nobody followed

 private:
  enum class Known : std::uint8_t { Nothing, Varies, Constant };
  Known& known(ValueId value);

  bool is_leaf_constant(ValueId value) const;
  Known look(ValueId value, ValueId& first_open);
  bool may_compute(const GraphNode& node, NodeId id);
  bool is_deterministic(const GraphNode& node);

  const Model& model_;
  const OpTable& ops_;
  const Symbol constant_ = "Constant", shape_ = "Shape", size_ = "Size";
  std::vector<Known> known_;   // by value
  std::vector<ValueId> open_;  // while holds() looks
  // By operator type; of those with one type in several domains, the last that was asked for.
  struct Determinism {
    Symbol domain;
    bool holds = false;
  };
  std::unordered_map<Symbol, Determinism> deterministic_;
};

}  // namespace rulec
