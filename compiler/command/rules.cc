// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/rules.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <future>

#include "compiler/command/console.h"
#include "compiler/command/model_warnings.h"
#include "compiler/package/version.h"
#include "matcher/edit_distance.h"
#include "matcher/onnx_io.h"
#include "matcher/op_table.h"
#include "matcher/plugin_ops.h"
#include "matcher/target.h"

namespace rulec::command {

std::string FlagEdits::cite(std::string message) const {
  static constexpr std::string_view mark = "<command line>:";
  for (std::size_t at = 0; (at = message.find(mark, at)) != message.npos;) {
    std::size_t line = 0, column = 0;
    const char* const last = message.data() + message.size();
    const auto after = std::from_chars(message.data() + at + mark.size(), last, line);
    const char* end = after.ptr;
    if (end < last && *end == ':') end = std::from_chars(end + 1, last, column).ptr;
    const std::string flag =
        line > 0 && line <= flags.size() ? flags[line - 1] : "the command line";
    message.replace(at, static_cast<std::size_t>(end - message.data()) - at, flag);
    at += flag.size();
  }
  return message;
}

Or<LoadedRules> load_rules(const RuleOptions& options, const FlagEdits& edits) {
  LoadedRules out;
  if (!options.target.empty()) {
    auto situation = parse_target(options.target);
    if (!situation) {
      complain("--target: {}", situation.error().message);
      return usage_fault;
    }
    out.situation = *situation;
  }
  std::vector<std::filesystem::path> folders(options.rule_path.begin(), options.rule_path.end());
  auto files = load_rule_files(options.rules, default_rule_path(folders), edits.text);
  if (!files) {
    complain("{}", files.error().message);
    return input_fault;
  }
  out.files = std::move(*files);
  CompileOptions compile;
  compile.situation = out.situation;
  for (const std::string& setting : options.settings) {
    const std::size_t equals = setting.find('=');
    if (equals == setting.npos || equals == 0) {
      complain("--set {}: write name=value", setting);
      return usage_fault;
    }
    compile.settings.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
  }
  std::vector<std::string> setting_errors;
  auto compiled = compile_rules(out.files, compile, setting_errors);
  ::fmt::print(stderr, "{}", edits.cite(out.files.render()));
  if (out.files.has_errors()) return input_fault;
  for (const std::string& error : setting_errors)
    write_error(error);
  if (!setting_errors.empty()) return usage_fault;
  if (!compiled) return input_fault;
  out.compiled = std::move(*compiled);
  const std::string& target = out.situation.target;
  const auto& rules = out.compiled.rules.rules;
  if (!target.empty() && target != "cpu" && target != "tensorrt" && target != "onnxruntime" &&
      std::none_of(rules.begin(), rules.end(),
                   [&](const Rule& rule) { return rule.target && rule.target->name == target; })) {
    complain(
        "warning: --target {}: no rule is marked for it, and it is none of cpu, tensorrt and "
        "onnxruntime",
        target);
  }
  return out;
}

static std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

static std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t") - begin + 1));
}

// 'PATTERN : TYPE' at the last colon behind which a type stands: names may hold colons.
static bool split_typed(std::string_view text, std::string& name, std::string& type) {
  const std::size_t colon = text.rfind(" :");
  const std::size_t at = colon == text.npos ? text.rfind(':') : colon + 1;
  if (at == text.npos) return false;
  name = trimmed(text.substr(0, at));
  type = trimmed(text.substr(at + 1));
  return !name.empty() && !type.empty();
}

Or<FlagEdits> edits_of(const RewriteFlags& flags) {
  FlagEdits edits;
  edits.flags.emplace_back("the command line");
  std::string& out = edits.text;
  if (flags.opset != 0) {
    const int newest = OpTable().newest_opset("");
    if (flags.opset < 7 || flags.opset > newest) {
      complain("--opset {}: opsets 7 to {} are possible", flags.opset, newest);
      return usage_fault;
    }
    out += ::fmt::format("  opset = {}\n", flags.opset);
    edits.flags.push_back(::fmt::format("--opset {}", flags.opset));
  }
  for (const std::string& input : flags.inputs) {
    const std::size_t arrow = std::min(input.find("->"), input.find("→"));
    std::string name, type;
    const std::string left = input.substr(0, arrow);
    if (!split_typed(left, name, type)) {
      complain("--input '{}': write 'PATTERN : TYPE', or 'PATTERN : TYPE -> NAME : TYPE'", input);
      return usage_fault;
    }
    out += ::fmt::format("  input {} : {}", in_quotes(name), type);
    if (arrow != input.npos) {
      const std::string right = input.substr(arrow + (input[arrow] == '-' ? 2 : 3));
      if (!split_typed(right, name, type)) name = trimmed(right), type.clear();
      out += ::fmt::format(" -> {}", in_quotes(name));
      if (!type.empty()) out += " : " + type;
    }
    out += '\n';
    edits.flags.push_back(::fmt::format("--input '{}'", input));
  }
  for (const std::string& dim : flags.dims) {
    const std::size_t equals = dim.rfind('=');
    std::int64_t size = 0;
    const char* end = dim.data() + dim.size();
    if (equals == dim.npos || std::from_chars(dim.data() + equals + 1, end, size).ptr != end ||
        size < 0) {
      complain("--dim {}: write NAME=N", dim);
      return usage_fault;
    }
    out += ::fmt::format("  dim {} = {}\n", in_quotes(dim.substr(0, equals)), size);
    edits.flags.push_back(::fmt::format("--dim {}", dim));
  }
  if (!flags.outputs.empty()) {
    std::string names;
    for (const std::string& name : flags.outputs)
      names += (names.empty() ? "" : ", ") + in_quotes(name);
    out += ::fmt::format("  outputs = [{}]\n", names);
    edits.flags.push_back(::fmt::format("--outputs {}", ::fmt::join(flags.outputs, ",")));
  }
  if (!out.empty()) out = "edit {\n" + out + "}\n";
  return edits;
}

