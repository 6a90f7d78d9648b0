// SPDX-License-Identifier: Apache-2.0
// The methods of tensors in `let` (`w.reshape(-1, 1)`), and operators over constants.
#include <algorithm>

#include "matcher/facts.h"
#include "matcher/guard_calls.h"
#include "matcher/tensor_math.h"
#include "runtime/generic/kernel.h"

namespace rulec {

const std::vector<std::string>& method_names() {
  static const std::vector<std::string> names = {"cast", "flatten", "reshape", "squeeze",
                                                 "transpose"};
  return names;
}

RuleValue call_method(const Scope& scope, const Expr& expr, const std::vector<RuleValue>& operands,
                      std::optional<std::size_t> other_rank) {
  for (const RuleValue& operand : operands) {
    if (is_unknown(operand) || is_none(operand)) return operand;
  }
  const auto tensor = as_tensor(scope, operands[0]);
  if (!tensor) return unknown("{} is not a constant", to_string(scope, operands[0]));
  const DType narrow = stored_dtype(scope, operands[0]);
  if (expr.name == "cast") {
    const auto* to = operands.size() == 2 ? std::get_if<DType>(&operands[1].data) : nullptr;
    if (to == nullptr) return unknown(".{} wants an element type", expr.name);
    return {convert(narrow == DType::Undefined ? *tensor : convert(*tensor, narrow), *to)};
  }
  std::vector<std::int64_t> numbers;
  std::optional<std::size_t> open;
  const std::size_t flags_from = expr.spread.size() == operands.size() ? 0 : 1;
  for (std::size_t i = 1; i < operands.size(); ++i) {
    const std::size_t flag = i - flags_from;
    if (flag < expr.spread.size() && expr.spread[flag]) {
      open = numbers.size();
      continue;
    }
    if (const auto one = as_integer(scope, operands[i])) {
      numbers.push_back(*one);
    } else if (const auto many = as_integers(scope, operands[i])) {
      numbers.insert(numbers.end(), many->begin(), many->end());
    } else {
      return unknown(".{} wants integers", expr.name);
    }
  }
  if (open) {
    const std::size_t ones =
        other_rank && *other_rank > numbers.size() ? *other_rank - numbers.size() : 0;
    numbers.insert(numbers.begin() + static_cast<std::ptrdiff_t>(*open), ones, 1);
  }
  if (expr.name == "reshape") {
    std::int64_t known = 1, guess = -1;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (numbers[i] == -1 && guess < 0) {
        guess = static_cast<std::int64_t>(i);
      } else if (numbers[i] < 0) {
        return unknown(".reshape takes one -1 and no other negative size");
      } else {
        known *= numbers[i];
      }
    }
    if (guess >= 0 && known != 0) numbers[static_cast<std::size_t>(guess)] = tensor->size() / known;
    const auto count = guess >= 0 && known == 0 ? std::nullopt : checked_element_count(numbers);
    if (!count || *count != tensor->size()) {
      return unknown("{} elements do not reshape to {}", tensor->size(),
                     to_string(std::span<const std::int64_t>(numbers)));
    }
    return {tensor->reshaped(numbers), narrow};
  }
  if (expr.name == "transpose") {
    if (numbers.empty()) {
      for (std::size_t i = tensor->rank(); i-- > 0;) {
        numbers.push_back(static_cast<std::int64_t>(i));
      }
    }
    std::vector<bool> seen(tensor->rank(), false);
    bool valid = numbers.size() == tensor->rank();
    for (std::size_t i = 0; valid && i < numbers.size(); ++i) {
      const auto axis = normalize_axis(numbers[i], tensor->rank());
      valid = axis && !seen[*axis];
      if (valid) {
        seen[*axis] = true;
        numbers[i] = static_cast<std::int64_t>(*axis);
      }
    }
    if (!valid) return unknown(".transpose wants a permutation of {} axes", tensor->rank());
    return {transposed(*tensor, numbers), narrow};
  }
  if (expr.name == "squeeze") {
    Shape shape;
    std::vector<bool> drop(tensor->rank(), numbers.empty());
    for (const std::int64_t number : numbers) {
      const auto axis = normalize_axis(number, tensor->rank());
      if (!axis) return unknown("axis {} is outside rank {}", number, tensor->rank());
      if (tensor->shape()[*axis] != 1) return unknown("axis {} is not of size 1", number);
      drop[*axis] = true;
    }
    for (std::size_t i = 0; i < tensor->rank(); ++i) {
      if (!drop[i] || tensor->shape()[i] != 1) shape.push_back(tensor->shape()[i]);
    }
    return {tensor->reshaped(shape), narrow};
  }
  if (expr.name == "flatten") return {tensor->reshaped({tensor->size()}), narrow};
  return unknown("tensors have no method `{}`", expr.name);
}

