// SPDX-License-Identifier: Apache-2.0
#include "matcher/facts.h"

#include <algorithm>
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

}  // namespace rulec
