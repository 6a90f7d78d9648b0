// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <nlohmann/json.hpp>

#include "compiler/command/command.h"
#include "compiler/command/console.h"
#include "compiler/command/explain_html.h"
#include "compiler/command/report.h"
#include "compiler/command/rules.h"
#include "matcher/edit_distance.h"
#include "matcher/file.h"
#include "matcher/label.h"

namespace rulec::command {

using Json = nlohmann::ordered_json;

static Json span_json(const Place& place) {
  return {{"file", place.file},
          {"line", place.line},
          {"column", place.column},
          {"begin", place.begin},
          {"end", place.end}};
}

static Json to_json(const RuleSet& rules, const Model& model, const NearMiss& miss) {
  Json matched = Json::array();
  for (const auto& [pattern, node] : miss.held)
    matched.push_back(
        {{"pattern_span", span_json(rules[pattern].place)}, {"node", label(model, node)}});
  return {{"root", label(model, miss.root)},
          {"score", miss.matched},
          {"matched", matched},
          {"failed",
           {{"pattern_span", span_json(miss.place)},
            {"node", label(model, miss.node)},
            {"kind", miss.kind},
            {"expected", miss.expected},
            {"found", miss.found}}}};
}

static Json to_json(const Rule& rule, const Firing& firing) {
  Json captures = Json::object(), computed = Json::object(), fitted = Json::object();
  for (const auto& [name, value] : firing.captures)
    (origin_of(rule, name) == "computed" ? computed : captures)[name] = value;
  for (const auto& [name, values] : firing.fitted)
    fitted[name] = values.size() == 1 ? Json(values.front()) : Json(values);
  return {{"root", firing.root},
          {"phase", firing.phase},
          {"removed", firing.removed},
          {"added", firing.added},
          {"captures", captures},
          {"computed", computed},
          {"fitted", fitted},
          {"notes", firing.notes},
          {"adaptors", firing.adaptors},
          {"verified", proof_json(firing)}};
}

// The text of a place, cut at the end of its line.
static std::string_view text_of(const RuleFiles& files, const Place& place) {
  for (const RuleFile& file : files.files) {
    if (file.source->name() != place.file || place.end > file.source->text().size()) continue;
    std::string_view text = file.source->text().substr(place.begin, place.end - place.begin);
    return text.substr(0, text.find('\n'));
  }
  return "";
}

// How many characters a text has, for underlining.
static std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

static void print(const Rewritten& rewritten, const NearMiss& miss, std::size_t rank) {
  const Model& model = rewritten.model;
  const RuleFiles& files = rewritten.rules.files;
  ::fmt::print("  near miss {} at `{}`", rank, label(model, miss.root));
  if (miss.node && miss.node != miss.root)
    ::fmt::print(", where `{}` stands", label(model, miss.node));
  ::fmt::print(" ({} node{} matched) [{}]\n", miss.matched, miss.matched == 1 ? "" : "s",
               miss.kind);
  for (const RuleFile& file : files.files)
    if (file.source->name() == miss.place.file && miss.place.line > 0) {
      const std::string_view line = file.source->line(miss.place.line);
      const std::size_t width = std::max<std::size_t>(1, width_of(text_of(files, miss.place)));
      ::fmt::print("    {}:{}:{}\n      {}\n      {:>{}}{:~>{}}\n", miss.place.file,
                   miss.place.line, miss.place.column, line, '^', miss.place.column, "", width - 1);
    }
  if (!miss.expected.empty()) ::fmt::print("    expected {}\n", miss.expected);
  if (!miss.found.empty()) ::fmt::print("    found    {}\n", miss.found);
  for (const auto& [pattern, node] : miss.held)
    ::fmt::print("    matched  {} is `{}`\n",
                 text_of(files, rewritten.rules.compiled.rules[pattern].place), label(model, node));
}

static void print(const Rule& rule, const Firing& firing) {
  ::fmt::print("  at `{}`\n    removed  {}\n    added    {}\n", firing.root, listed(firing.removed),
               listed(firing.added));
  for (const auto& [name, value] : firing.captures)
    ::fmt::print("    {} {} = {}\n", origin_of(rule, name), name, value);
  for (const auto& [name, values] : firing.fitted)
    ::fmt::print("    found    {} = {:.7g}\n", name, ::fmt::join(values, ", "));
  for (const std::string& note : firing.notes)
    ::fmt::print("    note     {}\n", note);
  for (const std::string& adaptor : firing.adaptors)
    ::fmt::print("    adaptor  {}\n", adaptor);
  if (!firing.verified) return;
  ::fmt::print("    proven   {}\n", proof_text(*firing.verified));
  if (!firing.verified->worst.empty()) ::fmt::print("    worst    {}\n", firing.verified->worst);
}

// Nearest first; those at a node that the rule replaced in the end are of no interest, nor are
// those at a node that it made: it takes none of them as root.
static std::vector<const NearMiss*> misses_of(const Rewritten& rewritten, RuleId rule,
                                              const std::string& node) {
  const auto& firings = rewritten.report.firings;
  std::vector<std::string> made;
  bool fired = false;
  for (const Firing& firing : firings) {
    if (firing.rule != rule) continue;
    fired = true;
    made.insert(made.end(), firing.added.begin(), firing.added.end());
  }
  const bool passes_over = !rewritten.rules.compiled.rules[rule].recursive;
  std::vector<const NearMiss*> out;
  for (const NearMiss& miss : rewritten.report.near_misses) {
    if (miss.rule != rule || (miss.expected.empty() && miss.found.empty())) continue;
    if (fired && !rewritten.model.node(miss.root).alive) continue;
    if (passes_over &&
        std::find(made.begin(), made.end(), label(rewritten.model, miss.root)) != made.end())
      continue;
    if (node.empty() || is_called(rewritten.model, miss.root, node) ||
        is_called(rewritten.model, miss.node, node))
      out.push_back(&miss);
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const NearMiss* a, const NearMiss* b) { return a->matched > b->matched; });
  return out;
}

