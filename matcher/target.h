// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is built for: `--target tensorrt@8.5`, and the ranges that rules state.

#include <string_view>

#include "matcher/match.h"
#include "matcher/rule.h"
#include "runtime/result.h"

namespace rulec {

// "tensorrt@8.5" → {"tensorrt", {8, 5}}; the version may be left out.
Result<Situation> parse_target(std::string_view text);

// Whether rules for `range` apply: the same target, and a version within the bounds. A range with
// bounds does not hold for a target whose version was not given: unknown is not true.
bool in_range(const Situation& situation, const TargetRange& range);

// Compares dotted versions, missing parts as 0: negative, 0, positive.
int compare_versions(const std::vector<int>& a, const std::vector<int>& b);
bool holds(int comparison, std::string_view relation);

}  // namespace rulec
