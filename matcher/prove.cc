// SPDX-License-Identifier: Apache-2.0
// Puts one form of a replacement into a copy of the model, finds its result ports by value, and
// compares what the model does before and after.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <fmt/ranges.h>

#include "matcher/dependence.h"
#include "matcher/emit.h"
#include "matcher/fit.h"
#include "matcher/guard.h"
#include "matcher/trial.h"

namespace rulec {
namespace {

// A result port's value in the replacement.
struct PortResult {
  ValueId value;
  std::vector<Tensor> seen;  // on each probe
};

// Where a result port may be bound.
struct ResultPlace {
  const Observed* there = nullptr;
  Adaptor adaptor;
};

struct Distance {
  double absolute = 0, relative = 0;
  void see(double a, double b) {
    const double off = std::fabs(a - b);
    absolute = std::max(absolute, off);
    if (b != 0) relative = std::max(relative, off / std::fabs(b));
  }
  void see(const Distance& other) {
    absolute = std::max(absolute, other.absolute);
    relative = std::max(relative, other.relative);
  }
};

class Proof {
 public:
  Proof(const TemplateUse& use, const Trial& trial, const Variant& variant, Shortfall& shortfall)
      : use_(use),
        trial_(trial),
        variant_(variant),
        shortfall_(shortfall),
        count_(row_count(use.templ)),
        slots_(use.captured) {
    slots_.resize(use.templ.slots.size());
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      const Slot& slot = use.templ.slots[i];
      if (slot.kind == SlotKind::Let && slot.name == "alternative")
        slots_[i].held = static_cast<std::int64_t>(variant.body) + 1;
    }
  }

