// SPDX-License-Identifier: Apache-2.0
// Evaluation of expressions at rewrite time. An operand that is unknown makes the whole unknown,
// save where Kleene's logic or an `else` says otherwise; the reason travels along.
#include "matcher/guard.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "matcher/facts.h"
#include "matcher/glob.h"
#include "matcher/guard_calls.h"
#include "matcher/match.h"
#include "matcher/origin.h"
#include "matcher/tensor_math.h"

namespace rulec {

bool is_unknown(const RuleValue& value) {
  return std::holds_alternative<Unknown>(value.data);
}
bool is_none(const RuleValue& value) {
  return std::holds_alternative<None>(value.data);
}

static const std::string& reason(const RuleValue& value) {
  return std::get<Unknown>(value.data).why;
}

Truth truth_of(const RuleValue& value, std::string* why) {
  if (const auto* b = std::get_if<bool>(&value.data)) return *b ? Truth::True : Truth::False;
  if (is_unknown(value)) {
    if (why != nullptr) *why = reason(value);
    return Truth::Unknown;
  }
  if (const auto* list = std::get_if<std::vector<RuleValue>>(&value.data)) {
    Truth all = Truth::True;
    for (const RuleValue& item : *list) {
      const Truth one = truth_of(item, why);
      if (one == Truth::False) return Truth::False;
      if (one == Truth::Unknown) all = Truth::Unknown;
    }
    return all;
  }
  if (const auto* i = std::get_if<std::int64_t>(&value.data)) {
    return *i != 0 ? Truth::True : Truth::False;
  }
  if (const auto* t = std::get_if<Tensor>(&value.data)) {
    if (t->dtype() == DType::Bool) {
      for (std::int64_t i = 0; i < t->size(); ++i) {
        if (t->integer(i) == 0) return Truth::False;
      }
      return Truth::True;
    }
  }
  if (why != nullptr) *why = "this is not a condition";
  return Truth::Unknown;
}

RuleValue of_truth(Truth truth, std::string why) {
  if (truth == Truth::Unknown) return {Unknown{std::move(why)}};
  return {truth == Truth::True};
}

static Truth negated(Truth truth) {
  if (truth == Truth::Unknown) return truth;
  return truth == Truth::True ? Truth::False : Truth::True;
}

static bool has_open_ones(const Scope& scope, ExprId id) {
  const Expr& expr = scope.rules[id];
  if (expr.kind != Expr::Kind::Method && expr.kind != Expr::Kind::Call) return false;
  for (const bool spread : expr.spread) {
    if (spread) return true;
  }
  return false;
}

static std::optional<std::size_t> rank_of(const Scope& scope, const RuleValue& value) {
  if (const auto* t = std::get_if<Tensor>(&value.data)) return t->rank();
  if (const auto* v = std::get_if<ValueId>(&value.data)) {
    if (!*v) return std::nullopt;
    return type_of(scope.model, *v).rank();
  }
  return std::nullopt;
}

static RuleValue evaluate_slot(const Scope& scope, SlotId slot) {
  if (slot.index >= scope.bindings.size()) return unknown("a name without a slot");
  const Binding& binding = scope.bindings[slot.index];
  if (!binding.bound()) {
    for (const Let& let : scope.lets) {
      if (let.slot == slot) return let_value(scope, let);
    }
  }
  return from_binding(scope, binding, scope.slots[slot.index]);
}

// Whether an expression speaks of a name that only an alternative binds which did not match. It has
// no value then: `else` says what stands in, `is_none` holds, all else is unknown.
bool names_nothing(const Scope& scope, ExprId id) {
  const Expr& expr = scope.rules[id];
  if (expr.kind == Expr::Kind::Slot && expr.slot.index < scope.bindings.size()) {
    const SlotKind kind = scope.slots[expr.slot.index].kind;
    return !scope.bindings[expr.slot.index].bound() && kind != SlotKind::Let &&
           kind != SlotKind::Parameter;
  }
  return std::any_of(expr.operands.begin(), expr.operands.end(),
                     [&](ExprId operand) { return operand && names_nothing(scope, operand); });
}

static RuleValue evaluate_method(const Scope& scope, const Expr& expr,
                                 std::optional<std::size_t> other_rank) {
  std::vector<RuleValue> operands;
  for (const ExprId operand : expr.operands)
    operands.push_back(evaluate(scope, operand));
  return call_method(scope, expr, operands, other_rank);
}

static RuleValue evaluate_logic(const Scope& scope, const Expr& expr) {
  std::string why;
  const Truth first = truth(scope, expr.operands[0], &why);
  switch (expr.op) {
    case Operator::Not:
      return of_truth(negated(first), why);
    case Operator::OrUnknown:
      return {first != Truth::False};
    case Operator::And:
    case Operator::Or: {
      const Truth decides = expr.op == Operator::And ? Truth::False : Truth::True;
      if (first == decides) return {decides == Truth::True};
      bool open = first == Truth::Unknown;
      for (std::size_t i = 1; i < expr.operands.size(); ++i) {
        std::string next_why;
        const Truth next = truth(scope, expr.operands[i], &next_why);
        if (next == decides) return {decides == Truth::True};
        if (next == Truth::Unknown && !open) why = next_why;
        open = open || next == Truth::Unknown;
      }
      if (open) return {Unknown{why}};
      return {decides != Truth::True};
    }
    default:
      return unknown("not a logical operator");
  }
}

static std::optional<std::int64_t> index_in(std::int64_t index, std::size_t size) {
  if (index < 0) index += static_cast<std::int64_t>(size);
  if (index < 0 || index >= static_cast<std::int64_t>(size)) return std::nullopt;
  return index;
}

static RuleValue evaluate_index(const Scope& scope, const Expr& expr) {
  const RuleValue base = evaluate(scope, expr.operands[0]);
  if (is_unknown(base) || is_none(base)) return base;
  const RuleValue at = evaluate(scope, expr.operands[1]);
  if (is_unknown(at) || is_none(at)) return at;
  const auto index = as_integer(scope, at);
  if (!index) return unknown("an index must be an integer");
  if (const auto* s = std::get_if<std::string>(&base.data)) {
    const auto place = index_in(*index, s->size());
    if (!place) return unknown("index {} is outside a string of {}", *index, s->size());
    return {std::string(1, (*s)[static_cast<std::size_t>(*place)])};
  }
  const auto list = as_list(scope, base);
  if (!list) return unknown("this has no elements to index");
  const auto place = index_in(*index, list->size());
  if (!place) return unknown("index {} is outside a list of {}", *index, list->size());
  return (*list)[static_cast<std::size_t>(*place)];
}

static RuleValue evaluate_slice(const Scope& scope, const Expr& expr) {
  const RuleValue base = evaluate(scope, expr.operands[0]);
  if (is_unknown(base) || is_none(base)) return base;
  const auto* text = std::get_if<std::string>(&base.data);
  const auto list = text != nullptr ? std::nullopt : as_list(scope, base);
  if (text == nullptr && !list) return unknown("this has no elements to slice");
  const auto size = static_cast<std::int64_t>(text != nullptr ? text->size() : list->size());
  std::int64_t bounds[2] = {0, size};
  for (std::size_t i = 0; i < 2; ++i) {
    if (expr.operands.size() <= i + 1 || !expr.operands[i + 1]) continue;
    const RuleValue bound = evaluate(scope, expr.operands[i + 1]);
    if (is_unknown(bound) || is_none(bound)) return bound;
    const auto given = as_integer(scope, bound);
    if (!given) return unknown("a slice's bounds must be integers");
    const std::int64_t normal = *given < 0 ? *given + size : *given;
    bounds[i] = std::min(std::max<std::int64_t>(normal, 0), size);
  }
  const auto begin = static_cast<std::size_t>(bounds[0]);
  const auto end = static_cast<std::size_t>(std::max(bounds[0], bounds[1]));
  if (text != nullptr) return {text->substr(begin, end - begin)};
  return {std::vector<RuleValue>(list->begin() + static_cast<std::ptrdiff_t>(begin),
                                 list->begin() + static_cast<std::ptrdiff_t>(end))};
}

static RuleValue evaluate_glob(const RuleValue& text, const RuleValue& glob) {
  if (is_unknown(text)) return text;
  if (is_unknown(glob)) return glob;
  const auto* t = std::get_if<std::string>(&text.data);
  const auto* g = std::get_if<std::string>(&glob.data);
  if (t == nullptr || g == nullptr) return unknown("`~` compares a string with a glob");
  return {glob_match(*g, *t)};
}

RuleValue contains(const Scope& scope, const RuleValue& all, const RuleValue& item) {
  if (is_unknown(item)) return item;
  if (is_unknown(all)) return all;
  if (const auto* text = std::get_if<std::string>(&all.data)) {
    const auto* part = std::get_if<std::string>(&item.data);
    if (part == nullptr) return unknown("only a string can be in a string");
    return {text->find(*part) != std::string::npos};
  }
  const auto list = as_list(scope, all);
  if (!list) return unknown("the right side of `in` is no list");
  Truth any = Truth::False;
  std::string why;
  for (const RuleValue& one : *list) {
    const Truth same = equal(scope, item, one, &why);
    if (same == Truth::True) return {true};
    if (same == Truth::Unknown) any = Truth::Unknown;
  }
  return of_truth(any, why);
}

static RuleValue evaluate_apply(const Scope& scope, const Expr& expr) {
  switch (expr.op) {
    case Operator::Not:
    case Operator::And:
    case Operator::Or:
    case Operator::OrUnknown:
      return evaluate_logic(scope, expr);
    case Operator::Else: {
      if (names_nothing(scope, expr.operands[0])) return evaluate(scope, expr.operands[1]);
      RuleValue first = evaluate(scope, expr.operands[0]);
      return is_none(first) ? evaluate(scope, expr.operands[1]) : first;
    }
    case Operator::Conditional: {
      std::string why;
      const Truth condition = truth(scope, expr.operands[0], &why);
      if (condition == Truth::Unknown) return {Unknown{why}};
      return evaluate(scope, expr.operands[condition == Truth::True ? 1 : 2]);
    }
    case Operator::Index:
      return evaluate_index(scope, expr);
    case Operator::SliceOf:
      return evaluate_slice(scope, expr);
    case Operator::Matches:
      return evaluate_glob(evaluate(scope, expr.operands[0]), evaluate(scope, expr.operands[1]));
    case Operator::In:
    case Operator::NotIn: {
      const RuleValue in =
          contains(scope, evaluate(scope, expr.operands[1]), evaluate(scope, expr.operands[0]));
      const auto* held = std::get_if<bool>(&in.data);
      return held == nullptr ? in : RuleValue{*held == (expr.op == Operator::In)};
    }
    case Operator::Negate: {
      const RuleValue value = evaluate(scope, expr.operands[0]);
      if (const auto* i = std::get_if<std::int64_t>(&value.data)) return {-*i};
      if (const auto* d = std::get_if<double>(&value.data)) return {-*d};
      return apply(scope, Operator::Subtract, {std::int64_t{0}}, value);
    }
    default:
      break;
  }
  // A `1...` reaches to the rank of the other side.
  const bool open_left = has_open_ones(scope, expr.operands[0]);
  const bool open_right = has_open_ones(scope, expr.operands[1]);
  if (open_left == open_right) {
    return apply(scope, expr.op, evaluate(scope, expr.operands[0]),
                 evaluate(scope, expr.operands[1]));
  }
  const std::size_t plain = open_left ? 1 : 0;
  const RuleValue other = evaluate(scope, expr.operands[plain]);
  const RuleValue opened =
      evaluate_method(scope, scope.rules[expr.operands[1 - plain]], rank_of(scope, other));
  return open_left ? apply(scope, expr.op, opened, other) : apply(scope, expr.op, other, opened);
}

static RuleValue evaluate_self(const Scope& scope, const Expr& expr) {
  NodeId node = scope.self;
  if (!expr.operands.empty() && expr.operands[0]) {
    const RuleValue value = evaluate(scope, expr.operands[0]);
    if (const auto* given = std::get_if<NodeId>(&value.data)) node = *given;
  }
  if (!node) return unknown("no node stands here");
  const Model& model = scope.model;
  const GraphNode& info = model.node(node);
  switch (expr.kind) {
    case Expr::Kind::InBody:
      return {static_cast<bool>(model.graph(info.graph).owner)};
    case Expr::Kind::Is: {
      const bool output = expr.name == "output";
      bool any = false;
      for (const ValueId value : output ? info.outputs : info.inputs) {
        if (!value) continue;
        any = any || (output ? model.is_graph_output(value) : model.value(value).is_input);
      }
      return {any};
    }
    case Expr::Kind::Field:
      if (expr.name == "name") return {info.name};
      if (expr.name == "domain") {
        return {info.domain.empty() ? std::string("ai.onnx") : info.domain.str()};
      }
      if (expr.name == "type") return {info.type.str()};
      if (expr.name == "users") {
        std::size_t count = 0;
        for (const ValueId value : info.outputs) {
          if (value) count += model.use_count(value);
        }
        return {static_cast<std::int64_t>(count)};
      }
      if (expr.name == "inputs") return {static_cast<std::int64_t>(info.inputs.size())};
      return unknown("a node has no field `{}`", expr.name);
    default: {
      std::string why;
      const Truth held = body_holds(scope, node, expr, &why);
      return of_truth(held, why);
    }
  }
}

RuleValue evaluate(const Scope& scope, ExprId id) {
  if (!id) return {None{}};
  const Expr& expr = scope.rules[id];
  switch (expr.kind) {
    case Expr::Kind::Literal:
      return from_literal(expr.literal);
    case Expr::Kind::Slot:
      return evaluate_slot(scope, expr.slot);
    case Expr::Kind::List: {
      std::vector<RuleValue> out;
      for (const ExprId item : expr.operands)
        out.push_back(evaluate(scope, item));
      return {std::move(out)};
    }
    case Expr::Kind::Apply:
      return evaluate_apply(scope, expr);
    case Expr::Kind::Call: {
      if (expr.name == "is_none" && expr.operands.size() == 1 &&
          names_nothing(scope, expr.operands[0]))
        return {true};
      std::vector<RuleValue> operands;
      for (const ExprId operand : expr.operands)
        operands.push_back(evaluate(scope, operand));
      for (const auto& [name, value] : expr.named)
        operands.push_back(evaluate(scope, value));
      return call_function(scope, expr.name, operands);
    }
    case Expr::Kind::Method:
      return evaluate_method(scope, expr, std::nullopt);
    case Expr::Kind::DType:
      return {expr.dtype};
    case Expr::Kind::Word:
      return {expr.name};
    case Expr::Kind::Target:
      return {scope.situation.target};
    case Expr::Kind::Opset:
      return {static_cast<std::int64_t>(opset_of(scope.model, ""))};
    case Expr::Kind::Emit:
      return run_operator(scope, expr);
    case Expr::Kind::Template:
    case Expr::Kind::Inline:
      return unknown("a replacement has no value before it is made");
    case Expr::Kind::InBody:
    case Expr::Kind::Is:
    case Expr::Kind::Contains:
    case Expr::Kind::BodyIs:
    case Expr::Kind::Field:
      return evaluate_self(scope, expr);
  }
  return unknown("an expression of no known kind");
}

Truth truth(const Scope& scope, ExprId expr, std::string* why) {
  RuleValue value = evaluate(scope, expr);
  if (std::holds_alternative<ValueId>(value.data)) {
    const auto tensor = as_tensor(scope, value);
    if (tensor && tensor->size() == 1) {
      value = {tensor->number(0) != 0};
    } else {
      value = unknown("{} is not a constant condition", to_string(scope, value));
    }
  }
  return truth_of(value, why);
}

}  // namespace rulec
