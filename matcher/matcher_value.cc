// SPDX-License-Identifier: Apache-2.0
// Goals about values: names, constants, literals, types, and the values of a nested body.
#include <algorithm>
#include <cmath>

#include "matcher/facts.h"
#include "matcher/matcher.h"

namespace rulec {

bool Matcher::value_goal(const Goal& goal, std::uint32_t alternative, std::uint64_t hangs_on) {
  const Pattern& pattern = rules_[goal.pattern];
  Goal next = goal;
  next.hangs_on = hangs_on;
  switch (pattern.kind) {
    case Pattern::Kind::Any:
      if (goal.value) return true;
      miss(goal.node, pattern.place, "arity", "an operand", "none");
      return fail(hangs_on);
    case Pattern::Kind::Absent:
      if (!goal.value) return true;
      miss(goal.node, pattern.place, "arity", "no operand", model_.value(goal.value).name);
      return fail(hangs_on);
    case Pattern::Kind::Bind:
      return bind_goal(goal, pattern, hangs_on);
    case Pattern::Kind::Literal:
      ++tests_;
      return literal_holds(goal, pattern) || fail(hangs_on);
    case Pattern::Kind::Either:
    case Pattern::Kind::Maybe:
      next.pattern = pattern.children[alternative];
      push(next);
      return true;
    case Pattern::Kind::Chain:
      next.kind = Goal::Kind::Link;
      next.count = 0;
      push(next);
      return true;
    case Pattern::Kind::Node: {
      if (see_through_.empty()) {
        const NodeId producer = goal.value ? model_.value(goal.value).producer : NodeId{};
        if (producer && model_.node(producer).graph == goal.graph &&
            is_operator(goal.pattern, model_.node(producer))) {
          return node_goal(goal, producer, alternative == 1, hangs_on);
        }
      }
      const auto found = node_candidates(goal);
      const bool orders = pattern.commutative && !see_through_.empty();
      const std::size_t index = orders ? alternative / 2 : see_through_.empty() ? 0 : alternative;
      const bool swapped = see_through_.empty() ? alternative == 1 : orders && alternative % 2 == 1;
      if (index >= found.size()) {
        const NodeId producer = goal.value ? model_.value(goal.value).producer : NodeId{};
        miss(producer ? producer : goal.node, pattern.place, "operator", pattern.ops.front().type,
             producer ? model_.node(producer).type.str() : std::string("no such node"));
        return fail(hangs_on);
      }
      return node_goal(goal, found[index], swapped, hangs_on);
    }
    case Pattern::Kind::Outer:
    case Pattern::Kind::State:
    case Pattern::Kind::Scan:
    case Pattern::Kind::Iteration:
      return body_value_goal(goal, pattern, hangs_on);
    case Pattern::Kind::AnyRest:
    case Pattern::Kind::Rest:
      break;
  }
  return fail(hangs_on);
}

bool Matcher::bind_goal(const Goal& goal, const Pattern& pattern, std::uint64_t hangs_on) {
  ++tests_;
  if (!goal.value) {
    if (pattern.optional) return bind(pattern.slot, {.held = ValueId{}}, hangs_on);
    miss(goal.node, pattern.place, "arity", "an operand", "none");
    return fail(hangs_on);
  }
  if (pattern.constness != Pattern::Constness::Any && !constness_.holds(goal.value)) {
    miss(goal.node, pattern.place, "constant", "a constant",
         fmt::format("`{}`, which is none", model_.value(goal.value).name));
    return fail(hangs_on);
  }
  if (pattern.type && !type_holds(goal, *pattern.type, goal.value, hangs_on)) return false;
  if (pattern.constness != Pattern::Constness::Scalar) {
    if (bind(pattern.slot, {.held = goal.value}, hangs_on)) return true;
    miss(goal.node, pattern.place, "operand", "the value that this name stands for",
         fmt::format("`{}`", model_.value(goal.value).name));
    return false;
  }
  const auto tensor = tensor_of(goal.value);
  if (!tensor || tensor->dtype() == DType::String || !one_distinct_value(*tensor)) {
    miss(goal.node, pattern.place, "constant", "a constant with one distinct value",
         fmt::format("`{}`", model_.value(goal.value).name));
    return fail(hangs_on);
  }
  if (goal.node && !does_not_widen(model_, model_.node(goal.node), goal.slot, tensor->shape())) {
    miss(goal.node, pattern.place, "constant", "a scalar that does not widen the result",
         fmt::format("`{}` {}", model_.value(goal.value).name,
                     to_string(std::span<const std::int64_t>(tensor->shape()))));
    return fail(hangs_on);
  }
  return bind(pattern.slot, {.held = Binding::Number{tensor->number(0), goal.value}}, hangs_on);
}

std::optional<Tensor> Matcher::tensor_of(ValueId value) {
  return constant_tensor(model_, value);
}

// ---- literals
// ------------------------------------------------------------------------------------

static bool near_enough(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return true;
  return std::isfinite(a) && std::isfinite(b) &&
         std::fabs(a - b) <= 1e-4 * std::max(std::fabs(a), std::fabs(b));
}

static double rounded(double number, DType dtype) {
  if (dtype == DType::F64) return number;
  if (dtype == DType::F32) return static_cast<double>(static_cast<float>(number));
  Tensor one = Tensor::zeros(dtype, {});
  one.set_number(0, number);
  return one.number(0);
}

// One number of a literal, rounded to the constant's element type first.
static bool number_holds(const Tensor& tensor, std::int64_t index, const Literal& literal,
                         bool exact) {
  double wanted = 0;
  if (const auto* b = std::get_if<bool>(&literal.value)) {
    wanted = *b ? 1 : 0;
  } else if (const auto* i = std::get_if<std::int64_t>(&literal.value)) {
    if (!is_float(tensor.dtype())) return tensor.integer(index) == *i;
    wanted = static_cast<double>(*i);
  } else if (const auto* d = std::get_if<double>(&literal.value)) {
    wanted = *d;
  } else {
    return false;
  }
  if (!is_float(tensor.dtype())) {
    return std::trunc(wanted) == wanted && tensor.number(index) == wanted;
  }
  const double have = tensor.number(index);
  const double want = rounded(wanted, tensor.dtype());
  if (exact) {
    return (have == want && std::signbit(have) == std::signbit(want)) ||
           (std::isnan(have) && std::isnan(want));
  }
  return near_enough(have, want);
}

static bool tensor_is(const Tensor& tensor, const Pattern& pattern) {
  const Literal& literal = pattern.literal;
  if (const auto* text = std::get_if<std::string>(&literal.value)) {
    return tensor.dtype() == DType::String && tensor.size() == 1 && tensor.strings()[0] == *text;
  }
  const auto* list = std::get_if<std::vector<Literal>>(&literal.value);
  if (list == nullptr) {
    if (tensor.dtype() == DType::String || tensor.size() < 1) return false;
    return number_holds(tensor, 0, literal, pattern.exact) && one_distinct_value(tensor);
  }
  if (tensor.rank() != 1 || tensor.size() != static_cast<std::int64_t>(list->size())) return false;
  for (std::size_t i = 0; i < list->size(); ++i) {
    if (const auto* text = std::get_if<std::string>(&(*list)[i].value)) {
      if (tensor.dtype() != DType::String || tensor.strings()[i] != *text) return false;
    } else if (tensor.dtype() == DType::String ||
               !number_holds(tensor, static_cast<std::int64_t>(i), (*list)[i], pattern.exact)) {
      return false;
    }
  }
  return true;
}

static std::string literal_text(const Literal& literal) {
  if (const auto* b = std::get_if<bool>(&literal.value)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<std::int64_t>(&literal.value)) return fmt::format("{}", *i);
  if (const auto* d = std::get_if<double>(&literal.value)) return fmt::format("{}", *d);
  if (const auto* s = std::get_if<std::string>(&literal.value)) return fmt::format("\"{}\"", *s);
  if (const auto* list = std::get_if<std::vector<Literal>>(&literal.value)) {
    return fmt::format("a list of {}", list->size());
  }
  return "none";
}

bool Matcher::moved_literal(const Pattern& pattern, const AttributeValue& value) {
  const auto tensor = tensor_from_attribute(value);
  return tensor && tensor_is(*tensor, pattern);
}

bool Matcher::literal_holds(const Goal& goal, const Pattern& pattern) {
  if (!goal.value || !constness_.holds(goal.value)) {
    miss(goal.node, pattern.place, "constant", literal_text(pattern.literal),
         goal.value ? fmt::format("`{}`, which is no constant", model_.value(goal.value).name)
                    : std::string("no operand"));
    return false;
  }
  const auto tensor = tensor_of(goal.value);
  if (!tensor || !tensor_is(*tensor, pattern)) {
    std::string found = fmt::format("`{}`", model_.value(goal.value).name);
    if (tensor && tensor->size() == 1 && tensor->dtype() != DType::String) {
      found = fmt::format("{}", tensor->number(0));
    }
    miss(goal.node, pattern.place, "constant", literal_text(pattern.literal), std::move(found));
    return false;
  }
  const bool list = std::holds_alternative<std::vector<Literal>>(pattern.literal.value);
  if (!list && goal.node &&
      !does_not_widen(model_, model_.node(goal.node), goal.slot, tensor->shape())) {
    miss(goal.node, pattern.place, "constant", "a scalar that does not widen the result",
         to_string(std::span<const std::int64_t>(tensor->shape())));
    return false;
  }
  return true;
}

// ---- types
// ---------------------------------------------------------------------------------------

bool Matcher::type_holds(const Goal& goal, const TypePattern& type, ValueId value,
                         std::uint64_t hangs_on) {
  ++tests_;
  const Type known = type_of(model_, value);
  const auto wrong = [&](std::string expected) {
    miss(goal.node, rules_[goal.pattern].place, "type", std::move(expected), to_string(known));
    return fail(hangs_on | conflict_);
  };
  if (!type.dtypes.empty() &&
      (!known.is_tensor() ||
       std::find(type.dtypes.begin(), type.dtypes.end(), known.dtype) == type.dtypes.end())) {
    return wrong(std::string(name(type.dtypes.front())));
  }
  if (type.shapes.empty()) return true;
  if (!known.is_tensor()) return wrong("a tensor");
  // The first of the alternative shapes that holds; their names are bound by it.
  std::uint64_t conflict = hangs_on;
  for (const auto& shape : type.shapes) {
    const std::size_t mark = trail_.size();
    if (dims_hold(shape, value, known, hangs_on)) return true;
    conflict |= conflict_;
    undo(mark);
  }
  conflict_ = conflict;
  return wrong("another shape");
}

bool Matcher::dims_hold(const std::vector<DimPattern>& dims, ValueId value, const Type& type,
                        std::uint64_t hangs_on) {
  const auto rest = std::find_if(dims.begin(), dims.end(), [](const DimPattern& dim) {
    return dim.kind == DimPattern::Kind::Rest;
  });
  const bool open = rest != dims.end();
  if (!type.dims) return open && dims.size() == 1;
  const std::size_t rank = type.dims->size();
  if (open ? rank + 1 < dims.size() : rank != dims.size()) return false;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i].kind == DimPattern::Kind::Rest) continue;
    const bool behind = open && i > static_cast<std::size_t>(rest - dims.begin());
    const std::size_t axis = behind ? rank - (dims.size() - i) : i;
    const Dim& dim = (*type.dims)[axis];
    if (dims[i].kind == DimPattern::Kind::Fixed && dim.size != dims[i].size) return false;
    if (dims[i].kind != DimPattern::Kind::Variable) continue;
    Binding binding;
    if (dim.known()) {
      binding.held = dim.size;
    } else {
      binding.held = Literal{dimension_key(model_, value, axis)};
    }
    if (!bind(dims[i].slot, std::move(binding), hangs_on)) return false;
  }
  return true;
}

