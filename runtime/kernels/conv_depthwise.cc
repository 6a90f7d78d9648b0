// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution in NCHW16c: one vector of channels, a few pixels of a row at a time. The
// input's halo makes padding invisible.

#include "runtime/kernels.h"
#include "runtime/kernels/conv_plan.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

namespace {
struct Geometry {
  std::int64_t kernel_h, kernel_w, tap_row, tap_column, pixel;
  std::int64_t in_row, out_row, added_row;  // floats between rows of the result's pixels
};
#if defined(__AVX512F__)
constexpr int max_pixels = 14;
#elif defined(__AVX2__)
constexpr int max_pixels = 8;
#else
constexpr int max_pixels = 8;
#endif
}  // namespace

// K: kernel (square) where it is 3 or 5 and not dilated, else 0. S: stride 1 or 2, else 0.
template <int P, int K, int S>
RULEC_INLINE void tile(const float* in, const float* w, Vec bias, float* out, const Geometry& g,
                       const float* added, Vec low, Vec high) {
  Vec acc[P][1];
#pragma GCC unroll 14
  for (int p = 0; p < P; ++p)
    acc[p][0] = bias;
  const std::int64_t kernel_h = K == 0 ? g.kernel_h : K, kernel_w = K == 0 ? g.kernel_w : K;
  const std::int64_t pixel = S == 0 ? g.pixel : S * 16;
  const std::int64_t column = K == 0 ? g.tap_column : 16;
  const std::int64_t tap_row = g.tap_row;
#pragma GCC unroll 5
  for (std::int64_t ky = 0; ky < kernel_h; ++ky) {
    const float* row = in + ky * tap_row;
    if constexpr (K != 0 && S != 0) {
      // Each input is loaded once and meets the taps that it has a pixel for.
      Vec weight[K];
#pragma GCC unroll 5
      for (int kx = 0; kx < K; ++kx)
        weight[kx] = load(w + (ky * K + kx) * 16);
#pragma GCC unroll 32
      for (int i = 0; i < (P - 1) * S + K; ++i) {
        const Vec value = load(row + i * 16);
#pragma GCC unroll 5
        for (int kx = 0; kx < K; ++kx) {
          const int p = (i - kx) / S;
          if (i >= kx && (i - kx) % S == 0 && p < P) acc[p][0] = fma(value, weight[kx], acc[p][0]);
        }
      }
      continue;
    }
    for (std::int64_t kx = 0; kx < kernel_w; ++kx) {
      const Vec weight = load(w + (ky * kernel_w + kx) * 16);
#pragma GCC unroll 14
      for (int p = 0; p < P; ++p)
        acc[p][0] = fma(load(row + p * pixel + kx * column), weight, acc[p][0]);
    }
  }
  store_bounded(acc, out, added, low, high);
}

template <int P, int K, int S>
__attribute__((noinline)) static void called_tile(const float* in, const float* w, Vec bias,
                                                  float* out, const Geometry& g, const float* added,
                                                  Vec low, Vec high) {
  tile<P, K, S>(in, w, bias, out, g, added, low, high);
}

// `count` tiles one beside the other in each of `rows` rows. The smallest are over so soon that
// a call would cost as much; of the others the compiler makes more when they stand alone.
template <int P, int K, int S>
static void tiles(const float* in, const float* w, Vec bias, float* out, const Geometry& g,
                  const float* added, Vec low, Vec high, std::int64_t rows, std::int64_t count) {
  const Geometry own = g;  // stores may alias what g refers to
  const std::int64_t step = P * (S == 0 ? own.pixel : S * 16);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t i = 0; i < count; ++i) {
      const float* more = added != nullptr ? added + i * P * 16 : nullptr;
      if constexpr (K == 3 && S == 1) {
        tile<P, K, S>(in + i * step, w, bias, out + i * P * 16, own, more, low, high);
      } else {
        called_tile<P, K, S>(in + i * step, w, bias, out + i * P * 16, own, more, low, high);
      }
    }
    in += own.in_row;
    out += own.out_row;
    if (added != nullptr) added += own.added_row;
  }
}

using Tile = void (*)(const float*, const float*, Vec, float*, const Geometry&, const float*, Vec,
                      Vec, std::int64_t, std::int64_t);

template <int K, int S, int P>
static void fill_tiles(Tile* table) {
  table[P] = tiles<P, K, S>;
  if constexpr (P > 1) fill_tiles<K, S, P - 1>(table);
}

namespace {
struct Tiles {
  Tile of[3][3][max_pixels + 1] = {};
  Tiles() {
    fill<0>(of[0]);
    fill<3>(of[1]);
    fill<5>(of[2]);
  }
  template <int K>
  void fill(Tile (*t)[max_pixels + 1]) {
    fill_tiles<K, 0, max_pixels>(t[0]);
    fill_tiles<K, 1, max_pixels>(t[1]);
    fill_tiles<K, 2, max_pixels>(t[2]);
  }
};
}  // namespace

