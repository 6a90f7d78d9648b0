// SPDX-License-Identifier: Apache-2.0
#pragma once

// Expressions at rewrite time: guards in three truth values (docs/language.md §5), attribute
// expressions, and the tensors of `let`.

#include <span>
#include <string>
#include <variant>
#include <vector>

#include "matcher/graph.h"
#include "matcher/match.h"
#include "matcher/op_table.h"
#include "matcher/rule.h"

namespace rulec {

struct Unknown {
  std::string why;  // which operand was unknown, where inference stopped
};

// What an expression gives. A `ValueId` is a value of the graph (its tensor is read only when
// something needs the numbers); `None` is an absent optional.
struct None {};
struct RuleValue {
  std::variant<Unknown, None, bool, std::int64_t, double, std::string, DType, Tensor, ValueId,
               NodeId, std::vector<RuleValue>>
      data;
};

enum class Truth : std::uint8_t { False, True, Unknown };

// Everything that evaluation may read.
struct Scope {
  const Model& model;
  const RuleSet& rules;
  const OpTable& ops;
  const std::vector<Slot>& slots;
  std::span<const Binding> bindings;
  const Situation& situation;
  NodeId self;  // the node a bracket predicate stands at
};

// Never fails loudly: what cannot be computed is Unknown with a reason.
RuleValue evaluate(const Scope& scope, ExprId expr);
Truth truth(const Scope& scope, ExprId expr, std::string* why = nullptr);

// Of an expression's value, where it has one: a tensor (numpy rules; an attribute list counts).
std::optional<Tensor> as_tensor(const Scope& scope, const RuleValue& value);
// As an attribute of a kind (integers where ints are asked for, …).
std::optional<AttributeValue> as_attribute(const Scope& scope, const RuleValue& value,
                                           AttributeKind kind);

}  // namespace rulec
