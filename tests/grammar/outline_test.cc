// SPDX-License-Identifier: Apache-2.0
#include "grammar/outline.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "grammar/parse.h"

namespace rulec {
namespace {

using Names = std::vector<std::string_view>;

TEST(Outline, HasWhatATextDeclares) {
  const Outline found = outline(
      "package std.more 1.2\n"
      "predicate is_one(x) = x = 1\n"
      "template Both(n : int = fit) for (x : f32) -> (y : f32) { y = Relu(x) }\n"
      "rule two exact: Relu(Relu(x)) -> Relu(x)\n"
      "  rule # of one\n one: Neg(x) -> Abs(x)\n"
      "edit cut { opset = 13 }\n"
      "pipeline all { two, one }\n");
  EXPECT_EQ(found.package, "std.more");
  EXPECT_EQ(found.predicates, Names{"is_one"});
  EXPECT_EQ(found.templates, Names{"Both"});
  EXPECT_EQ(found.rules, (Names{"one", "two"}));
  EXPECT_EQ(found.edits, Names{"cut"});
  EXPECT_EQ(found.pipelines, Names{"all"});
  EXPECT_FALSE(found.operators);
  EXPECT_TRUE(found.declares_call("Both"));
  EXPECT_TRUE(found.declares_call("is_one"));
  EXPECT_FALSE(found.declares_call("one"));
  EXPECT_TRUE(found.declares_member("cut"));
  EXPECT_FALSE(found.declares_member("is_one"));
}

TEST(Outline, WhatHasNoNameDeclaresNone) {
  const Outline found = outline("edit { opset = 13 }\npipeline { a, b }\nRelu(x) -> Neg(x)\n");
  EXPECT_EQ(found.package, "");
  EXPECT_TRUE(found.edits.empty());
  EXPECT_TRUE(found.pipelines.empty());
  EXPECT_TRUE(found.rules.empty());
}

TEST(Outline, CommentsAndStringsDeclareNothing) {
  const Outline found = outline(
      "# rule one: a \"string\ntest \"rule \\\" two\" { model \"# rule three\" }\n"
      "`rule four`(x) -> Neg(x)\nrule five: Relu(x) -> Neg(x)");
  EXPECT_EQ(found.rules, Names{"five"});
}

TEST(Outline, OperatorsAreSeen) {
  EXPECT_TRUE(outline("op my::Op(x : f32) -> (y : f32)").operators);
  EXPECT_TRUE(outline("op `my op`(x : f32) -> (y : f32)").operators);
  EXPECT_FALSE(outline("Relu(op) -> op").operators);
}

TEST(Outline, WordsAreThoseOfTheTextAndTheirParts) {
  const auto found = words_of("a = std.fold.x(\"no # word\", 1.5) # nor this\nxs... `q`");
  EXPECT_EQ(found, (std::set<std::string_view>{"a", "std", "fold", "x", "std.fold.x", "1", "5",
                                               "1.5", "xs"}));
}

TEST(Outline, EndsInTheMiddleOfAnything) {
  for (const std::string_view text : {"rule", "rule ", "\"", "\"\\", "`", "#", "a.", "rule #", "."})
    outline(text), words_of(text);
}

template <typename Item>
static std::string_view name_of(const Item& item) {
  if constexpr (requires { item.name->text; })
    return item.name ? std::string_view(item.name->text) : std::string_view();
  else
    return item.name.text;
}

// Every rule file at hand: the outline has the declarations of the syntax tree, and no others.
TEST(Outline, AgreesWithTheSyntaxTree) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(RULEC_RULES_DIR)) {
    if (entry.path().extension() != ".rules") continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const Source source(entry.path().string(), {std::istreambuf_iterator<char>(in), {}});
    Diagnostics diagnostics;
    const auto file = parse(source, diagnostics);
    ASSERT_TRUE(file) << render(source, diagnostics);
    Outline parsed;
    if (file->package) parsed.package = file->package->name.text;
    const auto add = [](Names& names, std::string_view name) {
      if (!name.empty()) names.push_back(name);
    };
    for (const ast::Item& item : file->items) {
      if (const auto* one = std::get_if<ast::Predicate>(&item))
        add(parsed.predicates, name_of(*one));
      if (const auto* one = std::get_if<ast::Template>(&item)) add(parsed.templates, name_of(*one));
      if (const auto* one = std::get_if<ast::Rule>(&item)) add(parsed.rules, name_of(*one));
      if (const auto* one = std::get_if<ast::Edit>(&item)) add(parsed.edits, name_of(*one));
      if (const auto* one = std::get_if<ast::Pipeline>(&item)) add(parsed.pipelines, name_of(*one));
      if (std::holds_alternative<ast::OpDecl>(item)) parsed.operators = true;
    }
    const Outline found = outline(source.text());
    const auto sorted = [](Names names) {
      std::sort(names.begin(), names.end());
      return names;
    };
    EXPECT_EQ(found.package, parsed.package) << source.name();
    EXPECT_EQ(found.predicates, sorted(parsed.predicates)) << source.name();
    EXPECT_EQ(found.templates, sorted(parsed.templates)) << source.name();
    EXPECT_EQ(found.rules, sorted(parsed.rules)) << source.name();
    EXPECT_EQ(found.edits, sorted(parsed.edits)) << source.name();
    EXPECT_EQ(found.pipelines, sorted(parsed.pipelines)) << source.name();
    EXPECT_EQ(found.operators, parsed.operators) << source.name();
    ++files;
  }
  EXPECT_GT(files, 10U);
}

}  // namespace
}  // namespace rulec
