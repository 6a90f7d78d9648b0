// SPDX-License-Identifier: Apache-2.0
// Fires template calls: tries port assignments, bodies, fitted parameters and sizes, keeps the
// proven form that swallows most of the region.
#include <algorithm>

#include <fmt/ranges.h>

#include "matcher/dependence.h"
#include "matcher/firing.h"
#include "matcher/fit.h"
#include "matcher/guard.h"
#include "matcher/label.h"
#include "matcher/matcher.h"
#include "matcher/region.h"
#include "matcher/trial.h"

namespace rulec {

// Assignments that are proven in turn before giving up: each costs a run of the region.
static constexpr std::size_t most_assignments = 4;

std::optional<std::map<SlotId, std::vector<double>>> fit_parameters(const TemplateUse& use,
                                                                    const Trial& trial,
                                                                    const Variant& variant,
                                                                    Shortfall& shortfall) {
  std::vector<SlotId> wanted;
  for (const TemplateParameter& parameter : use.templ.parameters) {
    const bool tensor = parameter.type && !(parameter.type->dtypes.size() == 1 &&
                                            parameter.type->dtypes[0] == DType::Bool);
    if (parameter.fit && tensor && !use.arguments.contains(parameter.slot))
      wanted.push_back(parameter.slot);
  }
  if (wanted.empty()) return std::map<SlotId, std::vector<double>>{};
  const auto fail = [&](std::string expected, std::string found) {
    if (shortfall.bound < 0) shortfall = {0, "fit", std::move(expected), std::move(found)};
    return std::nullopt;
  };
  std::map<SlotId, std::vector<double>> known;
  for (const auto& [slot, binding] : use.arguments) {
    if (const auto* tensor = std::get_if<Tensor>(&binding.held)) known[slot] = tensor->numbers();
    if (const auto* number = std::get_if<Binding::Number>(&binding.held))
      known[slot] = {number->number};
    if (const auto* list = std::get_if<std::vector<Binding>>(&binding.held)) {
      for (const Binding& item : *list) {
        if (const auto* literal = std::get_if<Literal>(&item.held)) {
          if (const auto* d = std::get_if<double>(&literal->value)) known[slot].push_back(*d);
          if (const auto* i = std::get_if<std::int64_t>(&literal->value))
            known[slot].push_back(static_cast<double>(*i));
        }
      }
    }
  }
  const Port& input = use.templ.inputs[0];
  const Shape shape = trial.shapes[0].dims;
  const Statement& statement = use.templ.bodies[variant.body].statements.back();
  std::vector<Tensor> x;
  for (const Probe& probe : trial.probes)
    x.push_back(probe.values[0]);
  double best = -1;
  std::string where;
  for (const Observed& there : trial.observed) {
    if (!is_float(there.seen[0].dtype())) continue;
    for (const Adaptor& adaptor :
         adaptors_between(there.seen[0].shape(), shape, use.templ.outputs[0].any_layout)) {
      std::vector<Tensor> y;
      for (const Tensor& seen : there.seen) {
        if (seen.shape() != there.seen[0].shape()) break;
        y.push_back(apply(adaptor, seen));
      }
      if (y.size() != x.size()) continue;
      AffineFit measured = fit_affine(x, y);
      const double off = measured.residual / std::max(1.0, measured.magnitude);
      if (best < 0 || off < best) {
        best = off;
        where = trial.model.value(there.value).name;
      }
      if (!(off <= use.tolerance())) continue;
      // Once more without rounding, so that the constants come out as the exporter wrote them.
      Evaluator wide(trial.model, {.precision = Precision::Double});
      std::vector<Tensor> exact;
      for (const auto& feeds : trial.feeds) {
        auto values = wide.run(feeds, std::span(&there.value, 1));
        if (!values || !values->front().is_tensor()) break;
        exact.push_back(apply(adaptor, values->front().tensor()));
      }
      if (exact.size() == x.size()) {
        AffineFit again = fit_affine(x, exact);
        if (again.residual <= measured.residual) measured = std::move(again);
      }
      auto solved = solve_affine(use.rules, statement.value, input.slot, wanted, known, measured);
      if (!solved) return fail(use.templ.name, solved.error().message);
      return *solved;
    }
  }
  std::vector<std::string> names;
  for (const TemplateParameter& parameter : use.templ.parameters) {
    if (std::find(wanted.begin(), wanted.end(), parameter.slot) != wanted.end())
      names.push_back(parameter.name);
  }
  const std::string expected = fmt::format(
      "a value that is, for each channel, one multiple of `{}` plus one constant (to fit {})",
      input.name, fmt::join(names, ", "));
  if (best < 0) {
    return fail(expected, fmt::format("no result of the region has the shape {} of `{}`",
                                      to_string(shape), input.name));
  }
  return fail(expected,
              fmt::format("the nearest, `{}`, is off by {:.3g} of its magnitude (tolerance "
                          "{:g})",
                          where, best, use.tolerance()));
}

namespace {

class Firer {
 public:
  Firer(Model& model, const RuleSet& rules, const OpTable& ops, const Match& match,
        const RewriteOptions& options, std::vector<NearMiss>& misses)
      : model_(model),
        match_(match),
        misses_(misses),
        use_{.rules = rules,
             .ops = ops,
             .options = options,
             .rule = rules[match.rule],
             .templ = rules[rules[match.rule].call->callee],
             .call = *rules[match.rule].call,
             .roots = {},
             .graph = {},
             .captured = {},
             .arguments = {},
             .assumed = {}} {}

