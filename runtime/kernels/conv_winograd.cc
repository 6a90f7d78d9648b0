// SPDX-License-Identifier: Apache-2.0
// Convolution 3x3 with stride 1 by Winograd's F(2,3) and F(4,3) in NCHW16c: tiles of the input are
// transformed, multiplied by transformed weights as 16 or 36 matrix products, and transformed back.
// 2.25 and 4 times fewer multiplications than directly. Tiles are taken in strips, so that what
// was transformed is still in the second-level cache when it is multiplied. Each output is made by
// the same additions in the same order, whatever the strips and threads.

#include "runtime/kernels.h"
#include "runtime/kernels/conv_plan.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

#if defined(__AVX512F__)
static constexpr int max_tiles = 14, max_blocks = 2;
#elif defined(__AVX2__)
static constexpr int max_tiles = 6, max_blocks = 1;
#else
static constexpr int max_tiles = 3, max_blocks = 1;
#endif

// One row or column of the input's transform: M+2 values to as many.
template <int M>
RULEC_INLINE void transform_input(const Vec* d, Vec* o) {
  if constexpr (M == 2) {
    o[0] = d[0] - d[2];
    o[1] = d[1] + d[2];
    o[2] = d[2] - d[1];
    o[3] = d[1] - d[3];
  } else {
    const Vec four = splat(4.0f), minus_four = splat(-4.0f), minus_five = splat(-5.0f);
    const Vec a = fma(minus_four, d[2], d[4]), b = fma(minus_four, d[1], d[3]);
    const Vec c = d[4] - d[2], e = d[3] - d[1];
    o[0] = fma(four, d[0], fma(minus_five, d[2], d[4]));
    o[1] = a + b;
    o[2] = a - b;
    o[3] = fma(splat(2.0f), e, c);
    o[4] = fma(splat(-2.0f), e, c);
    o[5] = fma(four, d[1], fma(minus_five, d[3], d[5]));
  }
}

// … and of the output's: M+2 products to M values.
template <int M>
RULEC_INLINE void transform_output(const Vec* m, Vec* o) {
  if constexpr (M == 2) {
    o[0] = m[0] + (m[1] + m[2]);
    o[1] = (m[1] - m[2]) - m[3];
  } else {
    const Vec s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
    o[0] = m[0] + (s1 + s2);
    o[1] = fma(splat(2.0f), d2, d1);
    o[2] = fma(splat(4.0f), s2, s1);
    o[3] = m[5] + fma(splat(8.0f), d2, d1);
  }
}

namespace {
// Weights are [oc/16][points][ic][16].
struct Plan : ConvPlan {
  std::int64_t pad_top, pad_left, in_halo;
  std::int64_t tiles_w, tiles_image, tiles;
};
// A strip of tiles [first, first + count).
struct Strip {
  std::int64_t first, count;
};
}  // namespace

