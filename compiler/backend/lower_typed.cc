// SPDX-License-Identifier: Apache-2.0
// Elementwise operators on other types than f32, and those that give truths.
#include "compiler/backend/lowering.h"
#include "runtime/kernels/check.h"
#include "runtime/operator_names.h"

namespace rulec::backend {

using format::Layout;
using kernels::TypedOp;

static DType dtype_of(const Lowering& l, ValueId id) {
  const auto c = l.constant(id);
  return c ? c->dtype() : l.model.value(id).type.dtype;
}

static bool takes(TypedOp op, DType dtype, DType result) {
  switch (op) {
    case TypedOp::Cast:
      return is_castable(dtype) && is_castable(result);
    case TypedOp::And:
    case TypedOp::Or:
    case TypedOp::Xor:
    case TypedOp::Not:
      return dtype == DType::Bool;
    case TypedOp::Where: {
      const int bits = dtype == DType::Undefined ? 0 : bit_width(dtype);
      return !is_complex(dtype) && (bits == 8 || bits == 16 || bits == 32 || bits == 64);
    }
    case TypedOp::Add:
    case TypedOp::Sub:
    case TypedOp::Mul:
    case TypedOp::Min:
    case TypedOp::Max:
      return dtype == DType::I32 || dtype == DType::I64;
    default:
      return is_castable(dtype);
  }
}

bool lower_typed(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  const auto op = typed_op(n.type);
  if (!op) return l.refuse("no fast kernel for this operator");
  const bool unary = *op == TypedOp::Cast || *op == TypedOp::Not;
  const std::size_t operands = *op == TypedOp::Where ? 3 : unary ? 1 : 2;
  if (n.inputs.size() < operands || (n.inputs.size() > operands && n.type != "CastLike"))
    return l.refuse("another number of operands");
  const ValueId y = n.outputs[0];
  const auto shape = l.shape(y);
  if (!shape) return l.refuse("a shape that is not known");
  if (shape->size() > kernels::max_copy_rank) return l.refuse("an odd rank");
  const DType dtype = dtype_of(l, n.inputs[operands == 3 ? 1 : 0]), result = dtype_of(l, y);
  for (std::size_t i = 0; i < operands; ++i) {
    if (!n.inputs[i] || !l.shape(n.inputs[i])) return l.refuse("a shape that is not known");
    const bool condition = operands == 3 && i == 0;
    if (dtype_of(l, n.inputs[i]) != (condition ? DType::Bool : dtype))
      return l.refuse("types that differ");
  }
  if (*op == TypedOp::Cast && dtype == result) return lower_movement(l, node);
  if (!takes(*op, dtype, result)) return l.refuse("an element type without a fast kernel");
  std::vector<Index> inputs;
  for (std::size_t i = 0; i < operands; ++i)
    inputs.push_back(l.plain(n.inputs[i]));
  const Index out = l.add_arena(y, Layout::Plain);
  kernels::TypedParameters p;
  p.op = *op;
  l.add(Opcode::Typed, node, std::move(inputs), {out}).set(p);
  l.bind(y, out);
  l.report(node, "Typed", "");
  return true;
}

}  // namespace rulec::backend
