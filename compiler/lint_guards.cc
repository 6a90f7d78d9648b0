// SPDX-License-Identifier: Apache-2.0
// Guards that no model can make true: conditions that contradict one another, or what the pattern
// says of the same thing.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "compiler/linter.h"
#include "matcher/guard.h"

namespace rulec {
namespace {

// What several conditions leave of one quantity.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  std::optional<std::string> word;  // a string or an element type it must be
  std::vector<std::string> words;   // one of these; empty: any
  Place place;                      // of the condition that narrowed it last
};

struct Condition {
  std::string quantity;  // "rank(s0)", "opset"
  Operator op = Operator::Equal;
  std::optional<double> number;
  std::vector<std::string> words;
  Place place;
};

class Reader {
 public:
  explicit Reader(const RuleSet& rules) : rules_(rules) {}

  // A text that two expressions share only where they mean the same quantity; "" for others.
  std::string quantity(ExprId id) const {
    const Expr& expr = rules_[id];
    switch (expr.kind) {
      case Expr::Kind::Opset:
        return "opset";
      case Expr::Kind::Target:
        return "target";
      case Expr::Kind::Slot:
        return fmt::format("s{}", expr.slot.index);
      case Expr::Kind::Literal:
        return literal_text(expr.literal);
      case Expr::Kind::Call: {
        static const std::vector<std::string> known = {"rank",  "dim",  "size", "users",
                                                       "dtype", "name", "len"};
        if (std::find(known.begin(), known.end(), expr.name) == known.end()) return "";
        std::string out = expr.name + "(";
        for (const ExprId operand : expr.operands) {
          const std::string inner = quantity(operand);
          if (inner.empty()) return "";
          out += inner + ",";
        }
        return out + ")";
      }
      default:
        return "";
    }
  }

  // `a < 3`, `dtype(x) = f32`, `name(x) in ["a", "b"]`: a quantity against what is known.
  std::optional<Condition> condition(ExprId id, bool negated) const {
    const Expr& expr = rules_[id];
    if (expr.kind != Expr::Kind::Apply || expr.operands.size() != 2) return std::nullopt;
    Condition out;
    out.place = expr.place;
    out.op = expr.op;
    std::size_t side = 0;
    if (!known(expr.operands[1], out)) {
      if (!known(expr.operands[0], out)) return std::nullopt;
      side = 1;
      out.op = mirrored(expr.op);
    }
    const Expr& subject = rules_[expr.operands[side]];
    if (subject.kind == Expr::Kind::Literal) return std::nullopt;
    out.quantity = quantity(expr.operands[side]);
    if (out.quantity.empty()) return std::nullopt;
    if (out.op == Operator::In && out.words.empty()) return std::nullopt;
    if (negated) out.op = opposite(out.op);
    return out;
  }

 private:
  static std::string literal_text(const Literal& literal) {
    if (const auto* i = std::get_if<std::int64_t>(&literal.value)) return fmt::format("{}", *i);
    return "";
  }

  bool known(ExprId id, Condition& out) const {
    const Expr& expr = rules_[id];
    if (expr.kind == Expr::Kind::DType) {
      out.words = {std::string(name(expr.dtype))};
      return true;
    }
    if (expr.kind == Expr::Kind::List) {
      for (const ExprId item : expr.operands) {
        Condition one;
        if (!known(item, one) || one.words.size() != 1) return false;
        out.words.push_back(one.words.front());
      }
      return !out.words.empty();
    }
    if (expr.kind != Expr::Kind::Literal) return false;
    if (const auto* i = std::get_if<std::int64_t>(&expr.literal.value))
      out.number = static_cast<double>(*i);
    else if (const auto* d = std::get_if<double>(&expr.literal.value))
      out.number = *d;
    else if (const auto* s = std::get_if<std::string>(&expr.literal.value))
      out.words = {*s};
    else
      return false;
    return true;
  }

  static Operator mirrored(Operator op) {
    switch (op) {
      case Operator::Less:
        return Operator::Greater;
      case Operator::LessEqual:
        return Operator::GreaterEqual;
      case Operator::Greater:
        return Operator::Less;
      case Operator::GreaterEqual:
        return Operator::LessEqual;
      case Operator::In:
      case Operator::NotIn:
        return Operator::Matches;  // no condition on a quantity
      default:
        return op;
    }
  }

