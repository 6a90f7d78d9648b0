// SPDX-License-Identifier: Apache-2.0
// Phases in order, each to its fixpoint: nodes are visited in topological order, what a firing made
// and what it touched is visited again, until nothing fires any more.
#include "matcher/rewrite.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "matcher/edit.h"
#include "matcher/facts.h"
#include "matcher/firing.h"
#include "matcher/guard.h"
#include "matcher/matcher.h"
#include "matcher/onnx_io.h"
#include "matcher/passes.h"
#include "matcher/program.h"
#include "matcher/region.h"
#include "matcher/rewriter.h"
#include "matcher/target.h"
#include "matcher/visit_order.h"

namespace rulec {

using Clock = std::chrono::steady_clock;

static double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

namespace {

// Adds the time of its life.
struct Stopwatch {
  double& total;
  Clock::time_point start = Clock::now();
  ~Stopwatch() { total += seconds_since(start); }
};

}  // namespace

Result<RewriteReport> rewrite(Model& model, const RuleSet& rules, const OpTable& ops,
                              const RewriteOptions& options) {
  return Rewriter(model, rules, ops, options).run();
}

Result<RewriteReport> Rewriter::run() {
  for (const Phase& phase : rules_.phases) {
    if (const Status done = run_phase(phase); !done) return done.error();
  }
  for (std::uint32_t i = 0; i < rules_.rules.size(); ++i) {
    for (const CountBound& bound : rules_.rules[i].expect) {
      const Status held = check_count({i}, bound, report_.rules[i].fired);
      if (!held) return held.error();
    }
  }
  for (const auto& list : misses_) {
    report_.near_misses.insert(report_.near_misses.end(), list.begin(), list.end());
  }
  return std::move(report_);
}

// Whether all that decides on a match lies in the matched nodes and their operands, so that what a
// firing does not touch cannot begin to match.
static bool is_plain(const RuleSet& rules, const Rule& rule) {
  const bool one_root = rule.root.kind == Root::Kind::Pattern && rule.root.patterns.size() == 1;
  if (!one_root || rule.call || !rule.where.empty() || !rule.lets.empty() ||
      !rule.see_through.empty() || rule.limit) {
    return false;
  }
  std::vector<PatternId> open = rule.root.patterns;
  while (!open.empty()) {
    const Pattern& pattern = rules[open.back()];
    open.pop_back();
    if (pattern.kind == Pattern::Kind::Chain || !pattern.predicates.empty() || pattern.type) {
      return false;
    }
    open.insert(open.end(), pattern.children.begin(), pattern.children.end());
  }
  return true;
}

static std::size_t node_count(const RuleSet& rules, const Rule& rule) {
  std::size_t count = 0;
  std::vector<PatternId> open = rule.root.patterns;
  while (!open.empty()) {
    const Pattern& pattern = rules[open.back()];
    open.pop_back();
    count += pattern.kind == Pattern::Kind::Chain ? 16 : 1;
    open.insert(open.end(), pattern.children.begin(), pattern.children.end());
  }
  return count;
}

// The longest way from the root of a pattern to one of its nodes.
static std::size_t depth_of(const RuleSet& rules, PatternId id) {
  const Pattern& pattern = rules[id];
  std::size_t deepest = pattern.kind == Pattern::Kind::Chain ? 16 : 0;
  for (const PatternId child : pattern.children) {
    deepest = std::max(deepest, depth_of(rules, child));
  }
  return deepest + 1;
}

Status Rewriter::run_phase(const Phase& phase) {
  std::vector<std::int64_t> before;
  for (const RuleStatistics& one : report_.rules)
    before.push_back(one.fired);
  for (const std::size_t edit : phase.edits) {
    auto done = apply_edit(model_, rules_, ops_, rules_.edits[edit]);
    if (!done) return done.error();
    report_.edits.insert(report_.edits.end(), done->begin(), done->end());
    matcher_.forget_constants();
  }
  std::vector<RuleId> active;
  depth_ = 2;
  most_uses_ = 64;
  all_plain_ = true;
  constant_made_ = turned_down_ = false;
  counts_uses_ = std::any_of(rules_.exprs.begin(), rules_.exprs.end(),
                             [](const Expr& expr) { return expr.name == "users"; });
  for (const RuleId id : phase.rules) {
    const Rule& rule = rules_[id];
    std::string why;
    if (!rule_applies(model_, rule, options_, &why)) {
      if (options_.near_misses && misses_[id.index].empty())
        misses_[id.index].push_back({.rule = id,
                                     .root = {},
                                     .node = {},
                                     .place = rule.place,
                                     .kind = "situation",
                                     .expected = {},
                                     .found = why});
      continue;
    }
    active.push_back(id);
    all_plain_ = all_plain_ && is_plain(rules_, rule);
    // matcher_finish.cc gives up on a value with more than eight uses for each matched node.
    most_uses_ = std::max(most_uses_, 8 * node_count(rules_, rule));
    for (const PatternId pattern : rule.root.patterns) {
      depth_ = std::max(depth_, depth_of(rules_, pattern) + (rule.see_through.empty() ? 1 : 16));
    }
  }
  if (const Status done = run_passes(phase, active); !done) return done;
  if (options_.near_misses) {
    std::erase_if(active, [&](RuleId id) {
      const bool fired = report_.rules[id.index].fired > before[id.index];
      return (fired && !options_.misses_of_fired) || !misses_[id.index].empty();
    });
    look_closer(active);
  }
  for (const auto& [rule, bound] : phase.expect) {
    const std::int64_t count = report_.rules[rule.index].fired - before[rule.index];
    if (const Status held = check_count(rule, bound, count); !held) return held;
  }
  return Done{};
}

// Types that the model declares stay; what follows from what is known now is added.
void Rewriter::infer_again() {
  std::vector<std::string> warnings;
  infer_types(model_, warnings, &ops_);
  types_may_follow_ = false;
}

// Each built-in phase until it has nothing left to do; whether one had anything.
bool Rewriter::run_passes_once(const Phase& phase) {
  static constexpr int most_rounds = 64;  // each takes something away, this only bounds our errors
  bool any = false;
  bool again = true;
  for (int round = 0; again && round < most_rounds; ++round) {
    again = false;
    for (const Pass pass : phase.passes) {
      if (types_may_follow_) infer_again();
      const PassResult done = run_pass(model_, ops_, pass);
      types_may_follow_ = types_may_follow_ || done.types_may_follow;
      pass_changes_[static_cast<std::size_t>(pass)] += done.changes;
      // What was unused is no news to the others; what is newly known of types is.
      again = again || done.types_may_follow || (done.changes > 0 && pass != Pass::UnusedNodes);
    }
    any = any || again;
  }
  if (types_may_follow_) infer_again();
  if (any) matcher_.forget_constants();
  return any;
}

// The rules of a step and its built-in phases, in turns until neither finds anything.
Status Rewriter::run_passes(const Phase& phase, const std::vector<RuleId>& rules) {
  pass_changes_ = {};
  for (bool first = true;; first = false) {
    const bool changed = !phase.passes.empty() && run_passes_once(phase);
    if ((!changed && !first) || rules.empty()) break;
    const std::size_t before = report_.firings.size();
    if (const Status done = run_rules(phase, rules); !done) return done;
    if (report_.firings.size() == before || phase.passes.empty()) break;
    types_may_follow_ = true;
  }
  std::vector<std::string> words;
  for (std::size_t i = 0; i < pass_changes_.size(); ++i) {
    if (pass_changes_[i] > 0)
      words.push_back(fmt::format("{} {}", pass_names[i], pass_changes_[i]));
  }
  if (!words.empty()) {
    report_.edits.push_back(
        fmt::format("built-in phases, with the number of changes: {}", fmt::join(words, ", ")));
  }
  return Done{};
}

Status Rewriter::run_rules(const Phase& phase, const std::vector<RuleId>& rules) {
  const Clock::time_point start = Clock::now();
  history_.clear();
  refused_.clear();
  std::vector<RuleId> patterns, regions;
  std::int64_t bound =
      20 * std::max<std::int64_t>(1, static_cast<std::int64_t>(model_.live_nodes()));
  for (const RuleId id : rules) {
    const Rule& rule = rules_[id];
    (rule.root.kind == Root::Kind::Pattern ? patterns : regions).push_back(id);
  }
  // The clause replaces the default; of several in a phase the largest counts.
  std::optional<std::int64_t> limit;
  for (const RuleId id : rules) {
    if (rules_[id].limit) limit = std::max(limit.value_or(0), *rules_[id].limit);
  }
  bound = limit.value_or(bound);
  if (phase.limit) bound = *phase.limit;
  const RuleProgram program = compile_program(rules_, patterns);
  while (true) {
    while (run_regions(phase, regions)) {
      if (const Status held = check_limit(phase, bound); !held) return held;
    }
    const std::size_t before = history_.size();
    VisitOrder order(model_);
    matcher_.set_order(&order);
    pending_.assign(model_.node_capacity(), 1);
    for (bool again = true; again;) {
      again = false;
      for (NodeId at = order.first(); at;) {
        NodeId next = order.next(at);
        if (pending_[at.index] != 0 && model_.node(at).alive) {
          pending_[at.index] = 0;
          ++report_.nodes_visited;
          resume_ = {};
          if (visit(at, program, phase, order)) {
            if (const Status held = check_limit(phase, bound); !held) return held;
            again = true;
            if (resume_) next = resume_;
          }
        }
        at = next;
      }
    }
    matcher_.set_order(nullptr);
    // Done after a whole sweep without a firing, or when nothing can have been missed.
    if (history_.size() == before || (all_plain_ && !constant_made_ && !turned_down_)) break;
  }
  replacer_.drop_unread();
  report_.match_seconds += seconds_since(start);
  return Done{};
}

bool Rewriter::visit(NodeId node, const RuleProgram& program, const Phase& phase,
                     VisitOrder& order) {
  program.candidates(model_, node, candidates_, &matcher_.constness());
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    if (try_rule(candidates_[i], node, phase, order)) return true;
  }
  return false;
}