// Why nothing is told of a node that was asked for.
static std::string absent(const Model& model, const std::string& name) {
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < model.node_capacity(); ++i) {
    if (is_called(model, NodeId{i}, name)) return "there these rules neither fired nor nearly did";
    names.push_back(label(model, NodeId{i}));
  }
  const std::string near = nearest_name(name, names);
  return "the model has no node of this name, label or result" +
         (near.empty() ? std::string() : ::fmt::format("; did you mean `{}`?", near));
}

int explain(const ExplainOptions& options) {
  RewriteFlags flags = options.flags;
  flags.misses_of_fired = true;
  auto result = rewrite_model(options.model, flags);
  if (const auto* status = std::get_if<int>(&result)) return *status;
  const Rewritten& rewritten = std::get<Rewritten>(result);
  const RuleSet& rules = rewritten.rules.compiled.rules;
  std::vector<std::string> names;
  const std::vector<RuleId> chosen = rules_called(rewritten.rules, options.rule, names);
  if (chosen.empty()) {
    const std::string near = nearest_name(options.rule, names);
    complain(
        "there is no rule `{}` in these files; {}", options.rule,
        near.empty() ? "they have " + listed(names) : ::fmt::format("did you mean `{}`?", near));
    return input_fault;
  }
  Json all = Json::array();
  std::vector<Explained> pages;
  bool anything = options.node.empty();
  for (const RuleId id : chosen) {
    const Rule& rule = rules[id];
    Explained one{id, {}, misses_of(rewritten, id, options.node)};
    std::size_t fired = 0;
    for (const Firing& firing : rewritten.report.firings) {
      if (firing.rule != id) continue;
      ++fired;
      if (options.node.empty() || firing.root == options.node ||
          std::find(firing.removed.begin(), firing.removed.end(), options.node) !=
              firing.removed.end())
        one.firings.push_back(&firing);
    }
    anything = anything || !one.firings.empty() || !one.misses.empty();
    if (!options.html.empty()) {
      pages.push_back(std::move(one));
      continue;
    }
    if (options.json) {
      Json near = Json::array(), firings = Json::array();
      for (const NearMiss* miss : one.misses)
        near.push_back(to_json(rules, rewritten.model, *miss));
      for (const Firing* firing : one.firings)
        firings.push_back(to_json(rule, *firing));
      all.push_back(
          {{"rule", rule.name}, {"fired", fired}, {"firings", firings}, {"near_misses", near}});
      continue;
    }
    ::fmt::print("{} ({}:{})\n  {}\n", bold(rule.name), rule.place.file, rule.place.line,
                 fired == 0   ? std::string("did not fire")
                 : fired == 1 ? std::string("fired once")
                              : ::fmt::format("fired {} times", fired));
    for (const Firing* firing : one.firings)
      print(rule, *firing);
    for (std::size_t i = 0; i < one.misses.size(); ++i)
      print(rewritten, *one.misses[i], i + 1);
    if (fired == 0 && one.misses.empty())
      ::fmt::print("  nothing in the model looks like its pattern\n");
  }
  if (options.json)
    ::fmt::print("{}\n", (options.rule.empty() ? all : all.front())
                             .dump(2, ' ', false, Json::error_handler_t::replace));
  if (!anything) {
    complain("--at {}: {}", options.node, absent(rewritten.model, options.node));
    return input_fault;
  }
  if (!options.html.empty())
    if (Status written = write_file(options.html, explain_page(rewritten, pages)); !written) {
      complain("{}", written.error().message);
      return input_fault;
    }
  return done;
}

}  // namespace rulec::command
