// SPDX-License-Identifier: Apache-2.0
#pragma once

// The arithmetic of `let` and guards on small and large tensors: numpy broadcasting, integers in
// i64, everything else in f64. Callers round once to the dtype they store (RuleValue::narrow).

#include <optional>
#include <string_view>
#include <vector>

#include "matcher/rule.h"
#include "runtime/tensor.h"

namespace rulec {

// As i64 (integers, bool) or f64 (floats); nothing for strings and complex numbers.
std::optional<Tensor> widened(const Tensor& tensor);

// Arithmetic (f64 or i64) and comparison (bool) of Operator; nothing when shapes do not broadcast.
// Division of integers stays integral where every quotient is.
std::optional<Tensor> apply_binary(Operator op, const Tensor& a, const Tensor& b);

// sqrt, exp, abs, …; nothing for a name that is none of them.
bool is_unary_function(std::string_view name);
std::vector<std::string_view> unary_function_names();
std::optional<Tensor> apply_unary(std::string_view name, const Tensor& a);

Tensor transposed(const Tensor& tensor, const std::vector<std::int64_t>& permutation);
// Along an axis (negative: from the back); nothing when shapes or dtypes do not fit.
std::optional<Tensor> concatenated(const std::vector<Tensor>& parts, std::int64_t axis);

// The element type of `a op b` before rounding: see RuleValue::narrow.
DType promoted(DType a, DType b);

}  // namespace rulec
