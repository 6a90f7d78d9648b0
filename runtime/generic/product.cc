// SPDX-License-Identifier: Apache-2.0
#include "runtime/generic/product.h"

#include <algorithm>
#include <cstring>

namespace rulec::generic {

// Rows of the result in one block: the sums of a block stay in registers.
static constexpr std::int64_t block_rows = 4;

template <std::int64_t rows>
[[gnu::always_inline]] static inline void multiply_block(const double* a, std::int64_t a_stride,
                                                         std::int64_t k, const double* panel,
                                                         double* sums) {
  // GCC's vectors are lowered to what the target has, so that one source serves every CPU.
  typedef double Vector __attribute__((vector_size(32)));
  Vector total[rows][2] = {};
  for (std::int64_t p = 0; p < k; ++p) {
    Vector low, high;
    std::memcpy(&low, panel + p * panel_width, sizeof low);
    std::memcpy(&high, panel + p * panel_width + 4, sizeof high);
#pragma GCC unroll 4
    for (std::int64_t r = 0; r < rows; ++r) {
      const double scale = a[r * a_stride + p];
      total[r][0] += low * scale;
      total[r][1] += high * scale;
    }
  }
#pragma GCC unroll 4
  for (std::int64_t r = 0; r < rows; ++r) {
    std::memcpy(sums + r * panel_width, &total[r][0], sizeof total[r]);
  }
}

[[gnu::always_inline]] static inline void multiply_rows(const double* a, std::int64_t a_stride,
                                                        std::int64_t rows, std::int64_t k,
                                                        const double* panel, double* sums) {
  switch (rows) {
    case 1:
      return multiply_block<1>(a, a_stride, k, panel, sums);
    case 2:
      return multiply_block<2>(a, a_stride, k, panel, sums);
    case 3:
      return multiply_block<3>(a, a_stride, k, panel, sums);
    default:
      return multiply_block<block_rows>(a, a_stride, k, panel, sums);
  }
}

static void multiply_rows_portably(const double* a, std::int64_t a_stride, std::int64_t rows,
                                   std::int64_t k, const double* panel, double* sums) {
  multiply_rows(a, a_stride, rows, k, panel, sums);
}

using MultiplyRows = void (*)(const double*, std::int64_t, std::int64_t, std::int64_t,
                              const double*, double*);

#if defined(__x86_64__)
// Without fused multiply-add, which would round differently from other CPUs.
[[gnu::target("avx2")]] static void multiply_rows_avx2(const double* a, std::int64_t a_stride,
                                                       std::int64_t rows, std::int64_t k,
                                                       const double* panel, double* sums) {
  multiply_rows(a, a_stride, rows, k, panel, sums);
}
#endif

static MultiplyRows choose_multiply() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return multiply_rows_avx2;
#endif
  return multiply_rows_portably;
}

void multiply_add(const double* a, std::int64_t a_stride, std::int64_t m, std::int64_t k,
                  std::int64_t n, const PackPanel& pack, double* c, std::int64_t c_stride) {
  static const MultiplyRows multiply = choose_multiply();
  std::vector<double> panel(static_cast<std::size_t>(k * panel_width));
  double sums[block_rows * panel_width];
  for (std::int64_t first = 0; first < n; first += panel_width) {
    pack(first, panel.data());
    const std::int64_t columns = std::min(panel_width, n - first);
    for (std::int64_t row = 0; row < m; row += block_rows) {
      const std::int64_t rows = std::min(block_rows, m - row);
      multiply(a + row * a_stride, a_stride, rows, k, panel.data(), sums);
      for (std::int64_t r = 0; r < rows; ++r) {
        double* to = c + (row + r) * c_stride + first;
        for (std::int64_t j = 0; j < columns; ++j)
          to[j] += sums[r * panel_width + j];
      }
    }
  }
}

PackPanel panels_of(const double* b, std::int64_t k, std::int64_t n, std::int64_t k_stride,
                    std::int64_t j_stride) {
  return [=](std::int64_t first, double* panel) {
    const std::int64_t columns = std::min(panel_width, n - first);
    for (std::int64_t p = 0; p < k; ++p) {
      const double* from = b + p * k_stride + first * j_stride;
      double* to = panel + p * panel_width;
      for (std::int64_t j = 0; j < columns; ++j)
        to[j] = from[j * j_stride];
      std::fill(to + columns, to + panel_width, 0.0);
    }
  };
}

}  // namespace rulec::generic
