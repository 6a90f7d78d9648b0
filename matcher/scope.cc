// SPDX-License-Identifier: Apache-2.0
// Scopes: the part of a graph that lies under a name, as a rule's root.
#include "matcher/origin.h"
#include "matcher/region.h"

namespace rulec {

std::vector<Match> find_scopes(const Model& model, const RuleSet& rules, RuleId id, GraphId graph) {
  const Rule& rule = rules[id];
  Match match;
  match.nodes = region_under(model, graph, rule.root.scope);
  if (match.nodes.empty()) return {};
  match.rule = id;
  match.root = match.nodes.front();
  match.slots.resize(rule.slots.size());
  return {std::move(match)};
}

}  // namespace rulec