bool Rewriter::try_rule(RuleId id, NodeId node, const Phase& phase, VisitOrder& order) {
  const Rule& rule = rules_[id];
  if (!rule.recursive && node.index < maker_.size() && maker_[node.index] == id) return false;
  RuleStatistics& statistics = report_.rules[id.index];
  const Stopwatch watch{statistics.seconds};
  ++statistics.tried;
  NearMiss miss;
  // What is kept already need not be told again: only a deeper failure is of interest.
  const auto& kept = misses_[id.index];
  if (kept.size() == misses_kept) miss.matched = kept.back().matched;
  const int shallow = miss.matched;
  const std::uint64_t tests = matcher_.tests();
  const auto match = matcher_.match(id, node, options_.near_misses ? &miss : nullptr);
  statistics.tests += static_cast<std::int64_t>(matcher_.tests() - tests);
  if (!match) {
    if (miss.matched > shallow) keep(std::move(miss));
    return false;
  }
  return fire_match(*match, phase, &order);
}

void Rewriter::mark_node(NodeId node) {
  if (node.index >= pending_.size()) pending_.resize(model_.node_capacity(), 1);
  pending_[node.index] = 1;
}

// What may match now that did not: the nodes that a firing made, what reads other operands than
// before, what reads an operand that lost a use, and the roots below those. An operand of many
// readers that loses one is still too much used to lie inside of a match, so its readers can only
// tell where rules ask how often a value is used.
void Rewriter::mark(const FiringResult& result, NodeId root) {
  pending_.resize(model_.node_capacity(), 1);
  stamps_.resize(model_.node_capacity(), 0);
  ++stamp_;
  std::vector<NodeId>&open = open_, &below = below_;
  below.clear();
  const auto reach = [&](NodeId node) {
    if (stamps_[node.index] == stamp_) return;
    stamps_[node.index] = stamp_;
    mark_node(node);
    below.push_back(node);
  };
  // A body that changes may change what is said of its owner.
  const auto reach_reader = [&](const Use& use) {
    if (use.node) reach(use.node);
    for (GraphId graph = use.graph; NodeId owner = model_.graph(graph).owner;) {
      reach(owner);
      graph = model_.node(owner).graph;
    }
  };
  for (const NodeId node : result.made)
    reach(node);
  if (model_.node(root).alive) reach(root);
  for (const NodeId node : result.rewired) {
    if (model_.node(node).alive) reach_reader({node, model_.node(node).graph, 0});
  }
  for (const ValueId value : result.touched) {
    if (!model_.value(value).alive) continue;
    if (const NodeId producer = model_.value(value).producer) mark_node(producer);
    const std::size_t uses = model_.use_count(value);
    if (uses == 0 || (uses > most_uses_ && !counts_uses_)) continue;
    for (const Use& use : model_.uses(value))
      reach_reader(use);
  }
  for (std::size_t depth = 1; depth < depth_ && !below.empty(); ++depth) {
    open.swap(below);
    below.clear();
    for (const NodeId node : open) {
      for (const ValueId output : model_.node(node).outputs) {
        if (!output || model_.use_count(output) == 0) continue;
        for (const Use& use : model_.uses(output))
          reach_reader(use);
      }
    }
  }
}

