// SPDX-License-Identifier: Apache-2.0
// The first convolution of a net: few input channels, read from the plain input (NCHW or NHWC)
// without a detour. The rows that a few output rows need are gathered, with zeros around them, into
// a small buffer, so that any padding and layout cost the same.

#include "runtime/kernels.h"
#include "runtime/kernels/conv_plan.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

namespace {
struct Geometry {
  std::int64_t rows;          // of the buffer that a pixel needs: channels x taps
  const std::int64_t* place;  // of each, in floats
  std::int64_t kernel_w, tap_column;
  std::int64_t stride;  // between inputs of neighbouring pixels
  std::int64_t weight_block, out_plane, added_plane;
};
#if defined(__AVX512F__)
constexpr int max_pixels = 14, max_half_pixels = 0, max_both_pixels = 0;
#elif defined(__AVX2__)
constexpr int max_pixels = 6, max_half_pixels = 12, max_both_pixels = 4;
#else
constexpr int max_pixels = 3, max_half_pixels = 0, max_both_pixels = 0;
#endif
// Rows of the result that share a buffer: an input row is gathered once for all of them.
constexpr std::int64_t max_band = 4;
}  // namespace

// V: vectors of output channels; less than a block's where the others are padding, more where the
// block behind has these few.
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
  const std::int64_t stride = g.stride, column = g.tap_column, kernel_w = g.kernel_w;
  const std::int64_t out_plane = g.out_plane, added_plane = g.added_plane;
  const float* next = w + g.weight_block;
  for (std::int64_t i = 0; i < g.rows; ++i) {
    const float* x = in + g.place[i];
    for (std::int64_t kx = 0; kx < kernel_w; ++kx) {
      Vec weight[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v)
        weight[v] = load(v < vectors ? w + v * lanes : next + (v - vectors) * lanes);
      w += 16;
      next += 16;
#pragma GCC unroll 14
      for (int p = 0; p < P; ++p) {
        const Vec value = splat(x[p * stride]);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v)
          acc[p][v] = fma(value, weight[v], acc[p][v]);
      }
      x += column;
    }
  }
  if constexpr (V <= vectors) {
    store_bounded(acc, out, added, low, high);
  } else {
#pragma GCC unroll 14
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const int lane = p * 16 + v % vectors * lanes;
        Vec y = acc[p][v];
        if (added != nullptr) y = y + load(added + v / vectors * added_plane + lane);
        store(out + v / vectors * out_plane + lane, minimum(high, maximum(low, y)));
      }
    }
  }
  if constexpr (V % vectors != 0) {
#pragma GCC unroll 14
    for (int p = 0; p < P; ++p)
      store(out + V / vectors * out_plane + p * 16 + V % vectors * lanes, splat(0.0f));
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

namespace {
struct Tiles {
  Tile whole[max_pixels + 1] = {}, half[max_half_pixels + 1] = {}, both[max_both_pixels + 1] = {};
  Tiles() {
    fill_tiles<max_pixels, vectors>(whole);
    fill_tiles<max_half_pixels, 1>(half);
    fill_tiles<max_both_pixels, vectors + 1>(both);
  }
};
// Where the buffer's columns lie in the input: [from, to) of them, the others are padding.
struct Columns {
  std::int64_t row, from, to, left;
};
}  // namespace

static void clear(float* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i)
    to[i] = 0.0f;
}

// A row of the input, one row of the buffer for each channel; null: a row of padding.
static void gather_row(const float* from, std::int64_t channels, std::int64_t channel_step,
                       std::int64_t pixel_step, const Columns& x, float* to,
                       std::int64_t to_channel) {
  const std::int64_t count = larger(0, x.to - x.from);
  for (std::int64_t c = 0; c < channels; ++c) {
    float* row = to + c * to_channel;
    if (from == nullptr) {
      clear(row, x.row);
      continue;
    }
    clear(row, x.from);
    clear(row + larger(x.from, x.to), x.row - larger(x.from, x.to));
  }
  if (from == nullptr || count == 0) return;
  from += (x.from - x.left) * pixel_step;
  to += x.from;
  if (pixel_step == 1) {
    for (std::int64_t c = 0; c < channels; ++c) {
      __builtin_memcpy(to + c * to_channel, from + c * channel_step,
                       static_cast<std::size_t>(count) * sizeof(float));
    }
  } else if (channels == 3 && pixel_step == 3) {
    float* __restrict r = to, * __restrict g = to + to_channel, * __restrict b = to + 2 * to_channel;
    for (std::int64_t i = 0; i < count; ++i) {
      r[i] = from[3 * i];
      g[i] = from[3 * i + 1];
      b[i] = from[3 * i + 2];
    }
  } else {
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t i = 0; i < count; ++i)
        to[c * to_channel + i] = from[i * pixel_step + c * channel_step];
    }
  }
}

