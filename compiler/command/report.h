// SPDX-License-Identifier: Apache-2.0
#pragma once

// A rewrite told to people and to scripts (docs/rulec.md gives the JSON's keys).

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "compiler/command/rules.h"
#include "matcher/match.h"

namespace rulec::command {

// "Conv 53 · Relu 49 · …" counted over all graphs, most frequent first.
std::vector<std::pair<std::string, std::size_t>> count_operators(const Model& model);

// Statistics of the rules that some phase runs, in order: a package's other rules are not listed.
std::vector<RuleStatistics> phase_rules(const Rewritten& rewritten);

// Names of nodes in a sentence, the first few of many; "nothing" for none.
std::string listed(const std::vector<std::string>& names);
// "computed" for what a `let` of the rule gave, "captured" for the rest.
std::string_view origin_of(const Rule& rule, std::string_view capture);
// "on 5 probes (seed 0): largest difference 2.4e-07, relative 1.2e-07"
std::string proof_text(const Verification& verified);
nlohmann::ordered_json proof_json(const Firing& firing);  // null where nothing was compared

// What fired and what was proven, what did not fire and why; a paragraph for each.
std::string text_report(const Rewritten& rewritten);

struct ReportPaths {
  std::string model, out;
  std::string model_sha256, out_sha256;  // out's is empty for a dry run
  double save_seconds = 0;
};
std::string json_report(const Rewritten& rewritten, const ReportPaths& paths);

}  // namespace rulec::command
