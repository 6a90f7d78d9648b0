// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reports of a rewrite as pages.

#include <string>
#include <vector>

#include "compiler/command/rules.h"

namespace rulec::command {

// A rule, where it fired and where it nearly did, nearest first.
struct Explained {
  RuleId rule;
  std::vector<const Firing*> firings;
  std::vector<const NearMiss*> misses;
};
std::string explain_page(const Rewritten& rewritten, const std::vector<Explained>& rules);

// Each firing side by side: what stood in `before`, and what stands there now.
std::string rewrite_page(const Model& before, const Rewritten& rewritten);

}  // namespace rulec::command
