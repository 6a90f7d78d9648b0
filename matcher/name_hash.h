// SPDX-License-Identifier: Apache-2.0
#pragma once

// A hash of names of values and nodes, of which a large model has half a million: eight bytes a
// step. Never 0, so that tables may mark free places by it. Not for files: it depends on the order
// of a number's bytes.

#include <cstdint>
#include <cstring>
#include <string_view>

namespace rulec {

inline std::uint32_t name_hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ text.size();
  const auto mix = [&hash](std::uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 32;
  };
  while (text.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), 8);
    mix(word);
    text.remove_prefix(8);
  }
  std::uint64_t rest = 0;
  if (!text.empty()) std::memcpy(&rest, text.data(), text.size());
  mix(rest);
  hash *= 0x9e3779b97f4a7c15ULL;
  const auto high = static_cast<std::uint32_t>(hash >> 32);
  return high == 0 ? 1 : high;
}

}  // namespace rulec
