// SPDX-License-Identifier: Apache-2.0
#pragma once

// Globs over names (docs/language.md §2): `*` is any text without `/`, `**` any text, `**/` also
// none; all else is itself. Linear in |glob| x |text|, whatever the stars.
//
//   glob_match("**/stage5/**", "net/stage5/relu")  // true

#include <string>
#include <string_view>
#include <vector>

namespace rulec {

// `stars`, when given, gets what each star of the glob matched (the shortest that fits, in order).
bool glob_match(std::string_view glob, std::string_view text,
                std::vector<std::string>* stars = nullptr);

}  // namespace rulec
