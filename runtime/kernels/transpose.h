// SPDX-License-Identifier: Apache-2.0
#pragma once

// Small squares of 32-bit elements, turned in registers: what layouts and Transpose are made of.
// Not whole tensors: reorder.cc and copy.cc go from square to square.
//
//   turn_square([&](int y) { return from + y * step; }, to, to_row);
//   // to[x * to_row + y] = row(y)[x]

#include "runtime/kernels/simd.h"

namespace rulec::kernels::RULEC_ISA {

#if defined(__AVX2__)
inline constexpr int square = 8;
template <typename Row>
RULEC_INLINE void turn_square(Row row, float* to, std::int64_t to_row) {
  // Halves of rows y and y + 4 side by side: the rest stays within the halves of a vector.
  __m256 r[8];
#pragma GCC unroll 4
  for (int y = 0; y < 4; ++y) {
    const float *a = row(y), *b = row(y + 4);
    r[y] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(a)), _mm_loadu_ps(b), 1);
    r[y + 4] =
        _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(a + 4)), _mm_loadu_ps(b + 4), 1);
  }
#pragma GCC unroll 2
  for (int half = 0; half < 8; half += 4) {
    const __m256 ab_low = _mm256_unpacklo_ps(r[half], r[half + 1]);
    const __m256 ab_high = _mm256_unpackhi_ps(r[half], r[half + 1]);
    const __m256 cd_low = _mm256_unpacklo_ps(r[half + 2], r[half + 3]);
    const __m256 cd_high = _mm256_unpackhi_ps(r[half + 2], r[half + 3]);
    _mm256_storeu_ps(to + half * to_row, _mm256_shuffle_ps(ab_low, cd_low, 0x44));
    _mm256_storeu_ps(to + (half + 1) * to_row, _mm256_shuffle_ps(ab_low, cd_low, 0xee));
    _mm256_storeu_ps(to + (half + 2) * to_row, _mm256_shuffle_ps(ab_high, cd_high, 0x44));
    _mm256_storeu_ps(to + (half + 3) * to_row, _mm256_shuffle_ps(ab_high, cd_high, 0xee));
  }
}
#elif defined(__aarch64__)
inline constexpr int square = 4;
template <typename Row>
RULEC_INLINE void turn_square(Row row, float* to, std::int64_t to_row) {
  const float32x4x2_t ab = vtrnq_f32(vld1q_f32(row(0)), vld1q_f32(row(1)));
  const float32x4x2_t cd = vtrnq_f32(vld1q_f32(row(2)), vld1q_f32(row(3)));
  vst1q_f32(to, vcombine_f32(vget_low_f32(ab.val[0]), vget_low_f32(cd.val[0])));
  vst1q_f32(to + to_row, vcombine_f32(vget_low_f32(ab.val[1]), vget_low_f32(cd.val[1])));
  vst1q_f32(to + 2 * to_row, vcombine_f32(vget_high_f32(ab.val[0]), vget_high_f32(cd.val[0])));
  vst1q_f32(to + 3 * to_row, vcombine_f32(vget_high_f32(ab.val[1]), vget_high_f32(cd.val[1])));
}
#else
inline constexpr int square = 4;
template <typename Row>
RULEC_INLINE void turn_square(Row row, float* to, std::int64_t to_row) {
  __m128 a = _mm_loadu_ps(row(0)), b = _mm_loadu_ps(row(1));
  __m128 c = _mm_loadu_ps(row(2)), d = _mm_loadu_ps(row(3));
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(to, a);
  _mm_storeu_ps(to + to_row, b);
  _mm_storeu_ps(to + 2 * to_row, c);
  _mm_storeu_ps(to + 3 * to_row, d);
}
#endif

// to[x * to_row + y] = from[y * from_row + x] for `rows` y and `columns` x, a band of rows at a
// time, so that what is written to is filled while it is near.
[[maybe_unused]] static void turn(const float* from, std::int64_t from_row, std::int64_t rows,
                                  std::int64_t columns, float* to, std::int64_t to_row) {
  std::int64_t y = 0;
  for (; y + square <= rows; y += square) {
    const float* band = from + y * from_row;
    std::int64_t x = 0;
    for (; x + square <= columns; x += square) {
      turn_square([&](int i) RULEC_LAMBDA_INLINE { return band + i * from_row + x; },
                  to + x * to_row + y, to_row);
    }
    for (; x < columns; ++x) {
      for (int i = 0; i < square; ++i)
        to[x * to_row + y + i] = band[i * from_row + x];
    }
  }
  for (; y < rows; ++y) {
    for (std::int64_t x = 0; x < columns; ++x)
      to[x * to_row + y] = from[y * from_row + x];
  }
}

}  // namespace rulec::kernels::RULEC_ISA
