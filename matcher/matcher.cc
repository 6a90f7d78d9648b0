// SPDX-License-Identifier: Apache-2.0
// The search itself: goals, choices, and going back. What a goal means is in matcher_node.cc and
// matcher_value.cc; what must hold at the end in matcher_finish.cc.
#include "matcher/matcher.h"

#include <algorithm>

#include "matcher/facts.h"

namespace rulec {

// A bound on the work at one root, far above what patterns of real rules need.
static constexpr std::uint64_t most_steps = 200'000;

Matcher::Matcher(const Model& model, const RuleSet& rules, const OpTable& ops,
                 const Situation& situation)
    : model_(model), rules_(rules), ops_(ops), situation_(situation), constness_(model, ops) {
  info_.resize(rules.patterns.size());
  expr_slots_.resize(rules.exprs.size());
  for (std::size_t i = 0; i < rules.patterns.size(); ++i) {
    const Pattern& pattern = rules.patterns[i];
    for (const OpName& op : pattern.ops) {
      info_[i].ops.emplace_back(Symbol(op.domain), Symbol(op.type));
    }
    if (pattern.kind == Pattern::Kind::Node) {
      info_[i].moved = moved_operands(pattern.ops.front().domain, pattern.ops.front().type);
    }
  }
  // Children usually stand before their parents, but a shared one need not.
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < rules.patterns.size(); ++i) {
      const Pattern& pattern = rules.patterns[i];
      bool has = pattern.kind == Pattern::Kind::Node || pattern.kind == Pattern::Kind::Chain;
      bool results = !pattern.results.empty();
      for (const PatternId child : pattern.children) {
        has = has || info_[child.index].has_nodes;
        results = results || info_[child.index].has_results;
      }
      changed = changed || has != info_[i].has_nodes || results != info_[i].has_results;
      info_[i].has_nodes = has;
      info_[i].has_results = results;
    }
  }
}

void Matcher::begin(const std::vector<Slot>& slots, NearMiss* miss) {
  slots_ = &slots;
  bindings_.resize(std::max(bindings_.size(), slots.size()));
  bindings_.resize(slots.size());
  for (Binding& binding : bindings_) {
    if (binding.bound()) binding = {};
  }
  bound_by_.assign(slots.size(), 0);
  goals_.clear();
  choices_.clear();
  trail_.clear();
  pattern_nodes_.clear();
  matched_.clear();
  deferred_.clear();
  may_match_.clear();
  head_ = no_goal;
  pure_ = 0;
  steps_ = 0;
  miss_ = miss;
  deepest_ = -1;
}

