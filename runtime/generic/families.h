// SPDX-License-Identifier: Apache-2.0
#pragma once

// The tables that registry.cc joins: one function for each file of kernels.

#include <span>

#include "runtime/generic/kernel.h"

namespace rulec::generic {

std::span<const KernelEntry> unary_kernels();          // unary.cc: Abs, Exp, Round, Sin, …
std::span<const KernelEntry> binary_kernels();         // binary.cc: Add, Max, BitShift, …
std::span<const KernelEntry> logic_kernels();          // logic.cc: Equal, And, IsNaN, Where, …
std::span<const KernelEntry> cast_kernels();           // cast.cc: Cast, CastLike
std::span<const KernelEntry> activation_kernels();     // activation.cc: Relu, Clip, Gelu, …
std::span<const KernelEntry> softmax_kernels();        // softmax.cc: Softmax, LogSoftmax, Hardmax
std::span<const KernelEntry> reduction_kernels();      // reduction.cc: Reduce*, Arg*, Cum*
std::span<const KernelEntry> matmul_kernels();         // matmul.cc: MatMul, Gemm, Det
std::span<const KernelEntry> einsum_kernels();         // einsum.cc
std::span<const KernelEntry> convolution_kernels();    // convolution.cc: Conv, ConvTranspose
std::span<const KernelEntry> deformation_kernels();    // deform_conv.cc: DeformConv, Col2Im
std::span<const KernelEntry> pooling_kernels();        // pooling.cc
std::span<const KernelEntry> normalization_kernels();  // normalization.cc
std::span<const KernelEntry> recurrent_kernels();      // recurrent.cc: LSTM, GRU, RNN
std::span<const KernelEntry> attention_kernels();  // attention.cc: Attention, RotaryEmbedding, …
std::span<const KernelEntry> quantization_kernels();  // quantization.cc and integer products
std::span<const KernelEntry>
movement_kernels();  // movement.cc: Reshape, Transpose, Concat, Slice, …
std::span<const KernelEntry>
indexing_kernels();  // indexing.cc: Gather*, Scatter*, Trilu, EyeLike, …
std::span<const KernelEntry>
selection_kernels();  // selection.cc: TopK, NonZero, Compress, Unique, OneHot
std::span<const KernelEntry> shape_kernels();       // shape.cc: Shape, Size, Range, ConstantOfShape
std::span<const KernelEntry> resize_kernels();      // resize.cc: Resize, Upsample
std::span<const KernelEntry> sampling_kernels();    // grid_sample.cc: GridSample, AffineGrid
std::span<const KernelEntry> control_kernels();     // control.cc: If, Loop, Scan
std::span<const KernelEntry> sequence_kernels();    // sequence.cc: Sequence*, Optional*
std::span<const KernelEntry> ml_kernels();          // ml.cc: ai.onnx.ml
std::span<const KernelEntry> detection_kernels();   // detection.cc: NonMaxSuppression, RoiAlign
std::span<const KernelEntry> plugin_nms_kernels();  // plugins_nms.cc: TensorRT's NMS plugins
std::span<const KernelEntry> plugin_kernels();      // plugins.cc: TensorRT's other plugins
std::span<const KernelEntry> text_kernels();     // text.cc: strings, regular expressions, n-grams
std::span<const KernelEntry> signal_kernels();   // signal.cc: DFT, STFT, windows
std::span<const KernelEntry> contrib_kernels();  // contrib.cc: com.microsoft's fused operators
std::span<const KernelEntry> fused_kernels();    // fused.cc: what rules/lower writes for the engine
std::span<const KernelEntry> misc_kernels();     // misc.cc: losses; random operators, refused

}  // namespace rulec::generic
