// SPDX-License-Identifier: Apache-2.0
// What expressions give, as something else: bindings, tensors, attributes, text.
#include <cmath>

#include <fmt/format.h>

#include "matcher/facts.h"
#include "matcher/guard_calls.h"
#include "matcher/label.h"

namespace rulec {

std::string value_name(const Scope& scope, ValueId value) {
  return value ? scope.model.value(value).name : std::string("none");
}

RuleValue from_literal(const Literal& literal) {
  if (const auto* b = std::get_if<bool>(&literal.value)) return {*b};
  if (const auto* i = std::get_if<std::int64_t>(&literal.value)) return {*i};
  if (const auto* d = std::get_if<double>(&literal.value)) return {*d};
  if (const auto* s = std::get_if<std::string>(&literal.value)) return {*s};
  if (const auto* list = std::get_if<std::vector<Literal>>(&literal.value)) {
    std::vector<RuleValue> out;
    for (const Literal& item : *list)
      out.push_back(from_literal(item));
    return {std::move(out)};
  }
  return {None{}};
}

static RuleValue from_attribute(const AttributeValue& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) return {*i};
  if (const auto* f = std::get_if<float>(&value)) return {static_cast<double>(*f)};
  if (const auto* s = std::get_if<std::string>(&value)) return {*s};
  if (const auto* t = std::get_if<Tensor>(&value)) return {*t};
  std::vector<RuleValue> out;
  if (const auto* v = std::get_if<std::vector<std::int64_t>>(&value)) {
    for (const std::int64_t item : *v)
      out.push_back({item});
    return {std::move(out)};
  }
  if (const auto* v = std::get_if<std::vector<float>>(&value)) {
    for (const float item : *v)
      out.push_back({static_cast<double>(item)});
    return {std::move(out)};
  }
  if (const auto* v = std::get_if<std::vector<std::string>>(&value)) {
    for (const std::string& item : *v)
      out.push_back({item});
    return {std::move(out)};
  }
  return unknown("an attribute of this kind has no value in an expression");
}

RuleValue from_binding(const Scope& scope, const Binding& binding, const Slot& slot) {
  if (const auto* v = std::get_if<ValueId>(&binding.held)) {
    if (!*v) return {None{}};
    return {*v};
  }
  if (const auto* n = std::get_if<NodeId>(&binding.held)) return {*n};
  if (const auto* a = std::get_if<AttributeValue>(&binding.held)) return from_attribute(*a);
  if (const auto* n = std::get_if<Binding::Number>(&binding.held)) {
    if (n->value && std::trunc(n->number) == n->number && std::fabs(n->number) < 9e15 &&
        !is_float(type_of(scope.model, n->value).dtype)) {
      return {static_cast<std::int64_t>(n->number)};
    }
    return {n->number};
  }
  if (const auto* i = std::get_if<std::int64_t>(&binding.held)) return {*i};
  if (const auto* t = std::get_if<Tensor>(&binding.held)) return {*t, binding.narrow};
  if (const auto* l = std::get_if<Literal>(&binding.held)) {
    if (slot.kind == SlotKind::Dimension) {
      const auto* symbol = std::get_if<std::string>(&l->value);
      return {Unknown{fmt::format("the size `{}` is not known", slot.name),
                      symbol != nullptr ? *symbol : std::string()}};
    }
    return from_literal(*l);
  }
  if (const auto* list = std::get_if<std::vector<Binding>>(&binding.held)) {
    std::vector<RuleValue> out;
    for (const Binding& item : *list)
      out.push_back(from_binding(scope, item, slot));
    return {std::move(out)};
  }
  if (std::holds_alternative<std::vector<Attribute>>(binding.held)) {
    return unknown("`..{}` holds attributes, not a value", slot.name);
  }
  return unknown(
      "`{}` has no value here: the part of the pattern that binds it did not match; "
      "`{} else …` says what stands in",
      slot.name, slot.name);
}

static Literal to_literal(const RuleValue& value) {
  if (const auto* b = std::get_if<bool>(&value.data)) return {*b};
  if (const auto* i = std::get_if<std::int64_t>(&value.data)) return {*i};
  if (const auto* d = std::get_if<double>(&value.data)) return {*d};
  if (const auto* s = std::get_if<std::string>(&value.data)) return {*s};
  if (const auto* t = std::get_if<DType>(&value.data)) return {static_cast<std::int64_t>(*t)};
  return {};
}

Binding to_binding(const RuleValue& value) {
  Binding out;
  out.narrow = value.narrow;
  if (const auto* v = std::get_if<ValueId>(&value.data)) {
    out.held = *v;
  } else if (is_none(value)) {
    out.held = ValueId{};
  } else if (const auto* n = std::get_if<NodeId>(&value.data)) {
    out.held = *n;
  } else if (const auto* t = std::get_if<Tensor>(&value.data)) {
    out.held = *t;
  } else if (const auto* list = std::get_if<std::vector<RuleValue>>(&value.data)) {
    std::vector<Binding> items;
    for (const RuleValue& item : *list)
      items.push_back(to_binding(item));
    out.held = std::move(items);
  } else if (!is_unknown(value)) {
    out.held = to_literal(value);
  }
  return out;
}

