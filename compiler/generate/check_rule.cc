// SPDX-License-Identifier: Apache-2.0
#include "compiler/generate/check_rule.h"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "compiler/command/rule_trial.h"
#include "compiler/command/test_model.h"
#include "compiler/generate/instance.h"
#include "compiler/generate/near_miss.h"
#include "compiler/generate/scope_instance.h"
#include "matcher/onnx_io.h"
#include "matcher/rewrite.h"

namespace rulec::command {
namespace {

class RuleCheck {
 public:
  RuleCheck(const CompiledRules& compiled, RuleId id, const GenerateOptions& options)
      : compiled_(compiled),
        rule_(compiled.rules[id]),
        id_(id),
        options_(options),
        alone_(only(compiled.rules, std::span(&id, 1))),
        tolerance_(tolerance_of(compiled.rules, std::span(&id, 1))) {
    rewriting_.situation = situation_for(compiled.rules, std::span(&id, 1));
    rewriting_.allow_approx = rewriting_.allow_unsafe = true;
    rewriting_.near_misses = false;
    out_.rule = id;
    out_.title = "generated for " + rule_.name;
    // The same draws for a rule whatever else is in its file.
    for (const char c : rule_.name)
      hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }

  GeneratedTests run() {
    const std::string none = why_no_instances(compiled_.rules, rule_);
    for (; none.empty() && out_.tried < options_.tries && out_.instances < options_.instances &&
           out_.passed;
         ++out_.tried) {
      Random random(options_.seed ^ hash_ ^ (static_cast<std::uint64_t>(out_.tried) << 40));
      auto instance = make_instance(alone_, compiled_.ops, id_, rewriting_.situation, random);
      if (!instance) {
        ++failures_[instance.error().message];
        continue;
      }
      std::vector<Formal> sizes;
      for (auto& [name, type] : instance->inputs)
        sizes.push_back({name, type});
      try_instance(instance->model, sizes, random);
    }
    for (const RuleTest& test : compiled_.tests)
      if (out_.passed && !test.unchanged &&
          std::find(test.rules.begin(), test.rules.end(), id_) != test.rules.end())
        from_test(test);
    if (out_.instances == 0)
      out_.skipped =
          !none.empty() ? none
                        : fmt::format("no instance was found in {} tries{}", out_.tried, nearest());
    return out_;
  }

 private:
  static constexpr std::size_t most_nodes = 200;  // of a model from a file

  enum class Outcome { Left, Rewritten, Wrong, NotRun };

  void try_instance(const Model& model, const std::vector<Formal>& sizes, Random& random) {
    const Outcome made = attempt(model, sizes, "an instance of its pattern");
    if (made == Outcome::Left && !left_) left_ = model;
    if (made != Outcome::Rewritten) return;
    ++out_.instances;
    for (int i = 0; i < options_.near_misses && out_.passed; ++i) {
      auto near = rule_.root.kind == Root::Kind::Scope ? vary_scope(model, rule_, random)
                                                       : vary(model, compiled_.ops, random);
      if (!near) continue;
      const Outcome outcome = attempt(near->model, sizes, near->what);
      if (near->must_stay && outcome == Outcome::Rewritten)
        wrong(near->model, near->what, "the rule fires all the same");
      out_.near_misses += outcome == Outcome::Left || outcome == Outcome::Rewritten;
      out_.left += outcome == Outcome::Left;
    }
  }

  // What a test's author knows to match, with other element types and sizes.
  void from_test(const RuleTest& written) {
    Random random(options_.seed ^ hash_ ^ 0x7e57);
    if (!written.model.empty()) {
      auto model = load_test_model(compiled_.rules, compiled_.ops, written, options_.seed);
      if (!model || model->live_nodes() > most_nodes) return;
      ++out_.tried;
      try_instance(*model, {}, random);
      return;
    }
    for (int variant = 0; variant < 4 && out_.passed; ++variant) {
      RuleTest test = written;
      constexpr DType dtypes[] = {DType::F32, DType::F32, DType::F64, DType::F16};
      for (TestOperand& operand : test.operands) {
        if (operand.type.dtypes == std::vector{DType::F32}) operand.type.dtypes = {dtypes[variant]};
        for (auto& shape : operand.type.shapes)
          for (DimPattern& dim : shape)
            if (variant == 1 && dim.kind == DimPattern::Kind::Fixed && dim.size > 1)
              dim.size = dim.size % 2 == 0 ? dim.size + 2 : dim.size + 1;
      }
      auto model = build_test_model(compiled_.rules, compiled_.ops, test,
                                    options_.seed + static_cast<std::uint64_t>(variant));
      if (!model) continue;
      ++out_.tried;
      try_instance(*model, {}, random);
    }
  }

