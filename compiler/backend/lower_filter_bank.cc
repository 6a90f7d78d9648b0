// SPDX-License-Identifier: Apache-2.0
// A convolution of one signal with long windows, as wavelets and spectra are computed: its windows
// are rows of a matrix that overlap in memory, so it is a product without any copying.
#include "compiler/backend/lowering.h"
#include "compiler/backend/packing.h"

namespace rulec::backend {

using format::Layout;

// rows windows of `depth`, `stride` apart, beginning at element `first` of the signal, times packed
// columns, into `out`.
static void add_product(Lowering& l, NodeId node, Index signal, std::int64_t first,
                        std::int64_t rows, std::int64_t stride, std::int64_t depth,
                        std::int64_t columns, Index weights, Index bias, Index out) {
  kernels::GemmParameters p;
  p.rows = static_cast<std::uint32_t>(rows);
  p.depth = static_cast<std::uint32_t>(depth);
  p.columns = static_cast<std::uint32_t>(columns);
  p.row = static_cast<std::uint32_t>(stride);
  const std::int64_t length = (rows - 1) * stride + depth;
  const Index part = l.add_alias(signal, l.value(signal).name, {length}, first * 4);
  std::vector<Index> operands = {part, weights};
  if (bias != no_value) {
    p.has_bias = 1;
    operands.push_back(bias);
  }
  l.add(Opcode::Gemm, node, operands, {out}).set(p);
}

bool lower_filter_bank(Lowering& l, NodeId node, const Tensor& weights, const Tensor* bias,
                       std::int64_t stride) {
  const GraphNode& n = l.model.node(node);
  const ValueId x = n.inputs[0], y = n.outputs[0];
  const Shape out = *l.shape(y);
  const std::int64_t filters = weights.dim(0), window = weights.size() / filters;
  const std::int64_t steps = out.back();
  const std::string& name = l.model.value(n.inputs[1]).name;
  const Index signal = l.plain_in_arena(x);
  const std::span<const float> w(weights.data<float>(), static_cast<std::size_t>(weights.size()));
  const auto bias_of = [&](std::int64_t columns) {
    if (bias == nullptr) return no_value;
    std::vector<float> v(static_cast<std::size_t>(columns), bias->data<float>()[0]);
    const std::span<const float> all(bias->data<float>(), static_cast<std::size_t>(bias->size()));
    return l.add_weight(name + ".bias", pad_vector(filters == 1 ? v : all, columns, 0.0f));
  };
  if (filters > 1) {
    const Index made =
        l.add_arena(l.model.value(y).name, DType::F32, {steps, filters}, Layout::Plain);
    add_product(l, node, signal, 0, steps, stride, window, filters,
                l.add_weight(name, pack_columns(w, window, filters, true)), bias_of(filters), made);
    const Index result = l.add_arena(y, Layout::Plain);
    kernels::CopyParameters head;
    head.parts = 1;
    head.rank = 2;
    head.element_bytes = 4;
    kernels::CopyPart part{};
    part.dims[0] = filters;
    part.dims[1] = steps;
    part.in_stride[0] = part.out_stride[1] = 1;
    part.in_stride[1] = filters;
    part.out_stride[0] = steps;
    Operation& copy = l.add(Opcode::Copy, {}, {made}, {result});
    copy.set(head);
    copy.parameters.append(reinterpret_cast<const char*>(&part), sizeof part);
    l.bind(y, result);
    return true;
  }
  // One filter: 16 steps are the columns of one product, each with the filter a stride further on.
  constexpr std::int64_t group = 16;
  const Index result = l.add_arena(y, Layout::Plain);
  const std::int64_t rows = steps / group, rest = steps % group;
  const auto into = [&](std::int64_t first, std::int64_t count) {
    return l.add_alias(result, l.model.value(y).name, {count}, first * 4);
  };
  if (rows > 0) {
    const std::int64_t depth = window + (group - 1) * stride;
    std::vector<float> band(static_cast<std::size_t>(depth * group), 0.0f);
    for (std::int64_t c = 0; c < group; ++c) {
      for (std::int64_t k = 0; k < window; ++k)
        band[static_cast<std::size_t>((c * stride + k) * group + c)] =
            w[static_cast<std::size_t>(k)];
    }
    add_product(l, node, signal, 0, rows, group * stride, depth, group,
                l.add_weight(name, pack_columns(band, depth, group, false)), bias_of(group),
                into(0, rows * group));
  }
  if (rest > 0) {
    add_product(l, node, signal, rows * group * stride, rest, stride, window, 1,
                l.add_weight(name, pack_columns(w, window, 1, true)), bias_of(1),
                into(rows * group, rest));
  }
  l.bind(y, result);
  return true;
}

}  // namespace rulec::backend
