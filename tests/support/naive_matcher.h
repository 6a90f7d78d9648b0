// SPDX-License-Identifier: Apache-2.0
#pragma once

// The reference for the matcher: recursion that tries every choice in its order and copies its
// state at every step. No index, no memory, no jumps; slow, and small enough to be read. It knows
// what expression rules need: no see-through, no bodies, no regions.

#include <optional>
#include <string>

#include "matcher/match.h"
#include "matcher/op_table.h"
#include "matcher/rewrite.h"

namespace rulec::test {

std::optional<Match> naive_match(const Model& model, const RuleSet& rules, const OpTable& ops,
                                 RuleId rule, NodeId root);

// All rules of the set to a fixpoint, every rule tried at every node in every sweep. Gives the
// names of the rules that fired, in order; empty text in `error` when it came to an end.
std::vector<std::string> naive_rewrite(Model& model, const RuleSet& rules, const OpTable& ops,
                                       std::size_t most_firings);

}  // namespace rulec::test
