// SPDX-License-Identifier: Apache-2.0
#include "matcher/port_binding.h"

#include <algorithm>
#include <array>

#include <fmt/ranges.h>

#include "matcher/dependence.h"
#include "matcher/origin.h"

namespace rulec {

// ---- types --------------------------------------------------------------------------------------

// Whether a size may stand where the pattern wants one; notes what a variable is.
static bool unify(const DimPattern& pattern, const Dim& dim, DimSizes& sizes) {
  switch (pattern.kind) {
    case DimPattern::Kind::Fixed:
      return !dim.known() || dim.size == pattern.size;
    case DimPattern::Kind::Variable: {
      auto [at, fresh] = sizes.try_emplace(pattern.slot, dim);
      if (fresh) return true;
      if (!at->second.known()) at->second = dim.known() ? dim : at->second;
      return !dim.known() || at->second.size == dim.size;
    }
    case DimPattern::Kind::Unknown:
      return true;
    case DimPattern::Kind::Rest:
      return false;
  }
  return false;
}

static std::optional<DimSizes> unify_all(const std::vector<DimPattern>& patterns,
                                         const std::vector<Dim>& dims, const DimSizes& known) {
  if (patterns.size() != dims.size()) return std::nullopt;
  DimSizes sizes = known;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (!unify(patterns[i], dims[i], sizes)) return std::nullopt;
  }
  return sizes;
}

// `dims` without its ones, spread over `rank` places with ones between: leading ones first.
static std::vector<std::vector<Dim>> with_units(const std::vector<Dim>& dims, std::size_t rank) {
  std::vector<Dim> solid;
  std::copy_if(dims.begin(), dims.end(), std::back_inserter(solid),
               [](const Dim& dim) { return dim.size != 1; });
  std::vector<std::vector<Dim>> all;
  if (solid.size() > rank || rank > 8) return all;
  std::vector<bool> taken(rank);
  std::fill(taken.end() - static_cast<std::ptrdiff_t>(solid.size()), taken.end(), true);
  do {
    std::vector<Dim> placed(rank, Dim{.size = 1});
    std::size_t next = 0;
    for (std::size_t i = 0; i < rank; ++i) {
      if (taken[i]) placed[i] = solid[next++];
    }
    all.push_back(std::move(placed));
  } while (std::next_permutation(taken.begin(), taken.end()));
  return all;
}

static std::optional<DType> port_dtype(DType dtype, const TypePattern& pattern) {
  if (pattern.dtypes.empty() ||
      std::find(pattern.dtypes.begin(), pattern.dtypes.end(), dtype) != pattern.dtypes.end()) {
    return dtype;
  }
  // A cast between floats, or between whole numbers, loses nothing that the port could want.
  for (DType wanted : pattern.dtypes) {
    if (is_float(wanted) && is_float(dtype)) return wanted;
    if (is_integer(wanted) && is_integer(dtype)) return wanted;
  }
  return std::nullopt;
}

static std::vector<Dim> permuted(const std::vector<Dim>& dims, std::span<const std::int64_t> perm) {
  std::vector<Dim> result;
  for (std::int64_t axis : perm)
    result.push_back(dims[static_cast<std::size_t>(axis)]);
  return result;
}

std::vector<PortView> views_of(const Type& type, const Port& port, const DimSizes& known) {
  std::vector<PortView> views;
  if (!type.is_tensor() || !type.dims) return views;
  const auto dtype = port_dtype(type.dtype, port.type);
  if (!dtype) return views;
  const DType cast = *dtype == type.dtype ? DType::Undefined : *dtype;
  const auto add = [&](Adaptor adaptor, std::vector<Dim> dims, DimSizes sizes) {
    adaptor.cast = cast;
    views.push_back({std::move(adaptor), std::move(dims), *dtype, std::move(sizes)});
  };
  for (const auto& patterns : port.type.shapes) {
    if (auto sizes = unify_all(patterns, *type.dims, known)) add({}, *type.dims, *sizes);
    if (port.any_layout && patterns.size() == 4 && type.dims->size() == 4) {
      for (const std::array<std::int64_t, 4>& perm :
           {std::array<std::int64_t, 4>{0, 2, 3, 1}, std::array<std::int64_t, 4>{0, 3, 1, 2}}) {
        const std::vector<Dim> dims = permuted(*type.dims, perm);
        if (auto sizes = unify_all(patterns, dims, known)) {
          add({.perm = {perm.begin(), perm.end()}, .shape = {}}, dims, *sizes);
        }
      }
    }
    if (!type.static_shape()) continue;
    for (const std::vector<Dim>& dims : with_units(*type.dims, patterns.size())) {
      if (dims == *type.dims) continue;
      const auto sizes = unify_all(patterns, dims, known);
      if (!sizes) continue;
      Shape shape;
      for (const Dim& dim : dims)
        shape.push_back(dim.size);
      add({.perm = {}, .shape = std::move(shape)}, dims, *sizes);
    }
  }
  if (port.type.shapes.empty()) add({}, *type.dims, known);
  return views;
}

