// SPDX-License-Identifier: Apache-2.0
// What a rewrite tells of rules that did not fire: the nearest misses, and counts and limits that
// were not kept.
#include <algorithm>
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
  if (rules.empty()) return;
  std::unordered_map<Symbol, std::vector<NodeId>> by_type;
  for (std::uint32_t i = 0; i < model_.node_capacity(); ++i) {
    const GraphNode& node = model_.node(NodeId{i});
    if (!node.alive) continue;
    auto& list = by_type[node.type];
    if (list.size() < most_nodes) list.push_back({i});
  }
  for (const RuleId id : rules) {
    if (rules_[id].root.kind != Root::Kind::Pattern) continue;
    const RuleId alone[] = {id};
    const RuleProgram program = compile_program(rules_, alone);
    std::vector<std::pair<int, NodeId>> near;
    for (const Symbol& type : program.root_types()) {
      const auto found = by_type.find(type);
      if (found == by_type.end()) continue;
      for (const NodeId node : found->second) {
        if (!program.has_root(model_.node(node))) continue;
        near.emplace_back(program.closeness(model_, node, &matcher_.constness()), node);
      }
    }
    std::stable_sort(near.begin(), near.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    if (near.size() > most_matches) near.resize(most_matches);
    for (const auto& [closeness, node] : near) {
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