// ---- values of a body
// ----------------------------------------------------------------------------

bool Matcher::body_value_goal(const Goal& goal, const Pattern& pattern, std::uint64_t hangs_on) {
  ++tests_;
  const auto wrong = [&](std::string_view expected) {
    miss(goal.node, pattern.place, "operand", std::string(expected),
         goal.value ? fmt::format("`{}`", model_.value(goal.value).name) : std::string("none"));
    return fail(hangs_on);
  };
  if (!goal.body || !goal.value) return wrong("a value of a body");
  const GraphInfo& body = model_.graph(goal.body);
  const GraphValue& value = model_.value(goal.value);
  if (pattern.kind == Pattern::Kind::Outer) {
    if (model_.encloses(goal.body, value.graph)) return wrong("a value from outside the body");
    return bind(pattern.slot, {.held = goal.value}, hangs_on);
  }
  if (!body.owner) return wrong("a loop's body");
  const GraphNode& owner = model_.node(body.owner);
  const bool loop = owner.type == "Loop";
  // A Loop's body has the iteration and the condition before its states; a Scan's has none.
  const std::size_t lead = loop ? 2 : 0;
  std::size_t states = 0;
  if (loop) {
    states = body.inputs.size() > 2 ? body.inputs.size() - 2 : 0;
  } else if (owner.type == "Scan") {
    const auto scanned = static_cast<std::size_t>(
        std::max<std::int64_t>(0, owner.attributes.integer("num_scan_inputs", 0)));
    states = body.inputs.size() > scanned ? body.inputs.size() - scanned : 0;
  }
  if (pattern.kind == Pattern::Kind::Iteration) {
    return loop && counts_iterations(model_, goal.body, goal.value)
               ? bind(pattern.slot, {.held = goal.value}, hangs_on)
               : wrong("the trip counter");
  }
  const bool state = pattern.kind == Pattern::Kind::State;
  const auto& list = state ? body.inputs : body.outputs;
  const std::size_t first = state ? lead : (loop ? 1 : 0) + states;
  const std::size_t last = state ? lead + states : list.size();
  for (std::size_t i = first; i < last && i < list.size(); ++i) {
    if (list[i] != goal.value) continue;
    if (pattern.index >= 0 && static_cast<std::size_t>(pattern.index) != i - first) continue;
    return bind(pattern.slot, {.held = goal.value}, hangs_on);
  }
  return wrong(state ? "a loop-carried value" : "a scan output");
}

std::vector<GraphId> bodies_named(const Model& model, NodeId id, std::string_view name) {
  const GraphNode& node = model.node(id);
  for (const Function& function : model.functions) {
    if (function.domain == node.domain.str() && function.name == node.type.str() &&
        function.overload == node.overload.str()) {
      return {function.body};
    }
  }
  if (name == "body") return model.bodies(id);
  std::string_view attribute = name;
  if (name == "then_body") attribute = "then_branch";
  if (name == "else_body") attribute = "else_branch";
  const auto* body = node.attributes.get<GraphId>(attribute);
  return body != nullptr ? std::vector<GraphId>{*body} : std::vector<GraphId>{};
}

}  // namespace rulec
