// SPDX-License-Identifier: Apache-2.0
// `rulec doc`: a page of packages, each rule with its equation, class and tests.
#include <algorithm>
#include <map>

#include "compiler/command/command.h"
#include "compiler/command/console.h"
#include "compiler/compile.h"
#include "compiler/library_path.h"
#include "compiler/package/manifest.h"
#include "matcher/file.h"

namespace rulec::command {

namespace fs = std::filesystem;

static std::string in_cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

// What a rule without a doc comment says of itself: its text on one line.
static std::string text_of(const RuleFile& file, const Rule& rule) {
  static constexpr std::size_t most = 120;
  std::string out;
  for (const char c :
       file.source->text().substr(rule.place.begin, rule.place.end - rule.place.begin)) {
    const bool space = c == ' ' || c == '\n' || c == '\t';
    if (!space)
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  if (const std::size_t name = out.find(": "); out.starts_with("rule ") && name != out.npos)
    out.erase(0, name + 2);
  if (out.size() > most) {
    std::size_t end = most;
    while ((static_cast<unsigned char>(out[end]) & 0xC0) == 0x80)
      --end;
    out = out.substr(0, end) + "…";
  }
  return "`" + out + "`";
}

// "exact", "equivalent (1e-05)": with the tolerance that its tests are held to.
static std::string class_text(const Rule& rule) {
  const PrecisionClass& precision = rule.precision;
  std::string out;
  switch (precision.kind) {
    case PrecisionClass::Kind::Exact:
      out = "exact";
      break;
    case PrecisionClass::Kind::Equivalent:
      out = ::fmt::format("equivalent, {:g}", precision.tolerance > 0 ? precision.tolerance : 1e-5);
      break;
    case PrecisionClass::Kind::Assuming:
      out = "assuming: " + precision.text;
      break;
    case PrecisionClass::Kind::Approx:
      out = ::fmt::format("approx, {:g}", precision.tolerance);
      break;
    case PrecisionClass::Kind::Unsafe:
      out = "unsafe: " + precision.text;
      break;
  }
  for (const Assumption& one : rule.assuming)
    out += "; assuming: " + one.text;
  return out;
}

static std::string target_text(const TargetRange& target) {
  std::string out = target.name;
  for (const TargetRange::Bound& bound : target.bounds)
    out += ::fmt::format(" {} {}", bound.relation, ::fmt::join(bound.version, "."));
  return out;
}

// Where it applies: opsets that it needs, the range of its package, targets.
static std::string where_text(const Rule& rule, const std::string& package_opset) {
  std::string out = package_opset.empty() ? "" : "opset " + package_opset;
  const auto add = [&](const std::string& more) {
    if (!more.empty()) out += (out.empty() ? "" : "; ") + more;
  };
  if (rule.requires_opset)
    add(::fmt::format("opset {} {}{}", rule.requires_opset->relation, rule.requires_opset->version,
                      rule.requires_opset->otherwise ? ", else another form" : ""));
  if (rule.target) add(target_text(*rule.target));
  return out.empty() ? "any opset" : out;
}

// The page of these rule files.
static std::string page_of(const RuleFiles& files, const CompiledRules& compiled) {
  std::map<std::string, std::vector<std::size_t>> packages;  // name → indices of files
  for (std::size_t i = 0; i < files.files.size(); ++i)
    if (files.files[i].requested) packages[files.files[i].package].push_back(i);
  std::string out =
      "# Rules\n\nEach rule of the packages, as `rulec doc` writes it from the rule files. The "
      "number is the tolerance to which tests hold a rule, relative and absolute. Rules have "
      "generated tests besides those counted here; what a template replaces (region) is proven on "
      "the model at hand.\n";
  for (const auto& [package, indices] : packages) {
    const RuleFile& first = files.files[indices.front()];
    out += ::fmt::format("\n## `{}` {}\n", package.empty() ? "scripts" : package,
                         first.package_version);
    std::string rows, templates;
    for (const std::size_t index : indices) {
      const RuleFile& file = files.files[index];
      for (std::uint32_t i = 0; i < compiled.rules.rules.size(); ++i) {
        const Rule& rule = compiled.rules.rules[i];
        if (rule.place.file != file.source->name() || rule.name.starts_with("_")) continue;
        const auto tests =
            std::count_if(compiled.tests.begin(), compiled.tests.end(), [&](const RuleTest& test) {
              return std::find(test.rules.begin(), test.rules.end(), RuleId{i}) != test.rules.end();
            });
        rows += ::fmt::format(
            "| `{}` | {} | {} | {} | {}{} |\n", rule.name,
            in_cell(rule.doc.empty() ? text_of(file, rule) : rule.doc), in_cell(class_text(rule)),
            in_cell(where_text(rule, file.package_opset)), tests, rule.call ? ", region" : "");
      }
      for (const Template& one : compiled.rules.templates)
        if (one.place.file == file.source->name() && !one.name.starts_with("_"))
          templates += ::fmt::format("| `{}` | {} |\n", one.name, in_cell(one.doc));
    }
    if (!templates.empty()) out += "\n| template | is |\n|---|---|\n" + templates;
    if (!rows.empty())
      out += "\n| rule | equation | class | applies | tests |\n|---|---|---|---|---|\n" + rows;
  }
  return out;
}

// The rule files of the library that came with the command.
static std::vector<std::string> library_files() {
  std::vector<std::string> out;
  const auto folders = library_rule_path();
  if (folders.empty()) return out;
  std::error_code code;
  for (fs::recursive_directory_iterator it(folders.front(), code), end; !code && it != end;
       it.increment(code))
    if (it->path().extension() == ".rules") out.push_back(it->path().string());
  std::sort(out.begin(), out.end());
  return out;
}

int doc(const DocOptions& options) {
  std::vector<std::string> names = options.rules.rules;
  if (names.empty()) names = library_files();
  auto files = load_rule_files(
      names, default_rule_path({options.rules.rule_path.begin(), options.rules.rule_path.end()}));
  if (!files) {
    complain("{}", files.error().message);
    return input_fault;
  }
  // A file's own path says nothing of its package's opsets: its manifest does.
  for (RuleFile& file : files->files) {
    std::error_code code;
    for (fs::path folder = file.path.parent_path(); !folder.empty();
         folder = folder.parent_path()) {
      if (fs::exists(folder / manifest_name, code)) {
        if (auto manifest = read_manifest(folder)) file.package_opset = manifest->opset.text;
        break;
      }
      if (folder == folder.parent_path()) break;
    }
  }
  std::vector<std::string> settings;
  auto compiled = compile_rules(*files, {}, settings);
  ::fmt::print(stderr, "{}", compiled ? "" : files->render());
  if (!compiled) return input_fault;
  const std::string page = page_of(*files, *compiled);
  if (options.out.empty()) {
    ::fmt::print("{}", page);
    return done;
  }
  if (options.check) {
    auto there = MappedFile::open(options.out);
    if (there && (*there)->bytes() == page) return done;
    complain("{} is not what the rule files say; `rulec doc -o {}` writes it anew", options.out,
             options.out);
    return input_fault;
  }
  if (Status written = write_file(options.out, page); !written) {
    complain("{}", written.error().message);
    return input_fault;
  }
  return done;
}

}  // namespace rulec::command
