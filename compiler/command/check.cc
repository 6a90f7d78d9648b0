// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/command.h"
#include "compiler/command/console.h"
#include "compiler/command/rules.h"
#include "compiler/lint.h"

namespace rulec::command {

int check(const CheckOptions& options) {
  if (!options.json && !options.sarif) {
    auto loaded = load_rules(options.rules);
    if (auto* status = std::get_if<int>(&loaded)) return *status;
    LoadedRules& own_rules = std::get<LoadedRules>(loaded);
    lint(own_rules.files, own_rules.compiled);
    ::fmt::print(stderr, "{}", own_rules.files.render());
    const RuleSet& rules = own_rules.compiled.rules;
    std::size_t own = 0;
    for (const Phase& phase : rules.phases)
      own += phase.rules.size();
    ::fmt::print(stderr, "{} rule{} in {} phase{}: no errors\n", own, own == 1 ? "" : "s",
                 rules.phases.size(), rules.phases.size() == 1 ? "" : "s");
    return done;
  }
  std::vector<std::filesystem::path> folders(options.rules.rule_path.begin(),
                                             options.rules.rule_path.end());
  auto files = load_rule_files(options.rules.rules, default_rule_path(folders));
  if (!files) {
    complain("{}", files.error().message);
    return input_fault;
  }
  std::vector<std::string> setting_errors;
  const auto compiled = compile_rules(*files, {}, setting_errors);
  if (compiled) lint(*files, *compiled);
  const Diagnostics all = files->all_diagnostics();
  const Source& first = *files->files.back().source;
  ::fmt::print("{}", options.sarif ? render_sarif(first, all) : render_json(first, all));
  return compiled ? done : input_fault;
}

}  // namespace rulec::command
