// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "compiler/backend/lowered.h"
#include "compiler/backend/open_size.h"
#include "runtime/engine_writer.h"

namespace rulec::backend {

// The bytes of the engine file for programs whose memory is planned.
// With `open`, its numbers that depend on an open dimension are told as well.
std::string emit_engine(const Lowered& lowered, EngineInfo info, const OpenSize* open = nullptr);

}  // namespace rulec::backend
