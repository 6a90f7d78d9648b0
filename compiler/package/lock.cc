// SPDX-License-Identifier: Apache-2.0
#include "compiler/package/lock.h"

#include <algorithm>
#include <cstdlib>

#include "compiler/package/toml.h"
#include "matcher/file.h"

namespace rulec {

namespace fs = std::filesystem;

fs::path package_path(std::string_view name) {
  std::string relative(name);
  std::replace(relative.begin(), relative.end(), '.', '/');
  return relative;
}

const LockedPackage* Lock::find(std::string_view name) const {
  for (std::string_view prefix = name;;) {
    for (const LockedPackage& package : packages)
      if (package.name == prefix) return &package;
    const std::size_t dot = prefix.rfind('.');
    if (dot == prefix.npos) return nullptr;
    prefix = prefix.substr(0, dot);
  }
}

static Result<Lock> read_lock(const fs::path& path) {
  auto toml = read_toml(path);
  if (!toml) return toml.error();
  Lock out;
  out.folder = path.parent_path();
  const TomlValue* list = toml->find("package");
  if (list == nullptr || list->list() == nullptr) return out;
  for (const TomlValue& entry : *list->list()) {
    LockedPackage package;
    package.name = entry.text("name");
    package.hash = entry.text("hash");
    auto version = parse_version(entry.text("version"));
    if (!version || package.name.empty() || package.hash.empty())
      return make_error(
          "{}:{}: a package needs name, version and hash; make the lock again with "
          "`rulec pkg lock`",
          path.string(), entry.line);
    package.version = std::move(*version);
    using Kind = PackageSource::Kind;
    for (const auto& [key, kind] : {std::pair{"path", Kind::Path}, std::pair{"git", Kind::Git},
                                    std::pair{"index", Kind::Index}})
      if (entry.find(key) != nullptr)
        package.source = {kind, entry.text(key), entry.text("rev"), entry.text("folder")};
    if (const TomlValue* by = entry.find("needed_by"); by != nullptr && by->list() != nullptr)
      for (const TomlValue& one : *by->list())
        if (one.string() != nullptr) package.needed_by.push_back(*one.string());
    out.packages.push_back(std::move(package));
  }
  return out;
}

Result<std::optional<Lock>> find_lock(const fs::path& folder) {
  std::error_code code;
  fs::path at = fs::weakly_canonical(folder.empty() ? fs::path(".") : folder, code);
  for (; !at.empty(); at = at.parent_path()) {
    if (fs::is_regular_file(at / lock_name, code)) {
      auto lock = read_lock(at / lock_name);
      if (!lock) return lock.error();
      return std::optional<Lock>(std::move(*lock));
    }
    if (at == at.parent_path()) break;
  }
  return std::optional<Lock>();
}

std::string to_text(const Lock& lock) {
  std::string out = "# Made by `rulec pkg lock` from rules.toml; do not edit.\n";
  for (const LockedPackage& package : lock.packages) {
    out += fmt::format("\n[[package]]\nname = {}\nversion = {}\n", toml_string(package.name),
                       toml_string(to_string(package.version)));
    const PackageSource& source = package.source;
    if (source.kind == PackageSource::Kind::Path)
      out += fmt::format("path = {}\n", toml_string(source.place));
    if (source.kind == PackageSource::Kind::Index)
      out += fmt::format("index = {}\n", toml_string(source.place));
    if (source.kind == PackageSource::Kind::Git) {
      out += fmt::format("git = {}\nrev = {}\n", toml_string(source.place),
                         toml_string(source.revision));
      if (!source.folder.empty()) out += fmt::format("folder = {}\n", toml_string(source.folder));
    }
    std::string by;
    for (const std::string& one : package.needed_by)
      by += fmt::format("{}{}", by.empty() ? "" : ", ", toml_string(one));
    out += fmt::format("hash = {}\nneeded_by = [{}]\n", toml_string(package.hash), by);
  }
  return out;
}

Status write_lock(const Lock& lock) {
  return write_file(lock.folder / lock_name, to_text(lock));
}

fs::path package_cache() {
  if (const char* cache = std::getenv("RULEC_CACHE")) return fs::path(cache) / "packages";
  if (const char* cache = std::getenv("XDG_CACHE_HOME")) return fs::path(cache) / "rulec/packages";
  const char* home = std::getenv("HOME");
  return fs::path(home != nullptr ? home : "/tmp") / ".cache/rulec/packages";
}

Result<fs::path> locked_folder(const Lock& lock, const LockedPackage& package,
                               const std::vector<fs::path>& rule_path) {
  std::error_code code;
  std::vector<fs::path> places = {lock.folder / "vendor" / package_path(package.name)};
  if (package.source.kind == PackageSource::Kind::Path)
    places.push_back(lock.folder / package.source.place);
  else if (package.source.kind == PackageSource::Kind::Library)
    for (const fs::path& folder : rule_path)
      places.push_back(folder / package_path(package.name));
  else
    places.push_back(package_cache() / package.hash.substr(package.hash.find(':') + 1));
  std::string found;
  for (const fs::path& place : places) {
    if (!fs::is_regular_file(place / manifest_name, code)) continue;
    auto hash = package_hash(place);
    if (!hash) return hash.error();
    if (*hash == package.hash) return place;
    if (found.empty()) found = *hash;
  }
  const std::string lock_file = (lock.folder / lock_name).lexically_proximate(fs::current_path());
  if (found.empty())
    return make_error(
        "package `{}` {}, which {} pins, is not here ({}); `rulec pkg lock` fetches it",
        package.name, to_string(package.version), lock_file, package.source.text());
  return make_error(
      "package `{}` is not what {} pins: its hash is {}, the lock says {}; go back to {}, or pin "
      "what is there with `rulec pkg lock`",
      package.name, lock_file, found.substr(0, 19), package.hash.substr(0, 19),
      to_string(package.version));
}

}  // namespace rulec
