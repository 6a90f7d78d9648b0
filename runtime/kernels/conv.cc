// SPDX-License-Identifier: Apache-2.0
// Direct convolution in NCHW16c. A tile of P pixels by B blocks of 16 output channels stays in
// registers while all input channels and taps pass by; the input's halo makes padding invisible.
// The order of additions into an output does not depend on its tile, so neither do results.

#include "runtime/kernels.h"
#include "runtime/kernels/conv_plan.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

namespace {
struct Geometry {
  std::int64_t input_blocks;
  int last_channels;  // of the last input block: the rest is zero
  std::int64_t kernel_h, kernel_w;
  std::int64_t tap_row, tap_column;  // floats between taps
  std::int64_t in_plane;
  std::int64_t pixel;         // floats between input pixels of neighbouring outputs
  std::int64_t weight_block;  // floats between blocks of output channels
  std::int64_t out_plane, residual_plane;
};
// Offsets of the pixels of a tile that is not part of a row.
constexpr int max_scattered = 6;
struct Places {
  std::int64_t in[max_scattered], out[max_scattered], residual[max_scattered];
};
constexpr int scattered = -1;
// In place of a stride: one tap, and outputs whose inputs lie one behind the other.
constexpr int pointwise = -2;
// In place of a number of blocks: the lower vector of a block whose upper ones are all padding.
constexpr int half = 0;
#if defined(__AVX512F__)
constexpr int max_pixels = 14, max_blocks = 2, max_half_pixels = 0;
#elif defined(__AVX2__)
constexpr int max_pixels = 6, max_blocks = 1, max_half_pixels = 12;
#else
constexpr int max_pixels = 3, max_blocks = 1, max_half_pixels = 0;
#endif
}  // namespace

// Floats from the weights in use to those that are fetched meanwhile: the hardware's own looking
// ahead ends at pages.
static constexpr int prefetched = 1024;

// S: the stride where it is 1 or 2, so that offsets of pixels are constants; 0: g.pixel;
// scattered: pixels lie where `places` says.
template <int P, int B, int S>
static void tile(const float* in, const float* w, const float* bias, float* out, const Geometry& g,
                 const Finish& f, const float* residual, const float* slopes,
                 const Places* places) {
  constexpr int V = B == half ? 1 : B * vectors;
  constexpr int blocks = B == half ? 1 : B;
  const auto out_at = [&](int p)
                          RULEC_LAMBDA_INLINE { return S == scattered ? places->out[p] : p * 16; };
  const auto residual_at = [&](int p) RULEC_LAMBDA_INLINE {
    return S == scattered ? places->residual[p] : p * 16;
  };
  const float* from[P];
  if constexpr (S == scattered) {
    for (int p = 0; p < P; ++p)
      from[p] = in + places->in[p];
  }
  Vec acc[P][V];
  for (int p = 0; p < P; ++p) {
    for (int v = 0; v < V; ++v)
      acc[p][v] = load(bias + v * lanes);
  }
  const std::int64_t pixel = S == 0 ? g.pixel : S == pointwise ? 16 : S * 16;
  const std::int64_t kernel_h = S == pointwise ? 1 : g.kernel_h;
  const std::int64_t kernel_w = S == pointwise ? 1 : g.kernel_w;
  for (std::int64_t b = 0; b < g.input_blocks; ++b) {
    const float* plane = in + b * g.in_plane;
    for (std::int64_t ky = 0; ky < kernel_h; ++ky) {
      const float* row = plane + ky * g.tap_row;
      for (std::int64_t kx = 0; kx < kernel_w; ++kx) {
        const float* x = row + kx * g.tap_column;
        const std::int64_t tap = S == scattered ? x - in : 0;
        const int channels = b + 1 == g.input_blocks ? g.last_channels : 16;
        const auto step = [&](int c) RULEC_LAMBDA_INLINE {
          Vec weight[V];
#pragma GCC unroll 8
          for (int v = 0; v < V; ++v) {
            weight[v] = load(w + (v / vectors) * g.weight_block + (v % vectors) * lanes);
          }
#pragma GCC unroll 4
          for (int block = 0; block < blocks; ++block)
            prefetch(w + block * g.weight_block + prefetched);
          w += 16;
#pragma GCC unroll 14
          for (int p = 0; p < P; ++p) {
            const Vec value = splat(S == scattered ? from[p][tap + c] : x[p * pixel + c]);
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v)
              acc[p][v] = fma(value, weight[v], acc[p][v]);
          }
        };
        if (channels == 16) {
#pragma GCC unroll 4
          for (int c = 0; c < 16; ++c)
            step(c);
        } else {
          for (int c = 0; c < channels; ++c)
            step(c);
          w += (16 - channels) * 16;
        }
      }
    }
  }
  if (f.bounds_only) {
    const Vec low = splat(f.low), high = splat(f.high);
    // Read once: a store of vectors may alias anything.
    const float* added = f.add_before ? residual : nullptr;
    const std::int64_t out_plane = g.out_plane, added_plane = g.residual_plane;
#pragma GCC unroll 14
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        const int lane = (v % vectors) * lanes;
        Vec y = acc[p][v];
        if (added != nullptr)
          y = y + load(added + (v / vectors) * added_plane + residual_at(p) + lane);
        store(out + (v / vectors) * out_plane + out_at(p) + lane, minimum(high, maximum(low, y)));
      }
      if constexpr (B == half) store(out + out_at(p) + lanes, splat(0.0f));
    }
    return;
  }
  alignas(64) float values[P * 16];
  for (int b = 0; b < blocks; ++b) {
    for (int p = 0; p < P; ++p) {
      for (int v = 0; v < vectors; ++v) {
        store(values + p * 16 + v * lanes, v < V ? acc[p][b * vectors + v] : splat(0.0f));
      }
    }
    const float* added = residual != nullptr ? residual + b * g.residual_plane : nullptr;
    alignas(64) float gathered[P * 16];
    if (S == scattered && added != nullptr) {
      for (int i = 0; i < P * 16; i += lanes)
        store(gathered + i, load(added + residual_at(i / 16) + i % 16));
      added = gathered;
    }
    finish_slowly(f, values, slopes != nullptr ? slopes + b * 16 : nullptr, added, P * 16);
    float* to = out + b * g.out_plane;
    for (int i = 0; i < P * 16; i += lanes)
      store(to + out_at(i / 16) + i % 16, load(values + i));
  }
}

