// SPDX-License-Identifier: Apache-2.0
#pragma once

// Rule files to a RuleSet: names resolved, types checked against the operators' schemas.
//
//   auto files = load_rule_files({"card.rules"}, default_rule_path({}));
//   auto rules = compile_rules(*files, {});
//   if (!rules) print(files->render());

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compiler/rule_files.h"
#include "compiler/rule_test.h"
#include "matcher/match.h"
#include "matcher/op_table.h"
#include "matcher/rule.h"

namespace rulec {

struct CompileOptions {
  Situation situation;  // rules for other targets are left out
  // --set name=value, overriding `param`s of the requested files.
  std::vector<std::pair<std::string, std::string>> settings;
};

struct CompiledRules {
  RuleSet rules;
  OpTable ops;                  // with the operators that the files declare
  std::vector<RuleTest> tests;  // of the requested files; they point into their syntax trees
};

// Nothing only after at least one error stands in a file's diagnostics or in `setting_errors`
// (a --set whose parameter does not exist or whose value has the wrong type: exit status 2).
std::optional<CompiledRules> compile_rules(RuleFiles& files, const CompileOptions& options,
                                           std::vector<std::string>& setting_errors);

}  // namespace rulec
