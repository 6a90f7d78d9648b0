// SPDX-License-Identifier: Apache-2.0
// Gather along one axis. The executor has refused indices outside of it; constant ones that a
// damaged file holds give the nearest element, never foreign memory.

#include "runtime/kernels.h"
#include "runtime/kernels/simd.h"

namespace rulec::kernels::RULEC_ISA {

void gather(const KernelCall& call) {
  GatherParameters p;
  __builtin_memcpy(&p, call.parameters, sizeof p);
  const std::byte* in = call.inputs[0].data;
  std::byte* out = call.outputs[0].data;
  const bool wide = call.inputs[1].dtype == DType::I64;
  const std::int64_t axis = p.axis;
  for (std::int64_t o = 0; o < p.outer; ++o) {
    for (std::int64_t i = 0; i < p.count; ++i) {
      std::int64_t index = 0;
      if (wide) {
        __builtin_memcpy(&index, call.inputs[1].data + i * 8, 8);
      } else {
        std::int32_t narrow = 0;
        __builtin_memcpy(&narrow, call.inputs[1].data + i * 4, 4);
        index = narrow;
      }
      if (index < 0) index += axis;
      index = larger(0, smaller(axis - 1, index));
      __builtin_memcpy(out + (o * p.count + i) * p.inner_bytes,
                       in + (o * axis + index) * p.inner_bytes, p.inner_bytes);
    }
  }
}

}  // namespace rulec::kernels::RULEC_ISA
