// SPDX-License-Identifier: Apache-2.0
#include "compiler/rule_files.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <set>
#include <system_error>

#include "compiler/library_path.h"
#include "compiler/package/lock.h"
#include "grammar/parse.h"
#include "matcher/edit_distance.h"
#include "matcher/file.h"

namespace rulec {

namespace fs = std::filesystem;

// Every run sees these packages without importing them.
static constexpr std::string_view prelude[] = {"std", "tensorrt.nms"};

// Whether a pipeline or a test names `package` as a whole.
static bool names_whole(const ast::File& file, std::string_view package) {
  const auto is_it = [&](const ast::Name& name) { return name.text == package; };
  return std::any_of(file.items.begin(), file.items.end(), [&](const ast::Item& item) {
    if (const auto* test = std::get_if<ast::Test>(&item))
      return std::any_of(test->rules.begin(), test->rules.end(), is_it);
    const auto* pipeline = std::get_if<ast::Pipeline>(&item);
    return pipeline != nullptr &&
           std::any_of(pipeline->steps.begin(), pipeline->steps.end(), [&](const auto& step) {
             return std::any_of(step.parts.begin(), step.parts.end(),
                                [&](const auto& part) { return is_it(part.name); });
           });
  });
}

bool RuleFiles::has_errors() const {
  return std::any_of(files.begin(), files.end(),
                     [](const RuleFile& file) { return file.diagnostics.has_errors(); });
}

std::string RuleFiles::render() const {
  std::string out;
  for (const RuleFile& file : files)
    out += rulec::render(*file.source, file.diagnostics);
  return out;
}

Diagnostics RuleFiles::all_diagnostics() const {
  Diagnostics out;
  for (const RuleFile& file : files)
    for (Diagnostic diagnostic : file.diagnostics.all()) {
      if (diagnostic.source == nullptr) diagnostic.source = file.source.get();
      out.add(std::move(diagnostic));
    }
  return out;
}

std::vector<fs::path> default_rule_path(std::vector<fs::path> extra) {
  std::vector<fs::path> out = std::move(extra);
  if (const char* variable = std::getenv("RULEC_PATH")) {
    std::string_view rest = variable;
    while (!rest.empty()) {
      const std::size_t colon = rest.find(':');
      if (colon != 0) out.emplace_back(rest.substr(0, colon));
      rest = colon == rest.npos ? std::string_view() : rest.substr(colon + 1);
    }
  }
  for (fs::path& folder : library_rule_path())
    out.push_back(std::move(folder));
  return out;
}

namespace {

// Loads files depth first, so that imports stand before their importers; a file that is being
// loaded is not entered again, so cycles of imports end.
class Loader {
 public:
  Loader(const std::vector<fs::path>& rule_path, RuleFiles& out)
      : rule_path_(rule_path), out_(out) {}

