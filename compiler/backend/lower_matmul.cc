// SPDX-License-Identifier: Apache-2.0
// Gemm and MatMul: with constant columns packed now, else packed while running.
#include "compiler/backend/lowering.h"
#include "compiler/backend/packing.h"
#include "runtime/operator_names.h"

namespace rulec::backend {

using format::Layout;

static std::span<const float> floats(const Tensor& t) {
  return {t.data<float>(), static_cast<std::size_t>(t.size())};
}

// Gemm, and rulec.FusedGemm: rows of any rank, with an epilogue.
static bool lower_gemm(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  const ValueId a = n.inputs[0], y = n.outputs[0];
  const auto b = l.constant(n.inputs[1]);
  const ValueId addend = n.inputs.size() > 2 ? n.inputs[2] : ValueId{};
  const auto c = l.constant(addend);
  const bool fused = n.type == "FusedGemm";
  const ValueId other = fused && n.inputs.size() > 3 ? n.inputs[3] : ValueId{};
  const auto in = l.shape(a), out = l.shape(y);
  if (!in || !out) return l.refuse("a shape that is not known");
  if (!l.is_f32(a) || !b || b->dtype() != DType::F32)
    return l.refuse("columns that are not constant f32");
  if (n.attributes.integer("transA", 0) != 0) return l.refuse("a transposed first operand");
  if (in->size() < 2 || b->rank() != 2 || (!fused && in->size() != 2))
    return l.refuse("an odd rank");
  const auto epilogue = fused ? activation_named(n.attributes) : kernels::Epilogue{};
  if (!epilogue || epilogue->activation == kernels::Activation::PRelu)
    return l.refuse("an activation without a kernel");
  if (other && (!l.is_f32(other) || l.shape(other) != out)) {
    return l.refuse("an addend of another shape");
  }
  const bool transposed = n.attributes.integer("transB", 0) != 0;
  const float alpha = n.attributes.number("alpha", 1.0f), beta = n.attributes.number("beta", 1.0f);
  kernels::GemmParameters p;
  p.depth = static_cast<std::uint32_t>(in->back());
  p.rows = static_cast<std::uint32_t>(element_count(*in) / in->back());
  p.columns = static_cast<std::uint32_t>(out->back());
  p.epilogue = *epilogue;
  std::vector<float> bias;
  if (addend) {
    if (!c || c->dtype() != DType::F32) return l.refuse("an addend that is not constant");
    const bool row = c->size() == p.columns && c->rank() > 0 && c->dim(c->rank() - 1) == p.columns;
    if (!row && c->size() != 1) return l.refuse("an addend that is not a row");
    for (std::uint32_t i = 0; i < p.columns; ++i)
      bias.push_back(beta * c->data<float>()[row ? i : 0]);
    p.has_bias = 1;
  }
  std::vector<Index> operands = {
      l.plain(a), l.add_weight(l.model.value(n.inputs[1]).name,
                               pack_columns(floats(*b), p.depth, p.columns, transposed, alpha))};
  if (addend) {
    operands.push_back(l.add_weight(l.model.value(addend).name, pad_vector(bias, p.columns, 0)));
  }
  if (other) {
    operands.push_back(l.plain(other));
    p.epilogue.residual = n.attributes.text("residual", "first") == "first"
                              ? kernels::Residual::BeforeActivation
                              : kernels::Residual::AfterActivation;
  }
  const Index result = l.add_arena(y, Layout::Plain);
  l.add(Opcode::Gemm, node, operands, {result}).set(p);
  l.bind(y, result);
  l.report(node, "Gemm", "");
  return true;
}

static bool lower_product(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  const ValueId a = n.inputs[0], b = n.inputs[1], y = n.outputs[0];
  const auto sa = l.shape(a), sb = l.shape(b), out = l.shape(y);
  if (!sa || !sb || !out) return l.refuse("a shape that is not known");
  if (!l.is_f32(y)) return l.refuse("not f32");
  if (sa->size() < 2 || sb->size() < 2 || out->size() > 8) return l.refuse("an odd rank");
  const bool transposed = n.attributes.integer("transB", 0) != 0;
  const float scale = n.attributes.number("alpha", 1.0f);
  if (n.attributes.integer("transA", 0) != 0 || n.attributes.integer("transBatchA", 0) != 0 ||
      n.attributes.integer("transBatchB", 0) != 0) {
    return l.refuse("a transposed first operand");
  }
  const std::int64_t m = (*sa)[sa->size() - 2], k = sa->back(),
                     columns = transposed ? (*sb)[sb->size() - 2] : sb->back();
  if (const auto w = l.constant(b); w && sb->size() == 2 && w->dtype() == DType::F32) {
    kernels::GemmParameters p;
    p.rows = static_cast<std::uint32_t>(element_count(*sa) / k);
    p.depth = static_cast<std::uint32_t>(k);
    p.columns = static_cast<std::uint32_t>(columns);
    const Index x = l.plain(a);
    const Index packed = l.add_weight(l.model.value(b).name,
                                      pack_columns(floats(*w), k, columns, transposed, scale));
    const Index result = l.add_arena(y, Layout::Plain);
    l.add(Opcode::Gemm, node, {x, packed}, {result}).set(p);
    l.bind(y, result);
    l.report(node, "Gemm", "");
    return true;
  }
  kernels::MatMulParameters p;
  p.rows = static_cast<std::uint32_t>(m);
  p.depth = static_cast<std::uint32_t>(k);
  p.columns = static_cast<std::uint32_t>(columns);
  p.transposed = transposed ? 1 : 0;
  p.scale = scale;
  p.batch_rank = static_cast<std::uint32_t>(out->size() - 2);
  p.batches = 1;
  if (p.batch_rank > 6) return l.refuse("an odd rank");
  const auto strides = [&](const Shape& s, std::uint32_t(&to)[6]) {
    std::int64_t step = s[s.size() - 2] * s.back();
    for (std::size_t d = s.size() - 2; d-- > 0;) {
      const std::size_t at = d + out->size() - s.size();
      to[at] = s[d] == 1 ? 0 : static_cast<std::uint32_t>(step);
      step *= s[d];
    }
  };
  strides(*sa, p.batch_stride_x);
  strides(*sb, p.batch_stride_w);
  for (std::uint32_t d = 0; d < p.batch_rank; ++d) {
    p.batch_dim[d] = static_cast<std::uint32_t>((*out)[d]);
    p.batches *= p.batch_dim[d];
  }
  const Index x = l.plain(a), w = l.plain(b);
  const Index result = l.add_arena(y, Layout::Plain);
  l.add(Opcode::MatMul, node, {x, w}, {result}).set(p);
  l.bind(y, result);
  l.report(node, "MatMul", "");
  return true;
}

bool lower_matmul(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  if (n.inputs.size() < 2 || !n.inputs[0] || !n.inputs[1]) return l.refuse("missing operands");
  return n.type == "Gemm" || n.type == "FusedGemm" ? lower_gemm(l, node) : lower_product(l, node);
}

}  // namespace rulec::backend
