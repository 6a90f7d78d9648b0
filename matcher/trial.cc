// SPDX-License-Identifier: Apache-2.0
// Fixes ports and sizes, and runs the region on probes.
#include "matcher/trial.h"

#include <algorithm>
#include <numeric>

#include <fmt/ranges.h>

#include "matcher/dependence.h"
#include "matcher/onnx_io.h"

namespace rulec {

double TemplateUse::tolerance() const {
  if (rule.precision.tolerance > 0) return rule.precision.tolerance;
  return templ.tolerance > 0 ? templ.tolerance : 1e-5;
}

std::optional<Shape> port_dims(const Port& port, const DimSizes& sizes) {
  if (port.type.shapes.empty()) return std::nullopt;
  Shape dims;
  for (const DimPattern& pattern : port.type.shapes[0]) {
    if (pattern.kind == DimPattern::Kind::Fixed) {
      dims.push_back(pattern.size);
      continue;
    }
    const auto at = sizes.find(pattern.slot);
    if (pattern.kind != DimPattern::Kind::Variable || at == sizes.end() || !at->second.known())
      return std::nullopt;
    dims.push_back(at->second.size);
  }
  return dims;
}

// A probe in the form in which the model has the port's value.
static Tensor model_form(const Model& model, const PortChoice& port, const Tensor& canonical) {
  const Adaptor& adaptor = port.view.adaptor;
  Tensor tensor = canonical;
  if (adaptor.cast != DType::Undefined)
    tensor = convert(tensor, model.value(port.value).type.dtype);
  if (adaptor.shape) {
    Shape shape = *model.value(port.value).type.static_shape();
    if (!adaptor.perm.empty()) {
      Shape moved;
      for (std::int64_t axis : adaptor.perm)
        moved.push_back(shape[static_cast<std::size_t>(axis)]);
      shape = std::move(moved);
    }
    tensor = tensor.reshaped(std::move(shape));
  }
  if (adaptor.perm.empty()) return tensor;
  std::vector<std::int64_t> inverse(adaptor.perm.size());
  for (std::size_t i = 0; i < inverse.size(); ++i)
    inverse[static_cast<std::size_t>(adaptor.perm[i])] = static_cast<std::int64_t>(i);
  return transpose(tensor, inverse);
}

namespace {

// Finds the sizes that a region delivers whatever it is given, and writes them into the graph
// inputs that its ports come from.
class Narrowing {
 public:
  Narrowing(Trial& trial, const TemplateUse& use, std::string& why)
      : trial_(trial), use_(use), why_(why) {
    for (const PortChoice& port : trial_.assignment.ports) {
      for (std::size_t axis = 0; axis < port.view.dims.size(); ++axis)
        note(port, axis);
    }
  }

  bool run() {
    if (open_.empty()) return true;
    DimSizes first = sizes(0), second = sizes(1);
    auto a = results(first), b = results(second);
    if (!a || !b) {  // perhaps the region takes as many images as it says
      const std::int64_t trips = trip_count();
      if (trips < 1) return false;
      for (const auto& [slot, axis] : open_) {
        if (axis == 0) first[slot].size = second[slot].size = trips;
      }
      a = results(first);
      b = results(second);
      if (!a || !b) return false;
    }
    why_.clear();
    for (std::size_t i = 0; i < a->size(); ++i) {
      for (const Port& port : use_.templ.outputs) {
        if (const auto found = follow(port, (*a)[i], (*b)[i], first, second)) return settle(*found);
      }
    }
    why_ = fmt::format("the size of its results follows neither the input nor a constant");
    return false;
  }

 private:
  void note(const PortChoice& port, std::size_t axis) {
    const std::size_t at = static_cast<std::size_t>(&port - trial_.assignment.ports.data());
    const auto& patterns = use_.templ.inputs[at].type.shapes;
    if (patterns.empty() || patterns[0].size() <= axis) return;
    const DimPattern& pattern = patterns[0][axis];
    if (pattern.kind != DimPattern::Kind::Variable) return;
    if (!trial_.assignment.sizes[pattern.slot].known()) open_.try_emplace(pattern.slot, axis);
  }

  DimSizes sizes(int trial) const {
    static constexpr std::int64_t batch[2] = {1, 2}, odd[2] = {40, 72}, even[2] = {56, 48};
    DimSizes chosen = trial_.assignment.sizes;
    for (const auto& [slot, axis] : open_)
      chosen[slot].size = axis == 0 ? batch[trial] : axis % 2 == 1 ? odd[trial] : even[trial];
    return chosen;
  }

