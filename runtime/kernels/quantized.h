// SPDX-License-Identifier: Apache-2.0
#pragma once

// Sums of products of small integers, exact in 32 bits, and the way from integers to 8 bits.
// Pairs of 16-bit factors never saturate (pmaddwd). Quads of bytes, unsigned times signed, do
// where two products are first added in 16 bits (pmaddubsw; not with VNNI): it is for the weights
// to leave room for any sum of two.
//
//   Ints sums = dot_pairs(sums, pair_of(x), load_ints(w));  // sums[i] += x[0] w[i][0] + x[1] …

#include "runtime/kernels.h"
#include "runtime/kernels/simd.h"

namespace rulec::kernels::RULEC_ISA {

#if defined(__AVX512BW__)
inline constexpr int int_lanes = 16;
using Ints = __m512i;
RULEC_INLINE Ints load_ints(const void* p) {
  return _mm512_loadu_si512(p);
}
RULEC_INLINE void store_ints(void* p, Ints v) {
  _mm512_storeu_si512(p, v);
}
RULEC_INLINE Ints splat_ints(std::int32_t x) {
  return _mm512_set1_epi32(x);
}
RULEC_INLINE Ints dot_pairs(Ints sums, Ints a, Ints b) {
#if defined(__AVX512VNNI__)
  return _mm512_dpwssd_epi32(sums, a, b);
#else
  return _mm512_add_epi32(sums, _mm512_madd_epi16(a, b));
#endif
}
#elif defined(__AVX2__)
inline constexpr int int_lanes = 8;
using Ints = __m256i;
RULEC_INLINE Ints load_ints(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
RULEC_INLINE void store_ints(void* p, Ints v) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), v);
}
RULEC_INLINE Ints splat_ints(std::int32_t x) {
  return _mm256_set1_epi32(x);
}
RULEC_INLINE Ints dot_pairs(Ints sums, Ints a, Ints b) {
  return _mm256_add_epi32(sums, _mm256_madd_epi16(a, b));
}
#elif defined(__aarch64__)
inline constexpr int int_lanes = 4;
using Ints = int32x4_t;
RULEC_INLINE Ints load_ints(const void* p) {
  return vld1q_s32(static_cast<const std::int32_t*>(p));
}
RULEC_INLINE void store_ints(void* p, Ints v) {
  vst1q_s32(static_cast<std::int32_t*>(p), v);
}
RULEC_INLINE Ints splat_ints(std::int32_t x) {
  return vdupq_n_s32(x);
}
RULEC_INLINE Ints dot_pairs(Ints sums, Ints a, Ints b) {
  const int16x8_t x = vreinterpretq_s16_s32(a), y = vreinterpretq_s16_s32(b);
  return vaddq_s32(sums,
                   vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y)));
}
#else
inline constexpr int int_lanes = 4;
using Ints = __m128i;
RULEC_INLINE Ints load_ints(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
RULEC_INLINE void store_ints(void* p, Ints v) {
  _mm_storeu_si128(static_cast<__m128i*>(p), v);
}
RULEC_INLINE Ints splat_ints(std::int32_t x) {
  return _mm_set1_epi32(x);
}
RULEC_INLINE Ints dot_pairs(Ints sums, Ints a, Ints b) {
  return _mm_add_epi32(sums, _mm_madd_epi16(a, b));
}
#endif
inline constexpr int int_vectors = 16 / int_lanes;  // of a block of 16 channels

// Two neighbours for every lane.
RULEC_INLINE Ints pair_of(const std::int16_t* x) {
  std::int32_t both;
  __builtin_memcpy(&both, x, sizeof both);
  return splat_ints(both);
}

// Four neighbours for every lane.
RULEC_INLINE Ints quad_of(const std::uint8_t* x) {
  std::int32_t all;
  __builtin_memcpy(&all, x, sizeof all);
  return splat_ints(all);
}

// sums[i] += x[0] w[i][0] + … + x[3] w[i][3], x unsigned, w signed.
RULEC_INLINE Ints dot_quads(Ints sums, Ints x, Ints w) {
#if defined(__AVX512VNNI__)
  return _mm512_dpbusd_epi32(sums, x, w);
#elif defined(__AVX512BW__)
  return dot_pairs(sums, _mm512_maddubs_epi16(x, w), _mm512_set1_epi16(1));
#elif defined(__AVX2__)
  return dot_pairs(sums, _mm256_maddubs_epi16(x, w), _mm256_set1_epi16(1));
#else
  // Bytes 0 and 2 as 16 bits, then bytes 1 and 3.
  typedef std::uint16_t Halves __attribute__((vector_size(int_lanes * 4)));
  typedef std::int16_t SignedHalves __attribute__((vector_size(int_lanes * 4)));
  sums = dot_pairs(sums, (Ints)((Halves)x & 255), (Ints)((SignedHalves)((Halves)w << 8) >> 8));
  return dot_pairs(sums, (Ints)((Halves)x >> 8), (Ints)((SignedHalves)w >> 8));
#endif
}
RULEC_INLINE Ints xor_ints(Ints a, Ints b) {
  return a ^ b;
}

// A vector of stored numbers.
template <typename T>
RULEC_INLINE Ints load_stored(const T* p) {
#if defined(__AVX512BW__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return static_cast<T>(-1) < T{0} ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);
#elif defined(__AVX2__)
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return static_cast<T>(-1) < T{0} ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes);
#else
  std::int32_t each[int_lanes];
  for (int i = 0; i < int_lanes; ++i)
    each[i] = p[i];
  return load_ints(each);
#endif
}

