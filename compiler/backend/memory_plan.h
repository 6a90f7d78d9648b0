// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "compiler/backend/lowered.h"

namespace rulec::backend {

// Gives every arena value of the main program its place: largest first, lowest free offset among
// the values that live at the same time; an elementwise result takes the place of an operand that
// dies in it. Sets Value::offset and bytes, and Lowered::arena_bytes.
void plan_memory(Lowered& lowered);

}  // namespace rulec::backend
