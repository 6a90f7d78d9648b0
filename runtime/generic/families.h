// SPDX-License-Identifier: Apache-2.0
#pragma once

// The tables that registry.cc joins: one function for each file of kernels.

#include <span>

#include "runtime/generic/kernel.h"

namespace rulec::generic {

std::span<const KernelEntry>
elementwise_kernels();  // elementwise.cc: unary and binary math, logic, Where, Cast
std::span<const KernelEntry> activation_kernels();  // activation.cc: Relu … Softmax
std::span<const KernelEntry> reduction_kernels();   // reduction.cc: Reduce*, Arg*, CumSum
std::span<const KernelEntry> matmul_kernels();  // matmul.cc: MatMul, Gemm, Einsum, integer forms
std::span<const KernelEntry>
convolution_kernels();  // convolution.cc: Conv, ConvTranspose, integer forms
std::span<const KernelEntry> pooling_kernels();        // pooling.cc
std::span<const KernelEntry> normalization_kernels();  // normalization.cc
std::span<const KernelEntry> recurrent_kernels();      // recurrent.cc: LSTM, GRU, RNN
std::span<const KernelEntry> quantization_kernels();   // quantization.cc
std::span<const KernelEntry>
movement_kernels();  // movement.cc: Reshape, Transpose, Concat, Slice, …
std::span<const KernelEntry>
indexing_kernels();                            // indexing.cc: Gather*, Scatter*, TopK, NonZero, …
std::span<const KernelEntry> shape_kernels();  // shape.cc: Shape, Size, Range, ConstantOfShape, …
std::span<const KernelEntry> resize_kernels();     // resize.cc: Resize, Upsample, GridSample, …
std::span<const KernelEntry> control_kernels();    // control.cc: If, Loop, Scan
std::span<const KernelEntry> sequence_kernels();   // sequence.cc: Sequence*, Optional*, maps
std::span<const KernelEntry> detection_kernels();  // detection.cc: NonMaxSuppression, RoiAlign
std::span<const KernelEntry> plugin_kernels();     // plugins.cc: TensorRT's plugin operators
std::span<const KernelEntry> misc_kernels();       // misc.cc: strings, signal, the rest

}  // namespace rulec::generic
