// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the convolutions of 8-bit numbers, dense and depthwise, have in common: tiles of sums and
// the division of their loops. Not what a sum is.
//
//   run_pixels(k, block_of(k, channel), at, count, channel, out, sums_of, slow);

#include <utility>

#include "runtime/kernels.h"
#include "runtime/kernels/requantize.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

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

// Where the input of a chunk lies, of bytes or widened: distances in elements.
template <typename T>
struct Place {
  const T* first;           // what the first pixel's window begins with
  std::int64_t pixel;       // to the next pixel of the output's row
  std::int64_t row, width;  // to the next row of the output, which has so many pixels
};
// What the windows of the pixels of a tile begin with.
template <typename T>
using Pixels = const T* [most_pixels];

// Channels channel … channel+15 of `count` pixels of the output, which may be of several rows.
// sums_of(pixels, begins, sums) sums a tile; slow(begin, channel, ordered) one element by the
// definition.
template <typename T, typename S, typename F>
RULEC_INLINE void run_pixels(const Work& k, const Block& block, const Place<T>& at,
                             std::int64_t count, std::int64_t channel, std::uint8_t* out, S sums_of,
                             F slow) {
  const std::int64_t tiles = ceil_div(count, most_pixels), least = count / tiles;
  const std::int64_t larger_ones = count % tiles;
  alignas(64) Sums sums;
  Pixels<T> x;
  const T *row = at.first, *next = row;
  std::int64_t column = 0;
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    const auto pixels = static_cast<int>(least + (tile < larger_ones ? 1 : 0));
    for (int i = 0; i < pixels; ++i) {
      x[i] = next;
      next += at.pixel;
      if (++column == at.width) {
        column = 0;
        row += at.row;
        next = row;
      }
    }
    sums_of(pixels, x, sums);
    finish(k, block, channel, pixels, sums, out,
           [&](int i, std::int64_t o, bool ordered) { return slow(x[i], o, ordered); });
    out += pixels * k.oc;
  }
}

// { f<1>, f<2> … }, of a template `f` of the number of pixels.
template <typename SumsOf>
struct EachTile {
  SumsOf of[most_pixels];
};
#define RULEC_EACH_TILE(f)                           \
  []<int... n>(std::integer_sequence<int, n...>) {   \
    return EachTile<decltype(&f<1>)>{{f<n + 1>...}}; \
  }                                                  \
  (std::make_integer_sequence<int, most_pixels>())

// How the chunks of a loop divide rows (or pixels) and blocks of channels among them.
struct Division {
  std::int64_t part, parts;    // rows in one, and how many
  std::int64_t group, groups;  // blocks of channels in one, and how many
};
RULEC_INLINE Division divide(const KernelCall& call, std::int64_t rows, std::int64_t row_bytes,
                             std::int64_t blocks, std::int64_t images,
                             std::int64_t bytes = 128 << 10) {
  Division d;
  d.part = smaller(rows, bytes / row_bytes < 1 ? 1 : bytes / row_bytes);
  d.parts = ceil_div(rows, d.part);
  d.part = ceil_div(rows, d.parts);
  // Each chunk prepares its input anew.
  const std::int64_t threads = call.pool->threads();
  const std::int64_t wanted = threads == 1 ? 1 : ceil_div(3 * threads, d.parts * images);
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

// The rows of the input that a chunk reads, from the first tap of its first pixel on.
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
