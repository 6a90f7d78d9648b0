// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "compiler/package/lock.h"
#include "compiler/package/manifest.h"
#include "compiler/package/resolve.h"
#include "compiler/package/toml.h"
#include "compiler/rule_files.h"

namespace rulec {
namespace {

namespace fs = std::filesystem;

class PackageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "rulec-package-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text;
  }
  // A package of one rule file.
  void package(const std::string& path, const std::string& name, const std::string& version,
               const std::string& dependencies = "") const {
    write(path + "/rules.toml", "name = \"" + name + "\"\nversion = \"" + version +
                                    "\"\n[dependencies]\n" + dependencies);
    write(path + "/one.rules",
          "package " + name + ".one " + version + "\nrule r exact: Relu(Relu(x)) -> Relu(x)\n");
  }
  Result<Lock> resolve(const std::string& path) const {
    auto manifest = read_manifest(folder_ / path);
    if (!manifest) return manifest.error();
    return resolve_packages(*manifest, {}, {0, 1, 0});
  }

  fs::path folder_;
};

bool in(const std::string& range, const std::string& version) {
  return parse_range(range)->holds(*parse_version(version));
}

TEST(Version, Ranges) {
  EXPECT_TRUE(in(">= 1.2, < 2", "1.9.3"));
  EXPECT_FALSE(in(">= 1.2, < 2", "2.0.0"));
  EXPECT_TRUE(in("^1.2", "1.7"));
  EXPECT_FALSE(in("^1.2", "2.0"));
  EXPECT_TRUE(in("^0.3.1", "0.3.9"));
  EXPECT_FALSE(in("^0.3.1", "0.4.0"));
  EXPECT_TRUE(in("1.2", "1.2.0"));
  EXPECT_FALSE(in("1.2", "1.2.1"));
  EXPECT_TRUE(in("*", "77"));
  EXPECT_TRUE(in("", "77"));
  EXPECT_EQ(parse_range("about 3").error().message,
            "`about 3` is no range of versions; write it as in \">= 1.2, < 2\" or \"^1.2\"");
  EXPECT_FALSE(parse_version("1.x"));
  EXPECT_FALSE(parse_version("1."));
}

TEST(Toml, MistakesAreToldWithTheirLine) {
  const auto broken = parse_toml("name = \"a\"\nversion = \n", "rules.toml");
  ASSERT_FALSE(broken);
  EXPECT_TRUE(broken.error().message.starts_with("rules.toml:2")) << broken.error().message;
}

TEST_F(PackageTest, ManifestsAreRead) {
  write("a/rules.toml",
        "name = \"acme.a\"\nversion = \"1.2.0\"\nopset = \">= 11, < 24\"\nlicense = \"MIT\"\n"
        "[dependencies]\nstd = \">= 0.1\"\nb = { path = \"../b\", version = \"^2\" }\n"
        "c = { git = \"https://c.test/c.git\", rev = \"v1\" }\n");
  const auto manifest = read_manifest(folder_ / "a");
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->name, "acme.a");
  EXPECT_EQ(to_string(manifest->version), "1.2.0");
  EXPECT_FALSE(manifest->opset.holds({24}));
  ASSERT_EQ(manifest->dependencies.size(), 3U);
  EXPECT_EQ(manifest->dependencies[0].source.text(), "path:../b");
  EXPECT_EQ(manifest->dependencies[1].source.text(), "git:https://c.test/c.git#v1");
  EXPECT_EQ(manifest->dependencies[2].source.text(), "library");

  write("a/rules.toml", "name = \"a\"\nversion = \"1\"\nlicence = \"MIT\"\n");
  EXPECT_TRUE(
      read_manifest(folder_ / "a")
          .error()
          .message.ends_with("rules.toml:3: a manifest has no `licence`; did you mean `license`?"));
}

TEST(Manifest, ADependencyIsAddedOrReplacedAndAllElseStays) {
  Dependency one;
  one.name = "acme.a";
  one.range = *parse_range("^1.2");
  const std::string text = "name = \"b\"  # us\n";
  const std::string with = with_dependency(text, one);
  EXPECT_EQ(with, "name = \"b\"  # us\n\n[dependencies]\n\"acme.a\" = \"^1.2\"\n");
  one.range = *parse_range("^2");
  EXPECT_EQ(with_dependency(with, one),
            "name = \"b\"  # us\n\n[dependencies]\n\"acme.a\" = \"^2\"\n");
}

TEST_F(PackageTest, TheHashIsOfNamesAndBytesOfRulesAlone) {
  package("a", "a", "1.0.0");
  const std::string hash = *package_hash(folder_ / "a");
  write("a/README.md", "words");
  write("a/vendor/b/one.rules", "rule x: Relu(x) -> x");
  EXPECT_EQ(*package_hash(folder_ / "a"), hash);
  write("a/one.rules", "rule r exact: Neg(Neg(x)) -> x\n");
  EXPECT_NE(*package_hash(folder_ / "a"), hash);
}

