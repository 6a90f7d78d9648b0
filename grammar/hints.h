// SPDX-License-Identifier: Apache-2.0
#pragma once

// What to add to a syntax error where the text looks like a habit from elsewhere: `=>` for `->`,
// `&&` for `and`, an operator in lower case. Private to grammar/. Guesses by what stands around the
// error; what the grammar wanted there is messages.h.
//
//   hint("expected `->`", text, at)  // "; the arrow is `->`", or nothing

#include <cstddef>
#include <string>
#include <string_view>

namespace rulec {

// `at` is the end of the last good token.
std::string hint(std::string_view message, std::string_view text, std::size_t at);

}  // namespace rulec