  Outcome wrong(const Model& before, const std::string& what, std::string why) {
    out_.passed = false;
    out_.why = fmt::format("{}: {}", what, why);
    out_.graph = dump(before);
    return Outcome::Wrong;
  }

  Outcome attempt(const Model& before, const std::vector<Formal>& sizes, const std::string& what) {
    Model after = before;
    auto report = rewrite(after, alone_, compiled_.ops, rewriting_);
    if (!report) return wrong(before, what, report.error().message);
    if (report->firings.empty()) return Outcome::Left;
    if (Status whole = after.verify(); !whole) return wrong(before, what, whole.error().message);
    // An unsafe rule may give a scope's results as outputs (docs/adr/0015-scopes.md).
    const bool other_outputs = rule_.precision.kind == PrecisionClass::Kind::Unsafe &&
                               rule_.root.kind == Root::Kind::Scope;
    if (std::string changed = interface_changed(before, after); !changed.empty() && !other_outputs)
      return wrong(before, what, std::move(changed));
    // Whole numbers bring ties and zeros, U[-1,1] brings signs.
    constexpr int trials[] = {0, 2, 5};
    const bool compared = rule_.precision.kind != PrecisionClass::Kind::Unsafe &&
                          !assumes(*report) && not_computed(after, compiled_.ops).empty();
    const double tolerance = reads_half(before) ? std::max(tolerance_, 4e-3) : tolerance_;
    // A template may have narrowed sizes that the model leaves open.
    const auto known = rule_.call ? inputs_of(after) : sizes;
    const Agreement found = agreement(before, after, options_.seed, tolerance, trials, known);
    if (!found.ran) return compared ? Outcome::NotRun : Outcome::Rewritten;
    if (!found.agrees && compared) return wrong(before, what, found.why);
    if (compared) out_.max_abs = std::max(out_.max_abs, found.max_abs);
    return Outcome::Rewritten;
  }

  bool assumes(const RewriteReport& report) const {
    if (rule_.precision.kind == PrecisionClass::Kind::Assuming || !rule_.assuming.empty())
      return true;
    for (const Firing& firing : report.firings)
      for (const std::string& note : firing.notes)
        if (note.starts_with("assuming ")) return true;
    return false;
  }

  // What stood in the way most often: of making graphs, or of firing on one.
  std::string nearest() {
    if (left_) {
      rulec::RewriteOptions options = rewriting_;
      options.near_misses = true;
      auto report = rewrite(*left_, alone_, compiled_.ops, options);
      if (report && !report->near_misses.empty()) {
        const NearMiss& miss = report->near_misses.front();
        return fmt::format("; the nearest: expected {}, found {}", miss.expected, miss.found);
      }
    }
    const auto most =
        std::max_element(failures_.begin(), failures_.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    return most == failures_.end() ? "" : fmt::format("; most often: {}", most->first);
  }

  // §1: names, order, element types and known sizes of outputs stay.
  std::string interface_changed(const Model& before, Model& after) const {
    const auto& old_outputs = before.graph(before.main()).outputs;
    const auto& new_outputs = after.graph(after.main()).outputs;
    if (old_outputs.size() != new_outputs.size()) return "the number of outputs changed";
    std::vector<std::string> warnings;
    infer_types(after, warnings, &compiled_.ops);
    for (std::size_t i = 0; i < old_outputs.size(); ++i) {
      const GraphValue& a = before.value(old_outputs[i]);
      const GraphValue& b = after.value(new_outputs[i]);
      if (a.name != b.name) return fmt::format("output `{}` became `{}`", a.name, b.name);
      if (!compatible(a.type, b.type))
        return fmt::format("output `{}` was {} and became {}", a.name, to_string(a.type),
                           to_string(b.type));
    }
    return "";
  }

  const CompiledRules& compiled_;
  const Rule& rule_;
  RuleId id_;
  const GenerateOptions& options_;
  RuleSet alone_;
  double tolerance_;
  rulec::RewriteOptions rewriting_;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
  GeneratedTests out_;
  std::map<std::string, int> failures_;  // of making an instance
  std::optional<Model> left_;            // the first that the rule left as it is
};

}  // namespace

GeneratedTests check_rule(const CompiledRules& compiled, RuleId rule,
                          const GenerateOptions& options) {
  return RuleCheck(compiled, rule, options).run();
}

}  // namespace rulec::command
