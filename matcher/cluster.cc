// SPDX-License-Identifier: Apache-2.0
// Clusters: nodes of one graph that work on one source, or share one captured value.
#include <algorithm>
#include <map>

#include "matcher/facts.h"
#include "matcher/matcher.h"
#include "matcher/origin.h"
#include "matcher/region.h"

namespace rulec {
namespace {

struct Member {
  NodeId node;
  std::vector<Binding> bindings;
};

}  // namespace

// What a member's captures must agree in with the others of its cluster, besides the value that it
// is grouped by: the attributes that stand for all (`..a`). What is absent counts as its default.
static bool same_rest(const Model& model, const OpTable& ops, SlotId slot, const Member& a,
                      const Member& b) {
  if (!slot) return true;
  const auto* one = std::get_if<std::vector<Attribute>>(&a.bindings[slot.index].held);
  const auto* two = std::get_if<std::vector<Attribute>>(&b.bindings[slot.index].held);
  if (!one || !two) return one == two;
  const auto covered = [&](const std::vector<Attribute>& from, const std::vector<Attribute>& in,
                           NodeId node) {
    return std::all_of(from.begin(), from.end(), [&](const Attribute& attribute) {
      const auto at = std::find_if(in.begin(), in.end(), [&](const Attribute& other) {
        return other.name == attribute.name;
      });
      if (at != in.end()) return same_attribute(at->value, attribute.value);
      const AttributeFact fact = attribute_of(model, ops, node, attribute.name);
      return fact.state == AttributeFact::State::Known &&
             same_attribute(fact.value, attribute.value);
    });
  };
  return covered(*one, *two, b.node) && covered(*two, *one, a.node);
}

static Match cluster_match(const Rule& rule, RuleId id, const std::vector<Member>& members,
                           SlotId by) {
  Match match;
  match.rule = id;
  match.root = members[0].node;
  match.slots.resize(rule.slots.size());
  for (const Member& member : members)
    match.nodes.push_back(member.node);
  for (std::size_t s = 0; s < rule.slots.size(); ++s) {
    if (!members[0].bindings[s].bound()) continue;
    const bool one = by && by.index == s;
    if (one || rule.slots[s].kind == SlotKind::Attributes ||
        rule.slots[s].kind == SlotKind::Dimension) {
      match.slots[s] = members[0].bindings[s];
      continue;
    }
    std::vector<Binding> list;
    for (const Member& member : members)
      list.push_back(member.bindings[s]);
    match.slots[s].held = std::move(list);
  }
  return match;
}

std::vector<Match> find_clusters(const Model& model, const RuleSet& rules, const OpTable& ops,
                                 RuleId id, GraphId graph, const Situation& situation,
                                 std::vector<NearMiss>* misses) {
  const Rule& rule = rules[id];
  const bool by_slot = rule.root.kind == Root::Kind::ClusterBy;
  const PatternId pattern = rule.root.patterns[0];
  // By key in the order in which the first members stand; deterministic whatever ids are.
  std::vector<std::pair<ValueId, std::vector<Member>>> groups;
  Matcher matcher(model, rules, ops, situation);
  for (NodeId node = model.first_node(graph); node; node = model.next_node(node)) {
    const auto& ops_of = rules[pattern].ops;
    if (!ops_of.empty() && model.node(node).type != ops_of[0].type) continue;
    Member member{node, std::vector<Binding>(rule.slots.size())};
    NearMiss miss;
    if (!matcher.match_pattern(rule.slots, pattern, node, member.bindings,
                               misses ? &miss : nullptr)) {
      if (misses) {
        miss.rule = id;
        miss.root = node;
        misses->push_back(std::move(miss));
      }
      continue;
    }
    ValueId key;
    if (by_slot) {
      const auto* value = std::get_if<ValueId>(&member.bindings[rule.root.by.index].held);
      if (value) key = *value;
    } else if (!model.node(node).inputs.empty() && model.node(node).inputs[0]) {
      key = source_of(model, model.node(node).inputs[0]);
    }
    if (!key) continue;
    const auto at = std::find_if(groups.begin(), groups.end(), [&](const auto& group) {
      return group.first == key &&
             same_rest(model, ops, rules[pattern].rest_attributes, group.second.front(), member);
    });
    if (at == groups.end()) {
      groups.emplace_back(key, std::vector<Member>{});
      groups.back().second.push_back(std::move(member));
    } else {
      at->second.push_back(std::move(member));
    }
  }
  std::vector<Match> matches;
  for (const auto& [key, members] : groups) {
    if (by_slot && members.size() < 2) continue;
    matches.push_back(cluster_match(rule, id, members, rule.root.by));
  }
  return matches;
}

}  // namespace rulec