std::optional<Match> Matcher::match(RuleId id, NodeId root, NearMiss* miss) {
  const Rule& rule = rules_[id];
  if (rule.root.patterns.empty()) return std::nullopt;
  begin(rule.slots, miss);
  rule_ = &rule;
  if (see_through_of_ != id) {
    see_through_.clear();
    for (const OpName& op : rule.see_through) {
      see_through_.emplace_back(Symbol(op.domain), Symbol(op.type));
    }
    see_through_of_ = id;
  }
  if (miss_ != nullptr) {
    miss_->rule = id;
    miss_->root = root;
  }
  const GraphId graph = model_.node(root).graph;
  push({.kind = Goal::Kind::Finish, .graph = graph});
  for (std::size_t i = rule.root.patterns.size(); i-- > 1;) {
    push({.kind = Goal::Kind::Elsewhere, .pattern = rule.root.patterns[i], .graph = graph});
  }
  push({.kind = Goal::Kind::Root,
        .pattern = rule.root.patterns.front(),
        .node = root,
        .graph = graph});
  if (!search(head_)) return std::nullopt;
  Match out;
  out.rule = id;
  out.root = root;
  out.slots = bindings_;
  for (const MatchedNode& one : matched_) {
    out.nodes.push_back(one.node);
    if (one.shared && !one.root) out.kept.push_back(one.node);
  }
  for (auto* list : {&out.nodes, &out.kept}) {
    std::sort(list->begin(), list->end(), [&](NodeId a, NodeId b) { return model_.before(a, b); });
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
  return out;
}

bool Matcher::match_pattern(const std::vector<Slot>& slots, PatternId pattern, NodeId node,
                            std::vector<Binding>& bindings, NearMiss* miss) {
  begin(slots, miss);
  rule_ = nullptr;
  see_through_.clear();
  see_through_of_ = {};
  bindings_ = bindings;
  bindings_.resize(slots.size());
  if (miss_ != nullptr) miss_->root = node;
  const GraphId graph = model_.node(node).graph;
  push({.kind = Goal::Kind::Finish, .graph = graph});
  push({.kind = Goal::Kind::Root, .pattern = pattern, .node = node, .graph = graph});
  if (!search(head_)) return false;
  bindings = bindings_;
  return true;
}

Truth Matcher::body_holds(const Scope& outer, NodeId node, const Expr& expr, std::string* why) {
  if (bodies_named(model_, node, expr.name).empty()) {
    if (why != nullptr) *why = fmt::format("{} has no body", model_.node(node).type);
    return Truth::False;
  }
  begin(outer.slots, nullptr);
  rule_ = nullptr;
  see_through_.clear();
  see_through_of_ = {};
  bindings_.assign(outer.bindings.begin(), outer.bindings.end());
  bindings_.resize(outer.slots.size());
  push({.kind = Goal::Kind::Finish});
  push({.kind = Goal::Kind::Contains,
        .node = node,
        .expr = {static_cast<std::uint32_t>(&expr - rules_.exprs.data())}});
  return search(head_) ? Truth::True : Truth::False;
}

Truth body_holds(const Scope& scope, NodeId node, const Expr& expr, std::string* why) {
  return Matcher(scope.model, scope.rules, scope.ops, scope.situation)
      .body_holds(scope, node, expr, why);
}

void Matcher::push(Goal goal) {
  goal.next = head_;
  head_ = static_cast<std::uint32_t>(goals_.size());
  goals_.push_back(goal);
}

static std::uint64_t choice_bit(std::size_t index) {
  return 1ULL << std::min<std::size_t>(index, 63);
}

bool Matcher::search(std::uint32_t start) {
  head_ = start;
  std::uint32_t alternative = 0;
  while (head_ != no_goal) {
    const std::uint32_t at = head_;
    const Goal goal = goals_[at];
    std::uint64_t hangs_on = goal.hangs_on;
    if (alternative == 0) {
      bool pure = false;
      const std::uint32_t count = alternatives(goal, pure);
      if (count > 1) {
        if (choices_.size() < 63) {
          pure_ = pure ? pure_ | choice_bit(choices_.size()) : pure_ & ~choice_bit(choices_.size());
        }
        choices_.push_back({.head = at,
                            .next = 1,
                            .count = count,
                            .trail = trail_.size(),
                            .goals = goals_.size(),
                            .conflict = goal.hangs_on,
                            .pure = pure});
        hangs_on |= choice_bit(choices_.size() - 1);
      }
    } else {
      hangs_on |= choice_bit(choices_.size() - 1);
    }
    head_ = goal.next;
    conflict_ = hangs_on;
    if (++steps_ <= most_steps && step(goal, alternative, hangs_on)) {
      alternative = 0;
      continue;
    }
    if (steps_ > most_steps) {
      miss(goal.node, {}, "search", "a match found within the bound on steps", "too many choices");
      return false;
    }
    // Back to the latest choice that the failure hangs on.
    bool resumed = false;
    while (!choices_.empty()) {
      Choice& choice = choices_.back();
      const std::size_t index = choices_.size() - 1;
      undo(choice.trail);
      goals_.resize(choice.goals);
      if ((conflict_ & choice_bit(index)) != 0) {
        choice.conflict |= index < 63 ? conflict_ & ~choice_bit(index) : conflict_;
        if (choice.next < choice.count) {
          head_ = choice.head;
          alternative = choice.next++;
          resumed = true;
          break;
        }
        conflict_ = choice.conflict;
      }
      choices_.pop_back();
    }
    if (!resumed) return false;
  }
  return true;
}

void Matcher::undo(std::size_t to) {
  while (trail_.size() > to) {
    const Undo last = trail_.back();
    trail_.pop_back();
    switch (last.kind) {
      case Undo::Kind::Slot:
        bindings_[last.index] = {};
        bound_by_[last.index] = 0;
        break;
      case Undo::Kind::Pattern:
        pattern_nodes_.pop_back();
        break;
      case Undo::Kind::Node:
        matched_.pop_back();
        break;
      case Undo::Kind::Deferred:
        deferred_.pop_back();
        break;
    }
  }
}

static bool same_dimension(const Binding& a, const Binding& b) {
  if (a.held.index() != b.held.index()) return false;
  if (const auto* i = std::get_if<std::int64_t>(&a.held))
    return *i == std::get<std::int64_t>(b.held);
  const auto* left = std::get_if<std::string>(&std::get<Literal>(a.held).value);
  const auto* right = std::get_if<std::string>(&std::get<Literal>(b.held).value);
  return left != nullptr && right != nullptr && *left == *right;
}

// Binds a name, or compares with what it is bound to.
bool Matcher::bind(SlotId slot, Binding binding, std::uint64_t hangs_on) {
  if (!slot) return true;
  Binding& held = bindings_[slot.index];
  if (!held.bound()) {
    held = std::move(binding);
    bound_by_[slot.index] = hangs_on;
    trail_.push_back({Undo::Kind::Slot, slot.index});
    return true;
  }
  ++tests_;
  bool same = false;
  const auto value_of = [](const Binding& one) -> const ValueId* {
    if (const auto* number = std::get_if<Binding::Number>(&one.held)) return &number->value;
    return std::get_if<ValueId>(&one.held);
  };
  if (const ValueId* value = value_of(held)) {
    const ValueId* other = value_of(binding);
    same = other != nullptr && *value == *other;
    const auto* a = std::get_if<Binding::Number>(&held.held);
    const auto* b = std::get_if<Binding::Number>(&binding.held);
    same = same || (a != nullptr && b != nullptr && a->number == b->number);
  } else if (held.held.index() != binding.held.index()) {
    same = false;
  } else if (const auto* node = std::get_if<NodeId>(&held.held)) {
    same = *node == std::get<NodeId>(binding.held);
  } else if (const auto* attribute = std::get_if<AttributeValue>(&held.held)) {
    same = same_attribute(*attribute, std::get<AttributeValue>(binding.held));
  } else if (const auto* all = std::get_if<std::vector<Attribute>>(&held.held)) {
    const auto& other = std::get<std::vector<Attribute>>(binding.held);
    same = all->size() == other.size();
    for (const Attribute& one : *all) {
      same = same && std::any_of(other.begin(), other.end(), [&](const Attribute& twin) {
               return one.name == twin.name && same_attribute(one.value, twin.value);
             });
    }
  } else if (const auto* list = std::get_if<std::vector<Binding>>(&held.held)) {
    const auto& other = std::get<std::vector<Binding>>(binding.held);
    same = list->size() == other.size();
    for (std::size_t i = 0; same && i < list->size(); ++i) {
      const ValueId* a = value_of((*list)[i]);
      const ValueId* b = value_of(other[i]);
      same = a != nullptr && b != nullptr && *a == *b;
    }
  } else if ((*slots_)[slot.index].kind == SlotKind::Dimension) {
    same = same_dimension(held, binding);
  }
  if (same) return true;
  return fail(hangs_on | bound_by_[slot.index]);
}

std::uint64_t Matcher::hangs_of(SlotId slot) const {
  return slot.index < bound_by_.size() ? bound_by_[slot.index] : 0;
}

std::uint64_t Matcher::hangs_of_condition(std::uint32_t slot) const {
  const SlotKind kind = (*slots_)[slot].kind;
  if (bindings_[slot].bound() || kind == SlotKind::Let || kind == SlotKind::Parameter)
    return bound_by_[slot];
  return ~std::uint64_t{0};
}

void Matcher::defer(Deferral deferral) {
  deferred_.push_back(deferral);
  trail_.push_back({Undo::Kind::Deferred});
}

void Matcher::note_node(NodeId node, bool shared, bool root, const Goal& goal,
                        std::uint64_t hangs_on) {
  if (goal.body) return;  // looked at, not consumed
  matched_.push_back({node, shared, root, hangs_on});
  trail_.push_back({Undo::Kind::Node});
}

bool Matcher::missing() const {
  return miss_ != nullptr && static_cast<int>(matched_.size()) > deepest_;
}

void Matcher::miss(NodeId node, const Place& place, std::string_view kind, std::string expected,
                   std::string found) {
  if (!missing()) return;
  deepest_ = static_cast<int>(matched_.size());
  miss_->node = node;
  miss_->place = place;
  miss_->kind = kind;
  miss_->expected = std::move(expected);
  miss_->found = std::move(found);
  miss_->matched = deepest_;
  miss_->held = pattern_nodes_;
}

Scope Matcher::scope(NodeId self) const {
  return {model_,    rules_,
          ops_,      *slots_,
          bindings_, situation_,
          self,      rule_ != nullptr ? std::span<const Let>(rule_->lets) : std::span<const Let>()};
}

// The names an expression reads, through `let`s too.
const std::vector<std::uint32_t>& Matcher::slots_of(ExprId id) {
  auto& known = expr_slots_[id.index];
  if (known) return *known;
  std::vector<std::uint32_t> out;
  std::vector<ExprId> open = {id};
  std::vector<PatternId> patterns;
  std::vector<bool> seen(rules_.exprs.size(), false);
  const auto add = [&](SlotId slot) {
    if (slot && std::find(out.begin(), out.end(), slot.index) == out.end()) {
      out.push_back(slot.index);
    }
  };
  while (!open.empty()) {
    const ExprId next = open.back();
    open.pop_back();
    if (!next || seen[next.index]) continue;
    seen[next.index] = true;
    const Expr& expr = rules_[next];
    add(expr.slot);
    if (expr.kind == Expr::Kind::Slot && rule_ != nullptr) {
      for (const Let& let : rule_->lets) {
        if (let.slot != expr.slot) continue;
        open.push_back(let.value);
        add(let.from_source);
      }
    }
    open.insert(open.end(), expr.operands.begin(), expr.operands.end());
    for (const auto& [name, value] : expr.named)
      open.push_back(value);
    if (expr.emit) {
      add(expr.emit->node);
      if (expr.emit->arguments) {
        open.insert(open.end(), expr.emit->arguments->begin(), expr.emit->arguments->end());
      }
      for (const EmitAttribute& attribute : expr.emit->attributes)
        open.push_back(attribute.value);
    }
    patterns.insert(patterns.end(), expr.patterns.begin(), expr.patterns.end());
    if (expr.pattern) patterns.push_back(expr.pattern);
    while (!patterns.empty()) {
      const Pattern& pattern = rules_[patterns.back()];
      patterns.pop_back();
      add(pattern.slot);
      add(pattern.rest_attributes);
      add(pattern.node_slot);
      for (const SlotId result : pattern.results)
        add(result);
      for (const AttributePattern& attribute : pattern.attributes) {
        add(attribute.bind);
        open.push_back(attribute.equals);
      }
      open.insert(open.end(), pattern.predicates.begin(), pattern.predicates.end());
      patterns.insert(patterns.end(), pattern.children.begin(), pattern.children.end());
    }
  }
  known = std::move(out);
  return *known;
}

}  // namespace rulec