using Tile = void (*)(const float*, const float*, const float*, float*, const Geometry&,
                      const Finish&, const float*, const float*, const Places*);

template <int B, int S, int P>
static void fill_tiles(Tile* tiles) {
  tiles[P] = tile<P, B, S>;
  if constexpr (P > 1) fill_tiles<B, S, P - 1>(tiles);
}

namespace {
struct Tiles {
  Tile of[max_blocks + 1][4][max_pixels + 1] = {};
  Tile anywhere[max_scattered + 1] = {};  // of one block
  Tile single = tile<1, 4, 0>;            // one pixel of four blocks
  Tile halves[4][max_half_pixels + 1] = {};
  Tiles() {
    fill_tiles<1, scattered, max_scattered>(anywhere);
    fill_halves<max_half_pixels>();
    fill<1>();
    if constexpr (max_blocks > 1) fill<max_blocks>();
  }
  template <int P>
  void fill_halves() {
    if constexpr (P > 0) {
      fill_tiles<half, 0, P>(halves[0]);
      fill_tiles<half, 1, P>(halves[1]);
      fill_tiles<half, 2, P>(halves[2]);
      fill_tiles<half, pointwise, P>(halves[3]);
    }
  }
  template <int B>
  void fill() {
    fill_tiles<B, 0, max_pixels>(of[B][0]);
    fill_tiles<B, 1, max_pixels>(of[B][1]);
    fill_tiles<B, 2, max_pixels>(of[B][2]);
    fill_tiles<B, pointwise, max_pixels>(of[B][3]);
  }
};
}  // namespace

