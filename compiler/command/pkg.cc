// SPDX-License-Identifier: Apache-2.0
// `rulec pkg`: manifests, locks, vendored copies, indexes.
#include <algorithm>
#include <set>

#include "compiler/command/command.h"
#include "compiler/command/console.h"
#include "compiler/package/lock.h"
#include "compiler/package/manifest.h"
#include "compiler/package/resolve.h"
#include "compiler/package/toml.h"
#include "compiler/rule_files.h"
#include "grammar/ast.h"
#include "matcher/file.h"
#include "matcher/target.h"

namespace rulec::command {

namespace fs = std::filesystem;

static int fault(const Error& error) {
  complain("{}", error.message);
  return input_fault;
}

static std::vector<fs::path> path_of(const PkgOptions& options) {
  return default_rule_path({options.rule_path.begin(), options.rule_path.end()});
}

static int init(const PkgOptions& options) {
  const fs::path folder = options.folder;
  std::error_code code;
  if (fs::exists(folder / manifest_name, code)) {
    complain("there is a {} already", (folder / manifest_name).string());
    return input_fault;
  }
  std::string name = options.name;
  if (name.empty()) name = fs::weakly_canonical(folder, code).filename().string();
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c == '-' || c == ' ' ? '_' : static_cast<char>(std::tolower(c));
  });
  fs::create_directories(folder, code);
  const std::string text = ::fmt::format(
      "name = {}\nversion = \"0.1.0\"\ndescription = \"\"\nlicense = \"\"\nrulec = \">= {}\"\n\n"
      "[dependencies]\n",
      toml_string(name), RULEC_VERSION);
  if (Status written = write_file(folder / manifest_name, text); !written)
    return fault(written.error());
  ::fmt::print("{}: package `{}`\n", (folder / manifest_name).string(), name);
  return done;
}

// Resolves, tells what changed against the lock that is there, and writes.
static int lock_packages(const PkgOptions& options) {
  auto manifest = read_manifest(options.folder);
  if (!manifest) return fault(manifest.error());
  const auto own = parse_version(RULEC_VERSION);
  if (own && !manifest->rulec.holds(*own)) {
    complain("`{}` is for rulec {}; this is {}", manifest->name, manifest->rulec.text,
             RULEC_VERSION);
    return input_fault;
  }
  Progress progress("resolving packages");
  auto lock = resolve_packages(*manifest, path_of(options), own ? *own : Version{});
  if (!lock) return fault(lock.error());
  std::error_code code;
  std::string old_text;
  if (const fs::path file = fs::path(options.folder) / lock_name; fs::exists(file, code)) {
    auto old = MappedFile::open(file);
    if (old) old_text = std::string((*old)->bytes());
  }
  const std::string text = to_text(*lock);
  if (options.check) {
    if (text == old_text) return done;
    complain("{} is not what {} comes down to; `rulec pkg lock` makes it anew",
             (fs::path(options.folder) / lock_name).string(), manifest_name);
    return input_fault;
  }
  if (text != old_text)
    if (Status written = write_lock(*lock); !written) return fault(written.error());
  for (const LockedPackage& package : lock->packages)
    ::fmt::print("{} {} ({})\n", package.name, to_string(package.version), package.source.text());
  return done;
}

