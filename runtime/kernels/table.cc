// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernels.h"

namespace rulec::kernels::RULEC_ISA {

void reorder(const KernelCall& call);
void conv(const KernelCall& call);
void conv_stem(const KernelCall& call);
void conv_depthwise(const KernelCall& call);
void conv_winograd(const KernelCall& call);
void pool(const KernelCall& call);
void global_pool(const KernelCall& call);
void chain(const KernelCall& call);
void gemm(const KernelCall& call);
void matmul(const KernelCall& call);
void rows(const KernelCall& call);
void copy(const KernelCall& call);
void resize(const KernelCall& call);
void gather(const KernelCall& call);
void recurrent(const KernelCall& call);
void typed(const KernelCall& call);
void quantized_conv(const KernelCall& call);
void quantized_depthwise(const KernelCall& call);
void quantized_winograd(const KernelCall& call);
void quantized_pool(const KernelCall& call);
void quantized(const KernelCall& call);

KernelTable table();
KernelTable table() {
  KernelTable t;
  const auto set = [&t](Opcode opcode, FastKernel kernel) {
    t.run[static_cast<std::size_t>(opcode)] = kernel;
  };
  set(Opcode::Reorder, reorder);
  set(Opcode::Conv, conv);
  set(Opcode::ConvStem, conv_stem);
  set(Opcode::ConvDepthwise, conv_depthwise);
  set(Opcode::ConvWinograd, conv_winograd);
  set(Opcode::Pool, pool);
  set(Opcode::GlobalPool, global_pool);
  set(Opcode::Chain, chain);
  set(Opcode::Gemm, gemm);
  set(Opcode::MatMul, matmul);
  set(Opcode::Softmax, rows);
  set(Opcode::LayerNorm, rows);
  set(Opcode::Reduce, rows);
  set(Opcode::Copy, copy);
  set(Opcode::Resize, resize);
  set(Opcode::Gather, gather);
  set(Opcode::Recurrent, recurrent);
  set(Opcode::Typed, typed);
  set(Opcode::QuantizedConv, quantized_conv);
  set(Opcode::QuantizedDepthwise, quantized_depthwise);
  set(Opcode::QuantizedWinograd, quantized_winograd);
  set(Opcode::QuantizedPool, quantized_pool);
  set(Opcode::Quantized, quantized);
  return t;
}

}  // namespace rulec::kernels::RULEC_ISA
