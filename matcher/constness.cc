// SPDX-License-Identifier: Apache-2.0
#include "matcher/constness.h"

#include <vector>

#include "matcher/evaluate.h"
#include "matcher/facts.h"

namespace rulec {

// By itself, without a look at what it is computed from.
bool Constness::is_leaf_constant(ValueId value) const {
  const GraphValue& it = model_.value(value);
  if (it.initializer) return !it.is_input || model_.ir_version < 4;
  if (!it.producer) return false;
  const GraphNode& node = model_.node(it.producer);
  return node.type == "Constant" && node.domain.empty() && model_.constant(value) != nullptr;
}

bool Constness::may_compute(const GraphNode& node, NodeId id) const {
  if (node.inputs.empty() || !model_.bodies(id).empty()) return false;
  const OpSchema* schema =
      ops_.find(node.domain.str(), node.type.str(), opset_of(model_, node.domain.str()));
  return schema != nullptr && schema->deterministic;
}

bool Constness::holds(ValueId value) {
  if (!value) return false;
  if (is_leaf_constant(value)) return true;
  if (!model_.value(value).producer) return false;
  if (const auto known = known_.find(value.index); known != known_.end()) return known->second;
  // Depth-first over producers; a node is constant when all it reads is.
  std::vector<ValueId> open = {value};
  while (!open.empty()) {
    const ValueId at = open.back();
    const GraphValue& info = model_.value(at);
    if (known_.contains(at.index)) {
      open.pop_back();
      continue;
    }
    bool constant = is_leaf_constant(at);
    bool waiting = false;
    if (!constant && info.producer) {
      const GraphNode& node = model_.node(info.producer);
      const bool measures = (node.type == "Shape" || node.type == "Size") && node.domain.empty();
      if (measures && !node.inputs.empty() && node.inputs[0] &&
          type_of(model_, node.inputs[0]).static_shape()) {
        constant = true;
      } else if (node.type != "Constant" && may_compute(node, info.producer)) {
        constant = true;
        // What is known first: most nodes have an operand that is known not to be constant.
        for (const ValueId input : node.inputs) {
          if (!input || is_leaf_constant(input)) continue;
          const auto known = known_.find(input.index);
          if (known != known_.end() && !known->second) constant = false;
        }
        for (const ValueId input : node.inputs) {
          if (!constant) break;
          if (!input || is_leaf_constant(input) || known_.contains(input.index)) continue;
          open.push_back(input);
          waiting = true;
          break;
        }
      }
    }
    if (waiting) continue;
    known_[at.index] = constant;
    open.pop_back();
  }
  bool& constant = known_[value.index];
  // Folding has bounds of its own: what it refuses is none.
  if (constant && !fold(model_, value)) constant = false;
  return constant;
}

void Constness::recheck(std::span<const NodeId> readers) {
  std::vector<NodeId> open(readers.begin(), readers.end());
  while (!open.empty()) {
    const NodeId node = open.back();
    open.pop_back();
    if (!model_.node(node).alive) continue;
    for (const ValueId output : model_.node(node).outputs) {
      const auto known = output ? known_.find(output.index) : known_.end();
      if (known == known_.end() || known->second) continue;
      known_.erase(known);
      if (!holds(output)) continue;
      for (const Use& use : model_.uses(output)) {
        if (use.node) open.push_back(use.node);
      }
    }
  }
}

}  // namespace rulec
