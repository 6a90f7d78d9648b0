// SPDX-License-Identifier: Apache-2.0
// What a rewrite tells of rules that did not fire: the nearest misses, and counts and limits that
// were not kept.
#include <algorithm>
#include <iterator>
#include <unordered_map>

#include <fmt/format.h>

#include "matcher/guard.h"
#include "matcher/label.h"
#include "matcher/rewriter.h"
#include "matcher/target.h"

namespace rulec {

static std::string rule_text(const Rule& rule) {
  return rule.package.empty() ? rule.name : rule.package + "." + rule.name;
}

std::string Rewriter::nearest(RuleId rule) const {
  std::string out;
  for (const NearMiss& miss : misses_[rule.index]) {
    if (miss.expected.empty()) {
      out += fmt::format("\n  {}", miss.found);
      continue;
    }
    out += fmt::format("\n  nearest miss: {}{} wanted {}, found {}",
                       miss.node ? fmt::format("at `{}`: ", label(model_, miss.node)) : "",
                       miss.kind, miss.expected, miss.found);
  }
  return out;
}

Status Rewriter::check_count(RuleId rule, const CountBound& bound, std::int64_t count) const {
  const std::string relation = bound.relation.empty() ? "==" : bound.relation;
  const int order = count < bound.count ? -1 : count > bound.count ? 1 : 0;
  const bool good = relation == "==" || relation == "=" ? order == 0 : holds(order, relation);
  if (good) return Done{};
  const std::string wanted =
      relation == "==" || relation == "=" ? "" : fmt::format("{} ", relation);
  return make_error("{}:{}: rule {} fired {} time{}, expected {}{}{}", bound.place.file,
                    bound.place.line, rule_text(rules_[rule]), count, count == 1 ? "" : "s", wanted,
                    bound.count, nearest(rule));
}

// The program turns most nodes away without a word. For rules of which nothing is known yet, some
// nodes with the root's operator are looked at again, those nearest by the program's own tests, for
// the sake of the message.
void Rewriter::look_closer(const std::vector<RuleId>& rules) {
  static constexpr std::size_t most_nodes = 64, most_matches = 4;
  std::vector<RuleId> patterns;
  std::copy_if(rules.begin(), rules.end(), std::back_inserter(patterns),
               [&](RuleId id) { return rules_[id].root.kind == Root::Kind::Pattern; });
  if (patterns.empty()) return;
  const RuleProgram program = compile_program(rules_, patterns);
  std::unordered_map<Symbol, std::vector<NodeId>> by_type;
  for (const Symbol& type : program.root_types())
    by_type[type];
  for (std::uint32_t i = 0; i < model_.node_capacity(); ++i) {
    const GraphNode& node = model_.node(NodeId{i});
    if (!node.alive) continue;
    const auto list = by_type.find(node.type);
    if (list != by_type.end() && list->second.size() < most_nodes) list->second.push_back({i});
  }
  // The nearest nodes of each rule, the nearest first; of equally near ones the first.
  using Near = std::pair<int, NodeId>;
  const auto nearer = [](const Near& a, const Near& b) {
    return a.first != b.first ? a.first > b.first : a.second.index < b.second.index;
  };
  std::vector<std::vector<Near>> near(rules_.rules.size());
  std::vector<std::pair<RuleId, int>> found;
  for (const Symbol& type : program.root_types()) {
    for (const NodeId node : by_type[type]) {
      program.closeness(model_, node, &matcher_.constness(), found);
      for (const auto& [id, closeness] : found) {
        auto& list = near[id.index];
        const Near here{closeness, node};
        if (list.size() == most_matches && !nearer(here, list.back())) continue;
        list.insert(std::upper_bound(list.begin(), list.end(), here, nearer), here);
        if (list.size() > most_matches) list.pop_back();
      }
    }
  }
  for (const RuleId id : patterns) {
    for (const auto& [closeness, node] : near[id.index]) {
      NearMiss miss;
      if (!matcher_.match(id, node, &miss) && miss.matched > 0) keep(std::move(miss));
    }
  }
}

Status Rewriter::check_limit(const Phase& phase, std::int64_t bound) const {
  if (static_cast<std::int64_t>(history_.size()) <= bound) return Done{};
  std::vector<std::string> names;
  const std::size_t from = history_.size() > 64 ? history_.size() - 64 : 0;
  for (std::size_t i = from; i < history_.size(); ++i) {
    const std::string name = rule_text(rules_[history_[i]]);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return make_error(
      "{}:{}: phase `{}` fired more than {} times without coming to an end; rules that feed one "
      "another: {}; give one of them a guard, or raise `limit`",
      phase.place.file, phase.place.line, phase.name, bound, fmt::join(names, " → "));
}

void Rewriter::keep(NearMiss miss) {
  auto& list = misses_[miss.rule.index];
  ++report_.rules[miss.rule.index].near_misses;
  std::erase_if(list, [&](const NearMiss& other) {
    return other.root == miss.root && other.matched <= miss.matched;
  });
  const auto place = std::find_if(list.begin(), list.end(), [&](const NearMiss& other) {
    return other.matched < miss.matched;
  });
  list.insert(place, std::move(miss));
  if (list.size() > misses_kept) list.pop_back();
}

}  // namespace rulec