  // The root's results at some sizes.
  std::optional<std::vector<Tensor>> results(const DimSizes& at) {
    std::vector<PortShape> shapes;
    for (std::size_t p = 0; p < use_.templ.inputs.size(); ++p) {
      const auto dims = port_dims(use_.templ.inputs[p], at);
      if (!dims) return std::nullopt;
      shapes.push_back({&use_.templ.inputs[p], trial_.assignment.ports[p].view.dtype, *dims});
    }
    const Probe probe = make_probes(shapes, {}, use_.options.seed).front();
    std::vector<ValueId> ids, targets;
    std::vector<std::pair<ValueId, Value>> feeds;
    for (std::size_t p = 0; p < probe.values.size(); ++p) {
      const PortChoice& port = trial_.assignment.ports[p];
      ids.push_back(port.value);
      feeds.emplace_back(port.value, model_form(trial_.model, port, probe.values[p]));
    }
    const Computable able(trial_.model, use_.graph, ids);
    feeds.insert(feeds.end(), able.shapes().begin(), able.shapes().end());
    for (NodeId root : use_.roots) {
      for (ValueId output : trial_.model.node(root).outputs) {
        if (output && able.ok(output)) targets.push_back(output);
      }
    }
    auto values = Evaluator(trial_.model).run(feeds, targets);
    if (!values) {
      why_ = fmt::format("the region cannot be run: {}", values.error().message);
      return std::nullopt;
    }
    std::vector<Tensor> tensors;
    for (const Value& value : *values)
      tensors.push_back(value.is_tensor() ? value.tensor() : Tensor());
    return tensors;
  }

  // The open sizes as one result tells them: -1 where they follow the input.
  std::optional<std::map<SlotId, std::int64_t>> follow(const Port& port, const Tensor& a,
                                                       const Tensor& b, const DimSizes& first,
                                                       const DimSizes& second) const {
    if (!a.defined() || !b.defined()) return std::nullopt;
    DimSizes known = trial_.assignment.sizes;
    for (const auto& [slot, axis] : open_)
      known.erase(slot);
    for (PortView& view : views_of(Type::tensor(a.dtype(), a.shape()), port, known)) {
      for (PortView& other : views_of(Type::tensor(b.dtype(), b.shape()), port, known)) {
        if (view.adaptor.perm != other.adaptor.perm || view.adaptor.shape || other.adaptor.shape)
          continue;
        std::map<SlotId, std::int64_t> found;
        bool fits = true;
        for (const auto& [slot, axis] : open_) {
          const std::int64_t x = view.sizes[slot].size, y = other.sizes[slot].size;
          if (x == first.at(slot).size && y == second.at(slot).size && x != y) {
            found[slot] = -1;
          } else if (x == y && x > 0) {
            found[slot] = x;
          } else {
            fits = false;
          }
        }
        if (fits) return found;
      }
    }
    return std::nullopt;
  }

  std::int64_t trip_count() const {
    const GraphNode& root = trial_.model.node(use_.roots[0]);
    if (root.type != "Loop" || root.inputs.empty() || !root.inputs[0]) return -1;
    const auto trips = fold(trial_.model, root.inputs[0]);
    return trips && trips->size() == 1 && trips->integer(0) <= 1024 ? trips->integer(0) : -1;
  }

  // Writes what was found into the model's types.
  bool settle(const std::map<SlotId, std::int64_t>& found) {
    bool changed = false;
    for (std::size_t p = 0; p < trial_.assignment.ports.size(); ++p) {
      PortChoice& port = trial_.assignment.ports[p];
      const auto& patterns = use_.templ.inputs[p].type.shapes[0];
      for (std::size_t axis = 0; axis < port.view.dims.size(); ++axis) {
        const auto at = found.find(patterns[axis].slot);
        if (patterns[axis].kind != DimPattern::Kind::Variable || at == found.end() ||
            at->second < 0)
          continue;
        std::size_t own = axis;
        if (!port.view.adaptor.perm.empty())
          own = static_cast<std::size_t>(port.view.adaptor.perm[axis]);
        if (!narrow(port.value, own, at->second)) return false;
        port.view.dims[axis] = {.size = at->second};
        trial_.assignment.sizes[patterns[axis].slot] = {.size = at->second};
        changed = true;
      }
    }
    if (changed) {
      std::vector<std::string> warnings;
      infer_types(trial_.model, warnings, &use_.ops);
    }
    return true;
  }

