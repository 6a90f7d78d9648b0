// SPDX-License-Identifier: Apache-2.0
#include "compiler/package/resolve.h"

#include <algorithm>
#include <map>

#include "compiler/package/toml.h"
#include "matcher/target.h"

namespace rulec {

namespace fs = std::filesystem;

Result<std::vector<IndexEntry>> read_index(const fs::path& file) {
  auto toml = read_toml(file);
  if (!toml) return toml.error();
  std::vector<IndexEntry> out;
  const TomlValue* list = toml->find("package");
  if (list == nullptr || list->list() == nullptr) return out;
  for (const TomlValue& entry : *list->list()) {
    IndexEntry one;
    one.name = entry.text("name");
    one.hash = entry.text("hash");
    auto version = parse_version(entry.text("version"));
    if (!version || one.name.empty())
      return make_error("{}:{}: an entry needs name and version", file.string(), entry.line);
    one.version = std::move(*version);
    if (entry.find("git") != nullptr)
      one.source = {PackageSource::Kind::Git, entry.text("git"), entry.text("rev"),
                    entry.text("folder")};
    else
      one.source = {PackageSource::Kind::Path, entry.text("path"), "", ""};
    out.push_back(std::move(one));
  }
  return out;
}

namespace {

// Somebody wants a package.
struct Wish {
  Dependency what;
  std::string by;                  // "`acme.detect` 1.2.0"
  fs::path folder;                 // that its paths are relative to
  std::vector<std::string> chain;  // names from the root down to who wants it
};

struct Candidate {
  Manifest manifest;
  PackageSource source;  // with a path relative to the lock
  std::string hash;
};

class Search {
 public:
  Search(const Manifest& root, const std::vector<fs::path>& rule_path, const Version& rulec)
      : root_(root), rule_path_(rule_path), rulec_(rulec) {}

  Result<Lock> run() {
    std::vector<Wish> wishes;
    add_wishes(root_, {root_.name}, wishes);
    if (!solve(std::move(wishes))) return Error{conflict_};
    Lock lock;
    lock.folder = root_.folder;
    for (const auto& [name, chosen] : chosen_) {
      LockedPackage package{name, chosen.manifest.version, chosen.source, chosen.hash, {}};
      for (const Wish& wish : granted_)
        if (wish.what.name == name) package.needed_by.push_back(wish.chain.back());
      std::sort(package.needed_by.begin(), package.needed_by.end());
      lock.packages.push_back(std::move(package));
    }
    return lock;
  }

 private:
  static void add_wishes(const Manifest& manifest, const std::vector<std::string>& chain,
                         std::vector<Wish>& out) {
    for (const Dependency& dependency : manifest.dependencies)
      out.push_back({dependency, fmt::format("`{}` {}", manifest.name, to_string(manifest.version)),
                     manifest.folder, chain});
  }

  // The first reason is of the newest versions, which a reader has in mind.
  bool refuse(std::string why) {
    if (conflict_.empty()) conflict_ = std::move(why);
    return false;
  }

  static std::string range_text(const Dependency& wish) {
    return wish.range.text.empty() ? "any version" : wish.range.text;
  }

  // Depth first, newest versions first; what was chosen is taken back where it leads nowhere.
  bool solve(std::vector<Wish> wishes) {
    if (wishes.empty()) return true;
    Wish wish = std::move(wishes.back());
    wishes.pop_back();
    const std::string& name = wish.what.name;
    if (std::find(wish.chain.begin(), wish.chain.end(), name) != wish.chain.end())
      return refuse(fmt::format("packages need one another in a circle: {} → {}",
                                fmt::join(wish.chain, " → "), name));
    if (const auto there = chosen_.find(name); there != chosen_.end()) {
      if (!wish.what.range.holds(there->second.manifest.version)) {
        std::string others;
        for (const Wish& other : granted_)
          if (other.what.name == name)
            others += fmt::format("{}{} wants {}", others.empty() ? "" : ", ", other.by,
                                  range_text(other.what));
        return refuse(fmt::format(
            "no version of `{}` suits all: {} wants {}, but {} (which gives {}); widen one of the "
            "ranges, or use versions of these packages that agree",
            name, wish.by, range_text(wish.what), others,
            to_string(there->second.manifest.version)));
      }
      granted_.push_back(wish);
      if (solve(std::move(wishes))) return true;
      granted_.pop_back();
      return false;
    }
    const std::vector<Candidate>& candidates = candidates_of(wish);
    std::string offered;
    for (const Candidate& candidate : candidates) {
      const Version& version = candidate.manifest.version;
      offered += fmt::format("{}{}", offered.empty() ? "" : ", ", to_string(version));
      if (!wish.what.range.holds(version)) continue;
      if (!candidate.manifest.rulec.holds(rulec_)) {
        refuse(fmt::format("`{}` {} is for rulec {}; this is {}", name, to_string(version),
                           candidate.manifest.rulec.text, to_string(rulec_)));
        continue;
      }
      std::vector<Wish> rest = wishes;
      std::vector<std::string> chain = wish.chain;
      chain.push_back(name);
      add_wishes(candidate.manifest, chain, rest);
      chosen_.emplace(name, candidate);
      granted_.push_back(wish);
      if (solve(std::move(rest))) return true;
      granted_.pop_back();
      chosen_.erase(name);
    }
    if (!offered.empty())
      refuse(fmt::format("{} wants `{}` {}; there is {}", wish.by, name, range_text(wish.what),
                         offered));
    return false;
  }

