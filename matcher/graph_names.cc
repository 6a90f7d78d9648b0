// SPDX-License-Identifier: Apache-2.0
// Fresh names. The set of names in use keeps hashes only, entered while the names are at hand: to
// go over those of a large model later costs more. Names once used stay taken, so that a name never
// changes its meaning during a rewrite.
#include <bit>

#include "matcher/graph.h"
#include "matcher/name_hash.h"

namespace rulec {

void Model::NameSet::reserve(std::size_t names) {
  const std::size_t wanted = std::bit_ceil(std::max<std::size_t>(64, 2 * names));
  if (slots.size() >= wanted) return;
  const auto old = std::exchange(slots, decltype(slots)(wanted));
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

void Model::NameSet::expect(std::string_view name) const {
  if (!slots.empty()) __builtin_prefetch(&slots[name_hash(name) & (slots.size() - 1)]);
}

void Model::expect(const NewNode& node) const {
  node_names_.expect(node.name);
  for (const std::string& output : node.output_names)
    value_names_.expect(output);
}

void Model::note_name(NameSet& names, std::string_view name) {
  if (!name.empty()) names.insert(name_hash(name));
}

std::string Model::fresh_name(NameSet& names, std::string_view hint) {
  std::string name(hint.empty() ? "value" : hint);
  if (names.insert(name_hash(name))) return name;
  const std::size_t length = name.size();
  std::uint64_t& counter = names.counters[name];
  do {
    name.resize(length);
    name += fmt::format("_{}", ++counter);
  } while (!names.insert(name_hash(name)));
  return name;
}

std::string Model::fresh_value_name(std::string_view hint) {
  return fresh_name(value_names_, hint);
}

std::string Model::fresh_node_name(std::string_view hint) {
  return fresh_name(node_names_, hint);
}

}  // namespace rulec
