// SPDX-License-Identifier: Apache-2.0
#include "compiler/pattern_order.h"

#include <algorithm>
#include <map>

#include "matcher/op_table.h"

namespace rulec {

static bool same(const Literal& a, const Literal& b) {
  const auto number = [](const Literal& of) -> std::optional<double> {
    if (const auto* i = std::get_if<std::int64_t>(&of.value)) return static_cast<double>(*i);
    if (const auto* d = std::get_if<double>(&of.value)) return *d;
    return std::nullopt;
  };
  if (number(a) && number(b)) return *number(a) == *number(b);
  if (a.value.index() != b.value.index()) return false;
  if (const auto* list = std::get_if<std::vector<Literal>>(&a.value)) {
    const auto& other = std::get<std::vector<Literal>>(b.value);
    return std::equal(list->begin(), list->end(), other.begin(), other.end(), same);
  }
  if (const auto* text = std::get_if<std::string>(&a.value))
    return *text == std::get<std::string>(b.value);
  if (const auto* flag = std::get_if<bool>(&a.value)) return *flag == std::get<bool>(b.value);
  return true;
}

bool is_literal(const RuleSet& rules, ExprId id) {
  if (!id) return false;
  const Expr& expr = rules[id];
  if (expr.kind == Expr::Kind::Literal || expr.kind == Expr::Kind::DType) return true;
  return expr.kind == Expr::Kind::List &&
         std::all_of(expr.operands.begin(), expr.operands.end(),
                     [&](ExprId item) { return is_literal(rules, item); });
}

bool same_literal(const RuleSet& rules, ExprId a, ExprId b) {
  if (!is_literal(rules, a) || !is_literal(rules, b)) return false;
  const Expr &left = rules[a], &right = rules[b];
  if (left.kind != right.kind) return false;
  if (left.kind == Expr::Kind::DType) return left.dtype == right.dtype;
  if (left.kind == Expr::Kind::Literal) return same(left.literal, right.literal);
  return std::equal(left.operands.begin(), left.operands.end(), right.operands.begin(),
                    right.operands.end(),
                    [&](ExprId x, ExprId y) { return same_literal(rules, x, y); });
}

static bool is_rest(const Pattern& pattern) {
  return pattern.kind == Pattern::Kind::Rest || pattern.kind == Pattern::Kind::AnyRest;
}

// What surely stands for a value that is there.
static bool is_present(const RuleSet& rules, PatternId id) {
  const Pattern& pattern = rules[id];
  switch (pattern.kind) {
    case Pattern::Kind::Absent:
    case Pattern::Kind::AnyRest:
    case Pattern::Kind::Rest:
      return false;
    case Pattern::Kind::Bind:
      return !pattern.optional;
    case Pattern::Kind::Either:
    case Pattern::Kind::Maybe:
    case Pattern::Kind::Chain:
      return std::all_of(pattern.children.begin(), pattern.children.end(),
                         [&](PatternId child) { return is_present(rules, child); });
    default:
      return true;
  }
}

namespace {

// What the names of the wide pattern stand for in the narrow one.
class Wider {
 public:
  explicit Wider(const RuleSet& rules) : rules_(rules) {}

  bool over(PatternId wide, PatternId narrow) {
    const Pattern &a = rules_[wide], &b = rules_[narrow];
    if (b.kind == Pattern::Kind::Either || b.kind == Pattern::Kind::Maybe) {
      if (a.kind != b.kind || a.children.size() != b.children.size())
        return std::all_of(b.children.begin(), b.children.end(),
                           [&](PatternId child) { return over(wide, child); });
    }
    switch (a.kind) {
      case Pattern::Kind::Any:
        return is_present(rules_, narrow);
      case Pattern::Kind::Bind:
        return bind_over(a, b, narrow);
      case Pattern::Kind::Absent:
        return b.kind == Pattern::Kind::Absent;
      case Pattern::Kind::Literal:
        return b.kind == Pattern::Kind::Literal && (!a.exact || b.exact) &&
               same(a.literal, b.literal);
      case Pattern::Kind::Either:
      case Pattern::Kind::Maybe: {
        const auto names = names_;
        return std::any_of(a.children.begin(), a.children.end(), [&](PatternId child) {
          names_ = names;
          return over(child, narrow);
        });
      }
      case Pattern::Kind::Chain:
        return b.kind == Pattern::Kind::Chain && a.at_least <= b.at_least && a.ops == b.ops &&
               over(a.children.front(), b.children.front());
      case Pattern::Kind::Node:
        return b.kind == Pattern::Kind::Node && node_over(a, b);
      default:
        return false;
    }
  }

 private:
  // One name, one thing: the second mention must stand for the same name of the narrow pattern.
  bool name(SlotId slot, SlotId other) {
    if (!slot) return true;
    const auto [at, fresh] = names_.try_emplace(slot.index, other);
    return fresh || (other && at->second == other);
  }

  bool bind_over(const Pattern& a, const Pattern& b, PatternId narrow) {
    if (a.type) return false;
    if (!a.optional && !is_present(rules_, narrow)) return false;
    if (is_rest(b)) return false;
    const bool bound = b.kind == Pattern::Kind::Bind;
    if (a.constness != Pattern::Constness::Any) {
      const bool scalar = a.constness == Pattern::Constness::Scalar;
      const bool fits =
          b.kind == Pattern::Kind::Literal
              ? !std::holds_alternative<std::vector<Literal>>(b.literal.value) || !scalar
              : bound && (b.constness == Pattern::Constness::Scalar ||
                          (!scalar && b.constness == Pattern::Constness::Constant));
      if (!fits && b.kind != Pattern::Kind::Absent) return false;
    }
    return name(a.slot, bound ? b.slot : SlotId{});
  }

