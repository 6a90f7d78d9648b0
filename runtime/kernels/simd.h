// SPDX-License-Identifier: Apache-2.0
#pragma once

// A vector of floats as wide as the instruction set that this translation unit is compiled for
// (namespace RULEC_ISA: portable, avx2, avx512; see CMakeLists.txt), and the elementary functions
// on it. Every function here is forced inline, so that no copy for one set is linked into another.

#include <cstdint>

#if defined(__aarch64__)
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

#define RULEC_INLINE inline __attribute__((always_inline))
#define RULEC_LAMBDA_INLINE __attribute__((always_inline))

namespace rulec::kernels::RULEC_ISA {

#if defined(__AVX512F__)
inline constexpr int lanes = 16;
using Vec = __m512;
using IntVec = __m512i;
RULEC_INLINE Vec load(const float* p) {
  return _mm512_loadu_ps(p);
}
RULEC_INLINE void store(float* p, Vec v) {
  _mm512_storeu_ps(p, v);
}
RULEC_INLINE Vec splat(float x) {
  return _mm512_set1_ps(x);
}
RULEC_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return _mm512_fmadd_ps(a, b, c);
}
RULEC_INLINE Vec maximum(Vec a, Vec b) {
  return _mm512_max_ps(a, b);
}
RULEC_INLINE Vec minimum(Vec a, Vec b) {
  return _mm512_min_ps(a, b);
}
RULEC_INLINE Vec square_root(Vec a) {
  return _mm512_sqrt_ps(a);
}
// 1 / a to 2 units in the last place, for magnitudes between 2^-126 and 2^126.
RULEC_INLINE Vec reciprocal(Vec a) {
  const Vec r = _mm512_rcp14_ps(a);
  return _mm512_fmadd_ps(r, _mm512_fnmadd_ps(a, r, _mm512_set1_ps(1.0f)), r);
}
RULEC_INLINE Vec round_even(Vec a) {
  return _mm512_roundscale_ps(a, 8);
}
RULEC_INLINE Vec round_down(Vec a) {
  return _mm512_roundscale_ps(a, 9);
}
RULEC_INLINE IntVec to_int(Vec a) {
  return _mm512_cvtps_epi32(a);
}
RULEC_INLINE Vec to_float(IntVec a) {
  return _mm512_cvtepi32_ps(a);
}
RULEC_INLINE IntVec bits(Vec a) {
  return _mm512_castps_si512(a);
}
RULEC_INLINE Vec from_bits(IntVec a) {
  return _mm512_castsi512_ps(a);
}
RULEC_INLINE IntVec splat_int(int x) {
  return _mm512_set1_epi32(x);
}
RULEC_INLINE IntVec add_int(IntVec a, IntVec b) {
  return _mm512_add_epi32(a, b);
}
RULEC_INLINE IntVec and_int(IntVec a, IntVec b) {
  return _mm512_and_si512(a, b);
}
RULEC_INLINE IntVec or_int(IntVec a, IntVec b) {
  return _mm512_or_si512(a, b);
}
RULEC_INLINE IntVec shift_left_23(IntVec a) {
  return _mm512_slli_epi32(a, 23);
}
RULEC_INLINE IntVec shift_right_23(IntVec a) {
  return _mm512_srli_epi32(a, 23);
}
// a < b ? yes : no
RULEC_INLINE Vec where_less(Vec a, Vec b, Vec yes, Vec no) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}
RULEC_INLINE float horizontal_sum(Vec a) {
  return _mm512_reduce_add_ps(a);
}
#elif defined(__AVX2__)
inline constexpr int lanes = 8;
using Vec = __m256;
using IntVec = __m256i;
RULEC_INLINE Vec load(const float* p) {
  return _mm256_loadu_ps(p);
}
RULEC_INLINE void store(float* p, Vec v) {
  _mm256_storeu_ps(p, v);
}
RULEC_INLINE Vec splat(float x) {
  return _mm256_set1_ps(x);
}
RULEC_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return _mm256_fmadd_ps(a, b, c);
}
RULEC_INLINE Vec maximum(Vec a, Vec b) {
  return _mm256_max_ps(a, b);
}
RULEC_INLINE Vec minimum(Vec a, Vec b) {
  return _mm256_min_ps(a, b);
}
RULEC_INLINE Vec square_root(Vec a) {
  return _mm256_sqrt_ps(a);
}
// A division takes as long as ten multiplications.
RULEC_INLINE Vec reciprocal(Vec a) {
  const Vec r = _mm256_rcp_ps(a);
  return _mm256_fmadd_ps(r, _mm256_fnmadd_ps(a, r, _mm256_set1_ps(1.0f)), r);
}
RULEC_INLINE Vec round_even(Vec a) {
  return _mm256_round_ps(a, 8);
}
RULEC_INLINE Vec round_down(Vec a) {
  return _mm256_round_ps(a, 9);
}
RULEC_INLINE IntVec to_int(Vec a) {
  return _mm256_cvtps_epi32(a);
}
RULEC_INLINE Vec to_float(IntVec a) {
  return _mm256_cvtepi32_ps(a);
}
RULEC_INLINE IntVec bits(Vec a) {
  return _mm256_castps_si256(a);
}
RULEC_INLINE Vec from_bits(IntVec a) {
  return _mm256_castsi256_ps(a);
}
RULEC_INLINE IntVec splat_int(int x) {
  return _mm256_set1_epi32(x);
}
RULEC_INLINE IntVec add_int(IntVec a, IntVec b) {
  return _mm256_add_epi32(a, b);
}
RULEC_INLINE IntVec and_int(IntVec a, IntVec b) {
  return _mm256_and_si256(a, b);
}
RULEC_INLINE IntVec or_int(IntVec a, IntVec b) {
  return _mm256_or_si256(a, b);
}
RULEC_INLINE IntVec shift_left_23(IntVec a) {
  return _mm256_slli_epi32(a, 23);
}
RULEC_INLINE IntVec shift_right_23(IntVec a) {
  return _mm256_srli_epi32(a, 23);
}
RULEC_INLINE Vec where_less(Vec a, Vec b, Vec yes, Vec no) {
  return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
RULEC_INLINE float horizontal_sum(Vec a) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
#elif defined(__aarch64__)
inline constexpr int lanes = 4;
using Vec = float32x4_t;
using IntVec = int32x4_t;
RULEC_INLINE Vec load(const float* p) {
  return vld1q_f32(p);
}
RULEC_INLINE void store(float* p, Vec v) {
  vst1q_f32(p, v);
}
RULEC_INLINE Vec splat(float x) {
  return vdupq_n_f32(x);
}
RULEC_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return vfmaq_f32(c, a, b);
}
// Of a NaN and a number the second operand, as elsewhere.
RULEC_INLINE Vec maximum(Vec a, Vec b) {
  return vbslq_f32(vcgtq_f32(a, b), a, b);
}
RULEC_INLINE Vec minimum(Vec a, Vec b) {
  return vbslq_f32(vcltq_f32(a, b), a, b);
}
RULEC_INLINE Vec square_root(Vec a) {
  return vsqrtq_f32(a);
}
RULEC_INLINE Vec reciprocal(Vec a) {
  return vdupq_n_f32(1.0f) / a;
}
RULEC_INLINE Vec round_even(Vec a) {
  return vrndnq_f32(a);
}
RULEC_INLINE Vec round_down(Vec a) {
  return vrndmq_f32(a);
}
RULEC_INLINE IntVec to_int(Vec a) {
  return vcvtnq_s32_f32(a);
}
RULEC_INLINE Vec to_float(IntVec a) {
  return vcvtq_f32_s32(a);
}
RULEC_INLINE IntVec bits(Vec a) {
  return vreinterpretq_s32_f32(a);
}
RULEC_INLINE Vec from_bits(IntVec a) {
  return vreinterpretq_f32_s32(a);
}
RULEC_INLINE IntVec splat_int(int x) {
  return vdupq_n_s32(x);
}
RULEC_INLINE IntVec add_int(IntVec a, IntVec b) {
  return vaddq_s32(a, b);
}
RULEC_INLINE IntVec and_int(IntVec a, IntVec b) {
  return vandq_s32(a, b);
}
RULEC_INLINE IntVec or_int(IntVec a, IntVec b) {
  return vorrq_s32(a, b);
}
RULEC_INLINE IntVec shift_left_23(IntVec a) {
  return vshlq_n_s32(a, 23);
}
RULEC_INLINE IntVec shift_right_23(IntVec a) {
  return vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(a), 23));
}
RULEC_INLINE Vec where_less(Vec a, Vec b, Vec yes, Vec no) {
  return vbslq_f32(vcltq_f32(a, b), yes, no);
}
RULEC_INLINE float horizontal_sum(Vec a) {
  return vaddvq_f32(a);
}
#else
inline constexpr int lanes = 4;
using Vec = __m128;
using IntVec = __m128i;
RULEC_INLINE Vec load(const float* p) {
  return _mm_loadu_ps(p);
}
RULEC_INLINE void store(float* p, Vec v) {
  _mm_storeu_ps(p, v);
}
RULEC_INLINE Vec splat(float x) {
  return _mm_set1_ps(x);
}
RULEC_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return _mm_add_ps(_mm_mul_ps(a, b), c);
}
RULEC_INLINE Vec maximum(Vec a, Vec b) {
  return _mm_max_ps(a, b);
}
RULEC_INLINE Vec minimum(Vec a, Vec b) {
  return _mm_min_ps(a, b);
}
RULEC_INLINE Vec square_root(Vec a) {
  return _mm_sqrt_ps(a);
}
RULEC_INLINE Vec reciprocal(Vec a) {
  return _mm_set1_ps(1.0f) / a;
}
RULEC_INLINE IntVec to_int(Vec a) {
  return _mm_cvtps_epi32(a);
}
RULEC_INLINE Vec to_float(IntVec a) {
  return _mm_cvtepi32_ps(a);
}
RULEC_INLINE Vec where_less(Vec a, Vec b, Vec yes, Vec no) {
  const Vec mask = _mm_cmplt_ps(a, b);
  return _mm_or_ps(_mm_and_ps(mask, yes), _mm_andnot_ps(mask, no));
}
RULEC_INLINE float horizontal_sum(Vec a) {
  const Vec half = _mm_add_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
}
// Beyond 2^23 a float is whole already (and would not fit an integer).
RULEC_INLINE Vec round_even(Vec a) {
  const Vec magnitude = _mm_andnot_ps(_mm_set1_ps(-0.0f), a);
  return where_less(magnitude, _mm_set1_ps(8388608.0f), to_float(to_int(a)), a);
}
RULEC_INLINE Vec round_down(Vec a) {
  const Vec r = round_even(a);
  return where_less(a, r, _mm_sub_ps(r, _mm_set1_ps(1.0f)), r);
}
RULEC_INLINE IntVec bits(Vec a) {
  return _mm_castps_si128(a);
}
RULEC_INLINE Vec from_bits(IntVec a) {
  return _mm_castsi128_ps(a);
}
RULEC_INLINE IntVec splat_int(int x) {
  return _mm_set1_epi32(x);
}
RULEC_INLINE IntVec add_int(IntVec a, IntVec b) {
  return _mm_add_epi32(a, b);
}
RULEC_INLINE IntVec and_int(IntVec a, IntVec b) {
  return _mm_and_si128(a, b);
}
RULEC_INLINE IntVec or_int(IntVec a, IntVec b) {
  return _mm_or_si128(a, b);
}
RULEC_INLINE IntVec shift_left_23(IntVec a) {
  return _mm_slli_epi32(a, 23);
}
RULEC_INLINE IntVec shift_right_23(IntVec a) {
  return _mm_srli_epi32(a, 23);
}
#endif