void direct_part(const ConvPlan& c, const ConvPart& part) {
  static const Tiles tiles;
  const ConvParameters& p = c.p;
  const BlockedExtent &x = c.x, &y = c.y, &r = c.r;
  const Finish& finish = c.finish;
  // What needs more than bounds is done to many pixels at once, unless the addend may lie where
  // the result does.
  const bool late = !finish.bounds_only && finish.residual == nullptr;
  Finish tile_finish = finish;
  if (late) tile_finish.bounds_only = true;

  Geometry g;
  g.input_blocks = x.blocks;
  g.last_channels = static_cast<int>(x.c - (x.blocks - 1) * 16);
  g.kernel_h = p.kernel_h;
  g.kernel_w = p.kernel_w;
  g.tap_row = p.dilation_h * x.row;
  g.tap_column = p.dilation_w * 16;
  g.in_plane = x.plane;
  g.pixel = std::int64_t{p.stride_w} * 16;
  g.weight_block = x.blocks * p.kernel_h * p.kernel_w * 256;
  g.out_plane = y.plane;
  g.residual_plane = r.plane;
  const std::int64_t in_row = p.stride_h * x.row;
  const Tile(*by_blocks)[4][max_pixels + 1] = tiles.of;
  const bool point = p.kernel_h == 1 && p.kernel_w == 1 && p.stride_w == 1;
  const int stride = point ? 3 : p.stride_w <= 2 ? static_cast<int>(p.stride_w) : 0;
  // Short rows leave tiles half empty: theirs take pixels of several rows.
  const bool short_rows =
      y.h > 1 && max_pixels <= max_scattered && (y.w < max_pixels - 1 || y.w == max_pixels + 1);
  const float* image = c.in + part.n * x.image;
  float* result = c.out + part.n * y.image;
  std::int64_t ob = part.first_block;
  if (y.h == 1 && y.w == 1 && finish.residual == nullptr) {
    for (; ob + 4 <= part.last_block; ob += 4) {
      tiles.single(image, c.weights + ob * g.weight_block, c.bias + ob * 16, result + ob * y.plane,
                   g, finish, nullptr, finish.slopes != nullptr ? finish.slopes + ob * 16 : nullptr,
                   nullptr);
    }
  }
  // The last block may be half empty.
  const bool has_half =
      max_half_pixels > 0 && part.last_block == y.blocks && (y.c - 1) % 16 < lanes;
  const std::int64_t last_whole = has_half ? part.last_block - 1 : part.last_block;
  for (; short_rows && ob < last_whole; ++ob) {
    const std::int64_t pixels = (part.row1 - part.row0) * y.w;
    Places at;
    for (std::int64_t left = pixels, count = ceil_div(left, max_scattered); left > 0; --count) {
      const std::int64_t tile_pixels = ceil_div(left, count);
      for (std::int64_t i = 0; i < tile_pixels; ++i) {
        const std::int64_t row = part.row0 + (pixels - left + i) / y.w;
        const std::int64_t column = (pixels - left + i) % y.w;
        at.in[i] = row * in_row + column * g.pixel;
        at.out[i] = row * y.row + column * 16;
        at.residual[i] = row * r.row + column * 16;
      }
      tiles.anywhere[tile_pixels](
          image, c.weights + ob * g.weight_block, c.bias + ob * 16, result + ob * y.plane, g,
          finish,
          finish.residual != nullptr ? finish.residual + part.n * r.image + ob * r.plane : nullptr,
          finish.slopes != nullptr ? finish.slopes + ob * 16 : nullptr, &at);
      left -= tile_pixels;
    }
  }
  for (; ob < part.last_block; ob += max_blocks) {
    const auto blocks = smaller(max_blocks, part.last_block - ob);
    const bool is_half = ob >= last_whole;
    const Tile* table = is_half ? tiles.halves[stride] : by_blocks[blocks][stride];
    const std::int64_t longest = is_half ? max_half_pixels : max_pixels;
    const float* w = c.weights + ob * g.weight_block;
    const float* slopes = finish.slopes != nullptr ? finish.slopes + ob * 16 : nullptr;
    for (std::int64_t row = part.row0; row < part.row1; ++row) {
      const float* ix = image + row * in_row;
      float* ox = result + ob * y.plane + row * y.row;
      const float* rx = finish.residual != nullptr
                            ? finish.residual + part.n * r.image + ob * r.plane + row * r.row
                            : nullptr;
      // As equal tiles as possible: two of 5 are better than one of 6 and one of 4.
      std::int64_t left = part.to - part.from, at = part.from, unfinished = part.from;
      std::int64_t count = ceil_div(left, longest);
      while (left > 0) {
        const std::int64_t pixels = ceil_div(left, count);
        table[pixels](ix + at * g.pixel, w, c.bias + ob * 16, ox + at * 16, g, tile_finish,
                      rx != nullptr ? rx + at * 16 : nullptr, slopes, nullptr);
        at += pixels;
        left -= pixels;
        --count;
        if (late && (left == 0 || at - unfinished >= 96)) {
          for (std::int64_t b = 0; b < blocks; ++b) {
            finish_slowly(finish, ox + b * y.plane + unfinished * 16,
                          slopes != nullptr ? slopes + b * 16 : nullptr, nullptr,
                          static_cast<int>(at - unfinished) * 16);
          }
          unfinished = at;
        }
      }
    }
  }
}

