// SPDX-License-Identifier: Apache-2.0
// What golden tests do not show: places, limits, time, the grammar's own soundness. The productions
// themselves are in tests/golden/parse.
#include "grammar/parse.h"

#include <chrono>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <tao/pegtl/contrib/analyze.hpp>

#include "grammar/ast_printer.h"
#include "grammar/messages.h"

namespace rulec {
namespace {

std::optional<ast::File> parse_text(std::string text, std::string* errors = nullptr) {
  Source source("input", std::move(text));
  Diagnostics diagnostics;
  auto file = parse(source, diagnostics);
  EXPECT_NE(file.has_value(), diagnostics.has_errors());
  if (errors) *errors = render(source, diagnostics);
  return file;
}

std::string errors_of(std::string text) {
  std::string errors;
  parse_text(std::move(text), &errors);
  return errors;
}

TEST(Grammar, MakesProgressOnEveryRule) {
  EXPECT_EQ(tao::pegtl::analyze<peg::file>(-1), 0u);
}

TEST(Parse, BlamesTheEndOfTheLastGoodToken) {
  EXPECT_EQ(errors_of("rule fold: Relu(x)  # why\n\n"),
            "input:1:19: error: expected `->` [syntax-error]\n"
            "  rule fold: Relu(x)  # why\n"
            "                    ^\n");
}

TEST(Parse, SpansCoverExactlyTheText) {
  std::string text =
      "rule a exact: n @ Add(x : f32[N], const w){axis = 1}[is output] -> f(x) + -1  expect 2\n";
  auto file = parse_text(text);
  ASSERT_TRUE(file);
  auto at = [&](Span span) { return text.substr(span.begin, span.end - span.begin); };
  const auto& rule = std::get<ast::Rule>(file->items[0]);
  EXPECT_EQ(at(rule.span), text.substr(0, text.size() - 1));
  EXPECT_EQ(at(rule.name->span), "a");
  EXPECT_EQ(at(rule.level->span), "exact");
  EXPECT_EQ(at(rule.root->span), "n @ Add(x : f32[N], const w){axis = 1}[is output]");
  const auto& pattern = std::get<ast::Pattern>(rule.root->value);
  const auto& node = std::get<ast::Node>(pattern.alternatives[0]);
  EXPECT_EQ(at(node.op.span), "Add");
  EXPECT_EQ(at(node.tail.span), "(x : f32[N], const w){axis = 1}[is output]");
  EXPECT_EQ(at((*node.tail.args)[0].span), "x : f32[N]");
  EXPECT_EQ(at((*node.tail.args)[1].span), "const w");
  EXPECT_EQ(at((*node.tail.attrs)[0].span), "axis = 1");
  EXPECT_EQ(at(node.tail.preds[0].span), "is output");
  EXPECT_EQ(at(rule.replacement.span), "f(x) + -1");
  const auto& sum = std::get<ast::Arithmetic>(std::get<ast::Expr>(rule.replacement.value).value);
  EXPECT_EQ(at(sum.first->span), "f(x)");
  EXPECT_EQ(at(sum.rest[0].operand.span), "-1");
  EXPECT_EQ(at(std::get<ast::Expect>(rule.clauses[0]).span), "expect 2");
}

TEST(Parse, KeepsDocAndComments) {
  auto file =
      parse_text("## not attached\n\n## One.\n##Two.\nrule a: A(x) -> x # t\n# o\nB(x) -> x\n");
  ASSERT_TRUE(file);
  EXPECT_EQ(std::get<ast::Rule>(file->items[0]).doc, "One.\nTwo.");
  EXPECT_EQ(std::get<ast::Rule>(file->items[1]).doc, "");
  ASSERT_EQ(file->comments.size(), 5u);
  EXPECT_TRUE(file->comments[1].doc);
  EXPECT_EQ(file->comments[3].text, "# t");
  EXPECT_FALSE(file->comments[3].own_line);
  EXPECT_TRUE(file->comments[4].own_line);
}

TEST(Parse, NumbersKeepTheirSpelling) {
  auto file = parse_text("A(1e3, 10, -0.50, inf, 1e999, 99999999999999999999) -> x");
  ASSERT_TRUE(file);
  const auto& pattern = std::get<ast::Pattern>(std::get<ast::Rule>(file->items[0]).root->value);
  const auto& args = *std::get<ast::Node>(pattern.alternatives[0]).tail.args;
  auto number = [&](std::size_t i) {
    return std::get<ast::Number>(std::get<ast::Literal>(args[i].alternatives[0]).value);
  };
  EXPECT_EQ(number(0).as_double(), 1000);
  EXPECT_FALSE(number(0).is_integer);
  EXPECT_EQ(number(1).as_int(), 10);
  EXPECT_EQ(number(2).text, "-0.50");
  EXPECT_EQ(number(2).as_double(), -0.5);
  EXPECT_TRUE(std::isinf(number(3).as_double()));
  EXPECT_TRUE(std::isinf(number(4).as_double()));
  EXPECT_TRUE(number(5).is_integer);
  EXPECT_EQ(number(5).as_int(), std::nullopt);
}

TEST(Parse, Strings) {
  auto file = parse_text(R"(A("a\"\\\n\t\u{e9}\u{1F600}é") -> x)");
  ASSERT_TRUE(file);
  const auto& pattern = std::get<ast::Pattern>(std::get<ast::Rule>(file->items[0]).root->value);
  const auto& args = *std::get<ast::Node>(pattern.alternatives[0]).tail.args;
  EXPECT_EQ(std::get<ast::String>(std::get<ast::Literal>(args[0].alternatives[0]).value).value,
            "a\"\\\n\té😀é");
}

TEST(Parse, EmptyFilesAreFine) {
  EXPECT_TRUE(parse_text(""));
  EXPECT_TRUE(parse_text("  # nothing"));
}

std::string repeat(std::string_view text, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i)
    out += text;
  return out;
}

