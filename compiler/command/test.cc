// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "compiler/command/command.h"
#include "compiler/command/console.h"
#include "compiler/command/rules.h"
#include "compiler/command/run_rule_test.h"
#include "matcher/glob.h"

namespace rulec::command {

int test(const TestOptions& options) {
  auto loaded = load_rules(options.rules);
  if (const auto* status = std::get_if<int>(&loaded)) return *status;
  const CompiledRules& compiled = std::get<LoadedRules>(loaded).compiled;
  nlohmann::ordered_json results = nlohmann::json::array();
  std::size_t passed = 0, failed = 0;
  Progress progress("testing");
  for (const RuleTest& test : compiled.tests) {
    if (!options.filter.empty() && !glob_match(options.filter, test.title)) continue;
    progress.at(passed + failed, compiled.tests.size());
    const RuleTestResult result = run_rule_test(compiled.rules, compiled.ops, test, options.seed);
    ++(result.passed ? passed : failed);
    if (options.json) {
      results.push_back({{"title", result.title},
                         {"file", result.place.file},
                         {"line", result.place.line},
                         {"passed", result.passed},
                         {"fired", result.fired},
                         {"max_abs", result.max_abs},
                         {"why", result.why}});
      continue;
    }
    ::fmt::print("{} {} - {}\n", result.passed ? "ok" : "not ok", passed + failed, result.title);
    if (!result.passed)
      ::fmt::print("  {}:{}: {}\n", result.place.file, result.place.line, result.why);
  }
  if (options.json)
    ::fmt::print(
        "{}\n",
        nlohmann::ordered_json{
            {"passed", passed}, {"failed", failed}, {"seed", options.seed}, {"tests", results}}
            .dump(2));
  else
    ::fmt::print("{} passed, {} failed\n", passed, failed);
  return failed == 0 ? done : input_fault;
}

}  // namespace rulec::command
