// SPDX-License-Identifier: Apache-2.0
#include "runtime/shape_plan.h"

#include <algorithm>

#include "runtime/operator_names.h"
#include "runtime/shape.h"
#include "runtime/window.h"

namespace rulec {

using format::Layout;
using kernels::ChainOp;
using kernels::RowKind;
using kernels::TypedOp;
using Call = generic::Call;

static bool is_f32(const Call& call, std::size_t i) {
  return call.has(i) && call.inputs[i]->is_tensor() && call.tensor(i).dtype() == DType::F32;
}

// --- elementwise

static bool plan_chain(ShapePlan& plan, const Call& call, const kernels::ChainStep& step,
                       std::size_t operands) {
  Shape shape = call.tensor(0).shape();
  if (operands == 2) {
    const auto both = broadcast(shape, call.tensor(1).shape());
    if (!both) return false;
    shape = *both;
  }
  kernels::ChainParameters p;
  p.steps = 1;
  p.step[0] = step;
  std::vector<std::size_t> inputs = {plan.operand(call, 0)};
  if (operands == 2) {
    inputs.push_back(plan.operand(call, 1));
    p.step[0].operand = 1;
    p.step[0].has_operand = 1;
  }
  plan.step(Opcode::Chain, std::move(inputs), plan.result(DType::F32, std::move(shape)), p);
  return true;
}

static bool plan_typed(ShapePlan& plan, const Call& call, TypedOp op) {
  const std::size_t operands = op == TypedOp::Where                        ? 3
                               : op == TypedOp::Cast || op == TypedOp::Not ? 1
                                                                           : 2;
  if (call.inputs.size() < operands) return false;
  Shape shape = call.tensor(0).shape();
  std::vector<std::size_t> inputs;
  for (std::size_t i = 0; i < operands; ++i) {
    if (!call.has(i) || !call.inputs[i]->is_tensor() || call.tensor(i).dtype() == DType::String)
      return false;
    const auto both = broadcast(shape, call.tensor(i).shape());
    if (!both) return false;
    shape = *both;
    inputs.push_back(plan.operand(call, i));
  }
  DType result = DType::Bool;
  if (op == TypedOp::Where || op >= TypedOp::Add) {
    result = call.tensor(operands - 1).dtype();
  } else if (op == TypedOp::Cast) {
    result = call.type == "CastLike" ? call.tensor(1).dtype()
                                     : static_cast<DType>(call.attributes.integer("to", 0));
  }
  kernels::TypedParameters p;
  p.op = op;
  plan.step(Opcode::Typed, std::move(inputs), plan.result(result, std::move(shape)), p);
  return true;
}

// --- products

static bool plan_matmul(ShapePlan& plan, const Call& call) {
  if (!is_f32(call, 0) || !is_f32(call, 1)) return false;
  const Shape &a = call.tensor(0).shape(), &b = call.tensor(1).shape();
  if (a.size() < 2 || b.size() < 2 || a.size() > 8 || b.size() > 8) return false;
  const Attributes& given = call.attributes;
  if (given.integer("transA", 0) != 0 || given.integer("transBatchA", 0) != 0 ||
      given.integer("transBatchB", 0) != 0) {
    return false;
  }
  const bool transposed = given.integer("transB", 0) != 0;
  const auto batch = broadcast(std::span(a).first(a.size() - 2), std::span(b).first(b.size() - 2));
  const std::int64_t k = transposed ? b.back() : b[b.size() - 2],
                     n = transposed ? b[b.size() - 2] : b.back();
  if (!batch || a.back() != k) return false;
  kernels::MatMulParameters p;
  p.rows = static_cast<std::uint32_t>(a[a.size() - 2]);
  p.depth = static_cast<std::uint32_t>(k);
  p.columns = static_cast<std::uint32_t>(n);
  p.transposed = transposed ? 1 : 0;
  p.scale = given.number("alpha", 1.0f);
  p.batch_rank = static_cast<std::uint32_t>(batch->size());
  p.batches = static_cast<std::uint32_t>(element_count(*batch));
  const auto strides = [&](const Shape& s, std::uint32_t(&to)[6]) {
    std::int64_t step = s[s.size() - 2] * s.back();
    for (std::size_t d = s.size() - 2; d-- > 0;) {
      to[d + batch->size() - (s.size() - 2)] = s[d] == 1 ? 0 : static_cast<std::uint32_t>(step);
      step *= s[d];
    }
  };
  strides(a, p.batch_stride_x);
  strides(b, p.batch_stride_w);
  for (std::size_t d = 0; d < batch->size(); ++d)
    p.batch_dim[d] = static_cast<std::uint32_t>((*batch)[d]);
  Shape shape = *batch;
  shape.insert(shape.end(), {a[a.size() - 2], n});
  plan.step(Opcode::MatMul, {plan.operand(call, 0), plan.operand(call, 1)},
            plan.result(DType::F32, std::move(shape)), p);
  return true;
}

static bool read_epilogue(const Call& call, std::size_t other, kernels::Epilogue& e) {
  const auto activation = activation_named(call.attributes);
  if (!activation) return false;
  e = *activation;
  if (call.has(other)) {
    e.residual = call.attributes.text("residual", "first") == "first"
                     ? kernels::Residual::BeforeActivation
                     : kernels::Residual::AfterActivation;
  }
  return true;
}

// Operands behind the generic kernel's: columns and bias, packed when the engine was built.
static bool plan_gemm(ShapePlan& plan, const Call& call) {
  if (!is_f32(call, 0) || !is_f32(call, 4) || call.tensor(0).rank() < 2) return false;
  const Shape& a = call.tensor(0).shape();
  const Tensor& w = call.tensor(1);
  const bool transposed = call.attributes.integer("transB", 0) != 0;
  kernels::GemmParameters p;
  p.depth = static_cast<std::uint32_t>(a.back());
  p.columns = static_cast<std::uint32_t>(w.dim(transposed ? 0 : 1));
  if (w.dim(transposed ? 1 : 0) != a.back() || a.back() == 0) return false;
  p.rows = static_cast<std::uint32_t>(call.tensor(0).size() / a.back());
  p.has_bias = call.has(5) ? 1 : 0;
  if (!read_epilogue(call, 3, p.epilogue)) return false;
  Shape shape = a;
  shape.back() = p.columns;
  std::vector<std::size_t> inputs = {plan.operand(call, 0), plan.operand(call, 4)};
  if (call.has(5)) inputs.push_back(plan.operand(call, 5));
  if (call.has(3)) {
    if (call.tensor(3).shape() != shape) return false;
    inputs.push_back(plan.operand(call, 3));
  }
  plan.step(Opcode::Gemm, std::move(inputs), plan.result(DType::F32, std::move(shape)), p);
  return true;
}

// --- rows

static std::uint32_t product(const Shape& s, std::size_t from, std::size_t to) {
  std::int64_t p = 1;
  for (std::size_t i = from; i < to; ++i)
    p *= s[i];
  return static_cast<std::uint32_t>(p);
}

static bool plan_softmax(ShapePlan& plan, const Call& call) {
  const Shape& s = call.tensor(0).shape();
  const bool old = call.opset < 13;
  const auto axis = normalize_axis(call.attributes.integer("axis", old ? 1 : -1), s.size());
  if (!axis) return false;
  kernels::RowParameters p;
  p.kind = call.type == "Softmax" ? RowKind::Softmax : RowKind::LogSoftmax;
  p.outer = product(s, 0, *axis);
  p.length = product(s, *axis, old ? s.size() : *axis + 1);
  p.inner = old ? 1 : product(s, *axis + 1, s.size());
  plan.step(Opcode::Softmax, {plan.operand(call, 0)}, plan.result(DType::F32, s), p);
  return true;
}

static bool plan_layer_norm(ShapePlan& plan, const Call& call) {
  const Shape& s = call.tensor(0).shape();
  const auto axis = normalize_axis(call.attributes.integer("axis", -1), s.size());
  if (!axis || !is_f32(call, 1)) return false;
  kernels::RowParameters p;
  p.kind = RowKind::LayerNorm;
  p.outer = product(s, 0, *axis);
  p.length = product(s, *axis, s.size());
  p.epsilon = call.attributes.number("epsilon", 1e-5f);
  std::vector<std::size_t> inputs = {plan.operand(call, 0), plan.operand(call, 1)};
  if (call.has(2)) inputs.push_back(plan.operand(call, 2));
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    if (!is_f32(call, i) || call.tensor(i).size() != p.length) return false;
  }
  plan.step(Opcode::LayerNorm, std::move(inputs), plan.result(DType::F32, s), p);
  return true;
}

