// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a rule text declares and which words it uses, found by passing over it once: no syntax tree,
// no diagnostics. Tells whether a text is worth parsing. Every declaration that `parse` would find
// is in it; text that is no declaration may be too, where it looks like one (`x = edit  y = …`).
// The views are of the text.
//
//   Outline o = outline("package std 1.0.0\npredicate is_one(x) = x = 1");
//   o.package                // "std"
//   o.predicates             // {"is_one"}
//   o.declares_call("is_one")  // true

#include <set>
#include <string_view>
#include <vector>

namespace rulec {

struct Outline {
  std::string_view package;
  bool operators = false;  // has `op` declarations
  // Each sorted, each name once.
  std::vector<std::string_view> predicates, templates, rules, edits, pipelines;

  // What may be called: a predicate or a template.
  bool declares_call(std::string_view name) const;
  // What a pipeline or a test may name: a rule, an edit or a pipeline.
  bool declares_member(std::string_view name) const;
};

Outline outline(std::string_view text);

// The words outside of comments and strings: `std.fold` is three, itself and its parts.
std::set<std::string_view> words_of(std::string_view text);

}  // namespace rulec
