// SPDX-License-Identifier: Apache-2.0
#include "grammar/outline.h"

#include <algorithm>

#include "grammar/peg_tokens.h"

namespace rulec {

// The end of what begins at `at` and holds no words: a comment, a string, a quoted operator.
static std::size_t behind_quoted(std::string_view text, std::size_t at) {
  if (text[at] == '#') return std::min(text.find('\n', at), text.size());
  const char quote = text[at++];
  for (; at < text.size() && text[at] != '\n' && text[at] != quote; ++at)
    if (quote == '"' && text[at] == '\\') ++at;
  return std::min(at + 1, text.size());
}

// Calls `use` with each word, dotted ones as wholes. Numbers are words too.
template <typename Use>
static void each_word(std::string_view text, Use use) {
  for (std::size_t at = 0; at < text.size();) {
    if (!peg::is_word_char(text[at])) {
      const bool quoted = text[at] == '#' || text[at] == '"' || text[at] == '`';
      at = quoted ? behind_quoted(text, at) : at + 1;
      continue;
    }
    const std::size_t begin = at;
    const auto ends = [&] {
      if (peg::is_word_char(text[at])) return false;
      return text[at] != '.' || at + 1 == text.size() || !peg::is_word_char(text[at + 1]);
    };
    while (at < text.size() && !ends())
      ++at;
    use(text.substr(begin, at - begin));
  }
}

static bool holds(const std::vector<std::string_view>& names, std::string_view name) {
  return std::binary_search(names.begin(), names.end(), name);
}

bool Outline::declares_call(std::string_view name) const {
  return holds(predicates, name) || holds(templates, name);
}

bool Outline::declares_member(std::string_view name) const {
  return holds(rules, name) || holds(edits, name) || holds(pipelines, name);
}

Outline outline(std::string_view text) {
  Outline out;
  std::string_view before;
  each_word(text, [&](std::string_view word) {
    // Nothing but spaces and comments stands between a keyword and the name it declares.
    const std::string_view gap =
        before.empty() ? text.substr(0, 0) : std::string_view(before.end(), word.begin());
    const auto* const first = std::find_if_not(gap.begin(), gap.end(), peg::is_space);
    if (first == gap.end() || *first == '#') {
      if (before == "package" && out.package.empty()) out.package = word;
      if (before == "predicate") out.predicates.push_back(word);
      if (before == "template") out.templates.push_back(word);
      if (before == "rule") out.rules.push_back(word);
      if (before == "edit") out.edits.push_back(word);
      if (before == "pipeline") out.pipelines.push_back(word);
      if (before == "op") out.operators = true;
    } else if (before == "op" && *first == '`') {  // an operator's name in quotes is no word
      out.operators = true;
    }
    before = word;
  });
  for (auto* names : {&out.predicates, &out.templates, &out.rules, &out.edits, &out.pipelines}) {
    std::sort(names->begin(), names->end());
    names->erase(std::unique(names->begin(), names->end()), names->end());
  }
  return out;
}

std::set<std::string_view> words_of(std::string_view text) {
  std::set<std::string_view> out;
  each_word(text, [&](std::string_view word) {
    out.insert(word);
    for (std::size_t dot; (dot = word.find('.')) != word.npos; word = word.substr(dot + 1))
      out.insert(word.substr(0, dot));
    out.insert(word);
  });
  return out;
}

}  // namespace rulec
