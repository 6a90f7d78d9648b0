// SPDX-License-Identifier: Apache-2.0
// Values of a made-up graph: inputs and constants that fit their place.
#include <algorithm>
#include <cmath>

#include "compiler/generate/instance_maker.h"

namespace rulec {

using Kind = Pattern::Kind;

Result<ValueId> InstanceMaker::value(PatternId id, const Spot* spot, const OpSchema* schema) {
  const Pattern& pattern = rules_[id];
  switch (pattern.kind) {
    case Kind::Absent:
      return ValueId{};
    case Kind::Any:
      return leaf(pattern, spot, schema);
    case Kind::Bind:
      return bound(pattern, spot, schema);
    case Kind::Literal:
      return literal(pattern, spot, schema);
    case Kind::Either:
      return value(pattern.children[below(pattern.children.size())], spot, schema);
    case Kind::Maybe:
      return value(pattern.children[coin() ? 0 : pattern.children.size() - 1], spot, schema);
    case Kind::Chain:
      return chain(pattern, spot, schema);
    case Kind::Node: {
      auto made = node(id);
      if (!made) return made.error();
      const auto& outputs = model_.node(*made).outputs;
      const auto output = static_cast<std::size_t>(pattern.output);
      if (output >= outputs.size()) return make_error("the operator has fewer results");
      return outputs[output];
    }
    default:
      return body_value(pattern, spot, schema);
  }
}

Result<ValueId> InstanceMaker::bound(const Pattern& pattern, const Spot* spot,
                                     const OpSchema* schema) {
  if (!pattern.slot) return leaf(pattern, spot, schema);
  Binding& slot = bindings_[pattern.slot.index];
  if (const auto* held = std::get_if<ValueId>(&slot.held)) return *held;
  if (const auto* held = std::get_if<Binding::Number>(&slot.held)) return held->value;
  if (pattern.optional && coin(3)) {
    slot.held = ValueId{};
    return ValueId{};
  }
  const bool free = pattern.constness == Pattern::Constness::Any && !pattern.type;
  if (body_ != nullptr && !body_->states.empty() && free && pattern.kind == Kind::Bind && coin()) {
    const ValueId state = body_->states[below(body_->states.size())];
    slot.held = state;
    return state;
  }
  auto made = leaf(pattern, spot, schema);
  if (made) slot.held = *made;
  return made;
}

Result<ValueId> InstanceMaker::leaf(const Pattern& pattern, const Spot* spot,
                                    const OpSchema* schema) {
  OperandGuess guess{base_};
  DType dtype = dtype_;
  if (spot != nullptr) guess = guess_operand(*spot, base_, random_, words_);
  if (schema != nullptr && spot != nullptr) dtype = guess_dtype(*schema, *spot, dtype_, random_);
  if (pattern.type && !pattern.type->dtypes.empty() &&
      std::find(pattern.type->dtypes.begin(), pattern.type->dtypes.end(), dtype) ==
          pattern.type->dtypes.end())
    dtype = pattern.type->dtypes[below(pattern.type->dtypes.size())];
  if (pattern.type && !pattern.type->shapes.empty()) {
    const Shape shape =
        shaped(pattern.type->shapes[below(pattern.type->shapes.size())], guess.shape);
    if (shape != guess.shape) guess.values.reset();
    guess.shape = shape;
  }
  const bool scalar = pattern.constness == Pattern::Constness::Scalar;
  const bool constant = pattern.constness != Pattern::Constness::Any || guess.values ||
                        (spot != nullptr && spot->index > 0 && coin(6));
  if (scalar && !guess.values) guess.shape = coin() ? Shape{} : Shape{1};
  if (dtype == DType::String || dtype == DType::Undefined)
    return make_error("operands of this type are not made up");
  if (!constant)
    return model_.add_input(model_.main(), model_.fresh_value_name("x"),
                            Type::tensor(dtype, guess.shape));
  return constant_of(dtype, guess, scalar);
}

Shape InstanceMaker::shaped(const std::vector<DimPattern>& dims, const Shape& like) {
  Shape out;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    const std::int64_t likely = like.size() == dims.size() ? like[i] : 1 + random_.below(4);
    switch (dims[i].kind) {
      case DimPattern::Kind::Fixed:
        out.push_back(dims[i].size);
        break;
      case DimPattern::Kind::Variable: {
        Binding& slot = bindings_[dims[i].slot.index];
        if (!slot.bound()) slot.held = likely;
        const auto* size = std::get_if<std::int64_t>(&slot.held);
        out.push_back(size != nullptr ? *size : likely);
        break;
      }
      case DimPattern::Kind::Unknown:
        out.push_back(likely);
        break;
      case DimPattern::Kind::Rest:
        for (std::int64_t more = random_.below(3); more > 0; --more)
          out.push_back(1 + random_.below(3));
        break;
    }
  }
  return out;
}

