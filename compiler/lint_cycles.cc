// SPDX-License-Identifier: Apache-2.0
// Rules that undo what another did, or one after the other lead back to where they began.
#include <algorithm>
#include <deque>
#include <memory>
#include <set>

#include "compiler/linter.h"
#include "compiler/pattern_order.h"
#include "compiler/rule_parts.h"

namespace rulec {

namespace {

// A pattern or replacement as a term: operators over names. Constants computed by a replacement
// are names of their own.
struct Term {
  std::string op;         // empty: a name
  std::string name;       // of a value; a literal's text
  bool constant = false;  // a constant, as far as the rules say
  bool commutative = false;
  std::map<std::string, std::string> attributes;  // literal text, or "$name"
  std::vector<std::shared_ptr<const Term>> operands;
};
using TermPtr = std::shared_ptr<const Term>;

class Terms {
 public:
  Terms(const RuleSet& rules, const Rule& rule, std::string prefix)
      : rules_(rules), rule_(rule), prefix_(std::move(prefix)) {}

  TermPtr of_pattern(PatternId id) const {
    const Pattern& pattern = rules_[id];
    auto out = std::make_shared<Term>();
    switch (pattern.kind) {
      case Pattern::Kind::Any:
        out->name = fmt::format("{}any{}", prefix_, id.index);
        return out;
      case Pattern::Kind::Bind:
        if (pattern.type || pattern.optional) return nullptr;
        out->name = slot_name(pattern.slot, id.index);
        out->constant = pattern.constness != Pattern::Constness::Any;
        return out;
      case Pattern::Kind::Literal:
        out->name = literal_text(pattern.literal);
        out->constant = true;
        return out->name.empty() ? nullptr : out;
      case Pattern::Kind::Node:
        break;
      default:
        return nullptr;
    }
    if (pattern.any_arguments || !pattern.inputs.empty()) return nullptr;
    out->op = pattern.ops.front().domain + "::" + pattern.ops.front().type;
    out->commutative = pattern.commutative;
    for (const AttributePattern& attribute : pattern.attributes) {
      const std::string text =
          attribute.bind ? "$" + slot_name(attribute.bind, 0) : literal_of(attribute.equals);
      if (text.empty()) return nullptr;
      out->attributes[attribute.name] = text;
    }
    for (const PatternId child : pattern.children) {
      auto operand = of_pattern(child);
      if (!operand) return nullptr;
      out->operands.push_back(std::move(operand));
    }
    return out;
  }

  TermPtr of_expr(ExprId id) const {
    const Expr& expr = rules_[id];
    auto out = std::make_shared<Term>();
    if (expr.kind == Expr::Kind::Slot) {
      const SlotKind kind = rule_.slots[expr.slot.index].kind;
      out->name = slot_name(expr.slot, 0);
      out->constant = kind == SlotKind::Scalar || kind == SlotKind::Let ||
                      kind == SlotKind::Attribute || captures_constant(rules_, rule_, expr.slot);
      return kind == SlotKind::Values ? nullptr : out;
    }
    if (expr.kind != Expr::Kind::Emit) {
      out->name = expr.kind == Expr::Kind::Literal ? literal_text(expr.literal) : std::string();
      if (out->name.empty()) out->name = fmt::format("{}e{}", prefix_, id.index);
      out->constant = true;
      return out;
    }
    const Emit& emit = *expr.emit;
    if (emit.node || !emit.arguments || emit.output_count != 1) return nullptr;
    out->op = emit.op.domain + "::" + emit.op.type;
    for (const EmitAttribute& attribute : emit.attributes) {
      if (attribute.name.empty()) return nullptr;
      const Expr& value = rules_[attribute.value];
      std::string text = value.kind == Expr::Kind::Slot ? "$" + slot_name(value.slot, 0)
                                                        : literal_of(attribute.value);
      if (text.empty()) text = fmt::format("${}e{}", prefix_, attribute.value.index);
      out->attributes[attribute.name] = text;
    }
    for (std::size_t i = 0; i < emit.arguments->size(); ++i) {
      if (i < emit.spread.size() && emit.spread[i]) return nullptr;
      auto operand = of_expr((*emit.arguments)[i]);
      if (!operand) return nullptr;
      out->operands.push_back(std::move(operand));
    }
    return out;
  }

 private:
  std::string slot_name(SlotId slot, std::uint32_t otherwise) const {
    return slot ? fmt::format("{}s{}", prefix_, slot.index)
                : fmt::format("{}p{}", prefix_, otherwise);
  }

  static std::string literal_text(const Literal& literal) {
    if (const auto* i = std::get_if<std::int64_t>(&literal.value)) return fmt::format("#{}", *i);
    if (const auto* d = std::get_if<double>(&literal.value)) return fmt::format("#{}", *d);
    if (const auto* b = std::get_if<bool>(&literal.value)) return fmt::format("#{}", *b ? 1 : 0);
    if (const auto* s = std::get_if<std::string>(&literal.value)) return fmt::format("#\"{}\"", *s);
    return "";
  }

  std::string literal_of(ExprId id) const {
    if (!is_literal(rules_, id)) return "";
    const Expr& expr = rules_[id];
    if (expr.kind == Expr::Kind::DType) return fmt::format("#{}", name(expr.dtype));
    if (expr.kind == Expr::Kind::Literal) return literal_text(expr.literal);
    std::string out = "#[";
    for (const ExprId item : expr.operands)
      out += literal_of(item) + ",";
    return out + "]";
  }