// Input channels of block b: [points][blocks][count][16].
template <int M>
static void transform_tiles(const Plan& p, const Strip& strip, std::int64_t b, float* to) {
  constexpr int A = M + 2;
  const std::int64_t point = p.x.blocks * strip.count * 16;
  to += b * strip.count * 16;
  alignas(64) float edge[A * A * 16];
  for (std::int64_t t = 0; t < strip.count; ++t, to += 16) {
    const std::int64_t n = (strip.first + t) / p.tiles_image,
                       at = (strip.first + t) % p.tiles_image;
    const std::int64_t ty = at / p.tiles_w * M, tx = at % p.tiles_w * M;
    const float* from = p.in + n * p.x.image + b * p.x.plane + ty * p.x.row + tx * 16;
    std::int64_t row = p.x.row;
    // How much of the tile lies in memory: the border included, nothing beyond it.
    const std::int64_t rows = smaller(A, p.x.h + p.in_halo + p.pad_top - ty);
    const std::int64_t columns = smaller(A, p.x.w + p.in_halo + p.pad_left - tx);
    if (rows < A || columns < A) {
      for (std::int64_t i = 0; i < A; ++i) {
        for (std::int64_t j = 0; j < A; ++j) {
          for (int v = 0; v < vectors; ++v) {
            store(
                edge + (i * A + j) * 16 + v * lanes,
                i < rows && j < columns ? load(from + i * row + j * 16 + v * lanes) : splat(0.0f));
          }
        }
      }
      from = edge;
      row = A * 16;
    }
    for (int v = 0; v < vectors; ++v) {
      Vec half[A][A];
#pragma GCC unroll 6
      for (int j = 0; j < A; ++j) {
        Vec d[A], o[A];
#pragma GCC unroll 6
        for (int i = 0; i < A; ++i)
          d[i] = load(from + i * row + j * 16 + v * lanes);
        transform_input<M>(d, o);
#pragma GCC unroll 6
        for (int i = 0; i < A; ++i)
          half[i][j] = o[i];
      }
#pragma GCC unroll 6
      for (int i = 0; i < A; ++i) {
        Vec o[A];
        transform_input<M>(half[i], o);
#pragma GCC unroll 6
        for (int j = 0; j < A; ++j)
          store(to + (i * A + j) * point + v * lanes, o[j]);
      }
    }
  }
}

// Floats from the weights in use to those that are fetched meanwhile.
static constexpr int prefetched = 1024;

// P tiles by B blocks of output channels at one point, all input channels.
template <int P, int B>
static void product(const float* in, const float* w, float* out, std::int64_t input_blocks,
                    std::int64_t in_plane, std::int64_t weight_block, std::int64_t out_block) {
  constexpr int V = B * vectors;
  Vec acc[P][V];
#pragma GCC unroll 14
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      acc[p][v] = splat(0.0f);
  }
  for (std::int64_t b = 0; b < input_blocks; ++b) {
    const float* x = in + b * in_plane;
#pragma GCC unroll 4
    for (int c = 0; c < 16; ++c) {
      Vec weight[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v)
        weight[v] = load(w + (v / vectors) * weight_block + (v % vectors) * lanes);
        // Weights come from far away, in a line each; the hardware's own looking ahead ends at
        // pages.
#pragma GCC unroll 2
      for (int block = 0; block < B; ++block)
        prefetch(w + block * weight_block + prefetched);
      w += 16;
#pragma GCC unroll 14
      for (int p = 0; p < P; ++p) {
        const Vec value = splat(x[p * 16 + c]);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v)
          acc[p][v] = fma(value, weight[v], acc[p][v]);
      }
    }
  }
#pragma GCC unroll 14
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      store(out + (v / vectors) * out_block + p * 16 + (v % vectors) * lanes, acc[p][v]);
  }
}

template <int B, int P = max_tiles>
RULEC_INLINE void product_of(std::int64_t tiles, const float* in, const float* w, float* out,
                             std::int64_t input_blocks, std::int64_t in_plane,
                             std::int64_t weight_block, std::int64_t out_block) {
  if constexpr (P > 1) {
    if (tiles < P) {
      return product_of<B, P - 1>(tiles, in, w, out, input_blocks, in_plane, weight_block,
                                  out_block);
    }
  }
  product<P, B>(in, w, out, input_blocks, in_plane, weight_block, out_block);
}

template <int M, int B>
static void multiply(const Plan& p, const Strip& strip, std::int64_t ob, const float* v,
                     float* products) {
  constexpr int points = (M + 2) * (M + 2);
  const std::int64_t plane = strip.count * 16, panel = p.x.blocks * 256;
  const float* w = p.weights + ob * points * panel;
  for (std::int64_t point = 0; point < points; ++point) {
    const float* in = v + point * p.x.blocks * plane;
    float* out = products + point * plane;
    std::int64_t left = strip.count, at = 0, count = ceil_div(left, max_tiles);
    while (left > 0) {
      const std::int64_t tiles = ceil_div(left, count--);
      product_of<B>(tiles, in + at * 16, w + point * panel, out + at * 16, p.x.blocks, plane,
                    points * panel, points * plane);
      at += tiles;
      left -= tiles;
    }
  }
}

