// SPDX-License-Identifier: Apache-2.0
// Attributes as facts.h tells them: written, moved to an operand, or by default; and what they are
// as tensors and texts.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "matcher/facts.h"

namespace rulec {

int opset_of(const Model& model, std::string_view domain) {
  const std::int64_t found = model.opset(domain);
  return found == 0 ? 1 : static_cast<int>(found);
}

int moved_input(const Model& model, const GraphNode& node, std::string_view name) {
  const int opset = opset_of(model, node.domain.str());
  for (const MovedOperand& moved : moved_operands(node.domain.str(), node.type.str())) {
    if (moved.name == name && moved.is_input_at(opset)) return moved.input;
  }
  return -1;
}

std::optional<MovedOperand> moved_at(const Model& model, const GraphNode& node, std::size_t index) {
  const int opset = opset_of(model, node.domain.str());
  for (const MovedOperand& moved : moved_operands(node.domain.str(), node.type.str())) {
    if (static_cast<std::size_t>(moved.input) == index && moved.is_input_at(opset)) return moved;
  }
  return std::nullopt;
}

// The default that some version of the operator gives, the model's own first.
static const AttributeSchema* schema_with_default(const Model& model, const OpTable& ops,
                                                  const GraphNode& node, std::string_view name) {
  const int opset = opset_of(model, node.domain.str());
  const OpSchema* own = ops.find(node.domain.str(), node.type.str(), opset);
  if (own != nullptr) {
    const AttributeSchema* found = own->attribute(name);
    if (found != nullptr) return found->default_value ? found : nullptr;
  }
  for (const OpSchema* version : ops.versions(node.domain.str(), node.type.str())) {
    const AttributeSchema* found = version->attribute(name);
    if (found != nullptr && found->default_value) return found;
  }
  return nullptr;
}

// Of convolutions and poolings: what the standard says in words, since it hangs on the rank: no
// padding, steps of one. Beside an `auto_pad` there are no pads.
static std::optional<AttributeValue> windows_default(const Model& model, const OpTable& ops,
                                                     const GraphNode& node, std::string_view name) {
  static constexpr std::string_view windowed[] = {"Conv",    "ConvInteger", "ConvTranspose",
                                                  "MaxPool", "AveragePool", "LpPool"};
  if (!node.domain.empty() || node.inputs.empty() ||
      (name != "pads" && name != "strides" && name != "dilations") ||
      std::find(std::begin(windowed), std::end(windowed), node.type.str()) == std::end(windowed))
    return std::nullopt;
  const OpSchema* own = ops.find("", node.type.str(), opset_of(model, ""));
  if (own == nullptr || own->attribute(name) == nullptr) return std::nullopt;
  if (name == "pads")
    if (const auto* given = node.attributes.get<std::string>("auto_pad");
        given != nullptr && *given != "NOTSET")
      return std::nullopt;
  std::optional<std::size_t> rank = type_of(model, node.inputs[0]).rank();
  if (!rank && node.type.str().starts_with("Conv") && node.inputs.size() > 1)
    rank = type_of(model, node.inputs[1]).rank();
  if (!rank || *rank < 2) return std::nullopt;
  const std::size_t axes = *rank - 2;
  return std::vector<std::int64_t>(name == "pads" ? 2 * axes : axes, name == "pads" ? 0 : 1);
}

AttributeFact attribute_of(const Model& model, const OpTable& ops, NodeId id,
                           std::string_view name) {
  const GraphNode& node = model.node(id);
  if (const AttributeValue* given = node.attributes.find(name)) {
    if (std::holds_alternative<RefAttribute>(*given))
      return {AttributeFact::State::Runtime, {}, true};
    return {AttributeFact::State::Known, *given, true};
  }
  for (const MovedOperand& moved : moved_operands(node.domain.str(), node.type.str())) {
    if (moved.name != name || !moved.is_input_at(opset_of(model, node.domain.str()))) continue;
    const auto slot = static_cast<std::size_t>(moved.input);
    if (slot < node.inputs.size() && node.inputs[slot]) {
      const auto tensor = constant_tensor(model, node.inputs[slot]);
      if (!tensor) return {AttributeFact::State::Runtime, {}, true};
      // A number that an attribute cannot hold is none.
      const bool lossy = moved.kind == AttributeKind::Float && tensor->size() == 1 &&
                         static_cast<float>(tensor->number(0)) != tensor->number(0) &&
                         !std::isnan(tensor->number(0));
      auto value = lossy ? std::nullopt : attribute_from_tensor(*tensor, moved.kind);
      if (!value) return {AttributeFact::State::Runtime, {}, true};
      return {AttributeFact::State::Known, std::move(*value), true};
    }
  }
  const AttributeSchema* schema = schema_with_default(model, ops, node, name);
  if (schema == nullptr) {
    auto value = windows_default(model, ops, node, name);
    return value ? AttributeFact{AttributeFact::State::Known, std::move(*value), false}
                 : AttributeFact{};
  }
  return {AttributeFact::State::Known, *schema->default_value, false};
}

std::optional<AttributeValue> attribute_from_tensor(const Tensor& tensor, AttributeKind kind) {
  const bool numeric = kind == AttributeKind::Int || kind == AttributeKind::Float ||
                       kind == AttributeKind::Ints || kind == AttributeKind::Floats;
  if (numeric && tensor.dtype() == DType::String) return std::nullopt;
  switch (kind) {
    case AttributeKind::Int:
      if (tensor.size() != 1 || is_float(tensor.dtype())) return std::nullopt;
      return AttributeValue(tensor.integer(0));
    case AttributeKind::Float:
      if (tensor.size() != 1) return std::nullopt;
      return AttributeValue(static_cast<float>(tensor.number(0)));
    case AttributeKind::Ints:
      if (is_float(tensor.dtype())) return std::nullopt;
      return AttributeValue(tensor.integers());
    case AttributeKind::Floats: {
      std::vector<float> out;
      for (const double number : tensor.numbers())
        out.push_back(static_cast<float>(number));
      return AttributeValue(std::move(out));
    }
    case AttributeKind::String:
      if (tensor.dtype() != DType::String || tensor.size() != 1) return std::nullopt;
      return AttributeValue(tensor.strings().front());
    case AttributeKind::Strings:
      if (tensor.dtype() != DType::String) return std::nullopt;
      return AttributeValue(tensor.strings());
    case AttributeKind::Tensor:
      return AttributeValue(tensor);
    default:
      return std::nullopt;
  }
}

std::optional<Tensor> tensor_from_attribute(const AttributeValue& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) return Tensor::scalar(*i);
  if (const auto* f = std::get_if<float>(&value)) return Tensor::scalar(*f);
  if (const auto* t = std::get_if<Tensor>(&value)) return *t;
  if (const auto* s = std::get_if<std::string>(&value)) return Tensor::of_strings({}, {*s});
  if (const auto* v = std::get_if<std::vector<std::int64_t>>(&value)) {
    return Tensor::of<std::int64_t>({static_cast<std::int64_t>(v->size())}, *v);
  }
  if (const auto* v = std::get_if<std::vector<float>>(&value)) {
    return Tensor::of<float>({static_cast<std::int64_t>(v->size())}, *v);
  }
  if (const auto* v = std::get_if<std::vector<std::string>>(&value)) {
    return Tensor::of_strings({static_cast<std::int64_t>(v->size())}, *v);
  }
  return std::nullopt;
}