  bool attributes_over(const Pattern& a, const Pattern& b) {
    return std::all_of(
        a.attributes.begin(), a.attributes.end(), [&](const AttributePattern& wanted) {
          const auto given =
              std::find_if(b.attributes.begin(), b.attributes.end(),
                           [&](const AttributePattern& one) { return one.name == wanted.name; });
          if (wanted.bind) {
            // A moved operand that the run computes is bound by none.
            const OpName& op = a.ops.front();
            if (given == b.attributes.end() &&
                input_of_attribute(op.domain, op.type, wanted.name) >= 0)
              return false;
            return name(wanted.bind, given == b.attributes.end() ? SlotId{} : given->bind);
          }
          return given != b.attributes.end() && same_literal(rules_, wanted.equals, given->equals);
        });
  }

  bool node_over(const Pattern& a, const Pattern& b) {
    if (a.ops != b.ops || a.output != b.output || !a.predicates.empty()) return false;
    if (b.shared && !a.shared) return false;
    if (!attributes_over(a, b)) return false;
    if (a.any_arguments) return true;
    if (b.any_arguments) return false;
    if (!a.commutative && b.commutative) return false;
    const auto names = names_;
    if (arguments_over(a, b, false)) return true;
    names_ = names;
    return a.commutative && a.children.size() >= 2 && b.children.size() >= 2 &&
           arguments_over(a, b, true);
  }

  bool arguments_over(const Pattern& a, const Pattern& b, bool swapped) {
    for (std::size_t i = 0; i < a.children.size(); ++i) {
      const Pattern& child = rules_[a.children[i]];
      if (is_rest(child)) return !child.slot || name(child.slot, {});
      const std::size_t other = swapped && i < 2 ? 1 - i : i;
      if (other >= b.children.size() || a.input_of(i) != b.input_of(i)) return false;
      if (!over(a.children[i], b.children[other])) return false;
    }
    return a.children.size() == b.children.size();
  }

  const RuleSet& rules_;
  std::map<std::uint32_t, SlotId> names_;
};

}  // namespace

bool subsumes(const RuleSet& rules, PatternId wide, PatternId narrow) {
  return Wider(rules).over(wide, narrow);
}

static bool dtypes_meet(const Pattern& a, const Pattern& b) {
  if (!a.type || !b.type || a.type->dtypes.empty() || b.type->dtypes.empty()) return true;
  return std::any_of(a.type->dtypes.begin(), a.type->dtypes.end(), [&](DType dtype) {
    return std::find(b.type->dtypes.begin(), b.type->dtypes.end(), dtype) != b.type->dtypes.end();
  });
}

static bool nodes_meet(const RuleSet& rules, const Pattern& a, const Pattern& b) {
  if (a.ops != b.ops || a.output != b.output) return false;
  for (const AttributePattern& one : a.attributes)
    for (const AttributePattern& other : b.attributes)
      if (one.name == other.name && is_literal(rules, one.equals) &&
          is_literal(rules, other.equals) && !same_literal(rules, one.equals, other.equals))
        return false;
  if (a.any_arguments || b.any_arguments) return true;
  const auto meet = [&](bool swapped) {
    for (std::size_t i = 0;; ++i) {
      const std::size_t j = swapped && i < 2 ? 1 - i : i;
      if (i >= a.children.size() || j >= b.children.size()) {
        // What one lists and the other lacks must be able to be absent.
        const auto& longer = i < a.children.size() ? a.children : b.children;
        for (std::size_t k = i; k < longer.size(); ++k)
          if (is_present(rules, longer[k])) return false;
        return true;
      }
      if (is_rest(rules[a.children[i]]) || is_rest(rules[b.children[j]])) return true;
      if (a.input_of(i) != b.input_of(i)) return true;
      if (!may_overlap(rules, a.children[i], b.children[j])) return false;
    }
  };
  const bool either =
      (a.commutative || b.commutative) && a.children.size() == 2 && b.children.size() == 2;
  return meet(false) || (either && meet(true));
}

bool may_overlap(const RuleSet& rules, PatternId left, PatternId right) {
  const Pattern &a = rules[left], &b = rules[right];
  for (const auto* one : {&a, &b}) {
    const PatternId other = one == &a ? right : left;
    if (one->kind == Pattern::Kind::Either || one->kind == Pattern::Kind::Maybe)
      return std::any_of(one->children.begin(), one->children.end(),
                         [&](PatternId child) { return may_overlap(rules, child, other); });
  }
  if (a.kind == Pattern::Kind::Chain || b.kind == Pattern::Kind::Chain) return true;
  if (!dtypes_meet(a, b)) return false;
  const auto constant = [](const Pattern& pattern) {
    return pattern.kind == Pattern::Kind::Literal ||
           (pattern.kind == Pattern::Kind::Bind && pattern.constness != Pattern::Constness::Any);
  };
  if (a.kind == Pattern::Kind::Node && b.kind == Pattern::Kind::Node)
    return nodes_meet(rules, a, b);
  // A constant that a node makes is folded before anyone asks.
  if ((a.kind == Pattern::Kind::Node && constant(b)) ||
      (b.kind == Pattern::Kind::Node && constant(a)))
    return false;
  if (a.kind == Pattern::Kind::Literal && b.kind == Pattern::Kind::Literal)
    return same(a.literal, b.literal);
  if (a.kind == Pattern::Kind::Absent) return !is_present(rules, right);
  if (b.kind == Pattern::Kind::Absent) return !is_present(rules, left);
  return true;
}

}  // namespace rulec
