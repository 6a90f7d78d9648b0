// SPDX-License-Identifier: Apache-2.0
#pragma once

// The convolution of doubles that Conv and its quantized forms share.

#include "runtime/generic/kernel.h"

namespace rulec::generic {

// x [N, C, spatial…], weights [M, C / group, taps…], an f64 bias [M] or null; attributes of `call`.
// Padding is zero.
Result<Tensor> convolve(const Call& call, const Tensor& x, const Tensor& weights,
                        const Tensor* bias);

}  // namespace rulec::generic
