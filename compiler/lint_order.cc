// SPDX-License-Identifier: Apache-2.0
// Rules that stand in one another's way: what goes first always wins, or has no order but that of
// the file.
#include <algorithm>

#include "compiler/linter.h"
#include "compiler/pattern_order.h"
#include "compiler/rule_parts.h"

namespace rulec {

// Forwarding a value waits for a proof of its type; what makes a node does not.
static bool forwards(const RuleSet& rules, const Rule& rule) {
  return !rule.replacement || rules[rule.replacement].kind != Expr::Kind::Emit;
}

void Linter::rule_pairs(const Phase& phase) {
  const auto goes_first = [&](RuleId a, RuleId b) {
    const Rule &left = rules_[a], &right = rules_[b];
    if (left.priority != right.priority) return left.priority > right.priority;
    if (left.pattern_nodes != right.pattern_nodes) return left.pattern_nodes > right.pattern_nodes;
    return a.index < b.index;
  };
  std::vector<RuleId> order = phase.rules;
  std::sort(order.begin(), order.end(), goes_first);
  order.erase(std::unique(order.begin(), order.end()), order.end());
  for (std::size_t j = 1; j < order.size(); ++j) {
    const Rule& later = rules_[order[j]];
    if (!is_plain(rules_, later)) continue;
    for (std::size_t i = 0; i < j; ++i) {
      const Rule& earlier = rules_[order[i]];
      if (!is_plain(rules_, earlier)) continue;
      if (!is_requested(earlier.place) && !is_requested(later.place)) continue;
      if (!paired_.emplace(order[i].index, order[j].index).second) continue;
      const PatternId first = earlier.root.patterns.front(), second = later.root.patterns.front();
      if (has_conditions(rules_, earlier)) continue;
      if (subsumes(rules_, first, second)) {
        if (forwards(rules_, earlier) || !is_requested(later.place)) continue;
        Diagnostic& diagnostic = warn(DiagnosticKind::ShadowedRule, later.place,
                                      "{} never fires: {} matches wherever it does, and goes first",
                                      called(later), called(earlier));
        note(diagnostic, earlier.place, "the rule that goes first");
        break;
      }
      const bool equal =
          earlier.priority == later.priority && earlier.pattern_nodes == later.pattern_nodes;
      if (!equal || has_conditions(rules_, later) || subsumes(rules_, second, first) ||
          !may_overlap(rules_, first, second))
        continue;
      const Rule& told = is_requested(later.place) ? later : earlier;
      const Rule& other = is_requested(later.place) ? earlier : later;
      Diagnostic& diagnostic =
          warn(DiagnosticKind::OverlappingRules, told.place,
               "{} and {} may match the same nodes, and only their order in the file decides; give "
               "one a `priority`",
               called(told), called(other));
      note(diagnostic, other.place, "the other rule");
    }
  }
}

}  // namespace rulec
