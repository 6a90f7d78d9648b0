// SPDX-License-Identifier: Apache-2.0
// The body of a template, put into the copy of the model and run on the probes.
#include <algorithm>
#include <cmath>

#include <fmt/ranges.h>

#include "matcher/emit.h"
#include "matcher/fit.h"
#include "matcher/origin.h"
#include "matcher/proof.h"

namespace rulec {

bool Proof::bind_sizes() {
  sizes_ = trial_.assignment.sizes;
  for (const auto& [slot, dim] : variant_.sizes)
    sizes_[slot] = dim;
  for (const auto& [slot, dim] : sizes_) {
    if (dim.known()) {
      slots_[slot.index].held = dim.size;
    } else {
      slots_[slot.index].held = Literal{dim.symbol};
    }
  }
  return true;
}

bool Proof::bind_ports() {
  NodeWriter writer(model(), use_.graph, before_, hint_, metadata());
  for (std::size_t p = 0; p < use_.templ.inputs.size(); ++p) {
    const PortChoice& choice = trial_.assignment.ports[p];
    slots_[use_.templ.inputs[p].slot.index].held = writer.adapt(choice.value, choice.view.adaptor);
    out_.firing.notes.push_back(
        fmt::format("`{}` is `{}`", use_.templ.inputs[p].name, model().value(choice.value).name));
    if (!choice.view.adaptor.empty()) {
      out_.firing.adaptors.push_back(
          fmt::format("{} before `{}`", to_string(choice.view.adaptor), use_.templ.inputs[p].name));
    }
  }
  made_ = writer.made();
  return true;
}

bool Proof::bind_parameters() {
  for (const TemplateParameter& parameter : use_.templ.parameters) {
    Binding& slot = slots_[parameter.slot.index];
    if (const auto given = use_.arguments.find(parameter.slot); given != use_.arguments.end()) {
      slot = given->second;
      continue;
    }
    const auto on = std::find_if(variant_.switches.begin(), variant_.switches.end(),
                                 [&](const auto& s) { return s.first == parameter.slot; });
    if (on != variant_.switches.end()) {
      slot.held = Literal{on->second};
      out_.firing.fitted.emplace_back(parameter.name, std::vector{on->second ? 1.0 : 0.0});
      continue;
    }
    if (const auto found = variant_.fitted.find(parameter.slot); found != variant_.fitted.end()) {
      const DType dtype = parameter.type && !parameter.type->dtypes.empty()
                              ? parameter.type->dtypes[0]
                              : DType::F32;
      const auto length = static_cast<std::int64_t>(found->second.size());
      const bool scalar =
          !parameter.type || parameter.type->shapes.empty() || parameter.type->shapes[0].empty();
      Tensor wide = Tensor::of<double>({length}, found->second);
      Tensor tensor = convert(wide, dtype);
      std::vector<double> rounded = tensor.numbers();
      if (scalar) {
        for (double number : rounded) {
          if (std::fabs(number - rounded[0]) > 1e-5 * std::fabs(rounded[0])) {
            return fail("fit", fmt::format("one number for `{}`", parameter.name),
                        fmt::format("{}", rounded));
          }
        }
        tensor = convert(Tensor::of<double>({}, std::vector{rounded[0]}), dtype);
        rounded.resize(1);
      }
      slot.held = tensor;
      out_.firing.fitted.emplace_back(parameter.name, std::move(rounded));
      continue;
    }
    if (!parameter.default_value) {
      return fail("parameter", fmt::format("a value for `{}`", parameter.name), "none is given");
    }
    const RuleValue value = evaluate(scope(), parameter.default_value);
    if (const auto* unknown = std::get_if<Unknown>(&value.data)) {
      return fail("parameter", fmt::format("a value for `{}`", parameter.name), unknown->why);
    }
    slot = to_binding(value);
  }
  return true;
}

void Proof::compute(const std::vector<Let>& lets) {
  for (const Let& let : lets)
    slots_[let.slot.index] = to_binding(let_value(scope(), let));
}

bool Proof::hold(const std::vector<ExprId>& conditions) {
  for (ExprId condition : conditions) {
    std::string why;
    if (truth(scope(), condition, &why) == Truth::True) continue;
    const Place& place = use_.rules[condition].place;
    return fail(
        "guard",
        fmt::format("the condition of `{}` at {}:{}", use_.templ.name, place.file, place.line),
        why.empty() ? "it does not hold" : why);
  }
  return true;
}

bool Proof::assume(const std::vector<Assumption>& assumptions) {
  for (const Assumption& one : assumptions) {
    if (one.when && truth(scope(), one.when) == Truth::False) continue;
    if (use_.options.strict) {
      return fail("guard", "no assumptions (--strict)", fmt::format("assuming \"{}\"", one.text));
    }
    assumed_.push_back(one.text);
  }
  return true;
}

bool Proof::conditions() {
  const Template& templ = use_.templ;
  const TemplateBody& body = templ.bodies[variant_.body];
  assumed_ = use_.assumed;
  compute(templ.lets);
  compute(body.lets);
  if (!hold(templ.where) || !hold(body.where) || !assume(templ.assuming) || !assume(body.assuming))
    return false;
  for (const std::string& text : assumed_)
    out_.firing.notes.push_back(fmt::format("assuming {}", text));
  return true;
}

std::vector<Metadata> Proof::metadata() const {
  std::vector<Metadata> all = {{"rulec.rule", use_.rule.name}, {"rulec.template", use_.templ.name}};
  if (!use_.templ.package.empty()) {
    all.push_back({"rulec.package", use_.templ.package_version.empty()
                                        ? use_.templ.package
                                        : use_.templ.package + " " + use_.templ.package_version});
  }
  std::vector<std::string> names;
  for (NodeId root : use_.roots)
    names.push_back(trial_.model.node(root).name);
  all.push_back({"rulec.replaces", fmt::format("{}", fmt::join(names, ","))});
  if (!assumed_.empty())
    all.push_back({"rulec.assuming", fmt::format("{}", fmt::join(assumed_, "; "))});
  return all;
}

std::string written_layout(const Template& templ, const Port& port) {
  if (port.type.shapes.empty() || port.type.shapes[0].size() != 4) return {};
  const auto named = [&](std::size_t axis, std::string_view name) {
    const DimPattern& dim = port.type.shapes[0][axis];
    return dim.kind == DimPattern::Kind::Variable && templ.slots[dim.slot.index].name == name;
  };
  if (named(1, "H") && named(2, "W")) return "NHWC";
  if (named(2, "H") && named(3, "W")) return "NCHW";
  return {};
}

std::string wanted_layout(const Scope& scope, const Statement& statement) {
  if (!statement.layout_slot) return statement.layout;
  const RuleValue value = from_binding(scope, scope.bindings[statement.layout_slot.index],
                                       scope.slots[statement.layout_slot.index]);
  const auto* word = std::get_if<std::string>(&value.data);
  return word ? *word : std::string();
}

bool Proof::emit_body() {
  const Template& templ = use_.templ;
  const TemplateBody& body = templ.bodies[variant_.body];
  results_.resize(templ.outputs.size());
  for (const Statement& statement : body.statements) {
    const EmitOptions options{
        .graph = use_.graph, .before = before_, .name_hint = hint_, .metadata = metadata()};
    auto emitted = emit(model(), scope(), statement.value, options);
    if (!emitted) return fail("emit", templ.name, emitted.error().message);
    made_.insert(made_.end(), emitted->nodes.begin(), emitted->nodes.end());
    for (std::size_t i = 0; i < statement.results.size(); ++i) {
      if (!statement.results[i]) continue;
      if (i >= emitted->results.size())
        return fail("emit", templ.name, "the operator has fewer results than the body names");
      if (!give(statement, statement.results[i], emitted->results[i])) return false;
    }
  }
  for (std::size_t p = 0; p < results_.size(); ++p) {
    if (!results_[p].value)
      return fail("emit", templ.name, fmt::format("no body gives `{}`", templ.outputs[p].name));
  }
  return true;
}

bool Proof::give(const Statement& statement, SlotId slot, ValueId value) {
  const Template& templ = use_.templ;
  slots_[slot.index].held = value;
  for (std::size_t p = 0; p < templ.outputs.size(); ++p) {
    const Port& port = templ.outputs[p];
    if (port.slot != slot) continue;
    GraphValue& result = model().value(value);
    if (!port.type.dtypes.empty() && result.type.kind == Type::Kind::Unknown) {
      result.type = Type::tensor(port.type.dtypes[0]);
    }
    if (const auto dims = port_dims(port, sizes_); dims && !result.type.dims) {
      result.type = Type::tensor(result.type.dtype, *dims);
    }
    const std::string from = written_layout(templ, port);
    const std::string to = wanted_layout(scope(), statement);
    if (!from.empty() && !to.empty() && from != to) {
      NodeWriter writer(model(), use_.graph, before_, hint_, metadata());
      value = writer.adapt(value, {.perm = to == "NCHW" ? std::vector<std::int64_t>{0, 3, 1, 2}
                                                        : std::vector<std::int64_t>{0, 2, 3, 1},
                                   .shape = {}});
      made_.insert(made_.end(), writer.made().begin(), writer.made().end());
    }
    results_[p].value = value;
  }
  return true;
}

bool Proof::run_body() {
  std::vector<ValueId> targets;
  for (const PortResult& result : results_)
    targets.push_back(result.value);
  Evaluator evaluator(model());
  for (const auto& feeds : trial_.feeds) {
    auto values = evaluator.run(feeds, targets);
    if (!values) return fail("run", use_.templ.name, values.error().message);
    for (std::size_t p = 0; p < targets.size(); ++p) {
      if (!(*values)[p].is_tensor()) return fail("run", use_.templ.name, "a result is no tensor");
      results_[p].seen.push_back((*values)[p].tensor());
    }
  }
  for (PortResult& result : results_) {
    GraphValue& value = model().value(result.value);
    const bool open = std::any_of(trial_.assignment.sizes.begin(), trial_.assignment.sizes.end(),
                                  [](const auto& size) { return !size.second.known(); });
    if (!value.type.static_shape() && !open)
      value.type = Type::tensor(result.seen[0].dtype(), result.seen[0].shape());
  }
  return true;
}

}  // namespace rulec
