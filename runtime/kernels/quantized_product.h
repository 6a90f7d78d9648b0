// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the convolutions of 8-bit numbers, dense and depthwise, have in common: their operands, the
// division of their loops, and the way from a tile of sums to stored numbers. Not the sums.
//
//   const Work k = work_of(call);
//   run_pixels(k, block_of(k, channel), at, count, weights, channel, out, sums_of, slow);

#include <utility>

#include "runtime/kernels.h"
#include "runtime/kernels/quantized.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

inline constexpr int most_pixels = int_lanes == 16 ? 12 : int_lanes == 8 ? 6 : 2;
using Sums = std::int32_t[most_pixels][16];

// The sums of a tile in registers: each begins as the bias of its channel.
template <int pixels>
RULEC_INLINE void start_sums(const std::int32_t* bias, Ints (&total)[pixels][int_vectors]) {
#pragma GCC unroll 12
  for (int i = 0; i < pixels; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < int_vectors; ++v)
      total[i][v] = load_ints(bias + v * int_lanes);
  }
}
template <int pixels>
RULEC_INLINE void store_sums(const Ints (&total)[pixels][int_vectors], Sums& sums) {
#pragma GCC unroll 12
  for (int i = 0; i < pixels; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < int_vectors; ++v)
      store_ints(sums[i] + v * int_lanes, total[i][v]);
  }
}

struct Work {
  QuantizedConvParameters p;
  std::int64_t n, h, w, c;  // of the input
  std::int64_t oh, ow, oc;  // of the output
  std::int64_t padded;      // oc in blocks
  bool input_signed;
  const std::byte* in;
  std::uint8_t* out;
  const std::int16_t* weights;
  const std::int32_t* bias;
  const double* coefficients;

  const double* row(QuantizedCoefficient which) const {
    return coefficients + static_cast<std::int64_t>(which) * padded;
  }
};

// Where the widened input of a chunk lies: distances in elements.
struct Place {
  const std::int16_t* first;         // the first tap of the first pixel
  std::int64_t pixel;                // to the next pixel of the output's row
  std::int64_t tap_row, tap_column;  // to the next tap below, to the right
  std::int64_t row, width;           // to the next row of the output, which has so many pixels
};
// The first taps of the pixels of a tile.
using Pixels = const std::int16_t* [most_pixels];

RULEC_INLINE Work work_of(const KernelCall& call) {
  Work k;
  __builtin_memcpy(&k.p, call.parameters, sizeof k.p);
  const TensorRef &x = call.inputs[0], &y = call.outputs[0];
  k.n = x.dims[0], k.h = x.dims[1], k.w = x.dims[2], k.c = x.dims[3];
  k.oh = y.dims[1], k.ow = y.dims[2], k.oc = y.dims[3];
  k.padded = ceil_div(k.oc, 16) * 16;
  k.input_signed = x.dtype == DType::I8;
  k.in = x.data;
  k.out = reinterpret_cast<std::uint8_t*>(y.data);
  k.weights = reinterpret_cast<const std::int16_t*>(call.inputs[1].data);
  k.bias = reinterpret_cast<const std::int32_t*>(call.inputs[2].data);
  k.coefficients = reinterpret_cast<const double*>(call.inputs[3].data);
  return k;
}

// `count` stored numbers from element `at` of the input.
RULEC_INLINE void widen_input(const Work& k, std::int64_t at, std::int64_t count,
                              std::int16_t* to) {
  if (k.input_signed) {
    widen(reinterpret_cast<const std::int8_t*>(k.in) + at, count, k.p.x.zero, to);
  } else {
    widen(reinterpret_cast<const std::uint8_t*>(k.in) + at, count, k.p.x.zero, to);
  }
}