  const std::vector<Candidate>& candidates_of(const Wish& wish) {
    const std::string key =
        fmt::format("{}|{}|{}", wish.what.name, wish.folder.string(), wish.what.source.text());
    if (const auto known = candidates_.find(key); known != candidates_.end()) return known->second;
    std::vector<Candidate> found;
    const auto take = [&](Result<fs::path> folder, PackageSource source,
                          const std::string& hash = "") {
      if (!folder) {
        refuse(fmt::format("{} wants `{}`: {}", wish.by, wish.what.name, folder.error().message));
        return;
      }
      auto manifest = read_manifest(*folder);
      auto bytes = package_hash(*folder);
      if (!manifest || !bytes) {
        refuse(fmt::format("{} wants `{}`: {}", wish.by, wish.what.name,
                           (manifest ? bytes.error() : manifest.error()).message));
        return;
      }
      if (manifest->name != wish.what.name) {
        refuse(fmt::format("{} wants `{}`, but {} holds `{}`", wish.by, wish.what.name,
                           source.text(), manifest->name));
        return;
      }
      if (!hash.empty() && hash != *bytes) {
        refuse(fmt::format("`{}` {} is not what its index says: its hash is {}, the index has {}",
                           manifest->name, to_string(manifest->version), bytes->substr(0, 19),
                           hash.substr(0, 19)));
        return;
      }
      found.push_back({std::move(*manifest), std::move(source), std::move(*bytes)});
    };
    PackageSource source = wish.what.source;
    switch (source.kind) {
      case PackageSource::Kind::Path: {
        const fs::path folder = wish.folder / source.place;
        source.place = folder.lexically_proximate(root_.folder).generic_string();
        take(folder, source);
        break;
      }
      case PackageSource::Kind::Git: {
        auto folder = fetch_git(source);
        take(std::move(folder), source);
        break;
      }
      case PackageSource::Kind::Index:
        from_index(wish, take);
        break;
      case PackageSource::Kind::Library:
        from_library(wish, take);
        break;
    }
    std::sort(found.begin(), found.end(), [](const Candidate& a, const Candidate& b) {
      return compare_versions(a.manifest.version, b.manifest.version) > 0;
    });
    return candidates_[key] = std::move(found);
  }

  template <typename Take>
  void from_index(const Wish& wish, const Take& take) {
    const fs::path file = wish.folder / wish.what.source.place;
    auto entries = read_index(file);
    if (!entries) {
      refuse(fmt::format("{} wants `{}`: {}", wish.by, wish.what.name, entries.error().message));
      return;
    }
    bool named = false;
    for (const IndexEntry& entry : *entries) {
      if (entry.name != wish.what.name) continue;
      named = true;
      if (!wish.what.range.holds(entry.version)) continue;
      PackageSource source = entry.source;
      if (source.kind == PackageSource::Kind::Git) {
        auto folder = fetch_git(source);
        take(std::move(folder), source, entry.hash);
        continue;
      }
      const fs::path folder = file.parent_path() / source.place;
      source.place = folder.lexically_proximate(root_.folder).generic_string();
      take(folder, source, entry.hash);
    }
    if (!named)
      refuse(fmt::format("{} wants `{}`, which {} does not list", wish.by, wish.what.name,
                         wish.what.source.place));
    else
      refuse(fmt::format("{} wants `{}` {}; {} has no such version", wish.by, wish.what.name,
                         range_text(wish.what), wish.what.source.place));
  }

  template <typename Take>
  void from_library(const Wish& wish, const Take& take) {
    std::error_code code;
    for (const fs::path& folder : rule_path_)
      if (const fs::path there = folder / package_path(wish.what.name);
          fs::is_regular_file(there / manifest_name, code)) {
        take(there, wish.what.source);
        return;
      }
    refuse(
        fmt::format("{} wants `{}`, which is not on the rule path; give it a path, git or index "
                    "in [dependencies]",
                    wish.by, wish.what.name));
  }

  const Manifest& root_;
  const std::vector<fs::path>& rule_path_;
  const Version& rulec_;
  std::map<std::string, Candidate> chosen_;
  std::vector<Wish> granted_;
  std::map<std::string, std::vector<Candidate>> candidates_;
  std::string conflict_;
};

}  // namespace

Result<Lock> resolve_packages(const Manifest& root, const std::vector<fs::path>& rule_path,
                              const Version& rulec_version) {
  return Search(root, rule_path, rulec_version).run();
}

}  // namespace rulec
