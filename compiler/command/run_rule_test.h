// SPDX-License-Identifier: Apache-2.0
#pragma once

// Runs one test of a rule file: builds the graph, rewrites it, compares structure and numbers.

#include <cstdint>
#include <string>

#include "compiler/rule_test.h"
#include "matcher/op_table.h"
#include "matcher/rule.h"

namespace rulec::command {

struct RuleTestResult {
  std::string title;
  Place place;
  bool passed = false;
  std::string why;   // where it failed
  std::string note;  // of one that passed: what was not compared
  std::int64_t fired = 0;
  double max_abs = 0;  // between both sides, in double
};

// Builds, rewrites, compares; `seed` draws weights and inputs.
RuleTestResult run_rule_test(const RuleSet& rules, const OpTable& ops, const RuleTest& test,
                             std::uint64_t seed);

}  // namespace rulec::command