static bool plan_reduce(ShapePlan& plan, const Call& call, RowKind kind) {
  const Shape& s = call.tensor(0).shape();
  std::vector<std::int64_t> axes = call.attributes.integers("axes");
  if (call.has(1)) axes = call.tensor(1).integers();
  if (axes.empty() && call.attributes.integer("noop_with_empty_axes", 0) != 0) return false;
  if (axes.empty()) {
    for (std::size_t i = 0; i < s.size(); ++i)
      axes.push_back(static_cast<std::int64_t>(i));
  }
  for (std::int64_t& a : axes) {
    const auto axis = normalize_axis(a, s.size());
    if (!axis) return false;
    a = static_cast<std::int64_t>(*axis);
  }
  std::sort(axes.begin(), axes.end());
  for (std::size_t i = 1; i < axes.size(); ++i) {
    if (axes[i] != axes[i - 1] + 1) return false;
  }
  if (axes.empty()) return false;
  const auto first = static_cast<std::size_t>(axes.front()), end = first + axes.size();
  kernels::RowParameters p;
  p.kind = kind;
  p.outer = product(s, 0, first);
  p.length = product(s, first, end);
  p.inner = product(s, end, s.size());
  const bool keeps = call.attributes.integer("keepdims", 1) != 0;
  Shape shape;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const bool reduced = i >= first && i < end;
    if (!reduced) shape.push_back(s[i]);
    if (reduced && keeps) shape.push_back(1);
  }
  plan.step(Opcode::Reduce, {plan.operand(call, 0)}, plan.result(DType::F32, std::move(shape)), p);
  return true;
}