void Rewriter::fired(RuleId rule, Firing firing, const Phase& phase) {
  firing.rule = rule;
  firing.phase = phase.name;
  ++report_.rules[rule.index].fired;
  history_.push_back(rule);
  report_.firings.push_back(std::move(firing));
}

bool Rewriter::fire_match(const Match& match, const Phase& phase, VisitOrder* order) {
  if (options_.most_firings &&
      static_cast<std::int64_t>(report_.firings.size()) >= *options_.most_firings)
    return false;
  const Rule& rule = rules_[match.rule];
  const std::pair<std::uint32_t, std::uint32_t> key{match.rule.index, match.root.index};
  if (rule.call) {
    const auto refused = refused_.find(key);
    if (refused != refused_.end() && refused->second == history_.size()) return false;
    const Clock::time_point start = Clock::now();
    std::vector<NearMiss> misses;
    const std::size_t capacity = model_.node_capacity();
    auto firing = fire_template(model_, rules_, ops_, match, options_, misses);
    report_.verify_seconds += seconds_since(start);
    if (!firing) {
      refused_[key] = history_.size();
      for (NearMiss& miss : misses) {
        miss.rule = match.rule;
        if (!miss.root) miss.root = match.root;
        keep(std::move(miss));
      }
      return false;
    }
    maker_.resize(model_.node_capacity());
    std::vector<NodeId> made;
    for (std::size_t i = capacity; i < model_.node_capacity(); ++i) {
      const NodeId node{static_cast<std::uint32_t>(i)};
      if (!model_.node(node).alive) continue;
      maker_[i] = match.rule;
      made.push_back(node);
    }
    fired(match.rule, std::move(*firing), phase);
    matcher_.forget_constants();
    if (order != nullptr) {
      // A region is large: everything may be new around it.
      order->insert_before(match.root, made);
      pending_.assign(model_.node_capacity(), 1);
    }
    return true;
  }
  NearMiss miss;
  auto result = replacer_.fire(match, &miss);
  if (!result) {
    turned_down_ = true;
    if (options_.near_misses && !miss.kind.empty()) keep(std::move(miss));
    return false;
  }
  for (const ValueId value : result->placed) {
    if (!model_.value(value).alive || !matcher_.constness().holds(value)) continue;
    matcher_.constness().recheck(result->rewired);
    constant_made_ = true;
    break;
  }
  maker_.resize(model_.node_capacity());
  for (const NodeId node : result->made)
    maker_[node.index] = match.rule;
  fired(match.rule, std::move(result->firing), phase);
  if (order == nullptr) return true;
  order->insert_before(match.root, result->made);
  if (!resume_ && !result->made.empty()) resume_ = result->made.front();
  mark(*result, match.root);
  return true;
}

