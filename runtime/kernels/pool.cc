// SPDX-License-Identifier: Apache-2.0
// Max and average pooling in NCHW16c; windows are clipped to the input, so halos play no part.

#include "runtime/kernels.h"
#include "runtime/kernels/simd.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

void pool(const KernelCall& call) {
  PoolParameters p;
  __builtin_memcpy(&p, call.parameters, sizeof p);
  const BlockedExtent x = blocked_extent(call.inputs[0].dims, call.inputs[0].halo);
  const BlockedExtent y = blocked_extent(call.outputs[0].dims, call.outputs[0].halo);
  const float* in = reinterpret_cast<const float*>(call.inputs[0].data) + x.origin;
  float* out = reinterpret_cast<float*>(call.outputs[0].data) + y.origin;
  const bool max = p.kind == PoolKind::Max;
  const std::int64_t dh = p.dilation_h, dw = p.dilation_w;
  const auto row = [&](std::int64_t index) {
    const std::int64_t oy = index % y.h, plane = index / y.h;
    const float* source = in + plane / x.blocks * x.image + plane % x.blocks * x.plane;
    float* target = out + plane / y.blocks * y.image + plane % y.blocks * y.plane + oy * y.row;
    const std::int64_t top = oy * p.stride_h - p.pad_top;
    for (std::int64_t ox = 0; ox < y.w; ++ox) {
      const std::int64_t left = ox * p.stride_w - p.pad_left;
      Vec acc[vectors];
      for (int v = 0; v < vectors; ++v)
        acc[v] = splat(max ? -__builtin_inff() : 0.0f);
      std::int64_t taps = 0;
      for (std::int64_t ky = 0; ky < p.kernel_h; ++ky) {
        const std::int64_t iy = top + ky * dh;
        if (iy < 0 || iy >= x.h) continue;
        for (std::int64_t kx = 0; kx < p.kernel_w; ++kx) {
          const std::int64_t ix = left + kx * dw;
          if (ix < 0 || ix >= x.w) continue;
          ++taps;
          const float* pixel = source + iy * x.row + ix * 16;
          for (int v = 0; v < vectors; ++v) {
            const Vec value = load(pixel + v * lanes);
            acc[v] = max ? maximum(acc[v], value) : acc[v] + value;
          }
        }
      }
      if (p.kind == PoolKind::AverageIncludingPad) {
        // Taps in the declared padding count; those beyond it (ceil_mode) do not.
        const auto inside = [](std::int64_t start, std::int64_t kernel, std::int64_t dilation,
                               std::int64_t end) {
          std::int64_t n = 0;
          for (std::int64_t k = 0; k < kernel; ++k)
            n += start + k * dilation < end ? 1 : 0;
          return n;
        };
        taps = inside(top, p.kernel_h, dh, x.h + p.pad_bottom) *
               inside(left, p.kernel_w, dw, x.w + p.pad_right);
      }
      const Vec scale = splat(max || taps == 0 ? 1.0f : 1.0f / static_cast<float>(taps));
      for (int v = 0; v < vectors; ++v) {
        store(target + ox * 16 + v * lanes, max ? acc[v] : acc[v] * scale);
      }
    }
  };
  const std::int64_t rows = y.n * y.blocks * y.h;
  if (rows * y.w * p.kernel_h * p.kernel_w < 8000) {
    for (std::int64_t i = 0; i < rows; ++i)
      row(i);
  } else {
    call.pool->run(rows, row);
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
