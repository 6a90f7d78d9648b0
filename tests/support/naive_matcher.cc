// SPDX-License-Identifier: Apache-2.0
#include "tests/support/naive_matcher.h"

#include <algorithm>
#include <functional>
#include <set>

#include "matcher/facts.h"
#include "matcher/firing.h"
#include "matcher/guard.h"
#include "matcher/visit_order.h"

namespace rulec::test {
namespace {

struct State {
  std::vector<Binding> slots;
  std::vector<std::pair<PatternId, NodeId>> patterns;
  std::vector<NodeId> nodes;
  std::set<std::uint32_t> roots, shared;
  std::vector<std::pair<ExprId, NodeId>> predicates;
};

using Next = std::function<bool(const State&)>;

struct Naive {
  const Model& model;
  const RuleSet& rules;
  const OpTable& ops;
  const Rule& rule;
  const Situation situation = {};

  Scope scope(const State& state, NodeId self) const {
    return {model, rules, ops, rule.slots, state.slots, situation, self, rule.lets};
  }

  static bool bind(State& state, SlotId slot, const Binding& binding) {
    if (!slot) return true;
    Binding& held = state.slots[slot.index];
    if (!held.bound()) {
      held = binding;
      return true;
    }
    if (const auto* a = std::get_if<ValueId>(&held.held)) {
      const auto* b = std::get_if<ValueId>(&binding.held);
      return b != nullptr && *a == *b;
    }
    if (const auto* a = std::get_if<Binding::Number>(&held.held)) {
      const auto* b = std::get_if<Binding::Number>(&binding.held);
      return b != nullptr && a->number == b->number;
    }
    if (const auto* a = std::get_if<AttributeValue>(&held.held)) {
      const auto* b = std::get_if<AttributeValue>(&binding.held);
      return b != nullptr && same_attribute(*a, *b);
    }
    return false;
  }

  bool value(PatternId id, ValueId at, NodeId reader, std::size_t slot, const State& state,
             const Next& next) const {
    const Pattern& pattern = rules[id];
    const auto tensor = at ? constant_tensor(model, at) : std::nullopt;
    const bool narrow = tensor && does_not_widen(model, model.node(reader), slot, tensor->shape());
    switch (pattern.kind) {
      case Pattern::Kind::Any:
        return at && next(state);
      case Pattern::Kind::Absent:
        return !at && next(state);
      case Pattern::Kind::Literal: {
        if (!narrow || !one_distinct_value(*tensor)) return false;
        const auto* whole = std::get_if<std::int64_t>(&pattern.literal.value);
        return whole != nullptr && tensor->number(0) == static_cast<double>(*whole) && next(state);
      }
      case Pattern::Kind::Bind: {
        State bound = state;
        Binding binding;
        binding.held = at;
        if (!at && !pattern.optional) return false;
        if (at && pattern.constness != Pattern::Constness::Any && !tensor) return false;
        if (pattern.constness == Pattern::Constness::Scalar) {
          if (!narrow || !one_distinct_value(*tensor)) return false;
          binding.held = Binding::Number{tensor->number(0), at};
        }
        return bind(bound, pattern.slot, binding) && next(bound);
      }
      case Pattern::Kind::Either:
      case Pattern::Kind::Maybe:
        return std::any_of(pattern.children.begin(), pattern.children.end(), [&](PatternId child) {
          return value(child, at, reader, slot, state, next);
        });
      case Pattern::Kind::Chain:
        return chain(id, at, 0, reader, slot, state, next);
      case Pattern::Kind::Node: {
        if (!at || !model.value(at).producer) return false;
        if (model.value(at).output != static_cast<std::uint32_t>(pattern.output)) return false;
        return node(id, model.value(at).producer, false, state, next);
      }
      default:
        return false;
    }
  }

