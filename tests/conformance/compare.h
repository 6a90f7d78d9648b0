// SPDX-License-Identifier: Apache-2.0
#pragma once

// Whether a computed value is the expected one: kinds, element types and shapes alike, numbers
// within rtol 1e-3 (for bfloat16 two units in the last place) and atol 1e-5, NaN where NaN is
// expected, strings and integers the same.

#include "runtime/result.h"
#include "runtime/value.h"

namespace rulec::conformance {

// An Error says where the two differ first.
Status compare(const Value& actual, const Value& expected);

}  // namespace rulec::conformance
