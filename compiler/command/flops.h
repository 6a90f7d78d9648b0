// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "matcher/graph.h"

namespace rulec::command {

// Additions and multiplications of one run of a node, where types tell them: convolutions and
// matrix products in full, one for each result of elementwise and pooling operators times their
// window, none for what only moves data. Nothing where a size is unknown.
std::optional<double> flops_of(const Model& model, NodeId node);

}  // namespace rulec::command