  static Operator opposite(Operator op) {
    switch (op) {
      case Operator::Less:
        return Operator::GreaterEqual;
      case Operator::LessEqual:
        return Operator::Greater;
      case Operator::Greater:
        return Operator::LessEqual;
      case Operator::GreaterEqual:
        return Operator::Less;
      case Operator::Equal:
        return Operator::NotEqual;
      case Operator::NotEqual:
        return Operator::Equal;
      case Operator::In:
        return Operator::NotIn;
      default:
        return Operator::Matches;
    }
  }

  const RuleSet& rules_;
};

// All that is held to be true at once.
class Facts {
 public:
  // False when nothing is left; `against` is then the condition that it does not go with.
  bool add(const Condition& one, Place* against) {
    Range& range = ranges_[one.quantity];
    const Place before = range.place;
    if (one.number) {
      // Sizes, ranks and opsets are whole numbers; what a name stands for need not be.
      const bool whole = !one.quantity.starts_with('s') || one.quantity.starts_with("size");
      switch (one.op) {
        case Operator::Less:
          range.high = std::min(range.high, whole ? std::ceil(*one.number) - 1 : *one.number);
          break;
        case Operator::LessEqual:
          range.high = std::min(range.high, *one.number);
          break;
        case Operator::Greater:
          range.low = std::max(range.low, whole ? std::floor(*one.number) + 1 : *one.number);
          break;
        case Operator::GreaterEqual:
          range.low = std::max(range.low, *one.number);
          break;
        case Operator::Equal:
          range.low = std::max(range.low, *one.number);
          range.high = std::min(range.high, *one.number);
          break;
        case Operator::NotEqual:
          if (range.low == *one.number && range.high == *one.number) {
            *against = before;
            return false;
          }
          return true;
        default:
          return true;
      }
      if (range.low > range.high) {
        *against = before;
        return false;
      }
      range.place = one.place;
      return true;
    }
    std::vector<std::string> left = range.words;
    const auto listed = [&](const std::string& word) {
      return std::find(one.words.begin(), one.words.end(), word) != one.words.end();
    };
    if (one.op == Operator::Equal || one.op == Operator::In) {
      if (range.words.empty())
        left = one.words;
      else
        std::erase_if(left, [&](const std::string& word) { return !listed(word); });
    } else if ((one.op == Operator::NotEqual || one.op == Operator::NotIn) && !left.empty()) {
      std::erase_if(left, listed);
    } else {
      return true;
    }
    if (left.empty()) {
      *against = before;
      return false;
    }
    range.words = std::move(left);
    range.place = one.place;
    return true;
  }

 private:
  std::map<std::string, Range> ranges_;
};

// Whether an expression asks neither the match nor the model.
static bool is_closed(const RuleSet& rules, ExprId id) {
  const Expr& expr = rules[id];
  switch (expr.kind) {
    case Expr::Kind::Literal:
    case Expr::Kind::DType:
      return true;
    case Expr::Kind::List:
    case Expr::Kind::Apply:
    case Expr::Kind::Method:
      return std::all_of(expr.operands.begin(), expr.operands.end(),
                         [&](ExprId operand) { return !operand || is_closed(rules, operand); });
    case Expr::Kind::Call:
      return expr.name != "opset" && expr.name != "target" &&
             std::all_of(expr.operands.begin(), expr.operands.end(),
                         [&](ExprId operand) { return is_closed(rules, operand); });
    default:
      return false;
  }
}

struct Contradiction {
  Place place, against;
};

// The first condition of a conjunction that leaves nothing.
static std::optional<Contradiction> contradiction(const RuleSet& rules, const OpTable& ops,
                                                  ExprId id, bool negated, Facts& facts) {
  const Expr& expr = rules[id];
  if (is_closed(rules, id)) {
    const Model nothing;
    const Situation anywhere;
    const std::vector<Slot> none;
    const Truth held = truth({.model = nothing,
                              .rules = rules,
                              .ops = ops,
                              .slots = none,
                              .bindings = {},
                              .situation = anywhere},
                             id);
    if (held == (negated ? Truth::True : Truth::False)) return Contradiction{expr.place, {}};
    return std::nullopt;
  }
  if (expr.kind == Expr::Kind::Apply) {
    const bool all = expr.op == (negated ? Operator::Or : Operator::And);
    const bool any = expr.op == (negated ? Operator::And : Operator::Or);
    if (expr.op == Operator::Not)
      return contradiction(rules, ops, expr.operands[0], !negated, facts);
    if (all) {
      for (const ExprId operand : expr.operands)
        if (auto found = contradiction(rules, ops, operand, negated, facts)) return found;
      return std::nullopt;
    }
    if (any) {
      std::optional<Contradiction> first;
      for (const ExprId operand : expr.operands) {
        Facts alone = facts;
        auto found = contradiction(rules, ops, operand, negated, alone);
        if (!found) return std::nullopt;
        if (!first) first = std::move(found);
      }
      if (first) first->place = expr.place;
      return first;
    }
  }
  if (const auto condition = Reader(rules).condition(id, negated)) {
    Contradiction out{condition->place, {}};
    if (!facts.add(*condition, &out.against)) return out;
  }
  return std::nullopt;
}

}  // namespace

