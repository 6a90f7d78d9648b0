// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/cpu.h"

namespace rulec::command {

// Multiply-adds in f32 that this machine does now, in GFLOP/s, on so many threads at once: what a
// kernel's speed is compared with. Takes about a tenth of a second.
double measure_peak(Isa isa, int threads);

}  // namespace rulec::command