  std::optional<Firing> run() {
    if (!bind_roots() || !bind_arguments()) return std::nullopt;
    std::string why;
    const std::vector<Assignment> assignments =
        assign_ports(model_, use_.templ, use_.call, use_.captured, use_.roots, why);
    if (assignments.empty()) {
      return refuse("port", "exactly one assignment of the input ports",
                    why.empty() ? "the ports would lie below the root" : why);
    }
    Shortfall shortfall;
    for (std::size_t i = 0; i < assignments.size() && i < most_assignments; ++i) {
      auto outcome = try_assignment(assignments[i], shortfall);
      // All results were there, and others are wanted: other ports will not change that.
      const bool settled =
          !outcome && shortfall.bound >= static_cast<int>(use_.templ.outputs.size());
      if (settled) break;
      if (!outcome) continue;
      model_ = std::move(outcome->model);
      Firing& firing = outcome->firing;
      firing.rule = match_.rule;
      firing.root = root_name_;
      return std::move(firing);
    }
    if (shortfall.kind == "region" && !assignments[0].open.empty())
      shortfall.found += needs_more(assignments[0]);
    return refuse(shortfall.kind, shortfall.expected, shortfall.found);
  }

 private:
  std::optional<Firing> refuse(std::string kind, std::string expected, std::string found) {
    misses_.push_back({.rule = match_.rule,
                       .root = use_.roots.empty() ? match_.root : use_.roots[0],
                       .node = use_.roots.empty() ? match_.root : use_.roots[0],
                       .place = use_.rule.place,
                       .kind = std::move(kind),
                       .expected = std::move(expected),
                       .found = std::move(found),
                       .matched = std::max(1, use_.rule.pattern_nodes)});
    return std::nullopt;
  }

