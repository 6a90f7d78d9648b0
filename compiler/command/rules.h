// SPDX-License-Identifier: Apache-2.0
#pragma once

// From the flags of a command line to compiled rules and a rewritten model.

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "compiler/command/command.h"
#include "compiler/compile.h"
#include "matcher/graph.h"
#include "matcher/rewrite.h"

namespace rulec::command {

// A value, or the exit status after the reason was told.
template <typename T>
using Or = std::variant<T, int>;

struct LoadedRules {
  RuleFiles files;
  CompiledRules compiled;
  Situation situation;
};

// The edits that --input, --dim, --outputs and --opset stand for: rule text, and for each of its
// lines the flag that it comes from.
struct FlagEdits {
  std::string text;
  std::vector<std::string> flags;
  // Messages name places of that text; here they name the flag instead.
  std::string cite(std::string message) const;
};
Or<FlagEdits> edits_of(const RewriteFlags& flags);

// Loads and compiles `-r …` and the edits.
Or<LoadedRules> load_rules(const RuleOptions& options, const FlagEdits& edits = {});

// The rules of the phases that a name means, or `package.name`: of the files asked for where there
// is one, else of those imported; all of them for no name. `names` gets what there is.
std::vector<RuleId> rules_called(const LoadedRules& rules, const std::string& name,
                                 std::vector<std::string>& names);

struct Rewritten {
  Model model;
  LoadedRules rules;
  RewriteReport report;
  std::int64_t nodes_before = 0;
  std::int64_t opset = 0;
  double load_seconds = 0, compile_seconds = 0, rewrite_seconds = 0;
};

// Imports a model, applies the flags' edits and rules. Warnings are told. With a bound on firings
// the rewrite ends there, and what rules expect is not asked.
Or<Rewritten> rewrite_model(const std::string& path, const RewriteFlags& flags,
                            std::optional<std::int64_t> most_firings = {});

}  // namespace rulec::command
