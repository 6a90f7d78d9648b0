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

// MaxPool of numbers of 8 bits, channels last.
static bool lower_quantized_pooling(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  const ValueId x = n.inputs[0], y = n.outputs[0];
  const DType dtype = l.model.value(x).type.dtype;
  const auto in = l.shape(x), out = l.shape(y);
  if (dtype != DType::U8 && dtype != DType::I8) return l.refuse("not f32, u8 or i8");
  if (!in || !out || in->size() != 4) return l.refuse("a shape that is not known");
  if (n.outputs.size() > 1 && n.outputs[1]) return l.refuse("indices of the maxima");
  const auto p = pool_of(n.attributes, *in, *out);
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
  auto p = pool_of(n.attributes, *in, *out);
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
