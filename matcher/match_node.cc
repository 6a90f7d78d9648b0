// SPDX-License-Identifier: Apache-2.0
#include "matcher/match_node.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "matcher/facts.h"
#include "matcher/guard.h"
#include "matcher/guard_calls.h"

namespace rulec {
namespace {

class NodeMatcher {
 public:
  NodeMatcher(const Model& model, const RuleSet& rules, const OpTable& ops,
              const Situation& situation, const std::vector<Slot>& slots,
              std::vector<Binding>& bindings, NearMiss* miss)
      : model_(model),
        rules_(rules),
        ops_(ops),
        situation_(situation),
        slots_(slots),
        bindings_(bindings),
        miss_(miss) {}

  bool node(PatternId id, NodeId at) {
    const Pattern& pattern = rules_[id];
    if (pattern.kind == Pattern::Kind::Either) {
      for (PatternId child : pattern.children) {
        const std::vector<Binding> saved = bindings_;
        if (node(child, at)) return true;
        bindings_ = saved;
      }
      return false;
    }
    if (pattern.kind != Pattern::Kind::Node) return false;
    const GraphNode& there = model_.node(at);
    if (there.type != pattern.ops[0].type || there.domain != pattern.ops[0].domain)
      return miss(pattern, at, "operator", pattern.ops[0].type, there.type);
    if (pattern.node_slot) bindings_[pattern.node_slot.index].held = at;
    return arguments(pattern, at) && attributes(pattern, at) && predicates(pattern, at);
  }

 private:
  bool miss(const Pattern& pattern, NodeId at, std::string kind, std::string expected,
            std::string found) {
    if (miss_) {
      miss_->node = at;
      miss_->place = pattern.place;
      miss_->kind = std::move(kind);
      miss_->expected = std::move(expected);
      miss_->found = std::move(found);
      miss_->matched = matched_;
    }
    return false;
  }

  std::string name_of(ValueId id) const {
    return id ? fmt::format("`{}`", model_.value(id).name) : std::string("no operand");
  }

  bool arguments(const Pattern& pattern, NodeId at) {
    if (pattern.any_arguments) return true;
    const std::vector<ValueId>& inputs = model_.node(at).inputs;
    if (!pattern.commutative || pattern.children.size() != 2 || inputs.size() != 2)
      return in_order(pattern, at, inputs);
    const std::vector<Binding> saved = bindings_;
    if (in_order(pattern, at, inputs)) return true;
    bindings_ = saved;
    return in_order(pattern, at, {inputs[1], inputs[0]});
  }

  bool in_order(const Pattern& pattern, NodeId at, const std::vector<ValueId>& inputs) {
    std::size_t next = 0;
    for (PatternId id : pattern.children) {
      const Pattern& child = rules_[id];
      if (child.kind == Pattern::Kind::AnyRest || child.kind == Pattern::Kind::Rest) {
        if (child.slot) {
          std::vector<Binding> rest;
          for (; next < inputs.size(); ++next)
            rest.emplace_back().held = inputs[next];
          bindings_[child.slot.index].held = std::move(rest);
        }
        next = inputs.size();
        continue;
      }
      const ValueId value = next < inputs.size() ? inputs[next] : ValueId{};
      ++next;
      if (!operand(id, value, at)) return false;
    }
    for (; next < inputs.size(); ++next) {
      if (!inputs[next]) continue;
      if (moved_at(model_, model_.node(at), next)) continue;  // counts as an attribute
      return miss(pattern, at, "arity", fmt::format("{} operands", pattern.children.size()),
                  fmt::format("{}", inputs.size()));
    }
    return true;
  }

  bool operand(PatternId id, ValueId value, NodeId at) {
    const Pattern& pattern = rules_[id];
    switch (pattern.kind) {
      case Pattern::Kind::Any:
        return true;
      case Pattern::Kind::Absent:
        return !value || miss(pattern, at, "operand", "no operand", name_of(value));
      case Pattern::Kind::Bind:
        return bind(pattern, value, at);
      case Pattern::Kind::Literal:
        return literal(pattern, value, at);
      case Pattern::Kind::Node:
      case Pattern::Kind::Either: {
        const NodeId producer = value ? model_.value(value).producer : NodeId{};
        if (!producer) return miss(pattern, at, "operand", "the result of a node", name_of(value));
        ++matched_;
        return node(id, producer);
      }
      default:
        return miss(pattern, at, "pattern", "an operand that a cluster's pattern can name",
                    "another form");
    }
  }

