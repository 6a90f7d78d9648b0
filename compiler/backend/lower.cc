// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/lower.h"

#include <map>

#include "compiler/backend/lowering.h"
#include "runtime/generic/kernel.h"

namespace rulec::backend {

using Family = bool (*)(Lowering&, NodeId);

static Family family_of(std::string_view type) {
  static const std::map<std::string_view, Family> families = {
      {"Conv", lower_convolution},      {"MaxPool", lower_pooling},
      {"AveragePool", lower_pooling},   {"GlobalAveragePool", lower_pooling},
      {"GlobalMaxPool", lower_pooling}, {"Gemm", lower_matmul},
      {"MatMul", lower_matmul},         {"Softmax", lower_rows},
      {"LogSoftmax", lower_rows},       {"LayerNormalization", lower_rows},
      {"ReduceMean", lower_rows},       {"ReduceSum", lower_rows},
      {"ReduceMax", lower_rows},        {"ReduceMin", lower_rows},
      {"ReduceL2", lower_rows},         {"ReduceSumSquare", lower_rows},
      {"Reshape", lower_movement},      {"Flatten", lower_movement},
      {"Squeeze", lower_movement},      {"Unsqueeze", lower_movement},
      {"Identity", lower_movement},     {"Dropout", lower_movement},
      {"Transpose", lower_movement},    {"Concat", lower_movement},
      {"Slice", lower_movement},        {"Split", lower_movement},
      {"Pad", lower_movement},          {"Expand", lower_movement},
      {"Gather", lower_movement},       {"DepthToSpace", lower_movement},
      {"SpaceToDepth", lower_movement}, {"Resize", lower_resize},
      {"Upsample", lower_resize},       {"LSTM", lower_recurrent},
      {"GRU", lower_recurrent},
  };
  const auto it = families.find(type);
  return it == families.end() ? lower_elementwise : it->second;
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
    return make_error("node '{}': the runtime has no kernel for the operator {}{}{}", n.name,
                      n.domain.str(), n.domain.empty() ? "" : ".", n.type.str());
  }
  return Done{};
}

Result<Lowered> lower(const Model& model, bool fast_kernels, Optimize optimize) {
  if (Status ok = check_operators(model); !ok) return ok.error();
  Lowering l(model, optimize);
  lower_inputs(l);
  if (fast_kernels) find_patterns(l);
  for (NodeId node : model.nodes(model.main())) {
    const GraphNode& n = model.node(node);
    if (n.domain.empty() && n.type == "Constant" && n.outputs.size() == 1 &&
        model.constant(n.outputs[0])) {
      continue;  // a weight where it is read
    }
    if (const auto it = l.absorbed.find(node.index); it != l.absorbed.end()) {
      l.report(node, "", it->second);
      continue;
    }
    l.reason = "no fast kernel for this operator";
    if (fast_kernels && n.domain.empty() && family_of(n.type)(l, node)) continue;
    l.lower_generic(node);
    l.report(node, "Generic", fast_kernels ? l.reason : "as asked");
  }
  lower_outputs(l);
  auto& operations = l.main().operations;
  std::erase_if(operations, [](const Operation& op) { return op.dead; });
  return std::move(l.out);
}

}  // namespace rulec::backend
