// SPDX-License-Identifier: Apache-2.0
#pragma once

// Syntax tree to text: `rulec fmt`'s canonical layout, and a dump for tests. Neither needs the text
// the tree came from.
//
//   print(file)  →  "rule r exact: Relu(Relu(x)) -> Relu(x)\n"
//   dump(file)   →  "(rule r exact (-> (Relu (Relu x)) Relu(x)))\n"

#include <string>

#include "grammar/ast.h"

namespace rulec {

// Canonical text. It parses to the same tree, and printing that gives the same text; comments and
// single blank lines survive; lines end at 100 columns where they can.
std::string print(const ast::File& file);

// An expression or a pattern on one line, for messages and reports.
std::string print(const ast::Expr& expr);
std::string print(const ast::Pattern& pattern);

// One S-expression a line per item: what the parser understood, without places.
std::string dump(const ast::File& file);

}  // namespace rulec