std::optional<Tensor> as_tensor(const Scope& scope, const RuleValue& value) {
  if (const auto* t = std::get_if<Tensor>(&value.data)) return *t;
  if (const auto* v = std::get_if<ValueId>(&value.data)) return constant_tensor(scope.model, *v);
  if (const auto* i = std::get_if<std::int64_t>(&value.data)) return Tensor::scalar(*i);
  if (const auto* b = std::get_if<bool>(&value.data)) return Tensor::scalar(*b);
  if (const auto* d = std::get_if<double>(&value.data)) return Tensor::scalar(*d);
  if (const auto* s = std::get_if<std::string>(&value.data)) return Tensor::of_strings({}, {*s});
  const auto* list = std::get_if<std::vector<RuleValue>>(&value.data);
  if (list == nullptr) return std::nullopt;
  if (list->empty()) return Tensor::zeros(DType::I64, {0});
  std::vector<Tensor> parts;
  bool floats = false, strings = false;
  for (const RuleValue& item : *list) {
    const auto part = as_tensor(scope, item);
    if (!part || (!parts.empty() && part->shape() != parts.front().shape())) return std::nullopt;
    floats = floats || is_float(part->dtype());
    strings = strings || part->dtype() == DType::String;
    parts.push_back(*part);
  }
  Shape shape = parts.front().shape();
  shape.insert(shape.begin(), static_cast<std::int64_t>(parts.size()));
  if (strings) {
    std::vector<std::string> all;
    for (const Tensor& part : parts) {
      if (part.dtype() != DType::String) return std::nullopt;
      all.insert(all.end(), part.strings().begin(), part.strings().end());
    }
    return Tensor::of_strings(shape, std::move(all));
  }
  Tensor out = Tensor::allocate(floats ? DType::F64 : DType::I64, shape);
  std::int64_t at = 0;
  for (const Tensor& part : parts) {
    for (std::int64_t i = 0; i < part.size(); ++i, ++at) {
      floats ? out.set_number(at, part.number(i)) : out.set_integer(at, part.integer(i));
    }
  }
  return out;
}

DType stored_dtype(const Scope& scope, const RuleValue& value) {
  if (value.narrow != DType::Undefined) return value.narrow;
  if (const auto* t = std::get_if<Tensor>(&value.data)) return t->dtype();
  if (const auto* v = std::get_if<ValueId>(&value.data)) return type_of(scope.model, *v).dtype;
  return DType::Undefined;
}

std::optional<Tensor> stored_tensor(const Scope& scope, const RuleValue& value) {
  const DType dtype = stored_dtype(scope, value);
  if (dtype == DType::Undefined) return std::nullopt;
  auto tensor = as_tensor(scope, value);
  if (!tensor || tensor->dtype() == dtype) return tensor;
  return convert(*tensor, dtype);
}

std::optional<AttributeValue> as_attribute(const Scope& scope, const RuleValue& value,
                                           AttributeKind kind) {
  if (const auto* t = std::get_if<DType>(&value.data)) {
    if (kind != AttributeKind::Int) return std::nullopt;
    return AttributeValue(static_cast<std::int64_t>(*t));
  }
  const auto tensor = kind == AttributeKind::Tensor ? stored_tensor(scope, value) : std::nullopt;
  if (tensor) return AttributeValue(*tensor);
  auto plain = as_tensor(scope, value);
  if (!plain) return std::nullopt;
  const bool integral = kind == AttributeKind::Int || kind == AttributeKind::Ints;
  if (integral && is_float(plain->dtype())) {
    Tensor whole = Tensor::allocate(DType::I64, plain->shape());
    for (std::int64_t i = 0; i < plain->size(); ++i) {
      const double number = plain->number(i);
      if (std::trunc(number) != number || std::fabs(number) > 9e15) return std::nullopt;
      whole.set_integer(i, static_cast<std::int64_t>(number));
    }
    plain = std::move(whole);
  }
  if (kind == AttributeKind::Tensor && plain->dtype() == DType::F64) {
    plain = convert(*plain, DType::F32);
  }
  return attribute_from_tensor(*plain, kind);
}

std::string to_string(const Scope& scope, const RuleValue& value) {
  if (is_unknown(value)) {
    const auto& info = std::get<Unknown>(value.data);
    return info.key.empty() ? fmt::format("unknown ({})", info.why) : info.key;
  }
  if (is_none(value)) return "none";
  if (const auto* b = std::get_if<bool>(&value.data)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<std::int64_t>(&value.data)) return fmt::format("{}", *i);
  if (const auto* d = std::get_if<double>(&value.data)) return fmt::format("{:.9g}", *d);
  if (const auto* s = std::get_if<std::string>(&value.data)) return fmt::format("\"{}\"", *s);
  if (const auto* t = std::get_if<DType>(&value.data)) return std::string(name(*t));
  if (const auto* v = std::get_if<ValueId>(&value.data)) return value_name(scope, *v);
  if (const auto* n = std::get_if<NodeId>(&value.data)) {
    return label(scope.model, *n);
  }
  if (const auto* list = std::get_if<std::vector<RuleValue>>(&value.data)) {
    std::vector<std::string> items;
    for (std::size_t i = 0; i < list->size() && i < 16; ++i) {
      items.push_back(to_string(scope, (*list)[i]));
    }
    if (list->size() > 16) items.emplace_back("…");
    return fmt::format("[{}]", fmt::join(items, ", "));
  }
  const Tensor& tensor = std::get<Tensor>(value.data);
  if (tensor.size() <= 8 && tensor.dtype() != DType::String) {
    std::vector<std::string> items;
    for (const double number : tensor.numbers())
      items.push_back(fmt::format("{:.9g}", number));
    if (tensor.rank() == 0) return items.front();
    if (tensor.rank() == 1) return fmt::format("[{}]", fmt::join(items, ", "));
  }
  const DType stored = value.narrow == DType::Undefined ? tensor.dtype() : value.narrow;
  return fmt::format("{}{}", name(stored), to_string(std::span(tensor.shape())));
}

}  // namespace rulec
