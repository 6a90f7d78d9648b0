// SPDX-License-Identifier: Apache-2.0
#include "matcher/facts.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_set>

#include <fmt/format.h>

#include "matcher/evaluate.h"

namespace rulec {

// Result 0 has exactly the shape of operand 0.
static bool keeps_shape(const GraphNode& node) {
  static const std::unordered_set<std::string_view> types = {"Abs",
                                                             "Acos",
                                                             "Acosh",
                                                             "Asin",
                                                             "Asinh",
                                                             "Atan",
                                                             "Atanh",
                                                             "BatchNormalization",
                                                             "BitwiseNot",
                                                             "Cast",
                                                             "Ceil",
                                                             "Celu",
                                                             "Clip",
                                                             "Cos",
                                                             "Cosh",
                                                             "CumSum",
                                                             "Dropout",
                                                             "DequantizeLinear",
                                                             "Elu",
                                                             "Erf",
                                                             "Exp",
                                                             "Floor",
                                                             "Gelu",
                                                             "GroupNormalization",
                                                             "HardSigmoid",
                                                             "HardSwish",
                                                             "Hardmax",
                                                             "Identity",
                                                             "InstanceNormalization",
                                                             "IsInf",
                                                             "IsNaN",
                                                             "LRN",
                                                             "LayerNormalization",
                                                             "LeakyRelu",
                                                             "Log",
                                                             "LogSoftmax",
                                                             "LpNormalization",
                                                             "Mish",
                                                             "Neg",
                                                             "Not",
                                                             "PRelu",
                                                             "QuantizeLinear",
                                                             "Reciprocal",
                                                             "Relu",
                                                             "Round",
                                                             "Selu",
                                                             "Shrink",
                                                             "Sigmoid",
                                                             "Sign",
                                                             "Sin",
                                                             "Sinh",
                                                             "Softmax",
                                                             "Softplus",
                                                             "Softsign",
                                                             "Sqrt",
                                                             "Swish",
                                                             "Tan",
                                                             "Tanh",
                                                             "ThresholdedRelu"};
  return node.domain.empty() && types.contains(node.type.str());
}

static bool keeps_dtype(const GraphNode& node) {
  static const std::unordered_set<std::string_view> movers = {
      "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice",      "Gather",
      "Pad",     "Expand",    "Tile",    "Concat",    "Split",   "Add",        "Sub",
      "Mul",     "Div",       "MatMul",  "MaxPool",   "Min",     "Max",        "ReduceMean",
      "Conv",    "ReduceSum", "Resize",  "Pow",       "Gemm",    "AveragePool"};
  if (!node.domain.empty()) return false;
  if (node.type == "Cast" || node.type == "IsNaN" || node.type == "IsInf" ||
      node.type == "QuantizeLinear" || node.type == "DequantizeLinear") {
    return false;
  }
  return keeps_shape(node) || movers.contains(node.type.str());
}

bool broadcasts_operands(const GraphNode& node) {
  static const std::unordered_set<std::string_view> types = {"Add",
                                                             "Sub",
                                                             "Mul",
                                                             "Div",
                                                             "Pow",
                                                             "Mod",
                                                             "And",
                                                             "Or",
                                                             "Xor",
                                                             "Min",
                                                             "Max",
                                                             "Sum",
                                                             "Mean",
                                                             "Equal",
                                                             "Less",
                                                             "Greater",
                                                             "Where",
                                                             "LessOrEqual",
                                                             "GreaterOrEqual",
                                                             "BitShift",
                                                             "BitwiseAnd",
                                                             "BitwiseOr",
                                                             "BitwiseXor"};
  return node.domain.empty() && types.contains(node.type.str());
}

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

std::optional<Tensor> constant_tensor(const Model& model, ValueId value) {
  if (!value) return std::nullopt;
  if (const auto tensor = model.constant(value)) return *tensor;
  if (!model.value(value).producer) return std::nullopt;
  return fold(model, value);
}

// The value that an Identity passes on.
static ValueId behind_identity(const Model& model, ValueId value) {
  for (;;) {
    const NodeId producer = value ? model.value(value).producer : NodeId{};
    if (!producer) return value;
    const GraphNode& node = model.node(producer);
    if (node.type != "Identity" || !node.domain.empty()) return value;
    value = node.inputs[0];
  }
}

static bool is_integer_constant(const Model& model, ValueId value, std::int64_t wanted) {
  const auto tensor = value ? constant_tensor(model, value) : std::nullopt;
  return tensor && is_integer(tensor->dtype()) && tensor->size() == 1 &&
         tensor->integer(0) == wanted;
}

bool counts_iterations(const Model& model, GraphId body, ValueId value) {
  const GraphInfo& graph = model.graph(body);
  if (!graph.owner) return false;
  const GraphNode& loop = model.node(graph.owner);
  if (loop.type != "Loop" || !loop.domain.empty()) return false;
  const auto at = static_cast<std::size_t>(
      std::find(graph.inputs.begin(), graph.inputs.end(), value) - graph.inputs.begin());
  if (at == 0) return true;
  // Inputs: counter, condition, states; the owner's: bound, condition, states; outputs: condition,
  // states, scans.
  if (at < 2 || at >= graph.inputs.size() || at >= loop.inputs.size() ||
      at - 1 >= graph.outputs.size() || !is_integer_constant(model, loop.inputs[at], 0))
    return false;
  const ValueId next = behind_identity(model, graph.outputs[at - 1]);
  const NodeId producer = next ? model.value(next).producer : NodeId{};
  if (!producer) return false;
  const GraphNode& step = model.node(producer);
  if (step.type != "Add" || !step.domain.empty() || step.inputs.size() != 2) return false;
  const ValueId a = behind_identity(model, step.inputs[0]);
  const ValueId b = behind_identity(model, step.inputs[1]);
  return (a == value && is_integer_constant(model, b, 1)) ||
         (b == value && is_integer_constant(model, a, 1));
}

Type type_of(const Model& model, ValueId value) {
  const GraphValue& info = model.value(value);
  if (info.type.is_tensor() && info.type.dims) return info.type;
  if (info.initializer && !info.is_input) {
    return Type::tensor(info.initializer->dtype(), info.initializer->shape());
  }
  if (info.producer && model.node(info.producer).type == "Constant") {
    if (const auto tensor = model.constant(value)) {
      return Type::tensor(tensor->dtype(), tensor->shape());
    }
  }
  return info.type;
}

// The earliest value that has this value's shape (or element type) by construction.
static ValueId shape_origin(const Model& model, ValueId value) {
  while (true) {
    const GraphValue& info = model.value(value);
    if (!info.producer || info.output != 0) return value;
    const GraphNode& node = model.node(info.producer);
    const bool of_one = node.inputs.size() == 1 && node.domain.empty() &&
                        (node.type == "Concat" || broadcasts_operands(node));
    if ((keeps_shape(node) || of_one) && !node.inputs.empty() && node.inputs[0]) {
      value = node.inputs[0];
      continue;
    }
    if (!broadcasts_operands(node) || node.inputs.size() != 2) return value;
    std::optional<std::size_t> follow;
    for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
      const ValueId other = node.inputs[1 - side];
      if (!other || !node.inputs[side]) return value;
      if (const auto shape = type_of(model, other).static_shape(); shape && shape->empty()) {
        follow = side;
        break;
      }
    }
    if (!follow) return value;
    value = node.inputs[*follow];
  }
}

