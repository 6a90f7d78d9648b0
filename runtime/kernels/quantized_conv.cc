// SPDX-License-Identifier: Apache-2.0
// Dense convolutions of 8-bit numbers in NHWC (products of matrices too, as windows of one pixel).
// A window is some runs of neighbouring bytes; a step multiplies four of them by four weights of
// each of 16 channels. Two products may be added in 16 bits, which two weights of one sign can
// leave: such a pair has one weight negated, and 255 less its input, which is its complement. Sums
// are exact, so nothing depends on their order. Activations are unsigned bytes here, signed ones
// with their first bit flipped; what zero points and complements add is in the bias.
#include "runtime/kernels/quantized_product.h"

namespace rulec::kernels::RULEC_ISA {

namespace {

// The weights of 16 channels.
struct Panel {
  const std::int8_t* weights;    // 16 channels of 4 for each step; behind masked ones their masks
  const std::uint32_t* steps;    // as QuantizedConvParameters has them
  const std::uint32_t* offsets;  // the same, in bytes from the beginning of a window
  std::int64_t plain, all;       // steps: the rest are masked

  const std::int8_t* of_step(std::int64_t s) const {
    return weights + (s < plain ? s : 2 * s - plain) * 64;
  }
};

template <int pixels, bool masked>
RULEC_INLINE void add_steps(const Panel& panel, const Pixels<std::uint8_t>& first,
                            std::int64_t begin, std::int64_t end,
                            Ints (&total)[pixels][int_vectors]) {
  constexpr std::int64_t bytes = masked ? 128 : 64;
  const std::int8_t* w = panel.of_step(begin);
  for (std::int64_t s = begin; s < end; ++s, w += bytes) {
    const std::size_t offset = panel.offsets[s];
#pragma GCC unroll 12
    for (int i = 0; i < pixels; ++i) {
      // Registers are for sums: weights stay in memory, though the same for each pixel.
      asm("" : "+r"(w));
      const Ints x = quad_of(first[i] + offset);
#pragma GCC unroll 4
      for (int v = 0; v < int_vectors; ++v) {
        const std::int8_t* of = w + v * int_lanes * 4;
        const Ints factors = masked ? xor_ints(x, load_ints(of + 64)) : x;
        total[i][v] = dot_quads(total[i][v], factors, load_ints(of));
      }
    }
  }
}

template <int pixels>
void dense_sums(const Panel& panel, const Pixels<std::uint8_t>& first, const std::int32_t* bias,
                Sums& sums) {
  Ints total[pixels][int_vectors];
  start_sums(bias, total);
  add_steps<pixels, false>(panel, first, 0, panel.plain, total);
  add_steps<pixels, true>(panel, first, panel.plain, panel.all, total);
  store_sums(total, sums);
}

constexpr auto each_dense = RULEC_EACH_TILE(dense_sums);

// How the windows of a call lie in memory, and its weights.
struct Windows {
  bool joined;               // neighbouring taps of a row are one run
  std::int64_t runs_across;  // runs of a row
  std::int64_t run_quads;    // steps of a run, if there is one for each four bytes
  std::int64_t most_steps;   // of a panel
  const std::int32_t* ends;  // of the steps of each panel: plain ones, all
  const std::uint32_t* steps;

