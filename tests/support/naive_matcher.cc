// SPDX-License-Identifier: Apache-2.0
#include "tests/support/naive_matcher.h"

#include <algorithm>
#include <functional>
#include <set>

#include "matcher/firing.h"
#include "matcher/visit_order.h"
#include "tests/support/naive_facts.h"

namespace rulec::test {
namespace {

struct State {
  std::vector<Binding> slots;
  std::vector<std::pair<PatternId, NodeId>> patterns;
  std::vector<NodeId> nodes;
  std::set<std::uint32_t> roots, shared;
  // Conditions and comparisons that wait for names.
  struct Check {
    ExprId expr;
    NodeId node;
    std::string attribute;  // compared with `expr`; empty: a predicate
  };
  std::vector<Check> checks;
};

using Next = std::function<bool(const State&)>;

struct Naive {
  const Model& model;
  const RuleSet& rules;
  const NaiveFacts& facts;
  const Rule& rule;
  const VisitOrder* order;

  // Where patterns lie: in a graph of the model, or in a body that a predicate speaks of.
  struct Ground {
    GraphId graph;
    GraphId body = {};
  };

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
    if (const auto* a = std::get_if<NodeId>(&held.held)) {
      const auto* b = std::get_if<NodeId>(&binding.held);
      return b != nullptr && *a == *b;
    }
    if (const auto* a = std::get_if<Binding::Number>(&held.held)) {
      const auto* b = std::get_if<Binding::Number>(&binding.held);
      return b != nullptr && a->number == b->number;
    }
    if (const auto* a = std::get_if<AttributeValue>(&held.held)) {
      const auto* b = std::get_if<AttributeValue>(&binding.held);
      return b != nullptr && naive_same(*a, *b, std::nullopt);
    }
    if (const auto* a = std::get_if<std::int64_t>(&held.held)) {
      const auto* b = std::get_if<std::int64_t>(&binding.held);
      return b != nullptr && *a == *b;
    }
    if (const auto* a = std::get_if<std::vector<Binding>>(&held.held)) {
      const auto* b = std::get_if<std::vector<Binding>>(&binding.held);
      return b != nullptr && a->size() == b->size() &&
             std::equal(a->begin(), a->end(), b->begin(), [](const Binding& x, const Binding& y) {
               return std::get<ValueId>(x.held) == std::get<ValueId>(y.held);
             });
    }
    return false;
  }

  // Static shapes only: what the generated graphs have.
  bool of_type(const TypePattern& wanted, ValueId at, State& state) const {
    const Type& type = model.value(at).type;
    if (!wanted.dtypes.empty() &&
        std::find(wanted.dtypes.begin(), wanted.dtypes.end(), type.dtype) == wanted.dtypes.end())
      return false;
    if (wanted.shapes.empty()) return true;
    const auto shape = type.static_shape();
    if (!shape) return false;
    for (const auto& dims : wanted.shapes) {
      State trial = state;
      bool fits = dims.size() == shape->size();
      for (std::size_t i = 0; fits && i < dims.size(); ++i) {
        if (dims[i].kind == DimPattern::Kind::Fixed) fits = dims[i].size == (*shape)[i];
        if (dims[i].kind == DimPattern::Kind::Variable)
          fits = bind(trial, dims[i].slot, {.held = (*shape)[i]});
      }
      if (!fits) continue;
      state = std::move(trial);
      return true;
    }
    return false;
  }

