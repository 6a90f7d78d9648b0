// SPDX-License-Identifier: Apache-2.0
#pragma once

// The rules of rules/lower on a prepared model: what can be computed goes into weights, functions
// that exporters spell out become one operator, and a convolution or product takes what follows it.
// Not the choice of kernels: lower.h makes that.

#include <vector>

#include "compiler/backend/build.h"
#include "matcher/graph.h"
#include "matcher/rule.h"
#include "runtime/result.h"

namespace rulec::backend {

// Adds to `report` what became of each node that is gone. An Error when the rules are not where the
// library lies, or are wrong.
Status fuse(Model& model, std::vector<BuiltNode>& report);

// The operators at which rules of rules/lower begin; for docs/operators.md.
Result<std::vector<OpName>> fused_operators();

}  // namespace rulec::backend
