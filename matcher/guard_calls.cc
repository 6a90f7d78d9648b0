// SPDX-License-Identifier: Apache-2.0
// The functions and methods of guards, attribute expressions and `let`: one table, each entry a
// few lines. Operands come evaluated.
#include "matcher/guard_calls.h"

#include <cmath>
#include <limits>
#include <unordered_map>

#include <fmt/format.h>

#include "matcher/facts.h"
#include "matcher/tensor_math.h"
#include "runtime/generic/kernel.h"

namespace rulec {
namespace {

using Operands = std::vector<RuleValue>;
using Function = RuleValue (*)(const Scope& scope, const Operands& operands);

struct FunctionEntry {
  Function function;
  std::size_t least = 1, most = 1;
  bool takes_unknown = false;  // else an unknown or absent operand is the answer
};

}  // namespace

static const ValueId* value_in(const RuleValue& value) {
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

static RuleValue dtype_function(const Scope& scope, const Operands& in) {
  const DType dtype = stored_dtype(scope, in[0]);
  if (dtype != DType::Undefined) return {dtype};
  return unknown("the element type of {} is not known", to_string(scope, in[0]));
}

static RuleValue rank_function(const Scope& scope, const Operands& in) {
  const auto dims = dims_of(scope, in[0]);
  if (!dims) return unknown_shape(scope, in[0]);
  return {static_cast<std::int64_t>(dims->size())};
}

static RuleValue shape_function(const Scope& scope, const Operands& in) {
  auto dims = dims_of(scope, in[0]);
  if (!dims) return unknown_shape(scope, in[0]);
  return {std::move(*dims)};
}

static RuleValue dim_function(const Scope& scope, const Operands& in) {
  const auto dims = dims_of(scope, in[0]);
  if (!dims) return unknown_shape(scope, in[0]);
  const auto axis = as_integer(scope, in[1]);
  if (!axis) return unknown("dim(x, i) wants an integer");
  const auto rank = static_cast<std::int64_t>(dims->size());
  const std::int64_t at = *axis < 0 ? *axis + rank : *axis;
  if (at < 0 || at >= rank) return unknown("axis {} is outside rank {}", *axis, rank);
  return (*dims)[static_cast<std::size_t>(at)];
}

static RuleValue size_function(const Scope& scope, const Operands& in) {
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

static RuleValue value_function(const Scope& scope, const Operands& in) {
  const auto tensor = as_tensor(scope, in[0]);
  if (!tensor) return unknown("{} is not a constant", to_string(scope, in[0]));
  return {*tensor, in[0].narrow};
}

static RuleValue extreme(const Scope& scope, const Operands& in, bool largest) {
  Operands items = in;
  if (in.size() == 1) {
    if (const auto* list = std::get_if<std::vector<RuleValue>>(&in[0].data)) {
      items = *list;
    } else {
      const auto tensor = as_tensor(scope, in[0]);
      if (!tensor || tensor->size() == 0 || tensor->dtype() == DType::String) {
        return unknown("{} has no numbers", to_string(scope, in[0]));
      }
      std::int64_t best = 0;
      for (std::int64_t i = 1; i < tensor->size(); ++i) {
        const double a = tensor->number(i), b = tensor->number(best);
        if (largest ? a > b : a < b) best = i;
      }
      if (is_float(tensor->dtype())) return {tensor->number(best)};
      return {tensor->integer(best)};
    }
  }
  if (items.empty()) return unknown("the extreme of nothing");
  RuleValue best = items[0];
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (is_unknown(items[i])) return {Unknown{std::get<Unknown>(items[i].data).why}};
    const RuleValue better =
        apply(scope, largest ? Operator::Greater : Operator::Less, items[i], best);
    const Truth wins = truth_of(better);
    if (wins == Truth::Unknown) return unknown("these have no order");
    if (wins == Truth::True) best = items[i];
  }
  return best;
}

static RuleValue quantified(const RuleValue& in, bool all) {
  const Truth decides = all ? Truth::False : Truth::True;
  std::string why;
  if (const auto* list = std::get_if<std::vector<RuleValue>>(&in.data)) {
    bool open = false;
    for (const RuleValue& item : *list) {
      const Truth one = truth_of(item, &why);
      if (one == decides) return {!all};
      open = open || one == Truth::Unknown;
    }
    if (open) return {Unknown{why}};
    return {all};
  }
  if (const auto* tensor = std::get_if<Tensor>(&in.data)) {
    for (std::int64_t i = 0; i < tensor->size(); ++i) {
      if ((tensor->number(i) != 0) != all) return {!all};
    }
    return {all};
  }
  return of_truth(truth_of(in, &why), why);
}

static RuleValue quantified_of(const Scope& scope, const RuleValue& in, bool all) {
  if (value_in(in) == nullptr) return quantified(in, all);
  const auto tensor = as_tensor(scope, in);
  if (!tensor) return unknown("{} is not a constant", to_string(scope, in));
  return quantified({*tensor}, all);
}

static RuleValue users_function(const Scope& scope, const Operands& in) {
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

static RuleValue same_shape_function(const Scope& scope, const Operands& in) {
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
static RuleValue broadcasts_function(const Scope& scope, const Operands& in) {
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

static RuleValue is_input_function(const Scope& scope, const Operands& in) {
  const auto* id = value_in(in[0]);
  if (id == nullptr) return not_a_value(scope, in[0]);
  const GraphValue& info = scope.model.value(*id);
  return {info.is_input && info.graph == scope.model.main()};
}

static RuleValue is_output_function(const Scope& scope, const Operands& in) {
  const auto* id = value_in(in[0]);
  if (id == nullptr) return not_a_value(scope, in[0]);
  return {scope.model.is_graph_output(*id)};
}

static RuleValue name_function(const Scope& scope, const Operands& in) {
  if (const auto* id = value_in(in[0])) return {value_name(scope, *id)};
  if (const auto* node = std::get_if<NodeId>(&in[0].data)) return {scope.model.node(*node).name};
  return not_a_value(scope, in[0]);
}

static RuleValue range_function(const Scope& scope, const Operands& in) {
  std::int64_t bounds[3] = {0, 0, 1};
  for (std::size_t i = 0; i < in.size(); ++i) {
    const auto given = as_integer(scope, in[i]);
    if (!given) return unknown("range wants integers");
    bounds[in.size() == 1 ? 1 : i] = *given;
  }
  if (bounds[2] == 0) return unknown("range cannot step by zero");
  std::vector<RuleValue> out;
  for (std::int64_t i = bounds[0]; bounds[2] > 0 ? i < bounds[1] : i > bounds[1]; i += bounds[2]) {
    if (out.size() > (1 << 16)) return unknown("range is too long");
    out.push_back({i});
  }
  return {std::move(out)};
}

static RuleValue gather_function(const Scope& scope, const Operands& in) {
  const auto list = as_list(scope, in[0]);
  const auto places = as_integers(scope, in[1]);
  if (!list || !places) return unknown("gather wants a list and a list of integers");
  std::vector<RuleValue> out;
  for (const std::int64_t place : *places) {
    const std::int64_t at = place < 0 ? place + static_cast<std::int64_t>(list->size()) : place;
    if (at < 0 || at >= static_cast<std::int64_t>(list->size())) {
      return unknown("index {} is outside a list of {}", place, list->size());
    }
    out.push_back((*list)[static_cast<std::size_t>(at)]);
  }
  return {std::move(out)};
}

static RuleValue spatial_function(const Scope& scope, const Operands& in) {
  const auto list = as_list(scope, in[0]);
  if (!list) return unknown("spatial wants a list of pads");
  const std::size_t rank = list->size() / 2;
  if (list->size() % 2 != 0 || rank < 2) return unknown("these are not pads of batch and channel");
  std::vector<RuleValue> out(list->begin() + 2, list->begin() + static_cast<std::ptrdiff_t>(rank));
  out.insert(out.end(), list->begin() + static_cast<std::ptrdiff_t>(rank) + 2, list->end());
  return {std::move(out)};
}

// Whether a permutation of the axes of `x` moves only axes of one place, so that the elements stay
// in their order. An axis of unknown size counts as a longer one.
static RuleValue keeps_order_function(const Scope& scope, const Operands& in) {
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

static RuleValue is_int_function(const Scope& scope, const Operands& in) {
  const auto whole = [](const RuleValue& item) -> RuleValue {
    if (is_unknown(item)) return item;
    if (const auto* d = std::get_if<double>(&item.data)) return {std::trunc(*d) == *d};
    return {std::holds_alternative<std::int64_t>(item.data)};
  };
  if (is_list(in[0]) || std::holds_alternative<Tensor>(in[0].data) || value_in(in[0]) != nullptr) {
    const auto list = as_list(scope, in[0]);
    if (!list) return unknown("{} is not a constant list", to_string(scope, in[0]));
    std::vector<RuleValue> out;
    for (const RuleValue& item : *list)
      out.push_back(whole(item));
    return {std::move(out)};
  }
  return whole(in[0]);
}

// Of a Resize or Upsample: given, or implied by sizes.
static RuleValue scales_function(const Scope& scope, const Operands& in) {
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
    if (!tensor) return unknown("the scales of {} are computed at run time", node.name);
    if (tensor->size() > 0) return {*as_list(scope, {*tensor})};
  }
  if (node.inputs.empty() || node.outputs.empty()) return unknown("{} has no scales", node.name);
  const auto from = dims_of(scope, {node.inputs[0]});
  const auto to = dims_of(scope, {node.outputs[0]});
  if (!from || !to || from->size() != to->size()) {
    return unknown("the sizes of {} are not known", node.name);
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

static RuleValue one_function(const Scope& scope, const Operands& in) {
  const auto* list = std::get_if<std::vector<RuleValue>>(&in[0].data);
  if (list == nullptr) {
    const auto tensor = as_tensor(scope, in[0]);
    if (!tensor) return in[0];
    if (!one_distinct_value(*tensor))
      return unknown("the elements of {} differ", to_string(scope, in[0]));
    if (is_float(tensor->dtype())) return {tensor->number(0)};
    return {tensor->integer(0)};
  }
  if (list->empty()) return unknown("one() of an empty list");
  for (const RuleValue& item : *list) {
    std::string why;
    const Truth same = equal(scope, list->front(), item, &why);
    if (same == Truth::False) {
      return unknown("the members differ: {} and {}", to_string(scope, list->front()),
                     to_string(scope, item));
    }
    if (same == Truth::Unknown) return {Unknown{why}};
  }
  return list->front();
}

static RuleValue concat_function(const Scope& scope, const Operands& in) {
  const auto axis = in.size() > 1 ? as_integer(scope, in[1]) : std::int64_t{0};
  const auto* list = std::get_if<std::vector<RuleValue>>(&in[0].data);
  if (list == nullptr || !axis) return unknown("concat wants a list and an axis");
  std::vector<Tensor> parts;
  std::size_t absent = 0;
  for (const RuleValue& item : *list) {
    if (is_unknown(item)) return item;
    if (is_none(item)) {
      ++absent;
      continue;
    }
    const auto part = as_tensor(scope, item);
    if (!part) return unknown("{} is not a constant", to_string(scope, item));
    parts.push_back(*part);
  }
  if (absent == list->size()) return {None{}};
  if (absent != 0) return unknown("some members lack this operand and some have it");
  auto out = concatenated(parts, *axis);
  if (!out) return unknown("the members' shapes do not concatenate along axis {}", *axis);
  return {*out, stored_dtype(scope, list->front())};
}

static RuleValue reduced(const Scope& scope, const RuleValue& in, bool product) {
  const auto list = as_list(scope, in);
  if (!list) return unknown("{} is not a list of numbers", to_string(scope, in));
  RuleValue out{std::int64_t{product ? 1 : 0}};
  for (const RuleValue& item : *list) {
    out = apply(scope, product ? Operator::Multiply : Operator::Add, out, item);
  }
  return out;
}

static RuleValue len_function(const Scope& scope, const Operands& in) {
  if (const auto* text = std::get_if<std::string>(&in[0].data)) {
    return {static_cast<std::int64_t>(text->size())};
  }
  const auto list = as_list(scope, in[0]);
  if (!list) return unknown("{} has no length", to_string(scope, in[0]));
  return {static_cast<std::int64_t>(list->size())};
}

static const std::unordered_map<std::string_view, FunctionEntry>& functions() {
  static const std::unordered_map<std::string_view, FunctionEntry> table = {
      {"dtype", {dtype_function}},
      {"rank", {rank_function}},
      {"shape", {shape_function}},
      {"dim", {dim_function, 2, 2}},
      {"size", {size_function}},
      {"value", {value_function}},
      {"min", {[](const Scope& s, const Operands& in) { return extreme(s, in, false); }, 1, 16}},
      {"max", {[](const Scope& s, const Operands& in) { return extreme(s, in, true); }, 1, 16}},
      {"all", {[](const Scope& s, const Operands& in) { return quantified_of(s, in[0], true); }}},
      {"any", {[](const Scope& s, const Operands& in) { return quantified_of(s, in[0], false); }}},
      {"users", {users_function}},
      {"same_shape", {same_shape_function, 2, 2}},
      {"broadcasts", {broadcasts_function, 2, 2}},
      {"is_input", {is_input_function}},
      {"is_output", {is_output_function}},
      {"opset",
       {[](const Scope& s, const Operands& in) -> RuleValue {
          const auto* domain = in.empty() ? nullptr : std::get_if<std::string>(&in[0].data);
          return {static_cast<std::int64_t>(
              opset_of(s.model, domain != nullptr ? std::string_view(*domain) : ""))};
        },
        0, 1}},
      {"target",
       {[](const Scope& s, const Operands&) -> RuleValue { return {s.situation.target}; }, 0, 0}},
      {"name", {name_function}},
      {"range", {range_function, 1, 3}},
      {"gather", {gather_function, 2, 2}},
      {"compose", {gather_function, 2, 2}},
      {"spatial", {spatial_function}},
      {"keeps_order", {keeps_order_function, 2, 2}},
      {"is_int", {is_int_function}},
      {"scales", {scales_function}},
      {"one", {one_function}},
      {"concat", {concat_function, 1, 2}},
      {"sum", {[](const Scope& s, const Operands& in) { return reduced(s, in[0], false); }}},
      {"prod", {[](const Scope& s, const Operands& in) { return reduced(s, in[0], true); }}},
      {"len", {len_function}},
      {"is_none",
       {[](const Scope&, const Operands& in) -> RuleValue { return {is_none(in[0])}; }, 1, 1,
        true}},
      {"is_const", {[](const Scope& s, const Operands& in) -> RuleValue {
         return {as_tensor(s, in[0]).has_value()};
       }}},
      {"float", {[](const Scope& s, const Operands& in) -> RuleValue {
         const auto number = as_number(s, in[0]);
         if (!number) return unknown("{} is not a number", to_string(s, in[0]));
         return {*number};
       }}},
      {"int", {[](const Scope& s, const Operands& in) -> RuleValue {
         const auto number = as_number(s, in[0]);
         if (!number || std::fabs(*number) > 9e15) {
           return unknown("{} is not a number", to_string(s, in[0]));
         }
         return {static_cast<std::int64_t>(*number)};
       }}},
  };
  return table;
}

RuleValue call_function(const Scope& scope, const std::string& name, const Operands& operands) {
  const auto found = functions().find(name);
  if (found == functions().end() || (operands.size() == 2 && name == "pow")) {
    if (operands.size() == 1 && is_unary_function(name)) {
      const RuleValue& in = operands[0];
      if (is_unknown(in) || is_none(in)) return in;
      const auto tensor = as_tensor(scope, in);
      const auto out = tensor ? apply_unary(name, *tensor) : std::nullopt;
      if (!out) return unknown("{} is not a constant of numbers", to_string(scope, in));
      const bool plain =
          std::holds_alternative<double>(in.data) || std::holds_alternative<std::int64_t>(in.data);
      if (plain) {
        if (out->dtype() == DType::I64) return {out->integer(0)};
        const double number = out->number(0);
        const bool rounds = name == "floor" || name == "ceil" || name == "round";
        if (rounds && std::fabs(number) < 9e15) return {static_cast<std::int64_t>(number)};
        return {number};
      }
      DType narrow = stored_dtype(scope, in);
      if (!is_float(narrow) && is_float(out->dtype())) narrow = DType::F32;
      return {*out, narrow};
    }
    return unknown("`{}` is not a function of expressions at rewrite time", name);
  }
  const FunctionEntry& entry = found->second;
  if (operands.size() < entry.least || operands.size() > entry.most) {
    return unknown("`{}` does not take {} operands", name, operands.size());
  }
  if (!entry.takes_unknown) {
    for (const RuleValue& operand : operands) {
      if (is_unknown(operand) || is_none(operand)) {
        return is_none(operand) ? unknown("an operand of `{}` is absent", name) : operand;
      }
    }
  }
  return entry.function(scope, operands);
}

RuleValue call_method(const Scope& scope, const Expr& expr, const Operands& operands,
                      std::optional<std::size_t> other_rank) {
  for (const RuleValue& operand : operands) {
    if (is_unknown(operand) || is_none(operand)) return operand;
  }
  const auto tensor = as_tensor(scope, operands[0]);
  if (!tensor) return unknown("{} is not a constant", to_string(scope, operands[0]));
  const DType narrow = stored_dtype(scope, operands[0]);
  if (expr.name == "cast" || expr.name == "astype") {
    const auto* to = operands.size() == 2 ? std::get_if<DType>(&operands[1].data) : nullptr;
    if (to == nullptr) return unknown(".{} wants an element type", expr.name);
    return {convert(narrow == DType::Undefined ? *tensor : convert(*tensor, narrow), *to)};
  }
  std::vector<std::int64_t> numbers;
  std::optional<std::size_t> open;
  const std::size_t flags_from = expr.spread.size() == operands.size() ? 0 : 1;
  for (std::size_t i = 1; i < operands.size(); ++i) {
    const std::size_t flag = i - flags_from;
    if (flag < expr.spread.size() && expr.spread[flag]) {
      open = numbers.size();
      continue;
    }
    if (const auto one = as_integer(scope, operands[i])) {
      numbers.push_back(*one);
    } else if (const auto many = as_integers(scope, operands[i])) {
      numbers.insert(numbers.end(), many->begin(), many->end());
    } else {
      return unknown(".{} wants integers", expr.name);
    }
  }
  if (open) {
    const std::size_t ones =
        other_rank && *other_rank > numbers.size() ? *other_rank - numbers.size() : 0;
    numbers.insert(numbers.begin() + static_cast<std::ptrdiff_t>(*open), ones, 1);
  }
  if (expr.name == "reshape") {
    std::int64_t known = 1, guess = -1;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (numbers[i] == -1 && guess < 0) {
        guess = static_cast<std::int64_t>(i);
      } else if (numbers[i] < 0) {
        return unknown(".reshape takes one -1 and no other negative size");
      } else {
        known *= numbers[i];
      }
    }
    if (guess >= 0 && known != 0) numbers[static_cast<std::size_t>(guess)] = tensor->size() / known;
    const auto count = guess >= 0 && known == 0 ? std::nullopt : checked_element_count(numbers);
    if (!count || *count != tensor->size()) {
      return unknown("{} elements do not reshape to {}", tensor->size(),
                     to_string(std::span<const std::int64_t>(numbers)));
    }
    return {tensor->reshaped(numbers), narrow};
  }
  if (expr.name == "transpose") {
    if (numbers.empty()) {
      for (std::size_t i = tensor->rank(); i-- > 0;) {
        numbers.push_back(static_cast<std::int64_t>(i));
      }
    }
    std::vector<bool> seen(tensor->rank(), false);
    bool valid = numbers.size() == tensor->rank();
    for (std::size_t i = 0; valid && i < numbers.size(); ++i) {
      const auto axis = normalize_axis(numbers[i], tensor->rank());
      valid = axis && !seen[*axis];
      if (valid) {
        seen[*axis] = true;
        numbers[i] = static_cast<std::int64_t>(*axis);
      }
    }
    if (!valid) return unknown(".transpose wants a permutation of {} axes", tensor->rank());
    return {transposed(*tensor, numbers), narrow};
  }
  if (expr.name == "flatten") return {tensor->reshaped({tensor->size()}), narrow};
  return unknown("tensors have no method `{}`", expr.name);
}

RuleValue run_operator(const Scope& scope, const Expr& expr) {
  const Emit& emit = *expr.emit;
  if (emit.node || !emit.arguments) return unknown("a changed node has no value before it is made");
  const OpSchema* schema =
      scope.ops.find(emit.op.domain, emit.op.type, opset_of(scope.model, emit.op.domain));
  if (schema == nullptr) return unknown("{} is not in this opset", emit.op.type);
  std::vector<Value> values;
  DType narrow = DType::Undefined;
  for (const ExprId argument : *emit.arguments) {
    const RuleValue operand = evaluate(scope, argument);
    if (is_unknown(operand)) return operand;
    if (is_none(operand)) {
      values.emplace_back();
      continue;
    }
    auto tensor = stored_tensor(scope, operand);
    if (!tensor) tensor = as_tensor(scope, operand);
    if (!tensor) return unknown("{} is not a constant", to_string(scope, operand));
    if (stored_dtype(scope, operand) != DType::Undefined) {
      if (narrow == DType::Undefined) narrow = tensor->dtype();
    } else if (narrow != DType::Undefined && is_float(narrow)) {
      tensor = convert(*tensor, narrow);
    }
    values.emplace_back(*tensor);
  }
  Attributes attributes;
  const int opset = opset_of(scope.model, emit.op.domain);
  for (const EmitAttribute& attribute : emit.attributes) {
    const AttributeSchema* known = schema->attribute(attribute.name);
    const RuleValue value = evaluate(scope, attribute.value);
    if (is_unknown(value)) return value;
    for (const MovedOperand& moved : moved_operands(emit.op.domain, emit.op.type)) {
      if (moved.name != attribute.name || opset < moved.since) continue;
      const auto given = as_attribute(scope, value, moved.kind);
      const auto tensor = given ? tensor_from_attribute(*given) : std::nullopt;
      if (!tensor) return unknown("attribute `{}` has no value", attribute.name);
      values.resize(std::max(values.size(), static_cast<std::size_t>(moved.input) + 1));
      values[static_cast<std::size_t>(moved.input)] = Value(*tensor);
      known = nullptr;
    }
    if (known == nullptr) continue;
    auto given = as_attribute(scope, value, known->kind);
    if (!given) return unknown("attribute `{}` has no value", attribute.name);
    attributes.set(attribute.name, std::move(*given));
  }
  std::vector<const Value*> inputs;
  for (const Value& value : values)
    inputs.push_back(value.absent() ? nullptr : &value);
  auto out = generic::run({.domain = emit.op.domain,
                           .type = emit.op.type,
                           .opset = opset,
                           .inputs = inputs,
                           .attributes = attributes});
  if (!out) return unknown("{}", out.error().message);
  if (out->empty() || !out->front().is_tensor()) return unknown("{} gave no tensor", emit.op.type);
  return {out->front().tensor()};
}

}  // namespace rulec
