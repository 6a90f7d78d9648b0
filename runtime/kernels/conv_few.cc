// SPDX-License-Identifier: Apache-2.0
// A convolution with few output channels. conv.cc would leave most lanes of its vectors empty; here
// lanes are input channels, whose products are added up at the end of each pixel. A row of sums is
// finished densely, then spread into blocks of 16 channels.

#include "runtime/kernels.h"
#include "runtime/kernels/conv_plan.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

namespace {
struct Geometry {
  std::int64_t blocks, last_vectors;  // of the last block: the others hold no channel
  std::int64_t kernel_h, kernel_w;
  std::int64_t tap_row, tap_column, in_plane, pixel;
  std::int64_t sums_row;
  Vec kept, kept_last;  // bits of a vector of channels, and of the last one: the rest may be NaN
};
constexpr int most_outputs = 4;
#if defined(__AVX512F__)
constexpr int accumulators = 24;
#else
constexpr int accumulators = 12;
#endif
}  // namespace

// P pixels of O channels: sums[o][p]. Weights are [ic/16][kh][kw][vectors][O][lanes].
template <int P, int O>
static void tile(const float* in, const float* w, const float* bias, float* sums,
                 const Geometry& g) {
  Vec acc[P][O];
#pragma GCC unroll 24
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int o = 0; o < O; ++o)
      acc[p][o] = splat(0.0f);
  }
  const std::int64_t pixel = g.pixel;
  for (std::int64_t b = 0; b < g.blocks; ++b) {
    const std::int64_t count = b + 1 == g.blocks ? g.last_vectors : vectors;
    for (std::int64_t ky = 0; ky < g.kernel_h; ++ky) {
      for (std::int64_t kx = 0; kx < g.kernel_w; ++kx) {
        const float* x = in + b * g.in_plane + ky * g.tap_row + kx * g.tap_column;
        for (std::int64_t v = 0; v < count; ++v) {
          const bool last = b + 1 == g.blocks && v + 1 == count;
          const IntVec kept = bits(last ? g.kept_last : g.kept);
          Vec weight[O];
#pragma GCC unroll 4
          for (int o = 0; o < O; ++o)
            weight[o] = load(w + (v * O + o) * lanes);
#pragma GCC unroll 24
          for (int p = 0; p < P; ++p) {
            const Vec value = from_bits(and_int(bits(load(x + p * pixel + v * lanes)), kept));
#pragma GCC unroll 4
            for (int o = 0; o < O; ++o)
              acc[p][o] = fma(value, weight[o], acc[p][o]);
          }
        }
        w += vectors * O * lanes;
      }
    }
  }
#pragma GCC unroll 24
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int o = 0; o < O; ++o)
      sums[o * g.sums_row + p] = horizontal_sum(acc[p][o]) + bias[o];
  }
}

using Tile = void (*)(const float*, const float*, const float*, float*, const Geometry&);

namespace {
struct Tiles {
  Tile of[most_outputs + 1][accumulators + 1] = {};
  Tiles() { fill<most_outputs, accumulators / most_outputs>(); }
  template <int O, int P>
  void fill() {
    of[O][P] = tile<P, O>;
    if constexpr (P > 1) {
      fill<O, P - 1>();
    } else if constexpr (O > 1) {
      fill<O - 1, accumulators / (O - 1)>();
    }
  }
};
}  // namespace

// Where that takes fewer operations than a whole block of output channels.
bool takes_few_outputs(const ConvPlan& c) {
  const std::int64_t taps = std::int64_t{c.p.kernel_h} * c.p.kernel_w;
  return c.y.c <= most_outputs && c.finish.residual == nullptr && c.finish.slopes == nullptr &&
         c.y.w >= 4 && 2 * c.y.c * (taps * ceil_div(c.x.c, lanes) + 6) < taps * c.x.c;
}

static Vec first_bits(std::int64_t count) {
  alignas(64) std::int32_t mask[lanes];
  for (int i = 0; i < lanes; ++i)
    mask[i] = i < count ? -1 : 0;
  return load(reinterpret_cast<const float*>(mask));
}

