// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution in NCHW16c: one vector of channels, a few pixels of a row at a time. The
// input's halo makes padding invisible.

#include "runtime/kernels.h"
#include "runtime/kernels/activation.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

namespace {
struct Geometry {
  std::int64_t kernel_h, kernel_w, tap_row, tap_column, pixel;
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
static void tile(const float* in, const float* w, Vec bias, float* out, const Geometry& g,
                 const Finish& f, const float* residual) {
  Vec acc[P];
  for (int p = 0; p < P; ++p)
    acc[p] = bias;
  const std::int64_t kernel_h = K == 0 ? g.kernel_h : K, kernel_w = K == 0 ? g.kernel_w : K;
  const std::int64_t pixel = S == 0 ? g.pixel : S * 16;
  const std::int64_t column = K == 0 ? g.tap_column : 16;
  for (std::int64_t ky = 0; ky < kernel_h; ++ky) {
    const float* row = in + ky * g.tap_row;
    if constexpr (K != 0 && S != 0) {
      // Each input is loaded once and meets the taps that it has a pixel for.
      Vec weight[K];
      for (int kx = 0; kx < K; ++kx)
        weight[kx] = load(w + (ky * K + kx) * 16);
#pragma GCC unroll 32
      for (int i = 0; i < (P - 1) * S + K; ++i) {
        const Vec value = load(row + i * 16);
#pragma GCC unroll 5
        for (int kx = 0; kx < K; ++kx) {
          const int p = (i - kx) / S;
          if (i >= kx && (i - kx) % S == 0 && p < P) acc[p] = fma(value, weight[kx], acc[p]);
        }
      }
      continue;
    }
#pragma GCC unroll 5
    for (std::int64_t kx = 0; kx < kernel_w; ++kx) {
      const Vec weight = load(w + (ky * kernel_w + kx) * 16);
#pragma GCC unroll 14
      for (int p = 0; p < P; ++p) {
        acc[p] = fma(load(row + p * pixel + kx * column), weight, acc[p]);
      }
    }
  }
  const Vec low = splat(f.low), high = splat(f.high);
  for (int p = 0; p < P; ++p) {
    Vec y = acc[p];
    if (f.add_before && f.bounds_only) y = y + load(residual + p * 16);
    store(out + p * 16, f.bounds_only ? minimum(high, maximum(low, y)) : y);
  }
}

using Tile = void (*)(const float*, const float*, Vec, float*, const Geometry&, const Finish&,
                      const float*);

template <int K, int S, int P>
static void fill_tiles(Tile* tiles) {
  tiles[P] = tile<P, K, S>;
  if constexpr (P > 1) fill_tiles<K, S, P - 1>(tiles);
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

void conv_depthwise(const KernelCall& call) {
  ConvParameters p;
  __builtin_memcpy(&p, call.parameters, sizeof p);
  const TensorRef &input = call.inputs[0], &output = call.outputs[0];
  const BlockedExtent x = blocked_extent(input.dims, input.halo);
  const BlockedExtent y = blocked_extent(output.dims, output.halo);
  const auto* weights = reinterpret_cast<const float*>(call.inputs[1].data);
  const auto* bias = reinterpret_cast<const float*>(call.inputs[2].data);
  Finish finish = make_finish(p.epilogue);
  std::size_t next = 3;
  if (p.epilogue.activation == Activation::PRelu) {
    finish.slopes = reinterpret_cast<const float*>(call.inputs[next++].data);
  }
  BlockedExtent r = y;
  if (p.epilogue.residual != Residual::None) {
    r = blocked_extent(output.dims, call.inputs[next].halo);
    finish.residual = reinterpret_cast<const float*>(call.inputs[next].data) + r.origin;
  }
  static const Tiles tiles;
  const bool plain = p.dilation_h == 1 && p.dilation_w == 1 && p.kernel_h == p.kernel_w;
  const int kernel = plain && p.kernel_h == 3 ? 1 : plain && p.kernel_h == 5 ? 2 : 0;
  const Tile* table = tiles.of[kernel][p.stride_w <= 2 ? p.stride_w : 0];

  const Geometry g = {.kernel_h = p.kernel_h,
                      .kernel_w = p.kernel_w,
                      .tap_row = p.dilation_h * x.row,
                      .tap_column = std::int64_t{p.dilation_w} * 16,
                      .pixel = std::int64_t{p.stride_w} * 16};
  const std::int64_t taps = std::int64_t{p.kernel_h} * p.kernel_w;
  const float* in = reinterpret_cast<const float*>(input.data) + x.origin -
                    std::int64_t{p.pad_top} * x.row - std::int64_t{p.pad_left} * 16;
  float* out = reinterpret_cast<float*>(output.data) + y.origin;
  const std::int64_t row_work = y.w * taps * 16;
  const std::int64_t band = larger(1, smaller(y.h, 1 + 100000 / larger(1, row_work)));
  const std::int64_t bands = ceil_div(y.h, band);

  const auto chunk = [&](std::int64_t index) {
    const std::int64_t row0 = (index % bands) * band, row1 = smaller(y.h, row0 + band);
    const std::int64_t b = (index / bands) % y.blocks, n = index / bands / y.blocks;
    const float* plane = in + n * x.image + b * x.plane;
    for (std::int64_t row = row0; row < row1; ++row) {
      const float* ix = plane + row * p.stride_h * x.row;
      float* ox = out + n * y.image + b * y.plane + row * y.row;
      const float* rx = finish.residual != nullptr
                            ? finish.residual + n * r.image + b * r.plane + row * r.row
                            : nullptr;
      float* to = ox;
      if (!finish.bounds_only && rx != nullptr) {
        // The addend may lie where the row does.
        to = reinterpret_cast<float*>(
            thread_scratch(static_cast<std::size_t>(y.w * 16) * sizeof(float)));
      }
      for (int v = 0; v < vectors; ++v) {
        const int c = v * lanes;
        if (b * 16 + c >= y.c) {  // padding
          for (std::int64_t i = 0; i < y.w; ++i)
            store(to + i * 16 + c, splat(0.0f));
          continue;
        }
        const Vec start = load(bias + b * 16 + c);
        std::int64_t rest = y.w, at = 0, count = ceil_div(rest, max_pixels);
        while (rest > 0) {
          const std::int64_t pixels = ceil_div(rest, count);
          table[pixels](ix + at * g.pixel + c, weights + b * taps * 16 + c, start, to + at * 16 + c,
                        g, finish, rx != nullptr ? rx + at * 16 + c : nullptr);
          at += pixels;
          rest -= pixels;
          --count;
        }
      }
      if (!finish.bounds_only) {
        finish_slowly(finish, to, finish.slopes != nullptr ? finish.slopes + b * 16 : nullptr, rx,
                      static_cast<int>(y.w * 16));
        if (to != ox) __builtin_memcpy(ox, to, static_cast<std::size_t>(y.w * 16) * sizeof(float));
      }
    }
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
