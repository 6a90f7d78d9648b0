// SPDX-License-Identifier: Apache-2.0
#pragma once

// Semantic versions ("1.2.0") and ranges of them (">= 1.2, < 2", "^1.2", "= 1.2.0"). A bare version
// is that version. Numbers only: no pre-releases.

#include <string>
#include <string_view>
#include <vector>

#include "runtime/result.h"

namespace rulec {

using Version = std::vector<int>;

Result<Version> parse_version(std::string_view text);
std::string to_string(const Version& version);

struct VersionRange {
  struct Bound {
    std::string relation;  // ">=", "<", "=", …
    Version version;
  };
  std::vector<Bound> bounds;  // all must hold; none: every version
  std::string text;           // as it was written

  bool holds(const Version& version) const;
};
Result<VersionRange> parse_range(std::string_view text);

}  // namespace rulec
