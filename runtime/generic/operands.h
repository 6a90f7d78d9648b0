// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reading a call's small operands: axes, shapes, counts and thresholds that are an attribute in
// older opsets and an input in newer ones. Every reader refuses what the kernel cannot take, since
// operands come from files. Not for bulk data.

#include <optional>
#include <string_view>
#include <vector>

#include "runtime/generic/kernel.h"

namespace rulec::generic {

using Integers = std::vector<std::int64_t>;

// Operand `index` if present, else attribute `name` if present, else nothing.
Result<std::optional<Integers>> optional_integers(const Call& call, std::size_t index,
                                                  std::string_view name);
// The same, absent being an Error.
Result<Integers> required_integers(const Call& call, std::size_t index, std::string_view name);

// One number from operand `index`, or `otherwise`.
Result<std::int64_t> integer_operand(const Call& call, std::size_t index, std::int64_t otherwise);
Result<double> number_operand(const Call& call, std::size_t index, double otherwise);

// Counted from the front; each within `rank` and none twice.
Result<std::vector<std::size_t>> normalize_axes(const Integers& axes, std::size_t rank);

// The axis attribute, normalized.
Result<std::size_t> axis_attribute(const Call& call, std::int64_t otherwise, std::size_t rank,
                                   std::string_view name = "axis");

// Indices of an integer tensor, negative ones counted from the back; an Error outside [-n, n).
Result<Integers> wrapped_indices(const Tensor& indices, std::int64_t n);

// An Error where the element count is negative or overflows.
Status check_shape(const Shape& shape);

// The outputs a kernel gives, most often one.
Outputs one(Value value);

}  // namespace rulec::generic