// The guards of a rule at a region; those of patterns are the matcher's business.
bool Rewriter::guards_hold(const Match& match) {
  const Rule& rule = rules_[match.rule];
  const Scope scope{model_,     rules_,   ops_, rule.slots, match.slots, options_.situation,
                    match.root, rule.lets};
  for (const ExprId where : rule.where) {
    std::string why;
    const Truth holds = truth(scope, where, &why);
    if (holds == Truth::True) continue;
    keep({.rule = match.rule,
          .root = match.root,
          .node = match.root,
          .place = rules_[where].place,
          .kind = "guard",
          .expected = "the guard to hold",
          .found = holds == Truth::False ? "false" : fmt::format("unknown: {}", why),
          .matched = static_cast<int>(match.nodes.size()) + 1});
    return false;
  }
  return true;
}

// Clusters and scopes, of every graph; true when one fired.
bool Rewriter::run_regions(const Phase& phase, const std::vector<RuleId>& rules) {
  for (const RuleId id : rules) {
    for (std::uint32_t graph = 0; graph < model_.graph_capacity(); ++graph) {
      if (!model_.graph({graph}).alive) continue;
      const Stopwatch watch{report_.rules[id.index].seconds};
      std::vector<NearMiss> misses;
      const bool scope = rules_[id].root.kind == Root::Kind::Scope;
      const auto matches =
          scope ? find_scopes(model_, rules_, id, {graph})
                : find_clusters(model_, rules_, ops_, id, {graph}, options_.situation, &misses);
      report_.rules[id.index].tried += static_cast<std::int64_t>(matches.size());
      for (NearMiss& miss : misses) {
        miss.rule = id;
        if (miss.root) keep(std::move(miss));
      }
      for (const Match& match : matches) {
        const bool own = std::any_of(match.nodes.begin(), match.nodes.end(), [&](NodeId node) {
          return node.index < maker_.size() && maker_[node.index] == id;
        });
        if (own && !rules_[id].recursive) continue;
        if (!guards_hold(match)) continue;
        if (fire_match(match, phase, nullptr)) return true;
      }
    }
  }
  return false;
}

}  // namespace rulec
