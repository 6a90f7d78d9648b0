// SPDX-License-Identifier: Apache-2.0
#pragma once

// What trying rules on a small model needs: the rules alone, the target they are for, and a
// comparison of both sides.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "compiler/command/interface.h"
#include "matcher/graph.h"
#include "matcher/match.h"
#include "matcher/op_table.h"
#include "matcher/rule.h"
#include "runtime/result.h"

namespace rulec::command {

// The rules under test alone, in one phase.
RuleSet only(const RuleSet& rules, std::span<const RuleId> chosen);

// A rule for a target is tried as if built for it.
Situation situation_for(const RuleSet& rules, std::span<const RuleId> chosen);

// The loosest that the rules allow; an `unsafe` one promises no numbers.
double tolerance_of(const RuleSet& rules, std::span<const RuleId> chosen);

// An operator of the model that a rule file declares and nothing here computes; empty where there
// is none. Such a model can be looked at, not run.
std::string not_computed(const Model& model, const OpTable& ops);

// Two models on the same inputs, in double. `sizes` tells those of inputs that the models leave
// open.
struct Agreement {
  bool ran = false;  // `before` runs on some of the inputs; else `why` says why not
  bool agrees = true;
  double max_abs = 0;
  std::string why;
};
Agreement agreement(const Model& before, const Model& after, std::uint64_t seed, double tolerance,
                    std::span<const int> trials, const std::vector<Formal>& sizes = {});

}  // namespace rulec::command