  std::int64_t begin(std::int64_t block) const { return block == 0 ? 0 : ends[2 * block - 1]; }
  std::int64_t masked_before(std::int64_t block) const {
    std::int64_t count = 0;
    for (std::int64_t b = 0; b < block; ++b)
      count += ends[2 * b + 1] - ends[2 * b];
    return count;
  }
};
Windows windows_of(const KernelCall& call, const Work& k) {
  Windows w;
  w.joined = k.p.dilation_w == 1;
  w.runs_across = w.joined ? 1 : k.p.kernel_w;
  w.run_quads = ceil_div(w.joined ? k.p.kernel_w * k.c : k.c, 4);
  w.ends = reinterpret_cast<const std::int32_t*>(call.inputs[4].data);
  w.steps = reinterpret_cast<const std::uint32_t*>(w.ends + k.padded / 8);
  w.most_steps = 0;
  for (std::int64_t b = 0; b < k.padded / 16; ++b)
    w.most_steps = larger(w.most_steps, w.ends[2 * b + 1] - w.begin(b));
  return w;
}

// What a chunk needs beside its input.
struct Scratch {
  std::uint32_t* offsets;
  std::int16_t* weights;  // of one channel
  std::uint8_t* x;
};
Scratch scratch_of(const Work& k, const Windows& windows, std::int64_t input_bytes) {
  const std::int64_t steps = (windows.most_steps + 15) / 16 * 64;
  const std::int64_t weights =
      (k.p.kernel_h * windows.runs_across * windows.run_quads * 8 + 63) / 64 * 64;
  // The last step of a run may read three bytes beyond it.
  std::byte* at =
      thread_scratch(static_cast<std::size_t>(steps + weights + (input_bytes + 63) / 64 * 64));
  return {reinterpret_cast<std::uint32_t*>(at), reinterpret_cast<std::int16_t*>(at + steps),
          reinterpret_cast<std::uint8_t*>(at + steps + weights)};
}

// `count` numbers from `at` on as unsigned bytes.
RULEC_INLINE void copy_input(const Work& k, std::int64_t at, std::int64_t count, std::uint8_t* to) {
  const auto* from = reinterpret_cast<const std::uint8_t*>(k.in) + at;
  if (!k.input_signed) {
    __builtin_memcpy(to, from, static_cast<std::size_t>(count));
    return;
  }
  for (std::int64_t i = 0; i < count; ++i)
    to[i] = from[i] ^ 128;
}
RULEC_INLINE std::int32_t zero_byte(const Work& k) {
  return k.p.x.zero + (k.input_signed ? 128 : 0);
}

// Distances in bytes from a window's beginning to the next row of taps and the next tap of a row.
struct Taps {
  std::int64_t row, column;
};

// The sum of one element's products. The weights of its channel are what the steps add up to.
__attribute__((noinline)) DefinedSum dense_by_definition(const Work& k, const Windows& windows,
                                                         const Taps& taps, const Panel& panel,
                                                         const std::uint8_t* x,
                                                         std::int64_t channel, std::int16_t* w,
                                                         bool ordered) {
  typedef std::int16_t Four __attribute__((vector_size(8)));
  typedef std::int8_t FourSigned __attribute__((vector_size(4)));
  typedef std::uint8_t FourBytes __attribute__((vector_size(4)));
  const std::int64_t run = windows.run_quads * 4, runs = k.p.kernel_h * windows.runs_across;
  __builtin_memset(w, 0, static_cast<std::size_t>(runs * run) * 2);
  for (std::int64_t s = 0; s < panel.all; ++s) {
    const std::uint32_t step = panel.steps[s];
    std::int16_t* to = w + (step >> 20) * run + (step & 0xfffff) * 4;
    const std::int8_t* from = panel.of_step(s) + channel % 16 * 4;
    FourSigned added, mask = {};
    Four sum;
    __builtin_memcpy(&added, from, sizeof added);
    if (s >= panel.plain) __builtin_memcpy(&mask, from + 64, sizeof mask);
    __builtin_memcpy(&sum, to, sizeof sum);
    sum += __builtin_convertvector((added ^ mask) - mask, Four);  // negated where masked
    __builtin_memcpy(to, &sum, sizeof sum);
  }
  const auto scale = static_cast<float>(k.row(QuantizedCoefficient::WeightScale)[channel]);
  const std::int32_t zero = zero_byte(k);
  if (!ordered) {
    Products products;
    for (std::int64_t r = 0; r < runs; ++r) {
      const std::int64_t ky = r / windows.runs_across, kx = r % windows.runs_across;
      const std::uint8_t* from = x + ky * taps.row + kx * taps.column;
      for (std::int64_t i = 0; i < run; i += 4) {
        FourBytes bytes;
        Four weights;
        __builtin_memcpy(&bytes, from + i, sizeof bytes);
        __builtin_memcpy(&weights, w + r * run + i, sizeof weights);
        products.add(__builtin_convertvector(bytes, FourInts) - zero, k.p.x.scale,
                     __builtin_convertvector(weights, FourInts), scale);
      }
    }
    return products.total();
  }
  double sum = 0;
  for (std::int64_t c = 0; c < k.c; ++c) {
    for (std::int64_t ky = 0; ky < k.p.kernel_h; ++ky) {
      for (std::int64_t kx = 0; kx < k.p.kernel_w; ++kx) {
        const std::int64_t at =
            windows.joined ? ky * run + kx * k.c + c : (ky * k.p.kernel_w + kx) * run + c;
        const std::int32_t value = x[ky * taps.row + kx * taps.column + c] - zero;
        sum += product(static_cast<std::int16_t>(value), k.p.x.scale, w[at], scale);
      }
    }
  }
  return {sum, 0};
}

// Blocks first … end-1 of the output channels of `count` pixels at `out`.
void run_blocks(const Work& k, const Windows& windows, const Taps& taps,
                const Place<std::uint8_t>& at, std::int64_t count, std::int64_t first,
                std::int64_t end, const Scratch& scratch, std::uint8_t* out) {
  std::int64_t masked = windows.masked_before(first);
  for (std::int64_t b = first; b < end; ++b) {
    const std::int64_t begin = windows.begin(b);
    Panel panel;
    panel.weights = reinterpret_cast<const std::int8_t*>(k.weights) + (begin + masked) * 64;
    panel.steps = windows.steps + begin;
    panel.offsets = scratch.offsets;
    panel.plain = windows.ends[2 * b] - begin;
    panel.all = windows.ends[2 * b + 1] - begin;
    masked += panel.all - panel.plain;
    const auto across = static_cast<std::uint32_t>(windows.runs_across);
    const auto row = static_cast<std::uint32_t>(taps.row);
    const auto column = static_cast<std::uint32_t>(taps.column);
    for (std::int64_t s = 0; s < panel.all; ++s) {
      const std::uint32_t step = panel.steps[s], run = step >> 20;
      const std::uint32_t start =
          across == 1 ? run * row : run / across * row + run % across * column;
      scratch.offsets[s] = start + (step & 0xfffff) * 4;
    }
    run_pixels(
        k, block_of(k, b * 16), at, count, b * 16, out + b * 16,
        [&](int pixels, const Pixels<std::uint8_t>& x, Sums& sums)
            RULEC_LAMBDA_INLINE { each_dense.of[pixels - 1](panel, x, k.bias + b * 16, sums); },
        [&](const std::uint8_t* x, std::int64_t o, bool ordered) {
          return dense_by_definition(k, windows, taps, panel, x, b * 16 + o, scratch.weights,
                                     ordered);
        });
  }
}

// Windows of one pixel: the input is a matrix of pixels and channels, read where it lies if it can.
void run_matrix(const KernelCall& call, const Work& k) {
  const Windows windows = windows_of(call, k);
  const std::int64_t total = k.n * k.h * k.w, blocks = k.padded / 16;
  const bool in_place = !k.input_signed && k.c % 4 == 0;
  const Division d = divide(call, total, k.c, blocks, 1);
  run_chunks(call, d.parts * d.groups, products_of(k, k.c), [&](std::int64_t index) {
    const std::int64_t from = index / d.groups * d.part, first = index % d.groups * d.group;
    const std::int64_t count = smaller(d.part, total - from);
    const Scratch scratch = scratch_of(k, windows, in_place ? 0 : count * k.c + 3);
    const auto* x = reinterpret_cast<const std::uint8_t*>(k.in) + from * k.c;
    if (!in_place) {
      copy_input(k, from * k.c, count * k.c, scratch.x);
      x = scratch.x;
    }
    run_blocks(k, windows, {0, 0}, {x, k.c, 0, count}, count, first,
               smaller(first + d.group, blocks), scratch, k.out + from * k.oc);
  });
}

void run_windows(const KernelCall& call, const Work& k) {
  const Windows windows = windows_of(call, k);
  const std::int64_t blocks = k.padded / 16;
  const std::int64_t row_bytes = patch_of(k, 0, 1).width * k.c * k.p.stride_h;
  const Division d = divide(call, k.oh, row_bytes, blocks, k.n);
  run_chunks(call, k.n * d.parts * d.groups, products_of(k, k.c), [&](std::int64_t index) {
    const std::int64_t group = index % d.groups, part = index / d.groups % d.parts;
    const std::int64_t image = index / d.groups / d.parts, row = part * d.part;
    const std::int64_t count = smaller(d.part, k.oh - row);
    const Patch patch = patch_of(k, row, count);
    const std::int64_t line = patch.width * k.c;
    const Scratch scratch = scratch_of(k, windows, patch.rows * line + 3);
    // Beyond the edges of the input lies its zero.
    const std::int64_t first = larger(0, -patch.left);
    const std::int64_t stop = larger(first, smaller(patch.width, k.w - patch.left));
    for (std::int64_t i = 0; i < patch.rows; ++i) {
      std::uint8_t* to = scratch.x + i * line;
      const std::int64_t iy = patch.top + i;
      const bool inside = iy >= 0 && iy < k.h && first < stop;
      const std::int64_t left = inside ? first : patch.width, right = inside ? stop : patch.width;
      __builtin_memset(to, zero_byte(k), static_cast<std::size_t>(left * k.c));
      if (inside) {
        copy_input(k, ((image * k.h + iy) * k.w + patch.left + first) * k.c, (stop - first) * k.c,
                   to + first * k.c);
      }
      __builtin_memset(to + right * k.c, zero_byte(k),
                       static_cast<std::size_t>((patch.width - right) * k.c));
    }
    const Taps taps = {k.p.dilation_h * line, k.p.dilation_w * k.c};
    const Place<std::uint8_t> at = {scratch.x, k.p.stride_w * k.c, k.p.stride_h * line, k.ow};
    run_blocks(k, windows, taps, at, count * k.ow, group * d.group,
               smaller((group + 1) * d.group, blocks), scratch,
               k.out + ((image * k.oh + row) * k.ow) * k.oc);
  });
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
