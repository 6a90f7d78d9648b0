// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the evaluator does to values on their way in and out of kernels.

#include <string_view>

#include "runtime/attribute.h"
#include "runtime/value.h"

namespace rulec {

// The tensor itself where its bytes are aligned for its element type, else a copy: a weight may lie
// anywhere in a mapped file.
Tensor aligned(const Tensor& tensor);
Tensor densify(const SparseTensor& sparse);

// f32, f16 and bf16 to f64, at no loss; other tensors as they are.
Tensor widen(const Tensor& tensor);
// Aligned, and widened if wanted; inside sequences, optionals and maps too.
Value prepare(Value value, bool widened);
// Attributes that name the element type of a result (`to` of Cast, `dtype` of EyeLike, …) name f64
// where they named f32, f16 or bf16.
Attributes widen_attributes(std::string_view type, const Attributes& attributes);

// Gives the same for the same operands: not random.
bool is_repeatable(std::string_view type);

}  // namespace rulec
