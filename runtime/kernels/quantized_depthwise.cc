// SPDX-License-Identifier: Apache-2.0
// Depthwise convolutions of 8-bit numbers in NHWC, as quantized_conv.cc.
#include "runtime/kernels/quantized_product.h"

namespace rulec::kernels::RULEC_ISA {

namespace {

// Where the taps of a window lie: distances in elements.
struct Taps {
  std::int64_t row, column;
};

template <int pixels>
void depthwise_sums(const Work& k, const Taps& taps, const Pixels<std::int16_t>& first,
                    const std::int16_t* w, const std::int32_t* bias, Sums& sums) {
  Ints total[pixels][int_vectors];
  start_sums(bias, total);
  for (std::int64_t ky = 0; ky < k.p.kernel_h; ++ky) {
    for (std::int64_t kx = 0; kx < k.p.kernel_w; kx += 2) {
      const std::int64_t tap = ky * taps.row + kx * taps.column;
#pragma GCC unroll 4
      for (int v = 0; v < int_vectors; ++v) {
        const Ints weight = load_ints(w + v * int_lanes * 2);
#pragma GCC unroll 12
        for (int i = 0; i < pixels; ++i) {
          total[i][v] =
              dot_pairs(total[i][v], load_ints(first[i] + tap + v * int_lanes * 2), weight);
        }
      }
      w += 32;
    }
  }
  store_sums(total, sums);
}

constexpr auto each_depthwise = RULEC_EACH_TILE(depthwise_sums);

double depthwise_by_definition(const Work& k, const Taps& taps, const std::int16_t* x,
                               const std::int16_t* w, float w_scale) {
  const std::int64_t pairs = (k.p.kernel_w + 1) / 2;
  double sum = 0;
  for (std::int64_t ky = 0; ky < k.p.kernel_h; ++ky) {
    for (std::int64_t kx = 0; kx < k.p.kernel_w; ++kx) {
      sum += product(x[ky * taps.row + kx / 2 * 2 * taps.column + kx % 2], k.p.x.scale,
                     w[(ky * pairs + kx / 2) * 32 + kx % 2], w_scale);
    }
  }
  return sum;
}

// 16 channels of one pixel (a) and of the one that the next tap reads (b), side by side, less zero.
// `flip` makes of signed bytes unsigned ones.
RULEC_INLINE void spread(const std::uint8_t* a, const std::uint8_t* b, std::uint8_t flip,
                         std::int32_t zero, std::int16_t* to) {
#if defined(__AVX2__)
  const __m128i sign = _mm_set1_epi8(static_cast<char>(flip));
  const __m256i by = _mm256_set1_epi16(static_cast<short>(zero));
  const __m128i x = _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a)), sign);
  const __m128i y = _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b)), sign);
  const __m256i low = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(x, y));
  const __m256i high = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(x, y));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_sub_epi16(low, by));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 16), _mm256_sub_epi16(high, by));
#else
  for (int i = 0; i < 16; ++i) {
    to[2 * i] = static_cast<std::int16_t>((a[i] ^ flip) - zero);
    to[2 * i + 1] = static_cast<std::int16_t>((b[i] ^ flip) - zero);
  }
#endif
}

// Up to 16 channels of the input's pixels first … end-1 of a line whose others are zero.
RULEC_INLINE void copy_line(const Work& k, std::int64_t at, std::int64_t first, std::int64_t end,
                            std::int64_t channels, std::uint8_t* line) {
  const auto* from = reinterpret_cast<const std::uint8_t*>(k.in) + at;
  for (std::int64_t j = first; j < end; ++j, from += k.c) {
    if (channels == 16) {
      __builtin_memcpy(line + j * 16, from, 16);
    } else {
      for (std::int64_t c = 0; c < channels; ++c)
        line[j * 16 + c] = from[c];
    }
  }
}

}  // namespace

