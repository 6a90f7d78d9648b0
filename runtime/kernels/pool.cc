// SPDX-License-Identifier: Apache-2.0
// Max and average pooling in NCHW16c; windows are clipped to the input, so halos play no part.

#include "runtime/kernels.h"
#include "runtime/kernels/simd.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

namespace {
struct Span {
  std::int64_t from, to;
};
}  // namespace

// The taps of a window that lie on the input: start + k * dilation in [0, size).
static Span taps_on(std::int64_t start, std::int64_t kernel, std::int64_t dilation,
                    std::int64_t size) {
  const std::int64_t from = start < 0 ? ceil_div(-start, dilation) : 0;
  const std::int64_t to = size > start ? smaller(kernel, ceil_div(size - start, dilation)) : 0;
  return {from, larger(from, to)};
}

// `count` values `step` floats apart, as one. The usual counts are written out.
template <bool Max>
RULEC_INLINE Vec fold(const float* p, std::int64_t step, std::int64_t count) {
  const auto both = [](Vec a, Vec b) RULEC_LAMBDA_INLINE { return Max ? maximum(a, b) : a + b; };
  if (count == 2) return both(load(p), load(p + step));
  if (count == 3) return both(both(load(p), load(p + step)), load(p + 2 * step));
  Vec acc = splat(Max ? -__builtin_inff() : 0.0f);
  for (std::int64_t k = 0; k < count; ++k)
    acc = both(acc, load(p + k * step));
  return acc;
}

// Down the columns of the window first, for a whole row of the input, then along the row.
template <bool Max>
static void pool_row(const PoolParameters& p, const BlockedExtent& x, const BlockedExtent& y,
                     const float* source, float* target, std::int64_t oy) {
  const std::int64_t dh = p.dilation_h, dw = p.dilation_w;
  const std::int64_t top = oy * p.stride_h - p.pad_top;
  const Span down = taps_on(top, p.kernel_h, dh, x.h);
  auto* folded =
      reinterpret_cast<float*>(thread_scratch(static_cast<std::size_t>(x.w * 16) * sizeof(float)));
  const float* first = source + (top + down.from * dh) * x.row;
  for (std::int64_t i = 0; i < x.w * 16; i += lanes)
    store(folded + i, fold<Max>(first + i, dh * x.row, down.to - down.from));
  const bool padding = p.kind == PoolKind::AverageIncludingPad;
  const Span counted_down =
      padding ? taps_on(top + p.pad_top, p.kernel_h, dh, x.h + p.pad_top + p.pad_bottom) : down;
  for (std::int64_t ox = 0; ox < y.w; ++ox) {
    const std::int64_t left = ox * p.stride_w - p.pad_left;
    const Span along = taps_on(left, p.kernel_w, dw, x.w);
    const float* from = folded + (left + along.from * dw) * 16;
    // Taps in the declared padding count; those beyond it (ceil_mode) do not.
    const Span counted =
        padding ? taps_on(left + p.pad_left, p.kernel_w, dw, x.w + p.pad_left + p.pad_right)
                : along;
    const std::int64_t taps = (counted_down.to - counted_down.from) * (counted.to - counted.from);
    const Vec scale = splat(Max || taps == 0 ? 1.0f : 1.0f / static_cast<float>(taps));
    for (int v = 0; v < vectors; ++v) {
      const Vec value = fold<Max>(from + v * lanes, dw * 16, along.to - along.from);
      store(target + ox * 16 + v * lanes, Max ? value : value * scale);
    }
  }
}

void pool(const KernelCall& call) {
  PoolParameters p;
  __builtin_memcpy(&p, call.parameters, sizeof p);
  const BlockedExtent x = blocked_extent(call.inputs[0].dims, call.inputs[0].halo);
  const BlockedExtent y = blocked_extent(call.outputs[0].dims, call.outputs[0].halo);
  const float* in = reinterpret_cast<const float*>(call.inputs[0].data) + x.origin;
  float* out = reinterpret_cast<float*>(call.outputs[0].data) + y.origin;
  const auto row = [&](std::int64_t index) {
    const std::int64_t oy = index % y.h, plane = index / y.h;
    const float* source = in + plane / x.blocks * x.image + plane % x.blocks * x.plane;
    float* target = out + plane / y.blocks * y.image + plane % y.blocks * y.plane + oy * y.row;
    if (p.kind == PoolKind::Max) {
      pool_row<true>(p, x, y, source, target, oy);
    } else {
      pool_row<false>(p, x, y, source, target, oy);
    }
  };
  const std::int64_t rows = y.n * y.blocks * y.h;
  const std::int64_t row_work = x.w * p.kernel_h + y.w * p.kernel_w;
  const std::int64_t band = larger(1, 2000 / row_work);
  const auto chunk = [&](std::int64_t index) {
    for (std::int64_t i = index * band; i < smaller(rows, (index + 1) * band); ++i)
      row(i);
  };
  if (rows * row_work < 8000) {
    for (std::int64_t i = 0; i < rows; ++i)
      row(i);
  } else {
    call.pool->run(ceil_div(rows, band), chunk);
  }
}

void global_pool(const KernelCall& call) {
  PoolParameters p;
  __builtin_memcpy(&p, call.parameters, sizeof p);
  const TensorRef& output = call.outputs[0];
  const BlockedExtent x = blocked_extent(call.inputs[0].dims, call.inputs[0].halo);
  const float* in = reinterpret_cast<const float*>(call.inputs[0].data) + x.origin;
  auto* out = reinterpret_cast<float*>(output.data);
  const bool blocked = output.layout == format::Layout::Blocked;
  const BlockedExtent y = blocked_extent(output.dims, output.halo);
  const bool max = p.kind == PoolKind::Max;
  const float scale = max ? 1.0f : 1.0f / static_cast<float>(x.h * x.w);
  const auto plane = [&](std::int64_t index) {
    const std::int64_t n = index / x.blocks, b = index % x.blocks;
    const float* source = in + n * x.image + b * x.plane;
    Vec acc[vectors];
    for (int v = 0; v < vectors; ++v)
      acc[v] = splat(max ? -__builtin_inff() : 0.0f);
    for (std::int64_t row = 0; row < x.h; ++row) {
      // A sum of row sums: fewer additions in a line, less rounding.
      Vec sum[vectors];
      for (int v = 0; v < vectors; ++v)
        sum[v] = splat(max ? -__builtin_inff() : 0.0f);
      for (std::int64_t column = 0; column < x.w; ++column) {
        const float* pixel = source + row * x.row + column * 16;
        for (int v = 0; v < vectors; ++v) {
          const Vec value = load(pixel + v * lanes);
          sum[v] = max ? maximum(sum[v], value) : sum[v] + value;
        }
      }
      for (int v = 0; v < vectors; ++v) {
        acc[v] = max ? maximum(acc[v], sum[v]) : acc[v] + sum[v];
      }
    }
    alignas(64) float values[16];
    for (int v = 0; v < vectors; ++v)
      store(values + v * lanes, acc[v] * splat(scale));
    if (blocked) {
      __builtin_memcpy(out + n * y.image + b * y.plane + y.origin, values, sizeof values);
    } else {
      __builtin_memcpy(out + n * x.c + b * 16, values,
                       static_cast<std::size_t>(smaller(16, x.c - b * 16)) * sizeof(float));
    }
  };
  const std::int64_t planes = x.n * x.blocks;
  if (planes * x.h * x.w < 4000) {
    for (std::int64_t i = 0; i < planes; ++i)
      plane(i);
  } else {
    call.pool->run(planes, plane);
  }
}

}  // namespace rulec::kernels::RULEC_ISA