// --- movement

static bool plan_transpose(ShapePlan& plan, const Call& call) {
  const Tensor& x = call.tensor(0);
  const Shape& s = x.shape();
  const int bits = x.dtype() == DType::String ? 0 : bit_width(x.dtype());
  if (s.size() > kernels::max_copy_rank || s.empty() || bits < 8) return false;
  auto perm = call.attributes.integers("perm");
  if (perm.empty()) {
    for (std::size_t i = s.size(); i-- > 0;)
      perm.push_back(static_cast<std::int64_t>(i));
  }
  if (perm.size() != s.size()) return false;
  const auto strides = strides_of(s);
  Shape shape;
  struct {
    kernels::CopyParameters head;
    kernels::CopyPart part;
  } p{};
  for (std::size_t d = 0; d < s.size(); ++d) {
    const auto axis = normalize_axis(perm[d], s.size());
    if (!axis) return false;
    shape.push_back(s[*axis]);
    p.part.dims[d] = s[*axis];
    p.part.in_stride[d] = strides[*axis];
  }
  const auto out = strides_of(shape);
  std::copy(out.begin(), out.end(), p.part.out_stride);
  p.head.parts = 1;
  p.head.rank = static_cast<std::uint32_t>(s.size());
  p.head.element_bytes = static_cast<std::uint32_t>(bits / 8);
  plan.step(Opcode::Copy, {plan.operand(call, 0)}, plan.result(x.dtype(), std::move(shape)), p);
  return true;
}

// --- images: into blocks and back

static std::optional<Shape> window_output(const Attributes& given, const Shape& in,
                                          const Shape& kernel, std::int64_t channels) {
  const auto strides = given.integers("strides"), dilations = given.integers("dilations"),
             pads = given.integers("pads");
  const std::string_view mode = given.text("auto_pad", "NOTSET");
  if (given.integer("ceil_mode", 0) != 0 || kernel.size() != 2) return std::nullopt;
  Shape out = {in[0], channels};
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t stride = strides.size() == 2 ? strides[i] : 1;
    const std::int64_t reach = (kernel[i] - 1) * (dilations.size() == 2 ? dilations[i] : 1) + 1;
    const std::int64_t around = pads.size() == 4 && mode == "NOTSET" ? pads[i] + pads[2 + i] : 0;
    if (stride < 1) return std::nullopt;
    if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
      out.push_back((in[2 + i] + stride - 1) / stride);
    } else {
      out.push_back((in[2 + i] + around - reach) / stride + 1);
    }
    if (out.back() < 1) return std::nullopt;
  }
  return out;
}

