// SPDX-License-Identifier: Apache-2.0
#pragma once

// A package's rules.toml: who it is, what it runs with, what it needs (docs/packages.md).
//
//   name = "acme.detect"
//   version = "1.2.0"
//   rulec = ">= 0.1"
//   opset = ">= 11"
//   license = "Apache-2.0"
//   [dependencies]
//   std = ">= 0.1"
//   shared = { path = "../shared", version = "^2.1" }

#include <filesystem>
#include <string>
#include <vector>

#include "compiler/package/version.h"
#include "runtime/result.h"

namespace rulec {

inline constexpr std::string_view manifest_name = "rules.toml";
inline constexpr std::string_view lock_name = "rules.lock";

// Where the bytes of a package come from.
struct PackageSource {
  enum class Kind { Library, Path, Git, Index } kind = Kind::Library;
  std::string place;     // folder, URL or index file; a path is relative to the file that names it
  std::string revision;  // Git: branch, tag or commit
  std::string folder;    // Git: of the package in the repository

  std::string text() const;  // "path:../shared", for locks and messages
};

struct Dependency {
  std::string name;
  VersionRange range;
  PackageSource source;
};

struct Manifest {
  std::string name;
  Version version;
  VersionRange rulec, opset;
  std::string license, description;
  std::vector<Dependency> dependencies;
  std::filesystem::path folder;
};

Result<Manifest> read_manifest(const std::filesystem::path& folder);
std::string to_toml(const Dependency& dependency);  // its line

// Adds or replaces one line of [dependencies]; all else of the text stays.
std::string with_dependency(const std::string& manifest, const Dependency& dependency);

// The package's files, relative to its folder, sorted: rules.toml and every rule file that does not
// lie in the folder of another package, in `vendor`, or in a hidden folder.
std::vector<std::filesystem::path> package_files(const std::filesystem::path& folder);

// "sha256:…" over names and bytes of these files.
Result<std::string> package_hash(const std::filesystem::path& folder);

}  // namespace rulec
