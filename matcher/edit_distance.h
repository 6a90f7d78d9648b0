// SPDX-License-Identifier: Apache-2.0
#pragma once

// "Did you mean": the nearest of some names. Not a spell checker; a name that is far from all
// candidates has no nearest one.
//
//   nearest_name("BatchNormalisation", {"BatchNormalization", "Conv"})  →  "BatchNormalization"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace rulec {

// Damerau-Levenshtein (restricted): insertions, deletions, substitutions and swaps of neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The nearest candidate, the first of equals; "" if every one is farther than a third of the
// name's length (at least one edit is always granted). Case counts less than spelling.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

}  // namespace rulec
