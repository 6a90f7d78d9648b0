// SPDX-License-Identifier: Apache-2.0
// LSTM and GRU with the standard activations and constant weights.
#include "compiler/backend/lowering.h"
#include "compiler/backend/packing.h"

namespace rulec::backend {

using format::Layout;

// The matrices of all directions, packed one behind the other.
static Tensor pack_directions(const Tensor& w) {
  const std::int64_t directions = w.dim(0), rows = w.dim(1), depth = w.dim(2);
  std::vector<float> all;
  for (std::int64_t d = 0; d < directions; ++d) {
    const Tensor packed =
        pack_columns({w.data<float>() + d * rows * depth, static_cast<std::size_t>(rows * depth)},
                     depth, rows, true);
    all.insert(all.end(), packed.data<float>(), packed.data<float>() + packed.size());
  }
  return Tensor::of<float>({static_cast<std::int64_t>(all.size())}, std::span<const float>(all));
}

static Tensor pack_bias(const Tensor* b, std::int64_t directions, std::int64_t rows) {
  std::vector<float> all;
  for (std::int64_t part = 0; part < 2 * directions; ++part) {
    const auto values =
        b == nullptr ? std::span<const float>()
                     : std::span(b->data<float>() + part * rows, static_cast<std::size_t>(rows));
    const Tensor padded = pad_vector(values, rows, 0.0f);
    all.insert(all.end(), padded.data<float>(), padded.data<float>() + padded.size());
  }
  return Tensor::of<float>({static_cast<std::int64_t>(all.size())}, std::span<const float>(all));
}

bool lower_recurrent(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  const bool lstm = n.type == "LSTM";
  const auto operand = [&](std::size_t i) { return i < n.inputs.size() ? n.inputs[i] : ValueId{}; };
  const auto x = l.shape(operand(0));
  const auto w = l.constant(operand(1)), r = l.constant(operand(2));
  const auto b = l.constant(operand(3));
  if (!x) return l.refuse("a shape that is not known");
  if (!l.is_f32(operand(0)) || !w || !r || w->dtype() != DType::F32 || r->dtype() != DType::F32 ||
      (operand(3) && !b)) {
    return l.refuse("weights that are not constant f32");
  }
  if (operand(4) || operand(7)) return l.refuse("lengths or peepholes");
  if (n.attributes.has("activations") || n.attributes.has("clip") ||
      n.attributes.integer("layout", 0) != 0 || n.attributes.integer("input_forget", 0) != 0) {
    // The standard activations may be spelled out.
    const auto* list = n.attributes.get<std::vector<std::string>>("activations");
    bool standard = list != nullptr && !n.attributes.has("clip") &&
                    n.attributes.integer("layout", 0) == 0 &&
                    n.attributes.integer("input_forget", 0) == 0;
    const std::size_t period = lstm ? 3 : 2;
    for (std::size_t i = 0; standard && i < list->size(); ++i) {
      standard = (*list)[i] == (i % period == 0 ? "Sigmoid" : "Tanh");
    }
    if (!standard) return l.refuse("other than the standard cell");
  }
  kernels::RecurrentParameters p;
  p.kind = lstm ? kernels::CellKind::Lstm : kernels::CellKind::Gru;
  const std::string_view direction = n.attributes.text("direction", "forward");
  p.directions = direction == "bidirectional" ? 2 : 1;
  p.reversed = direction == "reverse" ? 1 : 0;
  p.hidden = static_cast<std::uint32_t>(r->dim(2));
  p.linear_before_reset =
      static_cast<std::uint32_t>(n.attributes.integer("linear_before_reset", 0) != 0);
  const std::int64_t rows = w->dim(1);
  const std::int64_t batch = (*x)[1], hidden = p.hidden;
  if (w->dim(0) != p.directions || rows != (lstm ? 4 : 3) * hidden || w->dim(2) != (*x)[2]) {
    return l.refuse("weights that do not fit");
  }
  for (ValueId y : n.outputs) {
    if (y && !l.shape(y)) return l.refuse("a shape that is not known");
  }
  for (std::size_t i : {std::size_t{5}, std::size_t{6}}) {
    const auto s = operand(i) ? l.shape(operand(i)) : std::nullopt;
    if (operand(i) && (!s || element_count(*s) != p.directions * batch * hidden)) {
      return l.refuse("a state of another size");
    }
  }
  std::vector<Index> inputs = {l.plain(operand(0))};
  const std::string& name = l.model.value(operand(1)).name;
  inputs.push_back(l.add_weight(name, pack_directions(*w)));
  inputs.push_back(l.add_weight(l.model.value(operand(2)).name, pack_directions(*r)));
  inputs.push_back(l.add_weight(name + ".bias", pack_bias(b.get(), p.directions, rows)));
  for (std::size_t i : {std::size_t{5}, std::size_t{6}}) {
    if (!operand(i)) continue;
    inputs.push_back(l.plain(operand(i)));
    (i == 5 ? p.has_h0 : p.has_c0) = 1;
  }
  std::vector<Index> outputs;
  for (std::size_t i = 0; i < (lstm ? 3u : 2u); ++i) {
    const ValueId y = i < n.outputs.size() ? n.outputs[i] : ValueId{};
    outputs.push_back(y ? l.add_arena(y, Layout::Plain) : no_value);
    if (y) l.bind(y, outputs.back());
  }
  l.add(Opcode::Recurrent, node, std::move(inputs), std::move(outputs)).set(p);
  l.report(node, "Recurrent", "");
  return true;
}

}  // namespace rulec::backend
