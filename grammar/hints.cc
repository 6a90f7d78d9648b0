// SPDX-License-Identifier: Apache-2.0
#include "grammar/hints.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "grammar/peg.h"

namespace rulec {
namespace {

// What stands before and behind the error.
struct Around {
  std::string_view before, ahead;
  bool space = false;  // between them

  bool next(std::string_view begin) const { return ahead.starts_with(begin); }
  char letter() const { return ahead.empty() ? '\0' : ahead[0]; }
  std::string_view word() const {
    return ahead.substr(
        0, static_cast<std::size_t>(
               std::find_if_not(ahead.begin(), ahead.end(), peg::is_word_char) - ahead.begin()));
  }
  // A bracket that a space keeps from the name before it.
  bool stands_apart() const {
    if (!space || before.empty()) return false;
    if (next("(")) return peg::is_word_char(before.back());
    return (next("[") || next("{")) && (peg::is_word_char(before.back()) || before.back() == ')');
  }
  std::string_view last_word() const {
    std::size_t begin = before.size();
    while (begin > 0 && peg::is_word_char(before[begin - 1]))
      --begin;
    return before.substr(begin);
  }
};

}  // namespace

static bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}

static constexpr std::array<std::string_view, 9> clauses = {
    "where", "let", "expect", "priority", "tolerance", "limit", "recursive", "retype", "requires"};

static bool is_clause(std::string_view word) {
  return std::find(clauses.begin(), clauses.end(), word) != clauses.end();
}

static std::optional<std::string_view> habit(const Around& at) {
  if (at.next("=>")) return "the arrow is `->`";
  if (at.next("&&")) return "conditions are joined by `and`";
  if (at.next("||")) return "conditions are joined by `or`";
  if (at.next("//") || at.next("/*") || (at.next("/") && at.before.ends_with('/')))
    return "comments begin with `#`";
  if (at.next("'")) return "strings stand in double quotes";
  if (at.next(";")) return "nothing stands between statements or items";
  return std::nullopt;
}

static std::optional<std::string_view> of_root(const Around& at) {
  const std::string_view word = at.word();
  if (word == "match") return "`match` stands in braces: `rule name { match { … } emit … }`";
  if (at.letter() == '(' && at.ahead.find(") =") < at.ahead.find('\n'))
    return "a node with several results stands in `match`: `{ match { (a, b) = Split(x) } … }`";
  if (word.empty() || !is_lower(word[0])) return std::nullopt;
  const std::string_view behind = at.ahead.substr(word.size());
  if (behind.starts_with("(") || behind.starts_with("{")) return "operators begin with a capital";
  if (behind.starts_with(".")) return "an operator of another domain is written `domain::Op`";
  return "a pattern is written with operators, as in `Mul(x, 1)`";
}

static std::optional<std::string_view> of_arguments(const Around& at) {
  if (at.next("=")) return "attributes stand in braces behind the operands: `{name = value}`";
  if (at.next("*") || (at.next("..") && !at.next("...")))
    return "`xs...` binds any number of operands";
  if (at.next("?")) return "`_` is any value";
  if (at.next("(")) return "a shape stands in brackets, as in `f32[N, C]`";
  return std::nullopt;
}

static std::optional<std::string_view> of_class(const Around& at) {
  const std::string_view word = at.word();
  if (word == "approx") return "`approx` wants its tolerance, as in `approx(1e-2)`";
  if (word == "unsafe" || word == "assuming")
    return "this class wants its reason, as in `unsafe(\"why\")`";
  if (at.letter() == '-') return "a name has letters, digits and `_`";
  if (is_clause(word)) return "clauses stand behind the replacement";
  if (!word.empty() && is_lower(word[0]))
    return "the classes are `exact`, `assuming(…)`, `approx(…)` and `unsafe(…)`";
  return std::nullopt;
}