TEST_F(PackageTest, ALockHoldsWhatAManifestComesDownTo) {
  package("c", "c", "1.5.0");
  package("b", "b", "2.0.0", "c = { path = \"../c\", version = \"^1\" }\n");
  package("a", "a", "1.0.0", "b = { path = \"../b\" }\nc = { path = \"../c\" }\n");
  const auto lock = resolve("a");
  ASSERT_TRUE(lock) << lock.error().message;
  ASSERT_EQ(lock->packages.size(), 2U);
  EXPECT_EQ(lock->packages[1].name, "c");
  EXPECT_EQ(lock->packages[1].source.text(), "path:../c");
  EXPECT_EQ(lock->packages[1].needed_by, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(to_text(*lock), to_text(*resolve("a")));
}

TEST_F(PackageTest, ConflictsSayWhoWantsWhat) {
  package("c", "c", "1.5.0");
  package("b", "b", "2.0.0", "c = { path = \"../c\", version = \">= 2\" }\n");
  package("a", "a", "1.0.0", "b = { path = \"../b\" }\n");
  EXPECT_EQ(resolve("a").error().message, "`b` 2.0.0 wants `c` >= 2; there is 1.5.0");
  package("d", "d", "1.0.0", "c = { path = \"../c\", version = \"^1\" }\n");
  package("a", "a", "1.0.0", "b = { path = \"../b\" }\nd = { path = \"../d\" }\n");
  const std::string why = resolve("a").error().message;
  EXPECT_NE(why.find("no version of `c` suits all: `b` 2.0.0 wants >= 2, but `d` 1.0.0 wants ^1"),
            std::string::npos)
      << why;
}

TEST_F(PackageTest, CirclesAreShown) {
  package("b", "b", "1.0.0", "a = { path = \"../a\" }\n");
  package("a", "a", "1.0.0", "b = { path = \"../b\" }\n");
  EXPECT_EQ(resolve("a").error().message, "packages need one another in a circle: a → b → a");
}

TEST_F(PackageTest, OfAnIndexTheNewestThatSuitsAllIsTaken) {
  std::string index;
  for (const char* version : {"1.0.0", "1.4.0", "2.0.0"}) {
    package(std::string("index/c-") + version, "c", version);
    index += std::string("[[package]]\nname = \"c\"\nversion = \"") + version + "\"\npath = \"c-" +
             version + "\"\n";
  }
  write("index/index.toml", index);
  package("b", "b", "1.0.0", "c = { index = \"../index/index.toml\", version = \"< 2\" }\n");
  package("a", "a", "1.0.0", "b = { path = \"../b\" }\nc = { index = \"../index/index.toml\" }\n");
  const auto lock = resolve("a");
  ASSERT_TRUE(lock) << lock.error().message;
  EXPECT_EQ(to_string(lock->find("c")->version), "1.4.0");
}

TEST_F(PackageTest, TwoTeamsPinDifferentVersions) {
  package("v1", "shared", "1.0.0");
  package("v2", "shared", "2.0.0");
  for (const char* team : {"1", "2"}) {
    const std::string folder = std::string("team") + team;
    package(folder, folder, "0.1.0", std::string("shared = { path = \"../v") + team + "\" }\n");
    write(folder + "/main.rules", "import shared.one\npipeline { shared.one }\n");
    const auto lock = resolve(folder);
    ASSERT_TRUE(lock) << lock.error().message;
    ASSERT_TRUE(write_lock(*lock));
    const auto files =
        load_rule_files({(folder_ / folder / "main.rules").string()}, default_rule_path({}));
    ASSERT_TRUE(files) << files.error().message;
    EXPECT_EQ(files->render(), "");
    bool found = false;
    for (const RuleFile& file : files->files)
      if (file.package == "shared.one") {
        found = true;
        EXPECT_EQ(file.package_version, std::string(team) + ".0.0");
      }
    EXPECT_TRUE(found);
  }
  // Both at once cannot be.
  const auto both = load_rule_files(
      {(folder_ / "team1/main.rules").string(), (folder_ / "team2/main.rules").string()},
      default_rule_path({}));
  ASSERT_FALSE(both);
  EXPECT_NE(both.error().message.find("two locks pin different versions of `shared`"),
            std::string::npos);
}

TEST_F(PackageTest, OtherBytesThanTheLockSaysAreRefused) {
  package("b", "b", "1.0.0");
  package("a", "a", "1.0.0", "b = { path = \"../b\" }\n");
  write("a/main.rules", "import b.one\npipeline { b.one }\n");
  ASSERT_TRUE(write_lock(*resolve("a")));
  write("b/one.rules", "package b.one 1.0.0\nrule r exact: Neg(Neg(x)) -> x\n");
  const auto files = load_rule_files({(folder_ / "a/main.rules").string()}, default_rule_path({}));
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_NE(files->render().find("package `b` is not what"), std::string::npos) << files->render();
}

}  // namespace
}  // namespace rulec
