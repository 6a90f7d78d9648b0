// SPDX-License-Identifier: Apache-2.0
#pragma once

// Makes a network one of 8 bits, as quantizers write it: QuantizeLinear and DequantizeLinear behind
// every value, by the range that it has for some numbers; weights of products as 8-bit integers.
//
//   Model m = test::random_network(random, 12);
//   test::quantize(m, random);

#include "matcher/graph.h"
#include "matcher/random.h"

namespace rulec::test {

// For f32 networks of known shapes. Scales, zero points, signs and whether weights have a scale for
// each channel are drawn. False: the network is not defined (a window that does not fit).
bool quantize(Model& model, Random& random);

}  // namespace rulec::test
