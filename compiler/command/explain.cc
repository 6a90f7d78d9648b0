// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <nlohmann/json.hpp>

#include "compiler/command/command.h"
#include "compiler/command/console.h"
#include "compiler/command/report.h"
#include "compiler/command/rules.h"
#include "matcher/edit_distance.h"

namespace rulec::command {

static std::string node_name(const Model& model, NodeId id) {
  if (!id || id.index >= model.node_capacity()) return "";
  const GraphNode& node = model.node(id);
  return node.name.empty() ? ::fmt::format("{} ({})", id, node.type) : std::string(node.name);
}

static nlohmann::ordered_json to_json(const Model& model, const NearMiss& miss) {
  return {{"root", node_name(model, miss.root)},
          {"score", miss.matched},
          {"failed",
           {{"pattern_span",
             {{"file", miss.place.file},
              {"line", miss.place.line},
              {"column", miss.place.column},
              {"begin", miss.place.begin},
              {"end", miss.place.end}}},
            {"node", node_name(model, miss.node)},
            {"kind", miss.kind},
            {"expected", miss.expected},
            {"found", miss.found}}}};
}

static void print(const RuleFiles& files, const Model& model, const NearMiss& miss) {
  ::fmt::print("  near miss at `{}`", node_name(model, miss.root));
  if (miss.node && miss.node != miss.root) ::fmt::print(", at `{}`", node_name(model, miss.node));
  ::fmt::print(" ({} node{} matched) [{}]\n", miss.matched, miss.matched == 1 ? "" : "s",
               miss.kind);
  for (const RuleFile& file : files.files)
    if (file.source->name() == miss.place.file && miss.place.line > 0) {
      const std::string_view line = file.source->line(miss.place.line);
      ::fmt::print("    {}:{}:{}\n      {}\n      {:>{}}\n", miss.place.file, miss.place.line,
                   miss.place.column, line, '^', miss.place.column);
    }
  if (!miss.expected.empty()) ::fmt::print("    expected {}\n", miss.expected);
  if (!miss.found.empty()) ::fmt::print("    found    {}\n", miss.found);
}

int explain(const ExplainOptions& options) {
  auto result = rewrite_model(options.model, options.flags);
  if (const auto* status = std::get_if<int>(&result)) return *status;
  const Rewritten& rewritten = std::get<Rewritten>(result);
  const RuleSet& rules = rewritten.rules.compiled.rules;
  std::vector<RuleId> chosen;
  std::vector<std::string> names;
  for (const RuleStatistics& statistics : phase_rules(rewritten)) {
    names.push_back(rules[statistics.rule].name);
    if (options.rule.empty() || names.back() == options.rule) chosen.push_back(statistics.rule);
  }
  if (chosen.empty()) {
    const std::string near = nearest_name(options.rule, names);
    complain("there is no rule `{}` in these files{}; they have {}", options.rule,
             near.empty() ? "" : ::fmt::format("; did you mean `{}`?", near),
             ::fmt::join(names, ", "));
    return input_fault;
  }
  nlohmann::ordered_json all = nlohmann::json::array();
  for (RuleId id : chosen) {
    const Rule& rule = rules[id];
    std::vector<const NearMiss*> misses;
    for (const NearMiss& miss : rewritten.report.near_misses)
      if (miss.rule == id &&
          (options.node.empty() || node_name(rewritten.model, miss.root) == options.node ||
           node_name(rewritten.model, miss.node) == options.node))
        misses.push_back(&miss);
    std::stable_sort(misses.begin(), misses.end(),
                     [](const NearMiss* a, const NearMiss* b) { return a->matched > b->matched; });
    const auto fired =
        std::count_if(rewritten.report.firings.begin(), rewritten.report.firings.end(),
                      [&](const Firing& firing) { return firing.rule == id; });
    if (options.json) {
      nlohmann::ordered_json near = nlohmann::json::array();
      for (const NearMiss* miss : misses)
        near.push_back(to_json(rewritten.model, *miss));
      all.push_back({{"rule", rule.name}, {"fired", fired}, {"near_misses", near}});
      continue;
    }
    ::fmt::print("{} ({}:{})\n  fired {} time{}\n", bold(rule.name), rule.place.file,
                 rule.place.line, fired, fired == 1 ? "" : "s");
    for (const Firing& firing : rewritten.report.firings) {
      if (firing.rule != id) continue;
      ::fmt::print("  at `{}`: removed {}, added {}\n", firing.root, firing.removed.size(),
                   ::fmt::join(firing.added, ", "));
      for (const auto& [name, value] : firing.captures)
        ::fmt::print("    {} = {}\n", name, value);
      for (const std::string& note : firing.notes)
        ::fmt::print("    {}\n", note);
    }
    for (const NearMiss* miss : misses)
      print(rewritten.rules.files, rewritten.model, *miss);
    if (fired == 0 && misses.empty())
      ::fmt::print("  nothing in the model looks like its pattern\n");
  }
  if (options.json) ::fmt::print("{}\n", (options.rule.empty() ? all : all.front()).dump(2));
  return done;
}

}  // namespace rulec::command
