// SPDX-License-Identifier: Apache-2.0
// The canonical layout. That printing keeps the tree is checked on every golden file of parse/.
#include "grammar/ast_printer.h"

#include <fstream>
#include <iterator>
#include <random>

#include <gtest/gtest.h>

#include "grammar/parse.h"

namespace rulec {
namespace {

std::string format(const std::string& text) {
  Source source("input", text);
  Diagnostics diagnostics;
  auto file = parse(source, diagnostics);
  EXPECT_TRUE(file) << render(source, diagnostics) << text;
  return file ? print(*file) : "";
}

// Printing `text` gives `layout`, and printing that gives it again.
void expect_layout(const std::string& text, const std::string& layout) {
  EXPECT_EQ(format(text), layout);
  EXPECT_EQ(format(layout), layout);
}

TEST(Print, ShortRulesStandOnOneLine) {
  expect_layout("rule  a\n exact :Relu( Relu(x) )->Relu(x)\n where rank(x)=4,a  expect 1",
                "rule a exact: Relu(Relu(x)) -> Relu(x)  where rank(x) = 4, a  expect 1\n");
  expect_layout("A(x) → x", "A(x) → x\n");
}

TEST(Print, LongRulesBreakAtTheArrowAndClauses) {
  expect_layout(
      "rule conv_bn: BatchNormalization(Conv(x, const w, const? b){..a}, const s, const t){epsilon "
      "= e} "
      "-> Conv(x, w * k.reshape(-1, 1...), ((b else 0) - m) * k + t){..a} let k = s / sqrt(v + e)",
      "rule conv_bn:\n"
      "  BatchNormalization(Conv(x, const w, const? b){..a}, const s, const t){epsilon = e}\n"
      "  -> Conv(x, w * k.reshape(-1, 1...), ((b else 0) - m) * k + t){..a}\n"
      "  let k = s / sqrt(v + e)\n");
}

TEST(Print, CommentsAndSingleBlankLinesSurvive) {
  expect_layout(
      "# top\n\n\n\npackage a 1.0 # name\n## doc\nA(x)->x # one\n\n\n# two\nB(x)->x\n# end",
      "# top\n\npackage a 1.0  # name\n## doc\nA(x) -> x  # one\n\n# two\nB(x) -> x\n# end\n");
  expect_layout("edit { # open\n\n  opset = 17 # why\n  # inner\n\n\n  dim N = 1\n  # last\n}",
                "edit {  # open\n\n  opset = 17  # why\n  # inner\n\n  dim N = 1\n  # last\n}\n");
}

TEST(Print, CommentsWithinExpressions) {
  expect_layout("A(x, # first\n y) -> f(x, # why\n  # own\n  y # end\n)",
                "A(\n"
                "  x,  # first\n"
                "  y\n"
                ")\n"
                "  -> f(\n"
                "    x,  # why\n"
                "    # own\n"
                "    y  # end\n"
                "  )\n");
}

TEST(Print, OneLineForMessages) {
  Source source("input", "A(x) -> f(" + std::string(80, 'a') + ", \"two  spaces\", g(" +
                             std::string(80, 'b') + "))");
  Diagnostics diagnostics;
  auto file = parse(source, diagnostics);
  ASSERT_TRUE(file);
  const auto& rule = std::get<ast::Rule>(file->items[0]);
  EXPECT_EQ(print(std::get<ast::Expr>(rule.replacement.value)), source.text().substr(8));
  EXPECT_EQ(print(std::get<ast::Pattern>(rule.root->value)), "A(x)");
}

// The words of a text without spaces, comments apart.
std::pair<std::string, std::multiset<std::string>> words_of(const std::string& text) {
  std::string words;
  std::multiset<std::string> comments;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '#') {
      auto end = std::min(text.find('\n', i), text.size());
      auto comment = text.substr(i, end - i);
      comment.erase(comment.find_last_not_of(" \t\r") + 1);
      comments.insert(comment);
      i = end;
    } else if (text[i] == '"') {
      auto begin = i++;
      while (text[i] != '"')
        i += text[i] == '\\' ? 2 : 1;
      words += text.substr(begin, i + 1 - begin);
    } else if (!std::isspace(static_cast<unsigned char>(text[i]))) {
      words += text[i];
    }
  }
  return {words, comments};
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

// Comments thrown in where spaces are: no word and no comment is lost, and the layout is final.
TEST(Print, KeepsEveryWordAndComment) {
  std::mt19937 random(20261121);
  auto original = read(RULEC_GOLDEN_DIR "/parse/every_production.rules");
  // The printer spells this one out.
  for (auto at = original.find("\\u{"); at != original.npos; at = original.find("\\u{"))
    original.replace(at, original.find('}', at) + 1 - at, "u");
  for (int round = 0; round < 60; ++round) {
    std::string text;
    bool quoted = false, comment = false, path = false;
    for (std::size_t i = 0; i < original.size(); ++i) {
      char c = original[i];
      if (c == '#' && !quoted) comment = true;
      if (c == '"' && !comment) quoted = !quoted || original[i - 1] == '\\';
      if (c == '\n') comment = path = false;
      if (c == '.' && (original[i + 1] == '/' || original[i + 1] == '.')) path = true;
      text += c;
      if (round == 0 || quoted || comment || path || (c != ' ' && c != '\n')) continue;
      if (random() % 40 == 0) text += fmt::format("# c{}\n", i);
      if (random() % 40 == 0) text += fmt::format("\n  # o{}\n", i);
      if (random() % 60 == 0) text += "\n\n\n";
    }
    auto once = format(text);
    if (HasFailure()) return;
    EXPECT_EQ(words_of(once), words_of(text));
    EXPECT_EQ(format(once), once) << "round " << round << ": not final";
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace rulec
