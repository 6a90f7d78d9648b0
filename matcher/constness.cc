// SPDX-License-Identifier: Apache-2.0
#include "matcher/constness.h"

#include <algorithm>

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

bool Constness::holds(ValueId value) {
  if (!value) return false;
  if (is_leaf_constant(value)) return true;
  if (!model_.value(value).producer) return false;
  if (const Known before = known(value); before != Known::Nothing) {
    return before == Known::Constant;
  }
  // Depth-first over producers; a node is constant when all it reads is.
  std::vector<ValueId> open = {value};
  while (!open.empty()) {
    const ValueId at = open.back();
    const GraphValue& info = model_.value(at);
    if (known(at) != Known::Nothing) {
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
        // What is known first: most nodes have an operand that is known not to be constant.
        constant = std::none_of(node.inputs.begin(), node.inputs.end(), [this](ValueId input) {
          return input && !is_leaf_constant(input) && known(input) == Known::Varies;
        });
        for (const ValueId input : node.inputs) {
          if (!constant) break;
          if (!input || is_leaf_constant(input) || known(input) != Known::Nothing) continue;
          open.push_back(input);
          waiting = true;
          break;
        }
      }
    }
    if (waiting) continue;
    known(at) = constant ? Known::Constant : Known::Varies;
    open.pop_back();
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
