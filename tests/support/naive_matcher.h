// SPDX-License-Identifier: Apache-2.0
#pragma once

// The reference for the matcher: recursion that tries every choice in its order and copies its
// state at every step. No index, no memory, no jumps; slow, and small enough to be read. It shares
// no fact, guard or folding with the matcher (naive_facts.h). It knows all forms of patterns, and
// the guards that the tests' rules use; regions are not its business.

#include <optional>
#include <string>

#include "matcher/match.h"
#include "matcher/op_table.h"
#include "matcher/rewrite.h"
#include "matcher/visit_order.h"
#include "tests/support/naive_facts.h"

namespace rulec::test {

// `facts` are of this model, as it stands. Where several nodes will do, the first in `order` is
// taken; without one, in the file's.
std::optional<Match> naive_match(const Model& model, const RuleSet& rules, const NaiveFacts& facts,
                                 RuleId rule, NodeId root, const VisitOrder* order = nullptr);

// All rules of the set to a fixpoint, every rule tried at every node in every sweep. Gives the
// names of the rules that fired, in order; empty text in `error` when it came to an end.
std::vector<std::string> naive_rewrite(Model& model, const RuleSet& rules, const OpTable& ops,
                                       std::size_t most_firings);

}  // namespace rulec::test
