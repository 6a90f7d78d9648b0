// SPDX-License-Identifier: Apache-2.0
// The functions of guards, attribute expressions and `let`: one table, each entry a few lines.
// Operands come evaluated.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include <fmt/format.h>

#include "matcher/facts.h"
#include "matcher/guard_facts.h"
#include "matcher/tensor_math.h"

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

static RuleValue cast_function(const Scope& scope, const Operands& in) {
  const auto* to = std::get_if<DType>(&in[1].data);
  if (to == nullptr) return unknown("cast wants an element type");
  const auto tensor = as_tensor(scope, in[0]);
  if (!tensor) return unknown("{} is not a constant", to_string(scope, in[0]));
  const DType stored = stored_dtype(scope, in[0]);
  return {convert(stored == DType::Undefined ? *tensor : convert(*tensor, stored), *to)};
}

// Of two strings, or of a list and an element.
static RuleValue text_function(const Scope& scope, const Operands& in,
                               bool (*holds)(std::string_view text, std::string_view part)) {
  const auto* text = std::get_if<std::string>(&in[0].data);
  const auto* part = std::get_if<std::string>(&in[1].data);
  if (text == nullptr || part == nullptr) {
    return unknown("{} is no string", to_string(scope, text == nullptr ? in[0] : in[1]));
  }
  return {holds(*text, *part)};
}

static RuleValue contains_function(const Scope& scope, const Operands& in) {
  return contains(scope, in[0], in[1]);
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
      {"cast", {cast_function, 2, 2}},
      {"contains", {contains_function, 2, 2}},
      {"starts_with",
       {[](const Scope& s, const Operands& in) -> RuleValue {
          return text_function(
              s, in, [](std::string_view a, std::string_view b) { return a.starts_with(b); });
        },
        2, 2}},
      {"ends_with",
       {[](const Scope& s, const Operands& in) -> RuleValue {
          return text_function(
              s, in, [](std::string_view a, std::string_view b) { return a.ends_with(b); });
        },
        2, 2}},
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

const std::vector<std::string>& function_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const auto& [name, entry] : functions())
      out.emplace_back(name);
    for (const std::string_view name : unary_function_names())
      out.emplace_back(name);
    std::sort(out.begin(), out.end());
    return out;
  }();
  return names;
}

std::optional<std::pair<std::size_t, std::size_t>> function_arity(std::string_view name) {
  const auto found = functions().find(std::string(name));
  if (found != functions().end()) return std::pair{found->second.least, found->second.most};
  const std::vector<std::string_view> unary = unary_function_names();
  const bool known = std::find(unary.begin(), unary.end(), name) != unary.end();
  return known ? std::optional(std::pair<std::size_t, std::size_t>{1, 1}) : std::nullopt;
}

RuleValue call_function(const Scope& scope, const std::string& name, const Operands& operands) {
  const auto found = functions().find(name);
  if (found == functions().end()) {
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

}  // namespace rulec