template <int M>
static void transform_back(const Plan& p, const Strip& strip, std::int64_t ob, const float* from) {
  constexpr int A = M + 2;
  const std::int64_t point = strip.count * 16;
  const Finish& f = p.finish;
  const Vec low = splat(f.low), high = splat(f.high);
  const float* slopes = f.slopes != nullptr ? f.slopes + ob * 16 : nullptr;
  for (std::int64_t t = 0; t < strip.count; ++t, from += 16) {
    const std::int64_t n = (strip.first + t) / p.tiles_image,
                       at = (strip.first + t) % p.tiles_image;
    const std::int64_t ty = at / p.tiles_w * M, tx = at % p.tiles_w * M;
    const std::int64_t rows = smaller(M, p.y.h - ty), columns = smaller(M, p.y.w - tx);
    float* out = p.out + n * p.y.image + ob * p.y.plane + ty * p.y.row + tx * 16;
    const float* residual = f.residual == nullptr ? nullptr
                                                  : f.residual + n * p.r.image + ob * p.r.plane +
                                                        ty * p.r.row + tx * 16;
    alignas(64) float values[M * M * 16];
    const bool direct = f.bounds_only && rows == M && columns == M;
    for (int v = 0; v < vectors; ++v) {
      const Vec bias = load(p.bias + ob * 16 + v * lanes);
      Vec half[M][A];
#pragma GCC unroll 6
      for (int j = 0; j < A; ++j) {
        Vec m[A], o[M];
#pragma GCC unroll 6
        for (int i = 0; i < A; ++i)
          m[i] = load(from + (i * A + j) * point + v * lanes);
        transform_output<M>(m, o);
#pragma GCC unroll 4
        for (int i = 0; i < M; ++i)
          half[i][j] = o[i];
      }
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i) {
        Vec o[M];
        transform_output<M>(half[i], o);
#pragma GCC unroll 4
        for (int j = 0; j < M; ++j) {
          Vec y = o[j] + bias;
          if (direct) {
            if (f.add_before) y = y + load(residual + i * p.r.row + j * 16 + v * lanes);
            store(out + i * p.y.row + j * 16 + v * lanes, minimum(high, maximum(low, y)));
          } else {
            store(values + (i * M + j) * 16 + v * lanes, y);
          }
        }
      }
    }
    if (direct) continue;
    for (std::int64_t i = 0; i < rows; ++i) {
      float* row = values + i * M * 16;
      const float* added = residual != nullptr ? residual + i * p.r.row : nullptr;
      const auto floats = static_cast<int>(columns * 16);
      if (f.bounds_only) {
        for (int k = 0; k < floats; k += lanes) {
          Vec y = load(row + k);
          if (f.add_before) y = y + load(added + k);
          store(row + k, minimum(high, maximum(low, y)));
        }
      } else {
        finish_slowly(f, row, slopes, added, floats);
      }
      for (int k = 0; k < floats; k += lanes)
        store(out + i * p.y.row + k, load(row + k));
    }
  }
}

// Output blocks [first, last) of a strip whose input is transformed.
template <int M>
static void finish_blocks(const Plan& p, const Strip& strip, std::int64_t first, std::int64_t last,
                          const float* transformed, float* products) {
  constexpr int points = (M + 2) * (M + 2);
  std::int64_t ob = first;
  if constexpr (max_blocks > 1) {
    for (; ob + max_blocks <= last; ob += max_blocks) {
      multiply<M, max_blocks>(p, strip, ob, transformed, products);
      for (int b = 0; b < max_blocks; ++b)
        transform_back<M>(p, strip, ob + b, products + b * points * strip.count * 16);
    }
  }
  for (; ob < last; ++ob) {
    multiply<M, 1>(p, strip, ob, transformed, products);
    transform_back<M>(p, strip, ob, products);
  }
}

