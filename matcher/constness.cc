// SPDX-License-Identifier: Apache-2.0
#include "matcher/constness.h"

#include "matcher/evaluate.h"
#include "matcher/facts.h"

namespace rulec {

// By itself, without a look at what it is computed from.
bool Constness::is_leaf_constant(ValueId value) const {
  const GraphValue& it = model_.value(value);
  if (it.initializer) return !it.is_input || model_.ir_version < 4;
  if (!it.producer) return false;
  const GraphNode& node = model_.node(it.producer);
  return node.type == constant_ && node.domain.empty() && model_.constant(value) != nullptr;
}

Constness::Known& Constness::known(ValueId value) {
  if (value.index >= known_.size()) known_.resize(model_.value_capacity(), Known::Nothing);
  return known_[value.index];
}

bool Constness::is_deterministic(const GraphNode& node) {
  const auto [at, fresh] = deterministic_.try_emplace(node.type);
  Determinism& answer = at->second;
  if (fresh || answer.domain != node.domain) {
    const OpSchema* schema =
        ops_.find(node.domain.str(), node.type.str(), opset_of(model_, node.domain.str()));
    answer = {node.domain, schema != nullptr && schema->deterministic};
  }
  return answer.holds;
}

bool Constness::may_compute(const GraphNode& node, NodeId id) {
  return !node.inputs.empty() && model_.bodies(id).empty() && is_deterministic(node);
}

// What follows for a value from what is known of the operands that it is computed from. Nothing
// follows while one of them, `first_open`, has to be looked at first.
Constness::Known Constness::look(ValueId value, ValueId& first_open) {
  if (is_leaf_constant(value)) return Known::Constant;
  const NodeId producer = model_.value(value).producer;
  if (!producer) return Known::Varies;
  const GraphNode& node = model_.node(producer);
  if ((node.type == shape_ || node.type == size_) && node.domain.empty() && !node.inputs.empty() &&
      node.inputs[0] && type_of(model_, node.inputs[0]).static_shape()) {
    return Known::Constant;
  }
  // Most nodes have an operand that is known not to be constant.
  for (const ValueId input : node.inputs) {
    if (!input) continue;
    const Known operand = known(input);
    if (operand == Known::Constant || is_leaf_constant(input)) continue;
    if (operand == Known::Varies || !model_.value(input).producer) return Known::Varies;
    if (!first_open) first_open = input;
  }
  if (node.type == constant_ || !may_compute(node, producer)) {
    first_open = {};
    return Known::Varies;
  }
  return first_open ? Known::Nothing : Known::Constant;
}

bool Constness::holds(ValueId value) {
  if (!value) return false;
  if (is_leaf_constant(value)) return true;
  if (!model_.value(value).producer) return false;
  if (const Known before = known(value); before != Known::Nothing) {
    return before == Known::Constant;
  }
  // Depth-first over producers; a node is constant when all it reads is.
  open_.assign(1, value);
  while (!open_.empty()) {
    const ValueId at = open_.back();
    ValueId first_open;
    const Known found = known(at) == Known::Nothing ? look(at, first_open) : known(at);
    if (found == Known::Nothing) {
      open_.push_back(first_open);
      continue;
    }
    known(at) = found;
    open_.pop_back();
  }
  // Folding has bounds of its own: what it refuses is none.
  if (known(value) == Known::Constant && !fold(model_, value)) known(value) = Known::Varies;
  return known(value) == Known::Constant;
}

void Constness::recheck(std::span<const NodeId> readers) {
  std::vector<NodeId> open(readers.begin(), readers.end());
  while (!open.empty()) {
    const NodeId node = open.back();
    open.pop_back();
    if (!model_.node(node).alive) continue;
    for (const ValueId output : model_.node(node).outputs) {
      if (!output || known(output) != Known::Varies) continue;
      known(output) = Known::Nothing;
      if (!holds(output)) continue;
      for (const Use& use : model_.uses(output)) {
        if (use.node) open.push_back(use.node);
      }
    }
  }
}

}  // namespace rulec
