// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

namespace rulec {

// How many letters must be put in, taken out, changed or swapped with their neighbour to get from
// `a` to `b` (Damerau and Levenshtein, each stretch edited once). Case counts as half a change:
// rounded down, `relu` is Relu. For "did you mean".
std::size_t spelling_distance(std::string_view a, std::string_view b);

}  // namespace rulec
