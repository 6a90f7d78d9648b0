// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "runtime/kernels.h"
#include "runtime/result.h"

namespace rulec {

// Whether a fast operation may run on these operands: counts, dtypes, layouts, extents, parameters.
// Their `data` is null, but for constants.
Status check_operation(Opcode opcode, std::span<const TensorRef> inputs,
                       std::span<const TensorRef> outputs, std::span<const std::byte> parameters);

// Whether a Gather's indices lie in its axis. Of constants check_operation asks this.
Status check_indices(const kernels::GatherParameters& p, const TensorRef& indices);

// The types that Typed casts between and compares.
bool is_castable(DType dtype);

}  // namespace rulec