// Operands behind the generic kernel's: weights and bias, packed when the engine was built.
static bool plan_convolution(ShapePlan& plan, const Call& call) {
  if (!is_f32(call, 0) || !is_f32(call, 5) || !is_f32(call, 6) || call.tensor(0).rank() != 4)
    return false;
  const Shape &in = call.tensor(0).shape(), &w = call.tensor(1).shape();
  const std::int64_t groups = call.attributes.integer("group", 1);
  if (w.size() != 4 || groups < 1 || in[1] != w[1] * groups) return false;
  const auto out = window_output(call.attributes, in, {w[2], w[3]}, w[0]);
  const auto window = out ? window_of(call.attributes, in, *out, {w[2], w[3]}) : std::nullopt;
  if (!window || window->halo > 64) return false;
  kernels::ConvParameters p;
  set_window(p, w[2], w[3], *window);
  if (!read_epilogue(call, 4, p.epilogue) || p.epilogue.activation == kernels::Activation::PRelu) {
    return false;
  }
  const bool depthwise = groups > 1 && groups == in[1] && w[0] == in[1];
  const std::size_t x = plan.own(in, Layout::Blocked, window->halo);
  plan.step(Opcode::Reorder, {plan.operand(call, 0)}, x, kernels::ReorderParameters{});
  std::vector<std::size_t> inputs = {x, plan.operand(call, 5), plan.operand(call, 6)};
  if (call.has(4)) {
    if (call.tensor(4).shape() != *out) return false;
    const std::size_t other = plan.own(*out, Layout::Blocked);
    plan.step(Opcode::Reorder, {plan.operand(call, 4)}, other, kernels::ReorderParameters{});
    inputs.push_back(other);
  }
  const std::size_t y = plan.own(*out, Layout::Blocked);
  plan.step(depthwise ? Opcode::ConvDepthwise : Opcode::Conv, std::move(inputs), y, p);
  plan.step(Opcode::Reorder, {y}, plan.result(DType::F32, *out), kernels::ReorderParameters{});
  return true;
}

static bool plan_pooling(ShapePlan& plan, const Call& call) {
  if (call.tensor(0).rank() != 4 || call.output_count > 1) return false;
  const Shape& in = call.tensor(0).shape();
  kernels::PoolParameters p;
  Shape out = {in[0], in[1], 1, 1};
  const bool global = call.type.starts_with("Global");
  p.kind = call.type.ends_with("MaxPool") ? kernels::PoolKind::Max : kernels::PoolKind::Average;
  if (!global) {
    const auto kernel = call.attributes.integers("kernel_shape");
    const auto wanted = window_output(call.attributes, in, kernel, in[1]);
    const auto window = wanted ? pool_of(call.attributes, in, *wanted) : std::nullopt;
    if (!window) return false;
    const bool with_pads = p.kind == kernels::PoolKind::Average &&
                           call.attributes.integer("count_include_pad", 0) != 0;
    out = *wanted;
    const auto kind = with_pads ? kernels::PoolKind::AverageIncludingPad : p.kind;
    p = *window;
    p.kind = kind;
  }
  const std::size_t x = plan.own(in, Layout::Blocked);
  const std::size_t y = plan.own(out, Layout::Blocked);
  plan.step(Opcode::Reorder, {plan.operand(call, 0)}, x, kernels::ReorderParameters{});
  plan.step(global ? Opcode::GlobalPool : Opcode::Pool, {x}, y, p);
  plan.step(Opcode::Reorder, {y}, plan.result(DType::F32, out), kernels::ReorderParameters{});
  return true;
}

// --- which

bool make_plan(ShapePlan& plan, const Call& call) {
  if (!call.has(0) || !call.inputs[0]->is_tensor()) return false;
  if (call.domain == "rulec") {
    if (call.type == "FusedConv") return plan_convolution(plan, call);
    if (call.type == "FusedGemm") return plan_gemm(plan, call);
    if (!is_f32(call, 0)) return false;
    if (call.type == "LayerNormalization") return plan_layer_norm(plan, call);
    const auto e = activation_named(call.attributes);
    if (!e || e->activation == kernels::Activation::PRelu) return false;
    return plan_chain(
        plan, call,
        {.op = ChainOp::Activate, .activation = e->activation, .alpha = e->alpha, .beta = e->beta},
        1);
  }
  if (call.type == "MatMul" || call.type == "FusedMatMul") return plan_matmul(plan, call);
  if (!call.domain.empty()) return false;
  if (call.type == "Transpose") return plan_transpose(plan, call);
  if (is_f32(call, 0)) {
    if (call.type == "Softmax" || call.type == "LogSoftmax") return plan_softmax(plan, call);
    if (call.type == "LayerNormalization")
      return call.output_count == 1 && plan_layer_norm(plan, call);
    if (const auto kind = row_kind(call.type)) return plan_reduce(plan, call, *kind);
    if (call.type == "MaxPool" || call.type == "AveragePool" || call.type == "GlobalAveragePool" ||
        call.type == "GlobalMaxPool") {
      return plan_pooling(plan, call);
    }
    if (call.opset >= 7 && call.inputs.size() == 2 && is_f32(call, 1)) {
      if (const auto op = binary_chain_op(call.type)) return plan_chain(plan, call, {.op = *op}, 2);
    }
    if (call.inputs.size() == 1) {
      if (const auto op = unary_chain_op(call.type)) return plan_chain(plan, call, {.op = *op}, 1);
    }
  }
  if (const auto op = typed_op(call.type); op && call.opset >= 7)
    return plan_typed(plan, call, *op);
  return false;
}

}  // namespace rulec