TEST(Limits, FileList) {
  EXPECT_NE(errors_of(std::string(max_file_bytes + 1, ' ')).find("[file-limit]"),
            std::string::npos);
  EXPECT_TRUE(parse_text(std::string(max_file_bytes, ' ')));
  auto list = [](std::size_t n) { return "A(x) -> f(" + repeat("1,", n - 1) + "1)"; };
  EXPECT_TRUE(parse_text(list(max_list)));
  EXPECT_NE(errors_of(list(max_list + 1)).find("[list-limit]"), std::string::npos);
  EXPECT_NE(errors_of("A(x) -> x" + repeat("+x", max_list)).find("[list-limit]"),
            std::string::npos);
}

// Every way to nest, up to the limit and over it.
TEST(Limits, Nesting) {
  struct {
    std::string before, open, middle, close, after;
  } ways[] = {{"A(x) -> ", "(", "x", ")", ""},
              {"A(x) -> ", "[", "x", "]", ""},
              {"A(x) -> ", "f(", "x", ")", ""},
              {"A(x) -> ", "f(k = ", "x", ")", ""},
              {"A(x) -> ", "a[", "0", "]", ""},
              {"A(x) -> ", "a{k = ", "0", "}", ""},
              {"", "A(", "x", ")", " -> x"},
              {"", "(A)*(", "x", ")", " -> x"},
              {"", "A[body contains ", "B", "]", " -> x"},
              {"", "A[body is { y = ", "B", " }]", " -> x"},
              {"A(", "[", "1", "]", ") -> x"}};
  for (const auto& way : ways) {
    auto nested = [&](std::size_t n) {
      return way.before + repeat(way.open, n) + way.middle + repeat(way.close, n) + way.after;
    };
    auto fitting = static_cast<std::size_t>(max_nesting) - (way.after == ") -> x" ? 1 : 0);
    auto file = parse_text(nested(fitting));
    ASSERT_TRUE(file) << way.open;
    EXPECT_TRUE(parse_text(print(*file))) << way.open;
    EXPECT_NE(errors_of(nested(fitting + 1)).find("[nesting-limit]"), std::string::npos)
        << way.open;
    EXPECT_NE(errors_of(nested(100'000)).find("[nesting-limit]"), std::string::npos) << way.open;
    // Unclosed: an error that does not take exponential time.
    EXPECT_NE(errors_of(way.before + repeat(way.open, fitting)).find("error"), std::string::npos);
  }
}

TEST(Limits, ManyErrorsAreCutOff) {
  Source source("input", repeat("foo bar\n", 100'000));
  Diagnostics diagnostics;
  EXPECT_FALSE(parse(source, diagnostics));
  EXPECT_EQ(diagnostics.error_count(), 101);
}

TEST(Parse, IsLinear) {
  auto time = [](std::size_t n) {
    auto text = repeat(
        "rule a: Mul(Add(x, (Cast)*(y)), 0.5) -> f(x){a = [1, 2]}  where a[0:2] = (b + 1)\n", n);
    auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(parse_text(text));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  time(100);
  double small = time(2'000), large = time(20'000);
  EXPECT_LT(large, 40 * small + 0.5);
  EXPECT_LT(large, 30);
}

// The design pages lie beside the project; where they are absent there is nothing to check.
TEST(Parse, DesignPages) {
  std::ifstream examples(RULEC_SHARED_DIR "/design/examples.rules");
  std::ifstream page(RULEC_SHARED_DIR "/design/language.md");
  if (!examples || !page) {
    const char* ci = std::getenv("CI");
    if (ci && std::string_view(ci) == "true") FAIL() << RULEC_SHARED_DIR " is absent";
    GTEST_SKIP() << RULEC_SHARED_DIR " is absent";
  }
  EXPECT_EQ(errors_of({std::istreambuf_iterator<char>(examples), {}}), "");
  std::string text{std::istreambuf_iterator<char>(page), {}};
  text.resize(text.find("## 14. Grammar"));
  int blocks = 0;
  for (auto at = text.find("```\n"); at != text.npos; at = text.find("```\n", at)) {
    auto end = text.find("```", at + 4);
    auto block = text.substr(at + 4, end - at - 4);
    if (block.find("…") == block.npos) {
      EXPECT_EQ(errors_of(block), "");
      ++blocks;
    }
    at = end + 3;
  }
  EXPECT_GE(blocks, 5);
}

}  // namespace
}  // namespace rulec