template <int M>
static void winograd(const Plan& p, ThreadPool& pool) {
  constexpr int points = (M + 2) * (M + 2);
  const std::int64_t threads = pool.threads();
  const std::int64_t tile_floats = points * p.x.blocks * 16;
  const auto bytes = [](std::int64_t floats) {
    return static_cast<std::size_t>(floats) * sizeof(float);
  };
  const auto product_floats = [](std::int64_t count) { return max_blocks * points * count * 16; };
  // A strip's transformed input fills half of a second-level cache of 512 KB.
  std::int64_t longest = larger(2 * max_tiles, (std::int64_t{256} << 10) / (tile_floats * 4));
  longest = smaller(longest, 8 * max_tiles);
  const std::int64_t strips = ceil_div(p.tiles, longest);
  const std::int64_t weight_bytes = tile_floats * p.y.blocks * 16 * 4;
  const bool apart = threads == 1 || strips >= 2 * threads ||
                     (weight_bytes <= (1 << 20) && p.tiles >= 2 * threads * max_tiles);
  if (apart) {
    // Strips are independent: each thread transforms, multiplies and transforms back its own.
    const std::int64_t pieces =
        threads == 1 ? strips : ceil_div(larger(strips, 2 * threads), threads) * threads;
    const std::int64_t count = ceil_div(p.tiles, pieces);
    pool.run(ceil_div(p.tiles, count), [&](std::int64_t i) {
      const Strip strip = {i * count, smaller(count, p.tiles - i * count)};
      auto* scratch = reinterpret_cast<float*>(
          thread_scratch(bytes(tile_floats * count + product_floats(count))));
      for (std::int64_t b = 0; b < p.x.blocks; ++b)
        transform_tiles<M>(p, strip, b, scratch);
      finish_blocks<M>(p, strip, 0, p.y.blocks, scratch, scratch + tile_floats * count);
    });
    return;
  }
  // Few tiles and many weights: threads share a strip and part its output channels.
  const std::int64_t most = larger(longest, (std::int64_t{1} << 20) / (tile_floats * 4));
  const std::int64_t count = ceil_div(p.tiles, ceil_div(p.tiles, most));
  auto* shared = reinterpret_cast<float*>(shared_scratch(bytes(tile_floats * count)));
  const std::int64_t group = ceil_div(ceil_div(p.y.blocks, 4 * threads), max_blocks) * max_blocks;
  for (std::int64_t first = 0; first < p.tiles; first += count) {
    const Strip strip = {first, smaller(count, p.tiles - first)};
    pool.run(p.x.blocks, [&](std::int64_t b) { transform_tiles<M>(p, strip, b, shared); });
    pool.run(ceil_div(p.y.blocks, group), [&](std::int64_t i) {
      auto* products = reinterpret_cast<float*>(thread_scratch(bytes(product_floats(count))));
      finish_blocks<M>(p, strip, i * group, smaller(p.y.blocks, (i + 1) * group), shared, products);
    });
  }
}

void conv_winograd(const KernelCall& call) {
  Plan p{conv_plan(call), 0, 0, 0, 0, 0, 0};
  p.pad_top = p.p.pad_top;
  p.pad_left = p.p.pad_left;
  p.in_halo = call.inputs[0].halo;
  const std::int64_t m = p.p.winograd;
  p.tiles_w = ceil_div(p.y.w, m);
  p.tiles_image = p.tiles_w * ceil_div(p.y.h, m);
  p.tiles = p.tiles_image * p.y.n;
  m == 2 ? winograd<2>(p, *call.pool) : winograd<4>(p, *call.pool);
}

}  // namespace rulec::kernels::RULEC_ISA
