// SPDX-License-Identifier: Apache-2.0
#pragma once

// One run of rewrite() (rewrite.h): its state, private to rewrite.cc, which visits and fires, and
// to rewrite_misses.cc, which tells what did not fire.
//
//   return Rewriter(model, rules, ops, options).run();

#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "matcher/firing.h"
#include "matcher/matcher.h"
#include "matcher/passes.h"
#include "matcher/program.h"
#include "matcher/rewrite.h"
#include "matcher/visit_order.h"

namespace rulec {

class Rewriter {
 public:
  Rewriter(Model& model, const RuleSet& rules, const OpTable& ops, const RewriteOptions& options)
      : model_(model),
        rules_(rules),
        ops_(ops),
        options_(options),
        matcher_(model, rules, ops, options.situation),
        replacer_(model, rules, ops, options) {
    report_.rules.resize(rules.rules.size());
    misses_.resize(rules.rules.size());
    for (std::uint32_t i = 0; i < rules.rules.size(); ++i)
      report_.rules[i].rule = {i};
  }

  Result<RewriteReport> run();

 private:
  static constexpr std::size_t misses_kept = 4;  // for each rule

  Status run_phase(const Phase& phase);
  Status run_rules(const Phase& phase, const std::vector<RuleId>& rules);
  Status run_passes(const Phase& phase, const std::vector<RuleId>& rules);
  bool run_passes_once(const Phase& phase);
  void infer_again();
  bool guards_hold(const Match& match);
  bool run_regions(const Phase& phase, const std::vector<RuleId>& rules);
  bool visit(NodeId node, const RuleProgram& program, const Phase& phase, VisitOrder& order);
  bool try_rule(RuleId rule, NodeId node, const Phase& phase, VisitOrder& order);
  bool fire_match(const Match& match, const Phase& phase, VisitOrder* order);
  void fired(RuleId rule, Firing firing, const Phase& phase);
  void mark(const FiringResult& result, NodeId root);
  void mark_node(NodeId node);
  void keep(NearMiss miss);
  void look_closer(const std::vector<RuleId>& rules);
  Status check_limit(const Phase& phase, std::int64_t bound) const;
  Status check_count(RuleId rule, const CountBound& bound, std::int64_t count) const;
  std::string nearest(RuleId rule) const;

  Model& model_;
  const RuleSet& rules_;
  const OpTable& ops_;
  const RewriteOptions& options_;
  Matcher matcher_;
  Replacer replacer_;
  RewriteReport report_;
  std::vector<std::vector<NearMiss>> misses_;
  std::vector<std::uint8_t> pending_;  // nodes to be visited
  NodeId resume_;                      // the first node that the last firing made
  std::vector<RuleId> candidates_;
  std::size_t depth_ = 2;             // how far below a change a root may stand
  std::size_t most_uses_ = 64;        // a value with more cannot lie inside of a match
  bool counts_uses_ = false;          // some rule asks how often a value is used
  bool all_plain_ = false;            // what a rule of the phase sees lies within `depth_`
  bool turned_down_ = false;          // a match whose types could not be proven, yet
  bool constant_made_ = false;        // in this phase: what is a constant may have changed anywhere
  std::vector<NodeId> open_, below_;  // while mark() goes down
  std::vector<std::uint32_t> stamps_;  // of nodes: the last `stamp_` that met them
  std::uint32_t stamp_ = 0;
  std::vector<RuleId> maker_;                                         // of nodes that a firing made
  std::vector<RuleId> history_;                                       // of the phase
  bool types_may_follow_ = false;                                     // since the last inference
  std::array<std::size_t, std::size(pass_names)> pass_changes_ = {};  // of the phase
  // Templates are costly to refuse: not again before something else has fired.
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::size_t> refused_;
};

}  // namespace rulec
