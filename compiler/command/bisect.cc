// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/bisect.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "compiler/command/compare.h"
#include "compiler/command/console.h"
#include "compiler/command/rule_trial.h"
#include "matcher/facts.h"
#include "matcher/label.h"
#include "matcher/onnx_io.h"

namespace rulec::command {

namespace fs = std::filesystem;

// The nodes of a firing in the main graph, in order.
static std::vector<NodeId> nodes_of(const Model& model, const Firing& firing) {
  const std::set<std::string> names(firing.removed.begin(), firing.removed.end());
  std::vector<NodeId> out;
  for (const NodeId id : model.nodes(model.main()))
    if (names.contains(label(model, id))) out.push_back(id);
  return out;
}

// The replaced nodes alone: what they read is an input, what is read of them an output.
static std::optional<Model> reduced(Model model, const Firing& firing) {
  const std::vector<NodeId> nodes = nodes_of(model, firing);
  const std::set<NodeId> inside(nodes.begin(), nodes.end());
  if (nodes.empty()) return std::nullopt;
  std::vector<ValueId> outputs;
  std::map<ValueId, ValueId> inputs;
  for (const NodeId id : nodes) {
    for (const ValueId value : model.node(id).outputs) {
      if (!value) continue;
      const auto uses = model.uses(value);
      if (std::any_of(uses.begin(), uses.end(),
                      [&](const Use& use) { return !use.node || !inside.contains(use.node); }))
        outputs.push_back(value);
    }
    for (std::size_t slot = 0; slot < model.node(id).inputs.size(); ++slot) {
      const ValueId value = model.node(id).inputs[slot];
      if (!value || model.constant(value)) continue;
      const NodeId producer = model.value(value).producer;
      if (!producer || inside.contains(producer)) continue;
      if (!inputs.contains(value)) {
        const Type type = type_of(model, value);
        if (!type.is_tensor() || !type.dims) return std::nullopt;
        const std::string name = model.fresh_value_name(model.value(value).name + "_in");
        inputs[value] = model.add_input(model.main(), name, type);
      }
      model.set_input(id, slot, inputs[value]);
    }
  }
  if (outputs.empty()) return std::nullopt;
  model.set_outputs(model.main(), std::move(outputs));
  for (NodeId id = model.last_node(model.main()); id;) {
    const NodeId previous = model.previous_node(id);
    const auto& results = model.node(id).outputs;
    if (std::all_of(results.begin(), results.end(), [&](ValueId value) {
          return !value || (model.use_count(value) == 0 && !model.is_graph_output(value));
        }))
      model.remove_node(id);
    id = previous;
  }
  for (const ValueId value : std::vector<ValueId>(model.graph(model.main()).inputs))
    if (model.use_count(value) == 0 && !model.value(value).initializer)
      model.remove_input(model.main(), value);
  for (const ValueId value : std::vector<ValueId>(model.graph(model.main()).initializers))
    if (model.use_count(value) == 0 && !model.value(value).is_input)
      model.remove_initializer(value);
  return model;
}

// Whether the rule alone still goes wrong on the reduced model.
static bool shows(const Model& model, const Rewritten& run, RuleId rule,
                  const VerifyOptions& options) {
  Model after = model;
  rulec::RewriteOptions rewriting;
  rewriting.situation = run.rules.situation;
  rewriting.allow_approx = rewriting.allow_unsafe = true;
  rewriting.verify = Verify::Off;
  auto report = rulec::rewrite(after, only(run.rules.compiled.rules, std::span(&rule, 1)),
                               run.rules.compiled.ops, rewriting);
  if (!report || report->firings.empty()) return false;
  constexpr int trials[] = {0, 1, 2};
  const Agreement found =
      agreement(model, after, options.seed, std::max(options.rtol, options.atol), trials);
  return found.ran && !found.agrees;
}

Or<Guilty> bisect(const VerifyOptions& options) {
  if (options.flags.rules.rules.empty()) {
    complain("--bisect needs the rules that made B of A: -r RULES");
    return usage_fault;
  }
  std::string why;
  // A rewrite with so many firings; whether it differs from the original.
  const auto run = [&](std::optional<std::int64_t> most) {
    return rewrite_model(options.a, options.flags, most);
  };
  const auto differs = [&](const Rewritten& rewritten) {
    const Status same =
        compare_with_original(options.a, rewritten.model, options.seed, options.rtol, options.atol);
    if (!same) why = same.error().message;
    return !same;
  };
  auto whole = run(INT64_MAX);
  if (const auto* status = std::get_if<int>(&whole)) return *status;
  if (!differs(std::get<Rewritten>(whole))) {
    complain("with these rules `{}` becomes a model that agrees with it: `{}` was made otherwise",
             options.a, options.b);
    return input_fault;
  }
  std::int64_t bad = static_cast<std::int64_t>(std::get<Rewritten>(whole).report.firings.size());
  Guilty out;
  out.of = static_cast<std::size_t>(bad);
  Progress progress("looking for the firing");
  for (std::int64_t good = -1; bad - good > 1;) {
    const std::int64_t middle = good + (bad - good) / 2;
    auto half = run(middle);
    if (const auto* status = std::get_if<int>(&half)) return *status;
    (differs(std::get<Rewritten>(half)) ? bad : good) = middle;
  }
  auto guilty_run = run(bad);
  if (const auto* status = std::get_if<int>(&guilty_run)) return *status;
  const Rewritten& guilty = std::get<Rewritten>(guilty_run);
  differs(guilty);
  out.why = why;
  out.number = static_cast<std::size_t>(bad);
  if (bad == 0) return out;
  out.firing = guilty.report.firings.back();
  const Rule& rule = guilty.rules.compiled.rules[out.firing.rule];
  out.rule = rule.name;
  out.package = rule.package;
  out.place = rule.place;
  auto before_run = run(bad - 1);
  if (const auto* status = std::get_if<int>(&before_run)) return *status;
  Rewritten& before = std::get<Rewritten>(before_run);
  std::vector<std::string> warnings;
  infer_types(before.model, warnings);
  auto small = reduced(before.model, out.firing);
  out.minimal = small && shows(*small, before, out.firing.rule, options);
  fs::path path = options.b;
  path.replace_extension();
  path += ".repro.onnx";
  if (Status written = export_onnx(out.minimal ? *small : before.model, path); !written) {
    complain("{}", written.error().message);
    return input_fault;
  }
  out.repro = path.string();
  return out;
}

}  // namespace rulec::command