static void conv_of(const ConvPlan& operands, ThreadPool& pool) {
  const bool flat = is_one_row(operands);
  const ConvPlan c = flat ? as_one_row(operands, operands.y.h) : operands;
  const ConvParameters& p = c.p;
  const BlockedExtent &x = c.x, &y = c.y;
  const std::int64_t rows = y.h, columns = y.w;
  const std::int64_t weight_block = x.blocks * p.kernel_h * p.kernel_w * 256;

  // A flattened row is cut into pieces as if they were rows.
  const std::int64_t threads = pool.threads();
  const std::int64_t macs_per_pixel = x.blocks * 16 * p.kernel_h * p.kernel_w * 16;
  const std::int64_t weight_bytes = y.blocks * weight_block * 4;
  // What a row of outputs reads that no other row reads, strides left out.
  const std::int64_t row_bytes =
      x.blocks * smaller(p.kernel_h, p.stride_h) * smaller(p.kernel_w, p.stride_w) * columns * 64;
  // Threads part the channels where the weights are the larger part of what is read, so that
  // each weight is read once.
  const bool by_channels = weight_bytes > (256 << 10) && weight_bytes > rows * row_bytes &&
                           y.blocks >= 2 * threads * max_blocks;
  const std::int64_t parts = threads == 1 || by_channels ? 1 : 2 * threads;
  std::int64_t piece = columns;
  if (rows == 1) {
    // The input of a piece stays in the second-level cache while all its outputs are made.
    const std::int64_t cached = larger(max_pixels, (std::int64_t{224} << 10) / (x.blocks * 64));
    piece = ceil_div(columns, ceil_div(columns, smaller(cached, columns)));
    piece = larger(max_pixels, smaller(piece, ceil_div(columns, parts)));
    if (piece < columns) piece = ceil_div(piece, max_pixels) * max_pixels;
  }
  const std::int64_t pieces = ceil_div(columns, piece);
  std::int64_t band = 1;  // rows of one chunk
  if (rows > 1) {
    band = larger(1, smaller(rows, (std::int64_t{224} << 10) / larger(1, row_bytes)));
    band = smaller(band, ceil_div(rows, parts));
    band = ceil_div(rows, ceil_div(rows, band));
  }
  const std::int64_t bands = ceil_div(rows, band);
  // Blocks of output channels of one chunk: enough work for a hand-over, enough chunks for all.
  const std::int64_t chunk_work = macs_per_pixel * band * piece;
  std::int64_t group = larger(1, smaller(y.blocks, 1 + 2000000 / larger(1, chunk_work)));
  if (threads > 1 && bands * pieces * y.n < 2 * threads) {
    group = smaller(group, larger(1, ceil_div(y.blocks, 2 * threads)));
  }
  group = ceil_div(group, max_blocks) * max_blocks;
  const std::int64_t groups = ceil_div(y.blocks, group);
  const std::int64_t places = y.n * bands * pieces;

  const auto chunk = [&](std::int64_t index) {
    const std::int64_t block = (index % groups) * group;
    std::int64_t place = index / groups;
    const std::int64_t from = (place % pieces) * piece;
    place /= pieces;
    const std::int64_t row = (place % bands) * band;
    direct_part(c, {place / bands, row, smaller(rows, row + band), from,
                    smaller(columns, from + piece), block, smaller(y.blocks, block + group)});
  };
  const std::int64_t work = macs_per_pixel * rows * columns * y.blocks * y.n;
  // Many weights for few pixels are worth a second thread for reading them alone.
  if (work < 400000 && weight_bytes < (std::int64_t{96} << 10)) {
    for (std::int64_t i = 0; i < places * groups; ++i)
      chunk(i);
  } else {
    pool.run(places * groups, chunk);
  }
}

