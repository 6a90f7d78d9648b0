// SPDX-License-Identifier: Apache-2.0
// Dense convolutions of 8-bit numbers in NHWC (products of matrices too, as windows of one pixel).
// A chunk widens the part of the input that it reads to 16 bits, zeros around it, sums in 32 bits
// and stores 8. Sums are exact, so nothing depends on their order.
#include "runtime/kernels/quantized_product.h"

namespace rulec::kernels::RULEC_ISA {

namespace {

template <int pixels>
void dense_sums(const Work& k, const Place& at, const Pixels& first, std::int64_t pairs,
                const std::int16_t* w, const std::int32_t* bias, Sums& sums) {
  Ints total[pixels][int_vectors];
  start_sums(bias, total);
  for (std::int64_t ky = 0; ky < k.p.kernel_h; ++ky) {
    for (std::int64_t kx = 0; kx < k.p.kernel_w; ++kx) {
      const std::int64_t tap = ky * at.tap_row + kx * at.tap_column;
      const std::int16_t* x[pixels];
#pragma GCC unroll 12
      for (int i = 0; i < pixels; ++i)
        x[i] = first[i] + tap;
      for (std::int64_t c = 0; c < pairs; ++c) {
        Ints weight[int_vectors];
#pragma GCC unroll 4
        for (int v = 0; v < int_vectors; ++v)
          weight[v] = load_ints(w + v * int_lanes * 2);
        w += 32;
#pragma GCC unroll 12
        for (int i = 0; i < pixels; ++i) {
          const Ints value = pair_of(x[i] + c * 2);
#pragma GCC unroll 4
          for (int v = 0; v < int_vectors; ++v)
            total[i][v] = dot_pairs(total[i][v], value, weight[v]);
        }
      }
    }
  }
  store_sums(total, sums);
}

constexpr EachSums each_dense = RULEC_SUMS_OF_EACH(dense_sums);

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
    const Place at = {x, depth, 0, 0, 0, count};
    const std::int64_t first = index % d.groups * d.group;
    for (std::int64_t b = first; b < smaller(first + d.group, k.padded / 16); ++b) {
      const std::int16_t* w = k.weights + b * pairs * 32;
      run_pixels(k, block_of(k, b * 16), at, pairs, count, w, b * 16, k.out + from * k.oc + b * 16,
                 each_dense, [&](const std::int16_t* pixel, std::int64_t o) {
                   const auto scale =
                       static_cast<float>(k.row(QuantizedCoefficient::WeightScale)[b * 16 + o]);
                   return dense_by_definition(k, at, pairs, pixel, w + o * 2, scale);
                 });
    }
  };
  run_chunks(call, d.parts * d.groups, products_of(k, k.c), chunk);
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
      const Block block = block_of(k, b * 16);
      const Place at = {x,
                        k.p.stride_w * depth,
                        k.p.dilation_h * line,
                        k.p.dilation_w * depth,
                        k.p.stride_h * line,
                        k.ow};
      std::uint8_t* out = k.out + ((image * k.oh + row) * k.ow) * k.oc + b * 16;
      run_pixels(k, block, at, pairs, count * k.ow, w, b * 16, out, each_dense,
                 [&](const std::int16_t* pixel, std::int64_t o) {
                   const auto scale =
                       static_cast<float>(k.row(QuantizedCoefficient::WeightScale)[b * 16 + o]);
                   return dense_by_definition(k, at, pairs, pixel, w + o * 2, scale);
                 });
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

}  // namespace rulec::kernels::RULEC_ISA
