// SPDX-License-Identifier: Apache-2.0
// Nearest and linear resizing over H and W in NCHW16c; the compiler computed positions and weights.

#include "runtime/kernels.h"
#include "runtime/kernels/simd.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

void resize(const KernelCall& call) {
  ResizeParameters p;
  __builtin_memcpy(&p, call.parameters, sizeof p);
  const BlockedExtent x = blocked_extent(call.inputs[0].dims, call.inputs[0].halo);
  const BlockedExtent y = blocked_extent(call.outputs[0].dims, call.outputs[0].halo);
  const float* in = reinterpret_cast<const float*>(call.inputs[0].data) + x.origin;
  float* out = reinterpret_cast<float*>(call.outputs[0].data) + y.origin;
  const auto* position = reinterpret_cast<const std::int32_t*>(call.inputs[1].data);
  const bool linear = p.kind == ResizeKind::Linear;
  const float* weight = linear ? reinterpret_cast<const float*>(call.inputs[2].data) : nullptr;
  const auto row = [&](std::int64_t index) {
    const std::int64_t oy = index % y.h, plane = index / y.h;
    const float* source = in + plane / x.blocks * x.image + plane % x.blocks * x.plane;
    float* target = out + plane / y.blocks * y.image + plane % y.blocks * y.plane + oy * y.row;
    const std::int64_t sy = position[oy];
    const float* top = source + sy * x.row;
    if (!linear) {
      for (std::int64_t ox = 0; ox < y.w; ++ox) {
        const float* pixel = top + std::int64_t{position[y.h + ox]} * 16;
        for (int v = 0; v < 16; v += lanes)
          store(target + ox * 16 + v, load(pixel + v));
      }
      return;
    }
    const float* bottom = source + smaller(sy + 1, x.h - 1) * x.row;
    const Vec down = splat(weight[oy]);
    for (std::int64_t ox = 0; ox < y.w; ++ox) {
      const std::int64_t sx = position[y.h + ox];
      const std::int64_t a = sx * 16, b = smaller(sx + 1, x.w - 1) * 16;
      const Vec right = splat(weight[y.h + ox]);
      for (int v = 0; v < 16; v += lanes) {
        const Vec t0 = load(top + a + v), t1 = load(top + b + v);
        const Vec b0 = load(bottom + a + v), b1 = load(bottom + b + v);
        const Vec upper = fma(t1 - t0, right, t0), lower = fma(b1 - b0, right, b0);
        store(target + ox * 16 + v, fma(lower - upper, down, upper));
      }
    }
  };
  const std::int64_t rows = y.n * y.blocks * y.h;
  if (rows * y.w < 4000) {
    for (std::int64_t i = 0; i < rows; ++i)
      row(i);
  } else {
    call.pool->run(rows, row);
  }
}

}  // namespace rulec::kernels::RULEC_ISA