void conv_stem(const KernelCall& call) {
  static const Tiles tiles;
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
  // More than bounds is done to a whole row; the addend may lie where the row does.
  const bool late = !finish.bounds_only, aside = late && finish.residual != nullptr;
  const Vec low = splat(finish.low), high = splat(finish.high);
  const bool has_half = max_half_pixels > 0 && (y.c - 1) % 16 < lanes;

  Columns x{};
  x.left = p.pad_left;
  x.row = (y.w - 1) * p.stride_w + (std::int64_t{p.kernel_w} - 1) * p.dilation_w + 1;
  x.from = smaller(x.left, x.row);
  x.to = smaller(x.row, x.left + w);
  const std::int64_t band = larger(1, smaller(max_band, y.n * y.h / (4 * call.pool->threads())));
  const std::int64_t bands = ceil_div(y.h, band);
  const std::int64_t window = (std::int64_t{p.kernel_h} - 1) * p.dilation_h + 1;
  const std::int64_t rows = (band - 1) * p.stride_h + window;  // of the buffer, of each channel

  Geometry g;
  g.rows = channels * p.kernel_h;
  std::int64_t place[16 * 64];  // as check_operation bounds them
  const std::int64_t channel = rows * x.row;
  for (std::int64_t i = 0; i < g.rows; ++i)
    place[i] = i / p.kernel_h * channel + i % p.kernel_h * p.dilation_h * x.row;
  g.place = place;
  g.kernel_w = p.kernel_w;
  g.tap_column = p.dilation_w;
  g.stride = p.stride_w;
  g.weight_block = channels * p.kernel_h * p.kernel_w * 16;
  g.out_plane = aside ? y.w * 16 : y.plane;
  g.added_plane = r.plane;

  const std::int64_t buffer_floats = (channels * rows * x.row + 15) / 16 * 16;
  const auto chunk = [&](std::int64_t index) {
    const std::int64_t n = index / bands, y0 = index % bands * band, y1 = smaller(y.h, y0 + band);
    auto* buffer = reinterpret_cast<float*>(thread_scratch(
        static_cast<std::size_t>(buffer_floats + (aside ? y.w * 32 : 0)) * sizeof(float)));
    float* made = buffer + buffer_floats;  // rows before their addends
    const float* image = in + n * h * w * channels;
    const std::int64_t top = y0 * p.stride_h - p.pad_top;
    for (std::int64_t i = 0; i < (y1 - 1 - y0) * p.stride_h + window; ++i) {
      const bool inside = top + i >= 0 && top + i < h;
      gather_row(inside ? image + (top + i) * sy : nullptr, channels, sc, sx, x, buffer + i * x.row,
                 channel);
    }
    for (std::int64_t oy = y0; oy < y1; ++oy) {
      const float* rows_read = buffer + (oy - y0) * p.stride_h * x.row;
      for (std::int64_t ob = 0, blocks = 1; ob < y.blocks; ob += blocks) {
        const bool is_half = has_half && ob + 1 == y.blocks;
        const bool both = max_both_pixels > 0 && has_half && ob + 2 == y.blocks;
        blocks = both ? 2 : 1;
        float* ox = o.out + n * y.image + ob * y.plane + oy * y.row;
        const float* rx = finish.residual != nullptr
                              ? finish.residual + n * r.image + ob * r.plane + oy * r.row
                              : nullptr;
        float* to = aside ? made : ox;
        const Tile* table = both ? tiles.both : is_half ? tiles.half : tiles.whole;
        const std::int64_t most = both ? max_both_pixels : is_half ? max_half_pixels : max_pixels;
        std::int64_t rest = y.w, at = 0, count = ceil_div(rest, most);
        while (rest > 0) {
          const std::int64_t pixels = ceil_div(rest, count);
          table[pixels](rows_read + at * g.stride, o.weights + ob * g.weight_block,
                        o.bias + ob * 16, to + at * 16, g,
                        !late && rx != nullptr ? rx + at * 16 : nullptr, low, high);
          at += pixels;
          rest -= pixels;
          --count;
        }
        for (std::int64_t b = 0; late && b < blocks; ++b) {
          float* values = to + b * g.out_plane;
          finish_slowly(finish, values,
                        finish.slopes != nullptr ? finish.slopes + (ob + b) * 16 : nullptr,
                        rx != nullptr ? rx + b * r.plane : nullptr, static_cast<int>(y.w * 16));
          if (aside) {
            __builtin_memcpy(ox + b * y.plane, values,
                             static_cast<std::size_t>(y.w * 16) * sizeof(float));
          }
        }
      }
    }
  };
  call.pool->run(y.n * bands, chunk);
}

}  // namespace rulec::kernels::RULEC_ISA