  bool value(PatternId id, ValueId at, NodeId reader, std::size_t slot, Ground ground,
             const State& state, const Next& next) const {
    const Pattern& pattern = rules[id];
    switch (pattern.kind) {
      case Pattern::Kind::Any:
        return at && next(state);
      case Pattern::Kind::Absent:
        return !at && next(state);
      case Pattern::Kind::Literal: {
        const auto tensor = facts.constant(at);
        const bool list = std::holds_alternative<std::vector<Literal>>(pattern.literal.value);
        return tensor && (list || facts.is_scalar(*tensor, reader, slot)) &&
               naive_literal(pattern.literal, pattern.exact, *tensor) && next(state);
      }
      case Pattern::Kind::Bind: {
        State bound = state;
        Binding binding;
        binding.held = at;
        if (!at) return pattern.optional && bind(bound, pattern.slot, binding) && next(bound);
        if (pattern.constness != Pattern::Constness::Any) {
          const auto tensor = facts.constant(at);
          if (!tensor) return false;
          if (pattern.constness == Pattern::Constness::Scalar) {
            if (!facts.is_scalar(*tensor, reader, slot)) return false;
            binding.held = Binding::Number{tensor->number(0), at};
          }
        }
        if (pattern.type && !of_type(*pattern.type, at, bound)) return false;
        return bind(bound, pattern.slot, binding) && next(bound);
      }
      case Pattern::Kind::Either:
      case Pattern::Kind::Maybe:
        return std::any_of(pattern.children.begin(), pattern.children.end(), [&](PatternId child) {
          return value(child, at, reader, slot, ground, state, next);
        });
      case Pattern::Kind::Chain:
        return chain(id, at, 0, reader, slot, ground, state, next);
      case Pattern::Kind::Node:
        return behind(id, at, ground, state, next);
      case Pattern::Kind::Outer:
      case Pattern::Kind::State:
      case Pattern::Kind::Scan:
      case Pattern::Kind::Iteration:
        return body_value(pattern, at, ground, state, next);
      default:
        return false;
    }
  }

  // The node that made a value, or one further up behind nodes that the rule sees through.
  bool behind(PatternId id, ValueId at, Ground ground, const State& state, const Next& next) const {
    const NodeId producer = at ? model.value(at).producer : NodeId{};
    if (!producer || model.node(producer).graph != ground.graph) return false;
    const GraphNode& node_here = model.node(producer);
    if (model.value(at).output == static_cast<std::uint32_t>(rules[id].output) &&
        node(id, producer, false, ground, state, next))
      return true;
    const bool transparent =
        std::any_of(rule.see_through.begin(), rule.see_through.end(), [&](const OpName& op) {
          return node_here.type == op.type && node_here.domain == op.domain;
        });
    if (!transparent || model.value(at).output != 0 || node_here.inputs.empty()) return false;
    State skipped = state;
    if (!ground.body) skipped.nodes.push_back(producer);
    return behind(id, node_here.inputs[0], ground, skipped, next);
  }

  bool body_value(const Pattern& pattern, ValueId at, Ground ground, const State& state,
                  const Next& next) const {
    if (!ground.body || !at) return false;
    State bound = state;
    const auto found = [&] { return bind(bound, pattern.slot, {.held = at}) && next(bound); };
    const GraphInfo& body = model.graph(ground.body);
    if (pattern.kind == Pattern::Kind::Outer) {
      GraphId graph = model.value(at).graph;
      while (graph != ground.body && model.graph(graph).owner)
        graph = model.node(model.graph(graph).owner).graph;
      return graph != ground.body && found();
    }
    if (!body.owner) return false;
    const GraphNode& owner = model.node(body.owner);
    const bool loop = owner.type == "Loop";
    if (!loop && !(owner.type == "Scan")) return false;
    if (pattern.kind == Pattern::Kind::Iteration) return loop && body.inputs.at(0) == at && found();
    // A Loop's body takes counter and condition first and gives its condition; what a Scan's body
    // takes last are the slices of its scan inputs.
    const std::size_t lead = loop ? 2 : 0;
    const std::size_t sliced =
        loop ? 0 : static_cast<std::size_t>(owner.attributes.integer("num_scan_inputs", 0));
    const std::size_t states = body.inputs.size() - lead - sliced;
    const bool carried = pattern.kind == Pattern::Kind::State;
    const auto& list = carried ? body.inputs : body.outputs;
    const std::size_t first = carried ? lead : (loop ? 1 : 0) + states;
    const std::size_t last = carried ? lead + states : list.size();
    for (std::size_t i = first; i < last; ++i) {
      if (list[i] != at) continue;
      if (pattern.index >= 0 && static_cast<std::size_t>(pattern.index) != i - first) continue;
      return found();
    }
    return false;
  }

