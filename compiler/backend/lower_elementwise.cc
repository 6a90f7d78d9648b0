// SPDX-License-Identifier: Apache-2.0
// Elementwise operators: onto the chain before them, or as a chain of their own. This is no rule of
// rules/lower: a chain has any length and any operands, and takes what its layout allows; what
// stands behind a convolution or product is there already (kernels.rules).
#include <cmath>

#include "compiler/backend/lowering.h"
#include "compiler/backend/packing.h"
#include "runtime/operator_names.h"

namespace rulec::backend {

using format::Layout;
using kernels::Activation;
using kernels::ChainOp;
using kernels::ChainStep;

namespace {
struct Step {
  ChainStep step;
  ValueId operand;  // of the graph; none for an immediate
};
}  // namespace

static Step activation_step(Activation a, float alpha = 0, float beta = 0) {
  return {{.op = ChainOp::Activate, .activation = a, .alpha = alpha, .beta = beta}, {}};
}

static std::optional<float> scalar_of(const Lowering& l, ValueId id) {
  const auto c = l.constant(id);
  if (!c || c->size() != 1 || c->dtype() != DType::F32) return std::nullopt;
  return c->data<float>()[0];
}

// The constant as one value for each channel of an [N,C,H,W] result; nothing if it is not that.
static std::optional<std::vector<float>> per_channel(const Lowering& l, ValueId id,
                                                     const Shape& s) {
  const auto c = l.constant(id);
  if (!c || c->dtype() != DType::F32 || s.size() != 4 || c->size() != s[1] || c->rank() > 4) {
    return std::nullopt;
  }
  const std::size_t lead = 4 - c->rank();
  for (std::size_t d = 0; d < c->rank(); ++d) {
    if (c->dim(d) != (lead + d == 1 ? s[1] : 1)) return std::nullopt;
  }
  return std::vector<float>(c->data<float>(), c->data<float>() + c->size());
}

// --- which layout

// In blocks the lanes behind the last channel are computed too; these could make NaN of zeros.
static bool unsafe_on_zero(const Step& s) {
  switch (s.step.op) {
    case ChainOp::Div:
      return s.operand || s.step.reversed;
    case ChainOp::Pow:
    case ChainOp::Log:
    case ChainOp::Reciprocal:
      return true;
    default:
      return false;
  }
}

static bool fits_blocked(const Lowering& l, const Shape& s, const Step& step) {
  if (s[1] % 16 != 0 && unsafe_on_zero(step)) return false;
  if (!step.operand) return true;
  if (scalar_of(l, step.operand) || per_channel(l, step.operand, s)) return true;
  if (l.constant(step.operand)) return false;
  const auto other = l.shape(step.operand);
  return other && (*other == s || *other == Shape{s[0], s[1], 1, 1});
}

// The operand's place for a kernel in that layout.
static Index place(Lowering& l, const Step& step, const Shape& s, Layout layout) {
  if (layout == Layout::Plain) return l.plain(step.operand);
  if (const auto values = per_channel(l, step.operand, s)) {
    const bool factor = step.step.op == ChainOp::Mul || step.step.op == ChainOp::Div;
    return l.add_weight(l.model.value(step.operand).name,
                        pad_vector(*values, s[1], factor ? 1.0f : 0.0f));
  }
  if (l.constant(step.operand)) return l.plain(step.operand);
  return l.blocked(step.operand, 0);
}

// --- fusing

// An operation may be moved behind what makes its new operand.
static std::size_t after(Lowering& l, std::size_t index, Index operand) {
  if (l.value(operand).storage == format::Storage::Weight) return index;
  std::uint32_t whole = l.value(operand).alias_of;
  const auto made = l.maker(operand);
  if (whole == no_value && made && *made < index) return index;
  return l.move_to_end(index);
}

static void append(kernels::ChainParameters& p, Operation& op, ChainStep step, Index operand) {
  if (operand != no_value) {
    std::uint32_t at = 0;
    while (at < op.inputs.size() && op.inputs[at] != operand)
      ++at;
    if (at == op.inputs.size()) op.inputs.push_back(operand);
    step.operand = at;
    step.has_operand = 1;
  }
  p.step[p.steps++] = step;
}

static bool fuse_chain(Lowering& l, NodeId node, ValueId x, const std::vector<Step>& steps,
                       const Shape& shape) {
  const auto index = l.fusable_maker(x);
  if (!index || l.operation(*index).opcode != Opcode::Chain) return false;
  const Index made = l.operation(*index).outputs[0];
  const Layout layout = l.value(made).layout;
  auto p = l.operation(*index).get<kernels::ChainParameters>();
  if (*l.value(made).dims != shape || p.steps + steps.size() > kernels::max_chain_steps ||
      l.operation(*index).inputs.size() + steps.size() > kernels::max_chain_operands) {
    return false;
  }
  for (const Step& s : steps) {
    if (layout == Layout::Blocked && !fits_blocked(l, shape, s)) return false;
    if (s.operand && l.bound(s.operand) == made) return false;
  }
  std::size_t at = *index;
  for (const Step& s : steps) {
    Index operand = no_value;
    if (s.operand) {
      operand = place(l, s, shape, layout);
      at = after(l, at, operand);
    }
    append(p, l.operation(at), s.step, operand);
  }
  l.operation(at).set(p);
  l.retarget(at, node, l.model.node(node).outputs[0]);
  return true;
}

// x, then the steps, as the node's only output.
static bool apply(Lowering& l, NodeId node, ValueId x, const std::vector<Step>& steps) {
  const ValueId y = l.model.node(node).outputs[0];
  const auto shape = l.shape(y), from = l.shape(x);
  if (!shape || !from) return l.refuse("a shape that is not known");
  if (!l.is_f32(x) || !l.is_f32(y)) return l.refuse("not f32");
  bool blocked = shape->size() == 4 && l.is_blocked(x) && *from == *shape;
  for (const Step& s : steps) {
    if (!s.operand) continue;
    if (!l.is_f32(s.operand) && !l.constant(s.operand)) return l.refuse("not f32");
    const auto other = l.shape(s.operand);
    if (!other) return l.refuse("a shape that is not known");
    // The slopes of old PRelus, one a channel, broadcast in another way.
    if (broadcast(*other, *shape) != shape) return l.refuse("an operand of another shape");
    if (const auto c = l.constant(s.operand); c && c->dtype() != DType::F32)
      return l.refuse("not f32");
  }
  if (*from == *shape && fuse_chain(l, node, x, steps, *shape)) return true;
  for (const Step& s : steps)
    blocked = blocked && fits_blocked(l, *shape, s);
  const Layout layout = blocked ? Layout::Blocked : Layout::Plain;
  const Index in = blocked ? l.blocked(x, 0) : l.plain(x);
  kernels::ChainParameters p;
  Operation draft;
  draft.inputs = {in};
  for (const Step& s : steps) {
    append(p, draft, s.step, s.operand ? place(l, s, *shape, layout) : no_value);
  }
  const Index out = l.add_arena(y, layout);
  l.add(Opcode::Chain, node, draft.inputs, {out}).set(p);
  l.bind(y, out);
  l.report(node, "Chain", "");
  return true;
}

// --- operators

static bool lower_binary(Lowering& l, NodeId node, ChainOp op) {
  const GraphNode& n = l.model.node(node);
  if (n.inputs.size() != 2) return l.refuse("not two operands");
  const ValueId a = n.inputs[0], b = n.inputs[1], y = n.outputs[0];
  const auto shape = l.shape(y), sa = l.shape(a), sb = l.shape(b);
  if (!l.is_f32(y)) return lower_typed(l, node);
  if (!shape || !sa || !sb) return l.refuse("a shape that is not known");
  if (op == ChainOp::Pow) {
    const auto exponent = scalar_of(l, b);
    if (exponent && *exponent == 2.0f) return apply(l, node, a, {{{.op = ChainOp::Square}, {}}});
    if (exponent && *exponent == 0.5f) return apply(l, node, a, {{{.op = ChainOp::Sqrt}, {}}});
    if (exponent && *exponent == -1.0f)
      return apply(l, node, a, {{{.op = ChainOp::Reciprocal}, {}}});
  }
  // The running value has the result's shape where one operand has; else either.
  bool swap =
      (*sa != *shape && *sb == *shape) || (l.constant(a) && !l.constant(b) && *sb == *shape);
  // Prefer to go on where something can be fused, and blocks to row-major.
  if (*sa == *shape && *sb == *shape && !l.constant(b)) {
    const auto rank = [&](ValueId id) {
      return (l.is_blocked(id) ? 2 : 0) + (l.fusable_maker(id) ? 1 : 0);
    };
    swap = rank(b) > rank(a);
  }
  const ValueId x = swap ? b : a, other = swap ? a : b;
  Step s;
  s.step.op = op;
  s.step.reversed = swap ? 1 : 0;
  if (const auto c = scalar_of(l, other); c && *(swap ? sb : sa) == *shape) {
    s.step.alpha = *c;
  } else {
    s.operand = other;
  }
  return apply(l, node, x, {s});
}

static bool lower_batch_norm(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  const auto shape = l.shape(n.inputs[0]);
  if (!shape || n.inputs.size() != 5 || shape->size() < 2)
    return l.refuse("a shape that is not known");
  std::vector<double> v[4];
  for (std::size_t i = 0; i < 4; ++i) {
    const auto c = l.constant(n.inputs[i + 1]);
    if (!c || c->size() != (*shape)[1]) return l.refuse("statistics that are not constant");
    v[i] = c->numbers();
  }
  if (!l.is_f32(n.inputs[0]) || n.attributes.integer("training_mode", 0) != 0)
    return l.refuse("not f32");
  Tensor scale = Tensor::allocate(DType::F32, {(*shape)[1]}),
         shift = Tensor::allocate(DType::F32, {(*shape)[1]});
  const double epsilon = static_cast<double>(n.attributes.number("epsilon", 1e-5f));
  for (std::size_t c = 0; c < v[0].size(); ++c) {
    const double factor = v[0][c] / std::sqrt(v[3][c] + epsilon);
    scale.mutable_data<float>()[c] = static_cast<float>(factor);
    shift.mutable_data<float>()[c] = static_cast<float>(v[1][c] - v[2][c] * factor);
  }
  const ValueId y = n.outputs[0];
  const bool blocked = shape->size() == 4;
  Index w[2];
  const Tensor* both[] = {&scale, &shift};
  for (std::size_t i = 0; i < 2; ++i) {
    Shape plain(shape->size() - 1, 1);
    plain[0] = (*shape)[1];
    w[i] = l.add_weight(l.model.value(n.inputs[i + 1]).name,
                        blocked ? pad_vector({both[i]->data<float>(), v[0].size()}, (*shape)[1], 0)
                                : both[i]->reshaped(plain));
  }
  const Index in = blocked ? l.blocked(n.inputs[0], 0) : l.plain(n.inputs[0]);
  kernels::ChainParameters p;
  Operation draft;
  draft.inputs = {in};
  append(p, draft, {.op = ChainOp::Mul}, w[0]);
  append(p, draft, {.op = ChainOp::Add}, w[1]);
  const Index out = l.add_arena(y, blocked ? Layout::Blocked : Layout::Plain);
  l.add(Opcode::Chain, node, draft.inputs, {out}).set(p);
  l.bind(y, out);
  l.report(node, "Chain", "");
  return true;
}

// y = scale x + bias[channel]
static bool lower_image_scaler(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  const auto shape = l.shape(n.inputs[0]);
  const auto* bias = n.attributes.get<std::vector<float>>("bias");
  if (!shape || shape->size() != 4 || !l.is_f32(n.inputs[0]))
    return l.refuse("a shape that is not known");
  if (bias == nullptr || static_cast<std::int64_t>(bias->size()) != (*shape)[1]) {
    return l.refuse("a bias of another size");
  }
  const Index b =
      l.add_weight(l.name_of(node) + ".bias",
                   Tensor::of<float>({(*shape)[1], 1, 1}, std::span<const float>(*bias)));
  kernels::ChainParameters p;
  Operation draft;
  draft.inputs = {l.plain(n.inputs[0])};
  append(p, draft, {.op = ChainOp::Mul, .alpha = n.attributes.number("scale", 1.0f)}, no_value);
  append(p, draft, {.op = ChainOp::Add}, b);
  const Index out = l.add_arena(n.outputs[0], Layout::Plain);
  l.add(Opcode::Chain, node, draft.inputs, {out}).set(p);
  l.bind(n.outputs[0], out);
  l.report(node, "Chain", "");
  return true;
}

bool lower_elementwise(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  if (n.inputs.empty() || !n.inputs[0] || n.outputs.empty() || !n.outputs[0]) {
    return l.refuse("no fast kernel for this operator");
  }
  if (n.type == "Activate") {
    const auto e = activation_named(n.attributes);
    if (!e) return l.refuse("an activation without a kernel");
    return apply(l, node, n.inputs[0], {activation_step(e->activation, e->alpha, e->beta)});
  }
  if (n.type == "BatchNormalization") return lower_batch_norm(l, node);
  if (n.type == "ImageScaler") return lower_image_scaler(l, node);
  if (n.type == "PRelu") {
    Step s = activation_step(Activation::PRelu);
    s.operand = n.inputs[1];
    return apply(l, node, n.inputs[0], {s});
  }
  if (const auto op = unary_chain_op(n.type))
    return apply(l, node, n.inputs[0], {{{.op = *op}, {}}});
  if (const auto op = binary_chain_op(n.type)) return lower_binary(l, node, *op);
  return l.refuse("no fast kernel for this operator");
}

}  // namespace rulec::backend
