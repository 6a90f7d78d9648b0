// SPDX-License-Identifier: Apache-2.0
// Fresh names. The set of names in use keeps hashes only, entered while the names are at hand: to
// go over those of a large model later costs more. Names once used stay taken, so that a name never
// changes its meaning during a rewrite.
#include <bit>
#include <cstring>

#include "matcher/graph.h"

namespace rulec {

// Eight bytes a step: a large model has half a million names. Of the hash only collisions could be
// seen in a file, as a name that is avoided without need.
static std::uint32_t hash_of(std::string_view text) {
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

void Model::NameSet::reserve(std::size_t names) {
  const std::size_t wanted = std::bit_ceil(std::max<std::size_t>(64, 2 * names));
  if (slots.size() >= wanted) return;
  const std::vector<std::uint32_t> old = std::exchange(slots, std::vector<std::uint32_t>(wanted));
  count = 0;
  for (const std::uint32_t kept : old) {
    if (kept != 0) insert(kept);
  }
}

bool Model::NameSet::insert(std::uint32_t hash) {
  if (slots.size() < 2 * (count + 1)) reserve(count + 1);
  const std::size_t mask = slots.size() - 1;
  std::size_t at = hash & mask;
  while (slots[at] != 0) {
    if (slots[at] == hash) return false;
    at = (at + 1) & mask;
  }
  slots[at] = hash;
  ++count;
  return true;
}

void Model::note_name(NameSet& names, std::string_view name) {
  if (!name.empty()) names.insert(hash_of(name));
}

std::string Model::fresh_name(NameSet& names, std::string_view hint) {
  std::string name(hint.empty() ? "value" : hint);
  if (names.insert(hash_of(name))) return name;
  const std::size_t length = name.size();
  std::uint64_t& counter = names.counters[name];
  do {
    name.resize(length);
    name += fmt::format("_{}", ++counter);
  } while (!names.insert(hash_of(name)));
  return name;
}

std::string Model::fresh_value_name(std::string_view hint) {
  return fresh_name(value_names_, hint);
}

std::string Model::fresh_node_name(std::string_view hint) {
  return fresh_name(node_names_, hint);
}

}  // namespace rulec
