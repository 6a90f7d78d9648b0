// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/explain_html.h"

#include <algorithm>
#include <map>
#include <set>

#include "compiler/command/html.h"
#include "compiler/command/report.h"
#include "matcher/label.h"

namespace rulec::command {

static const Source* source_of(const RuleFiles& files, const std::string& name) {
  for (const RuleFile& file : files.files)
    if (file.source->name() == name) return file.source.get();
  return nullptr;
}

// A line of rule text with the parts that held, and the one that failed, marked.
static std::string marked_text(const Rewritten& rewritten, const NearMiss& miss) {
  const Source* source = source_of(rewritten.rules.files, miss.place.file);
  if (source == nullptr || miss.place.line == 0) return "";
  std::uint32_t first = miss.place.line, last = miss.place.line;
  struct Mark {
    std::uint32_t begin, end;
    bool failed;
  };
  std::vector<Mark> marks = {{miss.place.begin, miss.place.end, true}};
  for (const auto& [pattern, node] : miss.held) {
    const Place& place = rewritten.rules.compiled.rules[pattern].place;
    if (place.file != miss.place.file) continue;
    first = std::min(first, place.line);
    marks.push_back({place.begin, place.end, false});
  }
  std::string out;
  for (std::uint32_t line = first; line <= last; ++line) {
    const std::uint32_t start = source->line_start(line);
    const std::string_view text = source->line(line);
    std::string_view open;
    for (std::uint32_t i = 0; i < text.size(); ++i) {
      std::string_view kind;
      std::uint32_t narrowest = UINT32_MAX;
      for (const Mark& mark : marks) {
        const bool inside = mark.begin <= start + i && start + i < mark.end;
        if (!inside || mark.end - mark.begin >= narrowest) continue;
        narrowest = mark.end - mark.begin;
        kind = mark.failed ? "failed" : "held";
      }
      if (kind != open) {
        if (!open.empty()) out += "</span>";
        if (!kind.empty()) out += ::fmt::format("<span class=\"{}\">", kind);
        open = kind;
      }
      out += escaped(text.substr(i, 1));
    }
    if (!open.empty()) out += "</span>";
    out += '\n';
  }
  return "<pre>" + out + "</pre>\n";
}

static std::string firing_text(const Rule& rule, const Firing& firing) {
  std::string out =
      ::fmt::format("<p>fired at <code>{}</code></p>\n<table>\n", escaped(firing.root));
  const auto row = [&](std::string_view name, const std::string& value) {
    out += ::fmt::format("<tr><td>{}</td><td><code>{}</code></td></tr>\n", escaped(name),
                         escaped(value));
  };
  row("removed", listed(firing.removed));
  row("added", listed(firing.added));
  for (const auto& [name, value] : firing.captures)
    row(origin_of(rule, name), name + " = " + value);
  for (const auto& [name, values] : firing.fitted)
    row("found", ::fmt::format("{} = {:.7g}", name, ::fmt::join(values, ", ")));
  for (const std::string& note : firing.notes)
    row("note", note);
  for (const std::string& adaptor : firing.adaptors)
    row("adaptor", adaptor);
  if (firing.verified) row("proven", proof_text(*firing.verified));
  if (firing.verified && !firing.verified->worst.empty()) row("worst", firing.verified->worst);
  return out + "</table>\n";
}

std::string explain_page(const Rewritten& rewritten, const std::vector<Explained>& rules) {
  std::string body;
  for (const Explained& one : rules) {
    const Rule& rule = rewritten.rules.compiled.rules[one.rule];
    body +=
        ::fmt::format("<h2>{}</h2>\n<p class=\"dim\">{}:{}</p>\n<p>{}</p>\n", escaped(rule.name),
                      escaped(rule.place.file), rule.place.line, escaped(rule.doc));
    for (const Firing* firing : one.firings)
      body += firing_text(rule, *firing);
    for (const NearMiss* miss : one.misses) {
      const std::string root = label(rewritten.model, miss->root);
      const std::string failed = label(rewritten.model, miss->node);
      body += ::fmt::format(
          "<div class=\"miss\"><p>near miss{}: {} node{} matched; <b>{}</b>{}</p>\n{}<table>",
          root.empty() ? "" : ::fmt::format(" at <code>{}</code>", escaped(root)), miss->matched,
          miss->matched == 1 ? "" : "s", escaped(miss->kind),
          failed.empty() || failed == root
              ? ""
              : ::fmt::format(" where <code>{}</code> stands", escaped(failed)),
          marked_text(rewritten, *miss));
      const auto row = [&](std::string_view name, const std::string& text) {
        if (!text.empty())
          body +=
              ::fmt::format("<tr><td>{}</td><td><code>{}</code></td></tr>", name, escaped(text));
      };
      row("expected", miss->expected);
      row("found", miss->found);
      const Source* source = source_of(rewritten.rules.files, rule.place.file);
      for (const auto& [pattern, node] : miss->held) {
        const Place& place = rewritten.rules.compiled.rules[pattern].place;
        const std::string_view text =
            source != nullptr && place.file == rule.place.file
                ? source->text().substr(place.begin, place.end - place.begin)
                : std::string_view();
        body +=
            ::fmt::format("<tr><td>matched</td><td><code>{}</code> is <code>{}</code></td></tr>",
                          escaped(text), escaped(label(rewritten.model, node)));
      }
      body += "</table></div>\n";
    }
    if (one.firings.empty() && one.misses.empty())
      body += "<p>nothing in the model looks like its pattern</p>\n";
  }
  return html_page("Why rules fired, or did not", body);
}

// The nodes of these labels, in graph order.
static std::vector<NodeId> nodes_called(const Model& model,
                                        const std::multimap<std::string, NodeId>& labels,
                                        const std::vector<std::string>& names) {
  std::set<std::pair<std::uint64_t, NodeId>> found;
  for (const std::string& name : names)
    for (auto [at, end] = labels.equal_range(name); at != end; ++at)
      found.emplace(model.order_key(at->second), at->second);
  std::vector<NodeId> out;
  for (const auto& [key, id] : found)
    out.push_back(id);
  return out;
}

static std::multimap<std::string, NodeId> labels_of(const Model& model) {
  std::multimap<std::string, NodeId> out;
  for (std::uint32_t i = 0; i < model.node_capacity(); ++i)
    if (model.node(NodeId{i}).alive) out.emplace(label(model, NodeId{i}), NodeId{i});
  return out;
}

std::string rewrite_page(const Model& before, const Rewritten& rewritten) {
  static constexpr std::size_t most = 200, most_nodes = 60;
  const auto old_labels = labels_of(before), new_labels = labels_of(rewritten.model);
  std::string body =
      ::fmt::format("<p>{} nodes became {}; {} firings</p>\n", rewritten.nodes_before,
                    rewritten.model.live_nodes(), rewritten.report.firings.size());
  for (const std::string& edit : rewritten.report.edits)
    body += ::fmt::format("<p>edit: {}</p>\n", escaped(edit));
  body += "<details open><summary>operators</summary><ul class=\"counts\">\n";
  std::map<std::string, std::pair<std::size_t, std::size_t>> counts;
  for (const auto& [type, count] : count_operators(before))
    counts[type].first = count;
  for (const auto& [type, count] : count_operators(rewritten.model))
    counts[type].second = count;
  for (const auto& [type, count] : counts)
    if (count.first != count.second)
      body += ::fmt::format("<li>{} {} → {}</li>\n", escaped(type), count.first, count.second);
  body += "</ul></details>\n";
  std::size_t shown = 0;
  for (const Firing& firing : rewritten.report.firings) {
    if (++shown > most) {
      body +=
          ::fmt::format("<p>… and {} more firings</p>\n", rewritten.report.firings.size() - most);
      break;
    }
    auto removed = nodes_called(before, old_labels, firing.removed);
    auto added = nodes_called(rewritten.model, new_labels, firing.added);
    const std::size_t more = removed.size() > most_nodes ? removed.size() - most_nodes : 0;
    removed.resize(removed.size() - more);
    if (added.size() > most_nodes) added.resize(most_nodes);
    body += ::fmt::format(
        "<h2>{}. {}</h2>\n<div class=\"sides\"><div><p class=\"dim\">before{}</p>{}</div>"
        "<div><p class=\"dim\">after</p>{}</div></div>\n<details><summary>what it captured"
        "</summary>{}</details>\n",
        shown, escaped(rewritten.rules.compiled.rules[firing.rule].name),
        more > 0 ? ::fmt::format(", and {} more nodes", more) : "", picture(before, removed, {}),
        picture(rewritten.model, added, {added.begin(), added.end()}),
        firing_text(rewritten.rules.compiled.rules[firing.rule], firing));
  }
  return html_page("Before and after", body);
}

}  // namespace rulec::command
