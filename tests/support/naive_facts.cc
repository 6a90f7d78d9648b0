// SPDX-License-Identifier: Apache-2.0
#include "tests/support/naive_facts.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "matcher/evaluate.h"

namespace rulec::test {

std::optional<Tensor> NaiveFacts::constant(ValueId value) const {
  if (!value) return std::nullopt;
  const GraphValue& own = model_.value(value);
  if (own.initializer && (!own.is_input || model_.ir_version < 4)) return *own.initializer;
  if (const auto known = known_.find(value.index); known != known_.end()) return known->second;
  return known_[value.index] = computed(value);
}

std::optional<Tensor> NaiveFacts::computed(ValueId value) const {
  std::vector<ValueId> open = {value};
  while (!open.empty()) {
    const GraphValue& info = model_.value(open.back());
    open.pop_back();
    if (info.initializer && (!info.is_input || model_.ir_version < 4)) continue;
    if (!info.producer) return std::nullopt;
    const GraphNode& node = model_.node(info.producer);
    if (node.type == "Constant") continue;
    if (node.inputs.empty() || !model_.bodies(info.producer).empty()) return std::nullopt;
    for (const ValueId input : node.inputs)
      if (input) open.push_back(input);
  }
  Evaluator evaluator(model_);
  const ValueId targets[] = {value};
  auto out = evaluator.run({}, targets);
  if (!out || !out->front().is_tensor()) return std::nullopt;
  return out->front().tensor();
}

bool NaiveFacts::is_scalar(const Tensor& tensor, NodeId reader, std::size_t slot) const {
  for (std::int64_t i = 1; i < tensor.size(); ++i)
    if (tensor.number(i) != tensor.number(0)) return false;
  if (tensor.size() < 1) return false;
  if (tensor.rank() == 0) return true;
  static const std::set<std::string> broadcasting = {"Add", "Sub", "Mul", "Div",  "Max",
                                                     "Min", "Sum", "Pow", "Where"};
  const GraphNode& node = model_.node(reader);
  if (!broadcasting.contains(node.type.str())) return tensor.size() == 1;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (i == slot || !node.inputs[i]) continue;
    const GraphValue& other = model_.value(node.inputs[i]);
    const auto shape =
        other.initializer ? std::optional(other.initializer->shape()) : other.type.static_shape();
    if (!shape || shape->size() < tensor.rank()) continue;
    bool fits = true;
    for (std::size_t d = 0; d < tensor.rank(); ++d) {
      const std::int64_t own = tensor.shape()[d];
      fits = fits && (own == 1 || own == (*shape)[shape->size() - tensor.rank() + d]);
    }
    if (fits) return true;
  }
  return false;
}

static int opset_in(const Model& model, const std::string& domain) {
  return std::max(1, static_cast<int>(model.opset(domain)));
}

bool NaiveFacts::is_moved(NodeId id, std::size_t slot) const {
  const GraphNode& node = model_.node(id);
  const OpSchema* now =
      ops_.find(node.domain.str(), node.type.str(), opset_in(model_, node.domain.str()));
  if (now == nullptr || slot >= now->inputs.size()) return false;
  for (const OpSchema* version : ops_.versions(node.domain.str(), node.type.str()))
    if (version->since < now->since && version->attribute(now->inputs[slot].name)) return true;
  return false;
}

std::optional<AttributeValue> NaiveFacts::attribute(NodeId id, const std::string& name) const {
  const GraphNode& node = model_.node(id);
  if (const AttributeValue* given = node.attributes.find(name)) return *given;
  const OpSchema* schema =
      ops_.find(node.domain.str(), node.type.str(), opset_in(model_, node.domain.str()));
  if (schema == nullptr) return std::nullopt;
  if (const AttributeSchema* known = schema->attribute(name)) return known->default_value;
  const int slot = schema->input(name);
  if (slot >= 0 && is_moved(id, static_cast<std::size_t>(slot)) &&
      static_cast<std::size_t>(slot) < node.inputs.size() &&
      node.inputs[static_cast<std::size_t>(slot)]) {
    const auto tensor = constant(node.inputs[static_cast<std::size_t>(slot)]);
    if (!tensor) return std::nullopt;
    if (tensor->rank() == 1) return AttributeValue(tensor->integers());
    if (tensor->dtype() == DType::F32) return AttributeValue(static_cast<float>(tensor->number(0)));
    return AttributeValue(tensor->integer(0));
  }
  return std::nullopt;
}

