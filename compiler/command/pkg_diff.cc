// SPDX-License-Identifier: Apache-2.0
// `rulec pkg diff OLD NEW`: what changes for those who use a package.
#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "compiler/command/command.h"
#include "compiler/command/console.h"
#include "compiler/command/rule_trial.h"
#include "compiler/command/test_model.h"
#include "compiler/compile.h"
#include "compiler/package/manifest.h"
#include "matcher/onnx_io.h"
#include "matcher/rewrite.h"

namespace rulec::command {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

struct NamedRule {
  RuleId id;
  std::string text;  // without its name, spaces made one
};

// One side: its rules by name, and what its tests apply them to.
struct Side {
  RuleFiles files;
  CompiledRules compiled;
  std::map<std::string, NamedRule> rules;
};

struct Change {
  std::string what;  // added, removed, renamed, widened, narrowed, moved, rewritten
  std::string rule;
  std::string detail;
};

std::string one_spaced(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t';
    if (space && (out.empty() || out.back() == ' ')) continue;
    out += space ? ' ' : c;
  }
  return out;
}

Result<Side> load_side(const std::string& what, const std::vector<fs::path>& rule_path) {
  Side out;
  std::vector<std::string> names;
  std::error_code code;
  if (fs::is_directory(what, code)) {
    for (const fs::path& file : package_files(what))
      if (file.extension() == ".rules") names.push_back((fs::path(what) / file).string());
    if (names.empty()) return make_error("`{}` holds no rule files", what);
  } else {
    names = {what};
  }
  auto files = load_rule_files(names, rule_path);
  if (!files) return files.error();
  out.files = std::move(*files);
  std::vector<std::string> settings;
  auto compiled = compile_rules(out.files, {}, settings);
  if (!compiled) return make_error("`{}` does not compile:\n{}", what, out.files.render());
  out.compiled = std::move(*compiled);
  std::map<std::string, std::string> texts;  // "file:name"
  for (const RuleFile& file : out.files.files)
    if (file.requested && file.file)
      for (const ast::Item& item : file.file->items)
        if (const auto* rule = std::get_if<ast::Rule>(&item); rule && rule->name) {
          std::string_view text = file.source->text();
          text = text.substr(rule->name->span.end, rule->span.end - rule->name->span.end);
          texts[std::string(file.source->name()) + ":" + rule->name->text] = one_spaced(text);
        }
  for (std::uint32_t i = 0; i < out.compiled.rules.rules.size(); ++i) {
    const Rule& rule = out.compiled.rules.rules[i];
    const auto text = texts.find(rule.place.file + ":" + rule.name);
    if (text == texts.end() || rule.name.starts_with("_")) continue;
    const std::string name = rule.package.empty() ? rule.name : rule.package + "." + rule.name;
    out.rules[name] = {RuleId{i}, text->second};
  }
  return out;
}

struct Specimen {
  std::string name;
  Model model;
};

// The models of a folder, and the graphs of both sides' tests.
std::vector<Specimen> corpus_of(const PkgOptions& options, const Side& a, const Side& b) {
  std::vector<Specimen> out;
  std::error_code code;
  std::vector<fs::path> paths;
  if (!options.corpus.empty())
    for (fs::recursive_directory_iterator it(options.corpus, code), end; !code && it != end;
         it.increment(code))
      if (it->path().extension() == ".onnx" || it->path().extension() == ".onnxtxt")
        paths.push_back(it->path());
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    auto model = import_onnx(path);
    if (!model) {
      complain("note: {}", model.error().message);
      continue;
    }
    std::vector<std::string> warnings;
    infer_types(*model, warnings);
    out.push_back({path.lexically_relative(options.corpus).string(), std::move(*model)});
  }
  for (const Side* side : {&a, &b})
    for (const RuleTest& test : side->compiled.tests)
      if (auto model = load_test_model(side->compiled.rules, side->compiled.ops, test, 0))
        out.push_back({"test \"" + test.title + "\"", std::move(*model)});
  return out;
}

