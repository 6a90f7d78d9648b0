// SPDX-License-Identifier: Apache-2.0
#pragma once

// The weights of a dense product of 8-bit numbers as the steps of its kernel (QuantizedConv in
// kernels/parameters.h): which four inputs each takes, and with which of them complemented two
// products never leave 16 bits. A weight that needs more than 8 bits (a byte less its zero point)
// is spread over several steps on the same inputs; a step of zeros is left out.
//
//   WeightSteps s = pack_steps(weights, {.oc = 64, .ic = 32, .kh = 3, .kw = 3, .joined = true});

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/tensor.h"

namespace rulec::backend {

struct WeightShape {
  std::int64_t oc, ic, kh, kw;
  bool joined;  // neighbouring taps of a row are read as one run of inputs
};

struct WeightSteps {
  Tensor weights, table;
  std::vector<std::int32_t> complemented;  // of each channel: what complements take from its sum
};

// Of weights less their zero points, [oc][ic][kh][kw].
WeightSteps pack_steps(std::span<const std::int16_t> weights, const WeightShape& shape);

}  // namespace rulec::backend