ValueId InstanceMaker::constant_of(DType dtype, const OperandGuess& guess, bool scalar) {
  Tensor tensor = Tensor::zeros(dtype, guess.shape);
  // Zeros, ones and a rule's own numbers are where identities hold.
  std::optional<double> same;
  if (!guess.values && (scalar || coin(8))) {
    same = coin(3) ? 0.0 : coin() ? 1.0 : random_.uniform(0.1, 3);
    if (!words_.numbers.empty() && coin()) same = words_.numbers[below(words_.numbers.size())];
    if (!words_.integers.empty() && coin())
      same = static_cast<double>(words_.integers[below(words_.integers.size())]);
  }
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    double number = random_.normal();
    if (guess.positive) number = 0.5 + random_.uniform();
    if (guess.values) number = (*guess.values)[static_cast<std::size_t>(i)];
    if (same && !guess.positive) number = *same;
    if (is_float(dtype))
      tensor.set_number(i, number);
    else if (dtype == DType::Bool)
      tensor.set_integer(i, guess.values || same ? number != 0 : coin());
    else
      tensor.set_integer(i, guess.values || same
                                ? static_cast<std::int64_t>(std::clamp(number, -9.2e18, 9.2e18))
                                : random_.below(5));
  }
  return model_.add_initializer(model_.main(), model_.fresh_value_name("c"), std::move(tensor));
}

double InstanceMaker::number_of(const Literal& literal) {
  if (const auto* b = std::get_if<bool>(&literal.value)) return *b ? 1 : 0;
  if (const auto* i = std::get_if<std::int64_t>(&literal.value)) return static_cast<double>(*i);
  if (const auto* d = std::get_if<double>(&literal.value)) return *d;
  return 0;
}

Result<ValueId> InstanceMaker::literal(const Pattern& pattern, const Spot* spot,
                                       const OpSchema* schema) {
  if (std::holds_alternative<std::monostate>(pattern.literal.value)) return ValueId{};
  if (std::holds_alternative<std::string>(pattern.literal.value))
    return make_error("operands of strings are not made up");
  OperandGuess guess;
  DType dtype = dtype_;
  if (schema != nullptr && spot != nullptr) dtype = guess_dtype(*schema, *spot, dtype_, random_);
  if (const auto* list = std::get_if<std::vector<Literal>>(&pattern.literal.value)) {
    guess.values.emplace();
    for (const Literal& item : *list)
      guess.values->push_back(number_of(item));
    guess.shape = {static_cast<std::int64_t>(list->size())};
  } else {
    guess.values = {number_of(pattern.literal)};
    if (coin(4)) guess.shape = {1};
  }
  const bool whole = std::all_of(guess.values->begin(), guess.values->end(),
                                 [](double v) { return v == std::floor(v); });
  if (!whole && !is_float(dtype)) return make_error("a fraction among integers");
  return constant_of(dtype, guess, false);
}

Result<ValueId> InstanceMaker::chain(const Pattern& pattern, const Spot* spot,
                                     const OpSchema* schema) {
  auto at = value(pattern.children.front(), spot, schema);
  if (!at) return at;
  const std::int64_t links = pattern.at_least + random_.below(3);
  for (std::int64_t i = 0; i < links; ++i) {
    Pattern link;
    link.kind = Kind::Node;
    link.ops = {pattern.ops[below(pattern.ops.size())]};
    auto made = node_of(link, *at);
    if (!made) return made.error();
    at = model_.node(*made).outputs[0];
  }
  return at;
}

}  // namespace rulec