inline constexpr int vectors = 16 / lanes;  // of one block of 16 channels

RULEC_INLINE std::int64_t smaller(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}
RULEC_INLINE std::int64_t larger(std::int64_t a, std::int64_t b) {
  return a > b ? a : b;
}
RULEC_INLINE std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

RULEC_INLINE void prefetch(const float* p) {
  __builtin_prefetch(p);
}

RULEC_INLINE Vec absolute(Vec x) {
  return from_bits(and_int(bits(x), splat_int(0x7fffffff)));
}
RULEC_INLINE Vec with_sign_of(Vec magnitude, Vec sign) {
  return from_bits(or_int(bits(magnitude), and_int(bits(sign), splat_int(INT32_MIN))));
}

// e^x to 2 units in the last place: 2^n e^r with |r| <= ln2/2. Saturates at the ends of float.
RULEC_INLINE Vec exponential(Vec x) {
  // The operand that may be NaN stands second: minimum and maximum return it.
  const Vec c = minimum(splat(88.72f), maximum(splat(-87.33f), x));
  const Vec n = round_even(c * splat(1.44269504f));
  Vec r = fma(n, splat(-0.693359375f), c);
  r = fma(n, splat(2.12194440e-4f), r);
  Vec p = splat(1.9875691500e-4f);
  p = fma(p, r, splat(1.3981999507e-3f));
  p = fma(p, r, splat(8.3334519073e-3f));
  p = fma(p, r, splat(4.1665795894e-2f));
  p = fma(p, r, splat(1.6666665459e-1f));
  p = fma(p, r, splat(5.0000001201e-1f));
  p = fma(p, r * r, r + splat(1.0f));
  // n is at most 128: two factors, so that neither leaves the range of exponents.
  const Vec half = round_down(n * splat(0.5f));
  const Vec a = from_bits(shift_left_23(add_int(to_int(half), splat_int(127))));
  const Vec b = from_bits(shift_left_23(add_int(to_int(n - half), splat_int(127))));
  return p * a * b;
}

