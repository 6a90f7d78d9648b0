// SPDX-License-Identifier: Apache-2.0
#pragma once

// Walks several tensors at once: broadcast against each other, transposed, sliced or reduced. Not
// tied to element types: it hands out flat indices.
//
//   const auto shape = common_shape(call.inputs);                      // numpy's rule
//   walk<2>(*shape, {broadcast_strides(a.shape(), *shape), broadcast_strides(b.shape(), *shape)},
//           [&](std::int64_t first, std::int64_t count, const auto& at, const auto& step) {
//             for (std::int64_t i = 0; i < count; ++i)
//               out[first + i] = a[at[0] + i * step[0]] + b[at[1] + i * step[1]];
//           });

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/generic/kernel.h"
#include "runtime/shape.h"

namespace rulec::generic {

using Strides = std::vector<std::int64_t>;

// Strides, one for each dimension of `out`, that read a tensor of `shape` as if broadcast to it:
// 0 where it repeats. `shape` must fit `out`.
Strides broadcast_strides(std::span<const std::int64_t> shape, std::span<const std::int64_t> out);

// The shape that the tensors among `inputs` broadcast to; absent operands are passed over.
Result<Shape> common_shape(std::span<const Value* const> inputs);

// Row-major dimensions and their strides with neighbours merged where every operand allows it, so
// that the innermost row is as long as can be. Dimensions of size 1 vanish.
struct Walk {
  Shape shape;
  std::vector<Strides> strides;  // of each operand
};
Walk merge_dimensions(std::span<const std::int64_t> shape, std::span<const Strides> strides);

// Calls row(first, count, at, step) for runs of consecutive row-major indices first … first +
// count - 1 over `shape`; element i of the run is at[k] + i * step[k] of operand k.
template <std::size_t N, typename Row>
void walk(std::span<const std::int64_t> shape, const std::array<Strides, N>& strides, Row row) {
  const Walk plan = merge_dimensions(shape, strides);
  if (element_count(shape) == 0) return;
  std::array<std::int64_t, N> at{};
  std::array<std::int64_t, N> step{};
  if (plan.shape.empty()) {
    row(std::int64_t{0}, std::int64_t{1}, at, step);
    return;
  }
  const std::size_t inner = plan.shape.size() - 1;
  const std::int64_t count = plan.shape[inner];
  for (std::size_t k = 0; k < N; ++k)
    step[k] = plan.strides[k][inner];
  std::vector<std::int64_t> index(inner, 0);
  for (std::int64_t first = 0;; first += count) {
    row(first, count, at, step);
    std::size_t d = inner;
    for (; d > 0; --d) {
      for (std::size_t k = 0; k < N; ++k)
        at[k] += plan.strides[k][d - 1];
      if (++index[d - 1] < plan.shape[d - 1]) break;
      for (std::size_t k = 0; k < N; ++k)
        at[k] -= plan.strides[k][d - 1] * plan.shape[d - 1];
      index[d - 1] = 0;
    }
    if (d == 0) return;
  }
}

}  // namespace rulec::generic
