// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/result.h"

namespace rulec {

// Sizes of a tensor's dimensions, outermost first; empty for a scalar.
using Shape = std::vector<std::int64_t>;

// Number of elements; 1 for a scalar. Shapes that come from a file are checked with
// checked_element_count first, which refuses negative sizes and overflow.
std::int64_t element_count(std::span<const std::int64_t> shape);
std::optional<std::int64_t> checked_element_count(std::span<const std::int64_t> shape);

// Row-major strides in elements.
std::vector<std::int64_t> strides_of(std::span<const std::int64_t> shape);

// Numpy broadcasting of two or more shapes; nothing when they do not fit.
std::optional<Shape> broadcast(std::span<const std::int64_t> a, std::span<const std::int64_t> b);

// `axis` counted from the front (a negative one counts from the back); an Error outside the rank.
Result<std::size_t> normalize_axis(std::int64_t axis, std::size_t rank);

// "[1,3,224,224]"
std::string to_string(std::span<const std::int64_t> shape);

}  // namespace rulec