static std::vector<std::int64_t> normal_axes(std::vector<std::int64_t> axes,
                                             std::optional<std::size_t> rank, bool unordered) {
  if (rank) {
    for (std::int64_t& axis : axes) {
      if (axis < 0) axis += static_cast<std::int64_t>(*rank);
    }
  }
  if (unordered) std::sort(axes.begin(), axes.end());
  return axes;
}

bool same_attribute(const AttributeValue& a, const AttributeValue& b,
                    std::optional<std::size_t> rank, bool unordered) {
  if (a.index() != b.index()) {
    // One axis and a list of one axis are the same thing across opsets.
    const auto* one = std::get_if<std::int64_t>(&a);
    const auto* list = std::get_if<std::vector<std::int64_t>>(&b);
    if (one == nullptr) {
      one = std::get_if<std::int64_t>(&b);
      list = std::get_if<std::vector<std::int64_t>>(&a);
    }
    if (one == nullptr || list == nullptr || list->size() != 1) return false;
    return normal_axes({*one}, rank, false) == normal_axes(*list, rank, false);
  }
  if (const auto* i = std::get_if<std::int64_t>(&a)) {
    return normal_axes({*i}, rank, false) == normal_axes({std::get<std::int64_t>(b)}, rank, false);
  }
  if (const auto* v = std::get_if<std::vector<std::int64_t>>(&a)) {
    return normal_axes(*v, rank, unordered) ==
           normal_axes(std::get<std::vector<std::int64_t>>(b), rank, unordered);
  }
  if (const auto* f = std::get_if<float>(&a)) {
    const float other = std::get<float>(b);
    return *f == other || (std::isnan(*f) && std::isnan(other));
  }
  if (const auto* v = std::get_if<std::vector<float>>(&a)) {
    return *v == std::get<std::vector<float>>(b);
  }
  if (const auto* s = std::get_if<std::string>(&a)) return *s == std::get<std::string>(b);
  if (const auto* v = std::get_if<std::vector<std::string>>(&a)) {
    return *v == std::get<std::vector<std::string>>(b);
  }
  if (const auto* t = std::get_if<Tensor>(&a)) return same_bits(*t, std::get<Tensor>(b));
  if (const auto* g = std::get_if<GraphId>(&a)) return *g == std::get<GraphId>(b);
  if (const auto* t = std::get_if<TypeBytes>(&a)) return t->bytes == std::get<TypeBytes>(b).bytes;
  return false;
}