static std::optional<double> number_of(const Literal& literal) {
  if (const auto* b = std::get_if<bool>(&literal.value)) return *b ? 1 : 0;
  if (const auto* i = std::get_if<std::int64_t>(&literal.value)) return static_cast<double>(*i);
  if (const auto* d = std::get_if<double>(&literal.value)) return *d;
  return std::nullopt;
}

bool naive_literal(const Literal& literal, bool exact, const Tensor& tensor) {
  const auto* list = std::get_if<std::vector<Literal>>(&literal.value);
  if (list != nullptr &&
      (tensor.rank() != 1 || tensor.size() != static_cast<std::int64_t>(list->size())))
    return false;
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    const auto wanted = number_of(list != nullptr ? (*list)[static_cast<std::size_t>(i)] : literal);
    if (!wanted) return false;
    Tensor rounded = Tensor::zeros(tensor.dtype(), {});
    rounded.set_number(0, *wanted);
    const double want = rounded.number(0), have = tensor.number(i);
    const bool whole = tensor.dtype() == DType::I64;
    const bool same = exact || whole ? have == *wanted || (exact && have == want && !whole)
                                     : std::fabs(have - want) <=
                                           1e-4 * std::max(std::fabs(have), std::fabs(want));
    if (!same) return false;
  }
  return true;
}

bool naive_same(const AttributeValue& a, const AttributeValue& b,
                std::optional<std::int64_t> rank) {
  const auto* i = std::get_if<std::int64_t>(&a);
  const auto* j = std::get_if<std::int64_t>(&b);
  if (i != nullptr && j != nullptr) {
    const auto normal = [&](std::int64_t axis) { return axis < 0 && rank ? axis + *rank : axis; };
    return normal(*i) == normal(*j);
  }
  if (a.index() != b.index()) return false;
  if (const auto* f = std::get_if<float>(&a)) return *f == std::get<float>(b);
  if (const auto* l = std::get_if<std::vector<std::int64_t>>(&a))
    return *l == std::get<std::vector<std::int64_t>>(b);
  if (const auto* s = std::get_if<std::string>(&a)) return *s == std::get<std::string>(b);
  return false;
}

// ---- guards -----------------------------------------------------------------------------------

namespace {

struct NaiveGuard {
  const Model& model;
  const RuleSet& rules;
  const std::vector<Binding>& bound;
  NodeId self;

  // Nothing: not known.
  std::optional<double> number(ExprId id) const {
    const Expr& expr = rules[id];
    switch (expr.kind) {
      case Expr::Kind::Literal:
        return number_of(expr.literal);
      case Expr::Kind::Slot: {
        const Binding& held = bound[expr.slot.index];
        if (const auto* one = std::get_if<Binding::Number>(&held.held)) return one->number;
        if (const auto* attribute = std::get_if<AttributeValue>(&held.held)) {
          if (const auto* i = std::get_if<std::int64_t>(attribute)) return static_cast<double>(*i);
          if (const auto* f = std::get_if<float>(attribute)) return static_cast<double>(*f);
        }
        return std::nullopt;
      }
      case Expr::Kind::Field:
        if (expr.name == "users") return static_cast<double>(uses(model.node(self).outputs));
        break;
      case Expr::Kind::Call:
        if (const auto* value = std::get_if<ValueId>(&bound[slot_in(expr)].held)) {
          if (!*value) return std::nullopt;
          const Type& type = model.value(*value).type;
          if (expr.name == "users") return static_cast<double>(uses({*value}));
          if (expr.name == "rank" && type.dims) return static_cast<double>(type.dims->size());
          if (expr.name == "rank") return std::nullopt;
          if (expr.name == "dim") {
            const auto axis = number(expr.operands[1]);
            if (!type.dims || !axis || *axis >= static_cast<double>(type.dims->size()))
              return std::nullopt;
            const Dim& dim = (*type.dims)[static_cast<std::size_t>(*axis)];
            return dim.known() ? std::optional(static_cast<double>(dim.size)) : std::nullopt;
          }
        }
        break;
      default:
        break;
    }
    ADD_FAILURE() << "the reference does not know a number of this kind";
    return std::nullopt;
  }