// Weights times the scales of the input channels that they meet, for one image: fewer products
// than there are inputs.
static void scale_weights(const ConvPlan& c, const float* scales, float* to, ThreadPool& pool) {
  const std::int64_t taps = std::int64_t{c.p.kernel_h} * c.p.kernel_w;
  const std::int64_t block = c.x.blocks * taps * 256;
  const auto chunk = [&](std::int64_t ob) {
    const float* from = c.weights + ob * block;
    float* out = to + ob * block;
    for (std::int64_t b = 0; b < c.x.blocks; ++b) {
      const std::int64_t channels = smaller(16, c.x.c - b * 16);
      for (std::int64_t tap = 0; tap < taps; ++tap, from += 256, out += 256) {
        for (std::int64_t k = 0; k < 16; ++k) {
          const Vec scale = splat(k < channels ? scales[b * c.scales_block + k] : 0.0f);
          for (int v = 0; v < 16; v += lanes)
            store(out + k * 16 + v, load(from + k * 16 + v) * scale);
        }
      }
    }
  };
  if (c.y.blocks * block < 32768) {
    for (std::int64_t ob = 0; ob < c.y.blocks; ++ob)
      chunk(ob);
  } else {
    pool.run(c.y.blocks, chunk);
  }
}

// A pointwise convolution with strides, of the pixels that it reads alone, copied to lie one behind
// the other: each is read for every block of outputs.
static ConvPlan without_strides(ConvPlan c, ThreadPool& pool) {
  const std::int64_t row = c.y.w * 16, plane = c.y.h * row;
  const std::int64_t planes = c.y.n * c.x.blocks;
  auto* pixels = reinterpret_cast<float*>(
      shared_scratch(static_cast<std::size_t>(planes * plane) * sizeof(float)));
  const auto copy = [&](std::int64_t index) {
    const float* from = c.in + index / c.x.blocks * c.x.image + index % c.x.blocks * c.x.plane;
    float* to = pixels + index * plane;
    for (std::int64_t i = 0; i < c.y.h; ++i, from += c.p.stride_h * c.x.row, to += row) {
      for (std::int64_t j = 0; j < c.y.w; ++j) {
        for (int v = 0; v < 16; v += lanes)
          store(to + j * 16 + v, load(from + j * c.p.stride_w * 16 + v));
      }
    }
  };
  if (planes * plane < 32768) {
    for (std::int64_t i = 0; i < planes; ++i)
      copy(i);
  } else {
    pool.run(planes, copy);
  }
  c.in = pixels;
  c.x.h = c.y.h;
  c.x.w = c.y.w;
  c.x.row = row;
  c.x.plane = plane;
  c.x.image = c.x.blocks * plane;
  c.p.stride_h = c.p.stride_w = 1;
  return c;
}

void conv(const KernelCall& call) {
  const ConvPlan operands = conv_plan(call);
  if (operands.scales == nullptr) {
    if (takes_few_outputs(operands)) return few_outputs(operands, *call.pool);
    const ConvParameters& p = operands.p;
    const bool strides = p.kernel_h == 1 && p.kernel_w == 1 && p.pad_top == 0 && p.pad_left == 0 &&
                         p.stride_h * p.stride_w > 1 && operands.y.blocks > 2;
    return conv_of(strides ? without_strides(operands, *call.pool) : operands, *call.pool);
  }
  const std::int64_t weights =
      operands.y.blocks * operands.x.blocks * operands.p.kernel_h * operands.p.kernel_w * 256;
  auto* scaled =
      reinterpret_cast<float*>(shared_scratch(static_cast<std::size_t>(weights) * sizeof(float)));
  ConvPlan image = operands;
  image.x.n = image.y.n = image.r.n = 1;
  image.weights = scaled;
  for (std::int64_t n = 0; n < operands.y.n; ++n) {
    scale_weights(operands, operands.scales + n * operands.scales_image, scaled, *call.pool);
    conv_of(image, *call.pool);
    image.in += image.x.image;
    image.out += image.y.image;
    if (image.finish.residual != nullptr) image.finish.residual += image.r.image;
  }
}

}  // namespace rulec::kernels::RULEC_ISA
