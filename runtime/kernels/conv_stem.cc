// SPDX-License-Identifier: Apache-2.0
// The first convolution of a net: few input channels, read from the plain input (NCHW or NHWC)
// without a detour. The rows that one output row needs are gathered, with zeros around them, into
// a small buffer, so that any padding and layout cost the same.

#include "runtime/kernels.h"
#include "runtime/kernels/conv_plan.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

namespace {
struct Geometry {
  std::int64_t rows;  // of the buffer: channels x taps
  std::int64_t row;   // floats of one
  std::int64_t kernel_w, dilation_w, stride;
};
#if defined(__AVX512F__)
constexpr int max_pixels = 14, max_half_pixels = 0;
#elif defined(__AVX2__)
constexpr int max_pixels = 6, max_half_pixels = 12;
#else
constexpr int max_pixels = 3, max_half_pixels = 0;
#endif
}  // namespace

// V: vectors of the block of output channels; less than all where the others are padding.
template <int P, int V>
static void tile(const float* in, const float* w, const float* bias, float* out, const Geometry& g,
                 const float* added, Vec low, Vec high) {
  Vec acc[P][V];
#pragma GCC unroll 14
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      acc[p][v] = load(bias + v * lanes);
  }
  const std::int64_t rows = g.rows, row = g.row, stride = g.stride;
  const std::int64_t kernel_w = g.kernel_w, dilation = g.dilation_w;
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* x = in + r * row;
    for (std::int64_t kx = 0; kx < kernel_w; ++kx) {
      Vec weight[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v)
        weight[v] = load(w + v * lanes);
      w += 16;
#pragma GCC unroll 14
      for (int p = 0; p < P; ++p) {
        const Vec value = splat(x[p * stride]);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v)
          acc[p][v] = fma(value, weight[v], acc[p][v]);
      }
      x += dilation;
    }
  }
  store_bounded(acc, out, added, low, high);
  if constexpr (V < vectors) {
#pragma GCC unroll 14
    for (int p = 0; p < P; ++p)
      store(out + p * 16 + V * lanes, splat(0.0f));
  }
}

using Tile = void (*)(const float*, const float*, const float*, float*, const Geometry&,
                      const float*, Vec, Vec);

template <int P, int V>
static void fill_tiles(Tile* tiles) {
  if constexpr (P > 0) {
    tiles[P] = tile<P, V>;
    fill_tiles<P - 1, V>(tiles);
  }
}

void conv_stem(const KernelCall& call) {
  const ConvPlan o = conv_plan(call);
  const ConvParameters& p = o.p;
  const Finish& finish = o.finish;
  const BlockedExtent &y = o.y, &r = o.r;
  const TensorRef& input = call.inputs[0];
  const bool last = p.channels_last != 0;
  const std::int64_t channels = input.dims[last ? 3 : 1];
  const std::int64_t h = input.dims[last ? 1 : 2], w = input.dims[last ? 2 : 3];
  const std::int64_t sc = last ? 1 : h * w, sy = last ? w * channels : w;
  const std::int64_t sx = last ? channels : 1;
  const auto* in = reinterpret_cast<const float*>(input.data);
  Tile whole[max_pixels + 1] = {}, half[max_half_pixels + 1] = {};
  fill_tiles<max_pixels, vectors>(whole);
  fill_tiles<max_half_pixels, 1>(half);
  // More than bounds is done to a whole row; the addend may lie where the row does.
  const bool late = !finish.bounds_only;
  const Vec low = splat(finish.low), high = splat(finish.high);
  const bool has_half = max_half_pixels > 0 && (y.c - 1) % 16 < lanes;

  Geometry g;
  g.rows = channels * p.kernel_h;
  g.kernel_w = p.kernel_w;
  g.dilation_w = p.dilation_w;
  g.stride = p.stride_w;
  g.row = (y.w - 1) * g.stride + (g.kernel_w - 1) * g.dilation_w + 1;
  const std::int64_t weight_block = channels * p.kernel_h * p.kernel_w * 16;
  // Where the buffer's columns lie in the input.
  const std::int64_t left = p.pad_left;
  const std::int64_t x0 = smaller(left, g.row), x1 = smaller(g.row, left + w);

  const auto row = [&](std::int64_t index) {
    const std::int64_t n = index / y.h, oy = index % y.h;
    auto* buffer = reinterpret_cast<float*>(thread_scratch(
        static_cast<std::size_t>((g.rows * g.row + 15) / 16 * 16 + y.w * 16) * sizeof(float)));
    float* made = buffer + (g.rows * g.row + 15) / 16 * 16;  // a row before its addend
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t ky = 0; ky < p.kernel_h; ++ky) {
        float* to = buffer + (c * p.kernel_h + ky) * g.row;
        const std::int64_t iy = oy * p.stride_h - p.pad_top + ky * p.dilation_h;
        if (iy < 0 || iy >= h) {
          for (std::int64_t i = 0; i < g.row; ++i)
            to[i] = 0.0f;
          continue;
        }
        const float* from = in + n * h * w * channels + c * sc + iy * sy;
        for (std::int64_t i = 0; i < x0; ++i)
          to[i] = 0.0f;
        if (sx == 1) {
          __builtin_memcpy(to + x0, from + x0 - left,
                           static_cast<std::size_t>(larger(0, x1 - x0)) * sizeof(float));
        } else {
          for (std::int64_t i = x0; i < x1; ++i)
            to[i] = from[(i - left) * sx];
        }
        for (std::int64_t i = larger(x0, x1); i < g.row; ++i)
          to[i] = 0.0f;
      }
    }
    for (std::int64_t ob = 0; ob < y.blocks; ++ob) {
      float* ox = o.out + n * y.image + ob * y.plane + oy * y.row;
      const float* rx = finish.residual != nullptr
                            ? finish.residual + n * r.image + ob * r.plane + oy * r.row
                            : nullptr;
      const float* slopes = finish.slopes != nullptr ? finish.slopes + ob * 16 : nullptr;
      const bool is_half = has_half && ob + 1 == y.blocks;
      float* to = ox;
      if (late && rx != nullptr) to = made;
      std::int64_t rest = y.w, at = 0;
      std::int64_t count = ceil_div(rest, is_half ? max_half_pixels : max_pixels);
      while (rest > 0) {
        const std::int64_t pixels = ceil_div(rest, count);
        (is_half ? half : whole)[pixels](
            buffer + at * g.stride, o.weights + ob * weight_block, o.bias + ob * 16, to + at * 16,
            g, !late && rx != nullptr ? rx + at * 16 : nullptr, low, high);
        at += pixels;
        rest -= pixels;
        --count;
      }
      if (late) finish_slowly(finish, to, slopes, rx, static_cast<int>(y.w * 16));
      if (to != ox) __builtin_memcpy(ox, to, static_cast<std::size_t>(y.w * 16) * sizeof(float));
    }
  };
  call.pool->run(y.n * y.h, row);
}

}  // namespace rulec::kernels::RULEC_ISA
