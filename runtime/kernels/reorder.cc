// SPDX-License-Identifier: Apache-2.0
// Between row-major tensors and NCHW16c, and between two halos of NCHW16c.

#include "runtime/kernels.h"
#include "runtime/kernels/transpose.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

namespace {
// Strides of the plain side, in floats.
struct Plain {
  std::int64_t n, c, h, w;
};
}  // namespace

static Plain plain_strides(const BlockedExtent& e, bool channels_last) {
  if (channels_last) return {e.h * e.w * e.c, 1, e.w * e.c, e.c};
  return {e.c * e.h * e.w, e.h * e.w, e.w, 1};
}

// One row of pixels of one block, the plain side as src.
static void row_to_blocked(const float* src, const Plain& s, std::int64_t channels,
                           std::int64_t width, float* dst) {
  if (s.c == 1 && channels == 16) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (int v = 0; v < 16; v += lanes)
        store(dst + x * 16 + v, load(src + x * s.w + v));
    }
    return;
  }
  // Channels that there are not are read from zeros, and make the padding.
  alignas(64) static constexpr float zeros[square] = {};
  std::int64_t x = 0;
  for (; s.w == 1 && x + square <= width; x += square) {
    for (std::int64_t c = 0; c < 16; c += square) {
      turn_square(
          [&](int i)
              RULEC_LAMBDA_INLINE { return c + i < channels ? src + (c + i) * s.c + x : zeros; },
          dst + x * 16 + c, 16);
    }
  }
  for (; x < width; ++x) {
    for (std::int64_t c = 0; c < 16; ++c)
      dst[x * 16 + c] = c < channels ? src[x * s.w + c * s.c] : 0.0f;
  }
}

static void row_to_plain(const float* src, std::int64_t channels, std::int64_t width, float* dst,
                         const Plain& s) {
  if (s.c == 1) {
    for (std::int64_t x = 0; x < width; ++x) {
      float* to = dst + x * s.w;
      if (channels == 16) {
        for (int v = 0; v < 16; v += lanes)
          store(to + v, load(src + x * 16 + v));
      } else {
        for (std::int64_t c = 0; c < channels; ++c)
          to[c] = src[x * 16 + c];
      }
    }
    return;
  }
  turn(src, 16, width, channels, dst, s.c);
}

void reorder(const KernelCall& call) {
  ReorderParameters p;
  __builtin_memcpy(&p, call.parameters, sizeof p);
  const TensorRef &in = call.inputs[0], &out = call.outputs[0];
  const bool from_blocked = in.layout == format::Layout::Blocked;
  const bool to_blocked = out.layout == format::Layout::Blocked;
  const BlockedExtent e =
      from_blocked ? blocked_extent(in.dims, in.halo) : blocked_extent(out.dims, out.halo);
  const BlockedExtent o = to_blocked ? blocked_extent(out.dims, out.halo) : e;
  const Plain s = plain_strides(e, p.channels_last != 0);
  const auto* src = reinterpret_cast<const float*>(in.data);
  auto* dst = reinterpret_cast<float*>(out.data);
  // Rows of the planes, some of a plane to a chunk.
  const std::int64_t band = larger(1, smaller(e.h, 4096 / (e.w * 16 + 1) + 1));
  const std::int64_t bands = ceil_div(e.h, band);
  const auto chunk = [&](std::int64_t index) {
    const std::int64_t n = index / bands / e.blocks, b = index / bands % e.blocks;
    const std::int64_t channels = smaller(16, e.c - b * 16);
    const std::int64_t y0 = index % bands * band, y1 = smaller(e.h, y0 + band);
    for (std::int64_t y = y0; y < y1; ++y) {
      const std::int64_t plain = n * s.n + b * 16 * s.c + y * s.h;
      if (from_blocked && to_blocked) {
        __builtin_memcpy(dst + n * o.image + b * o.plane + o.origin + y * o.row,
                         src + n * e.image + b * e.plane + e.origin + y * e.row,
                         static_cast<std::size_t>(e.w) * 64);
      } else if (from_blocked) {
        row_to_plain(src + n * e.image + b * e.plane + e.origin + y * e.row, channels, e.w,
                     dst + plain, s);
      } else {
        row_to_blocked(src + plain, s, channels, e.w,
                       dst + n * o.image + b * o.plane + o.origin + y * o.row);
      }
    }
  };
  const std::int64_t chunks = e.n * e.blocks * bands;
  if (e.n * e.blocks * e.h * e.w < 1024) {
    for (std::int64_t i = 0; i < chunks; ++i)
      chunk(i);
  } else {
    call.pool->run(chunks, chunk);
  }
}

}  // namespace rulec::kernels::RULEC_ISA
