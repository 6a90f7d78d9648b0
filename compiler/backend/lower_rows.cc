// SPDX-License-Identifier: Apache-2.0
// Softmax, LayerNormalization and reductions over neighbouring axes.
#include <algorithm>

#include "compiler/backend/lowering.h"
#include "runtime/operator_names.h"

namespace rulec::backend {

using format::Layout;
using kernels::RowKind;

static std::uint32_t product(const Shape& s, std::size_t from, std::size_t to) {
  std::int64_t p = 1;
  for (std::size_t i = from; i < to; ++i)
    p *= s[i];
  return static_cast<std::uint32_t>(p);
}

static bool emit(Lowering& l, NodeId node, Opcode opcode, const kernels::RowParameters& p,
                 std::vector<Index> inputs) {
  const ValueId y = l.model.node(node).outputs[0];
  const Index out = l.add_arena(y, Layout::Plain);
  l.add(opcode, node, std::move(inputs), {out}).set(p);
  l.bind(y, out);
  l.report(node, std::string(name(opcode)), "");
  return true;
}

static bool lower_softmax(Lowering& l, NodeId node, const Shape& s) {
  const GraphNode& n = l.model.node(node);
  const bool old = l.model.opset("") < 13;
  const auto axis = normalize_axis(n.attributes.integer("axis", old ? 1 : -1), s.size());
  if (!axis) return l.refuse("an axis outside");
  kernels::RowParameters p;
  p.kind = n.type == "Softmax" ? RowKind::Softmax : RowKind::LogSoftmax;
  p.outer = product(s, 0, *axis);
  p.length = product(s, *axis, old ? s.size() : *axis + 1);
  p.inner = old ? 1 : product(s, *axis + 1, s.size());
  return emit(l, node, Opcode::Softmax, p, {l.plain(n.inputs[0])});
}

static bool lower_layer_norm(Lowering& l, NodeId node, const Shape& s) {
  const GraphNode& n = l.model.node(node);
  const auto axis = normalize_axis(n.attributes.integer("axis", -1), s.size());
  if (!axis) return l.refuse("an axis outside");
  for (std::size_t i = 1; i < n.outputs.size(); ++i) {
    if (n.outputs[i]) return l.refuse("mean or deviation as a result");
  }
  kernels::RowParameters p;
  p.kind = RowKind::LayerNorm;
  p.outer = product(s, 0, *axis);
  p.length = product(s, *axis, s.size());
  p.epsilon = n.attributes.number("epsilon", 1e-5f);
  std::vector<Index> inputs = {l.plain(n.inputs[0])};
  for (std::size_t i = 1; i < n.inputs.size() && n.inputs[i]; ++i) {
    const auto t = l.shape(n.inputs[i]);
    if (!t || element_count(*t) != p.length || !l.is_f32(n.inputs[i])) {
      return l.refuse("a scale of another size");
    }
    inputs.push_back(l.plain(n.inputs[i]));
  }
  return emit(l, node, Opcode::LayerNorm, p, std::move(inputs));
}

static bool lower_reduce(Lowering& l, NodeId node, const Shape& s) {
  const GraphNode& n = l.model.node(node);
  std::vector<std::int64_t> axes = n.attributes.integers("axes");
  if (n.inputs.size() > 1 && n.inputs[1]) {
    const auto c = l.constant(n.inputs[1]);
    if (!c) return l.refuse("axes that are not constant");
    axes = c->integers();
  }
  if (axes.empty()) {
    if (n.attributes.integer("noop_with_empty_axes", 0) != 0) return l.refuse("no axes");
    for (std::size_t i = 0; i < s.size(); ++i)
      axes.push_back(static_cast<std::int64_t>(i));
  }
  for (std::int64_t& a : axes) {
    const auto axis = normalize_axis(a, s.size());
    if (!axis) return l.refuse("an axis outside");
    a = static_cast<std::int64_t>(*axis);
  }
  std::sort(axes.begin(), axes.end());
  if (axes.empty()) return l.refuse("no axes");
  const ValueId x = n.inputs[0], y = n.outputs[0];
  if (n.type == "ReduceMean" && s.size() == 4 && axes.front() == 2 && axes.back() == 3 &&
      l.is_blocked(x) && l.shape(y)->size() == 4) {
    const Index in = l.blocked(x, 0);
    const Index out = l.add_arena(y, Layout::Blocked);
    kernels::PoolParameters p;
    p.kind = kernels::PoolKind::Average;
    l.add(Opcode::GlobalPool, node, {in}, {out}).set(p);
    l.bind(y, out);
    l.report(node, "GlobalPool", "");
    return true;
  }
  // Runs of neighbouring axes, the last first: each is one pass.
  std::vector<std::pair<std::size_t, std::size_t>> runs;
  for (const std::int64_t axis : axes) {
    const auto at = static_cast<std::size_t>(axis);
    if (!runs.empty() && runs.back().second == at) {
      ++runs.back().second;
    } else {
      runs.emplace_back(at, at + 1);
    }
  }
  const RowKind kind = *row_kind(n.type);
  if (runs.size() > 1 && (kind == RowKind::L2 || kind == RowKind::SumSquare))
    return l.refuse("axes that are not neighbours");
  Shape now = s;
  Index in = l.plain(x);
  for (; !runs.empty(); runs.pop_back()) {
    const auto [first, end] = runs.back();
    kernels::RowParameters p;
    p.kind = kind;
    p.outer = product(now, 0, first);
    p.length = product(now, first, end);
    p.inner = product(now, end, now.size());
    if (runs.size() == 1) return emit(l, node, Opcode::Reduce, p, {in});
    std::fill(now.begin() + static_cast<std::ptrdiff_t>(first),
              now.begin() + static_cast<std::ptrdiff_t>(end), 1);
    const Index partial = l.add_arena(l.model.value(y).name, DType::F32, now, Layout::Plain);
    l.add(Opcode::Reduce, node, {in}, {partial}).set(p);
    in = partial;
  }
  return false;
}

bool lower_rows(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  if (n.inputs.empty() || !n.inputs[0] || n.outputs.empty() || !n.outputs[0])
    return l.refuse("missing operands");
  const auto s = l.shape(n.inputs[0]), out = l.shape(n.outputs[0]);
  if (!s || !out) return l.refuse("a shape that is not known");
  if (!l.is_f32(n.inputs[0]) || !l.is_f32(n.outputs[0])) return l.refuse("not f32");
  if (n.type == "Softmax" || n.type == "LogSoftmax") return lower_softmax(l, node, *s);
  if (n.type == "LayerNormalization") return lower_layer_norm(l, node, *s);
  return lower_reduce(l, node, *s);
}

}  // namespace rulec::backend
