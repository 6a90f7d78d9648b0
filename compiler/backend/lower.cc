// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/lower.h"

#include <algorithm>
#include <map>

#include "compiler/backend/lowering.h"
#include "matcher/label.h"
#include "runtime/generic/kernel.h"

namespace rulec::backend {

namespace {
struct Family {
  std::string_view domain, type;
  bool (*lower)(Lowering&, NodeId);
  std::string_view elements;  // the types it takes, for people
};
}  // namespace

static constexpr std::string_view f32 = "f32", numbers = "bool u8 i8 i32 i64 f32 f64",
                                  any_bytes = "any of 8, 16, 32 or 64 bits", stored = "u8 i8";

static constexpr Family families[] = {
    {"", "Conv", lower_convolution, f32},
    {"", "MaxPool", lower_pooling, "f32 u8 i8"},
    {"", "AveragePool", lower_pooling, f32},
    {"", "GlobalAveragePool", lower_pooling, f32},
    {"", "GlobalMaxPool", lower_pooling, f32},
    {"", "Gemm", lower_matmul, f32},
    {"", "MatMul", lower_matmul, f32},
    {"", "Softmax", lower_rows, f32},
    {"", "LogSoftmax", lower_rows, f32},
    {"", "LayerNormalization", lower_rows, f32},
    {"", "ReduceMean", lower_rows, f32},
    {"", "ReduceSum", lower_rows, f32},
    {"", "ReduceMax", lower_rows, f32},
    {"", "ReduceMin", lower_rows, f32},
    {"", "ReduceL1", lower_rows, f32},
    {"", "ReduceL2", lower_rows, f32},
    {"", "ReduceSumSquare", lower_rows, f32},
    {"", "ReduceProd", lower_rows, f32},
    {"", "Reshape", lower_movement, any_bytes},
    {"", "Flatten", lower_movement, any_bytes},
    {"", "Squeeze", lower_movement, any_bytes},
    {"", "Unsqueeze", lower_movement, any_bytes},
    {"", "Identity", lower_movement, any_bytes},
    {"", "Dropout", lower_movement, any_bytes},
    {"", "Transpose", lower_movement, any_bytes},
    {"", "Concat", lower_movement, any_bytes},
    {"", "Slice", lower_movement, any_bytes},
    {"", "Split", lower_movement, any_bytes},
    {"", "Pad", lower_movement, any_bytes},
    {"", "Expand", lower_movement, any_bytes},
    {"", "Gather", lower_movement, any_bytes},
    {"", "DepthToSpace", lower_movement, any_bytes},
    {"", "SpaceToDepth", lower_movement, any_bytes},
    {"", "ScatterND", lower_movement, any_bytes},
    {"", "Resize", lower_resize, f32},
    {"", "Upsample", lower_resize, f32},
    {"", "LSTM", lower_recurrent, f32},
    {"", "GRU", lower_recurrent, f32},
    {"", "Cast", lower_typed, numbers},
    {"", "CastLike", lower_typed, numbers},
    {"", "Equal", lower_typed, numbers},
    {"", "Less", lower_typed, numbers},
    {"", "LessOrEqual", lower_typed, numbers},
    {"", "Greater", lower_typed, numbers},
    {"", "GreaterOrEqual", lower_typed, numbers},
    {"", "And", lower_typed, "bool"},
    {"", "Or", lower_typed, "bool"},
    {"", "Xor", lower_typed, "bool"},
    {"", "Not", lower_typed, "bool"},
    {"", "Where", lower_typed, any_bytes},
    {"", "Add", lower_elementwise, "f32 i32 i64"},
    {"", "Sub", lower_elementwise, "f32 i32 i64"},
    {"", "Mul", lower_elementwise, "f32 i32 i64"},
    {"", "Min", lower_elementwise, "f32 i32 i64"},
    {"", "Max", lower_elementwise, "f32 i32 i64"},
    {"", "Div", lower_elementwise, f32},
    {"", "Sum", lower_elementwise, f32},
    {"", "Pow", lower_elementwise, f32},
    {"", "Neg", lower_elementwise, f32},
    {"", "Abs", lower_elementwise, f32},
    {"", "Exp", lower_elementwise, f32},
    {"", "Log", lower_elementwise, f32},
    {"", "Sqrt", lower_elementwise, f32},
    {"", "Reciprocal", lower_elementwise, f32},
    {"", "Erf", lower_elementwise, f32},
    {"", "Floor", lower_elementwise, f32},
    {"", "Ceil", lower_elementwise, f32},
    {"", "Round", lower_elementwise, f32},
    {"", "Sin", lower_elementwise, f32},
    {"", "Cos", lower_elementwise, f32},
    {"", "Sign", lower_elementwise, f32},
    {"", "PRelu", lower_elementwise, f32},
    {"", "BatchNormalization", lower_elementwise, f32},
    {"", "ImageScaler", lower_elementwise, f32},
    {"", "QuantizeLinear", lower_quantized, stored},
    {"", "DequantizeLinear", lower_quantized, stored},
    {"", "QLinearConv", lower_quantized_product, stored},
    {"", "QLinearMatMul", lower_quantized_product, stored},
    {"com.microsoft", "FusedMatMul", lower_matmul, f32},
    {"rulec", "Activate", lower_elementwise, f32},
    {"rulec", "FusedConv", lower_fused_convolution, f32},
    {"rulec", "FusedGemm", lower_matmul, f32},
    {"rulec", "LayerNormalization", lower_rows, f32},
    {"rulec", "Quantize", lower_quantized, stored},
    {"rulec", "QuantizedAdd", lower_quantized, stored},
    {"rulec", "QuantizedMul", lower_quantized, stored},
    {"rulec", "QuantizedLookup", lower_quantized, stored},
    {"rulec", "QuantizedGlobalAveragePool", lower_quantized, stored},
    {"rulec", "QuantizedConv", lower_quantized_product, stored},
    {"rulec", "QuantizedGemm", lower_quantized_product, stored},
};

static const Family* family_of(const GraphNode& node) {
  static const auto index = [] {
    std::map<std::pair<std::string_view, std::string_view>, const Family*> out;
    for (const Family& family : families)
      out[{family.domain, family.type}] = &family;
    return out;
  }();
  const auto it = index.find({node.domain.str(), node.type.str()});
  return it == index.end() ? nullptr : it->second;
}

std::vector<FastOperator> fast_operators() {
  std::vector<FastOperator> out;
  for (const Family& family : families)
    out.push_back({std::string(family.domain), std::string(family.type), family.elements});
  return out;
}

static void lower_inputs(Lowering& l) {
  const Model& model = l.model;
  for (ValueId id : model.graph(model.main()).inputs) {
    const GraphValue& g = model.value(id);
    if (g.initializer && model.constant(id)) continue;  // old files list constants as inputs
    Value v;
    v.name = g.name;
    Port port;
    port.name = g.name;
    port.is_tensor = g.type.is_tensor() || g.type.kind == Type::Kind::Unknown;
    port.type_text = to_string(g.type);
    if (g.type.is_tensor()) {
      v.dtype = g.type.dtype;
      if (g.type.dims) {
        v.dims.emplace();
        for (const Dim& d : *g.type.dims) {
          v.dims->push_back(d.size);
          port.symbols.push_back(d.symbol);
        }
      }
    }
    l.main().values.push_back(std::move(v));
    const auto index = static_cast<Index>(l.main().values.size() - 1);
    l.bind(id, index);
    l.main().inputs.push_back(index);
    port.value = index;
    if (g.initializer) port.default_value = l.add_weight(g.name, *g.initializer);
    l.out.ports.push_back(std::move(port));
  }
}

static void lower_outputs(Lowering& l) {
  const Model& model = l.model;
  for (ValueId id : model.graph(model.main()).outputs) {
    const GraphValue& g = model.value(id);
    const Index v = l.plain(id);
    Port port;
    port.name = g.name;
    port.is_output = true;
    port.is_tensor = g.type.is_tensor() || g.type.kind == Type::Kind::Unknown;
    port.type_text = to_string(g.type);
    port.value = v;
    const Value& value = l.value(v);
    if (g.type.dims && value.dims && g.type.dims->size() == value.dims->size()) {
      for (const Dim& d : *g.type.dims)
        port.symbols.push_back(d.symbol);
    }
    l.main().outputs.push_back(v);
    l.out.ports.push_back(std::move(port));
  }
}

static Status check_operators(const Model& model) {
  for (std::uint32_t i = 0; i < model.node_capacity(); ++i) {
    const GraphNode& n = model.node(NodeId{i});
    if (!n.alive) continue;
    bool in_function = false;
    for (const Function& f : model.functions) {
      if (model.encloses(f.body, n.graph)) in_function = true;
    }
    if (in_function || generic::find_kernel(n.domain, n.type) != nullptr) continue;
    return make_error(
        "node `{}`: the runtime has no kernel for the operator `{}{}{}`; replace it by a rule, or "
        "run "
        "the model where the operator is known",
        label(model, NodeId{i}), n.domain.str(), n.domain.empty() ? "" : "::", n.type.str());
  }
  return Done{};
}

// Nodes whose results come to be quantized. A sum in another order may fall to the other side of a
// step there, so these keep to kernels that give the correctly rounded result.
static std::vector<bool> quantized_later(const Model& model) {
  std::vector<bool> out(model.node_capacity(), false);
  const std::vector<NodeId> nodes = model.nodes(model.main());
  for (std::size_t i = nodes.size(); i-- > 0;) {
    const GraphNode& n = model.node(nodes[i]);
    if (n.type == "QuantizeLinear" || n.type == "DynamicQuantizeLinear" || n.type == "Quantize") {
      out[nodes[i].index] = true;
      continue;
    }
    for (ValueId value : n.outputs) {
      if (!value) continue;
      for (const Use& use : model.uses(value)) {
        if (use.node && out[use.node.index]) out[nodes[i].index] = true;
      }
    }
  }
  return out;
}

// Fast kernels that move elements or round each result once, as the generic ones do.
static bool rounds_once(const Family& family, const GraphNode& n) {
  if (family.lower == lower_movement || family.lower == lower_typed ||
      family.lower == lower_quantized || family.lower == lower_quantized_product) {
    return true;
  }
  static constexpr std::string_view once[] = {"MaxPool", "GlobalMaxPool", "Add",   "Sub", "Mul",
                                              "Div",     "Neg",           "Abs",   "Min", "Max",
                                              "Floor",   "Ceil",          "Round", "Sqrt"};
  if (n.type == "Activate") {
    const std::string_view kind = n.attributes.text("activation", "");
    return kind == "Relu" || kind == "Clip" || kind == "LeakyRelu";
  }
  return std::find(std::begin(once), std::end(once), n.type.str()) != std::end(once);
}

Result<Lowered> lower(const Model& model, bool fast_kernels, Optimize optimize, bool any_batch) {
  if (Status ok = check_operators(model); !ok) return ok.error();
  Lowering l(model, optimize, any_batch);
  lower_inputs(l);
  const std::vector<bool> exact = quantized_later(model);
  for (NodeId node : model.nodes(model.main())) {
    const GraphNode& n = model.node(node);
    if (n.domain.empty() && n.type == "Constant" && n.outputs.size() == 1 &&
        model.constant(n.outputs[0])) {
      continue;  // a weight where it is read
    }
    l.reason = "no fast kernel for this operator";
    const Family* family = fast_kernels ? family_of(n) : nullptr;
    if (family != nullptr && exact[node.index] && !rounds_once(*family, n)) {
      l.reason = "its result is quantized: the last bit matters";
    } else if (family != nullptr && family->lower(l, node)) {
      continue;
    }
    l.lower_generic(node, fast_kernels && !exact[node.index]);
    l.report(node, "Generic", fast_kernels ? l.reason : "as asked");
  }
  lower_outputs(l);
  auto& operations = l.main().operations;
  std::erase_if(operations, [](const Operation& op) { return op.dead; });
  return std::move(l.out);
}

}  // namespace rulec::backend
