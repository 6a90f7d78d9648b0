// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <nlohmann/json.hpp>

#include "compiler/command/command.h"
#include "compiler/command/console.h"
#include "compiler/command/rules.h"
#include "compiler/command/run_rule_test.h"
#include "compiler/generate/check_rule.h"
#include "matcher/glob.h"

namespace rulec::command {

using Json = nlohmann::ordered_json;

namespace {

// The listing as it grows: lines in TAP's form, or one JSON document at the end.
class Listing {
 public:
  explicit Listing(const TestOptions& options) : options_(options) {}

  std::size_t count() const { return passed_ + failed_ + skipped_; }
  bool good() const { return failed_ == 0; }

  void add(const RuleTestResult& result) {
    ++(result.passed ? passed_ : failed_);
    if (options_.json) {
      tests_.push_back({{"title", result.title},
                        {"file", result.place.file},
                        {"line", result.place.line},
                        {"passed", result.passed},
                        {"fired", result.fired},
                        {"max_abs", result.max_abs},
                        {"why", result.why},
                        {"note", result.note}});
      return;
    }
    ::fmt::print("{} {} - {}{}\n", result.passed ? "ok" : "not ok", count(), result.title,
                 result.note.empty() ? "" : " # " + result.note);
    if (!result.passed)
      ::fmt::print("  {}:{}: {}\n", result.place.file, result.place.line, result.why);
  }

  void add(const GeneratedTests& result, const Rule& rule) {
    const bool skipped = result.passed && result.instances == 0;
    ++(skipped ? skipped_ : result.passed ? passed_ : failed_);
    if (options_.json) {
      generated_.push_back({{"rule", rule.name},
                            {"file", rule.place.file},
                            {"line", rule.place.line},
                            {"passed", result.passed},
                            {"instances", result.instances},
                            {"near_misses", result.near_misses},
                            {"left", result.left},
                            {"tried", result.tried},
                            {"max_abs", result.max_abs},
                            {"skipped", result.skipped.empty() ? Json() : Json(result.skipped)},
                            {"why", result.why},
                            {"graph", result.graph}});
      return;
    }
    if (skipped) {
      ::fmt::print("ok {} - {} # SKIP {}\n", count(), result.title, result.skipped);
      return;
    }
    ::fmt::print("{} {} - {}: {} instance{}, {} near misses, {} of them left\n",
                 result.passed ? "ok" : "not ok", count(), result.title, result.instances,
                 result.instances == 1 ? "" : "s", result.near_misses, result.left);
    if (result.passed) return;
    ::fmt::print("  {}:{}: {}\n", rule.place.file, rule.place.line, result.why);
    std::string_view rest = result.graph;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      ::fmt::print("  | {}\n", rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }

  void finish() const {
    if (options_.json)
      ::fmt::print("{}\n", Json{{"passed", passed_},
                                {"failed", failed_},
                                {"skipped", skipped_},
                                {"seed", options_.seed},
                                {"tests", tests_},
                                {"generated", generated_}}
                               .dump(2, ' ', false, Json::error_handler_t::replace));
    else
      ::fmt::print("{} passed, {} failed{}\n", passed_, failed_,
                   skipped_ == 0 ? "" : ::fmt::format(", {} without an instance", skipped_));
    if (failed_ > 0) complain("{} of {} tests failed", failed_, count());
  }

 private:
  const TestOptions& options_;
  std::size_t passed_ = 0, failed_ = 0, skipped_ = 0;
  Json tests_ = Json::array(), generated_ = Json::array();
};

}  // namespace

int test(const TestOptions& options) {
  auto loaded = load_rules(options.rules);
  if (const auto* status = std::get_if<int>(&loaded)) return *status;
  const LoadedRules& rules = std::get<LoadedRules>(loaded);
  const CompiledRules& compiled = rules.compiled;
  const auto wanted = [&](const std::string& title) {
    return options.filter.empty() || glob_match(options.filter, title);
  };
  const auto requested = [&](const Rule& rule) {
    return std::any_of(rules.files.files.begin(), rules.files.files.end(), [&](const auto& file) {
      return file.requested && file.source->name() == rule.place.file;
    });
  };
  Listing listing(options);
  Progress progress("testing");
  const std::size_t total = compiled.tests.size() + compiled.rules.rules.size();
  for (const RuleTest& test : compiled.tests) {
    if (!wanted(test.title)) continue;
    progress.at(listing.count(), total);
    listing.add(run_rule_test(compiled.rules, compiled.ops, test, options.seed));
  }
  if (options.instances > 0)
    for (std::uint32_t i = 0; i < compiled.rules.rules.size(); ++i) {
      const Rule& rule = compiled.rules.rules[i];
      if (!requested(rule) || !wanted("generated for " + rule.name)) continue;
      progress.at(listing.count(), total);
      listing.add(
          check_rule(compiled, RuleId{i}, {.instances = options.instances, .seed = options.seed}),
          rule);
    }
  if (listing.count() == 0 && !options.filter.empty()) {
    complain("no test's title matches `{}`; --filter takes a glob, as in '*{}*'", options.filter,
             options.filter);
    return input_fault;
  }
  listing.finish();
  return listing.good() ? done : input_fault;
}

}  // namespace rulec::command
