// SPDX-License-Identifier: Apache-2.0
// What must hold once every node is found: predicates, further roots, use-safety, guards.
#include <algorithm>
#include <iterator>

#include "matcher/facts.h"
#include "matcher/guard_reason.h"
#include "matcher/label.h"
#include "matcher/matcher.h"

namespace rulec {

// The goals that are left when the pattern itself holds go in front of Finish, which runs until
// none is left (`count` says how many were; `slot` that it ran before).
bool Matcher::finish_goal(const Goal& goal, std::uint64_t hangs_on) {
  if (goal.slot == 1 && goal.count == deferred_.size()) {
    return use_safe(hangs_on) && guards_hold(hangs_on);
  }
  std::uint64_t all = hangs_on;
  for (const MatchedNode& one : matched_)
    all |= one.hangs_on;
  Goal again = goal;
  again.count = static_cast<std::uint32_t>(deferred_.size());
  again.slot = 1;
  again.hangs_on = all;
  push(again);
  for (std::size_t i = deferred_.size(); i-- > goal.count;) {
    const Deferral& one = deferred_[i];
    const bool contains = one.expr && (rules_[one.expr].kind == Expr::Kind::Contains ||
                                       rules_[one.expr].kind == Expr::Kind::BodyIs);
    push({.kind = contains ? Goal::Kind::Contains : Goal::Kind::Deferred,
          .pattern = one.pattern,
          .node = one.node,
          .expr = one.expr,
          .attribute = one.attribute,
          .graph = goal.graph,
          .body = one.body,
          .hangs_on = one.hangs_on});
  }
  // A named result that an alternative mentioned, while its own pattern stood in another one.
  if (rule_ == nullptr) return true;
  std::vector<PatternId> open, seen;
  const auto add_named = [&](const std::vector<PatternId>& patterns) {
    std::copy_if(patterns.begin(), patterns.end(), std::back_inserter(open),
                 [&](PatternId id) { return info_[id.index].has_results; });
  };
  add_named(rule_->root.patterns);
  while (!open.empty()) {
    const PatternId id = open.back();
    open.pop_back();
    if (std::find(seen.begin(), seen.end(), id) != seen.end()) continue;
    seen.push_back(id);
    const Pattern& pattern = rules_[id];
    add_named(pattern.children);
    if (pattern.kind != Pattern::Kind::Node || pattern.results.empty()) continue;
    const bool held = std::any_of(pattern_nodes_.begin(), pattern_nodes_.end(),
                                  [&](const auto& one) { return one.first == id; });
    if (held) continue;
    for (const SlotId result : pattern.results) {
      if (!result || !bindings_[result.index].bound()) continue;
      const auto* value = std::get_if<ValueId>(&bindings_[result.index].held);
      const bool by_other =
          std::any_of(pattern_nodes_.begin(), pattern_nodes_.end(), [&](const auto& one) {
            const auto& others = rules_[one.first].results;
            return std::find(others.begin(), others.end(), result) != others.end();
          });
      if (value == nullptr || !*value || by_other) continue;
      push({.kind = Goal::Kind::Value,
            .pattern = id,
            .value = *value,
            .graph = goal.graph,
            .hangs_on = hangs_on | bound_by_[result.index]});
      break;
    }
  }
  return true;
}

bool Matcher::deferred_goal(const Goal& goal, std::uint64_t hangs_on) {
  if (goal.attribute > 0) {
    const AttributePattern& attribute = rules_[goal.pattern].attributes[goal.attribute - 1];
    return attribute_equals(goal, attribute, goal.node, hangs_on);
  }
  ++tests_;
  std::string why;
  const Truth held = truth(scope(goal.node), goal.expr, &why);
  if (held == Truth::True) return true;
  std::uint64_t conflict = hangs_on;
  for (const std::uint32_t slot : slots_of(goal.expr))
    conflict |= hangs_of_condition(slot);
  if (missing())
    miss(goal.node, rules_[goal.expr].place, "guard", "the predicate to hold",
         guard_reason(scope(goal.node), goal.expr, held, why, slots_of(goal.expr)));
  return fail(conflict);
}

bool Matcher::guards_hold(std::uint64_t) {
  if (rule_ == nullptr) return true;
  const NodeId self = matched_.empty() ? NodeId{} : matched_.front().node;
  for (const ExprId guard : rule_->where) {
    ++tests_;
    std::string why;
    const Truth held = truth(scope(self), guard, &why);
    if (held == Truth::True) continue;
    std::uint64_t conflict = 0;
    const auto& slots = slots_of(guard);
    for (const std::uint32_t slot : slots)
      conflict |= hangs_of_condition(slot);
    if (missing()) {
      miss(self, rules_[guard].place, "guard", "the guard to hold",
           guard_reason(scope(self), guard, held, why, slots));
    }
    return fail(conflict);
  }
  return true;
}

// No node that goes has a result that something else still reads.
bool Matcher::use_safe(std::uint64_t) {
  if (rule_ == nullptr || rule_->call || rule_->root.kind != Root::Kind::Pattern) return true;
  const auto exposed = [&](ValueId value) {
    for (const Statement& statement : rule_->statements) {
      for (const SlotId slot : statement.results) {
        if (!slot || slot.index >= bindings_.size()) continue;
        const auto* held = std::get_if<ValueId>(&bindings_[slot.index].held);
        if (held != nullptr && *held == value) return true;
      }
    }
    return false;
  };
  const auto inside = [&](NodeId node) {
    return std::any_of(matched_.begin(), matched_.end(),
                       [&](const MatchedNode& one) { return one.node == node; });
  };
  for (const MatchedNode& one : matched_) {
    if (one.root || one.shared) continue;
    // Matched twice, it may be shared or a root in its other part.
    const bool excused = std::any_of(matched_.begin(), matched_.end(), [&](const MatchedNode& two) {
      return two.node == one.node && (two.root || two.shared);
    });
    if (excused) continue;
    for (const ValueId output : model_.node(one.node).outputs) {
      if (!output) continue;
      ++tests_;
      const std::size_t count = model_.use_count(output);
      if (count == 0) continue;
      if (count > matched_.size() * 8 && !exposed(output)) {
        miss(one.node, rule_->place, "use", "no use outside the match",
             fmt::format("`{}` has {} uses", model_.value(output).name, count));
        return fail(one.hangs_on);
      }
      for (const Use& use : model_.uses(output)) {
        if (use.node && inside(use.node)) continue;
        if (exposed(output)) continue;
        if (missing()) {
          miss(one.node, rule_->place, "use", "no use outside the match",
               use.node ? fmt::format("`{}` is used by `{}`", model_.value(output).name,
                                      label(model_, use.node))
                        : fmt::format("`{}` is an output of the graph", model_.value(output).name));
        }
        // Another choice may take the user in, if it changes which nodes are matched at all.
        return fail(use.node ? everything & ~pure_ : one.hangs_on);
      }
    }
  }
  return true;
}

// ---- further roots
// -------------------------------------------------------------------------------

std::vector<NodeId> Matcher::nodes_of(GraphId graph) const {
  std::vector<NodeId> nodes = model_.nodes(graph);
  if (order_ != nullptr) order_->sort(nodes);
  return nodes;
}

// Where a root that nothing leads to may stand: at the producer of a result that is bound, among
// the readers of an operand that is, else anywhere in the graph.
const std::vector<NodeId>& Matcher::elsewhere_nodes(const Goal& goal) {
  elsewhere_.clear();
  const Pattern& pattern = rules_[goal.pattern];
  const auto value_of = [&](SlotId slot) -> ValueId {
    if (!slot) return {};
    const auto* value = std::get_if<ValueId>(&bindings_[slot.index].held);
    if (value != nullptr) return *value;
    const auto* number = std::get_if<Binding::Number>(&bindings_[slot.index].held);
    return number != nullptr ? number->value : ValueId{};
  };
  for (const SlotId result : pattern.results) {
    if (const ValueId value = value_of(result)) {
      const NodeId producer = model_.value(value).producer;
      if (producer) elsewhere_.push_back(producer);
      return elsewhere_;
    }
  }
  for (const PatternId child : pattern.children) {
    if (rules_[child].kind != Pattern::Kind::Bind) continue;
    const ValueId value = value_of(rules_[child].slot);
    if (!value) continue;
    for (const Use& use : model_.uses(value)) {
      if (use.node && model_.node(use.node).graph == goal.graph) elsewhere_.push_back(use.node);
    }
    if (order_ != nullptr)
      order_->sort(elsewhere_);
    else
      std::sort(elsewhere_.begin(), elsewhere_.end(),
                [&](NodeId a, NodeId b) { return model_.before(a, b); });
    elsewhere_.erase(std::unique(elsewhere_.begin(), elsewhere_.end()), elsewhere_.end());
    return elsewhere_;
  }
  elsewhere_ = nodes_of(goal.graph);
  return elsewhere_;
}

bool Matcher::elsewhere_goal(const Goal& goal, std::uint32_t alternative, std::uint64_t hangs_on) {
  const auto& nodes = elsewhere_nodes(goal);
  if (alternative >= nodes.size()) return fail(everything);
  Goal next = goal;
  next.kind = Goal::Kind::Root;
  next.node = nodes[alternative];
  next.hangs_on = everything;  // which nodes there are hangs on what is bound
  push(next);
  (void)hangs_on;
  return true;
}

// ---- bodies
// --------------------------------------------------------------------------------------

bool Matcher::contains_goal(const Goal& goal, std::uint32_t alternative, std::uint64_t hangs_on) {
  ++tests_;
  const Expr& expr = rules_[goal.expr];
  const auto bodies = bodies_named(model_, goal.node, expr.name);
  std::size_t left = alternative;
  for (const GraphId body : bodies) {
    const auto nodes = nodes_of(body);
    if (expr.kind == Expr::Kind::BodyIs) {
      // Every pattern at some node; together they are all of the body.
      if (alternative > 0) return fail(hangs_on);
      for (std::size_t i = expr.patterns.size(); i-- > 0;) {
        push({.kind = Goal::Kind::Elsewhere,
              .pattern = expr.patterns[i],
              .graph = body,
              .body = body,
              .hangs_on = hangs_on});
      }
      const auto counted =
          static_cast<std::size_t>(std::count_if(nodes.begin(), nodes.end(), [&](NodeId node) {
            return model_.node(node).type != "Constant";
          }));
      std::vector<PatternId> open(expr.patterns.begin(), expr.patterns.end());
      std::size_t wanted = 0;
      while (!open.empty()) {
        const Pattern& pattern = rules_[open.back()];
        open.pop_back();
        wanted += pattern.kind == Pattern::Kind::Node ? 1 : 0;
        open.insert(open.end(), pattern.children.begin(), pattern.children.end());
      }
      if (counted == wanted) return true;
      miss(goal.node, expr.place, "guard", fmt::format("a body of {} nodes", wanted),
           fmt::format("one of {}", counted));
      return fail(hangs_on);
    }
    if (left < nodes.size()) {
      push({.kind = Goal::Kind::Root,
            .pattern = expr.pattern,
            .node = nodes[left],
            .graph = body,
            .body = body,
            .hangs_on = hangs_on});
      return true;
    }
    left -= nodes.size();
  }
  miss(goal.node, expr.place, "guard", fmt::format("{} to contain the pattern", expr.name),
       bodies.empty() ? "no body" : "an empty one");
  return fail(hangs_on);
}

}  // namespace rulec
