// SPDX-License-Identifier: Apache-2.0
#pragma once

// All patterns and expressions that belong to one rule, and what they say of it, for checks that
// look at each of them.

#include <climits>
#include <string>
#include <vector>

#include "matcher/rule.h"

namespace rulec {

// Every pattern of a rule's root, each once, parents before children; of its bodies' patterns too
// where `bodies` says so.
std::vector<PatternId> patterns_of(const RuleSet& rules, const Rule& rule, bool bodies);

// Every expression: guards, lets, replacement, predicates, attributes.
std::vector<ExprId> exprs_of(const RuleSet& rules, const Rule& rule);

// Whether some mention of a name says `const` or `scalar`.
bool captures_constant(const RuleSet& rules, const Rule& rule, SlotId slot);

// The opsets of ONNX that a rule may meet, as its `requires opset` and plain conditions on `opset`
// say.
struct OpsetRange {
  int low = 1, high = INT_MAX;
};
OpsetRange opsets_of(const RuleSet& rules, const Rule& rule);

// An ordinary rule of one root, which is an operator: what can be compared with another.
bool is_plain(const RuleSet& rules, const Rule& rule);

// Whether more than the pattern's form decides if it fires.
bool has_conditions(const RuleSet& rules, const Rule& rule);

// The rule's name as messages give it, with its package.
std::string called(const Rule& rule);

}  // namespace rulec
