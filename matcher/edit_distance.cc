// SPDX-License-Identifier: Apache-2.0
#include "matcher/edit_distance.h"

#include <algorithm>
#include <vector>

namespace rulec {

static std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Three rows of the table: two back (for swaps), one back, and the one being filled.
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

std::string nearest_name(std::string_view name, std::span<const std::string> candidates) {
  std::size_t limit = std::max<std::size_t>(1, name.size() / 3);
  auto folded = lower(name);
  // Distance without case first, then with it.
  std::pair best{limit, name.size() + 1};
  std::string_view found;
  for (const auto& candidate : candidates) {
    std::size_t gap = candidate.size() > name.size() ? candidate.size() - name.size()
                                                     : name.size() - candidate.size();
    if (gap > limit || candidate == name) continue;
    std::pair distance{edit_distance(folded, lower(candidate)), edit_distance(name, candidate)};
    if (distance < best || (found.empty() && distance.first <= limit)) {
      best = distance;
      found = candidate;
    }
  }
  return std::string(found);
}

}  // namespace rulec
