// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which of two patterns is the wider one, as far as that is sure. For lints: both answers may be
// "no" where more thought would say yes.

#include "matcher/rule.h"

namespace rulec {

// Wherever `narrow` matches, `wide` does too. Guards are not looked at; predicates count against.
bool subsumes(const RuleSet& rules, PatternId wide, PatternId narrow);

// False only where no node or value matches both.
bool may_overlap(const RuleSet& rules, PatternId a, PatternId b);

// Equal numbers, strings, lists; expressions that are not literal are equal to nothing.
bool same_literal(const RuleSet& rules, ExprId a, ExprId b);
bool is_literal(const RuleSet& rules, ExprId id);

}  // namespace rulec
