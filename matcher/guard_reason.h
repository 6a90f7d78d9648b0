// SPDX-License-Identifier: Apache-2.0
#pragma once

// Why a guard did not hold, in words for explain and reports: what its comparison came to, and for
// what is unknown where shape inference stopped. Computed only for misses that are told.
//
//   `2 = 7` is false (x = b f32[2,3])

#include <span>
#include <string>

#include "matcher/guard.h"

namespace rulec {

// `slots` are the names that the guard speaks of; `why` is what truth() said of the unknown.
std::string guard_reason(const Scope& scope, ExprId guard, Truth held, const std::string& why,
                         std::span<const std::uint32_t> slots);

// On the way to a value of which the type is not fully known: the node whose operands are known and
// whose result is not, or the input of the model that says too little. Empty where all is known.
std::string inference_stop(const Model& model, ValueId value);

}  // namespace rulec