// DequantizeLinear, Conv and QuantizeLinear one after the other, each rounded as ONNX defines it,
// for one element whose sum over the taps is given in doubles.
RULEC_INLINE std::uint8_t by_definition(const Work& k, std::int64_t channel, double sum) {
  const auto value = static_cast<float>(sum + k.row(QuantizedCoefficient::Bias)[channel]);
  return static_cast<std::uint8_t>(stored(value / k.p.y.scale, k.p.y.zero, k.p.low, k.p.high));
}

RULEC_INLINE double product(std::int16_t x, float x_scale, std::int16_t w, float w_scale) {
  const float a = static_cast<float>(x) * x_scale, b = static_cast<float>(w) * w_scale;
  return static_cast<double>(a) * static_cast<double>(b);
}

// Coefficients of 16 channels in f32, and how far a result may be from an integer for f32 to say
// for sure which one it is. |result| <= 512; three products or sums in f32, each off by half a unit
// in the last place of what it is made of, and the three constants.
struct Block {
  alignas(64) float multiplier[16], offset[16], limit[16];
  float least, most;  // beyond these the result is one end of its range
  std::int32_t zero, low, high;
};
RULEC_INLINE Block block_of(const Work& k, std::int64_t channel) {
  Block b;
  b.zero = k.p.y.zero, b.low = k.p.low, b.high = k.p.high;
  b.least = static_cast<float>(b.low - b.zero - 1);
  b.most = static_cast<float>(b.high - b.zero + 1);
  for (int i = 0; i < 16; ++i) {
    const double offset = k.row(QuantizedCoefficient::Offset)[channel + i];
    const double limit = k.row(QuantizedCoefficient::Limit)[channel + i];
    b.multiplier[i] = static_cast<float>(k.row(QuantizedCoefficient::Multiplier)[channel + i]);
    b.offset[i] = static_cast<float>(offset);
    b.limit[i] = static_cast<float>((limit < 0.5 ? limit : 0.5) -
                                    (512.0 + (offset < 0 ? -offset : offset)) * 0x1p-22);
  }
  return b;
}

// Whether any element of a is above its like in b.
RULEC_INLINE bool any_above(const Vec (&a)[vectors], const Vec (&b)[vectors]) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(a[0], b[0], _CMP_GT_OQ) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps(_mm256_or_ps(_mm256_cmp_ps(a[0], b[0], _CMP_GT_OQ),
                                         _mm256_cmp_ps(a[1], b[1], _CMP_GT_OQ))) != 0;
#else
  Vec found = splat(0);
  for (int v = 0; v < vectors; ++v)
    found = maximum(found, where_less(b[v], a[v], splat(1), splat(0)));
  float each[lanes];
  store(each, found);
  float any = 0;
  for (const float e : each)
    any += e;
  return any > 0;
#endif
}

// Sixteen sums to stored numbers, in f32. False: f32 does not say one of them for sure.
RULEC_INLINE bool requantize(const Block& block, const std::int32_t* sums, std::uint8_t* to) {
  Vec off[vectors], limit[vectors];
  Ints q[int_vectors];
  for (int v = 0; v < vectors; ++v) {
    Vec x = fma(to_float(load_ints(sums + v * lanes)), load(block.multiplier + v * lanes),
                load(block.offset + v * lanes));
    x = minimum(maximum(x, splat(block.least)), splat(block.most));
    q[v] = to_int(x);  // the nearest, of two the even one
    off[v] = absolute(x - to_float(q[v]));
    limit[v] = load(block.limit + v * lanes);
  }
  if (any_above(off, limit)) return false;
  store_bytes(q, block.zero, block.low, block.high, to);
  return true;
}

// GCC's vectors are lowered to what the instruction set has.
inline constexpr int wide = int_lanes == 16 ? 8 : 4;
typedef double Doubles __attribute__((vector_size(wide * 8)));
typedef std::int64_t Truths __attribute__((vector_size(wide * 8)));
typedef std::int32_t Narrow __attribute__((vector_size(wide * 4)));