void few_outputs(const ConvPlan& c, ThreadPool& pool) {
  static const Tiles tiles;
  const ConvParameters& p = c.p;
  const BlockedExtent &x = c.x, &y = c.y;
  const std::int64_t outputs = y.c, taps = x.blocks * p.kernel_h * p.kernel_w;
  const Finish& finish = c.finish;
  const Geometry g = {.blocks = x.blocks,
                      .last_vectors = ceil_div(x.c - (x.blocks - 1) * 16, lanes),
                      .kernel_h = p.kernel_h,
                      .kernel_w = p.kernel_w,
                      .tap_row = p.dilation_h * x.row,
                      .tap_column = std::int64_t{p.dilation_w} * 16,
                      .in_plane = x.plane,
                      .pixel = std::int64_t{p.stride_w} * 16,
                      .sums_row = ceil_div(y.w, 16) * 16,
                      .kept = first_bits(lanes),
                      .kept_last = first_bits((x.c - 1) % lanes + 1)};
  // Weights come as [ic/16][kh][kw][16 ic][16 oc].
  auto* weights = reinterpret_cast<float*>(
      shared_scratch(static_cast<std::size_t>(taps * 16 * outputs) * sizeof(float)));
  for (std::int64_t t = 0; t < taps; ++t) {
    for (std::int64_t i = 0; i < 16; ++i) {
      for (std::int64_t o = 0; o < outputs; ++o) {
        weights[((t * vectors + i / lanes) * outputs + o) * lanes + i % lanes] =
            c.weights[(t * 16 + i) * 16 + o];
      }
    }
  }
  const Tile* table = tiles.of[outputs];
  const std::int64_t longest = accumulators / outputs;
  const Vec low = splat(finish.low), high = splat(finish.high);

  const auto row = [&](std::int64_t index) {
    const std::int64_t n = index / y.h, oy = index % y.h;
    auto* sums = reinterpret_cast<float*>(
        thread_scratch(static_cast<std::size_t>(outputs * g.sums_row) * sizeof(float)));
    const float* in = c.in + n * x.image + oy * p.stride_h * x.row;
    std::int64_t left = y.w, at = 0, count = ceil_div(left, longest);
    while (left > 0) {
      const std::int64_t pixels = ceil_div(left, count--);
      table[pixels](in + at * g.pixel, weights, c.bias, sums + at, g);
      at += pixels;
      left -= pixels;
    }
    for (std::int64_t o = 0; o < outputs; ++o) {
      for (std::int64_t i = y.w; i < g.sums_row; ++i)
        sums[o * g.sums_row + i] = 0.0f;
    }
    const std::int64_t floats = outputs * g.sums_row;
    for (std::int64_t i = 0; i < floats; i += lanes)
      store(sums + i, minimum(high, maximum(low, load(sums + i))));
    if (!finish.bounds_only)
      finish_slowly(finish, sums, nullptr, nullptr, static_cast<int>(floats));
    float* out = c.out + n * y.image + oy * y.row;
    for (std::int64_t i = 0; i < y.w; ++i) {
      for (int v = 0; v < vectors; ++v)
        store(out + i * 16 + v * lanes, splat(0.0f));
      for (std::int64_t o = 0; o < outputs; ++o)
        out[i * 16 + o] = sums[o * g.sums_row + i];
    }
  };
  const std::int64_t rows = y.n * y.h, work = y.w * taps * 16 * outputs;
  const std::int64_t band = larger(1, 50000 / larger(1, work));
  const auto chunk = [&](std::int64_t index) {
    for (std::int64_t i = index * band; i < smaller(rows, (index + 1) * band); ++i)
      row(i);
  };
  if (rows * work < 400000) {
    for (std::int64_t i = 0; i < ceil_div(rows, band); ++i)
      chunk(i);
  } else {
    pool.run(ceil_div(rows, band), chunk);
  }
}

}  // namespace rulec::kernels::RULEC_ISA
