// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/copies.h"

namespace rulec::backend {

using format::Layout;
using kernels::CopyParameters;
using kernels::CopyPart;

bool copyable(const Lowering& l, ValueId id) {
  if (!id) return false;
  const auto c = l.constant(id);
  const DType dtype = c ? c->dtype() : l.model.value(id).type.dtype;
  const int bits = bit_width(dtype);
  return bits == 8 || bits == 16 || bits == 32 || bits == 64;
}

std::uint32_t element_bytes(const Lowering& l, ValueId id) {
  return static_cast<std::uint32_t>(bit_width(l.model.value(id).type.dtype) / 8);
}

bool emit_copy(Lowering& l, NodeId node, CopyParameters head, const std::vector<CopyPart>& parts,
               std::vector<Index> inputs, ValueId y) {
  head.parts = static_cast<std::uint32_t>(parts.size());
  head.element_bytes = element_bytes(l, y);
  const Index out = l.add_arena(y, Layout::Plain);
  Operation& op = l.add(Opcode::Copy, node, std::move(inputs), {out});
  op.set(head);
  for (const CopyPart& part : parts) {
    op.parameters.append(reinterpret_cast<const char*>(&part), sizeof part);
  }
  l.bind(y, out);
  return true;
}

CopyPart part_of(const Shape& dims, const std::vector<std::int64_t>& in,
                 const std::vector<std::int64_t>& out, std::int64_t in_offset,
                 std::int64_t out_offset) {
  CopyPart p{};
  for (std::size_t d = 0; d < dims.size(); ++d) {
    p.dims[d] = dims[d];
    p.in_stride[d] = in[d];
    p.out_stride[d] = out[d];
  }
  p.in_offset = in_offset;
  p.out_offset = out_offset;
  return p;
}

}  // namespace rulec::backend
