// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/report.h"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "matcher/label.h"

namespace rulec::command {

using Json = nlohmann::ordered_json;

std::vector<std::pair<std::string, std::size_t>> count_operators(const Model& model) {
  std::map<std::string, std::size_t> counts;
  for (std::uint32_t i = 0; i < model.node_capacity(); ++i)
    if (const GraphNode& node = model.node(NodeId{i}); node.alive)
      ++counts[node.domain.empty() ? std::string(node.type)
                                   : ::fmt::format("{}::{}", node.domain, node.type)];
  std::vector<std::pair<std::string, std::size_t>> out(counts.begin(), counts.end());
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return out;
}

std::vector<RuleStatistics> phase_rules(const Rewritten& rewritten) {
  std::vector<RuleStatistics> out;
  for (const RuleStatistics& statistics : rewritten.report.rules) {
    const auto& phases = rewritten.rules.compiled.rules.phases;
    if (std::any_of(phases.begin(), phases.end(), [&](const Phase& phase) {
          return std::find(phase.rules.begin(), phase.rules.end(), statistics.rule) !=
                 phase.rules.end();
        }))
      out.push_back(statistics);
  }
  return out;
}

static std::string numbers(const std::vector<double>& values) {
  if (values.size() == 1) return ::fmt::format("{:.7g}", values.front());
  std::string out = "[";
  for (double value : values)
    out += ::fmt::format("{}{:.7g}", out.size() > 1 ? ", " : "", value);
  return out + "]";
}

std::string listed(const std::vector<std::string>& names) {
  static constexpr std::size_t most = 12;
  if (names.empty()) return "nothing";
  if (names.size() <= most) return ::fmt::format("{}", ::fmt::join(names, ", "));
  return ::fmt::format("{} and {} more", ::fmt::join(names.begin(), names.begin() + most, ", "),
                       names.size() - most);
}

std::string_view origin_of(const Rule& rule, std::string_view capture) {
  const bool computed = std::any_of(rule.slots.begin(), rule.slots.end(), [&](const Slot& slot) {
    return slot.name == capture && slot.kind == SlotKind::Let;
  });
  return computed ? "computed" : "captured";
}

std::string proof_text(const Verification& verified) {
  return ::fmt::format("on {} probes (seed {}): largest difference {:.2g}, relative {:.2g}",
                       verified.trials, verified.seed, verified.max_abs, verified.max_rel);
}

Json proof_json(const Firing& firing) {
  if (!firing.verified) return nullptr;
  return {{"max_abs", firing.verified->max_abs},
          {"max_rel", firing.verified->max_rel},
          {"trials", firing.verified->trials},
          {"seed", firing.verified->seed},
          {"worst", firing.verified->worst}};
}

std::string text_report(const Rewritten& rewritten) {
  const RuleSet& rules = rewritten.rules.compiled.rules;
  const RewriteReport& report = rewritten.report;
  std::string out;
  const auto line = [&]<typename... Args>(::fmt::format_string<Args...> format, Args&&... args) {
    out += ::fmt::format(format, std::forward<Args>(args)...) + '\n';
  };
  for (const std::string& edit : report.edits)
    line("edit       {}", edit);
  // A rule that fired often says so once; the proofs of templates are told one by one.
  std::map<std::uint32_t, std::size_t> plain;
  for (const Firing& firing : report.firings) {
    const Rule& rule = rules[firing.rule];
    if (!firing.verified && firing.notes.empty()) {
      ++plain[firing.rule.index];
      continue;
    }
    line("fired      {} at `{}`: {} node{} became {}", rule.name, firing.root,
         firing.removed.size(), firing.removed.size() == 1 ? "" : "s", firing.added.size());
    for (const auto& [name, values] : firing.fitted)
      line("  found    {} = {}", name, numbers(values));
    for (const std::string& note : firing.notes)
      line("  note     {}", note);
    for (const std::string& adaptor : firing.adaptors)
      line("  adaptor  {}", adaptor);
    if (firing.verified) line("  proven   {}", proof_text(*firing.verified));
  }
  for (const auto& [rule, count] : plain)
    line("fired      {} {} time{}", rules.rules[rule].name, count, count == 1 ? "" : "s");
  const std::vector<RuleStatistics> run = phase_rules(rewritten);
  std::map<std::string, std::size_t> kept_back;
  for (const RuleStatistics& statistics : run) {
    if (statistics.fired > 0) continue;
    const auto miss = std::find_if(report.near_misses.begin(), report.near_misses.end(),
                                   [&](const NearMiss& m) { return m.rule == statistics.rule; });
    // Libraries bring many rules that have no business here; only near ones are worth a line.
    if (miss == report.near_misses.end()) {
      if (run.size() <= 8)
        line("not fired  {}: nothing in the model looks like it", rules[statistics.rule].name);
      continue;
    }
    if (!miss->root) {  // the request keeps it from firing, not the model
      if (run.size() <= 8) line("not fired  {}: {}", rules[statistics.rule].name, miss->found);
      ++kept_back[miss->found];
      continue;
    }
    line("not fired  {} at `{}`: {}", rules[statistics.rule].name,
         label(rewritten.model, miss->root),
         miss->expected.empty()
             ? miss->found
             : ::fmt::format("expected {}, found {}", miss->expected, miss->found));
  }
  if (report.firings.empty() && run.size() > 8) {
    for (const auto& [why, count] : kept_back)
      line("not fired  {} rules: {}", count, why);
  }
  if (rules.phases.empty())
    line(
        "nothing done: the rule files given hold no rule, edit or pipeline of their own; templates "
        "do nothing until a rule names them");
  return out;
}

static Json shape_of(const Type& type) {
  if (!type.dims) return nullptr;
  Json out = Json::array();
  for (const Dim& dim : *type.dims)
    if (dim.known())
      out.push_back(dim.size);
    else if (!dim.symbol.empty())
      out.push_back(dim.symbol);
    else
      out.push_back(nullptr);
  return out;
}

static Json interface_of(const Model& model, const std::vector<ValueId>& values) {
  Json out = Json::array();
  for (ValueId id : values) {
    const GraphValue& value = model.value(id);
    if (value.is_input && value.initializer) continue;
    out.push_back({{"name", value.name},
                   {"dtype", value.type.is_tensor() ? std::string(name(value.type.dtype))
                                                    : to_string(value.type)},
                   {"shape", shape_of(value.type)}});
  }
  return out;
}

static Json of_firing(const Firing& firing, const Rule& rule) {
  Json captures = Json::object(), fitted = Json::object();
  for (const auto& [name, value] : firing.captures)
    captures[name] = value;
  for (const auto& [name, values] : firing.fitted)
    fitted[name] = values.size() == 1 ? Json(values.front()) : Json(values);
  Json out = {{"rule", rule.name},         {"package", rule.package},     {"file", rule.place.file},
              {"line", rule.place.line},   {"phase", firing.phase},       {"root", firing.root},
              {"removed", firing.removed}, {"added", firing.added},       {"captures", captures},
              {"fitted", fitted},          {"adaptors", firing.adaptors}, {"notes", firing.notes}};
  out["verified"] = proof_json(firing);
  return out;
}

std::string json_report(const Rewritten& rewritten, const ReportPaths& paths) {
  const RuleSet& rules = rewritten.rules.compiled.rules;
  const RewriteReport& report = rewritten.report;
  Json firings = Json::array(), statistics = Json::array();
  for (const Firing& firing : report.firings)
    firings.push_back(of_firing(firing, rules[firing.rule]));
  for (const RuleStatistics& rule : phase_rules(rewritten)) {
    Json misses = Json::array();
    for (const NearMiss& miss : report.near_misses)
      if (miss.rule == rule.rule)
        misses.push_back({{"root", label(rewritten.model, miss.root)},
                          {"node", label(rewritten.model, miss.node)},
                          {"kind", miss.kind},
                          {"file", miss.place.file},
                          {"line", miss.place.line},
                          {"column", miss.place.column},
                          {"expected", miss.expected},
                          {"found", miss.found},
                          {"score", miss.matched}});
    statistics.push_back({{"rule", rules[rule.rule].name},
                          {"fired", rule.fired},
                          {"tried", rule.tried},
                          {"tests", rule.tests},
                          {"near_misses", misses},
                          {"seconds", rule.seconds}});
  }
  const GraphInfo& main = rewritten.model.graph(rewritten.model.main());
  const double total = rewritten.load_seconds + rewritten.compile_seconds +
                       rewritten.rewrite_seconds + paths.save_seconds;
  const Json out = {{"rulec", RULEC_VERSION},
                    {"model",
                     {{"path", paths.model},
                      {"sha256", paths.model_sha256},
                      {"opset", rewritten.opset},
                      {"nodes", rewritten.nodes_before}}},
                    {"out",
                     {{"path", paths.out},
                      {"sha256", paths.out_sha256},
                      {"nodes", rewritten.model.live_nodes()}}},
                    {"firings", firings},
                    {"rules", statistics},
                    {"edits", report.edits},
                    {"warnings", report.warnings},
                    {"nodes_visited", report.nodes_visited},
                    {"interface",
                     {{"inputs", interface_of(rewritten.model, main.inputs)},
                      {"outputs", interface_of(rewritten.model, main.outputs)}}},
                    {"seconds",
                     {{"load", rewritten.load_seconds},
                      {"compile", rewritten.compile_seconds},
                      {"match", report.match_seconds},
                      {"verify", report.verify_seconds},
                      {"save", paths.save_seconds},
                      {"total", total}}}};
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace rulec::command