static ValueId dtype_origin(const Model& model, ValueId value) {
  while (true) {
    const GraphValue& info = model.value(value);
    if (!info.producer || info.output != 0) return value;
    const GraphNode& node = model.node(info.producer);
    if (!keeps_dtype(node) || node.inputs.empty() || !node.inputs[0]) return value;
    value = node.inputs[0];
  }
}

bool proven_same_shape(const Model& model, ValueId a, ValueId b) {
  if (a == b) return true;
  const Type left = type_of(model, a);
  const Type right = type_of(model, b);
  if (left.is_tensor() && right.is_tensor() && left.dims && right.dims) {
    if (left.dims->size() != right.dims->size()) return false;
    bool all = true;
    for (std::size_t i = 0; i < left.dims->size(); ++i) {
      all = all && dimension_key(model, a, i) == dimension_key(model, b, i);
    }
    if (all) return true;
  }
  return shape_origin(model, a) == shape_origin(model, b);
}

bool proven_same_dtype(const Model& model, ValueId a, ValueId b) {
  const Type left = type_of(model, a);
  const Type right = type_of(model, b);
  if (left.is_tensor() && right.is_tensor() && left.dtype != DType::Undefined &&
      right.dtype != DType::Undefined) {
    return left.dtype == right.dtype;
  }
  return dtype_origin(model, a) == dtype_origin(model, b);
}

