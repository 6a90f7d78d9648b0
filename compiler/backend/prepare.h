// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "compiler/backend/build.h"
#include "matcher/graph.h"
#include "runtime/result.h"

namespace rulec::backend {

// Gets a model ready to be lowered, in place: dimensions given by the options are set, types
// inferred, constants folded (which may make more types known, so both are repeated), the rules of
// rules/lower applied, nodes nobody needs removed. Warnings, and what became of nodes that are
// gone, are added to `built`.
Status prepare(Model& model, const BuildOptions& options, BuiltEngine& built);

}  // namespace rulec::backend
