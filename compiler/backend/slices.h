// SPDX-License-Identifier: Apache-2.0
#pragma once

// Slice nodes as what they read: an axis, where it starts and its step, all known and resolved.
// Not Split or Gather.
//
//   if (const auto cuts = constant_slice(model, node, shape)) …  // x[:, :, 1::2] is {{2, 1, 2}}

#include <optional>
#include <vector>

#include "matcher/graph.h"

namespace rulec::backend {

struct AxisCut {
  std::size_t axis = 0;
  std::int64_t start = 0, step = 1;  // start: not negative, clamped to the operand
};

// Nothing where places are not constant, or name an axis that `from` does not have.
std::optional<std::vector<AxisCut>> constant_slice(const Model& model, NodeId node,
                                                   const Shape& from);

}  // namespace rulec::backend