static std::optional<std::string_view> of_item(const Around& at) {
  if (at.word() == "if") return "conditions follow `where`";
  const auto clause_behind = [&] {
    const std::size_t begin = at.ahead.find_first_not_of(", ");
    return begin != at.ahead.npos && is_clause(Around{{}, at.ahead.substr(begin)}.word());
  };
  const std::string_view last = at.last_word();
  std::string_view before = at.before.substr(0, at.before.size() - last.size());
  while (before.ends_with(' '))
    before.remove_suffix(1);
  if ((at.next(",") && clause_behind()) || (is_clause(last) && before.ends_with(',')))
    return "clauses follow one another without a comma";
  if (at.next("=") && !at.next("=="))
    return "several statements stand in a block: `{ t = …  y = … }`";
  if (at.stands_apart()) return "what belongs to a name stands against it, without a space";
  // `Abs (x)` was taken for two things, and the second one for the next rule's pattern.
  const std::size_t open = at.before.ends_with(')') ? at.before.rfind('(') : at.before.npos;
  if (open != at.before.npos && open > 1 && at.before[open - 1] == ' ' &&
      peg::is_word_char(at.before[open - 2]))
    return "what belongs to a name stands against it, without a space";
  return std::nullopt;
}

// One letter more, less, another, or two that changed places.
static bool is_nearly(std::string_view written, std::string_view meant) {
  const auto [a, b] = std::mismatch(written.begin(), written.end(), meant.begin(), meant.end());
  const std::string_view rest(a, written.end()), other(b, meant.end());
  if (rest.empty() || other.empty()) return rest.size() + other.size() <= 1;
  if (rest.substr(1) == other.substr(1) || rest.substr(1) == other || rest == other.substr(1))
    return true;
  return rest.size() > 1 && other.size() > 1 && rest[0] == other[1] && rest[1] == other[0] &&
         rest.substr(2) == other.substr(2);
}

static std::string misspelt_clause(const Around& at) {
  for (const std::string_view clause : clauses) {
    if (is_nearly(at.word(), clause)) return fmt::format("did you mean `{}`?", clause);
  }
  return "";
}

static std::optional<std::string_view> guess(std::string_view message, const Around& at) {
  const auto says = [&](std::string_view begin) { return message.starts_with(begin); };
  if (says("expected a string")) return std::nullopt;
  if (const auto known = habit(at)) return known;
  if (says("expected a pattern: an operator")) return of_root(at);
  if (says("expected a pattern, `,` or `)`")) return of_arguments(at);
  if (says("expected `:` or `{` after the rule")) return of_class(at);
  if (says("expected a clause")) return of_item(at);
  if (says("expected `->`") && at.stands_apart())
    return "what belongs to a name stands against it, without a space";
  if (says("expected the rule's name") && at.ahead.find(':') != at.ahead.npos)
    return "it begins with a lower-case letter";
  if (says("expected `=` and the attribute's value") && at.next(":"))
    return "attributes are written `name = value`";
  if (says("expected `]`") && at.last_word().ends_with("body"))
    return "of a body a pattern says `body contains P` or `body is { … }`";
  if (says("expected `)`") && at.next(","))
    return "a list stands in brackets, several results in a block: `{ a = …  b = … }`";
  if (says("expected `)`") && at.next("?")) return "a choice within a choice stands in parentheses";
  if (says("expected `,` or `)` to close the arg") &&
      (at.last_word() == "const" || at.last_word() == "scalar"))
    return "`const` and `scalar` belong in the pattern";
  const std::size_t size = at.before.size();
  if (says("expected a value of the choice") && at.before.ends_with('?') && size > 1 &&
      peg::is_word_char(at.before[size - 2]))
    return "behind the arrow an optional name is written without `?`";
  if (says("expected a package's name") && at.next("\"")) return "a path is written without quotes";
  if (says("expected a port") && at.next("?")) return "an optional port is written `name? : type`";
  if (says("expected `before`") && at.next(":")) return "the words of a test stand without a colon";
  if (says("expected a value") && at.next("/")) return "a glob is a string in double quotes";
  if (says("expected a value") && at.next("=") &&
      (at.before.ends_with("<") || at.before.ends_with(">")))
    return "`<=` and `>=` are written without a space";
  return std::nullopt;
}

std::string hint(std::string_view message, std::string_view text, std::size_t at) {
  at = std::min(at, text.size());
  Around around{text.substr(0, at), text.substr(at)};
  while (!around.ahead.empty() && peg::is_space(around.ahead[0])) {
    around.ahead.remove_prefix(1);
    around.space = true;
  }
  while (!around.before.empty() && peg::is_space(around.before.back())) {
    around.before.remove_suffix(1);
    around.space = true;
  }
  if (message.starts_with("expected a clause")) {
    if (const std::string near = misspelt_clause(around); !near.empty()) return "; " + near;
  }
  const auto found = guess(message, around);
  return found ? "; " + std::string(*found) : std::string();
}

}  // namespace rulec
