// SPDX-License-Identifier: Apache-2.0
// Elementwise operators: into the epilogue of the convolution or product before them, onto the
// chain before them, or as a chain of their own.
#include <cmath>
#include <limits>
#include <map>

#include "compiler/backend/lowering.h"
#include "compiler/backend/packing.h"

namespace rulec::backend {

using format::Layout;
using kernels::Activation;
using kernels::ChainOp;
using kernels::ChainStep;
using kernels::Residual;

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

static bool is_conv(Opcode o) {
  return o == Opcode::Conv || o == Opcode::ConvStem || o == Opcode::ConvDepthwise ||
         o == Opcode::ConvWinograd;
}

static kernels::Epilogue epilogue_of(const Operation& op) {
  return op.opcode == Opcode::Gemm ? op.get<kernels::GemmParameters>().epilogue
                                   : op.get<kernels::ConvParameters>().epilogue;
}

static void set_epilogue(Operation& op, const kernels::Epilogue& e) {
  if (op.opcode == Opcode::Gemm) {
    auto p = op.get<kernels::GemmParameters>();
    p.epilogue = e;
    op.set(p);
  } else {
    auto p = op.get<kernels::ConvParameters>();
    p.epilogue = e;
    op.set(p);
  }
}

// An operation may be moved behind what makes its new operand.
static std::size_t after(Lowering& l, std::size_t index, Index operand) {
  if (l.value(operand).storage == format::Storage::Weight) return index;
  std::uint32_t whole = l.value(operand).alias_of;
  const auto made = l.maker(operand);
  if (whole == no_value && made && *made < index) return index;
  return l.move_to_end(index);
}

// Into the epilogue of a convolution or product: one activation, one addition, a bias.
static bool fuse_epilogue(Lowering& l, NodeId node, ValueId x, const Step& s, const Shape& shape) {
  const auto index = l.fusable_maker(x);
  if (!index) return false;
  const Operation& op = l.operation(*index);
  if (!is_conv(op.opcode) && op.opcode != Opcode::Gemm) return false;
  const ValueId y = l.model.node(node).outputs[0];
  const Index made = op.outputs[0];
  if (*l.value(made).dims != shape) return false;
  const Layout layout = l.value(made).layout;
  kernels::Epilogue e = epilogue_of(op);
  if (s.step.op == ChainOp::Activate && s.step.activation != Activation::PRelu) {
    if (e.activation != Activation::None || e.residual == Residual::AfterActivation) return false;
    e.activation = s.step.activation;
    e.alpha = s.step.alpha;
    e.beta = s.step.beta;
    set_epilogue(l.operation(*index), e);
    l.retarget(*index, node, y);
    return true;
  }
  if (s.step.op == ChainOp::Activate) {
    const auto slopes = per_channel(l, s.operand, shape);
    if (!slopes || e.activation != Activation::None || layout != Layout::Blocked) return false;
    e.activation = Activation::PRelu;
    const Index w = l.add_weight(l.model.value(s.operand).name, pad_vector(*slopes, shape[1], 0));
    Operation& changed = l.operation(*index);
    changed.inputs.insert(changed.inputs.begin() + 3, w);
    set_epilogue(changed, e);
    l.retarget(*index, node, y);
    return true;
  }
  if (s.step.op != ChainOp::Add || !s.operand) return false;
  if (op.opcode == Opcode::Gemm) {
    const auto p = op.get<kernels::GemmParameters>();
    const auto c = l.constant(s.operand);
    const bool row = c && c->size() == p.columns && c->rank() > 0 &&
                     c->dim(c->rank() - 1) == p.columns && c->dtype() == DType::F32;
    if (row && p.has_bias == 0 && e.activation == Activation::None &&
        e.residual == Residual::None) {
      const Index b = l.add_weight(
          l.model.value(s.operand).name,
          pad_vector({c->data<float>(), static_cast<std::size_t>(c->size())}, c->size(), 0.0f));
      Operation& changed = l.operation(*index);
      changed.inputs.insert(changed.inputs.begin() + 2, b);
      auto q = p;
      q.has_bias = 1;
      changed.set(q);
      l.retarget(*index, node, y);
      return true;
    }
  }
  const auto other = l.shape(s.operand);
  if (e.residual != Residual::None || !other || *other != shape || l.constant(s.operand))
    return false;
  const Index residual = layout == Layout::Blocked ? l.blocked(s.operand, 0) : l.plain(s.operand);
  if (residual == made) return false;
  e.residual =
      e.activation == Activation::None ? Residual::BeforeActivation : Residual::AfterActivation;
  const std::size_t at = after(l, *index, residual);
  Operation& changed = l.operation(at);
  changed.inputs.push_back(residual);
  set_epilogue(changed, e);
  l.retarget(at, node, y);
  return true;
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
    if (const auto c = l.constant(s.operand); c && c->dtype() != DType::F32)
      return l.refuse("not f32");
  }
  if (*from == *shape) {
    if (steps.size() == 1 && fuse_epilogue(l, node, x, steps[0], *shape)) return true;
    if (fuse_chain(l, node, x, steps, *shape)) return true;
  }
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

static std::optional<std::vector<Step>> unary_steps(const Lowering& l, const GraphNode& n) {
  static const std::map<std::string_view, ChainOp> maths = {
      {"Neg", ChainOp::Neg},     {"Abs", ChainOp::Abs},     {"Exp", ChainOp::Exp},
      {"Log", ChainOp::Log},     {"Sqrt", ChainOp::Sqrt},   {"Reciprocal", ChainOp::Reciprocal},
      {"Erf", ChainOp::Erf},     {"Floor", ChainOp::Floor}, {"Ceil", ChainOp::Ceil},
      {"Round", ChainOp::Round}, {"Sin", ChainOp::Sin},     {"Cos", ChainOp::Cos},
      {"Sign", ChainOp::Sign}};
  if (const auto it = maths.find(n.type.str()); it != maths.end()) {
    return std::vector<Step>{{{.op = it->second}, {}}};
  }
  const auto number = [&](const char* name, float otherwise) {
    return n.attributes.number(name, otherwise);
  };
  if (n.type == "Relu") return std::vector{activation_step(Activation::Relu)};
  if (n.type == "Sigmoid") return std::vector{activation_step(Activation::Sigmoid)};
  if (n.type == "Tanh") return std::vector{activation_step(Activation::Tanh)};
  if (n.type == "HardSwish") return std::vector{activation_step(Activation::HardSwish)};
  if (n.type == "Softplus") return std::vector{activation_step(Activation::Softplus)};
  if (n.type == "Mish") return std::vector{activation_step(Activation::Mish)};
  if (n.type == "LeakyRelu") {
    return std::vector{activation_step(Activation::LeakyRelu, number("alpha", 0.01f))};
  }
  if (n.type == "Elu") return std::vector{activation_step(Activation::Elu, number("alpha", 1.0f))};
  if (n.type == "HardSigmoid") {
    return std::vector{
        activation_step(Activation::HardSigmoid, number("alpha", 0.2f), number("beta", 0.5f))};
  }
  if (n.type == "Gelu" && n.attributes.text("approximate", "none") == "none") {
    return std::vector{activation_step(Activation::Gelu)};
  }
  if (n.type == "Clip") {
    float bound[] = {-std::numeric_limits<float>::infinity(),
                     std::numeric_limits<float>::infinity()};
    const char* names[] = {"min", "max"};
    for (std::size_t i = 0; i < 2; ++i) {
      if (n.inputs.size() > i + 1 && n.inputs[i + 1]) {
        const auto c = scalar_of(l, n.inputs[i + 1]);
        if (!c) return std::nullopt;
        bound[i] = *c;
      } else {
        bound[i] = number(names[i], bound[i]);
      }
    }
    return std::vector{activation_step(Activation::Clip, bound[0], bound[1])};
  }
  return std::nullopt;
}

static std::optional<ChainOp> binary_op(std::string_view type) {
  static const std::map<std::string_view, ChainOp> ops = {
      {"Add", ChainOp::Add}, {"Sum", ChainOp::Add}, {"Sub", ChainOp::Sub}, {"Mul", ChainOp::Mul},
      {"Div", ChainOp::Div}, {"Min", ChainOp::Min}, {"Max", ChainOp::Max}, {"Pow", ChainOp::Pow}};
  const auto it = ops.find(type);
  return it == ops.end() ? std::nullopt : std::optional(it->second);
}

static bool lower_binary(Lowering& l, NodeId node, ChainOp op) {
  const GraphNode& n = l.model.node(node);
  if (n.inputs.size() != 2) return l.refuse("not two operands");
  const ValueId a = n.inputs[0], b = n.inputs[1], y = n.outputs[0];
  const auto shape = l.shape(y), sa = l.shape(a), sb = l.shape(b);
  if (!l.is_f32(y)) return l.refuse("not f32");
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
      const auto made = l.fusable_maker(id);
      const bool conv =
          made && (is_conv(l.operation(*made).opcode) || l.operation(*made).opcode == Opcode::Gemm);
      return (l.is_blocked(id) ? 4 : 0) + (op == ChainOp::Add && conv ? 2 : 0) + (made ? 1 : 0);
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
  if (const auto it = l.activations.find(node.index); it != l.activations.end()) {
    return apply(l, node, it->second.x, {activation_step(it->second.activation)});
  }
  if (n.inputs.empty() || !n.inputs[0] || n.outputs.empty() || !n.outputs[0]) {
    return l.refuse("no fast kernel for this operator");
  }
  if (n.type == "BatchNormalization") return lower_batch_norm(l, node);
  if (n.type == "ImageScaler") return lower_image_scaler(l, node);
  if (n.type == "PRelu") {
    Step s = activation_step(Activation::PRelu);
    s.operand = n.inputs[1];
    return apply(l, node, n.inputs[0], {s});
  }
  if (const auto steps = unary_steps(l, n)) return apply(l, node, n.inputs[0], *steps);
  if (const auto op = binary_op(n.type)) return lower_binary(l, node, *op);
  return l.refuse("no fast kernel for this operator");
}

}  // namespace rulec::backend