// Sixteen sums to stored numbers, in doubles. True: the definition may round one of them to its
// neighbour.
inline bool requantize_in_doubles(const Work& k, std::int64_t channel, const std::int32_t* sums,
                                  std::uint8_t* to, bool* in_doubt) {
  const double* multiplier = k.row(QuantizedCoefficient::Multiplier) + channel;
  const double* offset = k.row(QuantizedCoefficient::Offset) + channel;
  const double* limit = k.row(QuantizedCoefficient::Limit) + channel;
  // Beyond these the result is one end of its range.
  const Doubles least = Doubles{} + static_cast<double>(k.p.low - k.p.y.zero - 1);
  const Doubles most = Doubles{} + static_cast<double>(k.p.high - k.p.y.zero + 1);
  const Narrow zero = Narrow{} + k.p.y.zero, low = Narrow{} + k.p.low, high = Narrow{} + k.p.high;
  Truths doubts[16 / wide], any{};
  alignas(64) std::int32_t stored_numbers[16];
  for (int i = 0; i < 16; i += wide) {
    Narrow sum;
    Doubles m, o, l;
    __builtin_memcpy(&sum, sums + i, sizeof sum);
    __builtin_memcpy(&m, multiplier + i, sizeof m);
    __builtin_memcpy(&o, offset + i, sizeof o);
    __builtin_memcpy(&l, limit + i, sizeof l);
    Doubles v = __builtin_convertvector(sum, Doubles) * m + o;
    v = v < least ? least : v;
    v = v > most ? most : v;
    const Doubles r = v + 0x1.8p52 - 0x1.8p52;  // the nearest integer, of two the even one
    const Doubles off = v - r, size = off < 0.0 ? -off : off;
    doubts[i / wide] = size > l;
    any |= doubts[i / wide];
    Narrow q = __builtin_convertvector(r, Narrow) + zero;
    q = q < low ? low : q;
    q = q > high ? high : q;
    __builtin_memcpy(stored_numbers + i, &q, sizeof q);
  }
  for (int i = 0; i < 16; ++i)
    to[i] = static_cast<std::uint8_t>(stored_numbers[i]);
  std::int64_t found = 0;
  for (int i = 0; i < wide; ++i)
    found |= any[i];
  if (found == 0) return false;
  for (int i = 0; i < 16; ++i)
    in_doubt[i] = doubts[i / wide][i % wide] != 0;
  return true;
}

// Where f32 does not say: doubles, and where those do not either, the definition. `slow` gives a
// sum by it.
template <typename F>
__attribute__((noinline)) void settle(const Work& k, std::int64_t channel, std::int64_t channels,
                                      const std::int32_t* sums, std::uint8_t* row, const F& slow) {
  bool in_doubt[16];
  if (!requantize_in_doubles(k, channel, sums, row, in_doubt)) return;
  for (std::int64_t o = 0; o < channels; ++o) {
    if (in_doubt[o]) row[o] = by_definition(k, channel + o, slow(o));
  }
}

// `pixels` neighbours of a row, 16 channels: sums, then stored numbers.
template <typename F>
RULEC_INLINE void finish(const Work& k, const Block& of, std::int64_t channel, int pixels,
                         const Sums& sums, std::uint8_t* out, F slow) {
  const Block block = of;  // one that no store through `out` can change
  const std::int64_t oc = k.oc;
  const std::int64_t channels = smaller(16, k.oc - channel);
  for (int i = 0; i < pixels; ++i) {
    std::uint8_t part[16];
    std::uint8_t* row = channels == 16 ? out + i * oc : part;
    if (!requantize(block, sums[i], row)) {
      settle(k, channel, channels, sums[i], row, [&](std::int64_t o) { return slow(i, o); });
    }
    if (channels != 16) {
      for (std::int64_t o = 0; o < channels; ++o)
        out[i * oc + o] = part[o];
    }
  }
}