// f(0) … f(N - 1), written out.
template <int N, typename F>
RULEC_INLINE void each(F f) {
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i)
    f(i);
}

// 2^(n + r) with whole n and |r| <= 1/2, to 2 units in the last place, of several vectors step by
// step: one alone is a chain of operations that each wait for the last. `shifted` holds
// n + 1.5 * 2^23, so that n stands in its lowest bits; n is within 126 of zero.
template <int N>
RULEC_INLINE void power_of_two(const Vec (&shifted)[N], Vec (&r)[N]) {
  constexpr float coefficients[] = {9.6715129912e-03f, 5.5507335812e-02f, 2.4022242427e-01f,
                                    6.9314700365e-01f, 1.0f};
  Vec p[N];
  each<N>([&](int i) RULEC_LAMBDA_INLINE { p[i] = splat(1.3264727313e-03f); });
#pragma GCC unroll 5
  for (const float coefficient : coefficients)
    each<N>([&](int i) RULEC_LAMBDA_INLINE { p[i] = fma(p[i], r[i], splat(coefficient)); });
  // n is added to the exponent.
  each<N>([&](int i) RULEC_LAMBDA_INLINE {
    r[i] = from_bits(add_int(bits(p[i]), shift_left_23(bits(shifted[i]))));
  });
}