  std::optional<Outcome> run() {
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

 private:
  Model& model() { return out_.model; }

  bool fail(std::string kind, std::string expected, std::string found, int bound = 0) {
    if (bound > shortfall_.bound)
      shortfall_ = {bound, std::move(kind), std::move(expected), std::move(found)};
    return false;
  }

  Scope scope() {
    return {.model = model(),
            .rules = use_.rules,
            .ops = use_.ops,
            .slots = use_.templ.slots,
            .bindings = slots_,
            .situation = use_.options.situation};
  }

  // ---- before the body --------------------------------------------------------------------------

  bool bind_sizes() {
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

  bool bind_ports() {
    NodeWriter writer(model(), use_.graph, before_, hint_, metadata());
    for (std::size_t p = 0; p < use_.templ.inputs.size(); ++p) {
      const PortChoice& choice = trial_.assignment.ports[p];
      slots_[use_.templ.inputs[p].slot.index].held =
          writer.adapt(choice.value, choice.view.adaptor);
      out_.firing.notes.push_back(
          fmt::format("`{}` is `{}`", use_.templ.inputs[p].name, model().value(choice.value).name));
      if (!choice.view.adaptor.empty()) {
        out_.firing.adaptors.push_back(fmt::format("{} before `{}`", to_string(choice.view.adaptor),
                                                   use_.templ.inputs[p].name));
      }
    }
    made_ = writer.made();
    return true;
  }

  bool bind_parameters() {
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

  bool conditions() {
    const Template& templ = use_.templ;
    for (const Let& let : templ.lets) {
      if (let.value) slots_[let.slot.index] = to_binding(evaluate(scope(), let.value));
    }
    for (ExprId where : templ.where) {
      std::string why;
      if (truth(scope(), where, &why) != Truth::True) {
        return fail("guard", fmt::format("the conditions of `{}`", templ.name),
                    why.empty() ? "one does not hold" : why);
      }
    }
    const auto assume = [&](const std::string& text, ExprId when) {
      if (text.empty()) return true;
      if (when && truth(scope(), when) == Truth::False) return true;
      if (use_.options.strict) {
        return fail("guard", "no assumptions (--strict)", fmt::format("assuming \"{}\"", text));
      }
      out_.firing.notes.push_back(fmt::format("assuming {}", text));
      assumed_ = text;
      return true;
    };
    return assume(templ.assuming, templ.assuming_when);
  }

  // ---- the body ---------------------------------------------------------------------------------

  std::vector<Metadata> metadata() const {
    std::vector<Metadata> all = {{"rulec.rule", use_.rule.name},
                                 {"rulec.template", use_.templ.name}};
    if (!use_.templ.package.empty()) {
      all.push_back({"rulec.package", use_.templ.package_version.empty()
                                          ? use_.templ.package
                                          : use_.templ.package + " " + use_.templ.package_version});
    }
    std::vector<std::string> names;
    for (NodeId root : use_.roots)
      names.push_back(trial_.model.node(root).name);
    all.push_back({"rulec.replaces", fmt::format("{}", fmt::join(names, ","))});
    if (!assumed_.empty()) all.push_back({"rulec.assuming", assumed_});
    return all;
  }

  // The layout a port is written in, by the names of its dimensions.
  std::string written_layout(const Port& port) const {
    if (port.type.shapes.empty() || port.type.shapes[0].size() != 4) return {};
    const auto named = [&](std::size_t axis, std::string_view name) {
      const DimPattern& dim = port.type.shapes[0][axis];
      return dim.kind == DimPattern::Kind::Variable &&
             use_.templ.slots[dim.slot.index].name == name;
    };
    if (named(1, "H") && named(2, "W")) return "NHWC";
    if (named(2, "H") && named(3, "W")) return "NCHW";
    return {};
  }

  std::string wanted_layout(const Statement& statement) {
    if (!statement.layout_slot) return statement.layout;
    const RuleValue value = from_binding(scope(), slots_[statement.layout_slot.index],
                                         use_.templ.slots[statement.layout_slot.index]);
    const auto* word = std::get_if<std::string>(&value.data);
    return word ? *word : std::string();
  }

  bool emit_body() {
    const Template& templ = use_.templ;
    const TemplateBody& body = templ.bodies[variant_.body];
    for (const Let& let : body.lets) {
      if (let.value) slots_[let.slot.index] = to_binding(evaluate(scope(), let.value));
    }
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

  bool give(const Statement& statement, SlotId slot, ValueId value) {
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
      const std::string from = written_layout(port), to = wanted_layout(statement);
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

  bool run_body() {
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

  // ---- result ports by value --------------------------------------------------------------------

  // How many rows of image `b` count on a probe.
  std::int64_t rows_of(std::size_t probe, std::int64_t image) const {
    const Tensor& counts = results_[count_->port].seen[probe];
    return image < counts.size() ? counts.integer(image) : 0;
  }

  // Whether `there` is the port's result, seen through an adaptor, on every probe.
  bool equal(std::size_t port, const Adaptor& adaptor, const Observed& there, Distance* distance) {
    const bool rows = count_ && has_rows(use_.templ.outputs[port], *count_);
    for (std::size_t t = 0; t < there.seen.size(); ++t) {
      const Tensor& mine = results_[port].seen[t];
      const Tensor& theirs = there.seen[t];
      if (mine.size() != theirs.size()) return false;
      if (mine.size() == 0) continue;
      const double tolerance = use_.tolerance();
      const auto close = [&](double a, double b) {
        if (distance) distance->see(a, b);
        return std::fabs(a - b) <= tolerance * std::max(1.0, std::fabs(b));
      };
      if (!rows) {
        // A look at one element spares most conversions.
        if (adaptor.perm.empty() && !close(mine.number(0), theirs.number(0))) return false;
        const Tensor seen = adaptor.perm.empty() ? mine : transpose(mine, adaptor.perm);
        if (adaptor.shape == std::nullopt && seen.shape() != theirs.shape()) return false;
        const std::vector<double> a = seen.numbers(), b = theirs.numbers();
        for (std::size_t i = 0; i < a.size(); ++i) {
          if (!close(a[i], b[i])) return false;
        }
        continue;
      }
      const std::int64_t images = mine.dim(0), count = mine.dim(1);
      const std::int64_t width = count == 0 ? 0 : mine.size() / (images * count);
      for (std::int64_t b = 0; b < images; ++b) {
        const std::int64_t valid = std::min(rows_of(t, b), count) * width;
        for (std::int64_t i = 0; i < valid; ++i) {
          const std::int64_t at = b * count * width + i;
          if (!close(mine.number(at), theirs.number(at))) return false;
        }
      }
    }
    return true;
  }

  void find_places(std::size_t port) {
    places_.resize(results_.size());
    const Tensor& first = results_[port].seen[0];
    for (const Observed& there : trial_.observed) {
      const Tensor& seen = there.seen[0];
      if (seen.size() != first.size() || seen.dtype() == DType::Bool) continue;
      const bool steady = std::all_of(there.seen.begin(), there.seen.end(),
                                      [&](const Tensor& t) { return t.shape() == seen.shape(); });
      if (!steady) continue;
      for (Adaptor& adaptor :
           adaptors_between(first.shape(), seen.shape(), use_.templ.outputs[port].any_layout)) {
        if (!equal(port, adaptor, there, nullptr)) continue;
        if (seen.dtype() != first.dtype()) adaptor.cast = seen.dtype();
        places_[port].push_back({&there, std::move(adaptor)});
        break;
      }
    }
  }

  // The one number that fills rows beyond the count, or nothing where there are several, or none.
  std::optional<double> padding(std::size_t port, const std::vector<Tensor>& seen) const {
    std::optional<double> fill;
    for (std::size_t t = 0; t < seen.size(); ++t) {
      const Tensor& mine = results_[port].seen[t];
      const std::int64_t images = mine.dim(0), count = mine.dim(1);
      const std::int64_t width = count == 0 ? 0 : mine.size() / (images * count);
      for (std::int64_t b = 0; b < images; ++b) {
        for (std::int64_t i = std::min(rows_of(t, b), count) * width; i < count * width; ++i) {
          const double number = seen[t].number(b * count * width + i);
          if (fill && *fill != number) return std::nullopt;
          fill = number;
        }
      }
    }
    return fill;
  }

  // The port's result in the form of a value of the region, in its place.
  void replace(std::size_t port, const ResultPlace& place) {
    const ValueId old = place.there->value;
    ValueId value = results_[port].value;
    NodeWriter writer(model(), use_.graph, before_, hint_, metadata());
    if (count_ && has_rows(use_.templ.outputs[port], *count_) && model().opset("") >= 9) {
      const auto theirs = padding(port, place.there->seen);
      const auto mine = padding(port, results_[port].seen);
      if (theirs && (!mine || *mine != *theirs)) {
        value = writer.pad_rows(value, results_[count_->port].value, *theirs);
        out_.firing.adaptors.push_back(fmt::format("rows of `{}` beyond the count filled with {}",
                                                   use_.templ.outputs[port].name, *theirs));
      }
    }
    value = writer.adapt(value, place.adaptor);
    if (!place.adaptor.empty()) {
      out_.firing.adaptors.push_back(
          fmt::format("{} behind `{}`", to_string(place.adaptor), use_.templ.outputs[port].name));
    }
    const bool output = model().is_graph_output(old);
    if (output && (model().is_graph_output(value) || !model().value(value).producer)) {
      value = writer.node("Identity", {value}, {}, model().value(value).type);
    }
    made_.insert(made_.end(), writer.made().begin(), writer.made().end());
    model().replace_uses(old, value);
    if (output) {
      const std::string name = model().value(old).name;
      const Type declared = model().value(old).type;
      std::vector<Metadata> kept = model().value(old).metadata;
      model().rename(old, model().fresh_value_name(name + "_before"));
      model().rename(value, name);
      model().value(value).type = declared;
      model().value(value).metadata = std::move(kept);
      model().value(value).leftover = model().value(old).leftover;
    }
    replaced_[old] = value;
    out_.firing.notes.push_back(fmt::format("`{}` stands for `{}`", use_.templ.outputs[port].name,
                                            trial_.model.value(old).name));
  }

  bool place_results() {
    int bound = 0;
    for (std::size_t p = 0; p < results_.size(); ++p) {
      if (places_[p].empty()) continue;
      ++bound;
      replace(p, places_[p].front());
    }
    if (bound == 0) return missing(bound);
    tidy();
    // What else is the same may be used beside the nearest value: replaced until no root is left.
    for (std::size_t p = 0; p < results_.size() && alive(); ++p) {
      for (std::size_t i = 1; i < places_[p].size() && alive(); ++i) {
        const ValueId value = places_[p][i].there->value;
        if (replaced_.contains(value) || !model().value(value).alive ||
            model().use_count(value) == 0)
          continue;
        replace(p, places_[p][i]);
        tidy();
      }
    }
    if (alive()) fold_shapes();
    if (alive()) return missing(bound);
    return true;
  }

  void tidy() {
    for (std::string& name : sweep(model(), use_.graph, trial_.model))
      out_.firing.removed.push_back(std::move(name));
  }

  bool alive() {
    return std::any_of(use_.roots.begin(), use_.roots.end(),
                       [&](NodeId root) { return model().node(root).alive; });
  }

  // Results of the roots that hang on the inputs' shapes only are constants now.
  void fold_shapes() {
    for (NodeId root : use_.roots) {
      if (!model().node(root).alive) continue;
      for (ValueId output : std::vector<ValueId>(model().node(root).outputs)) {
        if (!output || model().use_count(output) == 0 || replaced_.contains(output)) continue;
        const auto at = std::find_if(trial_.observed.begin(), trial_.observed.end(),
                                     [&](const Observed& o) { return o.value == output; });
        if (at == trial_.observed.end()) continue;
        const bool steady = std::all_of(at->seen.begin(), at->seen.end(),
                                        [&](const Tensor& t) { return same_bits(t, at->seen[0]); });
        const Dependence on = trace(trial_.model, output);
        if (!steady || !on.by_data.empty() || !on.by_shape.empty()) continue;
        const std::string name = model().value(output).name;
        const ValueId constant = model().add_initializer(
            use_.graph, model().fresh_value_name(name + "_folded"), at->seen[0]);
        model().replace_uses(output, constant);
        replaced_[output] = constant;
        out_.firing.notes.push_back(fmt::format("`{}` folded to {}: it depends on shapes only",
                                                name, fmt::join(at->seen[0].numbers(), ", ")));
      }
    }
    tidy();
  }

  // Says which outputs of the model keep the region alive.
  bool missing(int bound) {
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

  // ---- before and after -------------------------------------------------------------------------

  // A place where the region's values are seen from outside: outputs of the graph, operands of
  // nodes too heavy to run.
  struct Seen {
    const Observed* before = nullptr;
    ValueId after;
    std::string where;
  };

  std::vector<Seen> interface() {
    std::map<ValueId, const Observed*> observed;
    for (const Observed& one : trial_.observed)
      observed[one.value] = &one;
    std::vector<Seen> seen;
    const GraphInfo& was = trial_.model.graph(use_.graph);
    for (std::size_t i = 0; i < was.outputs.size(); ++i) {
      const auto at = observed.find(was.outputs[i]);
      if (at != observed.end())
        seen.push_back({at->second, model().graph(use_.graph).outputs[i],
                        trial_.model.value(was.outputs[i]).name});
    }
    for (NodeId id = trial_.model.first_node(use_.graph); id; id = trial_.model.next_node(id)) {
      const GraphNode& node = trial_.model.node(id);
      if (!is_heavy(node) || !model().node(id).alive) continue;
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        const auto at = observed.find(node.inputs[i]);
        if (at != observed.end())
          seen.push_back(
              {at->second, model().node(id).inputs[i], trial_.model.value(node.inputs[i]).name});
      }
    }
    return seen;
  }

  bool compare_interface() {
    const std::vector<Seen> seen = interface();
    std::vector<ValueId> targets;
    for (const Seen& one : seen)
      targets.push_back(one.after);
    Evaluator evaluator(model());
    for (std::size_t t = 0; t < trial_.feeds.size(); ++t) {
      std::vector<std::pair<ValueId, Value>> feeds;
      for (const auto& feed : trial_.feeds[t]) {
        if (model().value(feed.first).alive) feeds.push_back(feed);
      }
      for (const PortResult& result : results_)
        feeds.emplace_back(result.value, Value(result.seen[t]));
      auto values = evaluator.run(feeds, targets);
      if (!values)
        return fail("verify", "the rewritten region to run", values.error().message, 100);
      for (std::size_t i = 0; i < seen.size(); ++i) {
        if (!(*values)[i].is_tensor()) continue;
        const Tensor& before = seen[i].before->seen[t];
        const Tensor& after = (*values)[i].tensor();
        if (before.shape() != after.shape() || before.dtype() != after.dtype()) {
          return fail("verify",
                      fmt::format("`{}` to stay {}{}", seen[i].where, name(before.dtype()),
                                  to_string(before.shape())),
                      fmt::format("{}{}", name(after.dtype()), to_string(after.shape())), 100);
        }
        const std::vector<double> a = after.numbers(), b = before.numbers();
        for (std::size_t k = 0; k < a.size(); ++k) {
          if (!(std::fabs(a[k] - b[k]) <= use_.tolerance() * std::max(1.0, std::fabs(b[k])))) {
            return fail(
                "verify",
                fmt::format("`{}` to differ by at most {:g}", seen[i].where, use_.tolerance()),
                fmt::format("a difference of {:g} on a probe ({})", std::fabs(a[k] - b[k]),
                            trial_.probes[t].kind),
                100);
          }
          figures_.see(a[k], b[k]);
        }
      }
    }
    return true;
  }

  void finish() {
    Firing& firing = out_.firing;
    for (NodeId id : made_) {
      if (model().node(id).alive) firing.added.push_back(model().node(id).name);
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
      firing.verified = Verification{figures_.absolute, figures_.relative,
                                     static_cast<int>(trial_.probes.size()), use_.options.seed};
    }
    out_.swallowed = firing.removed.size();
  }

  const TemplateUse& use_;
  const Trial& trial_;
  const Variant& variant_;
  std::string assumed_;  // under what condition the proof holds
  Shortfall& shortfall_;
  std::optional<RowCount> count_;
  std::vector<Binding> slots_;
  DimSizes sizes_;
  Outcome out_;
  NodeId before_;
  std::string hint_;
  std::vector<NodeId> made_;
  std::vector<PortResult> results_;
  std::vector<std::vector<ResultPlace>> places_;
  std::map<ValueId, ValueId> replaced_;
  Distance figures_;
};

}  // namespace

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
      removed.push_back(model.node(id).name);
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
