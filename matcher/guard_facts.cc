// SPDX-License-Identifier: Apache-2.0
#include "matcher/guard_facts.h"

#include <fmt/format.h>

#include "matcher/facts.h"
#include "matcher/label.h"

namespace rulec {

const ValueId* value_in(const RuleValue& value) {
  const auto* id = std::get_if<ValueId>(&value.data);
  return id != nullptr && *id ? id : nullptr;
}

static RuleValue not_a_value(const Scope& scope, const RuleValue& value) {
  return unknown("{} is not a value of the graph", to_string(scope, value));
}

static std::optional<std::vector<RuleValue>> dims_of(const Scope& scope, const RuleValue& value) {
  std::vector<RuleValue> out;
  if (const auto* id = value_in(value)) {
    const Type type = type_of(scope.model, *id);
    if (!type.is_tensor() || !type.dims) return std::nullopt;
    for (std::size_t i = 0; i < type.dims->size(); ++i) {
      const Dim& dim = (*type.dims)[i];
      if (dim.known()) {
        out.push_back({dim.size});
      } else {
        out.push_back(
            {Unknown{fmt::format("dimension {} of `{}` is not known", i, value_name(scope, *id)),
                     dimension_key(scope.model, *id, i)}});
      }
    }
    return out;
  }
  const auto tensor = as_tensor(scope, value);
  if (!tensor) return std::nullopt;
  for (const std::int64_t size : tensor->shape())
    out.push_back({size});
  return out;
}

static RuleValue unknown_shape(const Scope& scope, const RuleValue& value) {
  return unknown("the rank of {} is not known", to_string(scope, value));
}

RuleValue dtype_function(const Scope& scope, const std::vector<RuleValue>& in) {
  const DType dtype = stored_dtype(scope, in[0]);
  if (dtype != DType::Undefined) return {dtype};
  return unknown("the element type of {} is not known", to_string(scope, in[0]));
}

RuleValue rank_function(const Scope& scope, const std::vector<RuleValue>& in) {
  const auto dims = dims_of(scope, in[0]);
  if (!dims) return unknown_shape(scope, in[0]);
  return {static_cast<std::int64_t>(dims->size())};
}

RuleValue shape_function(const Scope& scope, const std::vector<RuleValue>& in) {
  auto dims = dims_of(scope, in[0]);
  if (!dims) return unknown_shape(scope, in[0]);
  return {std::move(*dims)};
}

RuleValue dim_function(const Scope& scope, const std::vector<RuleValue>& in) {
  const auto dims = dims_of(scope, in[0]);
  if (!dims) return unknown_shape(scope, in[0]);
  const auto axis = as_integer(scope, in[1]);
  if (!axis) return unknown("dim(x, i) wants an integer");
  const auto rank = static_cast<std::int64_t>(dims->size());
  const std::int64_t at = *axis < 0 ? *axis + rank : *axis;
  if (at < 0 || at >= rank) return unknown("axis {} is outside rank {}", *axis, rank);
  return (*dims)[static_cast<std::size_t>(at)];
}

RuleValue size_function(const Scope& scope, const std::vector<RuleValue>& in) {
  const auto dims = dims_of(scope, in[0]);
  if (!dims) return unknown_shape(scope, in[0]);
  std::int64_t count = 1;
  for (const RuleValue& dim : *dims) {
    const auto* size = std::get_if<std::int64_t>(&dim.data);
    if (size == nullptr) return {Unknown{std::get<Unknown>(dim.data).why}};
    count *= *size;
  }
  return {count};
}

RuleValue users_function(const Scope& scope, const std::vector<RuleValue>& in) {
  if (const auto* id = value_in(in[0])) {
    return {static_cast<std::int64_t>(scope.model.use_count(*id))};
  }
  if (const auto* node = std::get_if<NodeId>(&in[0].data)) {
    std::size_t count = 0;
    for (const ValueId out : scope.model.node(*node).outputs) {
      if (out) count += scope.model.use_count(out);
    }
    return {static_cast<std::int64_t>(count)};
  }
  return not_a_value(scope, in[0]);
}

RuleValue same_shape_function(const Scope& scope, const std::vector<RuleValue>& in) {
  const auto* a = value_in(in[0]);
  const auto* b = value_in(in[1]);
  if (a != nullptr && b != nullptr && proven_same_shape(scope.model, *a, *b)) return {true};
  const auto left = dims_of(scope, in[0]);
  const auto right = dims_of(scope, in[1]);
  if (!left || !right) return unknown_shape(scope, left ? in[1] : in[0]);
  std::string why;
  return of_truth(equal(scope, {*left}, {*right}, &why), why);
}

// Whether `a` broadcasts to the shape of `b` without widening it.
RuleValue broadcasts_function(const Scope& scope, const std::vector<RuleValue>& in) {
  const auto a = dims_of(scope, in[0]);
  const auto b = dims_of(scope, in[1]);
  if (!a || !b) return unknown_shape(scope, a ? in[1] : in[0]);
  if (a->size() > b->size()) return {false};
  Truth all = Truth::True;
  std::string why;
  for (std::size_t i = 0; i < a->size(); ++i) {
    const RuleValue& from = (*a)[i];
    if (const auto* size = std::get_if<std::int64_t>(&from.data); size != nullptr && *size == 1) {
      continue;
    }
    const Truth same = equal(scope, from, (*b)[b->size() - a->size() + i], &why);
    if (same == Truth::False) return {false};
    if (same == Truth::Unknown) all = Truth::Unknown;
  }
  return of_truth(all, why);
}

RuleValue is_input_function(const Scope& scope, const std::vector<RuleValue>& in) {
  const auto* id = value_in(in[0]);
  if (id == nullptr) return not_a_value(scope, in[0]);
  const GraphValue& info = scope.model.value(*id);
  return {info.is_input && info.graph == scope.model.main()};
}

RuleValue is_output_function(const Scope& scope, const std::vector<RuleValue>& in) {
  const auto* id = value_in(in[0]);
  if (id == nullptr) return not_a_value(scope, in[0]);
  return {scope.model.is_graph_output(*id)};
}

RuleValue name_function(const Scope& scope, const std::vector<RuleValue>& in) {
  if (const auto* id = value_in(in[0])) return {value_name(scope, *id)};
  if (const auto* node = std::get_if<NodeId>(&in[0].data)) return {scope.model.node(*node).name};
  return not_a_value(scope, in[0]);
}

// Of a Resize or Upsample: given, or implied by sizes.
RuleValue scales_function(const Scope& scope, const std::vector<RuleValue>& in) {
  const auto* id = std::get_if<NodeId>(&in[0].data);
  if (id == nullptr) return unknown("scales(n) wants a node");
  const GraphNode& node = scope.model.node(*id);
  const bool upsample = node.type == "Upsample";
  if (!upsample && node.type != "Resize") return unknown("{} has no scales", node.type);
  if (const auto* given = node.attributes.get<std::vector<float>>("scales")) {
    std::vector<RuleValue> out;
    for (const float scale : *given)
      out.push_back({static_cast<double>(scale)});
    return {std::move(out)};
  }
  const std::size_t slot = upsample || opset_of(scope.model, "") < 11 ? 1 : 2;
  if (slot < node.inputs.size() && node.inputs[slot]) {
    const auto tensor = constant_tensor(scope.model, node.inputs[slot]);
    if (!tensor)
      return unknown("the scales of {} are computed at run time", label(scope.model, *id));
    if (tensor->size() > 0) return {*as_list(scope, {*tensor})};
  }
  if (node.inputs.empty() || node.outputs.empty())
    return unknown("{} has no scales", label(scope.model, *id));
  const auto from = dims_of(scope, {node.inputs[0]});
  const auto to = dims_of(scope, {node.outputs[0]});
  if (!from || !to || from->size() != to->size()) {
    return unknown("the sizes of {} are not known", label(scope.model, *id));
  }
  std::vector<RuleValue> out;
  for (std::size_t i = 0; i < from->size(); ++i) {
    std::string why;
    if (equal(scope, (*from)[i], (*to)[i], &why) == Truth::True) {
      out.push_back({1.0});
    } else {
      out.push_back(apply(scope, Operator::Divide, (*to)[i], (*from)[i]));
    }
  }
  return {std::move(out)};
}

// Whether a permutation of the axes of `x` moves only axes of one place, so that the elements stay
// in their order. An axis of unknown size counts as a longer one.
RuleValue keeps_order_function(const Scope& scope, const std::vector<RuleValue>& in) {
  const auto dims = dims_of(scope, in[0]);
  if (!dims) return unknown_shape(scope, in[0]);
  const auto places = as_integers(scope, in[1]);
  if (!places || places->size() != dims->size()) return unknown("keeps_order wants a permutation");
  std::int64_t last = -1;
  for (const std::int64_t axis : *places) {
    if (axis < 0 || axis >= static_cast<std::int64_t>(dims->size())) {
      return unknown("axis {} is outside rank {}", axis, dims->size());
    }
    const auto* size = std::get_if<std::int64_t>(&(*dims)[static_cast<std::size_t>(axis)].data);
    if (size != nullptr && *size == 1) continue;
    if (axis < last) return {false};
    last = axis;
  }
  return {true};
}

}  // namespace rulec