// e^x where |x| below 87 is all that matters.
template <int N>
RULEC_INLINE void bounded_exponential(Vec (&x)[N]) {
  // Adding 1.5 * 2^23 rounds to an integer.
  const Vec magic = splat(12582912.0f), log2_e = splat(1.44269502f);
  Vec shifted[N];
  each<N>([&](int i)
              RULEC_LAMBDA_INLINE { x[i] = minimum(splat(87.0f), maximum(splat(-87.0f), x[i])); });
  each<N>([&](int i) RULEC_LAMBDA_INLINE { shifted[i] = fma(x[i], log2_e, magic); });
  each<N>([&](int i) RULEC_LAMBDA_INLINE {
    const Vec whole = shifted[i] - magic;
    x[i] = fma(x[i], splat(1.92596303e-8f), fma(x[i], log2_e, -whole));
  });
  power_of_two(shifted, x);
}
RULEC_INLINE Vec bounded_exponential(Vec x) {
  Vec one[1] = {x};
  bounded_exponential(one);
  return one[0];
}

// 1 / (1 + e^-x)
template <int N>
RULEC_INLINE void sigmoid(Vec (&x)[N]) {
  const Vec magic = splat(12582912.0f), log2_e = splat(-1.44269502f);
  Vec shifted[N];
  each<N>([&](int i)
              RULEC_LAMBDA_INLINE { x[i] = minimum(splat(87.0f), maximum(splat(-87.0f), x[i])); });
  each<N>([&](int i) RULEC_LAMBDA_INLINE { shifted[i] = fma(x[i], log2_e, magic); });
  // What log2_e lacks counts for the large alone: 2e-8 of a number for each unit.
  each<N>([&](int i) RULEC_LAMBDA_INLINE { x[i] = fma(x[i], log2_e, -(shifted[i] - magic)); });
  power_of_two(shifted, x);
  each<N>([&](int i) RULEC_LAMBDA_INLINE { x[i] = reciprocal(splat(1.0f) + x[i]); });
}
RULEC_INLINE Vec sigmoid(Vec x) {
  Vec one[1] = {x};
  sigmoid(one);
  return one[0];
}