  bool bind(const Pattern& pattern, ValueId value, NodeId at) {
    if (!value) {
      if (!pattern.optional) return miss(pattern, at, "arity", "an operand", "none");
      if (pattern.slot) bindings_[pattern.slot.index].held = ValueId{};
      return true;
    }
    std::optional<Binding::Number> number;
    if (pattern.constness != Pattern::Constness::Any) {
      const auto tensor = constant_tensor(model_, value);
      if (!tensor) return miss(pattern, at, "constant", "a constant", name_of(value));
      if (pattern.constness == Pattern::Constness::Scalar) {
        if (tensor->size() == 0 || tensor->dtype() == DType::String || !one_distinct_value(*tensor))
          return miss(pattern, at, "constant", "one number", name_of(value));
        number = Binding::Number{tensor->number(0), value};
      }
    }
    if (pattern.type && !of_type(*pattern.type, type_of(model_, value)))
      return miss(pattern, at, "type", "a value of the pattern's type",
                  to_string(type_of(model_, value)));
    if (!pattern.slot) return true;
    Binding& slot = bindings_[pattern.slot.index];
    if (const auto* before = std::get_if<ValueId>(&slot.held); before && *before != value)
      return miss(pattern, at, "operand", name_of(*before), name_of(value));
    if (const auto* before = std::get_if<Binding::Number>(&slot.held);
        before && before->value != value)
      return miss(pattern, at, "operand", name_of(before->value), name_of(value));
    if (number) {
      slot.held = *number;
    } else {
      slot.held = value;
    }
    return true;
  }

  bool of_type(const TypePattern& pattern, const Type& type) {
    if (!type.is_tensor()) return false;
    if (!pattern.dtypes.empty() &&
        std::find(pattern.dtypes.begin(), pattern.dtypes.end(), type.dtype) == pattern.dtypes.end())
      return false;
    if (pattern.shapes.empty()) return true;
    if (!type.dims) return false;
    for (const auto& shape : pattern.shapes) {
      const bool open = !shape.empty() && shape.back().kind == DimPattern::Kind::Rest;
      const std::size_t count = open ? shape.size() - 1 : shape.size();
      if (open ? type.dims->size() < count : type.dims->size() != count) continue;
      const std::vector<Binding> saved = bindings_;
      bool fits = true;
      for (std::size_t i = 0; i < count && fits; ++i) {
        const Dim& dim = (*type.dims)[i];
        if (shape[i].kind == DimPattern::Kind::Fixed) fits = dim.size == shape[i].size;
        if (shape[i].kind != DimPattern::Kind::Variable) continue;
        Binding& slot = bindings_[shape[i].slot.index];
        if (const auto* size = std::get_if<std::int64_t>(&slot.held)) fits = dim.size == *size;
        if (dim.known()) {
          slot.held = dim.size;
        } else {
          slot.held = Literal{dim.symbol};
        }
      }
      if (fits) return true;
      bindings_ = saved;
    }
    return false;
  }

