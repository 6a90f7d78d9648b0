// SPDX-License-Identifier: Apache-2.0
// Goals about nodes: operators, operands in either order, attributes, chains.
#include <algorithm>

#include "matcher/facts.h"
#include "matcher/matcher.h"

namespace rulec {

bool Matcher::is_operator(PatternId pattern, const GraphNode& node) const {
  for (const auto& [domain, type] : info_[pattern.index].ops) {
    if (node.type == type && node.domain == domain) return true;
  }
  return false;
}

bool Matcher::is_seen_through(const GraphNode& node) const {
  for (const auto& [domain, type] : see_through_) {
    if (node.type == type && node.domain == domain) return true;
  }
  return false;
}

// The nodes that a node pattern may stand for at a value: its producer, and, where the rule sees
// through some operators, what lies behind those. Nearest first.
std::vector<NodeId> Matcher::node_candidates(const Goal& goal) const {
  std::vector<NodeId> out;
  ValueId value = goal.value;
  while (value) {
    const NodeId producer = model_.value(value).producer;
    if (!producer || model_.node(producer).graph != goal.graph) break;
    const GraphNode& node = model_.node(producer);
    if (is_operator(goal.pattern, node)) out.push_back(producer);
    if (!is_seen_through(node) || model_.value(value).output != 0 || node.inputs.empty()) break;
    value = node.inputs[0];
  }
  return out;
}

// Whether a pattern can hold at a value, names aside: false only where no binding would help.
// Remembered for each pair, so that crossing operands cost no exponential search.
bool Matcher::may_match(PatternId id, ValueId value, GraphId graph) {
  const Pattern& pattern = rules_[id];
  if (!value) {
    return pattern.kind == Pattern::Kind::Absent || pattern.optional ||
           pattern.kind == Pattern::Kind::Either || pattern.kind == Pattern::Kind::Maybe ||
           pattern.kind == Pattern::Kind::Chain;
  }
  if (pattern.kind != Pattern::Kind::Node || !see_through_.empty()) return true;
  const NodeId producer = model_.value(value).producer;
  if (!producer || model_.node(producer).graph != graph) return false;
  const GraphNode& node = model_.node(producer);
  if (!is_operator(id, node)) return false;
  if (pattern.any_arguments || pattern.children.empty()) return true;
  const std::uint64_t key = (static_cast<std::uint64_t>(id.index) << 32) | value.index;
  if (const auto known = may_match_.find(key); known != may_match_.end()) return known->second;
  const auto child = [&](std::size_t index, std::size_t operand) {
    const PatternId below = pattern.children[index];
    if (rules_[below].kind != Pattern::Kind::Node) return true;
    return operand < node.inputs.size() && may_match(below, node.inputs[operand], graph);
  };
  bool may = true;
  std::size_t from = 0;
  if (pattern.commutative && pattern.children.size() >= 2) {
    may = (child(0, 0) && child(1, 1)) || (child(0, 1) && child(1, 0));
    from = 2;
  }
  for (std::size_t i = from; may && i < pattern.children.size(); ++i) {
    const Pattern::Kind kind = rules_[pattern.children[i]].kind;
    if (kind == Pattern::Kind::Rest || kind == Pattern::Kind::AnyRest) break;
    may = child(i, pattern.input_of(i));
  }
  may_match_.emplace(key, may);
  return may;
}

static bool takes_either_order(const Pattern& pattern, const GraphNode& node) {
  return pattern.commutative && !pattern.any_arguments && pattern.children.size() >= 2 &&
         node.inputs.size() >= 2 && node.inputs[0] != node.inputs[1] &&
         pattern.children[0] != pattern.children[1];
}

// How many ways a goal can go; `pure` when all of them match the same nodes.
std::uint32_t Matcher::alternatives(const Goal& goal, bool& pure) {
  switch (goal.kind) {
    case Goal::Kind::Value: {
      const Pattern& pattern = rules_[goal.pattern];
      if (pattern.kind == Pattern::Kind::Either) {
        return static_cast<std::uint32_t>(pattern.children.size());
      }
      if (pattern.kind == Pattern::Kind::Maybe) return 2;
      if (pattern.kind != Pattern::Kind::Node) return 1;
      if (see_through_.empty()) {
        const NodeId producer = goal.value ? model_.value(goal.value).producer : NodeId{};
        if (!producer || !takes_either_order(pattern, model_.node(producer))) return 1;
      } else if (!pattern.commutative) {
        return static_cast<std::uint32_t>(std::max<std::size_t>(1, node_candidates(goal).size()));
      }
      pure = see_through_.empty() && !info_[pattern.children[0].index].has_nodes &&
             !info_[pattern.children[1].index].has_nodes;
      return static_cast<std::uint32_t>(
          see_through_.empty() ? 2 : std::max<std::size_t>(1, 2 * node_candidates(goal).size()));
    }
    case Goal::Kind::Root: {
      const Pattern& pattern = rules_[goal.pattern];
      if (pattern.kind == Pattern::Kind::Either) {
        return static_cast<std::uint32_t>(pattern.children.size());
      }
      if (pattern.kind == Pattern::Kind::Maybe) return 2;
      if (pattern.kind != Pattern::Kind::Node) return 1;
      if (!takes_either_order(pattern, model_.node(goal.node))) return 1;
      pure = !info_[pattern.children[0].index].has_nodes &&
             !info_[pattern.children[1].index].has_nodes;
      return 2;
    }
    case Goal::Kind::Link:
      return 2;
    case Goal::Kind::Elsewhere:
      return static_cast<std::uint32_t>(std::max<std::size_t>(1, elsewhere_nodes(goal).size()));
    case Goal::Kind::Contains: {
      const Expr& expr = rules_[goal.expr];
      std::size_t count = 0;
      for (const GraphId body : bodies_named(model_, goal.node, expr.name)) {
        count += model_.nodes(body).size();
      }
      return static_cast<std::uint32_t>(std::max<std::size_t>(1, count));
    }
    default:
      return 1;
  }
}

bool Matcher::step(const Goal& goal, std::uint32_t alternative, std::uint64_t hangs_on) {
  switch (goal.kind) {
    case Goal::Kind::Value:
      return value_goal(goal, alternative, hangs_on);
    case Goal::Kind::Root: {
      const Pattern& pattern = rules_[goal.pattern];
      Goal next = goal;
      next.hangs_on = hangs_on;
      if (pattern.kind == Pattern::Kind::Either || pattern.kind == Pattern::Kind::Maybe) {
        next.pattern = pattern.children[alternative];
        push(next);
        return true;
      }
      if (pattern.kind == Pattern::Kind::Chain) {
        const GraphNode& node = model_.node(goal.node);
        if (!is_operator(goal.pattern, node) || node.inputs.empty()) {
          if (pattern.at_least > 0) return fail(hangs_on);
          next.pattern = pattern.children.front();
          push(next);
          return true;
        }
        note_node(goal.node, false, true, goal, hangs_on);
        next.kind = Goal::Kind::Link;
        next.value = node.inputs[0];
        next.count = 1;
        push(next);
        return true;
      }
      if (pattern.kind != Pattern::Kind::Node) return fail(hangs_on);
      if (!is_operator(goal.pattern, model_.node(goal.node))) return fail(hangs_on);
      return node_goal(goal, goal.node, alternative == 1, hangs_on);
    }
    case Goal::Kind::Link:
      return link_goal(goal, alternative, hangs_on);
    case Goal::Kind::Elsewhere:
      return elsewhere_goal(goal, alternative, hangs_on);
    case Goal::Kind::Contains:
      return contains_goal(goal, alternative, hangs_on);
    case Goal::Kind::Deferred:
      return deferred_goal(goal, hangs_on);
    case Goal::Kind::Finish:
      return finish_goal(goal, hangs_on);
  }
  return fail(hangs_on);
}

// A chain: as long as it goes first, then shorter.
bool Matcher::link_goal(const Goal& goal, std::uint32_t alternative, std::uint64_t hangs_on) {
  const Pattern& pattern = rules_[goal.pattern];
  Goal next = goal;
  next.hangs_on = hangs_on;
  if (alternative == 1) {
    if (static_cast<int>(goal.count) < pattern.at_least) return fail(hangs_on);
    next.kind = Goal::Kind::Value;
    next.pattern = pattern.children.front();
    push(next);
    return true;
  }
  ++tests_;
  const NodeId producer = goal.value ? model_.value(goal.value).producer : NodeId{};
  if (!producer || model_.node(producer).graph != goal.graph ||
      model_.value(goal.value).output != 0 || !is_operator(goal.pattern, model_.node(producer)) ||
      model_.node(producer).inputs.empty()) {
    return fail(hangs_on);
  }
  note_node(producer, false, false, goal, hangs_on);
  next.value = model_.node(producer).inputs[0];
  next.node = producer;
  next.slot = 0;
  ++next.count;
  push(next);
  return true;
}

bool Matcher::node_goal(const Goal& goal, NodeId id, bool swapped, std::uint64_t hangs_on) {
  ++tests_;
  const Pattern& pattern = rules_[goal.pattern];
  const GraphNode& node = model_.node(id);
  const bool root = goal.kind == Goal::Kind::Root;
  if (root && node.graph != goal.graph) return fail(hangs_on);
  // A pattern that several others mention is one node.
  for (const auto& [earlier, held] : pattern_nodes_) {
    if (earlier == goal.pattern) return held == id ? true : fail(everything);
  }
  if (!root && model_.value(goal.value).output != static_cast<std::uint32_t>(pattern.output) &&
      see_through_.empty()) {
    miss(id, pattern.place, "operator", fmt::format("result {} of {}", pattern.output, node.type),
         fmt::format("result {}", model_.value(goal.value).output));
    return fail(hangs_on);
  }
  pattern_nodes_.emplace_back(goal.pattern, id);
  trail_.push_back({Undo::Kind::Pattern});
  if (!root && !see_through_.empty()) {
    // What was skipped to get here belongs to the match.
    ValueId value = goal.value;
    while (model_.value(value).producer != id) {
      const NodeId skipped = model_.value(value).producer;
      note_node(skipped, false, false, goal, hangs_on);
      value = model_.node(skipped).inputs[0];
    }
    if (model_.value(value).output != static_cast<std::uint32_t>(pattern.output)) {
      return fail(hangs_on);
    }
  }
  note_node(id, pattern.shared, root, goal, hangs_on);
  for (std::size_t i = 0; i < pattern.results.size(); ++i) {
    if (!pattern.results[i]) continue;
    const ValueId result = i < node.outputs.size() ? node.outputs[i] : ValueId{};
    if (!bind(pattern.results[i], {.held = result}, hangs_on)) return false;
  }
  if (!bind(pattern.node_slot, {.held = id}, hangs_on)) return false;
  for (auto expr = pattern.predicates.begin(); expr != pattern.predicates.end(); ++expr) {
    defer({*expr, goal.pattern, 0, id, hangs_on, goal.body});
  }
  return attributes(goal, pattern, id, hangs_on) && arguments(goal, pattern, id, swapped, hangs_on);
}

bool Matcher::arguments(const Goal& goal, const Pattern& pattern, NodeId id, bool swapped,
                        std::uint64_t hangs_on) {
  if (pattern.any_arguments) return true;
  const GraphNode& node = model_.node(id);
  const std::span<const MovedOperand> moved = info_[goal.pattern.index].moved;
  const auto arity = [&](std::string found) {
    miss(id, pattern.place, "arity", fmt::format("{} operands", pattern.children.size()),
         std::move(found));
    return fail(hangs_on);
  };
  const int opset = opset_of(model_, node.domain.str());
  // An operand that is written in braces is compared there.
  const auto named = [&](std::size_t input) {
    return std::any_of(moved.begin(), moved.end(), [&](const MovedOperand& one) {
      return static_cast<std::size_t>(one.input) == input && one.is_input_at(opset) &&
             std::any_of(pattern.attributes.begin(), pattern.attributes.end(),
                         [&](const AttributePattern& other) { return other.name == one.name; });
    });
  };
  std::vector<Wanted>& wanted = wanted_;
  wanted.clear();
  std::size_t open_from = node.inputs.size();  // a rest takes the operands from here on
  for (std::size_t i = 0; i < pattern.children.size(); ++i) {
    const PatternId child_id = pattern.children[i];
    const Pattern& child = rules_[child_id];
    std::size_t operand = pattern.input_of(i);
    if (child.kind == Pattern::Kind::AnyRest || child.kind == Pattern::Kind::Rest) {
      open_from = operand;
      std::vector<Binding> rest;
      for (std::size_t j = operand; child.slot && j < node.inputs.size(); ++j) {
        if (!named(j)) rest.push_back({.held = node.inputs[j]});
      }
      if (!bind(child.slot, {.held = std::move(rest)}, hangs_on)) return false;
      break;
    }
    if (swapped && i < 2) operand = 1 - i;
    const ValueId value = operand < node.inputs.size() ? node.inputs[operand] : ValueId{};
    const auto as_attribute =
        value ? moved.end() : std::find_if(moved.begin(), moved.end(), [&](const auto& one) {
          return static_cast<std::size_t>(one.input) == operand && one.until == INT_MAX;
        });
    if (as_attribute != moved.end()) {
      const std::optional<bool> held = absent_operand_holds(id, *as_attribute, child_id, hangs_on);
      if (held && !*held) {
        miss(id, child.place, "operand", "another operand", "an attribute in this opset");
        return fail(hangs_on | conflict_);
      }
      if (held) continue;
    }
    if (child.kind == Pattern::Kind::Node && !may_match(child_id, value, goal.graph)) {
      const NodeId producer = value ? model_.value(value).producer : NodeId{};
      miss(producer ? producer : id, child.place, "operator", child.ops.front().type,
           producer ? model_.node(producer).type.str()
                    : fmt::format("`{}`", value ? model_.value(value).name : "no operand"));
      return fail(hangs_on);
    }
    wanted.push_back({child_id, value, static_cast<std::uint32_t>(operand)});
  }
  for (std::size_t i = 0; i < std::min(open_from, node.inputs.size()); ++i) {
    const bool listed =
        pattern.inputs.empty()
            ? i < pattern.children.size()
            : std::find(pattern.inputs.begin(), pattern.inputs.end(), i) != pattern.inputs.end();
    if (listed || !node.inputs[i] || named(i)) continue;
    // An operand that was an attribute once counts as one; a computed one is matched by none.
    const bool attribute = std::any_of(moved.begin(), moved.end(), [&](const MovedOperand& one) {
      return static_cast<std::size_t>(one.input) == i && one.is_input_at(opset);
    });
    if (!attribute || !constness_.holds(node.inputs[i])) {
      return arity(fmt::format("{} operands", node.inputs.size()));
    }
  }
  for (std::size_t i = wanted.size(); i-- > 0;) {
    push({.kind = Goal::Kind::Value,
          .pattern = wanted[i].pattern,
          .value = wanted[i].value,
          .node = id,
          .slot = wanted[i].slot,
          .graph = goal.graph,
          .body = goal.body,
          .hangs_on = hangs_on});
  }
  return true;
}

// An argument in the place of an operand that the node does not have, but that is, or was, an
// attribute: what it is worth there. Nothing where the argument speaks of the absent operand.
std::optional<bool> Matcher::absent_operand_holds(NodeId id, const MovedOperand& moved,
                                                  PatternId child_id, std::uint64_t hangs_on) {
  const Pattern& child = rules_[child_id];
  const AttributeFact fact = attribute_of(model_, ops_, id, moved.name);
  if (child.kind == Pattern::Kind::Literal) {
    return fact.state == AttributeFact::State::Known && moved_literal(child, fact.value);
  }
  if (!fact.given) return std::nullopt;
  if (fact.state != AttributeFact::State::Known) return false;
  switch (child.kind) {
    case Pattern::Kind::Any:
      return true;
    case Pattern::Kind::Either:
      return std::any_of(child.children.begin(), child.children.end(), [&](PatternId alternative) {
        return absent_operand_holds(id, moved, alternative, hangs_on).value_or(false);
      });
    case Pattern::Kind::Bind: {
      if (child.type) return false;
      if (child.constness != Pattern::Constness::Scalar)
        return bind(child.slot, {.held = fact.value}, hangs_on);
      const auto tensor = tensor_from_attribute(fact.value);
      if (!tensor || !one_distinct_value(*tensor)) return false;
      return bind(child.slot, {.held = Binding::Number{tensor->number(0), {}}}, hangs_on);
    }
    default:
      return false;
  }
}

bool Matcher::attributes(const Goal& goal, const Pattern& pattern, NodeId id,
                         std::uint64_t hangs_on) {
  for (std::size_t i = 0; i < pattern.attributes.size(); ++i) {
    const AttributePattern& attribute = pattern.attributes[i];
    if (attribute.equals) {
      if (slots_of(attribute.equals).empty()) {
        if (!attribute_equals(goal, attribute, id, hangs_on)) return false;
      } else {
        defer({{}, goal.pattern, static_cast<std::uint32_t>(i + 1), id, hangs_on, goal.body});
      }
      continue;
    }
    ++tests_;
    const AttributeFact fact = attribute_of(model_, ops_, id, attribute.name);
    if (fact.state == AttributeFact::State::Runtime) {
      miss(id, attribute.place, "attribute", fmt::format("a constant `{}`", attribute.name),
           "one that the model computes");
      return fail(hangs_on);
    }
    Binding binding;
    binding.held = ValueId{};
    if (fact.state == AttributeFact::State::Known) binding.held = fact.value;
    if (!bind(attribute.bind, std::move(binding), hangs_on)) {
      miss(id, attribute.place, "attribute", fmt::format("the same `{}` again", attribute.name),
           to_string(fact.value));
      return false;
    }
  }
  if (!pattern.rest_attributes) return true;
  const auto named = [&](std::string_view name) {
    return std::any_of(pattern.attributes.begin(), pattern.attributes.end(),
                       [&](const AttributePattern& one) { return one.name == name; });
  };
  std::vector<Attribute> rest;
  const GraphNode& node = model_.node(id);
  for (const Attribute& attribute : node.attributes.all()) {
    if (!named(attribute.name)) rest.push_back(attribute);
  }
  for (const MovedOperand& moved : info_[goal.pattern.index].moved) {
    const auto slot = static_cast<std::size_t>(moved.input);
    // Written in its place among the operands, it is no attribute.
    bool listed = false;
    for (std::size_t i = 0; i < pattern.children.size(); ++i) {
      const Pattern::Kind kind = rules_[pattern.children[i]].kind;
      if (kind == Pattern::Kind::AnyRest) break;
      listed = listed || pattern.input_of(i) == slot ||
               (kind == Pattern::Kind::Rest && pattern.input_of(i) <= slot);
    }
    if (named(moved.name) || listed || slot >= node.inputs.size() || !node.inputs[slot] ||
        !moved.is_input_at(opset_of(model_, node.domain.str()))) {
      continue;
    }
    const AttributeFact fact = attribute_of(model_, ops_, id, moved.name);
    if (fact.state != AttributeFact::State::Known) {
      miss(id, pattern.place, "attribute", fmt::format("a constant `{}`", moved.name),
           "one that the model computes");
      return fail(hangs_on);
    }
    rest.push_back({moved.name, fact.value});
  }
  return bind(pattern.rest_attributes, {.held = std::move(rest)}, hangs_on);
}

bool Matcher::attribute_equals(const Goal& goal, const AttributePattern& attribute, NodeId id,
                               std::uint64_t hangs_on) {
  ++tests_;
  const auto& slots = slots_of(attribute.equals);
  std::uint64_t conflict = hangs_on;
  for (const std::uint32_t slot : slots)
    conflict |= hangs_of_condition(slot);
  const AttributeFact fact = attribute_of(model_, ops_, id, attribute.name);
  const Scope here = scope(id);
  const RuleValue wanted = evaluate(here, attribute.equals);
  if (fact.state == AttributeFact::State::Absent) {
    if (std::holds_alternative<None>(wanted.data)) return true;
    miss(id, attribute.place, "attribute",
         fmt::format("{} = {}", attribute.name, to_string(here, wanted)), "no such attribute");
    return fail(conflict);
  }
  if (fact.state == AttributeFact::State::Known) {
    static constexpr AttributeKind kinds[] = {
        AttributeKind::Int,    AttributeKind::Float,   AttributeKind::String, AttributeKind::Ints,
        AttributeKind::Floats, AttributeKind::Strings, AttributeKind::Tensor};
    const auto rank = axes_rank(model_, id, attribute.name);
    const bool unordered = axes_are_set(model_.node(id), attribute.name);
    for (const AttributeKind kind : kinds) {
      const auto value = as_attribute(here, wanted, kind);
      if (!value) continue;
      const bool same_kind = value->index() == fact.value.index() ||
                             (kind == AttributeKind::Ints || kind == AttributeKind::Int);
      if (same_kind && same_attribute(fact.value, *value, rank, unordered)) return true;
    }
  }
  miss(id, attribute.place, "attribute",
       fmt::format("{} = {}", attribute.name, to_string(here, wanted)),
       fact.state == AttributeFact::State::Known ? to_string(fact.value)
                                                 : std::string("one that the model computes"));
  (void)goal;
  return fail(conflict);
}

}  // namespace rulec
