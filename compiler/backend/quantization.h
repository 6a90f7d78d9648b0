// SPDX-License-Identifier: Apache-2.0
#pragma once

// What lower_quantized.cc and lower_quantized_product.cc share: how the numbers of a node are
// stored, and between which bounds.
//
//   const auto of_y = quantization_of(l, n, 6);  // operands 6 and 7: scale and zero point

#include <algorithm>
#include <cmath>
#include <optional>

#include "compiler/backend/lowering.h"
#include "runtime/operator_names.h"

namespace rulec::backend {

// Operands `scale` and `scale` + 1 of n, where they are constants of one element.
std::optional<kernels::Quantization> quantization_of(const Lowering& l, const GraphNode& n,
                                                     std::size_t scale);

// A value (or constant) of u8 or i8.
bool is_stored(const Lowering& l, ValueId id);

// The stored numbers that the activation of a fused node leaves: of Relu and Clip, which a bound
// after the rounding does as well as one before it.
struct Range {
  std::int32_t low, high;
};
std::optional<Range> stored_range(const Attributes& attributes, const kernels::Quantization& y,
                                  DType dtype);

}  // namespace rulec::backend
