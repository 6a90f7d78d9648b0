// SPDX-License-Identifier: Apache-2.0
#pragma once

// The literals that a rule's patterns and guards hold. Graphs made up for it take them: a guard is
// hit by them more often than by chance. Not what the rule means.
//
//   Words words = words_of(rules, rule);  // Clip(x, 0, 6) where opset >= 11: 0, 6, 11

#include "compiler/generate/guess.h"
#include "matcher/rule.h"

namespace rulec {

Words words_of(const RuleSet& rules, const Rule& rule);

}  // namespace rulec
