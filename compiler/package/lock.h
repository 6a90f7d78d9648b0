// SPDX-License-Identifier: Apache-2.0
#pragma once

// rules.lock: the packages that a project's dependencies come down to, each with the hash of its
// bytes. Rule files below a lock load these bytes or fail.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compiler/package/manifest.h"
#include "runtime/result.h"

namespace rulec {

struct LockedPackage {
  std::string name;
  Version version;
  PackageSource source;  // a path is relative to the lock
  std::string hash;
  std::vector<std::string> needed_by;
};

struct Lock {
  std::filesystem::path folder;         // where rules.lock lies
  std::vector<LockedPackage> packages;  // by name

  // The pinned package that `name` (a package, or a part of one) belongs to; null: not pinned.
  const LockedPackage* find(std::string_view name) const;
};

// The lock of a folder or of the nearest one above it; nothing where there is none.
Result<std::optional<Lock>> find_lock(const std::filesystem::path& folder);
std::string to_text(const Lock& lock);
Status write_lock(const Lock& lock);

// Where fetched packages are kept, each in a folder named after its hash.
std::filesystem::path package_cache();

// The folder that holds a pinned package, its bytes checked. Vendored ones come first.
Result<std::filesystem::path> locked_folder(const Lock& lock, const LockedPackage& package,
                                            const std::vector<std::filesystem::path>& rule_path);

// a.b → a/b
std::filesystem::path package_path(std::string_view name);

}  // namespace rulec