// ---- derivation ---------------------------------------------------------------------------------

static std::vector<ValueId> values_of(const Binding& binding) {
  std::vector<ValueId> values;
  if (const auto* one = std::get_if<ValueId>(&binding.held)) values.push_back(*one);
  if (const auto* number = std::get_if<Binding::Number>(&binding.held))
    values.push_back(number->value);
  if (const auto* list = std::get_if<std::vector<Binding>>(&binding.held)) {
    for (const Binding& item : *list) {
      const std::vector<ValueId> inner = values_of(item);
      values.insert(values.end(), inner.begin(), inner.end());
    }
  }
  return values;
}

// What lies above all of the values, nearest to the first of them first.
static std::vector<ChainLink> common_chain(const Model& model, const std::vector<ValueId>& values) {
  std::vector<ChainLink> common;
  if (values.empty() || !values[0]) return common;
  common = chain_above(model, values[0]);
  for (ValueId value : values) {
    const std::vector<ChainLink> other = chain_above(model, value);
    std::erase_if(common, [&](const ChainLink& link) {
      return std::none_of(other.begin(), other.end(),
                          [&](const ChainLink& o) { return o.value == link.value; });
    });
  }
  return common;
}

static std::vector<ChainLink> out_of_scope(const Model& model, GraphId graph,
                                           const std::string& glob) {
  std::vector<ChainLink> found;
  for (ValueId value : values_from_scope(model, graph, glob))
    found.push_back({value, static_cast<int>(found.size())});
  return found;
}

// Values that the roots read and that no constant gives.
static std::vector<ChainLink> region_inputs(const Model& model, std::span<const NodeId> roots) {
  std::vector<ChainLink> found;
  for (NodeId root : roots) {
    for (ValueId value : reads(model, root)) {
      const GraphValue& read = model.value(value);
      if (model.constant(value) || (!read.producer && !read.is_input)) continue;
      // From within the region (a scope has many roots).
      if (read.producer && std::find(roots.begin(), roots.end(), read.producer) != roots.end())
        continue;
      if (std::any_of(found.begin(), found.end(),
                      [&](const ChainLink& link) { return link.value == value; }))
        continue;
      found.push_back({value, static_cast<int>(found.size())});
    }
  }
  return found;
}

static std::vector<ChainLink> places_for(const Model& model, const Port& port,
                                         const TemplateCall& call, std::span<const Binding> slots,
                                         std::span<const NodeId> roots) {
  const GraphId graph = model.node(roots[0]).graph;
  for (const auto& [name, value_name] : call.ports) {
    if (name != port.name) continue;
    for (std::uint32_t i = 0; i < model.value_capacity(); ++i) {
      const GraphValue& value = model.value({i});
      if (value.alive && value.name == value_name && model.encloses(value.graph, graph))
        return {{{i}, 0}};
    }
    return {};
  }
  if (port.from_source) return common_chain(model, values_of(slots[port.from_source.index]));
  if (!port.from_scope.empty()) return out_of_scope(model, graph, port.from_scope);
  return region_inputs(model, roots);
}

static std::string describe(const Model& model, const std::vector<ChainLink>& places) {
  std::vector<std::string> parts;
  for (const ChainLink& place : places) {
    if (parts.size() == 6) break;
    const GraphValue& value = model.value(place.value);
    parts.push_back(fmt::format("`{}` : {}", value.name, to_string(value.type)));
  }
  return parts.empty() ? "no value" : fmt::format("{}", fmt::join(parts, ", "));
}

