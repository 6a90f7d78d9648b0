// SPDX-License-Identifier: Apache-2.0
// One form of a replacement, from its ports to the figures: the order of the steps, and what is
// said where one fails.
#include <algorithm>
#include <set>

#include <fmt/ranges.h>

#include "matcher/dependence.h"
#include "matcher/label.h"
#include "matcher/proof.h"

namespace rulec {

Proof::Proof(const TemplateUse& use, const Trial& trial, const Variant& variant,
             Shortfall& shortfall)
    : use_(use),
      trial_(trial),
      variant_(variant),
      shortfall_(shortfall),
      count_(row_count(use.templ)),
      slots_(use.captured) {
  slots_.resize(use.templ.slots.size());
}

std::optional<Outcome> Proof::run() {
  out_.model = trial_.model;
  before_ = use_.roots.front();
  for (NodeId root : use_.roots) {
    if (model().before(root, before_)) before_ = root;
  }
  hint_ = model().node(before_).name.empty() ? use_.templ.name : model().node(before_).name;
  if (!bind_sizes() || !bind_ports() || !bind_parameters() || !conditions() || !emit_body() ||
      !run_body())
    return std::nullopt;
  for (std::size_t p = 0; p < results_.size(); ++p)
    find_places(p);
  if (!place_results()) return std::nullopt;
  if (use_.options.verify == Verify::Each && !compare_interface()) return std::nullopt;
  finish();
  return std::move(out_);
}

bool Proof::fail(std::string kind, std::string expected, std::string found, int bound) {
  if (bound > shortfall_.bound)
    shortfall_ = {bound, std::move(kind), std::move(expected), std::move(found)};
  return false;
}

Scope Proof::scope() {
  return {.model = model(),
          .rules = use_.rules,
          .ops = use_.ops,
          .slots = use_.templ.slots,
          .bindings = slots_,
          .situation = use_.options.situation,
          .self = before_};
}

// Says which outputs of the model keep the region alive.
bool Proof::missing(int bound) {
  std::vector<NodeId> roots;
  for (NodeId root : use_.roots) {
    if (model().node(root).alive) roots.push_back(root);
  }
  std::set<ValueId> reached;
  for (NodeId id : nodes_below(model(), use_.graph, roots)) {
    for (ValueId output : model().node(id).outputs) {
      if (output) reached.insert(output);
    }
  }
  std::vector<std::string> needing, free;
  for (ValueId output : model().graph(use_.graph).outputs)
    (reached.contains(output) ? needing : free).push_back(model().value(output).name);
  const std::string names = fmt::format("`{}`", fmt::join(needing, "`, `"));
  std::string found;
  if (needing.empty()) {
    found = "its results are used in a way that no result port stands for";
  } else if (bound == 0) {
    found = fmt::format("no value below equals a result of {} on all probes; {} needs the rest",
                        use_.templ.name, names);
  } else {
    found = fmt::format("{} need{} values that {} does not return", names,
                        needing.size() == 1 ? "s" : "", use_.templ.name);
    if (!free.empty() && use_.graph == model().main())
      found += fmt::format("; without them it fires: --outputs {}", fmt::join(free, ","));
  }
  return fail(
      "region",
      fmt::format("every value that leaves the region to be a result of {}", use_.templ.name),
      std::move(found), bound);
}

void Proof::finish() {
  Firing& firing = out_.firing;
  for (NodeId id : made_) {
    if (model().node(id).alive) firing.added.push_back(label(model(), id));
  }
  firing.notes.insert(firing.notes.begin(), trial_.notes.begin(), trial_.notes.end());
  if (use_.templ.bodies.size() > 1) {
    firing.notes.push_back(fmt::format("body {} of {} in `{}`", variant_.body + 1,
                                       use_.templ.bodies.size(), use_.templ.name));
  }
  for (std::size_t p = 0; p < results_.size(); ++p) {
    for (const ResultPlace& place : places_[p]) {
      if (replaced_.contains(place.there->value)) {
        Distance distance;
        equal(p, place.adaptor, *place.there, &distance);
        figures_.see(distance);
      }
    }
  }
  if (use_.options.verify != Verify::Off) {
    firing.verified =
        Verification{figures_.absolute, figures_.relative, static_cast<int>(trial_.probes.size()),
                     use_.options.seed, worst_};
  }
  out_.swallowed = firing.removed.size();
}

std::optional<Outcome> prove(const TemplateUse& use, const Trial& trial, const Variant& variant,
                             Shortfall& shortfall) {
  return Proof(use, trial, variant, shortfall).run();
}

std::vector<std::string> sweep(Model& model, GraphId graph, const Model& before) {
  const auto was_used = [&](ValueId id) {
    return id.index >= before.value_capacity() || before.use_count(id) > 0;
  };
  std::vector<std::string> removed;
  for (NodeId id = model.last_node(graph); id;) {
    const NodeId previous = model.previous_node(id);
    const auto& outputs = model.node(id).outputs;
    const bool unused = std::all_of(outputs.begin(), outputs.end(),
                                    [&](ValueId v) { return !v || model.use_count(v) == 0; });
    const bool had_use =
        std::any_of(outputs.begin(), outputs.end(), [&](ValueId v) { return v && was_used(v); });
    if (unused && had_use) {
      removed.push_back(label(model, id));
      model.remove_node(id);
    }
    id = previous;
  }
  for (ValueId id : std::vector<ValueId>(model.graph(graph).initializers)) {
    const GraphValue& value = model.value(id);
    if (!value.is_input && model.use_count(id) == 0 && was_used(id)) model.remove_initializer(id);
  }
  std::reverse(removed.begin(), removed.end());
  return removed;
}

}  // namespace rulec
