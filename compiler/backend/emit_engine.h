// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "compiler/backend/lowered.h"
#include "runtime/engine_writer.h"

namespace rulec::backend {

// The bytes of the engine file for programs whose memory is planned.
std::string emit_engine(const Lowered& lowered, EngineInfo info);

}  // namespace rulec::backend