// How often the rule alone fires on each specimen.
std::vector<std::int64_t> firings(const Side& side, RuleId id,
                                  const std::vector<Specimen>& corpus) {
  const RuleSet alone = only(side.compiled.rules, std::span(&id, 1));
  rulec::RewriteOptions options;
  options.allow_approx = options.allow_unsafe = true;
  options.near_misses = false;
  options.situation = situation_for(side.compiled.rules, std::span(&id, 1));
  std::vector<std::int64_t> out;
  for (const Specimen& specimen : corpus) {
    Model model = specimen.model;
    auto report = rewrite(model, alone, side.compiled.ops, options);
    out.push_back(report ? static_cast<std::int64_t>(report->firings.size()) : -1);
  }
  return out;
}

Change compare(const std::string& name, const Side& a, const Side& b,
               const std::vector<Specimen>& corpus) {
  const auto before = firings(a, a.rules.at(name).id, corpus);
  const auto after = firings(b, b.rules.at(name).id, corpus);
  std::size_t more = 0, fewer = 0;
  std::string where;
  for (std::size_t i = 0; i < corpus.size(); ++i) {
    more += after[i] > before[i];
    fewer += after[i] < before[i];
    if (after[i] != before[i] && where.empty())
      where = ::fmt::format("{}: {} before, {} now", corpus[i].name, before[i], after[i]);
  }
  const char* what = more > 0 && fewer > 0 ? "moved"
                     : more > 0            ? "widened"
                     : fewer > 0           ? "narrowed"
                                           : "rewritten";
  return {what, name,
          where.empty() ? ::fmt::format("fires as before on {} models", corpus.size()) : where};
}

}  // namespace

int package_diff(const PkgOptions& options) {
  const auto rule_path = default_rule_path({options.rule_path.begin(), options.rule_path.end()});
  auto old_side = load_side(options.source, rule_path);
  auto new_side = load_side(options.other, rule_path);
  for (const auto* side : {&old_side, &new_side})
    if (!*side) {
      complain("{}", side->error().message);
      return input_fault;
    }
  const Side &a = *old_side, &b = *new_side;
  std::vector<Change> changes;
  std::map<std::string, std::string> gone;  // text → name
  for (const auto& [name, rule] : a.rules)
    if (!b.rules.contains(name)) gone[rule.text] = name;
  for (const auto& [name, rule] : b.rules) {
    if (a.rules.contains(name)) continue;
    if (const auto old = gone.find(rule.text); old != gone.end()) {
      changes.push_back({"renamed", name, "was " + old->second});
      gone.erase(old);
    } else {
      changes.push_back({"added", name, ""});
    }
  }
  for (const auto& [text, name] : gone)
    changes.push_back({"removed", name, ""});
  std::vector<std::string> changed;
  for (const auto& [name, rule] : a.rules)
    if (const auto now = b.rules.find(name); now != b.rules.end() && now->second.text != rule.text)
      changed.push_back(name);
  if (!changed.empty()) {
    const std::vector<Specimen> corpus = corpus_of(options, a, b);
    Progress progress("trying rules");
    for (std::size_t i = 0; i < changed.size(); ++i) {
      progress.at(i, changed.size());
      changes.push_back(compare(changed[i], a, b, corpus));
    }
  }
  if (options.json) {
    Json out = Json::array();
    for (const Change& change : changes)
      out.push_back({{"change", change.what}, {"rule", change.rule}, {"detail", change.detail}});
    ::fmt::print("{}\n",
                 Json{{"old", options.source}, {"new", options.other}, {"changes", out}}.dump(
                     2, ' ', false, Json::error_handler_t::replace));
    return done;
  }
  for (const Change& change : changes)
    ::fmt::print("{:9}  {}{}{}\n", change.what, change.rule, change.detail.empty() ? "" : "  ",
                 change.detail);
  if (changes.empty()) ::fmt::print("nothing that users see has changed\n");
  return done;
}

}  // namespace rulec::command