static Result<Dependency> dependency_from(const PkgOptions& options) {
  Dependency out;
  const std::string& source = options.source;
  std::error_code code;
  const fs::path folder = options.folder;
  const auto near = [&](const fs::path& place) {
    return place.is_absolute() ? place.generic_string()
                               : place.lexically_proximate(folder).generic_string();
  };
  if (fs::is_directory(source, code)) {
    auto manifest = read_manifest(source);
    if (!manifest) return manifest.error();
    out.name = manifest->name;
    out.source = {PackageSource::Kind::Path, near(source), "", ""};
    if (options.range.empty()) out.range = *parse_range("^" + to_string(manifest->version));
  } else if (source.ends_with(".toml")) {
    if (options.name.empty())
      return make_error("an index holds many packages; name one: rulec pkg add {} NAME", source);
    out.name = options.name;
    out.source = {PackageSource::Kind::Index, near(source), "", ""};
    if (options.range.empty()) {
      auto index = read_index(source);
      if (!index) return index.error();
      const IndexEntry* newest = nullptr;
      for (const IndexEntry& entry : *index)
        if (entry.name == out.name &&
            (newest == nullptr || compare_versions(entry.version, newest->version) > 0))
          newest = &entry;
      if (newest == nullptr) return make_error("{} does not list `{}`", source, out.name);
      out.range = *parse_range("^" + to_string(newest->version));
    }
  } else if (source.find("://") != source.npos || source.starts_with("git@") ||
             source.ends_with(".git")) {
    out.source = {PackageSource::Kind::Git, source, options.revision, options.subfolder};
    PackageSource fetched = out.source;
    auto place = fetch_git(fetched);
    if (!place) return place.error();
    auto manifest = read_manifest(*place);
    if (!manifest) return manifest.error();
    out.name = manifest->name;
    if (options.range.empty()) out.range = *parse_range("^" + to_string(manifest->version));
  } else {
    for (const fs::path& library : path_of(options))
      if (fs::exists(library / package_path(source) / manifest_name, code)) {
        auto manifest = read_manifest(library / package_path(source));
        if (!manifest) return manifest.error();
        out.name = manifest->name;
        if (options.range.empty()) out.range = *parse_range("^" + to_string(manifest->version));
      }
    if (out.name.empty())
      return make_error(
          "`{}` is no folder with a {}, no Git URL, no index file (.toml) and no package of the "
          "rule path",
          source, manifest_name);
  }
  if (!options.range.empty()) {
    auto range = parse_range(options.range);
    if (!range) return range.error();
    out.range = std::move(*range);
  }
  return out;
}

static int add(const PkgOptions& options) {
  const fs::path file = fs::path(options.folder) / manifest_name;
  auto text = MappedFile::open(file);
  if (!text) {
    complain("{} (`rulec pkg init` makes one)", text.error().message);
    return input_fault;
  }
  const std::string before((*text)->bytes());
  auto dependency = dependency_from(options);
  if (!dependency) return fault(dependency.error());
  if (Status written = write_file(file, with_dependency(before, *dependency)); !written)
    return fault(written.error());
  const int locked = lock_packages(options);
  // All or nothing: a dependency that does not resolve does not stay.
  if (locked != done)
    if (Status written = write_file(file, before); !written) return fault(written.error());
  return locked;
}

static int vendor(const PkgOptions& options) {
  auto lock = find_lock(options.folder);
  if (!lock) return fault(lock.error());
  if (!*lock || (*lock)->folder != fs::weakly_canonical(options.folder)) {
    complain("{} has no {}; `rulec pkg lock` makes it", options.folder, lock_name);
    return input_fault;
  }
  for (const LockedPackage& package : (*lock)->packages) {
    auto from = locked_folder(**lock, package, path_of(options));
    if (!from) return fault(from.error());
    const fs::path to = (*lock)->folder / "vendor" / package_path(package.name);
    if (*from == to) continue;
    std::error_code code;
    fs::remove_all(to, code);
    if (Status copied = copy_package(*from, to); !copied) return fault(copied.error());
    ::fmt::print("vendor/{}: {} {}\n", package_path(package.name).generic_string(), package.name,
                 to_string(package.version));
  }
  return done;
}

