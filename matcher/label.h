// SPDX-License-Identifier: Apache-2.0
#pragma once

// What to call a node in messages and reports: its name, or, where the exporter gave it none, its
// operator and first result: Mul → "out_3". Not unique, not for looking nodes up by program.

#include <string>

#include "matcher/graph.h"

namespace rulec {

// Also of a node that a rewrite has removed. Empty for no node.
std::string label(const Model& model, NodeId id);

// Whether a reader who says `name` may mean this node: by its name, label or one of its results.
bool is_called(const Model& model, NodeId id, std::string_view name);

}  // namespace rulec
