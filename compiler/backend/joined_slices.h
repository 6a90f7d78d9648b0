// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "matcher/graph.h"

namespace rulec::backend {

// Turns each Conv over the Concat of all x[:, :, i::s, j::t] of an image x of up to four channels
// (space to depth, as nets of the YOLO family begin) into the Conv over x that computes the same:
// windows and strides s and t times as large, the weights in another order. Gives their number.
std::size_t join_slices(Model& model);

}  // namespace rulec::backend