std::string dimension_key(const Model& model, ValueId value, std::size_t axis) {
  const Type type = type_of(model, value);
  if (!type.is_tensor() || !type.dims || axis >= type.dims->size()) return {};
  const Dim& dim = (*type.dims)[axis];
  if (dim.known()) return fmt::format("{}", dim.size);
  if (!dim.symbol.empty()) return dim.symbol;
  const ValueId origin = shape_origin(model, value);
  const Type origin_type = type_of(model, origin);
  if (origin_type.dims && axis < origin_type.dims->size()) {
    const Dim& first = (*origin_type.dims)[axis];
    if (first.known()) return fmt::format("{}", first.size);
    if (!first.symbol.empty()) return first.symbol;
  }
  return fmt::format("@{}.{}", origin.index, axis);
}

bool does_not_widen(const Model& model, const GraphNode& node, std::size_t index,
                    const Shape& shape) {
  if (shape.empty()) return true;
  if (!broadcasts_operands(node)) return element_count(shape) == 1;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (i == index || !node.inputs[i]) continue;
    const Type other = type_of(model, node.inputs[i]);
    if (!other.is_tensor() || !other.dims || other.dims->size() < shape.size()) continue;
    const std::size_t offset = other.dims->size() - shape.size();
    bool fits = true;
    for (std::size_t d = 0; d < shape.size(); ++d) {
      const Dim& dim = (*other.dims)[offset + d];
      fits = fits && (shape[d] == 1 || (dim.known() && dim.size == shape[d]));
    }
    if (fits) return true;
  }
  return false;
}

bool one_distinct_value(const Tensor& tensor) {
  if (tensor.size() < 1) return false;
  if (tensor.dtype() == DType::String) {
    const auto& all = tensor.strings();
    return std::all_of(all.begin(), all.end(), [&](const auto& s) { return s == all.front(); });
  }
  const int bits = bit_width(tensor.dtype());
  if (bits >= 8 && !is_complex(tensor.dtype())) {
    const std::size_t width = static_cast<std::size_t>(bits) / 8;
    const std::byte* data = tensor.bytes().data();
    const auto count = static_cast<std::size_t>(tensor.size());
    bool same = true;
    for (std::size_t i = 1; same && i < count; ++i) {
      same = std::memcmp(data, data + i * width, width) == 0;
    }
    if (same) return true;
    // 0 and -0 are one value with two spellings.
    return is_float(tensor.dtype()) && tensor.number(0) == 0 && [&] {
      for (std::int64_t i = 1; i < tensor.size(); ++i) {
        if (tensor.number(i) != 0) return false;
      }
      return true;
    }();
  }
  for (std::int64_t i = 1; i < tensor.size(); ++i) {
    if (tensor.number(i) != tensor.number(0)) return false;
  }
  return true;
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
