// SPDX-License-Identifier: Apache-2.0
#pragma once

// From the sums of a product of 8-bit numbers to the numbers that are stored: in f32 where that
// says for sure what the result is, in doubles where it does not, and by the definition, step by
// step, where its own roundings may matter. Not the sums.
//
//   finish(k, block_of(k, channel), channel, pixels, sums, out, slow);

#include "runtime/kernels.h"
#include "runtime/kernels/quantized.h"

namespace rulec::kernels::RULEC_ISA {

inline constexpr int most_pixels = int_lanes == 16 ? 12 : int_lanes == 8 ? 6 : 2;
inline constexpr int most_sums = most_pixels > 4 ? most_pixels : 4;  // a tile of Winograd's has 4
using Sums = std::int32_t[most_sums][16];

struct Work {
  QuantizedConvParameters p;
  std::int64_t n, h, w, c;  // of the input
  std::int64_t oh, ow, oc;  // of the output
  std::int64_t padded;      // oc in blocks
  bool input_signed, output_signed;
  const std::byte* in;
  std::uint8_t* out;
  const std::byte* weights;
  const std::int32_t* bias;
  const double* coefficients;

  const double* row(QuantizedCoefficient which) const {
    return coefficients + static_cast<std::int64_t>(which) * padded;
  }
};

RULEC_INLINE Work work_of(const KernelCall& call) {
  Work k;
  __builtin_memcpy(&k.p, call.parameters, sizeof k.p);
  const TensorRef &x = call.inputs[0], &y = call.outputs[0];
  k.n = x.dims[0], k.h = x.dims[1], k.w = x.dims[2], k.c = x.dims[3];
  k.oh = y.dims[1], k.ow = y.dims[2], k.oc = y.dims[3];
  k.padded = ceil_div(k.oc, 16) * 16;
  k.input_signed = x.dtype == DType::I8;
  k.output_signed = y.dtype == DType::I8;
  k.in = x.data;
  k.out = reinterpret_cast<std::uint8_t*>(y.data);
  k.weights = call.inputs[1].data;
  k.bias = reinterpret_cast<const std::int32_t*>(call.inputs[2].data);
  k.coefficients = reinterpret_cast<const double*>(call.inputs[3].data);
  return k;
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

// A sum of such products, and how far from it the sum in the definition's order may be.
struct DefinedSum {
  double sum, error;
};

// The sum in whatever order, four products at once. Products of two f32 are exact in doubles.
typedef std::int32_t FourInts __attribute__((vector_size(16)));
typedef float FourFloats __attribute__((vector_size(16)));
typedef double FourDoubles __attribute__((vector_size(32)));
struct Products {
  FourDoubles sum = {}, size = {};
  std::int64_t count = 0;

  // Stored numbers less their zero points.
  RULEC_INLINE void add(FourInts x, float x_scale, FourInts w, float w_scale) {
    const FourFloats a = __builtin_convertvector(x, FourFloats) * x_scale;
    const FourFloats b = __builtin_convertvector(w, FourFloats) * w_scale;
    const FourDoubles p =
        __builtin_convertvector(a, FourDoubles) * __builtin_convertvector(b, FourDoubles);
    sum += p;
    size += p < 0.0 ? -p : p;
    count += 4;
  }
  RULEC_INLINE DefinedSum total() const {
    return {(sum[0] + sum[1]) + (sum[2] + sum[3]),
            0x1p-50 * static_cast<double>(count) * ((size[0] + size[1]) + (size[2] + size[3]))};
  }
};

// Coefficients of 16 channels in f32 for results as unsigned bytes (`flip` makes them signed), and
// how far one may be from an integer for f32 to say for sure which one it is: a result of up to 256
// is made of three numbers that f32 rounds, by a product and a sum that it rounds.
struct Block {
  alignas(64) float multiplier[16], offset[16], limit[16];
  std::uint8_t low, high, flip;
};
RULEC_INLINE Block block_of(const Work& k, std::int64_t channel) {
  Block b;
  const std::int32_t half = k.output_signed ? 128 : 0;
  b.low = static_cast<std::uint8_t>(k.p.low + half);
  b.high = static_cast<std::uint8_t>(k.p.high + half);
  b.flip = static_cast<std::uint8_t>(half);
  for (int i = 0; i < 16; ++i) {
    const double offset = k.row(QuantizedCoefficient::Offset)[channel + i] + (k.p.y.zero + half);
    const double limit = k.row(QuantizedCoefficient::Limit)[channel + i];
    b.multiplier[i] = static_cast<float>(k.row(QuantizedCoefficient::Multiplier)[channel + i]);
    b.offset[i] = static_cast<float>(offset);
    b.limit[i] = static_cast<float>((limit < 0.5 ? limit : 0.5) -
                                    1.01 * (256.0 + (offset < 0 ? -offset : offset)) * 0x1p-22);
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

// 16 numbers each as bytes between low and high, flipped.
RULEC_INLINE void store_two(const Ints (&a)[int_vectors], const Ints (&b)[int_vectors],
                            const Block& ends, std::uint8_t* to_a, std::uint8_t* to_b) {
#if defined(__AVX512BW__)
  const __m128i low = _mm_set1_epi8(static_cast<char>(ends.low)),
                high = _mm_set1_epi8(static_cast<char>(ends.high)),
                flip = _mm_set1_epi8(static_cast<char>(ends.flip));
  const auto bytes = [&](Ints q) RULEC_LAMBDA_INLINE {
    const __m128i s = _mm512_cvtusepi32_epi8(_mm512_max_epi32(q, _mm512_setzero_si512()));
    return _mm_xor_si128(_mm_min_epu8(_mm_max_epu8(s, low), high), flip);
  };
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to_a), bytes(a[0]));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to_b), bytes(b[0]));
#elif defined(__AVX2__)
  __m256i s = _mm256_packus_epi16(_mm256_packs_epi32(a[0], a[1]), _mm256_packs_epi32(b[0], b[1]));
  s = _mm256_max_epu8(s, _mm256_set1_epi8(static_cast<char>(ends.low)));
  s = _mm256_min_epu8(s, _mm256_set1_epi8(static_cast<char>(ends.high)));
  s = _mm256_xor_si256(s, _mm256_set1_epi8(static_cast<char>(ends.flip)));
  s = _mm256_permutevar8x32_epi32(s, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to_a), _mm256_castsi256_si128(s));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to_b), _mm256_extracti128_si256(s, 1));
