// SPDX-License-Identifier: Apache-2.0
#include "runtime/crc32.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace rulec {

static constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit)
      c = (c & 1) ? (c >> 1) ^ 0x82f63b78U : c >> 1;
    table[i] = c;
  }
  return table;
}

static std::uint32_t by_table(const std::byte* p, std::size_t n, std::uint32_t c) {
  static constexpr std::array<std::uint32_t, 256> table = make_table();
  for (; n > 0; --n, ++p)
    c = table[(c ^ std::to_integer<std::uint32_t>(*p)) & 0xff] ^ (c >> 8);
  return c;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static std::uint32_t by_instruction(const std::byte* p,
                                                                      std::size_t n,
                                                                      std::uint32_t c) {
  std::uint64_t wide = c;
  for (; n >= 8; n -= 8, p += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, p, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  return by_table(p, n, static_cast<std::uint32_t>(wide));
}
#endif

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return ~by_instruction(bytes.data(), bytes.size(), ~seed);
#endif
  return ~by_table(bytes.data(), bytes.size(), ~seed);
}

}  // namespace rulec
