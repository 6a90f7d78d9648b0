// SPDX-License-Identifier: Apache-2.0
#pragma once

// Copy operations of strided parts, as the families that move elements make them. Not which
// operator is a copy: lower_movement.cc, lower_padding.cc and lower_scatter.cc say that.
//
//   emit_copy(l, node, head, {part_of(to, strides_of(from), strides_of(to))}, {source}, y);

#include "compiler/backend/lowering.h"

namespace rulec::backend {

// Whether its elements are of a size that Copy takes.
bool copyable(const Lowering& l, ValueId id);
std::uint32_t element_bytes(const Lowering& l, ValueId id);

// One part for each input; later parts write over earlier ones.
bool emit_copy(Lowering& l, NodeId node, kernels::CopyParameters head,
               const std::vector<kernels::CopyPart>& parts, std::vector<Index> inputs, ValueId y);

// Part over `dims` with given strides on both sides.
kernels::CopyPart part_of(const Shape& dims, const std::vector<std::int64_t>& in,
                          const std::vector<std::int64_t>& out, std::int64_t in_offset = 0,
                          std::int64_t out_offset = 0);

// The same elements under another shape.
bool lower_view(Lowering& l, NodeId node, const Shape& from, const Shape& to);
bool lower_pad(Lowering& l, NodeId node, const Shape& from, const Shape& to);
// ScatterND at constant places that lie at even distances: the operand, and the updates over it.
bool lower_scatter(Lowering& l, NodeId node, const Shape& from);

}  // namespace rulec::backend
