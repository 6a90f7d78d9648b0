// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace rulec {

// CRC-32C (Castagnoli) of `bytes`, continuing from `seed`: crc32c("123456789") == 0xe3069283.
// Uses the SSE 4.2 instruction where the CPU has it. Guards against damage, not against malice.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed = 0);

}  // namespace rulec
