// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where packages are: the folders of the rule path, nearest first, and before them what the locks
// beside the rules pin. `a.b` is a/b.rules, or every .rules file of the folder a/b. Finds files,
// reads none but locks and manifests.
//
//   RulePath packages(folders);
//   auto files = packages.find("tfod.efficientdet");

#include <filesystem>
#include <string>
#include <vector>

#include "compiler/package/lock.h"
#include "runtime/result.h"

namespace rulec {

// A name with a `/` or ending in `.rules` is a file's, any other a package's.
bool names_file(const std::string& name);
// Of a rule file that was not to be opened, just now: why, and a near name.
std::string why_not_opened(const std::filesystem::path& path);

class RulePath {
 public:
  explicit RulePath(const std::vector<std::filesystem::path>& folders) : folders_(folders) {}

  // The locks that rule these files and packages. An Error where two pin one package differently.
  Status read_locks(const std::vector<std::string>& names);
  // The files of a package, sorted. An Error, with a near name and where it was looked for, when
  // there are none.
  Result<std::vector<std::filesystem::path>> find(const std::string& name) const;
  // The opset range of the manifest above a package's file; an Error when the package is not for
  // this rulec.
  Result<std::string> manifest_opset(const std::filesystem::path& file) const;

 private:
  std::vector<std::string> folders() const;
  std::vector<std::string> known_packages() const;

  const std::vector<std::filesystem::path>& folders_;
  std::vector<Lock> locks_;
};

}  // namespace rulec