// 16 numbers of at most 2^14 plus zero, between low and high, as bytes.
RULEC_INLINE void store_bytes(const Ints (&q)[int_vectors], std::int32_t zero, std::int32_t low,
                              std::int32_t high, std::uint8_t* to) {
#if defined(__AVX512BW__)
  const Ints sum = _mm512_add_epi32(q[0], splat_ints(zero));
  const Ints bounded = _mm512_min_epi32(_mm512_max_epi32(sum, splat_ints(low)), splat_ints(high));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(bounded));
#elif defined(__AVX2__)
  const __m256i by = _mm256_set1_epi16(static_cast<short>(zero));
  __m256i s = _mm256_add_epi16(_mm256_packs_epi32(q[0], q[1]), by);
  s = _mm256_max_epi16(s, _mm256_set1_epi16(static_cast<short>(low)));
  s = _mm256_min_epi16(s, _mm256_set1_epi16(static_cast<short>(high)));
  s = _mm256_permute4x64_epi64(_mm256_and_si256(s, _mm256_set1_epi16(255)), 0xd8);
  const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
#else
  std::int32_t each[16];
  for (int v = 0; v < int_vectors; ++v)
    store_ints(each + v * int_lanes, q[v]);
  for (int i = 0; i < 16; ++i) {
    const std::int32_t s = each[i] + zero;
    to[i] = static_cast<std::uint8_t>(s < low ? low : s > high ? high : s);
  }
#endif
}

// Real numbers (already divided by the scale) as QuantizeLinear stores them, the nearest, of two
// the even one; NaN becomes zero.
RULEC_INLINE Ints nearest(Vec v) {
  const Vec bounded = minimum(maximum(v, splat(-1024.0f)), splat(1024.0f));
  // A comparison with NaN fails.
  return to_int(where_less(splat(-1), absolute(v), bounded, splat(0)));
}

// One of them.
RULEC_INLINE std::int32_t stored(float v, std::int32_t zero, std::int32_t low, std::int32_t high) {
  v = v == v ? v : 0.0f;
  v = v > 1024.0f ? 1024.0f : v < -1024.0f ? -1024.0f : v;
  const std::int32_t q = static_cast<std::int32_t>(v + 0x1.8p23f - 0x1.8p23f) + zero;
  return q < low ? low : q > high ? high : q;
}

// Stored numbers less their zero point.
template <typename T>
RULEC_INLINE void widen(const T* from, std::int64_t count, std::int32_t zero, std::int16_t* to) {
  for (std::int64_t i = 0; i < count; ++i)
    to[i] = static_cast<std::int16_t>(static_cast<std::int32_t>(from[i]) - zero);
}

}  // namespace rulec::kernels::RULEC_ISA
