// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/run_rule_test.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/command/rule_trial.h"
#include "compiler/command/test_model.h"
#include "compiler/command/test_structure.h"
#include "matcher/edit.h"
#include "matcher/rewrite.h"
#include "matcher/target.h"

namespace rulec::command {

// Whether an unsafe rule at a scope gave the model other outputs: then there is nothing to compare.
static bool gave_other_outputs(const RuleSet& rules, const RewriteReport& report,
                               const Model& before, const Model& after) {
  const auto names = [](const Model& model) {
    std::vector<std::string> out;
    for (const ValueId id : model.graph(model.main()).outputs)
      out.emplace_back(model.value(id).name);
    return out;
  };
  return names(before) != names(after) &&
         std::any_of(report.firings.begin(), report.firings.end(), [&](const Firing& firing) {
           return rules[firing.rule].precision.kind == PrecisionClass::Kind::Unsafe &&
                  rules[firing.rule].root.kind == Root::Kind::Scope;
         });
}

RuleTestResult run_rule_test(const RuleSet& rules, const OpTable& ops, const RuleTest& test,
                             std::uint64_t seed) {
  RuleTestResult out;
  out.title = test.title;
  out.place = test.place;
  const auto fail = [&](std::string why) {
    out.why = std::move(why);
    return out;
  };
  auto before = load_test_model(rules, ops, test, seed);
  if (!before) return fail(before.error().message);
  auto after = load_test_model(rules, ops, test, seed);
  if (!after) return fail(after.error().message);
  if (!test.outputs.empty() && !test.model.empty()) {
    for (Model* model : {&*before, &*after}) {
      Edit edit;
      edit.changes.push_back({Edit::Outputs{test.outputs}, test.place});
      if (auto status = apply_edit(*model, rules, ops, edit); !status)
        return fail(status.error().message);
    }
  }
  const std::string text_before = dump(*after);
  rulec::RewriteOptions options;
  options.allow_approx = options.allow_unsafe = true;
  options.seed = seed;
  options.situation = situation_for(rules, test.rules);
  RuleSet under_test = only(rules, test.rules);
  under_test.phases.front().passes = test.passes;
  auto report = rewrite(*after, under_test, ops, options);
  if (!report) return fail(report.error().message);
  out.fired = static_cast<std::int64_t>(report->firings.size());
  const auto nearest = [&]() -> std::string {
    if (report->near_misses.empty()) return "";
    const NearMiss& miss = report->near_misses.front();
    return ::fmt::format("; nearest miss: expected {}, found {}", miss.expected, miss.found);
  };
  for (const CountBound& bound : test.expect)
    if (!holds(out.fired < bound.count ? -1 : out.fired > bound.count, bound.relation))
      return fail(::fmt::format("fired {} times, expected {} {}{}", out.fired, bound.relation,
                                bound.count, nearest()));
  if (test.unchanged) {
    if (out.fired != 0 || dump(*after) != text_before)
      return fail(::fmt::format("the graph changed: {} firings", out.fired));
  } else if (test.expect.empty() && out.fired == 0 &&
             (test.passes.empty() || dump(*after) == text_before)) {
    return fail("no rule fired" + nearest());
  }
  if (!test.after.empty())
    if (std::string why = structure_differs(*after, test); !why.empty()) return fail(why);
  if (gave_other_outputs(rules, *report, *before, *after)) {
    out.passed = true;
    return out;
  }
  if (const std::string op = not_computed(*after, ops); !op.empty()) {
    out.note = ::fmt::format("numbers are not compared: nothing here computes {}", op);
    out.passed = true;
    return out;
  }
  constexpr int trials[] = {0, 1, 2};
  const double tolerance = tolerance_of(rules, test.rules);
  const Agreement found = agreement(*before, *after, seed, tolerance, trials);
  if (!found.ran || !found.agrees) return fail(found.why);
  out.max_abs = found.max_abs;
  out.passed = true;
  return out;
}

}  // namespace rulec::command