// (1 + erf(x / sqrt 2)) / 2, the normal distribution up to x: one half and x times a ratio of
// polynomials in its square, on the range where it is not yet 0 or 1.
template <int N>
RULEC_INLINE void normal_distribution(Vec (&x)[N]) {
  constexpr float numerator[] = {2.265138979e-08f, 6.294770351e-06f, 1.663938029e-04f,
                                 4.662222479e-03f, 3.365717721e-02f, 3.989422590e-01f};
  constexpr float denominator[] = {1.190369744e-06f, 7.264986198e-05f, 1.871014247e-03f,
                                   2.852595970e-02f, 2.510324121e-01f, 1.000000000e+00f};
  Vec s[N], p[N], q[N];
  each<N>([&](int i) RULEC_LAMBDA_INLINE {
    x[i] = minimum(splat(5.6f), maximum(splat(-5.6f), x[i]));
    s[i] = x[i] * x[i];
    p[i] = splat(numerator[0]);
    q[i] = splat(denominator[0]);
  });
#pragma GCC unroll 5
  for (int k = 1; k < 6; ++k) {
    each<N>([&](int i) RULEC_LAMBDA_INLINE { p[i] = fma(p[i], s[i], splat(numerator[k])); });
    each<N>([&](int i) RULEC_LAMBDA_INLINE { q[i] = fma(q[i], s[i], splat(denominator[k])); });
  }
  each<N>([&](int i) RULEC_LAMBDA_INLINE {
    x[i] = maximum(splat(0.0f), fma(x[i] * p[i], reciprocal(q[i]), splat(0.5f)));
  });
}

