// SPDX-License-Identifier: Apache-2.0
#include "matcher/type_rules.h"

#include <unordered_map>

#include "matcher/type_forms.h"

namespace rulec {

namespace {

enum class Family : std::uint8_t {
  Same,        // result like operand 0
  Arithmetic,  // broadcast, element type of operand 0
  Comparison,  // broadcast, bool
  MatMul,
  FusedMatMul,
  Transpose,
  Reduction,
  Softmax,
  LayerNormalization,
  Gemm,
  Cast,
  Constant,
  Pool,
  Slice,
  Features,
};

struct Entry {
  Family family = Family::Same;
  int since = 1;  // the opset from which the rule holds
};

// By the address of the operator's name, which is interned.
using Table = std::unordered_map<const std::string*, Entry>;

}  // namespace

static const Entry* entry_of(const GraphNode& node) {
  // Operators of ONNX Runtime's that rewrites make by the thousand.
  static const Table contributed = [] {
    Table out;
    for (const char* type : {"Gelu", "FastGelu", "QuickGelu"})
      out.emplace(&Symbol(type).str(), Entry{Family::Same, 1});
    out.emplace(&Symbol("FusedMatMul").str(), Entry{Family::FusedMatMul, 1});
    return out;
  }();
  static const Table tabular = {
      {&Symbol("ArrayFeatureExtractor").str(), {Family::Features, 1}},
  };
  static const Table standard = [] {
    Table out;
    const auto add = [&](Family family, int since, std::initializer_list<const char*> types) {
      for (const char* type : types)
        out.emplace(&Symbol(type).str(), Entry{family, since});
    };
    add(Family::Same, 6,
        {"Abs", "Ceil", "Elu", "Exp", "Floor", "HardSigmoid", "LeakyRelu", "Log", "Neg", "Relu",
         "Selu", "Sigmoid", "Sqrt", "Reciprocal", "Softsign", "Softplus", "Tanh"});
    add(Family::Same, 7, {"Sin", "Cos", "Tan"});
    add(Family::Same, 9, {"Erf", "Sign", "Sinh", "Cosh"});
    add(Family::Same, 11, {"Round"});
    add(Family::Same, 14, {"HardSwish"});
    add(Family::Same, 18, {"Mish"});
    add(Family::Same, 20, {"Gelu"});
    add(Family::Arithmetic, 7, {"Add", "Sub", "Mul", "Div", "Pow"});
    add(Family::Comparison, 9, {"Less", "Greater"});
    add(Family::Comparison, 11, {"Equal"});
    add(Family::Comparison, 12, {"LessOrEqual", "GreaterOrEqual"});
    add(Family::Comparison, 7, {"And", "Or", "Xor"});
    add(Family::MatMul, 9, {"MatMul"});
    add(Family::Transpose, 1, {"Transpose"});
    add(Family::Reduction, 11,
        {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
         "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"});
    add(Family::Softmax, 11, {"Softmax", "LogSoftmax"});
    add(Family::LayerNormalization, 17, {"LayerNormalization"});
    add(Family::Gemm, 9, {"Gemm"});
    add(Family::Cast, 9, {"Cast"});
    add(Family::Constant, 11, {"Constant"});
    add(Family::Pool, 10, {"MaxPool", "AveragePool"});
    add(Family::Pool, 18, {"LpPool"});
    add(Family::Slice, 10, {"Slice"});
    return out;
  }();
  const Table* table = nullptr;
  if (node.domain.empty()) {
    table = &standard;
  } else if (node.domain == "com.microsoft") {
    table = &contributed;
  } else if (node.domain == "ai.onnx.ml") {
    table = &tabular;
  } else {
    return nullptr;
  }
  const auto found = table->find(&node.type.str());
  return found == table->end() ? nullptr : &found->second;
}

static bool is_real(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F64 || dtype == DType::F16 || dtype == DType::BF16;
}

// A tensor of known rank.
static const Type* shaped(const Model& model, ValueId id) {
  if (!id) return nullptr;
  const Type& type = model.value(id).type;
  const bool known = type.is_tensor() && type.dims && type.dtype != DType::Undefined;
  return known ? &type : nullptr;
}

std::optional<Type> type_of_result(const Model& model, const GraphNode& node, int opset) {
  const Entry* entry = entry_of(node);
  if (entry == nullptr || opset < entry->since) return std::nullopt;
  const std::size_t most = entry->family == Family::Pool ? 2 : 1;
  if (node.outputs.empty() || node.outputs.size() > most || !node.outputs[0]) return std::nullopt;
  if (entry->family == Family::Constant) {
    const auto tensor = node.inputs.empty() && node.attributes.all().size() == 1
                            ? model.constant(node.outputs[0])
                            : nullptr;
    if (!tensor) return std::nullopt;
    return Type::tensor(tensor->dtype(), tensor->shape());
  }
  const std::size_t operands = node.inputs.size();
  const Type* const a = operands > 0 ? shaped(model, node.inputs[0]) : nullptr;
  if (a == nullptr) return std::nullopt;
  const auto b = [&]() -> const Type* {
    return operands == 2 ? shaped(model, node.inputs[1]) : nullptr;
  };
  const bool real = is_real(a->dtype);
  switch (entry->family) {
    case Family::Same:
      return real && operands == 1 ? std::optional(*a) : std::nullopt;
    case Family::Arithmetic:
      return real && b() != nullptr ? broadcast(*a, *b(), a->dtype) : std::nullopt;
    case Family::Comparison:
      return b() != nullptr ? broadcast(*a, *b(), DType::Bool) : std::nullopt;
    case Family::MatMul:
      return b() != nullptr ? matmul(*a, *b()) : std::nullopt;
    case Family::FusedMatMul:
      return b() != nullptr ? fused_matmul(node, *a, *b()) : std::nullopt;
    case Family::Transpose:
      return operands == 1 ? transpose(node, *a) : std::nullopt;
    case Family::Reduction:
      return real ? reduce(model, node, *a, opset) : std::nullopt;
    case Family::Softmax:
      return operands == 1 && axis_exists(node, *a, opset >= 13 ? -1 : 1) ? std::optional(*a)
                                                                          : std::nullopt;
    case Family::LayerNormalization:
      return (operands == 2 || operands == 3) && axis_exists(node, *a, -1) ? std::optional(*a)
                                                                           : std::nullopt;
    case Family::Gemm: {
      const Type* other = operands >= 2 && operands <= 3 ? shaped(model, node.inputs[1]) : nullptr;
      return other != nullptr ? gemm(node, *a, *other) : std::nullopt;
    }
    case Family::Cast:
      return operands == 1 && (real || a->dtype == DType::Bool) ? cast(node, *a) : std::nullopt;
    case Family::Pool:
      return operands == 1 ? pool(node, *a) : std::nullopt;
    case Family::Slice:
      // A list of integers may be a shape.
      return real || a->dims->size() > 1 ? slice(model, node, *a) : std::nullopt;
    case Family::Features:
      return b() != nullptr ? features(*a, *b()) : std::nullopt;
    case Family::Constant:
      break;
  }
  return std::nullopt;
}

Type type_of_indices(const Type& pooled) {
  return {.kind = pooled.kind, .dtype = DType::I64, .dims = pooled.dims};
}

}  // namespace rulec
