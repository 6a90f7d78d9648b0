// SPDX-License-Identifier: Apache-2.0
#include "grammar/diagnostic.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace rulec {
namespace {

TEST(Diagnostic, RendersExcerptNoteAndSuggestion) {
  Source source("fuse.rules", "rule a: Rellu(x) -> y\n");
  Diagnostics diagnostics;
  diagnostics.error(DiagnosticKind::SyntaxError, {8, 13}, "`{}` is not an operator", "Rellu")
      .suggest("Relu")
      .note({5, 6}, "in this rule");
  EXPECT_EQ(
      render(source, diagnostics),
      "fuse.rules:1:9: error: `Rellu` is not an operator; did you mean `Relu`? [syntax-error]\n"
      "  rule a: Rellu(x) -> y\n"
      "          ^~~~~\n"
      "fuse.rules:1:6: note: in this rule\n"
      "  rule a: Rellu(x) -> y\n"
      "       ^\n");
}

TEST(Diagnostic, CaretStandsBelowItsPlace) {
  Source source("a.rules", "\té→ x");
  Diagnostics diagnostics;
  diagnostics.warning(DiagnosticKind::SyntaxError, {7, 8}, "here");
  EXPECT_EQ(render(source, diagnostics),
            "a.rules:1:5: warning: here [syntax-error]\n  \té→ x\n  \t   ^\n");
}

TEST(Diagnostic, SpansMayPassTheEndOfLineAndText) {
  Source source("a.rules", "ab\ncd");
  Diagnostics diagnostics;
  diagnostics.error(DiagnosticKind::SyntaxError, {1, 5}, "two lines");
  diagnostics.error(DiagnosticKind::SyntaxError, {5, 6}, "the end");
  EXPECT_EQ(render(source, diagnostics),
            "a.rules:1:2: error: two lines [syntax-error]\n  ab\n   ^\n"
            "a.rules:2:3: error: the end [syntax-error]\n  cd\n    ^\n");
}

TEST(Diagnostic, LongLinesAreShownAroundThePlace) {
  const std::string ten = "é123456789";
  std::string line;
  for (int i = 0; i < 40; ++i)
    line += ten;
  Source source("a.rules", line);
  Diagnostics diagnostics;
  diagnostics.error(DiagnosticKind::SyntaxError, {220, 222}, "middle");  // character 200
  diagnostics.error(DiagnosticKind::SyntaxError, {0, 440}, "all of it");
  const std::string text = render(source, diagnostics);
  std::string seven, fourteen;
  for (int i = 0; i < 14; ++i)
    (i < 7 ? seven : fourteen) += ten;
  EXPECT_EQ(text, "a.rules:1:201: error: middle [syntax-error]\n  … " + seven + fourteen +
                      " …\n    " + std::string(70, ' ') + "^\n" +
                      "a.rules:1:1: error: all of it [syntax-error]\n  " + seven + fourteen +
                      " …\n  ^" + std::string(139, '~') + "\n");
}

TEST(Diagnostics, WarningsAreNoErrors) {
  Diagnostics diagnostics;
  diagnostics.warning(DiagnosticKind::SyntaxError, {0, 1}, "w");
  EXPECT_FALSE(diagnostics.has_errors());
  diagnostics.error(DiagnosticKind::SyntaxError, {0, 1}, "e");
  EXPECT_TRUE(diagnostics.has_errors());
  EXPECT_EQ(diagnostics.error_count(), 1);
}

TEST(Diagnostics, SortsByFileAndPlace) {
  Source other("other.rules", "abc");
  Diagnostics diagnostics;
  diagnostics.error(DiagnosticKind::SyntaxError, {0, 1}, "third").in(other);
  diagnostics.error(DiagnosticKind::SyntaxError, {5, 6}, "second");
  diagnostics.error(DiagnosticKind::SyntaxError, {2, 3}, "first");
  diagnostics.error(DiagnosticKind::SyntaxError, {2, 3}, "first still");
  diagnostics.sort();
  std::string order;
  for (const auto& each : diagnostics.all())
    order += each.message + ", ";
  EXPECT_EQ(order, "first, first still, second, third, ");
}

TEST(Diagnostics, Json) {
  Source source("a.rules", "Rellu(x)\nb\xff");
  Source other("b.rules", "one\ntwo");
  Diagnostics diagnostics;
  diagnostics.error(DiagnosticKind::SyntaxError, {0, 5}, "no \xff operator")
      .suggest("Relu")
      .note(other, {4, 7}, "declared here");
  auto json = nlohmann::json::parse(render_json(source, diagnostics))["diagnostics"];
  ASSERT_EQ(json.size(), 1u);
  EXPECT_EQ(json[0]["file"], "a.rules");
  EXPECT_EQ(json[0]["line"], 1);
  EXPECT_EQ(json[0]["column"], 1);
  EXPECT_EQ(json[0]["end_column"], 6);
  EXPECT_EQ(json[0]["severity"], "error");
  EXPECT_EQ(json[0]["kind"], "syntax-error");
  EXPECT_EQ(json[0]["message"], "no \uFFFD operator");
  EXPECT_EQ(json[0]["suggestion"], "Relu");
  EXPECT_EQ(json[0]["notes"][0]["file"], "b.rules");
  EXPECT_EQ(json[0]["notes"][0]["line"], 2);
  EXPECT_EQ(json[0]["notes"][0]["message"], "declared here");
  EXPECT_EQ(nlohmann::json::parse(render_json(source, Diagnostics{}))["diagnostics"].size(), 0u);
}

TEST(Diagnostics, Sarif) {
  Source source("my rules/a.rules", "Rellu(x)\n");
  Diagnostics diagnostics;
  diagnostics.warning(DiagnosticKind::SyntaxError, {0, 5}, "odd").suggest("Relu").note({6, 7}, "x");
  auto json = nlohmann::json::parse(render_sarif(source, diagnostics));
  EXPECT_EQ(json["version"], "2.1.0");
  const auto& run = json["runs"][0];
  EXPECT_EQ(run["tool"]["driver"]["rules"][0]["id"], "syntax-error");
  const auto& result = run["results"][0];
  EXPECT_EQ(result["ruleId"], "syntax-error");
  EXPECT_EQ(result["level"], "warning");
  EXPECT_EQ(result["message"]["text"], "odd; did you mean `Relu`?");
  const auto& place = result["locations"][0]["physicalLocation"];
  EXPECT_EQ(place["artifactLocation"]["uri"], "my%20rules/a.rules");
  EXPECT_EQ(place["region"]["startLine"], 1);
  EXPECT_EQ(place["region"]["endColumn"], 6);
  EXPECT_EQ(result["relatedLocations"][0]["message"]["text"], "x");
}

}  // namespace
}  // namespace rulec