#else
  std::int32_t each[2][16];
  for (int v = 0; v < int_vectors; ++v) {
    store_ints(each[0] + v * int_lanes, a[v]);
    store_ints(each[1] + v * int_lanes, b[v]);
  }
  for (int i = 0; i < 32; ++i) {
    const std::int32_t q = each[i / 16][i % 16];
    const std::int32_t bounded = q < ends.low ? ends.low : q > ends.high ? ends.high : q;
    (i < 16 ? to_a : to_b)[i % 16] = static_cast<std::uint8_t>(bounded ^ ends.flip);
  }
#endif
}

// The sums of 16 channels of each pixel to stored numbers, in f32. False: f32 does not say one of
// them for sure.
RULEC_INLINE bool requantize(const Block& block, const std::int32_t (*sums)[16], int pixels,
                             std::uint8_t* to, std::int64_t stride) {
  Vec multiplier[vectors], offset[vectors], limit[vectors], off[vectors];
  for (int v = 0; v < vectors; ++v) {
    multiplier[v] = load(block.multiplier + v * lanes);
    offset[v] = load(block.offset + v * lanes);
    limit[v] = load(block.limit + v * lanes);
    off[v] = splat(0);
  }
  const auto rounded = [&](int i, Ints(&q)[int_vectors]) RULEC_LAMBDA_INLINE {
    for (int v = 0; v < vectors; ++v) {
      const Vec x = fma(to_float(load_ints(sums[i] + v * lanes)), multiplier[v], offset[v]);
      q[v] = to_int(x);  // the nearest, of two the even one
      off[v] = maximum(off[v], absolute(x - to_float(q[v])));
    }
  };
  for (int i = 0; i < pixels; i += 2) {
    const int j = i + 1 < pixels ? i + 1 : i;
    Ints a[int_vectors], b[int_vectors];
    rounded(i, a);
    rounded(j, b);
    store_two(a, b, block, to + i * stride, to + j * stride);
  }
  return !any_above(off, limit);
}

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

// Where f32 does not say: doubles, and where those do not either, the definition: slow(channel,
// false) gives a DefinedSum, slow(channel, true) one in the definition's order.
template <typename F>
__attribute__((noinline)) void settle(const Work& k, std::int64_t channel, std::int64_t channels,
                                      const std::int32_t* sums, std::uint8_t* row, const F& slow) {
  bool in_doubt[16];
  if (!requantize_in_doubles(k, channel, sums, row, in_doubt)) return;
  for (std::int64_t o = 0; o < channels; ++o) {
    if (!in_doubt[o]) continue;
    // Each step of the definition is monotonic.
    const DefinedSum near = slow(o, false);
    row[o] = by_definition(k, channel + o, near.sum - near.error);
    if (row[o] != by_definition(k, channel + o, near.sum + near.error))
      row[o] = by_definition(k, channel + o, slow(o, true).sum);
  }
}

// 16 channels of `pixels` neighbours of a row: sums to stored numbers.
template <typename F>
RULEC_INLINE void finish(const Work& k, const Block& block, std::int64_t channel, int pixels,
                         const Sums& sums, std::uint8_t* out, F slow) {
  const std::int64_t oc = k.oc, channels = smaller(16, oc - channel);
  std::uint8_t part[most_sums * 16];
  std::uint8_t* const to = channels == 16 ? out : part;
  const std::int64_t stride = channels == 16 ? oc : 16;
  if (!requantize(block, sums, pixels, to, stride)) {
    for (int i = 0; i < pixels; ++i) {
      if (!requantize(block, sums + i, 1, to + i * stride, stride))
        settle(k, channel, channels, sums[i], to + i * stride,
               [&](std::int64_t o, bool ordered) { return slow(i, o, ordered); });
    }
  }
  if (channels == 16) return;
  for (int i = 0; i < pixels; ++i)
    __builtin_memcpy(out + i * oc, part + i * 16, static_cast<std::size_t>(channels));
}

}  // namespace rulec::kernels::RULEC_ISA
