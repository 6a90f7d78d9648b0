// SPDX-License-Identifier: Apache-2.0
#include "compiler/rule_files.h"

#include <algorithm>
#include <map>
#include <set>
#include <system_error>

#include "compiler/rule_path.h"
#include "grammar/parse.h"
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

namespace {

// Loads files depth first, so that imports stand before their importers; a file that is being
// loaded is not entered again, so cycles of imports end.
class Loader {
 public:
  Loader(const std::vector<fs::path>& rule_path, RuleFiles& out)
      : packages_(rule_path), out_(out) {}

  Status read_locks(const std::vector<std::string>& names) { return packages_.read_locks(names); }

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
    if (names_file(name)) {
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
    auto paths = packages_.find(name);
    if (!paths) return paths.error();
    std::string opset;
    if (auto range = packages_.manifest_opset(paths->front()); range)
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
    if (!in) return make_error("{}", why_not_opened(path));
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

  Result<std::vector<std::size_t>> load_import(const ast::Import& import, const fs::path& from) {
    if (!import.is_path) return load_package(import.what.text);
    auto index = load_file(from.parent_path() / import.what.text, import.what.text);
    if (!index) return index.error();
    return std::vector<std::size_t>{*index};
  }

  RulePath packages_;
  RuleFiles& out_;
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