  bool chain(PatternId id, ValueId at, int links, NodeId reader, std::size_t slot, Ground ground,
             const State& state, const Next& next) const {
    const Pattern& pattern = rules[id];
    const NodeId producer = at ? model.value(at).producer : NodeId{};
    const bool goes_on =
        producer && model.value(at).output == 0 && model.node(producer).graph == ground.graph &&
        std::any_of(pattern.ops.begin(), pattern.ops.end(), [&](const OpName& op) {
          return model.node(producer).type == op.type && model.node(producer).domain == op.domain;
        });
    if (goes_on) {
      State longer = state;
      if (!ground.body) longer.nodes.push_back(producer);
      if (chain(id, model.node(producer).inputs[0], links + 1, producer, 0, ground, longer, next))
        return true;
    }
    return links >= pattern.at_least &&
           value(pattern.children.front(), at, reader, slot, ground, state, next);
  }

  bool node(PatternId id, NodeId at, bool root, Ground ground, const State& state,
            const Next& next) const {
    const Pattern& pattern = rules[id];
    const GraphNode& here = model.node(at);
    if (pattern.kind == Pattern::Kind::Either || pattern.kind == Pattern::Kind::Maybe) {
      return std::any_of(pattern.children.begin(), pattern.children.end(), [&](PatternId child) {
        return node(child, at, root, ground, state, next);
      });
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
    if (!ground.body) {
      inside.nodes.push_back(at);
      if (root) inside.roots.insert(at.index);
      if (pattern.shared) inside.shared.insert(at.index);
    }
    for (std::size_t i = 0; i < pattern.results.size(); ++i) {
      Binding binding;
      binding.held = i < here.outputs.size() ? here.outputs[i] : ValueId{};
      if (!bind(inside, pattern.results[i], binding)) return false;
    }
    if (!bind(inside, pattern.node_slot, {.held = at})) return false;
    for (const ExprId predicate : pattern.predicates)
      inside.checks.push_back({predicate, at, ""});
    for (const AttributePattern& attribute : pattern.attributes) {
      if (attribute.equals) {
        inside.checks.push_back({attribute.equals, at, attribute.name});
        continue;
      }
      const auto given = facts.attribute(at, attribute.name);
      if (!given || !bind(inside, attribute.bind, {.held = *given})) return false;
    }
    if (pattern.any_arguments) return next(inside);
    if (arguments(pattern, at, 0, false, ground, inside, next)) return true;
    return pattern.commutative && pattern.children.size() >= 2 &&
           arguments(pattern, at, 0, true, ground, inside, next);
  }

  bool arguments(const Pattern& pattern, NodeId at, std::size_t index, bool swapped, Ground ground,
                 const State& state, const Next& next) const {
    const auto& inputs = model.node(at).inputs;
    if (index == pattern.children.size()) {
      for (std::size_t i = index; i < inputs.size(); ++i)
        if (inputs[i] && !(facts.is_moved(at, i) && facts.constant(inputs[i]))) return false;
      return next(state);
    }
    const Pattern& child = rules[pattern.children[index]];
    if (child.kind == Pattern::Kind::AnyRest || child.kind == Pattern::Kind::Rest) {
      std::vector<Binding> rest;
      for (std::size_t i = index; i < inputs.size(); ++i)
        rest.emplace_back().held = inputs[i];
      Binding all;
      all.held = std::move(rest);
      State bound = state;
      return bind(bound, child.slot, all) && next(bound);
    }
    const std::size_t operand = swapped && index < 2 ? 1 - index : index;
    const ValueId there = operand < inputs.size() ? inputs[operand] : ValueId{};
    return value(pattern.children[index], there, at, operand, ground, state,
                 [&](const State& after) {
                   return arguments(pattern, at, index + 1, swapped, ground, after, next);
                 });
  }

  std::vector<NodeId> nodes_of(GraphId graph) const {
    std::vector<NodeId> nodes = model.nodes(graph);
    if (order != nullptr) order->sort(nodes);
    return nodes;
  }

  bool further_roots(const std::vector<PatternId>& roots, std::size_t index, Ground ground,
                     const State& state, const Next& next) const {
    if (index == roots.size()) return next(state);
    for (const NodeId at : nodes_of(ground.graph)) {
      const bool found = node(roots[index], at, true, ground, state, [&](const State& after) {
        return further_roots(roots, index + 1, ground, after, next);
      });
      if (found) return true;
    }
    return false;
  }

  std::vector<GraphId> bodies(NodeId at, std::string_view name) const {
    if (name == "body") return model.bodies(at);
    const auto* body =
        model.node(at).attributes.get<GraphId>(name == "then_body" ? "then_branch" : "else_branch");
    return body != nullptr ? std::vector<GraphId>{*body} : std::vector<GraphId>{};
  }

  // Conditions in the order in which the pattern gave them; a body's may bind names.
  bool checks(std::size_t index, const State& state, const Next& next) const {
    if (index == state.checks.size()) return next(state);
    const State::Check check = state.checks[index];
    const auto on = [&](const State& after) { return checks(index + 1, after, next); };
    const Expr& expr = rules[check.expr];
    if (!check.attribute.empty()) {
      const auto given = facts.attribute(check.node, check.attribute);
      const auto wanted = wanted_attribute(state, check.expr);
      return given && wanted && naive_same(*given, *wanted, rank_at(check.node)) && on(state);
    }
    if (expr.kind == Expr::Kind::Contains) {
      for (const GraphId body : bodies(check.node, expr.name))
        for (const NodeId at : nodes_of(body))
          if (node(expr.pattern, at, false, {body, body}, state, on)) return true;
      return false;
    }
    if (expr.kind == Expr::Kind::BodyIs) {
      for (const GraphId body : bodies(check.node, expr.name)) {
        const State before = state;
        return further_roots(expr.patterns, 0, {body, body}, state, [&](const State& after) {
          // Every node of the body was named.
          std::set<std::uint32_t> named;
          for (std::size_t i = before.patterns.size(); i < after.patterns.size(); ++i)
            named.insert(after.patterns[i].second.index);
          std::size_t count = 0;
          for (const NodeId at : model.nodes(body))
            count += model.node(at).type == "Constant" ? 0 : 1;
          return named.size() == count && on(after);
        });
      }
      return false;
    }
    if (expr.kind == Expr::Kind::Apply && expr.op == Operator::Not &&
        (rules[expr.operands[0]].kind == Expr::Kind::Contains ||
         rules[expr.operands[0]].kind == Expr::Kind::BodyIs)) {
      State inner = state;
      inner.checks = {{expr.operands[0], check.node, ""}};
      return !checks(0, inner, [](const State&) { return true; }) && on(state);
    }
    return naive_truth(model, rules, state.slots, check.node, check.expr) == Truth::True &&
           on(state);
  }

  std::optional<std::int64_t> rank_at(NodeId at) const {
    const auto& inputs = model.node(at).inputs;
    if (inputs.empty() || !model.value(inputs[0]).type.dims) return std::nullopt;
    return static_cast<std::int64_t>(model.value(inputs[0]).type.dims->size());
  }

  std::optional<AttributeValue> wanted_attribute(const State& state, ExprId id) const {
    const Expr& expr = rules[id];
    if (expr.kind == Expr::Kind::Slot) {
      const auto* held = std::get_if<AttributeValue>(&state.slots[expr.slot.index].held);
      return held != nullptr ? std::optional(*held) : std::nullopt;
    }
    if (const auto* i = std::get_if<std::int64_t>(&expr.literal.value)) return AttributeValue(*i);
    if (const auto* d = std::get_if<double>(&expr.literal.value))
      return AttributeValue(static_cast<float>(*d));
    return std::nullopt;
  }

  bool holds(const State& state) const {
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
      if (naive_truth(model, rules, state.slots, state.nodes.front(), guard) != Truth::True)
        return false;
    }
    return true;
  }
};

}  // namespace

std::optional<Match> naive_match(const Model& model, const RuleSet& rules, const NaiveFacts& facts,
                                 RuleId id, NodeId root, const VisitOrder* order) {
  const Rule& rule = rules[id];
  const Naive naive{model, rules, facts, rule, order};
  std::optional<Match> out;
  State start;
  start.slots.resize(rule.slots.size());
  const std::vector<PatternId> others(rule.root.patterns.begin() + 1, rule.root.patterns.end());
  const Naive::Ground ground{model.node(root).graph};
  naive.node(rule.root.patterns.front(), root, true, ground, start, [&](const State& first) {
    return naive.further_roots(others, 0, ground, first, [&](const State& found) {
      return naive.checks(0, found, [&](const State& state) {
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
          const auto match = naive_match(model, rules, NaiveFacts(model, ops), rule, at, &visits);
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
  replacer.drop_unread();
  return fired;
}

}  // namespace rulec::test