  bool narrow(ValueId value, std::size_t axis, std::int64_t size) {
    Model& model = trial_.model;
    while (model.value(value).producer) {
      const GraphNode& node = model.node(model.value(value).producer);
      if (node.type == "Transpose") {
        const auto perm = node.attributes.integers("perm");
        const std::size_t rank = model.value(value).type.dims->size();
        axis = perm.empty() ? rank - 1 - axis : static_cast<std::size_t>(perm[axis]);
      } else if (node.type != "Identity" && node.type != "Cast") {
        why_ =
            fmt::format("`{}` would have to be {} long in dimension {}, and no graph input says so",
                        model.value(value).name, size, axis);
        return false;
      }
      value = node.inputs[0];
    }
    GraphValue& input = model.value(value);
    if (!input.is_input || input.graph != model.main() || !input.type.dims) {
      why_ = fmt::format("`{}` has no size that could be narrowed", input.name);
      return false;
    }
    Dim& dim = (*input.type.dims)[axis];
    if (dim.known()) return dim.size == size;
    if (use_.options.keep_shapes) {
      why_ = fmt::format(
          "dimension {} of input `{}` would have to become {}, which --keep-shapes forbids", axis,
          input.name, size);
      return false;
    }
    const std::string symbol = dim.symbol;
    dim = {.size = size};
    const std::string begin = fmt::format("input `{}` narrowed to ", input.name);
    std::erase_if(trial_.notes, [&](const std::string& note) { return note.starts_with(begin); });
    trial_.notes.push_back(begin + to_string(input.type));
    if (symbol.empty()) return true;
    for (std::uint32_t i = 0; i < model.value_capacity(); ++i) {
      GraphValue& other = model.value({i});
      if (!other.alive || !other.type.dims) continue;
      for (Dim& same : *other.type.dims) {
        if (same.symbol == symbol) same = {.size = size};
      }
    }
    return true;
  }

  Trial& trial_;
  const TemplateUse& use_;
  std::string& why_;
  std::map<SlotId, std::size_t> open_;  // variable, its axis in the port
};

}  // namespace

// Numbers that the root's pattern captured: where the probes look closer.
static std::vector<double> captured_numbers(std::span<const Binding> slots) {
  std::vector<double> found;
  for (const Binding& slot : slots) {
    const Binding* one = &slot;
    if (const auto* list = std::get_if<std::vector<Binding>>(&slot.held); list && !list->empty())
      one = &list->front();
    if (const auto* number = std::get_if<Binding::Number>(&one->held))
      found.push_back(number->number);
  }
  return found;
}

static bool observable(const GraphValue& value) {
  const Type& type = value.type;
  if (type.kind == Type::Kind::Unknown) return true;
  return type.is_tensor() && type.dtype != DType::String && !is_complex(type.dtype);
}

// Runs everything below the root that follows from the ports.
static bool observe(Trial& trial, const TemplateUse& use, std::string& why) {
  std::vector<ValueId> ids;
  for (const PortChoice& port : trial.assignment.ports)
    ids.push_back(port.value);
  const Computable able(trial.model, use.graph, ids);
  const std::vector<int> distance = distances_to_outputs(trial.model, use.graph);
  for (NodeId root : use.roots) {
    for (ValueId output : trial.model.node(root).outputs) {
      if (!output || able.ok(output)) continue;
      const ValueId missing = able.blame(output);
      why = fmt::format("the region also reads `{}`, which is no port of {} and no constant",
                        missing ? trial.model.value(missing).name : "?", use.templ.name);
      return false;
    }
  }
  std::vector<ValueId> targets;
  for (NodeId id : nodes_below(trial.model, use.graph, use.roots, is_heavy)) {
    for (ValueId output : trial.model.node(id).outputs) {
      if (!output || !able.ok(output) || distance[output.index] < 0 ||
          !observable(trial.model.value(output)))
        continue;
      targets.push_back(output);
      trial.observed.push_back({output, distance[output.index], {}});
    }
  }
  Evaluator evaluator(trial.model);
  for (const Probe& probe : trial.probes) {
    std::vector<std::pair<ValueId, Value>> feeds;
    for (std::size_t p = 0; p < probe.values.size(); ++p) {
      const PortChoice& port = trial.assignment.ports[p];
      feeds.emplace_back(port.value, model_form(trial.model, port, probe.values[p]));
    }
    feeds.insert(feeds.end(), able.shapes().begin(), able.shapes().end());
    auto values = evaluator.run(feeds, targets);
    if (!values) {
      why = fmt::format("the region cannot be run on a probe ({}): {}", probe.kind,
                        values.error().message);
      return false;
    }
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const Value& value = (*values)[i];
      trial.observed[i].seen.push_back(value.is_tensor() ? value.tensor() : Tensor());
    }
    trial.feeds.push_back(std::move(feeds));
  }
  std::erase_if(trial.observed, [](const Observed& one) {
    return std::any_of(one.seen.begin(), one.seen.end(),
                       [](const Tensor& t) { return !t.defined() || t.dtype() == DType::String; });
  });
  // Nearest first; of equally near ones the later in the graph.
  std::reverse(trial.observed.begin(), trial.observed.end());
  std::stable_sort(trial.observed.begin(), trial.observed.end(),
                   [](const Observed& a, const Observed& b) { return a.distance < b.distance; });
  return true;
}

