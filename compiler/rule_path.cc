// SPDX-License-Identifier: Apache-2.0
#include "compiler/rule_path.h"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/library_path.h"
#include "matcher/edit_distance.h"

namespace rulec {

namespace fs = std::filesystem;

bool names_file(const std::string& name) {
  return name.find('/') != name.npos || name.ends_with(".rules");
}

// The rule file of a folder whose name is nearest to this one; "" when none is near.
static std::string near_file(const fs::path& folder, const std::string& name) {
  std::vector<std::string> names;
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code))
    if (it->path().extension() == ".rules") names.push_back(it->path().filename().string());
  std::sort(names.begin(), names.end());
  return nearest_name(name, names);
}

std::string why_not_opened(const fs::path& path) {
  const std::string why = std::generic_category().message(errno);
  const fs::path parent = path.parent_path();
  const fs::path folder = parent.empty() ? fs::path(".") : parent;
  std::error_code code;
  if (!fs::is_directory(folder, code))
    return fmt::format("the rule file `{}` cannot be opened: there is no folder `{}`",
                       path.string(), folder.string());
  const std::string near = near_file(folder, path.filename().string());
  return fmt::format(
      "the rule file `{}` cannot be opened: {}{}", path.string(), why,
      near.empty() ? "" : fmt::format("; did you mean `{}`?", (parent / near).string()));
}

// A folder as a reader knows it: from where he stands, where that is shorter.
static std::string shown(const fs::path& folder) {
  std::error_code code;
  const fs::path here = fs::current_path(code);
  const std::string near = folder.lexically_relative(here).string();
  return near.empty() || near.starts_with("..") ? folder.string() : near;
}

// `relative` as a file, or every rule file of it as a folder.
static std::vector<fs::path> files_at(const fs::path& folder, const fs::path& relative) {
  std::error_code code;
  if (!relative.empty())
    if (const fs::path file = folder / (relative.string() + ".rules");
        fs::is_regular_file(file, code))
      return {file};
  std::vector<fs::path> files;
  for (fs::directory_iterator it(folder / relative, code), end; !code && it != end;
       it.increment(code))
    if (it->path().extension() == ".rules") files.push_back(it->path());
  std::sort(files.begin(), files.end());
  return files;
}

Status RulePath::read_locks(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    auto lock = find_lock(names_file(name) ? fs::path(name).parent_path() : fs::path());
    if (!lock) return lock.error();
    if (!*lock) continue;
    const auto same = [&](const Lock& other) { return other.folder == (*lock)->folder; };
    if (std::any_of(locks_.begin(), locks_.end(), same)) continue;
    for (const Lock& other : locks_)
      for (const LockedPackage& a : other.packages)
        for (const LockedPackage& b : (*lock)->packages)
          if (a.name == b.name && a.hash != b.hash)
            return make_error(
                "two locks pin different versions of `{}`: {} in {}, {} in {}; take the rules of "
                "one of them, or bring the locks together",
                a.name, to_string(a.version), shown(other.folder), to_string(b.version),
                shown((*lock)->folder));
    locks_.push_back(std::move(**lock));
  }
  return Done{};
}

Result<std::string> RulePath::manifest_opset(const fs::path& file) const {
  std::error_code code;
  fs::path folder = file.parent_path();
  for (int up = 0; up < 4 && !folder.empty(); ++up, folder = folder.parent_path()) {
    const bool root = std::any_of(folders_.begin(), folders_.end(),
                                  [&](const fs::path& one) { return one == folder; });
    if (root) break;
    if (!fs::is_regular_file(folder / manifest_name, code)) continue;
    auto manifest = read_manifest(folder);
    if (!manifest) return manifest.error();
    auto own = parse_version(RULEC_VERSION);
    if (own && !manifest->rulec.holds(*own))
      return make_error("package `{}` {} is for rulec {}; this is {}", manifest->name,
                        to_string(manifest->version), manifest->rulec.text, RULEC_VERSION);
    return manifest->opset.text;
  }
  return std::string();
}

// The library's own place is nobody's business, and another one on each machine.
std::vector<std::string> RulePath::folders() const {
  const std::vector<fs::path> library = library_rule_path();
  std::vector<std::string> out;
  for (const fs::path& folder : folders_)
    if (std::find(library.begin(), library.end(), folder) == library.end())
      out.push_back(shown(folder));
  out.emplace_back("the library of rulec");
  return out;
}

std::vector<std::string> RulePath::known_packages() const {
  std::vector<std::string> out;
  for (const fs::path& folder : folders_) {
    std::error_code code;
    for (auto it = fs::recursive_directory_iterator(folder, code);
         !code && it != fs::recursive_directory_iterator(); it.increment(code)) {
      if (it->path().extension() != ".rules") continue;
      const fs::path relative = it->path().lexically_relative(folder).replace_extension();
      for (const fs::path& package : {relative, relative.parent_path()}) {
        std::string name = package.generic_string();
        std::replace(name.begin(), name.end(), '/', '.');
        if (!name.empty()) out.push_back(std::move(name));
      }
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<std::vector<fs::path>> RulePath::find(const std::string& name) const {
  std::string relative = name;
  std::replace(relative.begin(), relative.end(), '.', '/');
  for (const Lock& lock : locks_) {
    const LockedPackage* pinned = lock.find(name);
    if (pinned == nullptr) continue;
    auto folder = locked_folder(lock, *pinned, folders_);
    if (!folder) return folder.error();
    const fs::path inside =
        name == pinned->name ? fs::path() : package_path(name.substr(pinned->name.size() + 1));
    if (auto files = files_at(*folder, inside); !files.empty()) return files;
    return make_error("package `{}` {} has no part `{}`", pinned->name, to_string(pinned->version),
                      name);
  }
  for (const fs::path& folder : folders_)
    if (auto files = files_at(folder, relative); !files.empty()) return files;
  std::error_code code;
  if (fs::exists(name, code))
    return make_error(
        "`{}` is no rule file: those end in .rules; a folder of them is a package, found on the "
        "rule path (--rule-path)",
        name);
  std::string message = fmt::format("package `{}` is not on the rule path", name);
  std::string near = nearest_name(name, known_packages());
  if (near.empty()) near = near_file(".", name);
  if (!near.empty()) message += fmt::format("; did you mean `{}`?", near);
  if (name.ends_with(".rules"))
    message += fmt::format("; a file is imported by its path: `import ./{}`", name);
  message += fmt::format(" (looked in {})", fmt::join(folders(), ", "));
  return Error{message};
}

}  // namespace rulec
