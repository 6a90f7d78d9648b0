// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "matcher/graph.h"

namespace rulec::backend {

// Turns each ConvTranspose with constant f32 weights into the Conv that computes the same: over the
// input with zeros between its elements (for strides), by the weights mirrored. Gives their number.
std::size_t spell_transposed_convs(Model& model);

}  // namespace rulec::backend
