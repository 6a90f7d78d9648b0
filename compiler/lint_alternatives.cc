// SPDX-License-Identifier: Apache-2.0
// Alternatives that nothing reaches: an earlier one matches all that they do, or the replacement
// needs a name that they leave unbound.
#include <map>
#include <set>

#include "compiler/linter.h"
#include "compiler/pattern_order.h"
#include "compiler/rule_parts.h"

namespace rulec {

void Linter::alternatives(const Rule& rule) {
  for (const PatternId id : patterns_of(rules_, rule, true)) {
    const Pattern& either = rules_[id];
    if (either.kind != Pattern::Kind::Either) continue;
    for (std::size_t later = 1; later < either.children.size(); ++later) {
      for (std::size_t earlier = 0; earlier < later; ++earlier) {
        const PatternId wide = either.children[earlier], narrow = either.children[later];
        // Where names differ, a guard that fails with the first may hold with the second.
        const bool same_names = subsumes(rules_, narrow, wide);
        if (!subsumes(rules_, wide, narrow) || (!same_names && has_conditions(rules_, rule)))
          continue;
        Diagnostic& diagnostic =
            warn(DiagnosticKind::UnreachableAlternative, rules_[narrow].place,
                 "this alternative is never reached: an earlier one matches all that it does");
        note(diagnostic, rules_[wide].place, "the earlier one");
        break;
      }
    }
  }
}

namespace {

// The names that a replacement cannot do without: none beside an `else`, and not what a condition
// chooses.
class Needs {
 public:
  Needs(const RuleSet& rules, const Rule& rule) : rules_(rules), rule_(rule) {
    add(rule.replacement);
    for (const Statement& statement : rule.statements)
      add(statement.value);
  }

  const std::set<std::uint32_t>& slots() const { return slots_; }

 private:
  void add(ExprId id) {
    if (!id) return;
    const Expr& expr = rules_[id];
    if (expr.kind == Expr::Kind::Apply && expr.op == Operator::Else) return;
    if (expr.kind == Expr::Kind::Apply && expr.op == Operator::Conditional)
      return add(expr.operands[0]);
    if (expr.kind == Expr::Kind::Call && expr.name == "is_none") return;
    add(expr.slot);
    for (const ExprId operand : expr.operands)
      add(operand);
    for (const auto& [name, value] : expr.named)
      add(value);
    if (!expr.emit) return;
    add(expr.emit->node);
    if (expr.emit->arguments)
      for (const ExprId argument : *expr.emit->arguments)
        add(argument);
    for (const EmitAttribute& attribute : expr.emit->attributes)
      add(attribute.value);
  }

  void add(SlotId slot) {
    if (!slot || !slots_.insert(slot.index).second) return;
    for (const Let& let : rule_.lets)
      if (let.slot == slot) add(let.value);
  }

  const RuleSet& rules_;
  const Rule& rule_;
  std::set<std::uint32_t> slots_;
};

// The names that a part of a pattern binds. A result of a `match` block that it mentions brings all
// that the result's own pattern binds, wherever that stands.
class Bound {
 public:
  Bound(const RuleSet& rules, const Rule& rule) : rules_(rules) {
    for (const PatternId id : patterns_of(rules, rule, false))
      for (const SlotId result : rules[id].results)
        if (result) result_of_[result.index] = id;
  }

  std::set<std::uint32_t> by(PatternId part, PatternId without = {}) const {
    std::set<std::uint32_t> seen, out;
    collect(part, without, seen, out);
    return out;
  }

 private:
  void collect(PatternId id, PatternId without, std::set<std::uint32_t>& seen,
               std::set<std::uint32_t>& out) const;

  const RuleSet& rules_;
  std::map<std::uint32_t, PatternId> result_of_;
};

}  // namespace

void Bound::collect(PatternId id, PatternId without, std::set<std::uint32_t>& seen,
                    std::set<std::uint32_t>& out) const {
  if (!id || id == without || !seen.insert(id.index).second) return;
  const Pattern& pattern = rules_[id];
  const auto add = [&](SlotId slot) {
    if (!slot) return;
    out.insert(slot.index);
    if (const auto at = result_of_.find(slot.index); at != result_of_.end())
      collect(at->second, without, seen, out);
  };
  add(pattern.slot);
  add(pattern.node_slot);
  add(pattern.rest_attributes);
  for (const AttributePattern& attribute : pattern.attributes)
    add(attribute.bind);
  for (const SlotId result : pattern.results)
    add(result);
  for (const PatternId child : pattern.children)
    collect(child, without, seen, out);
}

// An alternative that leaves a name unbound which the replacement needs matches for nothing.
void Linter::idle_alternatives(const Rule& rule) {
  if (rule.call || rule.root.kind != Root::Kind::Pattern) return;
  const Needs needs(rules_, rule);
  const Bound bound(rules_, rule);
  for (const PatternId id : patterns_of(rules_, rule, false)) {
    const Pattern& either = rules_[id];
    if (either.kind != Pattern::Kind::Either && either.kind != Pattern::Kind::Maybe) continue;
    std::set<std::uint32_t> elsewhere;
    for (const PatternId root : rule.root.patterns)
      elsewhere.merge(bound.by(root, id));
    std::vector<std::set<std::uint32_t>> binds(either.children.size());
    std::set<std::uint32_t> some;
    for (std::size_t i = 0; i < binds.size(); ++i) {
      binds[i] = bound.by(either.children[i]);
      some.insert(binds[i].begin(), binds[i].end());
    }
    for (const std::uint32_t slot : some) {
      if (!needs.slots().contains(slot) || elsewhere.contains(slot)) continue;
      const std::string& name = rule.slots[slot].name;
      for (std::size_t i = 0; i < binds.size(); ++i) {
        if (binds[i].contains(slot)) continue;
        if (either.kind == Pattern::Kind::Maybe)
          warn(DiagnosticKind::UnreachableAlternative, either.place,
               "the rule never fires where this node is not there: it binds `{}`, which the "
               "replacement needs; `{} else …` says what stands in",
               name, name);
        else
          warn(DiagnosticKind::UnreachableAlternative, rules_[either.children[i]].place,
               "with this alternative the rule never fires: another one binds `{}`, which the "
               "replacement needs; `{} else …` says what stands in",
               name, name);
      }
    }
  }
}

}  // namespace rulec
