// SPDX-License-Identifier: Apache-2.0
// A template in an expression: its ports are given, so there is nothing to look for. The first of
// its bodies whose conditions hold is written in the call's place.
#include <algorithm>

#include <fmt/ranges.h>

#include "matcher/emission.h"
#include "matcher/facts.h"
#include "matcher/guard_calls.h"
#include "matcher/origin.h"
#include "matcher/trial.h"

namespace rulec {

static constexpr int deepest_template = 16;

// Binds the dimension names of a port to the sizes of what stands there; false where a known size
// is another. What is not known stays open.
static bool bind_dims(const std::vector<DimPattern>& patterns, const Type& type,
                      std::vector<Binding>& slots) {
  const bool open = !patterns.empty() && patterns.back().kind == DimPattern::Kind::Rest;
  const std::size_t count = open ? patterns.size() - 1 : patterns.size();
  if (!type.dims) return true;
  if (open ? type.dims->size() < count : type.dims->size() != count) return false;
  for (std::size_t i = 0; i < count; ++i) {
    const Dim& dim = (*type.dims)[i];
    if (patterns[i].kind == DimPattern::Kind::Fixed) {
      if (dim.known() && dim.size != patterns[i].size) return false;
    } else if (patterns[i].kind == DimPattern::Kind::Variable) {
      Binding& slot = slots[patterns[i].slot.index];
      const auto* size = std::get_if<std::int64_t>(&slot.held);
      if (size != nullptr && dim.known() && dim.size != *size) return false;
      if (dim.known()) {
        slot.held = dim.size;
      } else if (size == nullptr) {
        slot.held = Literal{dim.symbol};
      }
    }
  }
  return true;
}

Status Emission::bind_port(const Port& port, ExprId given, const Template& templ,
                           std::vector<Binding>& slots) {
  EmitOperand operand_given{None{}};
  if (given) {
    auto made = operand(given);
    if (!made) return made.error();
    operand_given = std::move(*made);
  }
  Binding& slot = slots[port.slot.index];
  if (operand_given.absent()) {
    if (!port.optional) return make_error("port `{}` of {} is absent", port.name, templ.name);
    slot.held = ValueId{};
    return Done{};
  }
  ValueId value;
  if (const ValueId* there = operand_given.value()) {
    value = *there;
  } else {
    const DType own = stored_dtype(scope_, *operand_given.constant());
    const DType wanted = port.type.dtypes.empty() ? options_.literal_dtype : port.type.dtypes[0];
    const auto made = constant(*operand_given.constant(), own == DType::Undefined ? wanted : own);
    if (!made) return made.error();
    value = *made;
  }
  const Type type = type_of(model_, value);
  const auto& dtypes = port.type.dtypes;
  const bool fits_dtype =
      dtypes.empty() || std::find(dtypes.begin(), dtypes.end(), type.dtype) != dtypes.end();
  const auto& shapes = port.type.shapes;
  bool fits = shapes.empty();
  for (std::size_t i = 0; i < shapes.size() && !fits; ++i) {
    std::vector<Binding> tried = slots;
    fits = bind_dims(shapes[i], type, tried);
    if (fits) slots = std::move(tried);
  }
  if (!fits || !fits_dtype) {
    return make_error("port `{}` of {} does not take `{}`, which is {}", port.name, templ.name,
                      model_.value(value).name, to_string(type));
  }
  slots[port.slot.index].held = value;
  return Done{};
}

// The slots of a call: ports, sizes, parameters.
Result<std::vector<Binding>> Emission::bind_call(const Expr& expr, const Template& templ) {
  std::vector<Binding> slots(templ.slots.size());
  for (std::size_t p = 0; p < templ.inputs.size(); ++p) {
    const Status bound = bind_port(templ.inputs[p], expr.operands[p], templ, slots);
    if (!bound) return bound.error();
  }
  for (const TemplateParameter& parameter : templ.parameters) {
    const auto given = std::find_if(expr.named.begin(), expr.named.end(),
                                    [&](const auto& one) { return one.first == parameter.name; });
    const Scope inner{.model = model_,
                      .rules = scope_.rules,
                      .ops = scope_.ops,
                      .slots = templ.slots,
                      .bindings = slots,
                      .situation = scope_.situation,
                      .self = scope_.self};
    const RuleValue value = given != expr.named.end() ? evaluate(scope_, given->second)
                                                      : evaluate(inner, parameter.default_value);
    if (const auto* unknown = std::get_if<Unknown>(&value.data))
      return make_error("`{}` of {}: {}", parameter.name, templ.name, unknown->why);
    const auto* word = std::get_if<std::string>(&value.data);
    if (!parameter.words.empty() &&
        (word == nullptr || std::find(parameter.words.begin(), parameter.words.end(), *word) ==
                                parameter.words.end())) {
      return make_error("`{}` of {} is one of {}", parameter.name, templ.name,
                        fmt::join(parameter.words, ", "));
    }
    slots[parameter.slot.index] = to_binding(value);
  }
  return slots;
}

Result<std::vector<ValueId>> Emission::call_template(const Expr& expr) {
  const Template& templ = scope_.rules[expr.callee];
  if (options_.depth == deepest_template)
    return make_error("template {} comes back to itself", templ.name);
  auto bound = bind_call(expr, templ);
  if (!bound) return bound.error();
  std::string why;
  for (const TemplateBody& body : templ.bodies) {
    std::vector<Binding> slots = *bound;
    const Scope inner{.model = model_,
                      .rules = scope_.rules,
                      .ops = scope_.ops,
                      .slots = templ.slots,
                      .bindings = slots,
                      .situation = scope_.situation,
                      .self = scope_.self};
    for (const auto* lets : {&templ.lets, &body.lets}) {
      for (const Let& let : *lets)
        slots[let.slot.index] = to_binding(let_value(inner, let));
    }
    bool holds = true;
    for (const auto* conditions : {&templ.where, &body.where}) {
      for (const ExprId condition : *conditions) {
        if (holds && truth(inner, condition, &why) != Truth::True) {
          holds = false;
          if (why.empty()) {
            const Place& place = scope_.rules[condition].place;
            why = fmt::format("its condition at {}:{} does not hold", place.file, place.line);
          }
        }
      }
    }
    std::vector<std::string> assumed;
    for (const auto* assumptions : {&templ.assuming, &body.assuming}) {
      for (const Assumption& one : *assumptions) {
        if (one.when && truth(inner, one.when) == Truth::False) continue;
        assumed.push_back(one.text);
      }
    }
    if (holds && options_.strict && !assumed.empty()) {
      holds = false;
      why = fmt::format("it assumes \"{}\", which --strict refuses", assumed.front());
    }
    if (!holds) continue;
    assumed_.insert(assumed_.end(), assumed.begin(), assumed.end());
    return emit_template(templ, body, inner, slots);
  }
  return make_error("no body of {} serves: {}", templ.name, why);
}

Result<std::vector<ValueId>> Emission::emit_template(const Template& templ,
                                                     const TemplateBody& body, const Scope& inner,
                                                     std::vector<Binding>& slots) {
  EmitOptions options = options_;
  options.split_sizes.clear();
  ++options.depth;
  options.metadata.push_back({"rulec.template", templ.name});
  for (const Statement& statement : body.statements) {
    options.results = statement.results.size();
    Emission part(model_, inner, options);
    const auto made = part.run(statement.value);
    if (!made) return make_error("in {}: {}", templ.name, made.error().message);
    nodes_.insert(nodes_.end(), part.nodes_.begin(), part.nodes_.end());
    initializers_.insert(initializers_.end(), part.initializers_.begin(), part.initializers_.end());
    assumed_.insert(assumed_.end(), part.assumed_.begin(), part.assumed_.end());
    for (std::size_t i = 0; i < statement.results.size(); ++i) {
      const SlotId slot = statement.results[i];
      if (!slot) continue;
      if (i >= made->results.size())
        return make_error("in {}: an operator has fewer results than are named", templ.name);
      slots[slot.index].held = made->results[i];
      for (const Port& port : templ.outputs) {
        if (port.slot != slot) continue;
        const std::string from = written_layout(templ, port);
        const std::string to = wanted_layout(inner, statement);
        if (from.empty() || to.empty() || from == to) continue;
        std::vector<RuleValue> axes;
        for (const std::int64_t axis : to == "NCHW" ? std::vector<std::int64_t>{0, 3, 1, 2}
                                                    : std::vector<std::int64_t>{0, 2, 3, 1})
          axes.push_back({axis});
        RuleValue perm;
        perm.data = std::move(axes);
        const auto turned =
            make_operand("Transpose", {{made->results[i]}}, {}, {{"perm", std::move(perm)}});
        if (!turned) return turned.error();
        slots[slot.index].held = *turned->value();
      }
    }
  }
  std::vector<ValueId> results;
  for (const Port& port : templ.outputs) {
    const auto* value = std::get_if<ValueId>(&slots[port.slot.index].held);
    if (value == nullptr || !*value) return make_error("{} gives no `{}`", templ.name, port.name);
    const Type type = type_of(model_, *value);
    const auto& dtypes = port.type.dtypes;
    if (!dtypes.empty() && type.dtype != DType::Undefined &&
        std::find(dtypes.begin(), dtypes.end(), type.dtype) == dtypes.end()) {
      return make_error("`{}` of {} would be {}", port.name, templ.name, to_string(type));
    }
    results.push_back(*value);
  }
  return results;
}

}  // namespace rulec
