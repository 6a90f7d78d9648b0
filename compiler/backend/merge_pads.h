// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "matcher/graph.h"

namespace rulec::backend {

// Pad by zeros over the spatial axes, read by a Conv alone: the Conv's own padding. Gives the
// number of merged ones.
std::size_t merge_pads(Model& model);

}  // namespace rulec::backend
