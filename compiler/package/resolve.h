// SPDX-License-Identifier: Apache-2.0
#pragma once

// From a manifest to the packages that it comes down to: one version of each, within every range
// that asks for it. Fetches what is not here. Conflicts and cycles are Errors that name who wants
// what.

#include <filesystem>
#include <string>
#include <vector>

#include "compiler/package/lock.h"
#include "compiler/package/manifest.h"
#include "runtime/result.h"

namespace rulec {

struct IndexEntry {
  std::string name;
  Version version;
  PackageSource source;  // a path is relative to the index
  std::string hash;      // what was published
};
Result<std::vector<IndexEntry>> read_index(const std::filesystem::path& file);

// `rulec_version` decides which packages run here.
Result<Lock> resolve_packages(const Manifest& root,
                              const std::vector<std::filesystem::path>& rule_path,
                              const Version& rulec_version);

// Copies the files of a package; the folder is made.
Status copy_package(const std::filesystem::path& from, const std::filesystem::path& to);

// Clones into the cache; gives the folder of the package there, and the commit in `source`.
Result<std::filesystem::path> fetch_git(PackageSource& source);

}  // namespace rulec