using SumsOf = void (*)(const Work&, const Place&, const Pixels&, std::int64_t pairs,
                        const std::int16_t*, const std::int32_t*, Sums&);
struct EachSums {
  SumsOf of[most_pixels];  // the first of one pixel
};

// Channels channel … channel+15 of `count` pixels of the output, which may be of several rows.
template <typename F>
RULEC_INLINE void run_pixels(const Work& k, const Block& block, const Place& at, std::int64_t pairs,
                             std::int64_t count, const std::int16_t* w, std::int64_t channel,
                             std::uint8_t* out, const EachSums& sums_of, F slow) {
  const std::int64_t tiles = ceil_div(count, most_pixels), least = count / tiles;
  const std::int64_t larger_ones = count % tiles;
  alignas(64) Sums sums;
  Pixels x;
  const std::int16_t* row = at.first;
  std::int64_t column = 0;
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    const auto pixels = static_cast<int>(least + (tile < larger_ones ? 1 : 0));
    for (int i = 0; i < pixels; ++i) {
      x[i] = row + column * at.pixel;
      if (++column == at.width) {
        column = 0;
        row += at.row;
      }
    }
    sums_of.of[pixels - 1](k, at, x, pairs, w, k.bias + channel, sums);
    finish(k, block, channel, pixels, sums, out,
           [&](int i, std::int64_t o) { return slow(x[i], o); });
    out += pixels * k.oc;
  }
}

// { f<1>, f<2> … }, of a template `f` of the number of pixels.
#define RULEC_SUMS_OF_EACH(f)                      \
  []<int... n>(std::integer_sequence<int, n...>) { \
    return EachSums{{f<n + 1>...}};                \
  }                                                \
  (std::make_integer_sequence<int, most_pixels>())

// How the chunks of a loop divide rows (or pixels) and blocks of channels among them.
struct Division {
  std::int64_t part, parts;    // rows in one, and how many
  std::int64_t group, groups;  // blocks of channels in one, and how many
};
RULEC_INLINE Division divide(std::int64_t rows, std::int64_t row_bytes, std::int64_t blocks,
                             std::int64_t images) {
  constexpr std::int64_t bytes = 128 << 10;
  Division d;
  d.part = smaller(rows, bytes / row_bytes < 1 ? 1 : bytes / row_bytes);
  d.parts = ceil_div(rows, d.part);
  d.part = ceil_div(rows, d.parts);
  const std::int64_t wanted = ceil_div(8, d.parts * images);
  d.group = ceil_div(blocks, smaller(blocks, wanted));
  d.groups = ceil_div(blocks, d.group);
  return d;
}

template <typename F>
RULEC_INLINE void run_chunks(const KernelCall& call, std::int64_t chunks, double products,
                             const F& f) {
  if (products < 100000) {
    for (std::int64_t i = 0; i < chunks; ++i)
      f(i);
  } else {
    call.pool->run(chunks, f);
  }
}

RULEC_INLINE double products_of(const Work& k, std::int64_t channels) {
  return static_cast<double>(k.n * k.oh * k.ow * k.oc) *
         static_cast<double>(channels * k.p.kernel_h * k.p.kernel_w);
}

// The rows of the input that a chunk reads, widened, from the first tap of its first pixel on.
struct Patch {
  std::int64_t top, left;  // of the input; may be outside
  std::int64_t rows, width;
};
RULEC_INLINE Patch patch_of(const Work& k, std::int64_t row, std::int64_t count) {
  return {row * k.p.stride_h - k.p.pad_top, -std::int64_t{k.p.pad_left},
          (count - 1) * k.p.stride_h + (k.p.kernel_h - 1) * std::int64_t{k.p.dilation_h} + 1,
          (k.ow - 1) * k.p.stride_w + (k.p.kernel_w - 1) * std::int64_t{k.p.dilation_w} + 1};
}

}  // namespace rulec::kernels::RULEC_ISA