  // The locks that rule the files and packages that are asked for.
  Status read_locks(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      auto lock = find_lock(is_file(name) ? fs::path(name).parent_path() : fs::path());
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

  Status load_prelude() {
    for (std::string_view name : prelude) {
      auto indices = load_package(std::string(name), true);
      if (!indices) return indices.error();
      prelude_.insert(prelude_.end(), indices->begin(), indices->end());
    }
    return Done{};
  }

  // Parses the files of the prelude that what was parsed so far speaks of, and those that these
  // speak of.
  void wake_prelude() {
    for (const std::size_t index : prelude_)
      if (out_.files[index].outline.operators) wake(index);  // models speak of those
    for (std::size_t next = 0; next < parsed_.size(); ++next)
      if (out_.files[parsed_[next]].file) wake_for(parsed_[next]);
  }

  Status load_named(const std::string& name) {
    std::vector<std::size_t> indices;
    if (is_file(name)) {
      auto index = load_file(name, name);
      if (!index) return index.error();
      indices = {*index};
    } else {
      auto all = load_package(name);
      if (!all) return all.error();
      indices = std::move(*all);
    }
    for (std::size_t index : indices)
      out_.files[index].requested = true;
    return Done{};
  }

  Result<std::vector<std::size_t>> load_package(const std::string& name, bool dormant = false) {
    auto paths = find_package(name);
    if (!paths) return paths.error();
    std::string opset;
    if (auto range = manifest_opset(paths->front()); range)
      opset = std::move(*range);
    else
      return range.error();
    std::vector<std::size_t> out;
    for (const fs::path& path : *paths) {
      auto index = load_file(path, name, dormant);
      if (!index) return index.error();
      out_.files[*index].package_opset = opset;
      out.push_back(*index);
    }
    return out;
  }

  Result<std::size_t> load_file(const fs::path& path, const std::string& shown,
                                bool dormant = false) {
    std::error_code code;
    const fs::path canonical = fs::weakly_canonical(path, code);
    if (auto known = by_path_.find(canonical.string()); known != by_path_.end()) {
      if (!dormant) wake(known->second);
      return known->second;
    }
    if (loading_.contains(canonical.string()))
      return make_error("`{}` imports itself, directly or through others", shown);
    if (fs::is_directory(path, code))
      return make_error("`{}` is a folder, not a rule file; name a file, or a package by its name",
                        path.string());
    const auto in = MappedFile::open(path);
    if (!in) return make_error("{}", cannot_open(path));
    std::string text((*in)->bytes());
    if (!dormant) return load_text(path, canonical.string(), std::move(text));
    RuleFile file = new_file(path, std::move(text));
    file.dormant = true;
    file.outline = outline(file.source->text());
    file.package = file.outline.package;
    return add(std::move(file), canonical.string());
  }

  Result<std::size_t> load_text(const fs::path& path, const std::string& key, std::string text) {
    RuleFile file = new_file(path, std::move(text));
    loading_.insert(key);
    parse_into(file);
    loading_.erase(key);
    const std::size_t index = add(std::move(file), key);
    parsed_.push_back(index);
    return index;
  }

 private:
  RuleFile new_file(const fs::path& path, std::string text) const {
    RuleFile file;
    file.path = path;
    file.source = std::make_unique<Source>(path.string(), std::move(text));
    file.imports = prelude_;
    return file;
  }

  std::size_t add(RuleFile file, const std::string& key) {
    const std::size_t index = out_.files.size();
    out_.files.push_back(std::move(file));
    by_path_[key] = index;
    return index;
  }

  // Parses the file's text and loads what it imports.
  void parse_into(RuleFile& file) {
    file.file = parse(*file.source, file.diagnostics);
    if (!file.file) return;
    if (file.file->package) {
      file.package = file.file->package->name.text;
      file.package_version = file.file->package->version.text;
    }
    for (const ast::Item& item : file.file->items)
      if (const auto* import = std::get_if<ast::Import>(&item)) {
        auto imported = load_import(*import, file.path);
        if (!imported) {
          file.diagnostics.error(DiagnosticKind::UnknownPackage, import->what.span, "{}",
                                 imported.error().message);
          continue;
        }
        if (import->as) file.aliases[import->as->text] = *imported;
        for (std::size_t other : *imported)
          if (std::find(file.imports.begin(), file.imports.end(), other) == file.imports.end())
            file.imports.push_back(other);
      }
  }

  // Parses a dormant file, in its place.
  void wake(std::size_t index) {
    if (!out_.files[index].dormant) return;
    out_.files[index].dormant = false;
    RuleFile file = std::move(out_.files[index]);  // the list grows by what it imports
    parse_into(file);
    out_.files[index] = std::move(file);
    parsed_.push_back(index);
  }

  // Wakes what a parsed file may mean: what it calls, what stands behind a package's name, a
  // package as a whole, and within one package any name at all.
  void wake_for(std::size_t speaker) {
    const std::set<std::string_view> words = words_of(out_.files[speaker].source->text());
    std::set<std::string, std::less<>> packages;
    for (const std::size_t index : prelude_)
      packages.insert(out_.files[index].package);
    for (const std::string& package : packages) {
      const bool own = out_.files[speaker].package == package;
      const auto named = named_in(package, words);
      const bool whole = !named || names_whole(*out_.files[speaker].file, package);
      for (const std::size_t index : prelude_) {
        if (out_.files[index].package != package) continue;
        const Outline& outline = out_.files[index].outline;
        const bool meant = whole ||
                           std::any_of(words.begin(), words.end(),
                                       [&](std::string_view word) {
                                         return outline.declares_call(word) ||
                                                (own && outline.declares_member(word));
                                       }) ||
                           std::any_of(named->begin(), named->end(), [&](std::string_view name) {
                             return outline.declares_member(name);
                           });
        if (meant) wake(index);
      }
    }
  }

  // The names that stand behind `package.`; nothing where a file says one that it does not
  // declare: a message then tells what it has.
  std::optional<std::vector<std::string_view>> named_in(
      const std::string& package, const std::set<std::string_view>& words) const {
    std::vector<std::string_view> out;
    const std::string prefix = package + '.';
    for (auto word = words.lower_bound(prefix); word != words.end() && word->starts_with(prefix);
         ++word) {
      std::string_view name = word->substr(prefix.size());
      name = name.substr(0, name.find('.'));
      const bool known = std::any_of(prelude_.begin(), prelude_.end(), [&](std::size_t index) {
        const RuleFile& file = out_.files[index];
        return file.package == package &&
               (file.outline.declares_call(name) || file.outline.declares_member(name));
      });
      if (!known) return std::nullopt;
      out.push_back(name);
    }
    return out;
  }

  static bool is_file(const std::string& name) {
    return name.find('/') != name.npos || name.ends_with(".rules");
  }

  // The opset range of the manifest above a package's file; an Error when the package is not for
  // this rulec.
  Result<std::string> manifest_opset(const fs::path& file) const {
    std::error_code code;
    fs::path folder = file.parent_path();
    for (int up = 0; up < 4 && !folder.empty(); ++up, folder = folder.parent_path()) {
      const bool root = std::any_of(rule_path_.begin(), rule_path_.end(),
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

  Result<std::vector<std::size_t>> load_import(const ast::Import& import, const fs::path& from) {
    if (!import.is_path) return load_package(import.what.text);
    auto index = load_file(from.parent_path() / import.what.text, import.what.text);
    if (!index) return index.error();
    return std::vector<std::size_t>{*index};
  }

  // The files of a package: `a.b` is a/b.rules, or every .rules file of the folder a/b.
  Result<std::vector<fs::path>> find_package(const std::string& name) const {
    std::string relative = name;
    std::replace(relative.begin(), relative.end(), '.', '/');
    for (const Lock& lock : locks_) {
      const LockedPackage* pinned = lock.find(name);
      if (pinned == nullptr) continue;
      auto folder = locked_folder(lock, *pinned, rule_path_);
      if (!folder) return folder.error();
      const fs::path inside =
          name == pinned->name ? fs::path() : package_path(name.substr(pinned->name.size() + 1));
      if (auto files = files_at(*folder, inside); !files.empty()) return files;
      return make_error("package `{}` {} has no part `{}`", pinned->name,
                        to_string(pinned->version), name);
    }
    for (const fs::path& folder : rule_path_)
      if (auto files = files_at(folder, relative); !files.empty()) return files;
    std::error_code code;
    if (fs::exists(name, code))
      return make_error(
          "`{}` is no rule file: those end in .rules; a folder of them is a package, found on the "
          "rule path (--rule-path)",
          name);
    std::string message = fmt::format("package `{}` is not on the rule path", name);
    const auto near = nearest_name(name, known_packages());
    if (!near.empty()) message += fmt::format("; did you mean `{}`?", near);
    if (name.ends_with(".rules"))
      message += fmt::format("; a file is imported by its path: `import ./{}`", name);
    message += fmt::format(" (looked in {})", fmt::join(folders(), ", "));
    return Error{message};
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

  static std::string cannot_open(const fs::path& path) {
    const std::string why = std::generic_category().message(errno);
    const fs::path parent = path.parent_path();
    const fs::path folder = parent.empty() ? fs::path(".") : parent;
    std::error_code code;
    if (!fs::is_directory(folder, code))
      return ::fmt::format("the rule file `{}` cannot be opened: there is no folder `{}`",
                           path.string(), folder.string());
    std::vector<std::string> names;
    for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code))
      if (it->path().extension() == ".rules") names.push_back(it->path().filename().string());
    std::sort(names.begin(), names.end());
    const std::string near = nearest_name(path.filename().string(), names);
    return ::fmt::format(
        "the rule file `{}` cannot be opened: {}{}", path.string(), why,
        near.empty() ? "" : ::fmt::format("; did you mean `{}`?", (parent / near).string()));
  }

  // A folder as a reader knows it: from where he stands, where that is shorter.
  static std::string shown(const fs::path& folder) {
    std::error_code code;
    const fs::path here = fs::current_path(code);
    const std::string near = folder.lexically_relative(here).string();
    return near.empty() || near.starts_with("..") ? folder.string() : near;
  }

  // The library's own place is nobody's business, and another one on each machine.
  std::vector<std::string> folders() const {
    const std::vector<fs::path> library = library_rule_path();
    std::vector<std::string> out;
    for (const fs::path& folder : rule_path_)
      if (std::find(library.begin(), library.end(), folder) == library.end())
        out.push_back(shown(folder));
    out.emplace_back("the library of rulec");
    return out;
  }

  std::vector<std::string> known_packages() const {
    std::vector<std::string> out;
    for (const fs::path& folder : rule_path_) {
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

  const std::vector<fs::path>& rule_path_;
  RuleFiles& out_;
  std::vector<Lock> locks_;
  std::vector<std::size_t> prelude_;
  std::vector<std::size_t> parsed_;  // in the order of parsing
  std::map<std::string, std::size_t> by_path_;
  std::set<std::string> loading_;
};

}  // namespace

Result<RuleFiles> load_rule_files(const std::vector<std::string>& names,
                                  const std::vector<fs::path>& rule_path,
                                  const std::string& command_line) {
  RuleFiles out;
  Loader loader(rule_path, out);
  if (auto status = loader.read_locks(names); !status) return status.error();
  if (auto status = loader.load_prelude(); !status) return status.error();
  if (!command_line.empty()) {
    auto index = loader.load_text("<command line>", "<command line>", command_line);
    if (!index) return index.error();
    out.files[*index].requested = true;
  }
  for (const std::string& name : names)
    if (auto status = loader.load_named(name); !status) return status.error();
  loader.wake_prelude();
  return out;
}

Result<RuleFiles> load_rule_text(std::string name, std::string text,
                                 const std::vector<fs::path>& rule_path) {
  RuleFiles out;
  Loader loader(rule_path, out);
  if (auto status = loader.load_prelude(); !status) return status.error();
  auto index = loader.load_text(name, name, std::move(text));
  if (!index) return index.error();
  out.files[*index].requested = true;
  loader.wake_prelude();
  return out;
}

}  // namespace rulec