  std::size_t slot_in(const Expr& call) const {
    const Expr& first = rules[call.operands.at(0)];
    EXPECT_EQ(first.kind, Expr::Kind::Slot);
    return first.slot.index;
  }

  std::size_t uses(const std::vector<ValueId>& values) const {
    std::size_t count = 0;
    for (const ValueId value : values)
      if (value) count += model.uses(value).size();
    return count;
  }

  Truth fact(bool held) const { return held ? Truth::True : Truth::False; }

  Truth truth(ExprId id) const {
    const Expr& expr = rules[id];
    if (expr.kind == Expr::Kind::Literal) return fact(std::get<bool>(expr.literal.value));
    if (expr.kind == Expr::Kind::InBody)
      return fact(static_cast<bool>(model.graph(model.node(self).graph).owner));
    if (expr.kind == Expr::Kind::Is) {
      bool any = false;
      const bool output = expr.name == "output";
      for (const ValueId value : output ? model.node(self).outputs : model.node(self).inputs)
        any =
            any || (value && (output ? model.is_graph_output(value) : model.value(value).is_input));
      return fact(any);
    }
    if (expr.kind == Expr::Kind::Call) {
      const auto* value = std::get_if<ValueId>(&bound[slot_in(expr)].held);
      if (value == nullptr || !*value) return Truth::Unknown;
      if (expr.name == "is_input") return fact(model.value(*value).is_input);
      if (expr.name == "is_output") return fact(model.is_graph_output(*value));
    }
    if (expr.kind == Expr::Kind::Apply) {
      switch (expr.op) {
        case Operator::Not: {
          const Truth inner = truth(expr.operands[0]);
          if (inner == Truth::Unknown) return inner;
          return fact(inner == Truth::False);
        }
        case Operator::OrUnknown:
          return fact(truth(expr.operands[0]) != Truth::False);
        case Operator::And:
        case Operator::Or: {
          const Truth decides = expr.op == Operator::And ? Truth::False : Truth::True;
          bool open = false;
          for (const ExprId operand : expr.operands) {
            const Truth one = truth(operand);
            if (one == decides) return decides;
            open = open || one == Truth::Unknown;
          }
          if (open) return Truth::Unknown;
          return decides == Truth::False ? Truth::True : Truth::False;
        }
        default:
          break;
      }
      const auto a = number(expr.operands[0]), b = number(expr.operands[1]);
      if (!a || !b) return Truth::Unknown;
      switch (expr.op) {
        case Operator::Equal:
          return fact(*a == *b);
        case Operator::NotEqual:
          return fact(*a != *b);
        case Operator::Less:
          return fact(*a < *b);
        case Operator::LessEqual:
          return fact(*a <= *b);
        case Operator::Greater:
          return fact(*a > *b);
        case Operator::GreaterEqual:
          return fact(*a >= *b);
        default:
          break;
      }
    }
    ADD_FAILURE() << "the reference does not know a condition of this kind";
    return Truth::Unknown;
  }
};

}  // namespace

Truth naive_truth(const Model& model, const RuleSet& rules, const std::vector<Binding>& bound,
                  NodeId self, ExprId expr) {
  return NaiveGuard{model, rules, bound, self}.truth(expr);
}

}  // namespace rulec::test