  bool literal(const Pattern& pattern, ValueId value, NodeId at) {
    const auto tensor = value ? constant_tensor(model_, value) : std::nullopt;
    if (!tensor) return miss(pattern, at, "constant", "a constant", name_of(value));
    std::vector<double> wanted;
    const auto number = [](const Literal& of) -> std::optional<double> {
      if (const auto* i = std::get_if<std::int64_t>(&of.value)) return static_cast<double>(*i);
      if (const auto* d = std::get_if<double>(&of.value)) return *d;
      if (const auto* b = std::get_if<bool>(&of.value)) return *b ? 1.0 : 0.0;
      return std::nullopt;
    };
    if (const auto* list = std::get_if<std::vector<Literal>>(&pattern.literal.value)) {
      for (const Literal& item : *list)
        wanted.push_back(number(item).value_or(NAN));
      if (tensor->size() != static_cast<std::int64_t>(wanted.size()))
        return miss(pattern, at, "constant", "a list of another length", name_of(value));
    } else if (const auto one = number(pattern.literal)) {
      wanted.assign(1, *one);
    }
    if (wanted.empty() || tensor->dtype() == DType::String)
      return miss(pattern, at, "constant", "a number", name_of(value));
    for (std::int64_t i = 0; i < tensor->size(); ++i) {
      Tensor rounded = Tensor::allocate(tensor->dtype(), {});
      rounded.set_number(0, wanted[wanted.size() == 1 ? 0 : static_cast<std::size_t>(i)]);
      const double want = rounded.number(0), have = tensor->number(i);
      const bool same =
          pattern.exact ? want == have : std::fabs(want - have) <= 1e-4 * std::fabs(want);
      if (!same)
        return miss(pattern, at, "constant", fmt::format("{}", want), fmt::format("{}", have));
    }
    return true;
  }

  bool attributes(const Pattern& pattern, NodeId at) {
    for (const AttributePattern& wanted : pattern.attributes) {
      const AttributeFact fact = attribute_of(model_, ops_, at, wanted.name);
      if (fact.state != AttributeFact::State::Known) {
        return miss(
            pattern, at, "attribute", wanted.name,
            fact.state == AttributeFact::State::Runtime ? "known at run time only" : "absent");
      }
      const auto rank = axes_rank(model_, at, wanted.name);
      if (wanted.bind) {
        Binding& slot = bindings_[wanted.bind.index];
        if (const auto* before = std::get_if<AttributeValue>(&slot.held);
            before && !same_attribute(*before, fact.value, rank)) {
          return miss(pattern, at, "attribute", to_string(*before), to_string(fact.value));
        }
        slot.held = fact.value;
        continue;
      }
      const Scope scope = scope_at(at);
      const RuleValue want = evaluate(scope, wanted.equals);
      Binding have;
      have.held = fact.value;
      std::string why;
      if (equal(scope, from_binding(scope, have, slots_[0]), want, &why) != Truth::True) {
        return miss(pattern, at, "attribute",
                    fmt::format("{} = {}", wanted.name, to_string(scope, want)),
                    to_string(fact.value));
      }
    }
    if (pattern.rest_attributes) {
      std::vector<Attribute> rest;
      for (const Attribute& attribute : model_.node(at).attributes.all()) {
        const bool named = std::any_of(
            pattern.attributes.begin(), pattern.attributes.end(),
            [&](const AttributePattern& wanted) { return wanted.name == attribute.name; });
        if (!named) rest.push_back(attribute);
      }
      bindings_[pattern.rest_attributes.index].held = std::move(rest);
    }
    return true;
  }

  Scope scope_at(NodeId at) const {
    return {.model = model_,
            .rules = rules_,
            .ops = ops_,
            .slots = slots_,
            .bindings = bindings_,
            .situation = situation_,
            .self = at};
  }

  bool predicates(const Pattern& pattern, NodeId at) {
    for (ExprId predicate : pattern.predicates) {
      std::string why;
      if (truth(scope_at(at), predicate, &why) != Truth::True)
        return miss(pattern, at, "guard", "the conditions in brackets",
                    why.empty() ? "one does not hold" : why);
    }
    return true;
  }

  const Model& model_;
  const RuleSet& rules_;
  const OpTable& ops_;
  const Situation& situation_;
  const std::vector<Slot>& slots_;
  std::vector<Binding>& bindings_;
  NearMiss* miss_;
  int matched_ = 1;
};

}  // namespace

bool match_node(const Model& model, const RuleSet& rules, const OpTable& ops,
                const Situation& situation, const std::vector<Slot>& slots, PatternId pattern,
                NodeId node, std::vector<Binding>& bindings, NearMiss* miss) {
  std::vector<Binding> saved = bindings;
  if (NodeMatcher(model, rules, ops, situation, slots, bindings, miss).node(pattern, node))
    return true;
  bindings = std::move(saved);
  return false;
}

}  // namespace rulec
