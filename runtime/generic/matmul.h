// SPDX-License-Identifier: Apache-2.0
#pragma once

// numpy's matmul for tensors: stacks of matrices broadcast, vectors gain an axis and lose it again.

#include "runtime/result.h"
#include "runtime/tensor.h"

namespace rulec::generic {

// Both of f64, or both of one integer type (which wraps); the result is of the same type.
Result<Tensor> matmul(const Tensor& a, const Tensor& b);

}  // namespace rulec::generic