std::optional<Trial> start_trial(const Model& model, const TemplateUse& use,
                                 const Assignment& assignment, std::string& why) {
  Trial trial;
  trial.model = model;
  trial.assignment = assignment;
  if (!Narrowing(trial, use, why).run()) return std::nullopt;
  for (std::size_t p = 0; p < use.templ.inputs.size(); ++p) {
    const Port& port = use.templ.inputs[p];
    const PortChoice& choice = trial.assignment.ports[p];
    Shape dims;  // sizes that stay open get some size
    for (std::size_t axis = 0; axis < choice.view.dims.size(); ++axis) {
      Dim dim = choice.view.dims[axis];
      const auto& pattern = port.type.shapes[0][axis];
      if (!dim.known() && pattern.kind == DimPattern::Kind::Variable)
        dim = trial.assignment.sizes[pattern.slot];
      if (!dim.known() && pattern.kind == DimPattern::Kind::Fixed) dim.size = pattern.size;
      dims.push_back(dim.known() ? dim.size : axis == 0 ? 2 : 32 + 8 * static_cast<int>(axis));
    }
    trial.shapes.push_back({&port, choice.view.dtype, std::move(dims)});
  }
  trial.probes = make_probes(trial.shapes, captured_numbers(use.captured), use.options.seed);
  if (!observe(trial, use, why)) return std::nullopt;
  return trial;
}

std::optional<RowCount> row_count(const Template& templ) {
  const auto given = [&](SlotId slot) {
    for (const Port& port : templ.inputs) {
      for (const auto& shape : port.type.shapes) {
        for (const DimPattern& dim : shape) {
          if (dim.kind == DimPattern::Kind::Variable && dim.slot == slot) return true;
        }
      }
    }
    return false;
  };
  std::optional<RowCount> found;
  for (std::size_t p = 0; p < templ.outputs.size() && !found; ++p) {
    const TypePattern& type = templ.outputs[p].type;
    if (type.shapes.empty() || type.shapes[0].size() != 1 || type.dtypes.empty()) continue;
    if (is_integer(type.dtypes[0])) found = RowCount{p, {}};
  }
  if (!found) return found;
  for (const Port& port : templ.outputs) {
    if (port.type.shapes.empty()) continue;
    for (const DimPattern& dim : port.type.shapes[0]) {
      if (dim.kind == DimPattern::Kind::Variable && !given(dim.slot)) found->rows = dim.slot;
    }
  }
  if (!found->rows) return std::nullopt;
  return found;
}

bool has_rows(const Port& port, const RowCount& count) {
  return !port.type.shapes.empty() && port.type.shapes[0].size() >= 2 &&
         port.type.shapes[0][1].kind == DimPattern::Kind::Variable &&
         port.type.shapes[0][1].slot == count.rows;
}

std::vector<DimSizes> size_guesses(const TemplateUse& use, const Trial& trial) {
  const auto count = row_count(use.templ);
  if (!count) return {{}};
  std::vector<DimSizes> guesses;
  for (const Observed& one : trial.observed) {
    for (const Port& port : use.templ.outputs) {
      if (!has_rows(port, *count) || port.type.shapes[0].size() != 2) continue;
      const Shape& shape = one.seen[0].shape();
      const bool steady = std::all_of(one.seen.begin(), one.seen.end(),
                                      [&](const Tensor& t) { return t.shape() == shape; });
      if (!steady || !is_float(one.seen[0].dtype())) continue;
      for (const PortView& view :
           views_of(Type::tensor(one.seen[0].dtype(), shape), port, trial.assignment.sizes)) {
        const Dim rows = view.sizes.at(count->rows);
        const bool known = std::any_of(guesses.begin(), guesses.end(), [&](const DimSizes& g) {
          return g.at(count->rows) == rows;
        });
        if (!known && rows.size > 1) guesses.push_back({{count->rows, rows}});
      }
    }
    if (guesses.size() == 3) break;
  }
  return guesses;
}

}  // namespace rulec