// What users of a package may name: rules, templates, predicates, pipelines and edits without `_`.
static Result<std::set<std::string>> exports_of(const fs::path& folder,
                                                const std::vector<fs::path>& rule_path) {
  std::vector<std::string> names;
  for (const fs::path& file : package_files(folder))
    if (file.extension() == ".rules") names.push_back((folder / file).string());
  auto files = load_rule_files(names, rule_path);
  if (!files) return files.error();
  if (files->has_errors()) return make_error("{}", files->render());
  std::set<std::string> out;
  const auto take = [&](const std::string& package, const std::string& kind,
                        const std::string& name) {
    if (!name.empty() && name[0] != '_') out.insert(::fmt::format("{} {}.{}", kind, package, name));
  };
  for (const RuleFile& file : files->files) {
    if (!file.requested || !file.file) continue;
    for (const ast::Item& item : file.file->items) {
      if (const auto* rule = std::get_if<ast::Rule>(&item); rule && rule->name)
        take(file.package, "rule", rule->name->text);
      if (const auto* one = std::get_if<ast::Template>(&item))
        take(file.package, "template", one->name.text);
      if (const auto* one = std::get_if<ast::Predicate>(&item))
        take(file.package, "predicate", one->name.text);
      if (const auto* one = std::get_if<ast::Param>(&item))
        take(file.package, "param", one->parameter.name.text);
    }
  }
  return out;
}

static int publish(const PkgOptions& options) {
  auto manifest = read_manifest(options.folder);
  if (!manifest) return fault(manifest.error());
  if (manifest->license.empty()) {
    complain("{}: a package that others use needs a `license`",
             (fs::path(options.folder) / manifest_name).string());
    return input_fault;
  }
  const fs::path index = options.source;
  std::error_code code;
  std::vector<IndexEntry> entries;
  std::string text = "# An index of rule packages; `rulec pkg publish` adds to it.\n";
  if (fs::exists(index, code)) {
    auto there = read_index(index);
    if (!there) return fault(there.error());
    entries = std::move(*there);
    if (auto file = MappedFile::open(index)) text = std::string((*file)->bytes());
  }
  const std::vector<fs::path> rule_path = path_of(options);
  auto now = exports_of(options.folder, rule_path);
  if (!now) return fault(now.error());
  auto hash = package_hash(options.folder);
  if (!hash) return fault(hash.error());
  const IndexEntry* newest = nullptr;
  for (const IndexEntry& entry : entries) {
    if (entry.name != manifest->name) continue;
    if (entry.version == manifest->version) {
      if (entry.hash == *hash) {
        ::fmt::print("{} {} is published already\n", entry.name, to_string(entry.version));
        return done;
      }
      complain("{} {} is published already, with other bytes; give this one a new version",
               entry.name, to_string(entry.version));
      return input_fault;
    }
    if (compare_versions(entry.version, manifest->version) < 0 &&
        (newest == nullptr || compare_versions(entry.version, newest->version) > 0))
      newest = &entry;
  }
  const fs::path home = index.parent_path();
  if (newest != nullptr && newest->source.kind == PackageSource::Kind::Path &&
      newest->version.front() == manifest->version.front()) {
    auto old = exports_of(home / newest->source.place, rule_path);
    if (!old) return fault(old.error());
    std::vector<std::string> gone;
    std::set_difference(old->begin(), old->end(), now->begin(), now->end(),
                        std::back_inserter(gone));
    if (!gone.empty()) {
      complain("{} has names that {} has not ({}); without them it is a new major version: {}.0.0",
               to_string(newest->version), to_string(manifest->version),
               ::fmt::format("{}", ::fmt::join(gone, ", ")), manifest->version.front() + 1);
      return input_fault;
    }
  }
  const std::string place = ::fmt::format("{}-{}", manifest->name, to_string(manifest->version));
  if (Status copied = copy_package(options.folder, home / place); !copied)
    return fault(copied.error());
  text += ::fmt::format("\n[[package]]\nname = {}\nversion = {}\npath = {}\nhash = {}\n",
                        toml_string(manifest->name), toml_string(to_string(manifest->version)),
                        toml_string(place), toml_string(*hash));
  if (Status written = write_file(index, text); !written) return fault(written.error());
  ::fmt::print("{} {} is in {}\n", manifest->name, to_string(manifest->version), index.string());
  return done;
}

int pkg(const PkgOptions& options) {
  if (options.action == "init") return init(options);
  if (options.action == "add") return add(options);
  if (options.action == "lock") return lock_packages(options);
  if (options.action == "vendor") return vendor(options);
  if (options.action == "publish") return publish(options);
  return package_diff(options);
}

}  // namespace rulec::command
