// SPDX-License-Identifier: Apache-2.0
#pragma once

// Generated tests of one rule (docs/language.md §11): the rule is applied to instances of its
// pattern and to their near misses, and both sides are run in double. Of rules whose replacement is
// a template the instances are the models of their written tests.
//
//   GeneratedTests tests = check_rule(compiled, rule, {.seed = 0});
//   if (!tests.passed) print(tests.why);

#include <cstdint>
#include <string>

#include "compiler/compile.h"

namespace rulec::command {

struct GenerateOptions {
  int instances = 6;    // to be found
  int near_misses = 3;  // of each
  int tries = 250;      // graphs drawn at most
  std::uint64_t seed = 0;
};

struct GeneratedTests {
  RuleId rule;
  std::string title;    // "generated for conv_bn"
  std::string skipped;  // why there are none: a region, no instance within the budget
  bool passed = true;
  int tried = 0;        // graphs drawn
  int instances = 0;    // on which the rule fired
  int near_misses = 0;  // neighbours of these tried, `left` of them left as they were
  int left = 0;
  double max_abs = 0;  // between both sides, over all
  std::string why;     // what failed, and on what
  std::string graph;   // the model that shows it
};

GeneratedTests check_rule(const CompiledRules& compiled, RuleId rule,
                          const GenerateOptions& options);

}  // namespace rulec::command