void depthwise_part(const ConvPlan& c, const ConvPart& part) {
  static const Tiles all;
  const ConvParameters& p = c.p;
  const BlockedExtent &x = c.x, &y = c.y, &r = c.r;
  const Finish& finish = c.finish;
  const bool plain = p.dilation_h == 1 && p.dilation_w == 1 && p.kernel_h == p.kernel_w;
  const int kernel = plain && p.kernel_h == 3 ? 1 : plain && p.kernel_h == 5 ? 2 : 0;
  const Tile* table = all.of[kernel][p.stride_w <= 2 ? p.stride_w : 0];
  const Geometry g = {.kernel_h = p.kernel_h,
                      .kernel_w = p.kernel_w,
                      .tap_row = p.dilation_h * x.row,
                      .tap_column = std::int64_t{p.dilation_w} * 16,
                      .pixel = std::int64_t{p.stride_w} * 16,
                      .in_row = p.stride_h * x.row,
                      .out_row = y.row,
                      .added_row = r.row};
  const std::int64_t taps = std::int64_t{p.kernel_h} * p.kernel_w;
  // What needs more than bounds is done to a whole row; bounds are infinite then.
  const bool late = !finish.bounds_only;
  const Vec low = splat(finish.low), high = splat(finish.high);
  // As equal tiles as possible: `longer` of them have a pixel more.
  const std::int64_t count = ceil_div(y.w, max_pixels), pixels = y.w / count;
  const std::int64_t longer = y.w % count;
  // Rows of one call: the second vector of a block should find its inputs in the nearest cache.
  const std::int64_t near = larger(1, 4096 / g.in_row);
  for (std::int64_t b = part.first_block; b < part.last_block; ++b) {
    for (std::int64_t row = part.row0, together = 1; row < part.row1; row += together) {
      together = late ? 1 : smaller(near, part.row1 - row);
      const float* ix = c.in + part.n * x.image + b * x.plane + row * g.in_row;
      float* ox = c.out + part.n * y.image + b * y.plane + row * y.row;
      const float* rx = finish.residual != nullptr
                            ? finish.residual + part.n * r.image + b * r.plane + row * r.row
                            : nullptr;
      float* to = ox;
      if (late && rx != nullptr) {
        // The addend may lie where the row does.
        to = reinterpret_cast<float*>(
            thread_scratch(static_cast<std::size_t>(y.w * 16) * sizeof(float)));
      }
      const float* added = late ? nullptr : rx;
      for (int v = 0; v < vectors; ++v) {
        const int lane = v * lanes;
        if (b * 16 + lane >= y.c) {  // padding
          for (std::int64_t i = 0; i < together; ++i) {
            for (std::int64_t j = 0; j < y.w; ++j)
              store(to + i * y.row + j * 16 + lane, splat(0.0f));
          }
          continue;
        }
        const Vec start = load(c.bias + b * 16 + lane);
        const float* w = c.weights + b * taps * 16 + lane;
        const auto run = [&](std::int64_t at, std::int64_t length, std::int64_t some) {
          table[length](ix + at * g.pixel + lane, w, start, to + at * 16 + lane, g,
                        added != nullptr ? added + at * 16 + lane : nullptr, low, high, together,
                        some);
        };
        if (longer > 0) run(0, pixels + 1, longer);
        run(longer * (pixels + 1), pixels, count - longer);
      }
      if (late) {
        finish_slowly(finish, to, finish.slopes != nullptr ? finish.slopes + b * 16 : nullptr, rx,
                      static_cast<int>(y.w * 16));
        if (to != ox) __builtin_memcpy(ox, to, static_cast<std::size_t>(y.w * 16) * sizeof(float));
      }
    }
  }
}

void conv_depthwise(const KernelCall& call) {
  const ConvPlan c = conv_plan(call);
  const BlockedExtent& y = c.y;
  const std::int64_t row_work = y.w * c.p.kernel_h * c.p.kernel_w * 16;
  const std::int64_t band = larger(1, smaller(y.h, 1 + 100000 / larger(1, row_work)));
  const std::int64_t bands = ceil_div(y.h, band);
  const auto chunk = [&](std::int64_t index) {
    const std::int64_t row = (index % bands) * band, b = (index / bands) % y.blocks;
    depthwise_part(c, {index / bands / y.blocks, row, smaller(y.h, row + band), 0, y.w, b, b + 1});
  };
  const std::int64_t chunks = y.n * y.blocks * bands;
  if (row_work * y.h * y.blocks * y.n < 200000) {
    for (std::int64_t i = 0; i < chunks; ++i)
      chunk(i);
  } else {
    call.pool->run(chunks, chunk);
  }
}

}  // namespace rulec::kernels::RULEC_ISA
