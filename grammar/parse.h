// SPDX-License-Identifier: Apache-2.0
#pragma once

// Text to syntax tree. Not the meaning: names are resolved in compiler/.
//
//   Source source("my.rules", "Relu(Relu(x)) -> Relu(x)");
//   Diagnostics diagnostics;
//   std::optional<ast::File> file = parse(source, diagnostics);

#include <optional>

#include "grammar/ast.h"
#include "grammar/diagnostic.h"
#include "grammar/source.h"

namespace rulec {

// Parses one .rules file. Goes on behind an error at the next item, so that one run reports many.
// Returns nothing only after reporting at least one error.
std::optional<ast::File> parse(const Source& source, Diagnostics& diagnostics);

// Limits of one file; beyond them is an error, not a crash.
inline constexpr std::size_t max_file_bytes = std::size_t{4} << 20;
inline constexpr int max_nesting = 200;
inline constexpr std::size_t max_list = 100'000;

}  // namespace rulec
