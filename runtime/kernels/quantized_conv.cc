// SPDX-License-Identifier: Apache-2.0
// Convolutions of 8-bit numbers in NHWC: dense (products of matrices too, as windows of one pixel)
// and depthwise. A chunk widens the part of the input that it reads to 16 bits, zeros around it,
// sums in 32 bits and stores 8. Sums are exact, so nothing depends on their order.

#include "runtime/kernels.h"
#include "runtime/kernels/quantized.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

namespace {

constexpr int most_pixels = int_lanes == 16 ? 12 : int_lanes == 8 ? 6 : 2;
using Sums = std::int32_t[most_pixels][16];

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
};

Work work_of(const KernelCall& call) {
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

// Up to 16 channels of `count` neighbours in a row, from element `at` on.
template <typename T>
RULEC_INLINE void widen_pixels(const T* from, std::int64_t step, std::int64_t count,
                               std::int64_t channels, std::int32_t zero, std::int16_t* to) {
  if (channels == 16) {
    for (std::int64_t j = 0; j < count; ++j)
      widen(from + j * step, 16, zero, to + j * 16);
  } else {
    for (std::int64_t j = 0; j < count; ++j)
      widen(from + j * step, channels, zero, to + j * 16);
  }
}

void widen_block(const Work& k, std::int64_t at, std::int64_t count, std::int64_t channels,
                 std::int16_t* to) {
  const std::int64_t step = k.c;
  const std::int32_t zero = k.p.x.zero;
  if (k.input_signed) {
    widen_pixels(reinterpret_cast<const std::int8_t*>(k.in) + at, step, count, channels, zero, to);
  } else {
    widen_pixels(reinterpret_cast<const std::uint8_t*>(k.in) + at, step, count, channels, zero, to);
  }
}

// DequantizeLinear, Conv and QuantizeLinear one after the other, each rounded as ONNX defines it,
// for one element whose sum over the taps is given in doubles.
std::uint8_t by_definition(const Work& k, std::int64_t channel, double sum) {
  const auto value = static_cast<float>(sum + k.row(QuantizedCoefficient::Bias)[channel]);
  return static_cast<std::uint8_t>(stored(value / k.p.y.scale, k.p.y.zero, k.p.low, k.p.high));
}

RULEC_INLINE double product(std::int16_t x, float x_scale, std::int16_t w, float w_scale) {
  const float a = static_cast<float>(x) * x_scale, b = static_cast<float>(w) * w_scale;
  return static_cast<double>(a) * static_cast<double>(b);
}

// GCC's vectors are lowered to what the instruction set has.
constexpr int wide = int_lanes == 16 ? 8 : 4;
typedef double Doubles __attribute__((vector_size(wide * 8)));
typedef std::int64_t Truths __attribute__((vector_size(wide * 8)));
typedef std::int32_t Narrow __attribute__((vector_size(wide * 4)));

// Sixteen sums to stored numbers. True: the definition may round one of them to its neighbour.
RULEC_INLINE bool requantize(const Work& k, std::int64_t channel, const std::int32_t* sums,
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

// `pixels` neighbours of a row, 16 channels: sums, then stored numbers. `slow` gives a sum by the
// definition.
template <typename F>
RULEC_INLINE void finish(const Work& k, std::int64_t channel, int pixels, const Sums& sums,
                         std::uint8_t* out, F slow) {
  const std::int64_t channels = smaller(16, k.oc - channel);
  for (int i = 0; i < pixels; ++i) {
    std::uint8_t row[16];
    bool in_doubt[16];
    if (requantize(k, channel, sums[i], row, in_doubt)) {
      for (std::int64_t o = 0; o < channels; ++o) {
        if (in_doubt[o]) row[o] = by_definition(k, channel + o, slow(i, o));
      }
    }
    if (channels == 16) {
      __builtin_memcpy(out + i * k.oc, row, 16);
    } else {
      for (std::int64_t o = 0; o < channels; ++o)
        out[i * k.oc + o] = row[o];
    }
  }
}

template <int pixels>
void dense_sums(const Work& k, const Place& at, std::int64_t pairs, const std::int16_t* w,
                const std::int32_t* bias, Sums& sums) {
  Ints total[pixels][int_vectors];
  for (int v = 0; v < int_vectors; ++v) {
    for (int i = 0; i < pixels; ++i)
      total[i][v] = load_ints(bias + v * int_lanes);
  }
  for (std::int64_t ky = 0; ky < k.p.kernel_h; ++ky) {
    for (std::int64_t kx = 0; kx < k.p.kernel_w; ++kx) {
      const std::int16_t* x = at.first + ky * at.tap_row + kx * at.tap_column;
      for (std::int64_t c = 0; c < pairs; ++c) {
        Ints weight[int_vectors];
        for (int v = 0; v < int_vectors; ++v)
          weight[v] = load_ints(w + v * int_lanes * 2);
        w += 32;
#pragma GCC unroll 12
        for (int i = 0; i < pixels; ++i) {
          const Ints value = pair_of(x + i * at.pixel + c * 2);
          for (int v = 0; v < int_vectors; ++v)
            total[i][v] = dot_pairs(total[i][v], value, weight[v]);
        }
      }
    }
  }
  for (int i = 0; i < pixels; ++i) {
    for (int v = 0; v < int_vectors; ++v)
      store_ints(sums[i] + v * int_lanes, total[i][v]);
  }
}

template <int pixels>
void depthwise_sums(const Work& k, const Place& at, std::int64_t, const std::int16_t* w,
                    const std::int32_t* bias, Sums& sums) {
  Ints total[pixels][int_vectors];
  for (int v = 0; v < int_vectors; ++v) {
    for (int i = 0; i < pixels; ++i)
      total[i][v] = load_ints(bias + v * int_lanes);
  }
  for (std::int64_t ky = 0; ky < k.p.kernel_h; ++ky) {
    for (std::int64_t kx = 0; kx < k.p.kernel_w; kx += 2) {
      const std::int16_t* x = at.first + ky * at.tap_row + kx * at.tap_column;
      for (int v = 0; v < int_vectors; ++v) {
        const Ints weight = load_ints(w + v * int_lanes * 2);
#pragma GCC unroll 12
        for (int i = 0; i < pixels; ++i) {
          total[i][v] =
              dot_pairs(total[i][v], load_ints(x + i * at.pixel + v * int_lanes * 2), weight);
        }
      }
      w += 32;
    }
  }
  for (int i = 0; i < pixels; ++i) {
    for (int v = 0; v < int_vectors; ++v)
      store_ints(sums[i] + v * int_lanes, total[i][v]);
  }
}

using SumsOf = void (*)(const Work&, const Place&, std::int64_t, const std::int16_t*,
                        const std::int32_t*, Sums&);

template <bool depthwise, int pixels>
SumsOf sums_of(int wanted) {
  if constexpr (pixels > 1) {
    if (wanted < pixels) return sums_of<depthwise, pixels - 1>(wanted);
  }
  return depthwise ? depthwise_sums<pixels> : dense_sums<pixels>;
}

// Channels channel … channel+15 of `count` neighbours in a row of the output.
template <bool depthwise, typename F>
void run_row(const Work& k, Place at, std::int64_t pairs, std::int64_t count, const std::int16_t* w,
             std::int64_t channel, std::uint8_t* out, F slow) {
  const std::int64_t tiles = ceil_div(count, most_pixels);
  alignas(64) Sums sums;
  for (std::int64_t tile = 0, done = 0; tile < tiles; ++tile) {
    const auto pixels = static_cast<int>(ceil_div(count - done, tiles - tile));
    sums_of<depthwise, most_pixels>(pixels)(k, at, pairs, w, k.bias + channel, sums);
    finish(k, channel, pixels, sums, out + done * k.oc,
           [&](int i, std::int64_t o) { return slow(at.first + i * at.pixel, o); });
    at.first += pixels * at.pixel;
    done += pixels;
  }
}

// The sum of one element's products in doubles, in the order of the generic kernel.
double dense_by_definition(const Work& k, const Place& at, std::int64_t pairs,
                           const std::int16_t* x, const std::int16_t* w, float w_scale) {
  double sum = 0;
  for (std::int64_t c = 0; c < k.c; ++c) {
    for (std::int64_t ky = 0; ky < k.p.kernel_h; ++ky) {
      for (std::int64_t kx = 0; kx < k.p.kernel_w; ++kx) {
        const std::int64_t tap = (ky * k.p.kernel_w + kx) * pairs + c / 2;
        sum += product(x[ky * at.tap_row + kx * at.tap_column + c], k.p.x.scale,
                       w[tap * 32 + c % 2], w_scale);
      }
    }
  }
  return sum;
}

double depthwise_by_definition(const Work& k, const Place& at, const std::int16_t* x,
                               const std::int16_t* w, float w_scale) {
  const std::int64_t pairs = (k.p.kernel_w + 1) / 2;
  double sum = 0;
  for (std::int64_t ky = 0; ky < k.p.kernel_h; ++ky) {
    for (std::int64_t kx = 0; kx < k.p.kernel_w; ++kx) {
      sum += product(x[ky * at.tap_row + kx * at.tap_column], k.p.x.scale,
                     w[(ky * pairs + kx / 2) * 32 + kx % 2], w_scale);
    }
  }
  return sum;
}

// How the chunks of a loop divide rows (or pixels) and blocks of channels among them.
struct Division {
  std::int64_t part, parts;    // rows in one, and how many
  std::int64_t group, groups;  // blocks of channels in one, and how many
};
Division divide(std::int64_t rows, std::int64_t row_bytes, std::int64_t blocks,
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
void run_chunks(const KernelCall& call, std::int64_t chunks, double products, const F& f) {
  if (products < 100000) {
    for (std::int64_t i = 0; i < chunks; ++i)
      f(i);
  } else {
    call.pool->run(chunks, f);
  }
}

double products_of(const Work& k, std::int64_t channels) {
  return static_cast<double>(k.n * k.oh * k.ow * k.oc) *
         static_cast<double>(channels * k.p.kernel_h * k.p.kernel_w);
}

// Windows of one pixel: the input is a matrix of pixels and channels.
void run_matrix(const KernelCall& call, const Work& k) {
  const std::int64_t pairs = (k.c + 1) / 2, depth = pairs * 2, total = k.n * k.h * k.w;
  const Division d = divide(total, depth * 2, k.padded / 16, 1);
  const auto chunk = [&](std::int64_t index) {
    const std::int64_t from = index / d.groups * d.part;
    const std::int64_t count = smaller(d.part, total - from);
    auto* x = reinterpret_cast<std::int16_t*>(
        thread_scratch(static_cast<std::size_t>(count * depth) * 2));
    if (depth == k.c) {
      widen_input(k, from * k.c, count * k.c, x);
    } else {
      for (std::int64_t i = 0; i < count; ++i) {
        widen_input(k, (from + i) * k.c, k.c, x + i * depth);
        x[i * depth + k.c] = 0;
      }
    }
    const Place at = {x, depth, 0, 0};
    const std::int64_t first = index % d.groups * d.group;
    for (std::int64_t b = first; b < smaller(first + d.group, k.padded / 16); ++b) {
      const std::int16_t* w = k.weights + b * pairs * 32;
      run_row<false>(k, at, pairs, count, w, b * 16, k.out + from * k.oc + b * 16,
                     [&](const std::int16_t* pixel, std::int64_t o) {
                       const auto scale =
                           static_cast<float>(k.row(QuantizedCoefficient::WeightScale)[b * 16 + o]);
                       return dense_by_definition(k, at, pairs, pixel, w + o * 2, scale);
                     });
    }
  };
  run_chunks(call, d.parts * d.groups, products_of(k, k.c), chunk);
}

// The rows of the input that a chunk reads, widened, from the first tap of its first pixel on.
struct Patch {
  std::int64_t top, left;  // of the input; may be outside
  std::int64_t rows, width;
};
Patch patch_of(const Work& k, std::int64_t row, std::int64_t count) {
  return {row * k.p.stride_h - k.p.pad_top, -std::int64_t{k.p.pad_left},
          (count - 1) * k.p.stride_h + (k.p.kernel_h - 1) * std::int64_t{k.p.dilation_h} + 1,
          (k.ow - 1) * k.p.stride_w + (k.p.kernel_w - 1) * std::int64_t{k.p.dilation_w} + 1};
}

void run_windows(const KernelCall& call, const Work& k) {
  const std::int64_t pairs = (k.c + 1) / 2, depth = pairs * 2;
  const std::int64_t taps = std::int64_t{k.p.kernel_h} * k.p.kernel_w;
  const std::int64_t row_bytes = patch_of(k, 0, 1).width * depth * 2 * k.p.stride_h;
  const Division d = divide(k.oh, row_bytes, k.padded / 16, k.n);
  const auto chunk = [&](std::int64_t index) {
    const std::int64_t group = index % d.groups, part = index / d.groups % d.parts;
    const std::int64_t image = index / d.groups / d.parts, row = part * d.part;
    const std::int64_t count = smaller(d.part, k.oh - row);
    const Patch patch = patch_of(k, row, count);
    const std::int64_t line = patch.width * depth;
    auto* x = reinterpret_cast<std::int16_t*>(
        thread_scratch(static_cast<std::size_t>(patch.rows * line) * 2));
    for (std::int64_t i = 0; i < patch.rows; ++i) {
      std::int16_t* to = x + i * line;
      const std::int64_t iy = patch.top + i;
      if (iy < 0 || iy >= k.h) {
        __builtin_memset(to, 0, static_cast<std::size_t>(line) * 2);
        continue;
      }
      for (std::int64_t j = 0; j < patch.width; ++j) {
        const std::int64_t ix = patch.left + j;
        if (ix < 0 || ix >= k.w) {
          __builtin_memset(to + j * depth, 0, static_cast<std::size_t>(depth) * 2);
        } else if (depth == k.c) {
          // The rest of the row at once.
          const std::int64_t pixels = smaller(k.w - ix, patch.width - j);
          widen_input(k, ((image * k.h + iy) * k.w + ix) * k.c, pixels * k.c, to + j * depth);
          j += pixels - 1;
        } else {
          widen_input(k, ((image * k.h + iy) * k.w + ix) * k.c, k.c, to + j * depth);
          to[j * depth + k.c] = 0;
        }
      }
    }
    for (std::int64_t b = group * d.group; b < smaller((group + 1) * d.group, k.padded / 16); ++b) {
      const std::int16_t* w = k.weights + b * taps * pairs * 32;
      for (std::int64_t i = 0; i < count; ++i) {
        const Place at = {x + i * k.p.stride_h * line, k.p.stride_w * depth, k.p.dilation_h * line,
                          k.p.dilation_w * depth};
        std::uint8_t* out = k.out + ((image * k.oh + row + i) * k.ow) * k.oc + b * 16;
        run_row<false>(
            k, at, pairs, k.ow, w, b * 16, out, [&](const std::int16_t* pixel, std::int64_t o) {
              const auto scale =
                  static_cast<float>(k.row(QuantizedCoefficient::WeightScale)[b * 16 + o]);
              return dense_by_definition(k, at, pairs, pixel, w + o * 2, scale);
            });
      }
    }
  };
  run_chunks(call, k.n * d.parts * d.groups, products_of(k, k.c), chunk);
}

}  // namespace

void quantized_conv(const KernelCall& call) {
  const Work k = work_of(call);
  const bool point = k.p.kernel_h == 1 && k.p.kernel_w == 1 && k.p.stride_h == 1 &&
                     k.p.stride_w == 1 && k.oh == k.h && k.ow == k.w && k.p.pad_top == 0 &&
                     k.p.pad_left == 0;
  if (point) {
    run_matrix(call, k);
  } else {
    run_windows(call, k);
  }
}

// The widened input of 16 channels holds each pixel beside the next tap's: one instruction takes
// two taps.
void quantized_depthwise(const KernelCall& call) {
  const Work k = work_of(call);
  const std::int64_t pairs = (k.p.kernel_w + 1) / 2;
  const std::int64_t row_bytes = patch_of(k, 0, 1).width * 64 * k.p.stride_h;
  const Division d = divide(k.oh, row_bytes, k.padded / 16, k.n);
  const auto chunk = [&](std::int64_t index) {
    const std::int64_t group = index % d.groups, part = index / d.groups % d.parts;
    const std::int64_t image = index / d.groups / d.parts, row = part * d.part;
    const std::int64_t count = smaller(d.part, k.oh - row);
    const Patch patch = patch_of(k, row, count);
    const std::int64_t line = patch.width * 32, reach = k.p.dilation_w;
    auto* x = reinterpret_cast<std::int16_t*>(thread_scratch(
        static_cast<std::size_t>(patch.rows * line + (patch.width + reach) * 16) * 2));
    for (std::int64_t b = group * d.group; b < smaller((group + 1) * d.group, k.padded / 16); ++b) {
      const std::int64_t channels = smaller(16, k.c - b * 16);
      for (std::int64_t i = 0; i < patch.rows; ++i) {
        const std::int64_t iy = patch.top + i;
        if (iy < 0 || iy >= k.h) {
          __builtin_memset(x + i * line, 0, static_cast<std::size_t>(line) * 2);
          continue;
        }
        // The row alone, then each pixel with the one that the next tap reads.
        std::int16_t* row16 = x + patch.rows * line;
        __builtin_memset(row16, 0, static_cast<std::size_t>(patch.width + reach) * 32);
        const std::int64_t first = patch.left < 0 ? -patch.left : 0;
        const std::int64_t end = smaller(patch.width, k.w - patch.left);
        const std::int64_t from = ((image * k.h + iy) * k.w + patch.left + first) * k.c + b * 16;
        widen_block(k, from, end - first, channels, row16 + first * 16);
        std::int16_t* to = x + i * line;
        const std::int16_t* next = row16 + reach * 16;
        for (std::int64_t j = 0; j < patch.width * 16; ++j) {
          to[2 * j] = row16[j];
          to[2 * j + 1] = next[j];
        }
      }
      const std::int16_t* w = k.weights + b * k.p.kernel_h * pairs * 32;
      for (std::int64_t i = 0; i < count; ++i) {
        const Place at = {x + i * k.p.stride_h * line, k.p.stride_w * std::int64_t{32},
                          k.p.dilation_h * line, k.p.dilation_w * std::int64_t{32}};
        std::uint8_t* out = k.out + ((image * k.oh + row + i) * k.ow) * k.oc + b * 16;
        run_row<true>(
            k, at, pairs, k.ow, w, b * 16, out, [&](const std::int16_t* pixel, std::int64_t o) {
              const auto scale =
                  static_cast<float>(k.row(QuantizedCoefficient::WeightScale)[b * 16 + o]);
              return depthwise_by_definition(k, at, pixel + o * 2, w + o * 2, scale);
            });
      }
    }
  };
  run_chunks(call, k.n * d.parts * d.groups, products_of(k, 1) * 4, chunk);
}

}  // namespace rulec::kernels::RULEC_ISA