std::vector<RuleId> rules_called(const LoadedRules& rules, const std::string& name,
                                 std::vector<std::string>& names) {
  const RuleSet& set = rules.compiled.rules;
  std::vector<RuleId> seen, own, others;
  for (const Phase& phase : set.phases) {
    for (const RuleId id : phase.rules) {
      if (std::find(seen.begin(), seen.end(), id) != seen.end()) continue;
      seen.push_back(id);
      const Rule& rule = set[id];
      names.push_back(rule.name);
      if (!name.empty() && rule.name != name && rule.package + "." + rule.name != name) continue;
      const auto& files = rules.files.files;
      const bool requested = std::any_of(files.begin(), files.end(), [&](const RuleFile& file) {
        return file.requested && file.source->name() == rule.place.file;
      });
      (requested || name.empty() ? own : others).push_back(id);
    }
  }
  return own.empty() ? others : own;
}

// What a package's manifest says of opsets is a promise to users, not a condition: a warning.
static void check_opsets(const RuleFiles& files, std::int64_t opset, RewriteReport& report) {
  for (const RuleFile& file : files.files) {
    if (!file.requested || file.package_opset.empty()) continue;
    const auto range = parse_range(file.package_opset);
    if (range && !range->holds({static_cast<int>(opset)}))
      report.warnings.push_back(::fmt::format("package `{}` is made for opset {}; the model has {}",
                                              file.package, file.package_opset, opset));
  }
}

static double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Or<Rewritten> rewrite_model(const std::string& path, const RewriteFlags& flags,
                            std::optional<std::int64_t> most_firings) {
  Rewritten out;
  auto made = edits_of(flags);
  if (auto* status = std::get_if<int>(&made)) return *status;
  const FlagEdits& edits = std::get<FlagEdits>(made);
  // Rules are parsed, and ONNX's operators are made known, while the model is read. Reading it is
  // this thread's part: a large one takes memory that others would have to ask for bit by bit.
  const std::future<void> knowing = std::async(std::launch::async, register_plugin_operators);
  std::future<Or<LoadedRules>> compiling = std::async(std::launch::async, [&] {
    const auto start = std::chrono::steady_clock::now();
    auto rules = load_rules(flags.rules, edits);
    out.compile_seconds = seconds_since(start);
    return rules;
  });
  Progress loading("reading the model");
  const auto start = std::chrono::steady_clock::now();
  auto model = import_onnx(path);
  out.load_seconds = seconds_since(start);
  auto rules = compiling.get();
  if (auto* status = std::get_if<int>(&rules)) return *status;
  out.rules = std::move(std::get<LoadedRules>(rules));

  for (const std::string& expect : flags.expect) {
    const std::size_t equals = expect.rfind('=');
    std::int64_t count = 0;
    const char* end = expect.data() + expect.size();
    if (equals == expect.npos ||
        std::from_chars(expect.data() + equals + 1, end, count).ptr != end || count < 0) {
      complain("--expect {}: write RULE=N", expect);
      return usage_fault;
    }
    const std::string name = expect.substr(0, equals);
    std::vector<std::string> names;
    const std::vector<RuleId> meant = rules_called(out.rules, name, names);
    for (const RuleId id : meant) {
      Rule& rule = out.rules.compiled.rules.rules[id.index];
      rule.expect.push_back({"==", count, rule.place});
    }
    if (meant.empty()) {
      const std::string near = nearest_name(name, names);
      complain("--expect {}: there is no rule `{}`{}", expect, name,
               near.empty() ? "" : ::fmt::format("; did you mean `{}`?", near));
      return input_fault;
    }
  }

  if (most_firings) {
    for (Rule& rule : out.rules.compiled.rules.rules)
      rule.expect.clear();
    for (Phase& phase : out.rules.compiled.rules.phases)
      phase.expect.clear();
  }

  if (!model) {
    complain("{}", model.error().message);
    return input_fault;
  }
  out.model = std::move(*model);
  out.nodes_before = static_cast<std::int64_t>(out.model.live_nodes());
  out.opset = out.model.opset("");
  warn(model_warnings(out.model));
  if (out.rules.compiled.rules.phases.empty()) return out;

  Progress rewriting("rewriting");
  std::vector<std::string> warnings;
  infer_types(out.model, warnings, &out.rules.compiled.ops);
  rulec::RewriteOptions options;
  options.situation = out.rules.situation;
  options.strict = flags.strict;
  options.keep_shapes = flags.keep_shapes;
  options.seed = flags.seed;
  options.most_firings = most_firings;
  options.misses_of_fired = flags.misses_of_fired;
  options.verify = flags.verify == "off"     ? Verify::Off
                   : flags.verify == "final" ? Verify::Final
                                             : Verify::Each;
  for (const std::string& allow : flags.allow)
    (allow == "approx" ? options.allow_approx : options.allow_unsafe) = true;
  auto report =
      rulec::rewrite(out.model, out.rules.compiled.rules, out.rules.compiled.ops, options);
  if (!report) {
    complain("{}", edits.cite(report.error().message));
    return input_fault;
  }
  out.report = std::move(*report);
  out.report.warnings.insert(out.report.warnings.begin(), warnings.begin(), warnings.end());
  check_opsets(out.rules.files, out.opset, out.report);
  if (!most_firings) warn(out.report.warnings);
  out.rewrite_seconds = rewriting.seconds();
  return out;
}

}  // namespace rulec::command
