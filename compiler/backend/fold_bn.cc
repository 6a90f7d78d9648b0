// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/fold_bn.h"

#include <cmath>

namespace rulec::backend {

namespace {
struct Affine {  // y = scale x + shift, for each channel
  std::vector<double> scale, shift;
};
}  // namespace

static bool is_op(const GraphNode& node, std::string_view type) {
  return node.domain.empty() && node.type == type;
}

static std::optional<Affine> affine_of(const Model& model, const GraphNode& bn) {
  if (bn.inputs.size() != 5 || bn.attributes.integer("training_mode", 0) != 0) return std::nullopt;
  std::vector<double> v[4];
  for (std::size_t i = 0; i < 4; ++i) {
    const auto t = bn.inputs[i + 1] ? model.constant(bn.inputs[i + 1]) : nullptr;
    if (!t || t->dtype() != DType::F32 || t->rank() != 1) return std::nullopt;
    v[i] = t->numbers();
    if (v[i].size() != v[0].size()) return std::nullopt;
  }
  const double epsilon = static_cast<double>(bn.attributes.number("epsilon", 1e-5f));
  Affine a;
  for (std::size_t c = 0; c < v[0].size(); ++c) {
    a.scale.push_back(v[0][c] / std::sqrt(v[3][c] + epsilon));
    a.shift.push_back(v[1][c] - v[2][c] * a.scale[c]);
  }
  return a;
}

static bool fold_one(Model& model, NodeId id) {
  const GraphNode& bn = model.node(id);
  const auto affine = affine_of(model, bn);
  if (!affine || !bn.inputs[0]) return false;
  for (std::size_t i = 1; i < bn.outputs.size(); ++i) {
    if (bn.outputs[i] && model.use_count(bn.outputs[i]) > 0) return false;
  }
  const ValueId middle = bn.inputs[0], out = bn.outputs[0];
  if (model.is_graph_output(out)) return false;  // the output's name hangs on this node
  const NodeId producer = model.value(middle).producer;
  if (!producer || model.use_count(middle) != 1) return false;
  const GraphNode& conv = model.node(producer);
  if (!is_op(conv, "Conv") || conv.graph.index != bn.graph.index || conv.inputs.size() < 2) {
    return false;
  }
  const auto weights = model.constant(conv.inputs[1]);
  const bool has_bias = conv.inputs.size() > 2 && conv.inputs[2];
  const auto bias = has_bias ? model.constant(conv.inputs[2]) : nullptr;
  if (!weights || weights->dtype() != DType::F32 || weights->rank() < 3 || (has_bias && !bias)) {
    return false;
  }
  const auto channels = affine->scale.size();
  if (static_cast<std::size_t>(weights->dim(0)) != channels) return false;
  if (bias && (bias->dtype() != DType::F32 || static_cast<std::size_t>(bias->size()) != channels)) {
    return false;
  }
  Tensor w = Tensor::allocate(DType::F32, weights->shape());
  Tensor b = Tensor::allocate(DType::F32, {static_cast<std::int64_t>(channels)});
  const auto per_channel = static_cast<std::size_t>(weights->size()) / channels;
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < per_channel; ++i) {
      const std::size_t at = c * per_channel + i;
      w.mutable_data<float>()[at] =
          static_cast<float>(static_cast<double>(weights->data<float>()[at]) * affine->scale[c]);
    }
    const double before = bias ? static_cast<double>(bias->data<float>()[c]) : 0.0;
    b.mutable_data<float>()[c] = static_cast<float>(before * affine->scale[c] + affine->shift[c]);
  }
  const GraphId graph = bn.graph;
  const std::string name = model.value(conv.inputs[1]).name;
  const Type wt = Type::tensor(DType::F32, w.shape()), bt = Type::tensor(DType::F32, b.shape());
  const ValueId nw = model.add_initializer(graph, model.fresh_value_name(name), std::move(w));
  const ValueId nb = model.add_initializer(graph, model.fresh_value_name(name), std::move(b));
  model.value(nw).type = wt;
  model.value(nb).type = bt;
  model.set_input(producer, 1, nw);
  model.set_input(producer, 2, nb);
  model.replace_uses(out, middle);
  model.remove_node(id);
  return true;
}

std::size_t fold_batch_norms(Model& model) {
  std::size_t count = 0;
  for (NodeId id : model.nodes(model.main())) {
    if (is_op(model.node(id), "BatchNormalization") && fold_one(model, id)) {
      ++count;
    }
  }
  return count;
}

}  // namespace rulec::backend
