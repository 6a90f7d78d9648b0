// SPDX-License-Identifier: Apache-2.0
#pragma once

// The matrix product in double that convolutions, matrix operators and recurrent layers share.
// Every element is summed in the order of k, so results do not depend on the CPU.
//
//   multiply_add({a, 1, k}, m, k, n, b_panel, c, n)

#include <cstdint>
#include <functional>
#include <vector>

namespace rulec::generic {

// Columns in a panel: the product is computed for so many columns of the result at a time.
inline constexpr std::int64_t panel_width = 8;

// Writes columns first … first + panel_width - 1 of the right operand, row after row, k rows;
// columns beyond the last one are zero.
using PackPanel = std::function<void(std::int64_t first, double* panel)>;

// c[i * c_stride + j] += sum over k of a[i * a_stride + k] * b(k, j), for i < m and j < n.
void multiply_add(const double* a, std::int64_t a_stride, std::int64_t m, std::int64_t k,
                  std::int64_t n, const PackPanel& pack, double* c, std::int64_t c_stride);

// Packs from a matrix in memory: b(k, j) = b[k * k_stride + j * j_stride].
PackPanel panels_of(const double* b, std::int64_t k, std::int64_t n, std::int64_t k_stride,
                    std::int64_t j_stride);

}  // namespace rulec::generic
