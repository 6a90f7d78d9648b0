// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "compiler/backend/build.h"
#include "compiler/backend/lowered.h"
#include "matcher/graph.h"
#include "runtime/result.h"

namespace rulec::backend {

// A prepared model as linear programs: each node of the main graph becomes an operation of a fast
// kernel where one fits (with what can be fused into it), else a generic one. `any_batch`: no
// choice may depend on the size of the batch.
Result<Lowered> lower(const Model& model, bool fast_kernels, Optimize optimize,
                      bool any_batch = false);

// Operators that a fast kernel may take, where shapes are known; for docs/operators.md.
struct FastOperator {
  std::string domain, type;
  std::string_view elements;  // "f32", "any of 8, 16, 32 or 64 bits"
};
std::vector<FastOperator> fast_operators();

}  // namespace rulec::backend