void Linter::never_true(const Rule& rule) {
  Facts facts;
  Place ignored;
  const auto know = [&](std::string quantity, Operator op, double number, const Place& place) {
    facts.add({std::move(quantity), op, number, {}, place}, &ignored);
  };
  know("opset", Operator::GreaterEqual, 1, {});
  know("opset", Operator::LessEqual, ops_.newest_opset(""), {});
  for (std::uint32_t i = 0; i < rule.slots.size(); ++i)
    for (const char* function : {"rank", "size", "users", "len"})
      know(fmt::format("{}(s{},)", function, i), Operator::GreaterEqual, 0, {});
  std::vector<PatternId> open = rule.root.patterns;  // those that hold in every match
  while (!open.empty()) {
    const Pattern& pattern = rules_[open.back()];
    open.pop_back();
    if (pattern.kind == Pattern::Kind::Node || pattern.kind == Pattern::Kind::Chain)
      open.insert(open.end(), pattern.children.begin(), pattern.children.end());
    if (pattern.kind != Pattern::Kind::Bind || !pattern.type || !pattern.slot) continue;
    const std::string slot = fmt::format("s{}", pattern.slot.index);
    if (!pattern.type->dtypes.empty()) {
      Condition of;
      of.quantity = fmt::format("dtype({},)", slot);
      of.op = Operator::In;
      for (const DType dtype : pattern.type->dtypes)
        of.words.emplace_back(name(dtype));
      of.place = pattern.place;
      facts.add(of, &ignored);
    }
    if (pattern.type->shapes.size() != 1) continue;
    const auto& dims = pattern.type->shapes.front();
    const bool rest = std::any_of(dims.begin(), dims.end(), [](const DimPattern& dim) {
      return dim.kind == DimPattern::Kind::Rest;
    });
    if (rest) continue;
    know(fmt::format("rank({},)", slot), Operator::Equal, static_cast<double>(dims.size()),
         pattern.place);
    for (std::size_t i = 0; i < dims.size(); ++i)
      if (dims[i].kind == DimPattern::Kind::Fixed)
        know(fmt::format("dim({},{},)", slot, i), Operator::Equal,
             static_cast<double>(dims[i].size), pattern.place);
  }
  if (rule.requires_opset && !rule.requires_opset->otherwise) {
    static const std::map<std::string, Operator> relations = {
        {">=", Operator::GreaterEqual}, {">", Operator::Greater}, {"<", Operator::Less},
        {"<=", Operator::LessEqual},    {"=", Operator::Equal},   {"==", Operator::Equal}};
    if (const auto at = relations.find(rule.requires_opset->relation); at != relations.end())
      know("opset", at->second, rule.requires_opset->version, rule.place);
  }
  for (const ExprId guard : rule.where) {
    const auto found = contradiction(rules_, ops_, guard, false, facts);
    if (!found) continue;
    Diagnostic& diagnostic =
        warn(DiagnosticKind::NeverTrue, found->place, "this guard can never be true{}",
             found->against.file.empty() ? "" : " together with another condition");
    if (!found->against.file.empty()) note(diagnostic, found->against, "this leaves no such value");
    return;
  }
}

}  // namespace rulec
