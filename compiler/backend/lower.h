// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "compiler/backend/build.h"
#include "compiler/backend/lowered.h"
#include "matcher/graph.h"
#include "runtime/result.h"

namespace rulec::backend {

// A prepared model as linear programs: each node of the main graph becomes an operation of a fast
// kernel where one fits (with what can be fused into it), else a generic one.
Result<Lowered> lower(const Model& model, bool fast_kernels, Optimize optimize);

}  // namespace rulec::backend
