// SPDX-License-Identifier: Apache-2.0
#pragma once

// Private to the guard: the functions of docs/language.md that ask the graph: types, shapes, users,
// names, a Resize's scales. Those over numbers, lists and strings are in guard_functions.cc.

#include <vector>

#include "matcher/guard_calls.h"

namespace rulec {

// The value that an operand is; none where it is something else, or absent.
const ValueId* value_in(const RuleValue& value);

RuleValue dtype_function(const Scope& scope, const std::vector<RuleValue>& in);
RuleValue rank_function(const Scope& scope, const std::vector<RuleValue>& in);
RuleValue shape_function(const Scope& scope, const std::vector<RuleValue>& in);
RuleValue dim_function(const Scope& scope, const std::vector<RuleValue>& in);
RuleValue size_function(const Scope& scope, const std::vector<RuleValue>& in);
RuleValue users_function(const Scope& scope, const std::vector<RuleValue>& in);
RuleValue same_shape_function(const Scope& scope, const std::vector<RuleValue>& in);
RuleValue broadcasts_function(const Scope& scope, const std::vector<RuleValue>& in);
RuleValue is_input_function(const Scope& scope, const std::vector<RuleValue>& in);
RuleValue is_output_function(const Scope& scope, const std::vector<RuleValue>& in);
RuleValue name_function(const Scope& scope, const std::vector<RuleValue>& in);
RuleValue keeps_order_function(const Scope& scope, const std::vector<RuleValue>& in);
RuleValue scales_function(const Scope& scope, const std::vector<RuleValue>& in);

}  // namespace rulec