  bool chain(PatternId id, ValueId at, int links, NodeId reader, std::size_t slot,
             const State& state, const Next& next) const {
    const Pattern& pattern = rules[id];
    const NodeId producer = at ? model.value(at).producer : NodeId{};
    const bool goes_on =
        producer && model.value(at).output == 0 &&
        std::any_of(pattern.ops.begin(), pattern.ops.end(), [&](const OpName& op) {
          return model.node(producer).type == op.type && model.node(producer).domain == op.domain;
        });
    if (goes_on) {
      State longer = state;
      longer.nodes.push_back(producer);
      if (chain(id, model.node(producer).inputs[0], links + 1, producer, 0, longer, next)) {
        return true;
      }
    }
    return links >= pattern.at_least &&
           value(pattern.children.front(), at, reader, slot, state, next);
  }

  bool node(PatternId id, NodeId at, bool root, const State& state, const Next& next) const {
    const Pattern& pattern = rules[id];
    const GraphNode& here = model.node(at);
    if (pattern.kind == Pattern::Kind::Either || pattern.kind == Pattern::Kind::Maybe) {
      return std::any_of(pattern.children.begin(), pattern.children.end(),
                         [&](PatternId child) { return node(child, at, root, state, next); });
    }
    if (pattern.kind != Pattern::Kind::Node) return false;
    if (!(here.type == pattern.ops.front().type) || !(here.domain == pattern.ops.front().domain)) {
      return false;
    }
    for (const auto& [earlier, held] : state.patterns) {
      if (earlier == id) return held == at && next(state);
    }
    State inside = state;
    inside.patterns.emplace_back(id, at);
    inside.nodes.push_back(at);
    if (root) inside.roots.insert(at.index);
    if (pattern.shared) inside.shared.insert(at.index);
    for (std::size_t i = 0; i < pattern.results.size(); ++i) {
      Binding binding;
      binding.held = i < here.outputs.size() ? here.outputs[i] : ValueId{};
      if (!bind(inside, pattern.results[i], binding)) return false;
    }
    Binding self;
    self.held = at;
    if (!bind(inside, pattern.node_slot, self)) return false;
    for (const ExprId predicate : pattern.predicates)
      inside.predicates.emplace_back(predicate, at);
    for (const AttributePattern& attribute : pattern.attributes) {
      const AttributeFact fact = attribute_of(model, ops, at, attribute.name);
      if (fact.state != AttributeFact::State::Known) return false;
      if (attribute.bind) {
        Binding binding;
        binding.held = fact.value;
        if (!bind(inside, attribute.bind, binding)) return false;
      } else {
        const auto wanted = as_attribute(
            scope(inside, at), evaluate(scope(inside, at), attribute.equals), AttributeKind::Int);
        if (!wanted || !same_attribute(*wanted, fact.value, axes_rank(model, at, attribute.name))) {
          return false;
        }
      }
    }
    if (pattern.any_arguments) return next(inside);
    if (pattern.children.size() != here.inputs.size()) return false;
    if (arguments(pattern, at, 0, false, inside, next)) return true;
    return pattern.commutative && pattern.children.size() >= 2 &&
           arguments(pattern, at, 0, true, inside, next);
  }

  bool arguments(const Pattern& pattern, NodeId at, std::size_t index, bool swapped,
                 const State& state, const Next& next) const {
    if (index == pattern.children.size()) return next(state);
    const std::size_t operand = swapped && index < 2 ? 1 - index : index;
    return value(pattern.children[index], model.node(at).inputs[operand], at, operand, state,
                 [&](const State& after) {
                   return arguments(pattern, at, index + 1, swapped, after, next);
                 });
  }

  bool further_roots(std::size_t index, const State& state, const Next& next) const {
    if (index == rule.root.patterns.size()) return next(state);
    for (const NodeId at : model.nodes(model.main())) {
      const bool found = node(rule.root.patterns[index], at, true, state, [&](const State& after) {
        return further_roots(index + 1, after, next);
      });
      if (found) return true;
    }
    return false;
  }