// The widened input of 16 channels holds each pixel beside the next tap's: one instruction takes
// two taps.
void quantized_depthwise(const KernelCall& call) {
  const Work k = work_of(call);
  const std::int64_t pairs = (k.p.kernel_w + 1) / 2;
  const std::int64_t row_bytes = patch_of(k, 0, 1).width * 64 * k.p.stride_h;
  const Division d = divide(call, k.oh, row_bytes, k.padded / 16, k.n);
  const auto chunk = [&](std::int64_t index) {
    const std::int64_t group = index % d.groups, part = index / d.groups % d.parts;
    const std::int64_t image = index / d.groups / d.parts, row = part * d.part;
    const std::int64_t count = smaller(d.part, k.oh - row);
    const Patch patch = patch_of(k, row, count);
    // Windows and pairs of taps begin at every second pixel where the stride is even.
    const std::int64_t each = k.p.stride_w % 2 == 0 ? 2 : 1;
    const std::int64_t places = ceil_div(patch.width, each), line = places * 32;
    const std::int64_t reach = k.p.dilation_w;
    const std::int64_t line_bytes = (patch.width + reach) * 16;
    auto* x = reinterpret_cast<std::int16_t*>(
        thread_scratch(static_cast<std::size_t>(patch.rows * line * 2 + line_bytes)));
    // Beyond the edges of the input lies its zero, in every line.
    auto* bytes = reinterpret_cast<std::uint8_t*>(x + patch.rows * line);
    __builtin_memset(bytes, k.p.x.zero, static_cast<std::size_t>(line_bytes));
    const std::uint8_t flip = k.input_signed ? 128 : 0;
    for (std::int64_t b = group * d.group; b < smaller((group + 1) * d.group, k.padded / 16); ++b) {
      const std::int64_t channels = smaller(16, k.c - b * 16);
      for (std::int64_t i = 0; i < patch.rows; ++i) {
        const std::int64_t iy = patch.top + i;
        if (iy < 0 || iy >= k.h) {
          __builtin_memset(x + i * line, 0, static_cast<std::size_t>(line) * 2);
          continue;
        }
        // The line alone, then each pixel with the one that the next tap reads.
        const std::int64_t first = patch.left < 0 ? -patch.left : 0;
        const std::int64_t stop = smaller(patch.width, k.w - patch.left);
        copy_line(k, ((image * k.h + iy) * k.w + patch.left + first) * k.c + b * 16, first, stop,
                  channels, bytes);
        std::int16_t* to = x + i * line;
        for (std::int64_t j = 0; j < places; ++j) {
          const std::uint8_t* pixel = bytes + j * each * 16;
          spread(pixel, pixel + reach * 16, flip, k.p.x.zero + flip, to + j * 32);
        }
      }
      const auto* w =
          reinterpret_cast<const std::int16_t*>(k.weights) + b * k.p.kernel_h * pairs * 32;
      const Taps taps = {k.p.dilation_h * line, k.p.dilation_w * 32 / each};
      const Place<std::int16_t> at = {x, k.p.stride_w * 32 / each, k.p.stride_h * line, k.ow};
      std::uint8_t* out = k.out + ((image * k.oh + row) * k.ow) * k.oc + b * 16;
      run_pixels(
          k, block_of(k, b * 16), at, count * k.ow, b * 16, out,
          [&](int pixels, const Pixels<std::int16_t>& begins, Sums& sums) RULEC_LAMBDA_INLINE {
            each_depthwise.of[pixels - 1](k, taps, begins, w, k.bias + b * 16, sums);
          },
          [&](const std::int16_t* pixel, std::int64_t o, bool) {
            const auto scale =
                static_cast<float>(k.row(QuantizedCoefficient::WeightScale)[b * 16 + o]);
            return DefinedSum{depthwise_by_definition(k, taps, pixel + o * 2, w + o * 2, scale), 0};
          });
    }
  };
  run_chunks(call, k.n * d.parts * d.groups, products_of(k, 1) * 4, chunk);
}

}  // namespace rulec::kernels::RULEC_ISA
