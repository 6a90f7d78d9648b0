// SPDX-License-Identifier: Apache-2.0
#include "matcher/guard_reason.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "matcher/facts.h"
#include "matcher/guard_calls.h"
#include "matcher/label.h"

namespace rulec {

// ---- where inference stopped ------------------------------------------------------------------

// How much is known of a value's type: 0 nothing of its rank, 1 some sizes, 2 all.
static int knowledge(const Model& model, ValueId value) {
  const Type type = type_of(model, value);
  if (!type.is_tensor() || !type.dims) return 0;
  return std::all_of(type.dims->begin(), type.dims->end(),
                     [](const Dim& dim) { return dim.known(); })
             ? 2
             : 1;
}

// Operators whose results have as many elements as their operands' data say.
static bool sized_by_data(const GraphNode& node) {
  static constexpr std::string_view types[] = {"NonZero", "Unique", "Compress", "NonMaxSuppression",
                                               "StringSplit"};
  return node.domain.empty() &&
         std::find(std::begin(types), std::end(types), node.type.str()) != std::end(types);
}

static std::string open_input(const Model& model, ValueId value) {
  const GraphValue& info = model.value(value);
  const bool outer = static_cast<bool>(model.graph(info.graph).owner);
  const std::string what =
      fmt::format("{} `{}`", outer ? "the body's input" : "the model's input", info.name);
  const Type type = type_of(model, value);
  if (!type.is_tensor() || !type.dims) return fmt::format("{} is declared without a rank", what);
  for (std::size_t i = 0; i < type.dims->size(); ++i) {
    const Dim& dim = (*type.dims)[i];
    if (dim.known()) continue;
    if (dim.symbol.empty() || outer)
      return fmt::format("{} leaves the size of axis {} open", what, i);
    return fmt::format("{} leaves the size `{}` of axis {} open (`--dim {}=…` fixes it)", what,
                       dim.symbol, i, dim.symbol);
  }
  return "";
}

std::string inference_stop(const Model& model, ValueId value) {
  static constexpr int most_steps = 10000;
  for (int step = 0; value && step < most_steps; ++step) {
    const int known = knowledge(model, value);
    if (known == 2) return "";
    const NodeId producer = model.value(value).producer;
    if (!producer) return open_input(model, value);
    if (known == 1 && sized_by_data(model.node(producer)))
      return fmt::format("shape inference stopped at `{}`: how much it gives depends on the data",
                         label(model, producer));
    // Up to what says no more; a rank that is known hangs on sizes.
    ValueId above;
    for (const ValueId input : model.node(producer).inputs) {
      if (!input || knowledge(model, input) > known) continue;
      above = input;
      break;
    }
    if (!above)
      return fmt::format(
          "shape inference stopped at `{}`: what it reads is known, the {} of its result is not",
          label(model, producer), known == 0 ? "rank" : "size");
    value = above;
  }
  return "";
}

// Symbols that inference made up say nothing to a reader.
static Type without_fresh_symbols(Type type) {
  if (type.dims)
    for (Dim& dim : *type.dims)
      if (dim.symbol.starts_with("unk__")) dim.symbol.clear();
  return type;
}

// ---- what a guard came to ---------------------------------------------------------------------

static std::string_view sign_of(Operator op) {
  switch (op) {
    case Operator::Equal:
      return "=";
    case Operator::NotEqual:
      return "!=";
    case Operator::Less:
      return "<";
    case Operator::LessEqual:
      return "<=";
    case Operator::Greater:
      return ">";
    case Operator::GreaterEqual:
      return ">=";
    case Operator::In:
      return "in";
    case Operator::NotIn:
      return "not in";
    case Operator::Matches:
      return "~";
    default:
      return "";
  }
}

// Both sides of the comparison that decided, through `and`, `all(…)` and lists.
static std::string comparison(const Scope& scope, ExprId id) {
  const Expr& expr = scope.rules[id];
  if (expr.kind == Expr::Kind::Call && expr.name == "all" && expr.operands.size() == 1)
    return comparison(scope, expr.operands[0]);
  if (expr.kind != Expr::Kind::Apply) return "";
  if (expr.op == Operator::And) {
    for (const ExprId part : expr.operands)
      if (truth(scope, part) == Truth::False) return comparison(scope, part);
    return "";
  }
  const std::string_view sign = sign_of(expr.op);
  if (sign.empty() || expr.operands.size() != 2) return "";
  return fmt::format("{} {} {}", to_string(scope, evaluate(scope, expr.operands[0])), sign,
                     to_string(scope, evaluate(scope, expr.operands[1])));
}

std::string guard_reason(const Scope& scope, ExprId guard, Truth held, const std::string& why,
                         std::span<const std::uint32_t> slots) {
  std::string names, stops;
  for (const std::uint32_t slot : slots) {
    if (names.size() > 200 || !scope.bindings[slot].bound()) continue;
    const RuleValue value = from_binding(scope, scope.bindings[slot], scope.slots[slot]);
    names += fmt::format("{}{} = {}", names.empty() ? "" : ", ", scope.slots[slot].name,
                         to_string(scope, value));
    const auto* id = std::get_if<ValueId>(&value.data);
    if (id == nullptr || !*id) continue;
    const Type type = type_of(scope.model, *id);
    if (type.kind != Type::Kind::Unknown) names += " " + to_string(without_fresh_symbols(type));
    if (held == Truth::Unknown && stops.empty()) stops = inference_stop(scope.model, *id);
  }
  std::string out;
  if (held == Truth::Unknown) {
    out = "unknown: " + why;
    if (!stops.empty()) out += "; " + stops;
  } else {
    const std::string sides = comparison(scope, guard);
    out = sides.empty() ? "it does not" : fmt::format("`{}` is false", sides);
  }
  return names.empty() ? out : out + " (" + names + ")";
}

}  // namespace rulec
