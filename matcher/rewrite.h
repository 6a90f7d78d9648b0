// SPDX-License-Identifier: Apache-2.0
#pragma once

// Applies a RuleSet to a Model: edits, rules to a fixpoint phase by phase, templates with their
// proofs. The model is changed in place; the report says everything that happened.
//
//   auto report = rewrite(model, rules, ops, {.verify = Verify::Each});

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "matcher/graph.h"
#include "matcher/match.h"
#include "matcher/op_table.h"
#include "matcher/rule.h"
#include "runtime/result.h"

namespace rulec {

// Of template firings: no comparison; each firing (it is refused when it fails); the caller
// compares the whole models afterwards (rewrite itself does as with Off).
enum class Verify : std::uint8_t { Off, Each, Final };

struct RewriteOptions {
  Situation situation;
  bool allow_approx = false;
  bool allow_unsafe = false;
  bool strict = false;       // refuses `assuming` rules
  bool keep_shapes = false;  // no narrowing of unknown input dimensions
  Verify verify = Verify::Each;
  std::uint64_t seed = 0;        // of the probes
  bool near_misses = true;       // collect them (costs a little)
  bool misses_of_fired = false;  // where a rule that fired did not fire, too
  // No more than these, then the rewrite ends: to find the one after which numbers differ.
  std::optional<std::int64_t> most_firings = {};
};

// How near two sides of a proof came.
struct Verification {
  double max_abs = 0;
  double max_rel = 0;
  int trials = 0;
  std::uint64_t seed = 0;
  std::string worst = {};  // where the difference is largest: "`boxes` at [0,3,1]"; empty: none
};

struct Firing {
  RuleId rule;
  std::string phase;
  std::string root;                                                 // label of the root node
  std::vector<std::string> removed, added;                          // labels of nodes
  std::vector<std::pair<std::string, std::string>> captures;        // slot, rendered value
  std::vector<std::pair<std::string, std::vector<double>>> fitted;  // parameter, what was found
  std::vector<std::string> adaptors;  // "Transpose [0,3,1,2] behind `out`"
  std::vector<std::string> notes;     // narrowings, folded results, bindings
  std::optional<Verification> verified;
};

struct RuleStatistics {
  RuleId rule;
  std::int64_t fired = 0;
  std::int64_t tried = 0;  // roots at which the full pattern was tried
  std::int64_t tests = 0;  // elementary tests evaluated
  std::int64_t near_misses = 0;
  double seconds = 0;
};

struct RewriteReport {
  std::vector<Firing> firings;
  std::vector<RuleStatistics> rules;  // one for each rule, in order
  std::vector<NearMiss> near_misses;  // nearest first for each rule, a few each
  std::vector<std::string> edits;     // what each edit did, in words
  std::vector<std::string> warnings;
  std::int64_t nodes_visited = 0;
  double match_seconds = 0, verify_seconds = 0;
};

// An Error for: a failed expectation (naming rule, counts and the nearest misses), a step bound
// exceeded (naming the cycle of rules), an edit that matches nothing or contradicts the model.
// The model is unusable after an Error.
Result<RewriteReport> rewrite(Model& model, const RuleSet& rules, const OpTable& ops,
                              const RewriteOptions& options);

}  // namespace rulec
