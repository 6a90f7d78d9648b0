// SPDX-License-Identifier: Apache-2.0
#include "compiler/rule_files.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "compiler/compile.h"

namespace rulec {
namespace {

using Names = std::set<std::string>;

// The files of the library that a text makes rulec parse, by name.
static Names parsed(const std::string& text) {
  auto files = load_rule_text("t.rules", text, {RULEC_RULES_DIR});
  if (!files) {
    ADD_FAILURE() << files.error().message;
    return {};
  }
  Names out;
  for (const RuleFile& file : files->files) {
    EXPECT_NE(file.file.has_value(), file.dormant) << file.path;
    if (file.file && !file.requested) out.insert(file.path.filename().string());
  }
  std::vector<std::string> setting_errors;
  EXPECT_TRUE(compile_rules(*files, {}, setting_errors)) << files->render();
  return out;
}

TEST(RuleFiles, NothingOfThePreludeIsParsedForNothing) {
  EXPECT_EQ(parsed("rule gelu: Relu(Relu(x)) -> Relu(x)\n"), Names{});
  // A capture that is called as the package is, a value of that name.
  EXPECT_EQ(parsed("Div(Sub(x, mean), std) -> Neg(x) where rank(std) = 1\n"), Names{});
}

TEST(RuleFiles, ATemplateIsParsedAlone) {
  EXPECT_EQ(parsed("rule r: scope \"pre/*\" -> preprocess(std = [1, 1, 1])\n"),
            Names{"preprocess.rules"});
  EXPECT_EQ(parsed("rule r: scope \"pre/*\" -> std.preprocess\n"), Names{"preprocess.rules"});
  EXPECT_EQ(parsed("rule r: NonMaxSuppression* -> BatchedNMS_TRT\n"), Names{"nms.rules"});
}

TEST(RuleFiles, APredicateBringsItsFile) {
  EXPECT_EQ(parsed("Relu(x) -> Neg(x) where one_covers(x, x)\n"), Names{"fold.rules"});
}

TEST(RuleFiles, APipelineBringsTheFilesOfItsSteps) {
  EXPECT_EQ(parsed("pipeline { std.arithmetic }\n"), Names{"arithmetic.rules"});
  EXPECT_EQ(parsed("pipeline { tensorrt.nms.batched_nms }\n"), Names{"nms.rules"});
  EXPECT_EQ(parsed("pipeline { tensorrt.nms }\n"), Names{"nms.rules"});
  const Names all = parsed("pipeline { std }\n");
  EXPECT_TRUE(all.contains("std.rules"));
  EXPECT_TRUE(all.contains("fold.rules"));
  EXPECT_FALSE(all.contains("nms.rules"));
}

TEST(RuleFiles, AnImportBringsAllOfAPackage) {
  const Names all = parsed("import std as s\npipeline { s.fold }\n");
  EXPECT_TRUE(all.contains("std.rules"));
  EXPECT_TRUE(all.contains("movement.rules"));
}

TEST(RuleFiles, ATestOfThePreludeBringsItsRule) {
  EXPECT_EQ(parsed("test \"t\" for std.gelu { before y = Relu(x : f32[2]) unchanged }\n"),
            Names{"fuse.rules"});
}

TEST(RuleFiles, AFileOfThePreludesPackageSeesTheOthers) {
  const Names all = parsed("package std 1.0\nRelu(Relu(x)) -> Relu(x)\npipeline { arithmetic }\n");
  EXPECT_TRUE(all.contains("arithmetic.rules"));
}

// A library of its own, in a folder that goes with the test.
class OwnPrelude : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("rulec-rule-files-" + std::to_string(::getpid()));
    write("tensorrt/nms.rules", "package tensorrt.nms 1.0\n");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }

  Result<RuleFiles> load(const std::string& text) {
    return load_rule_text("t.rules", text, {folder_});
  }

  std::filesystem::path folder_;
};

TEST_F(OwnPrelude, WhatAWokenFileSpeaksOfIsParsedToo) {
  write("std/a.rules", "package std 1.0\npredicate outer(x) = inner(x)\n");
  write("std/b.rules", "package std 1.0\nimport helpers\npredicate inner(x) = deep(x)\n");
  write("std/c.rules", "package std 1.0\npredicate other(x) = x = 1\n");
  write("helpers.rules", "package helpers 1.0\npredicate deep(x) = rank(x) = 1\n");
  auto files = load("Relu(x) -> Neg(x) where outer(x)\n");
  ASSERT_TRUE(files) << files.error().message;
  Names names;
  for (const RuleFile& file : files->files)
    if (file.file) names.insert(file.path.filename().string());
  EXPECT_EQ(names, (Names{"a.rules", "b.rules", "helpers.rules", "t.rules"}));
  std::vector<std::string> setting_errors;
  EXPECT_TRUE(compile_rules(*files, {}, setting_errors)) << files->render();
}

TEST_F(OwnPrelude, OperatorsAreAlwaysKnown) {
  write("std.rules", "package std 1.0\nop my::Op(x : f32[N]) -> (y : f32[N])\n");
  auto files = load("Relu(x) -> Neg(x)\n");
  ASSERT_TRUE(files) << files.error().message;
  std::vector<std::string> setting_errors;
  const auto compiled = compile_rules(*files, {}, setting_errors);
  ASSERT_TRUE(compiled) << files->render();
  EXPECT_FALSE(compiled->ops.versions("my", "Op").empty());
}

TEST_F(OwnPrelude, ADormantFileIsInMessages) {
  write("std.rules",
        "package std 1.0\npredicate is_odd(x) = x = 1\npredicate _is_even(x) = x = 2\n"
        "rule first: Abs(x) -> x\n");
  auto files = load("pipeline { r, sdt.first }\nrule r: Relu(x) -> Neg(x) where is_old(x)\n");
  ASSERT_TRUE(files) << files.error().message;
  std::vector<std::string> setting_errors;
  EXPECT_FALSE(compile_rules(*files, {}, setting_errors));
  EXPECT_TRUE(files->files.front().dormant || files->files[1].dormant);
  const std::string messages = files->render();
  EXPECT_NE(messages.find("did you mean `is_odd`?"), std::string::npos) << messages;
  EXPECT_NE(messages.find("did you mean `std.first`?"), std::string::npos) << messages;
}

// A name that the package does not have: what it has is told from its syntax tree.
TEST_F(OwnPrelude, APrivateNameIsSaidToBeOne) {
  write("std.rules", "package std 1.0\npredicate _is_even(x) = x = 2\n");
  auto files = load("Relu(x) -> Neg(x) where _is_even(x)\n");
  ASSERT_TRUE(files) << files.error().message;
  std::vector<std::string> setting_errors;
  EXPECT_FALSE(compile_rules(*files, {}, setting_errors));
  EXPECT_NE(files->render().find("for its own package"), std::string::npos) << files->render();
}

}  // namespace
}  // namespace rulec