std::optional<std::size_t> axes_rank(const Model& model, NodeId id, std::string_view name) {
  if (name != "axis" && name != "axes") return std::nullopt;
  const GraphNode& node = model.node(id);
  const bool of_result =
      node.type == "Unsqueeze" || (node.type == "ConcatFromSequence" && !node.outputs.empty());
  const auto& values = of_result ? node.outputs : node.inputs;
  for (const ValueId value : values) {
    if (!value) continue;
    const Type type = type_of(model, value);
    return type.is_tensor() ? type.rank() : std::nullopt;
  }
  return std::nullopt;
}

bool axes_are_set(const GraphNode& node, std::string_view name) {
  return name == "axes" && (node.type.starts_with("Reduce") || node.type == "Squeeze" ||
                            node.type == "Unsqueeze" || node.type == "MeanVarianceNormalization");
}

static std::string list_text(const auto& items) {
  return fmt::format("[{}]", fmt::join(items, ", "));
}

std::string to_string(const AttributeValue& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *i);
  if (const auto* f = std::get_if<float>(&value)) return fmt::format("{}", *f);
  if (const auto* s = std::get_if<std::string>(&value)) return fmt::format("\"{}\"", *s);
  if (const auto* v = std::get_if<std::vector<std::int64_t>>(&value)) return list_text(*v);
  if (const auto* v = std::get_if<std::vector<float>>(&value)) return list_text(*v);
  if (const auto* v = std::get_if<std::vector<std::string>>(&value)) return list_text(*v);
  if (const auto* t = std::get_if<Tensor>(&value)) {
    return fmt::format("{}{}", name(t->dtype()), to_string(std::span(t->shape())));
  }
  if (std::holds_alternative<GraphId>(value)) return "a body";
  if (const auto* r = std::get_if<RefAttribute>(&value)) return fmt::format("@{}", r->name);
  return "an attribute";
}

}  // namespace rulec
