// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "matcher/graph.h"

namespace rulec::backend {

// Conv, then BatchNormalization with constant statistics: the same Conv with other weights,
// computed in double. Gives the number of folded ones.
std::size_t fold_batch_norms(Model& model);

}  // namespace rulec::backend