namespace {

class Assigner {
 public:
  Assigner(const Model& model, const Template& templ, const TemplateCall& call,
           std::span<const Binding> slots, std::span<const NodeId> roots, std::string& why)
      : model_(model), templ_(templ), why_(why) {
    for (const Port& port : templ.inputs)
      places_.push_back(places_for(model, port, call, slots, roots));
  }

  std::vector<Assignment> run() {
    extend({});
    return std::move(found_);
  }

 private:
  void extend(const Assignment& begun) {
    const std::size_t at = begun.ports.size();
    if (at == templ_.inputs.size()) {
      found_.push_back(begun);
      return;
    }
    bool any = false;
    std::vector<PortChoice> choices;
    for (const ChainLink& place : places_[at]) {
      std::vector<PortView> views =
          views_of(model_.value(place.value).type, templ_.inputs[at], begun.sizes);
      for (PortView& view : views)
        choices.push_back({place.value, std::move(view), place.data});
    }
    // Within the same data the reading with the smaller batch, then what needs no adaptor: rows are
    // rather boxes of one image than images of one box.
    const auto batch = [](const PortChoice& choice) {
      return choice.view.dims.empty() ? 0 : choice.view.dims[0].size;
    };
    std::stable_sort(choices.begin(), choices.end(), [&](const PortChoice& a, const PortChoice& b) {
      if (a.data != b.data) return a.data < b.data;
      if (batch(a) != batch(b)) return batch(a) < batch(b);
      return a.view.adaptor.empty() && !b.view.adaptor.empty();
    });
    for (PortChoice& choice : choices) {
      any = true;
      Assignment longer = begun;
      longer.sizes = choice.view.sizes;
      longer.ports.push_back(std::move(choice));
      extend(longer);
    }
    if (!any && found_.empty()) {
      why_ = fmt::format("port `{}` of `{}` finds no value of its type; looked at {}",
                         templ_.inputs[at].name, templ_.name, describe(model_, places_[at]));
    }
  }

  const Model& model_;
  const Template& templ_;
  std::string& why_;
  std::vector<std::vector<ChainLink>> places_;
  std::vector<Assignment> found_;
};

}  // namespace

std::vector<Assignment> assign_ports(const Model& model, const Template& templ,
                                     const TemplateCall& call, std::span<const Binding> slots,
                                     std::span<const NodeId> roots, std::string& why) {
  std::vector<Assignment> found = Assigner(model, templ, call, slots, roots, why).run();
  const GraphId graph = model.node(roots[0]).graph;
  const std::vector<NodeId> below = nodes_below(model, graph, roots, is_heavy);
  std::vector<Assignment> kept;
  for (Assignment& assignment : found) {
    std::vector<ValueId> feeds;
    for (const PortChoice& port : assignment.ports)
      feeds.push_back(port.value);
    // A port must not lie below the root: the replacement could not stand before it.
    const bool circular = std::any_of(below.begin(), below.end(), [&](NodeId id) {
      const auto& outputs = model.node(id).outputs;
      return std::any_of(outputs.begin(), outputs.end(), [&](ValueId v) {
        return v && std::find(feeds.begin(), feeds.end(), v) != feeds.end();
      });
    });
    if (circular) continue;
    const Computable able(model, graph, feeds);
    for (NodeId id : below) {
      for (ValueId read : reads(model, id)) {
        if (!able.ok(read) && able.blame(read) &&
            std::find(assignment.open.begin(), assignment.open.end(), read) ==
                assignment.open.end()) {
          assignment.open.push_back(read);
        }
      }
    }
    kept.push_back(std::move(assignment));
  }
  std::stable_sort(kept.begin(), kept.end(), [](const Assignment& a, const Assignment& b) {
    return a.open.size() < b.open.size();
  });
  // The same data up to reshape counts as one.
  std::vector<Assignment> result;
  for (Assignment& assignment : kept) {
    const bool seen = std::any_of(result.begin(), result.end(), [&](const Assignment& other) {
      for (std::size_t p = 0; p < other.ports.size(); ++p) {
        if (other.ports[p].data != assignment.ports[p].data) return false;
      }
      return true;
    });
    if (!seen) result.push_back(std::move(assignment));
  }
  return result;
}

}  // namespace rulec
