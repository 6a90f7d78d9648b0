// SPDX-License-Identifier: Apache-2.0
// Where packages are found, and what is said where they are not.
#include "compiler/rule_path.h"

#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace rulec {
namespace {

namespace fs = std::filesystem;

class RulePathTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("rulec-rule-path-" + std::to_string(::getpid()));
    write("near/team/head.rules", "");
    write("near/team/notes.txt", "");
    write("near/team/body.rules", "");
    write("far/team.rules", "");
    write("far/lone.rules", "");
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& name, const std::string& text) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  std::string found(const std::string& name) const {
    const std::vector<fs::path> folders = {root_ / "near", root_ / "far"};
    const auto files = RulePath(folders).find(name);
    if (!files) return files.error().message;
    std::string out;
    for (const fs::path& file : *files)
      out += (out.empty() ? "" : " ") + file.lexically_relative(root_).string();
    return out;
  }
  fs::path root_;
};

TEST_F(RulePathTest, APackageIsAFileOrAllRuleFilesOfAFolder) {
  EXPECT_EQ(found("lone"), "far/lone.rules");
  EXPECT_EQ(found("team.head"), "near/team/head.rules");
  EXPECT_EQ(found("team"), "near/team/body.rules near/team/head.rules") << "the nearest folder";
}

TEST_F(RulePathTest, WhatIsMissingIsToldWithANearName) {
  EXPECT_NE(found("team.haed").find("did you mean `team.head`?"), std::string::npos);
  EXPECT_NE(found("lone.rules").find("a file is imported by its path"), std::string::npos);
  EXPECT_NE(found("team.haed").find("the library of rulec"), std::string::npos);
}

TEST_F(RulePathTest, FilesAreToldFromPackages) {
  EXPECT_TRUE(names_file("a/b"));
  EXPECT_TRUE(names_file("b.rules"));
  EXPECT_FALSE(names_file("a.b"));
  errno = ENOENT;
  const std::string why = why_not_opened(root_ / "far" / "loan.rules");
  EXPECT_NE(why.find("did you mean"), std::string::npos) << why;
  EXPECT_NE(why_not_opened(root_ / "none" / "a.rules").find("there is no folder"),
            std::string::npos);
}

TEST_F(RulePathTest, AManifestNamesTheOpsets) {
  const std::string manifest = "name = \"team\"\nversion = \"1.0.0\"\nlicense = \"MIT\"\n";
  const std::vector<fs::path> folders = {root_ / "near"};
  const auto read = [&](const std::string& more) {
    write("near/team/rules.toml", manifest + more);
    return RulePath(folders).manifest_opset(root_ / "near" / "team" / "head.rules");
  };
  const auto range = read("opset = \">= 13\"\n");
  ASSERT_TRUE(range) << range.error().message;
  EXPECT_EQ(*range, ">= 13");
  const auto other = read("rulec = \">= 99\"\n");
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message.find("is for rulec >= 99"), std::string::npos)
      << other.error().message;
}

}  // namespace
}  // namespace rulec
