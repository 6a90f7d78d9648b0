// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "matcher/graph.h"
#include "runtime/result.h"

namespace rulec::backend {

// Puts the bodies of model-local functions where they are called, however deep. An Error for a
// function that calls itself, and for one whose opsets give an operator another meaning than the
// model's.
Status inline_functions(Model& model);

}  // namespace rulec::backend
