// SPDX-License-Identifier: Apache-2.0
// Convolutions 3x3 of 8-bit numbers with stride 1 by Winograd's F(4,3) on integers, to the same
// sums as directly: four times fewer multiplications, of 16-bit factors. Rows of the weights'
// transform are multiplied by 4, -6, 24 or 1, so that they are whole, and products for the output's
// by what makes each 24; so the sums come out times 576 = 9 * 64, modulo 2^32. Times the inverse of
// 9 that is 64 times the sum, which the compiler (lower_quantized_product.cc) has bounded by 2^25.
#include "runtime/kernels/quantized_product.h"

namespace rulec::kernels::RULEC_ISA {

namespace {

constexpr int side = 6, points = side * side, outputs = 4;  // of a tile
constexpr std::uint32_t ninth = 0x38e38e39;                 // times 9 it is 1

typedef std::uint8_t Bytes16 __attribute__((vector_size(16)));
typedef std::int16_t Halves16 __attribute__((vector_size(32)));
typedef std::uint32_t Words __attribute__((vector_size(int_lanes * 4)));

RULEC_INLINE void transform_input(const Halves16 (&d)[side], Halves16 (&o)[side]) {
  const Halves16 a = d[4] - (d[2] << 2), b = d[3] - (d[1] << 2);
  const Halves16 c = d[4] - d[2], e = (d[3] - d[1]) << 1;
  o[0] = a + ((d[0] << 2) - d[2]);
  o[1] = a + b;
  o[2] = a - b;
  o[3] = c + e;
  o[4] = c - e;
  o[5] = ((d[1] << 2) - d[3]) + (d[5] - (d[3] << 2));
}

RULEC_INLINE void transform_output(const Words (&m)[side], Words (&o)[outputs]) {
  const Words s1 = (m[1] + m[2]) << 2, d1 = (m[2] - m[1]) << 2;
  const Words s2 = m[3] + m[4], d2 = (m[3] - m[4]) << 1;
  o[0] = (m[0] << 2) + (m[0] << 1) + (s2 - s1);
  o[1] = d1 + d2;
  o[2] = (s2 << 2) - s1;
  o[3] = (m[5] << 4) + (m[5] << 3) + (d1 + (d2 << 2));
}

// Tiles first … first+count-1 of an image.
struct Strip {
  std::int64_t image, first, count, across;
};
// Where an output tile, and the input tile of the same number, begins.
struct Corner {
  std::int64_t y, x;
};
RULEC_INLINE Corner corner_of(const Strip& strip, std::int64_t t) {
  const std::int64_t at = strip.first + t;
  return {at / strip.across * outputs, at % strip.across * outputs};
}

// The input's channels [points][tiles][c].
void transform_tiles(const Work& k, const Strip& strip, std::int16_t* to) {
  const std::int64_t point = strip.count * k.c;
  const std::uint8_t flip = k.input_signed ? 128 : 0;
  const auto zero = static_cast<std::int16_t>(k.p.x.zero + flip);
  alignas(32) std::uint8_t edge[points * 16];
  for (std::int64_t t = 0; t < strip.count; ++t) {
    const Corner at = corner_of(strip, t);
    const std::int64_t top = at.y - k.p.pad_top, left = at.x - k.p.pad_left;
    const bool inside = top >= 0 && left >= 0 && top + side <= k.h && left + side <= k.w;
    for (std::int64_t c = 0; c < k.c; c += 16) {
      const auto* from = reinterpret_cast<const std::uint8_t*>(k.in) +
                         ((strip.image * k.h + top) * k.w + left) * k.c + c;
      std::int64_t row = k.w * k.c, column = k.c;
      if (!inside) {
        for (std::int64_t i = 0; i < points; ++i) {
          const std::int64_t y = i / side, x = i % side;
          if (top + y >= 0 && top + y < k.h && left + x >= 0 && left + x < k.w) {
            __builtin_memcpy(edge + i * 16, from + y * row + x * column, 16);
          } else {
            __builtin_memset(edge + i * 16, k.p.x.zero, 16);
          }
        }
        from = edge;
        row = side * 16;
        column = 16;
      }
      Halves16 half[side][side];
#pragma GCC unroll 6
      for (int j = 0; j < side; ++j) {
        Halves16 d[side], o[side];
#pragma GCC unroll 6
        for (int i = 0; i < side; ++i) {
          Bytes16 bytes;
          __builtin_memcpy(&bytes, from + i * row + j * column, sizeof bytes);
          d[i] = __builtin_convertvector(bytes ^ flip, Halves16) - zero;
        }
        transform_input(d, o);
#pragma GCC unroll 6
        for (int i = 0; i < side; ++i)
          half[i][j] = o[i];
      }
      std::int16_t* row_to = to + t * k.c + c;
#pragma GCC unroll 6
      for (int i = 0; i < side; ++i) {
        Halves16 o[side];
        transform_input(half[i], o);
#pragma GCC unroll 6
        for (int j = 0; j < side; ++j, row_to += point)
          __builtin_memcpy(row_to, &o[j], sizeof o[j]);
      }
    }
  }
}

// 16 output channels of some tiles at one point.
template <int tiles>
void multiply_tiles(const std::int16_t* x, std::int64_t channels, const std::int16_t* w,
                    std::int32_t* to) {
  Ints total[tiles][int_vectors];
#pragma GCC unroll 12
  for (int i = 0; i < tiles; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < int_vectors; ++v)
      total[i][v] = splat_ints(0);
  }
  for (std::int64_t c = 0; c < channels; c += 2, w += 32) {
    // Weights come from far away.
    __builtin_prefetch(w + 1024);
#pragma GCC unroll 12
    for (int i = 0; i < tiles; ++i) {
      const Ints value = pair_of(x + i * channels + c);
#pragma GCC unroll 4
      for (int v = 0; v < int_vectors; ++v)
        total[i][v] = dot_pairs(total[i][v], value, load_ints(w + v * int_lanes * 2));
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < tiles; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < int_vectors; ++v)
      store_ints(to + i * 16 + v * int_lanes, total[i][v]);
  }
}

constexpr auto each_product = RULEC_EACH_TILE(multiply_tiles);

// Of a panel's weights, [points][c/2][16][2], all points: [points][tiles][16].
void multiply(const Work& k, const Strip& strip, const std::int16_t* x, const std::int16_t* w,
              std::int32_t* to) {
  for (int point = 0; point < points; ++point, w += k.c * 16) {
    std::int64_t groups = ceil_div(strip.count, most_pixels), left = strip.count;
    while (left > 0) {
      const std::int64_t tiles = ceil_div(left, groups--);
      each_product.of[tiles - 1](x, k.c, w, to);
      x += tiles * k.c;
      to += tiles * 16;
      left -= tiles;
    }
  }
}

// The sums of a tile's outputs from its products.
RULEC_INLINE void transform_back(const std::int32_t* from, std::int64_t point,
                                 const std::int32_t* bias, Sums (&sums)[outputs]) {
  for (int v = 0; v < int_vectors; ++v) {
    const auto added = (Words)load_ints(bias + v * int_lanes);
    Words half[outputs][side];
#pragma GCC unroll 6
    for (int j = 0; j < side; ++j) {
      Words m[side], o[outputs];
#pragma GCC unroll 6
      for (int i = 0; i < side; ++i)
        m[i] = (Words)load_ints(from + (i * side + j) * point + v * int_lanes);
      transform_output(m, o);
#pragma GCC unroll 4
      for (int i = 0; i < outputs; ++i)
        half[i][j] = o[i];
    }
#pragma GCC unroll 4
    for (int i = 0; i < outputs; ++i) {
      Words o[outputs];
      transform_output(half[i], o);
#pragma GCC unroll 4
      for (int j = 0; j < outputs; ++j) {
        typedef std::int32_t Signed __attribute__((vector_size(int_lanes * 4)));
        const auto sum = (Words)((Signed)(o[j] * ninth) >> 6) + added;
        store_ints(sums[i][j] + v * int_lanes, (Ints)sum);
      }
    }
  }
}

// Four neighbouring weights of a tap, from rows and columns 0 and 5 of their transform, and 1,
// which is the sum of all three.
struct TapWeights {
  FourInts of[3][3];
};
RULEC_INLINE TapWeights weights_of(const std::int16_t* panel, std::int64_t channels, std::int64_t c,
                                   std::int64_t channel) {
  const auto at = [&](int i, int j) RULEC_LAMBDA_INLINE {
    const std::int16_t* pair =
        panel + (i * side + j) * channels * 16 + c / 2 * 32 + channel % 16 * 2;
    return FourInts{pair[0], pair[1], pair[32], pair[33]};
  };
  constexpr int from[] = {0, 1, 5};
  TapWeights w;
  for (int i = 0; i < 3; ++i) {
    const FourInts first = at(from[i], 0), last = at(from[i], 5);
    w.of[i][0] = first;
    w.of[i][1] = at(from[i], 1) - first - last;
    w.of[i][2] = last;
  }
  for (int j = 0; j < 3; ++j)
    w.of[1][j] -= w.of[0][j] + w.of[2][j];
  return w;
}

// The sum of one element's products.
__attribute__((noinline)) DefinedSum sum_by_definition(const Work& k, const std::int16_t* panel,
                                                       std::int64_t channel, std::int64_t image,
                                                       std::int64_t y, std::int64_t x,
                                                       bool ordered) {
  typedef std::uint8_t FourBytes __attribute__((vector_size(4)));
  const auto scale = static_cast<float>(k.row(QuantizedCoefficient::WeightScale)[channel]);
  const std::uint8_t flip = k.input_signed ? 128 : 0;
  const std::int32_t zero = k.p.x.zero + flip;
  Products products;
  double sum = 0;
  for (std::int64_t c = 0; c < k.c; c += 4) {
    const TapWeights w = weights_of(panel, k.c, c, channel);
    FourInts values[3][3] = {};
    for (int ky = 0; ky < 3; ++ky) {
      for (int kx = 0; kx < 3; ++kx) {
        const std::int64_t iy = y + ky - k.p.pad_top, ix = x + kx - k.p.pad_left;
        if (iy < 0 || ix < 0 || iy >= k.h || ix >= k.w) continue;
        FourBytes bytes;
        __builtin_memcpy(&bytes, k.in + ((image * k.h + iy) * k.w + ix) * k.c + c, sizeof bytes);
        values[ky][kx] = __builtin_convertvector(bytes ^ flip, FourInts) - zero;
        if (!ordered) products.add(values[ky][kx], k.p.x.scale, w.of[ky][kx], scale);
      }
    }
    for (int tap = 0; ordered && tap < 36; ++tap) {
      const int i = tap / 9, ky = tap % 9 / 3, kx = tap % 3;
      sum += product(static_cast<std::int16_t>(values[ky][kx][i]), k.p.x.scale,
                     static_cast<std::int16_t>(w.of[ky][kx][i]), scale);
    }
  }
  return ordered ? DefinedSum{sum, 0} : products.total();
}

void finish_tiles(const Work& k, const Strip& strip, std::int64_t b, const std::int16_t* panel,
                  const std::int32_t* from) {
  const Block block = block_of(k, b * 16);
  alignas(64) Sums sums[outputs];
  for (std::int64_t t = 0; t < strip.count; ++t, from += 16) {
    const Corner at = corner_of(strip, t);
    transform_back(from, strip.count * 16, k.bias + b * 16, sums);
    const auto columns = static_cast<int>(smaller(outputs, k.ow - at.x));
    for (int i = 0; i < smaller(outputs, k.oh - at.y); ++i) {
      const std::int64_t y = at.y + i;
      finish(k, block, b * 16, columns, sums[i],
             k.out + ((strip.image * k.oh + y) * k.ow + at.x) * k.oc + b * 16,
             [&](int j, std::int64_t o, bool ordered) {
               return sum_by_definition(k, panel, b * 16 + o, strip.image, y, at.x + j, ordered);
             });
    }
  }
}

}  // namespace

