// SPDX-License-Identifier: Apache-2.0
#include "compiler/generate/check_rule.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/command/rule_trial.h"
#include "compiler/command/test_model.h"
#include "compiler/generate/instance.h"
#include "compiler/generate/near_miss.h"
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
    if (!has_instances(rule_)) {
      out_.skipped = "it replaces a region: its firings are proven on the model at hand";
      return out_;
    }
    for (; out_.tried < options_.tries && out_.instances < options_.instances && out_.passed;
         ++out_.tried) {
      Random random(options_.seed ^ hash_ ^ (static_cast<std::uint64_t>(out_.tried) << 40));
      auto instance = make_instance(alone_, compiled_.ops, id_, rewriting_.situation, random);
      if (!instance) continue;
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
      out_.skipped = fmt::format("no instance was found in {} tries", out_.tried);
    return out_;
  }

 private:
  static constexpr std::size_t most_nodes = 200;  // of a model from a file

  enum class Outcome { Left, Rewritten, Wrong, NotRun };

  void try_instance(const Model& model, const std::vector<Formal>& sizes, Random& random) {
    if (attempt(model, sizes, "an instance of its pattern") != Outcome::Rewritten) return;
    ++out_.instances;
    for (int i = 0; i < options_.near_misses && out_.passed; ++i) {
      auto near = vary(model, compiled_.ops, random);
      if (!near) continue;
      const Outcome outcome = attempt(near->model, sizes, near->what);
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
    if (std::string changed = interface_changed(before, after); !changed.empty())
      return wrong(before, what, std::move(changed));
    // Whole numbers bring ties and zeros, U[-1,1] brings signs.
    constexpr int trials[] = {0, 2, 5};
    const bool compared = rule_.precision.kind != PrecisionClass::Kind::Unsafe &&
                          rule_.precision.kind != PrecisionClass::Kind::Assuming &&
                          rule_.assuming.empty();
    const double tolerance = reads_half(before) ? std::max(tolerance_, 4e-3) : tolerance_;
    const Agreement found = agreement(before, after, options_.seed, tolerance, trials, sizes);
    if (!found.ran) return Outcome::NotRun;
    if (!found.agrees && compared) return wrong(before, what, found.why);
    if (compared) out_.max_abs = std::max(out_.max_abs, found.max_abs);
    return Outcome::Rewritten;
  }

  // §1: names, order, element types and known sizes of outputs stay.
  static std::string interface_changed(const Model& before, Model& after) {
    const auto& old_outputs = before.graph(before.main()).outputs;
    const auto& new_outputs = after.graph(after.main()).outputs;
    if (old_outputs.size() != new_outputs.size()) return "the number of outputs changed";
    std::vector<std::string> warnings;
    infer_types(after, warnings);
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
};

}  // namespace

GeneratedTests check_rule(const CompiledRules& compiled, RuleId rule,
                          const GenerateOptions& options) {
  return RuleCheck(compiled, rule, options).run();
}

}  // namespace rulec::command
