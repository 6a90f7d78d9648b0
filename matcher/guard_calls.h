// SPDX-License-Identifier: Apache-2.0
#pragma once

// Private to the guard: the parts that evaluation of expressions is made of.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "matcher/guard.h"

namespace rulec {

template <typename... Args>
RuleValue unknown(fmt::format_string<Args...> format, Args&&... args) {
  return {Unknown{fmt::format(format, std::forward<Args>(args)...)}};
}

bool names_nothing(const Scope& scope, ExprId id);
bool is_unknown(const RuleValue& value);
bool is_none(const RuleValue& value);
bool is_list(const RuleValue& value);

// Arithmetic and comparison over numbers, lists and tensors; Unknown and None propagate.
RuleValue apply(const Scope& scope, Operator op, const RuleValue& a, const RuleValue& b);
Truth truth_of(const RuleValue& value, std::string* why = nullptr);
RuleValue of_truth(Truth truth, std::string why);
Truth equal(const Scope& scope, const RuleValue& a, const RuleValue& b, std::string* why);

// Whether a list has an element, a string a part.
RuleValue contains(const Scope& scope, const RuleValue& all, const RuleValue& item);

// A built-in function over evaluated operands.
RuleValue call_function(const Scope& scope, const std::string& name,
                        const std::vector<RuleValue>& operands);
// How many operands a built-in function takes, at least and at most; nothing for one that is none.
// For the compiler's check, too.
std::optional<std::pair<std::size_t, std::size_t>> function_arity(std::string_view name);
// operands[0].name(rest); `ones` says how many ones a `1...` stands for (nothing: not known).
RuleValue call_method(const Scope& scope, const Expr& expr, const std::vector<RuleValue>& operands,
                      std::optional<std::size_t> other_rank);
// An operator over constants, by the generic kernels.
RuleValue run_operator(const Scope& scope, const Expr& expr);

// Of numbers, a one-element tensor or constant.
std::optional<double> as_number(const Scope& scope, const RuleValue& value);
std::optional<std::int64_t> as_integer(const Scope& scope, const RuleValue& value);
// A list of integers, a rank-1 integer tensor.
std::optional<std::vector<std::int64_t>> as_integers(const Scope& scope, const RuleValue& value);
// Lists as they are; tensors of rank 1 as lists.
std::optional<std::vector<RuleValue>> as_list(const Scope& scope, const RuleValue& value);
// The element type a value is stored in; Undefined for plain numbers.
DType stored_dtype(const Scope& scope, const RuleValue& value);

RuleValue from_literal(const Literal& literal);
std::string value_name(const Scope& scope, ValueId value);

}  // namespace rulec
