// SPDX-License-Identifier: Apache-2.0
// Result ports by value: which values of the region a port equals on every probe, and what takes
// their place.
#include <algorithm>
#include <cmath>

#include <fmt/ranges.h>

#include "matcher/dependence.h"
#include "matcher/proof.h"

namespace rulec {

// How many rows of image `b` count on a probe.
std::int64_t Proof::rows_of(std::size_t probe, std::int64_t image) const {
  const Tensor& counts = results_[count_->port].seen[probe];
  return image < counts.size() ? counts.integer(image) : 0;
}

// Whether `there` is the port's result, seen through an adaptor, on every probe.
bool Proof::equal(std::size_t port, const Adaptor& adaptor, const Observed& there,
                  Distance* distance) {
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

void Proof::find_places(std::size_t port) {
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
std::optional<double> Proof::padding(std::size_t port, const std::vector<Tensor>& seen) const {
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

// An output of the model keeps its name, its declared type and what else the file says of it.
void Proof::take_name(ValueId old, ValueId value) {
  const std::string name = model().value(old).name;
  const Type declared = model().value(old).type;
  std::vector<Metadata> kept = model().value(old).metadata;
  model().rename(old, model().fresh_value_name(name + "_before"));
  model().rename(value, name);
  model().value(value).type = declared;
  model().value(value).metadata = std::move(kept);
  model().value(value).leftover = model().value(old).leftover;
}

// The port's result in the form of a value of the region, in its place.
bool Proof::replace(std::size_t port, const ResultPlace& place) {
  const ValueId old = place.there->value;
  ValueId value = results_[port].value;
  NodeWriter writer(model(), use_.graph, before_, hint_, metadata());
  if (count_ && has_rows(use_.templ.outputs[port], *count_) && model().opset("") >= 9) {
    const auto theirs = padding(port, place.there->seen);
    const auto mine = padding(port, results_[port].seen);
    if (theirs && (!mine || *mine != *theirs)) {
      const Type rows = model().value(value).type;
      value = writer.pad_rows(value, results_[count_->port].value, *theirs);
      if (!value)
        return fail("type", "results of a known number of rows, to fill those beyond the count",
                    to_string(rows), static_cast<int>(port) + 1);
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
  if (output) take_name(old, value);
  replaced_[old] = value;
  out_.firing.notes.push_back(fmt::format("`{}` stands for `{}`", use_.templ.outputs[port].name,
                                          trial_.model.value(old).name));
  return true;
}

bool Proof::place_results() {
  int bound = 0;
  for (std::size_t p = 0; p < results_.size(); ++p) {
    if (places_[p].empty()) continue;
    ++bound;
    if (!replace(p, places_[p].front())) return false;
  }
  if (bound == 0) return missing(bound);
  tidy();
  // What else is the same may be used beside the nearest value: replaced until no root is left.
  for (std::size_t p = 0; p < results_.size() && alive(); ++p) {
    for (std::size_t i = 1; i < places_[p].size() && alive(); ++i) {
      const ValueId value = places_[p][i].there->value;
      if (replaced_.contains(value) || !model().value(value).alive || model().use_count(value) == 0)
        continue;
      if (!replace(p, places_[p][i])) return false;
      tidy();
    }
  }
  if (alive()) fold_shapes();
  if (alive()) return missing(bound);
  return true;
}

void Proof::tidy() {
  for (std::string& name : sweep(model(), use_.graph, trial_.model))
    out_.firing.removed.push_back(std::move(name));
}

bool Proof::alive() {
  return std::any_of(use_.roots.begin(), use_.roots.end(),
                     [&](NodeId root) { return model().node(root).alive; });
}

// Results of the roots that hang on the inputs' shapes only are constants now.
void Proof::fold_shapes() {
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
      ValueId constant = model().add_initializer(
          use_.graph, model().fresh_value_name(name + "_folded"), at->seen[0]);
      const bool shown = model().is_graph_output(output);
      if (shown) {  // a node gives an output of the model
        NodeWriter writer(model(), use_.graph, before_, hint_, metadata());
        constant = writer.node("Identity", {constant}, {}, model().value(constant).type);
        made_.insert(made_.end(), writer.made().begin(), writer.made().end());
      }
      model().replace_uses(output, constant);
      if (shown) take_name(output, constant);
      replaced_[output] = constant;
      out_.firing.notes.push_back(fmt::format("`{}` folded to {}: it depends on shapes only", name,
                                              fmt::join(at->seen[0].numbers(), ", ")));
    }
  }
  tidy();
}

}  // namespace rulec
