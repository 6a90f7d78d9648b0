// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "compiler/backend/build.h"
#include "matcher/graph.h"
#include "runtime/result.h"

namespace rulec::backend {

// The first half of it: functions inlined, dimensions given by the options set, defaults built in,
// types inferred and constants folded. Dimensions that no option gives stay open.
Status settle_types(Model& model, const BuildOptions& options, BuiltEngine& built);

// Types of all values, those that the main graph declares of its outputs left aside.
void infer(Model& model, std::vector<std::string>& warnings);

// Shapes found before a dimension was given say less than what can be found now.
void forget_inferred_types(Model& model);

// Gets a model ready to be lowered, in place: dimensions given by the options are set, types
// inferred, constants folded (which may make more types known, so both are repeated), the rules of
// rules/lower applied, nodes nobody needs removed. Warnings, and what became of nodes that are
// gone, are added to `built`.
Status prepare(Model& model, const BuildOptions& options, BuiltEngine& built);

}  // namespace rulec::backend
