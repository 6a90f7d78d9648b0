// SPDX-License-Identifier: Apache-2.0
// Expressions of a replacement: which are values already there, which are constants, which are new
// nodes. How one node is written is emit_node.cc's business.
#include "matcher/emit.h"

#include <algorithm>

#include "matcher/clone.h"
#include "matcher/emission.h"
#include "matcher/facts.h"
#include "matcher/guard_calls.h"
#include "matcher/onnx_infer_node.h"

namespace rulec {

Result<Emitted> emit(Model& model, const Scope& scope, ExprId expr, const EmitOptions& options) {
  return Emission(model, scope, options).run(expr);
}

Result<Emitted> Emission::run(ExprId id) {
  const Expr& expr = scope_.rules[id];
  Result<std::vector<ValueId>> results = std::vector<ValueId>{};
  if (expr.kind == Expr::Kind::Emit) {
    results = emit_node(expr, true);
  } else if (expr.kind == Expr::Kind::Inline) {
    results = inline_body(expr);
  } else if (expr.kind == Expr::Kind::Template) {
    results = call_template(expr);
  } else if (expr.kind == Expr::Kind::Apply && expr.op == Operator::Conditional) {
    std::string why;
    const Truth condition = truth(scope_, expr.operands[0], &why);
    if (condition == Truth::Unknown) return make_error("a replacement's condition: {}", why);
    return run(expr.operands[condition == Truth::True ? 1 : 2]);
  } else {
    auto only = operand(id);
    if (!only) {
      results = only.error();
    } else if (only->absent()) {
      results = make_error("the replacement is an absent operand");
    } else if (const ValueId* value = only->value()) {
      results = std::vector<ValueId>{*value};
    } else {
      const DType own = stored_dtype(scope_, *only->constant());
      const auto made =
          constant(*only->constant(), own == DType::Undefined ? options_.literal_dtype : own);
      if (made) {
        results = std::vector<ValueId>{*made};
      } else {
        results = made.error();
      }
    }
  }
  if (!results) {
    take_back();
    return results.error();
  }
  return Emitted{*results, nodes_, assumed_};
}

void Emission::take_back() {
  for (std::size_t i = nodes_.size(); i-- > 0;)
    model_.remove_node(nodes_[i]);
  for (const ValueId value : initializers_) {
    if (model_.use_count(value) == 0) model_.remove_initializer(value);
  }
}

Result<EmitOperand> Emission::evaluated(ExprId id) {
  RuleValue value = evaluate(scope_, id);
  if (const auto* unknown = std::get_if<Unknown>(&value.data))
    return make_error("{}", unknown->why);
  if (is_none(value)) return EmitOperand{None{}};
  if (const auto* known = std::get_if<ValueId>(&value.data)) return EmitOperand{*known};
  if (std::holds_alternative<NodeId>(value.data)) {
    const GraphNode& node = model_.node(std::get<NodeId>(value.data));
    if (node.outputs.empty()) return make_error("{} has no result", node.name);
    return EmitOperand{node.outputs.front()};
  }
  return EmitOperand{std::move(value)};
}

Result<EmitOperand> Emission::operand(ExprId id) {
  const Expr& expr = scope_.rules[id];
  switch (expr.kind) {
    case Expr::Kind::Emit: {
      const auto made = emit_node(expr, false);
      if (!made) return made.error();
      return EmitOperand{made->front()};
    }
    case Expr::Kind::Inline: {
      const auto made = inline_body(expr);
      if (!made) return made.error();
      if (made->empty()) return make_error("the body has no result");
      return EmitOperand{made->front()};
    }
    case Expr::Kind::Apply:
      return apply_operand(expr);
    case Expr::Kind::Call:
      return call_operand(expr);
    case Expr::Kind::Template: {
      const auto made = call_template(expr);
      if (!made) return made.error();
      return EmitOperand{made->front()};
    }
    default:
      return evaluated(id);
  }
}

static const char* arithmetic_operator(Operator op) {
  switch (op) {
    case Operator::Add:
      return "Add";
    case Operator::Subtract:
      return "Sub";
    case Operator::Multiply:
      return "Mul";
    case Operator::Divide:
      return "Div";
    default:
      return nullptr;
  }
}

// An expression over values that only the run knows becomes nodes; over constants, a constant.
static bool needs_nodes(const Scope& scope, ExprId id) {
  std::vector<ExprId> open = {id};
  while (!open.empty()) {
    const ExprId next = open.back();
    open.pop_back();
    if (!next) continue;
    const Expr& expr = scope.rules[next];
    if (expr.kind == Expr::Kind::Emit || expr.kind == Expr::Kind::Inline ||
        expr.kind == Expr::Kind::Template)
      return true;
    if (expr.kind == Expr::Kind::Slot && expr.slot.index < scope.bindings.size()) {
      const auto* value = std::get_if<ValueId>(&scope.bindings[expr.slot.index].held);
      if (value != nullptr && *value && !constant_tensor(scope.model, *value)) return true;
    }
    if (expr.kind == Expr::Kind::Apply) {
      open.insert(open.end(), expr.operands.begin(), expr.operands.end());
    }
  }
  return false;
}

Result<EmitOperand> Emission::apply_operand(const Expr& expr) {
  if (expr.op == Operator::Else) {
    if (names_nothing(scope_, expr.operands[0])) return operand(expr.operands[1]);
    const Expr& first = scope_.rules[expr.operands[0]];
    if (first.kind == Expr::Kind::Apply || first.kind == Expr::Kind::Slot) {
      auto value = operand(expr.operands[0]);
      if (!value || !value->absent()) return value;
      return operand(expr.operands[1]);
    }
  }
  if (expr.op == Operator::Conditional) {
    std::string why;
    const Truth condition = truth(scope_, expr.operands[0], &why);
    if (condition == Truth::Unknown) return make_error("a replacement's condition: {}", why);
    return operand(expr.operands[condition == Truth::True ? 1 : 2]);
  }
  const ExprId self{static_cast<std::uint32_t>(&expr - scope_.rules.exprs.data())};
  const char* type = arithmetic_operator(expr.op);
  if (type == nullptr || !needs_nodes(scope_, self)) return evaluated(self);
  auto left = operand(expr.operands[0]);
  if (!left) return left;
  auto right = operand(expr.operands[1]);
  if (!right) return right;
  if (left->absent() || right->absent()) return EmitOperand{None{}};
  return make_operand(type, {*left, *right});
}

Result<EmitOperand> Emission::call_operand(const Expr& expr) {
  const ExprId self{static_cast<std::uint32_t>(&expr - scope_.rules.exprs.data())};
  if (expr.name == "not_empty" && expr.operands.size() == 1) {
    const auto boxes = operand(expr.operands[0]);
    if (!boxes) return boxes;
    if (boxes->absent()) return EmitOperand{None{}};
    return not_empty(*boxes);
  }
  if (expr.name == "concat" && !expr.operands.empty()) {
    const RuleValue whole = evaluate(scope_, self);
    if (!is_unknown(whole)) return evaluated(self);
    const RuleValue list = evaluate(scope_, expr.operands[0]);
    const auto* parts = std::get_if<std::vector<RuleValue>>(&list.data);
    const bool values = parts != nullptr && !parts->empty() &&
                        std::all_of(parts->begin(), parts->end(), [](const RuleValue& part) {
                          return std::holds_alternative<ValueId>(part.data);
                        });
    if (!values) return evaluated(self);
    std::vector<EmitOperand> operands;
    for (const RuleValue& part : *parts)
      operands.push_back({std::get<ValueId>(part.data)});
    const RuleValue axis =
        expr.operands.size() > 1 ? evaluate(scope_, expr.operands[1]) : RuleValue{std::int64_t{0}};
    return make_operand("Concat", std::move(operands), {}, {{"axis", axis}});
  }
  return evaluated(self);
}

Result<EmitOperand> Emission::make_operand(std::string type, std::vector<EmitOperand> operands,
                                           std::vector<Attribute> attributes,
                                           std::vector<std::pair<std::string, RuleValue>> loose) {
  Draft draft;
  draft.op.type = std::move(type);
  draft.operands = std::move(operands);
  draft.attributes = std::move(attributes);
  draft.loose = std::move(loose);
  const auto made = make(std::move(draft));
  if (!made) return made.error();
  return EmitOperand{made->front()};
}

static RuleValue integers(std::initializer_list<std::int64_t> numbers) {
  std::vector<RuleValue> out;
  for (const std::int64_t number : numbers)
    out.push_back({number});
  return {std::move(out)};
}

// Of boxes [..., 4] (two corners): bool [..., 1], whether a box has an area inside the unit window.
Result<EmitOperand> Emission::not_empty(const EmitOperand& boxes) {
  auto inside = make_operand("Clip", {boxes}, {}, {{"min", {0.0}}, {"max", {1.0}}});
  if (!inside) return inside;
  const auto coordinate = [&](std::int64_t index) {
    return make_operand(
        "Slice", {*inside}, {},
        {{"starts", integers({index})}, {"ends", integers({index + 1})}, {"axes", integers({-1})}});
  };
  std::vector<EmitOperand> sides;
  for (const std::int64_t side : {0, 1}) {
    const auto low = coordinate(side);
    if (!low) return low;
    const auto high = coordinate(side + 2);
    if (!high) return high;
    auto wider = make_operand("Greater", {*high, *low});
    if (!wider) return wider;
    sides.push_back(*wider);
  }
  return make_operand("And", std::move(sides));
}

Result<std::vector<ValueId>> Emission::inline_body(const Expr& expr) {
  const NodeId owner = scope_.self;
  if (!owner) return make_error("no matched node has a body to inline");
  if (expr.operands.empty()) return make_error("inline() names no body");
  const RuleValue which = evaluate(scope_, expr.operands[0]);
  const auto* word = std::get_if<std::string>(&which.data);
  if (word == nullptr) {
    return make_error("which body to inline: {}", to_string(scope_, which));
  }
  std::string attribute = *word;
  if (attribute == "then_body") attribute = "then_branch";
  if (attribute == "else_body") attribute = "else_branch";
  const GraphId* body = model_.node(owner).attributes.get<GraphId>(attribute);
  GraphId from;
  std::vector<Attribute> parameters;
  ValueMap map;
  if (body != nullptr) {
    from = *body;
    if (!model_.graph(from).inputs.empty()) {
      return make_error("only a body without inputs of its own can be inlined");
    }
  } else {
    const GraphNode& node = model_.node(owner);
    for (const Function& function : model_.functions) {
      if (function.domain == node.domain.str() && function.name == node.type.str() &&
          function.overload == node.overload.str()) {
        from = function.body;
        parameters = function.attribute_defaults;
        for (const Attribute& given : node.attributes.all()) {
          std::erase_if(parameters, [&](const Attribute& a) { return a.name == given.name; });
          parameters.push_back(given);
        }
      }
    }
    if (!from) return make_error("{} has no body `{}`", node.type, *word);
    const auto& formal = model_.graph(from).inputs;
    for (std::size_t i = 0; i < formal.size(); ++i) {
      map[formal[i].index] = i < node.inputs.size() ? node.inputs[i] : ValueId{};
    }
  }
  for (const NodeId node :
       clone_nodes(model_, from, options_.graph, options_.before, map, parameters)) {
    nodes_.push_back(node);
    auto& metadata = model_.node(node).metadata.edit();
    metadata.insert(metadata.end(), options_.metadata.begin(), options_.metadata.end());
  }
  std::vector<ValueId> results;
  for (const ValueId output : model_.graph(from).outputs) {
    const auto found = map.find(output.index);
    results.push_back(found == map.end() ? output : found->second);
  }
  return results;
}

}  // namespace rulec