  bool holds(const State& state) const {
    for (const auto& [expr, at] : state.predicates) {
      if (truth(scope(state, at), expr) != Truth::True) return false;
    }
    for (const NodeId at : state.nodes) {
      if (state.roots.contains(at.index) || state.shared.contains(at.index)) continue;
      for (const ValueId output : model.node(at).outputs) {
        const bool assigned = std::any_of(
            rule.statements.begin(), rule.statements.end(), [&](const Statement& statement) {
              return std::any_of(
                  statement.results.begin(), statement.results.end(), [&](SlotId slot) {
                    const auto* held =
                        slot ? std::get_if<ValueId>(&state.slots[slot.index].held) : nullptr;
                    return held != nullptr && *held == output;
                  });
            });
        if (assigned || !output) continue;
        for (const Use& use : model.uses(output)) {
          if (!use.node ||
              std::find(state.nodes.begin(), state.nodes.end(), use.node) == state.nodes.end()) {
            return false;
          }
        }
      }
    }
    for (const ExprId guard : rule.where) {
      if (truth(scope(state, state.nodes.front()), guard) != Truth::True) return false;
    }
    return true;
  }
};

}  // namespace

std::optional<Match> naive_match(const Model& model, const RuleSet& rules, const OpTable& ops,
                                 RuleId id, NodeId root) {
  const Rule& rule = rules[id];
  const Naive naive{model, rules, ops, rule};
  std::optional<Match> out;
  State start;
  start.slots.resize(rule.slots.size());
  naive.node(rule.root.patterns.front(), root, true, start, [&](const State& first) {
    return naive.further_roots(1, first, [&](const State& state) {
      if (!naive.holds(state)) return false;
      out = Match{id, root, state.slots, state.nodes, {}};
      for (const std::uint32_t shared : state.shared) {
        if (!state.roots.contains(shared)) out->kept.push_back({shared});
      }
      for (auto* list : {&out->nodes, &out->kept}) {
        std::sort(list->begin(), list->end(),
                  [&](NodeId a, NodeId b) { return model.before(a, b); });
        list->erase(std::unique(list->begin(), list->end()), list->end());
      }
      return true;
    });
  });
  return out;
}

std::vector<std::string> naive_rewrite(Model& model, const RuleSet& rules, const OpTable& ops,
                                       std::size_t most_firings) {
  std::vector<RuleId> order;
  for (std::uint32_t i = 0; i < rules.rules.size(); ++i)
    order.push_back({i});
  std::stable_sort(order.begin(), order.end(), [&](RuleId a, RuleId b) {
    if (rules[a].priority != rules[b].priority) return rules[a].priority > rules[b].priority;
    return rules[a].pattern_nodes > rules[b].pattern_nodes;
  });
  const RewriteOptions options;
  Replacer replacer(model, rules, ops, options);
  std::vector<std::string> fired;
  std::vector<RuleId> maker;
  for (bool changed = true; changed;) {
    changed = false;
    VisitOrder visits(model);
    for (bool again = true; again;) {
      again = false;
      for (NodeId at = visits.first(); at;) {
        NodeId next = visits.next(at);
        for (const RuleId rule : order) {
          if (!model.node(at).alive) break;
          maker.resize(model.node_capacity());
          if (maker[at.index] == rule && !rules[rule].recursive) continue;
          const auto match = naive_match(model, rules, ops, rule, at);
          const auto result = match ? replacer.fire(*match, nullptr) : std::nullopt;
          if (!result) continue;
          fired.push_back(rules[rule].name);
          if (fired.size() > most_firings) return fired;
          maker.resize(model.node_capacity());
          for (const NodeId made : result->made)
            maker[made.index] = rule;
          visits.insert_before(at, result->made);
          if (!result->made.empty()) next = result->made.front();
          again = changed = true;
          break;
        }
        at = next;
      }
    }
  }
  return fired;
}

}  // namespace rulec::test
