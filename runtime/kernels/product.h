// SPDX-License-Identifier: Apache-2.0
#pragma once

// Rows of A times packed columns: the inner product kernel that gemm, matmul and the recurrent
// cells share. W is [blocks][depth][16]; the order of additions does not depend on the tile.

#include "runtime/kernels/activation.h"

namespace rulec::kernels::RULEC_ISA {

struct Product {
  const float* a = nullptr;
  std::int64_t row = 0;  // floats between rows of A
  std::int64_t depth = 0;
  const float* w = nullptr;
  const float* bias = nullptr;  // padded to 16, or null
  float* out = nullptr;
  std::int64_t out_row = 0;
  std::int64_t columns = 0;  // of the output, counted from w's first
  Finish finish;
};

#if defined(__AVX512F__)
inline constexpr int product_rows = 14, row_blocks = 4;
#elif defined(__AVX2__)
inline constexpr int product_rows = 6, row_blocks = 4;
#else
inline constexpr int product_rows = 3, row_blocks = 2;
#endif

template <int P, int B>
static void product_tile(const Product& g, std::int64_t row, std::int64_t block) {
  constexpr int V = B * vectors;
  Vec acc[P][V];
  for (int v = 0; v < V; ++v) {
    const Vec start = g.bias != nullptr ? load(g.bias + block * 16 + v * lanes) : splat(0.0f);
    for (int p = 0; p < P; ++p)
      acc[p][v] = start;
  }
  const float* a = g.a + row * g.row;
  const float* w = g.w + block * g.depth * 16;
  for (std::int64_t k = 0; k < g.depth; ++k) {
    Vec weight[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      weight[v] = load(w + (v / vectors) * g.depth * 16 + (v % vectors) * lanes);
    }
    for (int b = 0; b < B; ++b)
      prefetch(w + b * g.depth * 16 + 1024);
    w += 16;
#pragma GCC unroll 14
    for (int p = 0; p < P; ++p) {
      const Vec value = splat(a[p * g.row + k]);
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v)
        acc[p][v] = fma(value, weight[v], acc[p][v]);
    }
  }
  const Finish& f = g.finish;
  const Vec low = splat(f.low), high = splat(f.high);
  for (int b = 0; b < B; ++b) {
    const std::int64_t column = (block + b) * 16;
    const std::int64_t valid = smaller(16, g.columns - column);
    if (valid <= 0) continue;
    const std::int64_t at = row * g.out_row + column;
    const bool whole = valid == 16;
    if (whole && f.bounds_only) {
      for (int p = 0; p < P; ++p) {
        for (int v = 0; v < vectors; ++v) {
          const std::int64_t to = at + p * g.out_row + v * lanes;
          Vec y = acc[p][b * vectors + v];
          if (f.add_before) y = y + load(f.residual + to);
          store(g.out + to, minimum(high, maximum(low, y)));
        }
      }
      continue;
    }
    alignas(64) float values[P * 16], added[P * 16];
    if (f.residual != nullptr) {
      for (int p = 0; p < P; ++p) {
        const float* from = f.residual + at + p * g.out_row;
        for (int v = 0; whole && v < 16; v += lanes)
          store(added + p * 16 + v, load(from + v));
        for (int i = 0; !whole && i < 16; ++i)
          added[p * 16 + i] = i < valid ? from[i] : 0.0f;
      }
    }
    for (int p = 0; p < P; ++p) {
      for (int v = 0; v < vectors; ++v) {
        Vec y = acc[p][b * vectors + v];
        if (f.bounds_only) {
          if (f.add_before) y = y + load(added + p * 16 + v * lanes);
          y = minimum(high, maximum(low, y));
        }
        store(values + p * 16 + v * lanes, y);
      }
    }
    if (!f.bounds_only) {
      finish_slowly(f, values, f.slopes != nullptr ? f.slopes + column : nullptr, added, P * 16);
    }
    for (int p = 0; p < P; ++p) {
      float* to = g.out + at + p * g.out_row;
      for (int v = 0; whole && v < 16; v += lanes)
        store(to + v, load(values + p * 16 + v));
      for (std::int64_t i = 0; !whole && i < valid; ++i)
        to[i] = values[p * 16 + i];
    }
  }
}

template <int P, int B>
static void product_rows_of(const Product& g, std::int64_t row, std::int64_t rows,
                            std::int64_t block) {
  if (rows == P) return product_tile<P, B>(g, row, block);
  if constexpr (P > 1) product_rows_of<P - 1, B>(g, row, rows, block);
}

// As equal tiles as possible: a tile of a row or two waits for its own sums.
template <int B>
static void product_block(const Product& g, std::int64_t row0, std::int64_t row1,
                          std::int64_t block) {
  for (std::int64_t tiles = ceil_div(row1 - row0, product_rows); tiles > 0; --tiles) {
    const std::int64_t rows = ceil_div(row1 - row0, tiles);
    product_rows_of<product_rows, B>(g, row0, rows, block);
    row0 += rows;
  }
}

// out[row0 … row1)[16 block0 … 16 block1) of the product.
[[maybe_unused]] static void product(const Product& g, std::int64_t row0, std::int64_t row1,
                                     std::int64_t block0, std::int64_t block1) {
  std::int64_t block = block0;
  if (row1 - row0 == 1) {
    for (; block + row_blocks <= block1; block += row_blocks) {
      product_tile<1, row_blocks>(g, row0, block);
    }
  }
#if defined(__AVX512F__)
  for (; block + 2 <= block1; block += 2)
    product_block<2>(g, row0, row1, block);
#endif
  for (; block < block1; ++block)
    product_block<1>(g, row0, row1, block);
}

}  // namespace rulec::kernels::RULEC_ISA
