// SPDX-License-Identifier: Apache-2.0
// Pooling in blocks.
#include "compiler/backend/lowering.h"
#include "runtime/window.h"

namespace rulec::backend {

using format::Layout;

static bool lower_global(Lowering& l, NodeId node, kernels::PoolKind kind) {
  const GraphNode& n = l.model.node(node);
  const Index in = l.blocked(n.inputs[0], 0);
  const Index out = l.add_arena(n.outputs[0], Layout::Blocked);
  kernels::PoolParameters p;
  p.kind = kind;
  l.add(Opcode::GlobalPool, node, {in}, {out}).set(p);
  l.bind(n.outputs[0], out);
  l.report(node, "GlobalPool", "");
  return true;
}

// The window of a pooling, or nothing for one that is odd.
static std::optional<kernels::PoolParameters> pool_window(const GraphNode& n, const Shape& in,
                                                          const Shape& out) {
  const auto kernel = n.attributes.integers("kernel_shape");
  const auto window = window_of(n.attributes, in, out, kernel);
  if (!window || kernel[0] > 4096 || kernel[1] > 4096) return std::nullopt;
  kernels::PoolParameters p;
  p.kernel_h = static_cast<std::uint32_t>(kernel[0]);
  p.kernel_w = static_cast<std::uint32_t>(kernel[1]);
  p.stride_h = window->stride_h;
  p.stride_w = window->stride_w;
  p.pad_top = window->pad_top;
  p.pad_left = window->pad_left;
  p.pad_bottom = window->pad_bottom;
  p.pad_right = window->pad_right;
  p.dilation_h = window->dilation_h;
  p.dilation_w = window->dilation_w;
  return p;
}

// MaxPool of numbers of 8 bits, channels last.
static bool lower_quantized_pooling(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  const ValueId x = n.inputs[0], y = n.outputs[0];
  const DType dtype = l.model.value(x).type.dtype;
  const auto in = l.shape(x), out = l.shape(y);
  if (dtype != DType::U8 && dtype != DType::I8) return l.refuse("not f32, u8 or i8");
  if (!in || !out || in->size() != 4) return l.refuse("a shape that is not known");
  if (n.outputs.size() > 1 && n.outputs[1]) return l.refuse("indices of the maxima");
  const auto p = pool_window(n, *in, *out);
  if (!p) return l.refuse("an odd window");
  const Index from = l.channels_last(x), to = l.add_channels_last(y);
  l.add(Opcode::QuantizedPool, node, {from}, {to}).set(*p);
  l.bind_channels_last(y, to);
  l.report(node, "QuantizedPool", "");
  return true;
}

bool lower_pooling(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  const ValueId x = n.inputs.empty() ? ValueId{} : n.inputs[0], y = n.outputs[0];
  const auto in = l.shape(x), out = l.shape(y);
  if (n.type == "MaxPool" && !l.is_f32(x)) return lower_quantized_pooling(l, node);
  if (!l.is_f32(x)) return l.refuse("not f32");
  if (!in || !out) return l.refuse("a shape that is not known");
  if (in->size() != 4) return l.refuse("not two spatial dimensions");
  if (n.type == "GlobalAveragePool") return lower_global(l, node, kernels::PoolKind::Average);
  if (n.type == "GlobalMaxPool") return lower_global(l, node, kernels::PoolKind::Max);
  if (n.outputs.size() > 1 && n.outputs[1]) return l.refuse("indices of the maxima");
  auto p = pool_window(n, *in, *out);
  if (!p) return l.refuse("an odd window");
  if (n.type == "AveragePool") {
    p->kind = n.attributes.integer("count_include_pad", 0) != 0
                  ? kernels::PoolKind::AverageIncludingPad
                  : kernels::PoolKind::Average;
  }
  const Index from = l.blocked(x, 0);
  const Index to = l.add_arena(y, Layout::Blocked);
  l.add(Opcode::Pool, node, {from}, {to}).set(*p);
  l.bind(y, to);
  l.report(node, "Pool", "");
  return true;
}

}  // namespace rulec::backend