  const RuleSet& rules_;
  const Rule& rule_;
  std::string prefix_;  // keeps the names of rules apart
};

// What the names of a pattern stand for.
struct Meaning {
  std::map<std::string, TermPtr> values;
  std::map<std::string, std::string> attributes;
};

static std::string text_of(const TermPtr& term) {
  std::string out = term->op + term->name;
  for (const auto& [name, value] : term->attributes)
    out += "{" + name + "=" + value + "}";
  for (const TermPtr& operand : term->operands)
    out += "(" + text_of(operand) + ")";
  return out;
}

static bool match(const TermPtr& pattern, const TermPtr& term, Meaning& meaning) {
  if (pattern->op.empty()) {
    if (pattern->name.starts_with('#')) return term->op.empty() && term->name == pattern->name;
    if (pattern->constant && (!term->op.empty() || !term->constant)) return false;
    const auto [at, fresh] = meaning.values.try_emplace(pattern->name, term);
    return fresh || text_of(at->second) == text_of(term);
  }
  if (pattern->op != term->op || pattern->operands.size() != term->operands.size()) return false;
  for (const auto& [name, wanted] : pattern->attributes) {
    const auto given = term->attributes.find(name);
    // What the term does not say is a default that nobody names here.
    const std::string value = given == term->attributes.end() ? "#default" : given->second;
    if (!wanted.starts_with('$')) {
      if (wanted != value) return false;
      continue;
    }
    const auto [at, fresh] = meaning.attributes.try_emplace(wanted, value);
    if (!fresh && at->second != value) return false;
  }
  const auto operands = [&](bool swapped, Meaning& to) {
    for (std::size_t i = 0; i < pattern->operands.size(); ++i)
      if (!match(pattern->operands[i], term->operands[swapped ? 1 - i : i], to)) return false;
    return true;
  };
  Meaning first = meaning;
  if (operands(false, first)) {
    meaning = std::move(first);
    return true;
  }
  return pattern->commutative && pattern->operands.size() == 2 && operands(true, meaning);
}

static TermPtr put_in(const TermPtr& term, const Meaning& meaning) {
  if (term->op.empty()) {
    const auto at = meaning.values.find(term->name);
    return at == meaning.values.end() ? term : at->second;
  }
  auto out = std::make_shared<Term>(*term);
  for (auto& [name, value] : out->attributes)
    if (const auto at = meaning.attributes.find(value); at != meaning.attributes.end())
      value = at->second;
  for (TermPtr& operand : out->operands)
    operand = put_in(operand, meaning);
  return out;
}

struct Equation {
  RuleId rule;
  TermPtr pattern, replacement;
};

// What one application of an equation, anywhere in a term, makes of it.
static void apply_everywhere(const Equation& by, const TermPtr& term, std::vector<TermPtr>& out) {
  Meaning meaning;
  if (match(by.pattern, term, meaning)) out.push_back(put_in(by.replacement, meaning));
  for (std::size_t i = 0; i < term->operands.size(); ++i) {
    std::vector<TermPtr> inner;
    apply_everywhere(by, term->operands[i], inner);
    for (TermPtr& made : inner) {
      auto whole = std::make_shared<Term>(*term);
      whole->operands[i] = std::move(made);
      out.push_back(std::move(whole));
    }
  }
}

}  // namespace

// A rule's replacement that other rules lead back to its pattern, with bounds on how far is looked.
void Linter::rule_cycles(const Phase& phase) {
  static constexpr std::size_t deepest = 4, most_terms = 2000;
  std::vector<Equation> equations;
  for (const RuleId id : phase.rules) {
    const Rule& rule = rules_[id];
    if (!is_plain(rules_, rule) || !rule.replacement || has_conditions(rules_, rule)) continue;
    const Terms terms(rules_, rule, fmt::format("r{}", id.index));
    Equation one{id, terms.of_pattern(rule.root.patterns.front()), terms.of_expr(rule.replacement)};
    if (one.pattern && one.replacement && !one.pattern->op.empty()) equations.push_back(one);
  }
  std::set<std::set<std::uint32_t>> told;
  for (const Equation& start : equations) {
    if (!is_requested(rules_[start.rule].place)) continue;
    struct Step {
      TermPtr term;
      std::vector<RuleId> by;
    };
    std::deque<Step> open = {{start.replacement, {}}};
    std::set<std::string> seen = {text_of(start.replacement)};
    while (!open.empty() && seen.size() < most_terms) {
      const Step step = std::move(open.front());
      open.pop_front();
      Meaning meaning;
      if (!step.by.empty() && match(start.pattern, step.term, meaning)) {
        std::set<std::uint32_t> members = {start.rule.index};
        for (const RuleId id : step.by)
          members.insert(id.index);
        if (!told.insert(members).second) break;
        std::vector<std::string> names;
        for (const RuleId id : step.by)
          names.push_back(called(rules_[id]));
        Diagnostic& diagnostic = warn(DiagnosticKind::RuleCycle, rules_[start.rule].place,
                                      "{} undoes what {} did: together they never end",
                                      fmt::join(names, " and then "), called(rules_[start.rule]));
        for (const RuleId id : step.by)
          note(diagnostic, rules_[id].place, "part of the cycle");
        break;
      }
      if (step.by.size() >= deepest) continue;
      for (const Equation& next : equations) {
        // A rule takes no node as root that it made itself.
        if (next.rule == start.rule) continue;
        std::vector<TermPtr> made;
        apply_everywhere(next, step.term, made);
        for (TermPtr& term : made) {
          if (!seen.insert(text_of(term)).second) continue;
          std::vector<RuleId> by = step.by;
          by.push_back(next.rule);
          open.push_back({std::move(term), std::move(by)});
        }
      }
    }
  }
}

}  // namespace rulec