// tanh as a ratio of polynomials on the range where it is not yet ±1.
RULEC_INLINE Vec hyperbolic_tangent(Vec x) {
  const Vec c = minimum(splat(7.90531110763549805f), maximum(splat(-7.90531110763549805f), x));
  const Vec s = c * c;
  Vec p = splat(-2.76076847742355e-16f);
  p = fma(p, s, splat(2.00018790482477e-13f));
  p = fma(p, s, splat(-8.60467152213735e-11f));
  p = fma(p, s, splat(5.12229709037114e-08f));
  p = fma(p, s, splat(1.48572235717979e-05f));
  p = fma(p, s, splat(6.37261928875436e-04f));
  p = fma(p, s, splat(4.89352455891786e-03f));
  Vec q = splat(1.19825839466702e-06f);
  q = fma(q, s, splat(1.18534705686654e-04f));
  q = fma(q, s, splat(2.26843463243900e-03f));
  q = fma(q, s, splat(4.89352518554385e-03f));
  return c * p * reciprocal(q);
}

// erf as x times a ratio of polynomials in its square on the range where it is not yet ±1; to
// 4e-7 of its value.
RULEC_INLINE Vec error_function(Vec x) {
  const Vec c = minimum(splat(3.92f), maximum(splat(-3.92f), x));
  const Vec s = c * c;
  Vec p = splat(2.050169769063359e-06f);
  p = fma(p, s, splat(0.00028486878728627562f));
  p = fma(p, s, splat(0.0037650619633495808f));
  p = fma(p, s, splat(0.05274702608585358f));
  p = fma(p, s, splat(0.19039374589920044f));
  p = fma(p, s, splat(1.1283791065216064f));
  Vec q = splat(3.809183181147091e-05f);
  q = fma(q, s, splat(0.0011623977916315198f));
  q = fma(q, s, splat(0.014968113973736763f));
  q = fma(q, s, splat(0.11410383880138397f));
  q = fma(q, s, splat(0.5020648241043091f));
  q = fma(q, s, splat(1.0f));
  return minimum(splat(1.0f), maximum(splat(-1.0f), c * p * reciprocal(q)));
}

// ln x; NaN below zero, -infinity at zero, infinity at infinity.
RULEC_INLINE Vec logarithm(Vec x) {
  const Vec infinity = splat(__builtin_inff());
  const Vec tiny = splat(1.17549435e-38f);
  const Vec subnormal = where_less(x, tiny, splat(1.0f), splat(0.0f));
  const Vec scaled = where_less(x, tiny, x * splat(8388608.0f), x);
  Vec e =
      to_float(add_int(shift_right_23(bits(scaled)), splat_int(-126))) - subnormal * splat(23.0f);
  Vec m = from_bits(or_int(and_int(bits(scaled), splat_int(0x007fffff)), splat_int(0x3f000000)));
  const Vec small = splat(0.70710678f);
  e = where_less(m, small, e - splat(1.0f), e);
  m = where_less(m, small, m + m, m) - splat(1.0f);
  const Vec z = m * m;
  Vec p = splat(7.0376836292e-2f);
  p = fma(p, m, splat(-1.1514610310e-1f));
  p = fma(p, m, splat(1.1676998740e-1f));
  p = fma(p, m, splat(-1.2420140846e-1f));
  p = fma(p, m, splat(1.4249322787e-1f));
  p = fma(p, m, splat(-1.6668057665e-1f));
  p = fma(p, m, splat(2.0000714765e-1f));
  p = fma(p, m, splat(-2.4999993993e-1f));
  p = fma(p, m, splat(3.3333331174e-1f));
  Vec y = p * m * z;
  y = fma(e, splat(-2.12194440e-4f), y);
  y = fma(splat(-0.5f), z, y);
  y = fma(e, splat(0.693359375f), m + y);
  // What is not below infinity is infinity or NaN, and its own logarithm.
  y = where_less(x, infinity, y, x);
  const Vec nan = splat(__builtin_nanf(""));
  y = where_less(x, splat(0.0f), nan, y);
  // Zero of either sign: magnitude below the least subnormal.
  const Vec magnitude = absolute(x);
  return where_less(magnitude, splat(1.4e-45f), splat(-__builtin_inff()), y);
}

}  // namespace rulec::kernels::RULEC_ISA
