// SPDX-License-Identifier: Apache-2.0
#pragma once

// Private to the lints: where they report, and what several of them look up.

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "compiler/compile.h"

namespace rulec {

class Linter {
 public:
  Linter(RuleFiles& files, const CompiledRules& compiled)
      : files_(files), rules_(compiled.rules), ops_(compiled.ops) {
    for (std::size_t i = 0; i < files.files.size(); ++i)
      by_name_[std::string(files.files[i].source->name())] = i;
  }

  void run();

 private:
  // lint.cc: one rule by itself
  void unused_captures(const Rule& rule);
  void dropped_attributes(const Rule& rule);
  void literals(const Rule& rule);
  void generated_names(const Rule& rule);
  void check_glob(const std::string& glob, const Place& place);
  // lint_guards.cc
  void never_true(const Rule& rule);
  // lint_alternatives.cc
  void alternatives(const Rule& rule);
  void idle_alternatives(const Rule& rule);
  // lint_order.cc, lint_cycles.cc: rules among one another
  void rule_pairs(const Phase& phase);
  void rule_cycles(const Phase& phase);

  bool is_requested(const Place& place) const;
  template <typename... Args>
  Diagnostic& warn(DiagnosticKind kind, const Place& place, fmt::format_string<Args...> format,
                   Args&&... args) {
    return files_.files[by_name_.find(place.file)->second].diagnostics.warning(
        kind, {place.begin, place.end}, format, std::forward<Args>(args)...);
  }
  // A note at a place that may lie in another file.
  void note(Diagnostic& diagnostic, const Place& at, std::string text) const;

  RuleFiles& files_;
  const RuleSet& rules_;
  const OpTable& ops_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
  std::set<std::pair<std::uint32_t, std::uint32_t>> paired_;  // rules compared in an earlier phase
};

}  // namespace rulec