RuleValue run_operator(const Scope& scope, const Expr& expr) {
  const Emit& emit = *expr.emit;
  if (emit.node || !emit.arguments) return unknown("a changed node has no value before it is made");
  const OpSchema* schema =
      scope.ops.find(emit.op.domain, emit.op.type, opset_of(scope.model, emit.op.domain));
  if (schema == nullptr) return unknown("{} is not in this opset", emit.op.type);
  std::vector<Value> values;
  DType narrow = DType::Undefined;
  for (const ExprId argument : *emit.arguments) {
    // Operands that are written in braces take no place among the arguments.
    while (
        std::any_of(emit.attributes.begin(), emit.attributes.end(), [&](const EmitAttribute& one) {
          return input_of_attribute(emit.op.domain, emit.op.type, one.name) ==
                 static_cast<int>(values.size());
        }))
      values.emplace_back();
    const RuleValue operand = evaluate(scope, argument);
    if (is_unknown(operand)) return operand;
    if (is_none(operand)) {
      values.emplace_back();
      continue;
    }
    auto tensor = stored_tensor(scope, operand);
    if (!tensor) tensor = as_tensor(scope, operand);
    if (!tensor) return unknown("{} is not a constant", to_string(scope, operand));
    if (stored_dtype(scope, operand) != DType::Undefined) {
      if (narrow == DType::Undefined) narrow = tensor->dtype();
    } else if (narrow != DType::Undefined && is_float(narrow)) {
      tensor = convert(*tensor, narrow);
    }
    values.emplace_back(*tensor);
  }
  Attributes attributes;
  const int opset = opset_of(scope.model, emit.op.domain);
  for (const EmitAttribute& attribute : emit.attributes) {
    const AttributeSchema* known = schema->attribute(attribute.name);
    const RuleValue value = evaluate(scope, attribute.value);
    if (is_unknown(value)) return value;
    for (const MovedOperand& moved : moved_operands(emit.op.domain, emit.op.type)) {
      if (moved.name != attribute.name || !moved.is_input_at(opset)) continue;
      const auto given = as_attribute(scope, value, moved.kind);
      const auto tensor = given ? tensor_from_attribute(*given) : std::nullopt;
      if (!tensor) return unknown("attribute `{}` has no value", attribute.name);
      values.resize(std::max(values.size(), static_cast<std::size_t>(moved.input) + 1));
      values[static_cast<std::size_t>(moved.input)] = Value(*tensor);
      known = nullptr;
    }
    if (known == nullptr) continue;
    auto given = as_attribute(scope, value, known->kind);
    if (!given) return unknown("attribute `{}` has no value", attribute.name);
    attributes.set(attribute.name, std::move(*given));
  }
  std::vector<const Value*> inputs;
  for (const Value& value : values)
    inputs.push_back(value.absent() ? nullptr : &value);
  auto out = generic::run({.domain = emit.op.domain,
                           .type = emit.op.type,
                           .opset = opset,
                           .inputs = inputs,
                           .attributes = attributes});
  if (!out) return unknown("{}", out.error().message);
  if (out->empty() || !out->front().is_tensor()) return unknown("{} gave no tensor", emit.op.type);
  return {out->front().tensor()};
}

}  // namespace rulec
