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
  // Of an unknown size: equal keys are equal sizes (a symbolic dimension's name); may be empty.
  std::string key = {};
};

// What an expression gives. A `ValueId` is a value of the graph (its tensor is read only when
// something needs the numbers); `None` is an absent optional.
struct None {};
struct RuleValue {
  std::variant<Unknown, None, bool, std::int64_t, double, std::string, DType, Tensor, ValueId,
               NodeId, std::vector<RuleValue>>
      data;
  // A tensor that was computed wider than it will be stored (f16 in f64): round to this once, when
  // it becomes a constant. Undefined: it is stored as it is.
  DType narrow = DType::Undefined;
};

// Everything that evaluation may read.
struct Scope {
  const Model& model;
  const RuleSet& rules;
  const OpTable& ops;
  const std::vector<Slot>& slots;
  std::span<const Binding> bindings;
  const Situation& situation;
  NodeId self = {};  // the node a bracket predicate stands at
  // Evaluated when a guard asks for one that is not bound yet.
  std::span<const Let> lets = {};
};

// Never fails loudly: what cannot be computed is Unknown with a reason.
RuleValue evaluate(const Scope& scope, ExprId expr);
Truth truth(const Scope& scope, ExprId expr, std::string* why = nullptr);

// The functions and the tensors' methods that evaluation knows, sorted: for the compiler's check.
const std::vector<std::string>& function_names();
const std::vector<std::string>& method_names();

// Of an expression's value, where it has one: a tensor (numpy rules; an attribute list counts).
std::optional<Tensor> as_tensor(const Scope& scope, const RuleValue& value);
// The same, rounded to the dtype it is to be stored in; a number has none and gives nothing.
std::optional<Tensor> stored_tensor(const Scope& scope, const RuleValue& value);
// As an attribute of a kind (integers where ints are asked for, …).
std::optional<AttributeValue> as_attribute(const Scope& scope, const RuleValue& value,
                                           AttributeKind kind);

// Between slots and expression values; lists become lists.
RuleValue from_binding(const Scope& scope, const Binding& binding, const Slot& slot);
Binding to_binding(const RuleValue& value);

// For messages: `7`, `[1, 3, ?]`, `f32[3]`, `unknown (why)`.
std::string to_string(const Scope& scope, const RuleValue& value);

}  // namespace rulec
