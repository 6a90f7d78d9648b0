// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/rule_trial.h"

#include <algorithm>
#include <limits>

#include "compiler/command/compare.h"
#include "matcher/evaluate.h"
#include "matcher/facts.h"
#include "runtime/generic/kernel.h"

namespace rulec::command {

RuleSet only(const RuleSet& rules, std::span<const RuleId> chosen) {
  RuleSet out = rules;
  Phase phase;
  phase.name = "test";
  phase.rules.assign(chosen.begin(), chosen.end());
  out.phases = {std::move(phase)};
  for (Rule& rule : out.rules)
    rule.expect.clear();
  return out;
}

Situation situation_for(const RuleSet& rules, std::span<const RuleId> chosen) {
  Situation out;
  for (const RuleId id : chosen) {
    const auto& target = rules[id].target;
    if (!target || !out.target.empty()) continue;
    out.target = target->name;
    out.target_version = {0};
    for (const TargetRange::Bound& bound : target->bounds)
      if (bound.relation != "<" && bound.relation != "!=") out.target_version = bound.version;
  }
  return out;
}

double tolerance_of(const RuleSet& rules, std::span<const RuleId> chosen) {
  double out = 1e-9;
  for (const RuleId id : chosen) {
    const PrecisionClass& precision = rules[id].precision;
    if (precision.tolerance > 0)
      out = std::max(out, precision.tolerance);
    else if (precision.kind == PrecisionClass::Kind::Unsafe)
      out = std::numeric_limits<double>::infinity();
    else if (precision.kind != PrecisionClass::Kind::Exact)
      out = std::max(out, 1e-5);
  }
  return out;
}

std::string not_computed(const Model& model, const OpTable& ops) {
  for (std::uint32_t i = 0; i < model.node_capacity(); ++i) {
    const GraphNode& node = model.node(NodeId{i});
    if (!node.alive || generic::find_kernel(node.domain, node.type) != nullptr) continue;
    const OpSchema* schema = ops.find(node.domain, node.type, opset_of(model, node.domain));
    if (schema == nullptr || !schema->declared) continue;
    return node.domain.empty() ? node.type.str() : ::fmt::format("{}::{}", node.domain, node.type);
  }
  return "";
}

static Result<std::vector<Value>> run_on(const Model& model, const Named& inputs) {
  std::vector<std::pair<ValueId, Value>> feeds;
  for (const ValueId id : model.graph(model.main()).inputs)
    for (const auto& [name, value] : inputs)
      if (model.value(id).name == name) feeds.emplace_back(id, value);
  Evaluator evaluator(model, {.precision = Precision::Double});
  return evaluator.run(feeds, model.graph(model.main()).outputs);
}

Agreement agreement(const Model& before, const Model& after, std::uint64_t seed, double tolerance,
                    std::span<const int> trials, const std::vector<Formal>& sizes) {
  Agreement out;
  const auto differ = [&](std::string why) {
    out.agrees = false;
    out.why = std::move(why);
    return out;
  };
  for (const int trial : trials) {
    const auto inputs = make_inputs(inputs_of(before), seed, trial, sizes);
    const auto left = inputs ? run_on(before, *inputs) : Result<std::vector<Value>>(inputs.error());
    if (!left) {  // these inputs are none for the model
      if (!out.ran) out.why = ::fmt::format("before the rewrite: {}", left.error().message);
      continue;
    }
    out.ran = true;
    out.why.clear();
    const auto right = run_on(after, *inputs);
    if (!right)
      return differ(::fmt::format("only after the rewrite it fails: {}", right.error().message));
    if (left->size() != right->size()) return differ("the number of outputs changed");
    for (std::size_t i = 0; i < left->size(); ++i) {
      const ValueId id = before.graph(before.main()).outputs[i];
      const OutputDifference found = difference(std::string(before.value(id).name), (*left)[i],
                                                (*right)[i], tolerance, tolerance);
      out.max_abs = std::max(out.max_abs, found.max_abs);
      if (!found.ok)
        return differ(::fmt::format("output `{}` differs by {:.3g}: {}", found.name, found.max_abs,
                                    found.why));
    }
  }
  return out;
}

}  // namespace rulec::command
