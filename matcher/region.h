// SPDX-License-Identifier: Apache-2.0
#pragma once

// Regions and templates (docs/language.md §7, §8): clusters of same-source nodes, nodes with
// bodies and scopes; input ports bound by role, result ports by value on probes, several bodies,
// fitted parameters, narrowing, adaptors, and the proof of every firing.

#include <optional>
#include <vector>

#include "matcher/rewrite.h"

namespace rulec {

// The members of each cluster `Op*` (or `Op(…)* by x`) of one graph for a rule's root pattern;
// deterministic order. `match.slots` hold lists, one element for each member in graph order.
std::vector<Match> find_clusters(const Model& model, const RuleSet& rules, const OpTable& ops,
                                 RuleId rule, GraphId graph, const Situation& situation,
                                 std::vector<NearMiss>* misses);

// The region of a rule rooted at a scope: all of one graph that lies under its glob, or nothing.
std::vector<Match> find_scopes(const Model& model, const RuleSet& rules, RuleId rule,
                               GraphId graph);

// Tries to fire a template call at a match: binds ports, runs probes, fits parameters, chooses the
// body, proves it, and only then changes the model. Nothing, with a NearMiss added, when refused.
std::optional<Firing> fire_template(Model& model, const RuleSet& rules, const OpTable& ops,
                                    const Match& match, const RewriteOptions& options,
                                    std::vector<NearMiss>& misses);

}  // namespace rulec
