// SPDX-License-Identifier: Apache-2.0
#pragma once

// One pattern at one node, by plain recursion and without use-safety: for the members of clusters
// and the root patterns of templates, which are small. Rules' own patterns run as one program.

#include <vector>

#include "matcher/match.h"

namespace rulec {

// Binds the pattern's names into `bindings` (as many as `slots`; names bound before must agree).
// Where it does not hold, `miss` (when given) says what was expected and found; `bindings` are then
// as they were.
bool match_node(const Model& model, const RuleSet& rules, const OpTable& ops,
                const Situation& situation, const std::vector<Slot>& slots, PatternId pattern,
                NodeId node, std::vector<Binding>& bindings, NearMiss* miss = nullptr);

}  // namespace rulec