void quantized_winograd(const KernelCall& call) {
  const Work k = work_of(call);
  const std::int64_t across = ceil_div(k.ow, outputs), rows = ceil_div(k.oh, outputs);
  const std::int64_t blocks = k.padded / 16, tile = points * k.c;
  // Weights that leave the second-level cache are read as few times as can be.
  const std::int64_t budget = tile * k.oc * 2 > (1 << 20) ? 384 << 10 : 160 << 10;
  const Division d = divide(call, rows, across * tile * 2, blocks, k.n, budget);
  run_chunks(call, k.n * d.parts * d.groups, products_of(k, k.c), [&](std::int64_t index) {
    const std::int64_t group = index % d.groups, part = index / d.groups % d.parts;
    const std::int64_t tile_rows = smaller(d.part, rows - part * d.part);
    const Strip strip = {index / d.groups / d.parts, part * d.part * across, tile_rows * across,
                         across};
    const std::int64_t input = (strip.count * tile * 2 + 63) / 64 * 64;
    std::byte* scratch =
        thread_scratch(static_cast<std::size_t>(input + strip.count * points * 64));
    auto* x = reinterpret_cast<std::int16_t*>(scratch);
    auto* products = reinterpret_cast<std::int32_t*>(scratch + input);
    transform_tiles(k, strip, x);
    for (std::int64_t b = group * d.group; b < smaller((group + 1) * d.group, blocks); ++b) {
      const auto* w = reinterpret_cast<const std::int16_t*>(k.weights) + b * tile * 16;
      multiply(k, strip, x, w, products);
      finish_tiles(k, strip, b, w, products);
    }
  });
}

}  // namespace rulec::kernels::RULEC_ISA