  // Inputs of the graph whose size or data the rest of the region hangs on.
  std::string needs_more(const Assignment& assignment) const {
    std::vector<ValueId> feeds;
    for (const PortChoice& port : assignment.ports)
      feeds.push_back(port.value);
    const Computable able(model_, use_.graph, feeds);
    std::vector<std::string> names;
    for (ValueId open : assignment.open) {
      const ValueId blame = able.blame(open);
      const std::string& name = model_.value(blame).name;
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    return fmt::format("; part of what follows the root also hangs on `{}`",
                       fmt::join(names, "`, `"));
  }

  // The members, and what the template's own pattern captures at each.
  bool bind_roots() {
    const Root::Kind kind = use_.rule.root.kind;
    use_.roots = kind == Root::Kind::Pattern ? std::vector{match_.root} : match_.nodes;
    use_.graph = model_.node(use_.roots[0]).graph;
    root_name_ = label(model_, match_.root);
    use_.captured.resize(use_.templ.slots.size());
    if (!use_.templ.root) return true;
    const Root& root = *use_.templ.root;
    if (root.kind != kind) {
      refuse("root", fmt::format("a root of the kind that `{}` is for", use_.templ.name),
             "another kind");
      return false;
    }
    if (kind == Root::Kind::Scope) return true;
    std::vector<std::vector<Binding>> each;
    Matcher matcher(model_, use_.rules, use_.ops, use_.options.situation);
    for (NodeId member : use_.roots) {
      std::vector<Binding> bindings(use_.templ.slots.size());
      NearMiss miss;
      if (!matcher.match_pattern(use_.templ.slots, root.patterns[0], member, bindings, &miss)) {
        miss.rule = match_.rule;
        miss.root = match_.root;
        miss.node = member;
        misses_.push_back(std::move(miss));
        return false;
      }
      each.push_back(std::move(bindings));
    }
    for (std::size_t s = 0; s < use_.captured.size(); ++s) {
      if (!each[0][s].bound()) continue;
      if (kind == Root::Kind::Pattern) {
        use_.captured[s] = each[0][s];
        continue;
      }
      std::vector<Binding> list;
      for (const auto& bindings : each)
        list.push_back(bindings[s]);
      use_.captured[s].held = std::move(list);
    }
    return true;
  }

  bool bind_arguments() {
    const Scope scope{.model = model_,
                      .rules = use_.rules,
                      .ops = use_.ops,
                      .slots = use_.rule.slots,
                      .bindings = match_.slots,
                      .situation = use_.options.situation,
                      .self = match_.root,
                      .lets = use_.rule.lets};
    std::string refused;
    auto assumed = assumptions_of(scope, use_.rule, use_.options.strict, &refused);
    if (!assumed) {
      refuse("guard", "no assumptions (--strict)", fmt::format("assuming \"{}\"", refused));
      return false;
    }
    use_.assumed = std::move(*assumed);
    for (const TemplateArgument& argument : use_.call.arguments) {
      if (argument.use_default || !argument.value) continue;
      for (const TemplateParameter& parameter : use_.templ.parameters) {
        if (parameter.name != argument.parameter) continue;
        const RuleValue value = evaluate(scope, argument.value);
        if (const auto* unknown = std::get_if<Unknown>(&value.data)) {
          refuse("parameter", fmt::format("a value for `{}`", parameter.name), unknown->why);
          return false;
        }
        Binding bound = to_binding(value);
        if (parameter.type && std::holds_alternative<std::vector<Binding>>(bound.held)) {
          if (auto tensor = as_tensor(scope, value)) {
            const DType dtype =
                parameter.type->dtypes.empty() ? tensor->dtype() : parameter.type->dtypes[0];
            bound.held = convert(*tensor, dtype);
          }
        }
        use_.arguments[parameter.slot] = std::move(bound);
      }
    }
    return true;
  }

  // Every way of setting the `bool = fit` parameters.
  std::vector<std::vector<std::pair<SlotId, bool>>> switches() const {
    std::vector<std::vector<std::pair<SlotId, bool>>> all = {{}};
    for (const TemplateParameter& parameter : use_.templ.parameters) {
      const bool boolean = parameter.type && parameter.type->dtypes.size() == 1 &&
                           parameter.type->dtypes[0] == DType::Bool;
      if (!parameter.fit || !boolean || use_.arguments.contains(parameter.slot)) continue;
      std::vector<std::vector<std::pair<SlotId, bool>>> longer;
      for (const auto& begun : all) {
        for (bool on : {false, true}) {
          longer.push_back(begun);
          longer.back().emplace_back(parameter.slot, on);
        }
      }
      all = std::move(longer);
    }
    return all;
  }

  std::optional<Outcome> try_assignment(const Assignment& assignment, Shortfall& shortfall) {
    std::string why;
    const auto trial = start_trial(model_, use_, assignment, why);
    if (!trial) {
      if (shortfall.bound < 0)
        shortfall = {-1, "region", "a region that can be run on probes", why};
      return std::nullopt;
    }
    std::optional<Outcome> best;
    const std::vector<DimSizes> guesses = size_guesses(use_, *trial);
    if (guesses.empty() && shortfall.bound < 0) {
      shortfall = {0, "region", fmt::format("a result of {} below the root", use_.templ.name),
                   outside()};
    }
    for (std::size_t body = 0; body < use_.templ.bodies.size(); ++body) {
      for (const auto& on : switches()) {
        Variant variant{body, on, {}, {}};
        const auto fitted = fit_parameters(use_, *trial, variant, shortfall);
        if (!fitted) continue;
        variant.fitted = *fitted;
        for (const DimSizes& sizes : guesses) {
          variant.sizes = sizes;
          auto outcome = prove(use_, *trial, variant, shortfall);
          if (!outcome) continue;
          if (!best || outcome->swallowed > best->swallowed) best = std::move(outcome);
          break;
        }
      }
    }
    return best;
  }

  // What shows outside when nothing like the template's results is there.
  std::string outside() const {
    const std::vector<NodeId> below = nodes_below(model_, use_.graph, use_.roots);
    std::vector<std::string> names;
    for (ValueId output : model_.graph(use_.graph).outputs) {
      const NodeId producer = output ? model_.value(output).producer : NodeId{};
      if (producer && std::find(below.begin(), below.end(), producer) != below.end())
        names.push_back(model_.value(output).name);
    }
    if (names.empty()) return "nothing below the root has the shape of its results";
    return fmt::format("`{}` is used outside: {} does not return it", fmt::join(names, "`, `"),
                       use_.templ.name);
  }

  Model& model_;
  const Match& match_;
  std::vector<NearMiss>& misses_;
  TemplateUse use_;
  std::string root_name_;
};

}  // namespace

std::optional<Firing> fire_template(Model& model, const RuleSet& rules, const OpTable& ops,
                                    const Match& match, const RewriteOptions& options,
                                    std::vector<NearMiss>& misses) {
  RULEC_CHECK(rules[match.rule].call.has_value());
  return Firer(model, rules, ops, match, options, misses).run();
}

}  // namespace rulec
