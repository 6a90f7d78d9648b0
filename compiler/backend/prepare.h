// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "compiler/backend/build.h"
#include "matcher/graph.h"
#include "runtime/result.h"

namespace rulec::backend {

// Gets a model ready to be lowered, in place: dimensions given by the options are set, types
// inferred, constants folded (which may make more types known, so both are repeated), batch
// normalisations folded, nodes nobody needs removed.
Status prepare(Model& model, const BuildOptions& options, std::vector<std::string>& warnings);

// Removes nodes of `graph` and its bodies whose results nobody reads. Gives their number.
std::size_t remove_dead_nodes(Model& model);

}  // namespace rulec::backend
