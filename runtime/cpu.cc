// SPDX-License-Identifier: Apache-2.0
#include "runtime/cpu.h"

#include <cstring>

#include <sched.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace rulec {

std::string_view name(Isa isa) {
  switch (isa) {
    case Isa::Portable:
      return "portable";
    case Isa::Avx2:
      return "avx2";
    case Isa::Avx512:
      return "avx512";
  }
  return "?";
}

std::optional<Isa> isa_of(std::string_view text) {
  for (Isa isa : {Isa::Portable, Isa::Avx2, Isa::Avx512}) {
    if (name(isa) == text) return isa;
  }
  return std::nullopt;
}

static Isa detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();  // also asks XGETBV whether the system saves the wide registers
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl");
  return avx512 ? Isa::Avx512 : avx2 ? Isa::Avx2 : Isa::Portable;
#else
  return Isa::Portable;
#endif
}

Isa detected_isa() {
  static const Isa isa = detect();
  return isa;
}

bool has_vnni() {
#if defined(__x86_64__)
  return detected_isa() == Isa::Avx512 && __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

std::string cpu_description() {
  std::string text;
#if defined(__x86_64__)
  unsigned words[12] = {};
  for (unsigned i = 0; i < 3; ++i) {
    __get_cpuid(0x80000002 + i, &words[i * 4], &words[i * 4 + 1], &words[i * 4 + 2],
                &words[i * 4 + 3]);
  }
  char brand[49] = {};
  std::memcpy(brand, words, 48);
  text = brand;
  while (!text.empty() && text.back() == ' ')
    text.pop_back();
  if (__builtin_cpu_supports("avx2")) text += ", avx2";
  if (__builtin_cpu_supports("fma")) text += " fma";
  if (__builtin_cpu_supports("avx512f")) text += " avx512f";
  if (__builtin_cpu_supports("avx512bw")) text += " avx512bw";
  if (has_vnni()) text += " avx512vnni";
#endif
  return text;
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  const int count = CPU_COUNT(&set);
  return count > 0 ? count : 1;
}

}  // namespace rulec
