// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rulec {

// The instruction sets that fast kernels are compiled for. Larger contains smaller.
enum class Isa : std::uint8_t {
  Portable = 0,  // the compiler's baseline (SSE2 on x86-64)
  Avx2 = 1,      // with FMA
  Avx512 = 2,    // F, DQ, BW, VL
};

std::string_view name(Isa isa);  // "portable", "avx2", "avx512"
std::optional<Isa> isa_of(std::string_view name);

// The best one that this CPU and operating system run. Asked once.
Isa detected_isa();

// Products of 8- and 16-bit integers summed by one instruction (AVX-512 VNNI).
bool has_vnni();

// "AMD EPYC, avx2 fma f16c": for `rulec version` and reports.
std::string cpu_description();

// Cores this process may use (its affinity mask).
int usable_cores();

}  // namespace rulec
