// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the convolution kernels share: a convolution's operands made ready, loops over a part of its
// rows, which conv.cc and conv_depthwise.cc define, and the store of a tile. Not how work is parted
// among threads.

#include "runtime/kernels.h"
#include "runtime/kernels/activation.h"

namespace rulec::kernels::RULEC_ISA {

struct ConvPlan {
  ConvParameters p;
  BlockedExtent x, y, r;  // input (where it is blocked), output, residual (as the output if none)
  const float* in;        // what the first tap of output (0,0) reads
  float* out;             // pixel (0,0)
  const float* weights;
  const float* bias;
  const float* scales = nullptr;  // of channel 0; those of an image, and of a block, so far apart:
  std::int64_t scales_image = 0, scales_block = 0;
  Finish finish;
};

// Operands: input, weights, bias, then scales, slopes (PRelu), the residual where there are any.
[[maybe_unused]] static ConvPlan conv_plan(const KernelCall& call) {
  ConvPlan c;
  __builtin_memcpy(&c.p, call.parameters, sizeof c.p);
  const TensorRef &input = call.inputs[0], &output = call.outputs[0];
  c.in = reinterpret_cast<const float*>(input.data);
  if (input.layout == format::Layout::Blocked) {
    c.x = blocked_extent(input.dims, input.halo);
    c.in += c.x.origin - std::int64_t{c.p.pad_top} * c.x.row - std::int64_t{c.p.pad_left} * 16;
  }
  c.y = blocked_extent(output.dims, output.halo);
  c.r = c.y;
  c.out = reinterpret_cast<float*>(output.data) + c.y.origin;
  c.weights = reinterpret_cast<const float*>(call.inputs[1].data);
  c.bias = reinterpret_cast<const float*>(call.inputs[2].data);
  c.finish = make_finish(c.p.epilogue);
  std::size_t next = 3;
  if (c.p.scaled != 0) {
    const TensorRef& scales = call.inputs[next++];
    const BlockedExtent e = blocked_extent(scales.dims, scales.halo);
    c.scales = reinterpret_cast<const float*>(scales.data) + e.origin;
    c.scales_image = e.image;
    c.scales_block = e.plane;
  }
  if (c.p.epilogue.activation == Activation::PRelu) {
    c.finish.slopes = reinterpret_cast<const float*>(call.inputs[next++].data);
  }
  if (c.p.epilogue.residual != Residual::None) {
    c.r = blocked_extent(output.dims, call.inputs[next].halo);
    c.finish.residual = reinterpret_cast<const float*>(call.inputs[next].data) + c.r.origin;
  }
  return c;
}

// A part of the output: columns [from, to) of rows [row0, row1) of image n, in blocks
// [first_block, last_block) of channels.
struct ConvPart {
  std::int64_t n, row0, row1, from, to, first_block, last_block;
};
void direct_part(const ConvPlan& c, const ConvPart& part);
// Whole rows.
void depthwise_part(const ConvPlan& c, const ConvPart& part);

// conv_few.cc: all of a convolution whose output channels would leave most lanes of a vector empty.
bool takes_few_outputs(const ConvPlan& c);
void few_outputs(const ConvPlan& c, ThreadPool& pool);

// Whether the rows of a pointwise convolution lie one behind the other on both sides, so that they
// may be taken as one.
[[maybe_unused]] static bool is_one_row(const ConvPlan& c) {
  return c.p.kernel_h == 1 && c.p.kernel_w == 1 && c.p.stride_h == 1 && c.p.stride_w == 1 &&
         c.p.pad_top == 0 && c.p.pad_left == 0 && c.x.row == c.x.w * 16 && c.y.row == c.y.w * 16 &&
         c.x.w == c.y.w && (c.finish.residual == nullptr || c.r.row == c.y.row);
}
// … and taken so: `rows` of them, from the first on.
[[maybe_unused]] static ConvPlan as_one_row(ConvPlan c, std::int64_t rows) {
  c.x.w = c.y.w = c.r.w = c.y.w * rows;
  c.x.h = c.y.h = c.r.h = 1;
  c.x.row = c.y.row = c.r.row = c.y.w * 16;
  return c;
}

// Bounds and an addend before them, for P pixels of V vectors. The flags are read once: a store of
// vectors may alias anything.
template <int P, int V>
RULEC_INLINE void store_bounded(const Vec (&acc)[P][V], float* out, const float* added, Vec low,
                                Vec high) {
  if (added != nullptr) {
#pragma GCC unroll 14
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const Vec y = acc[p][v] + load(added + p * 16 + v * lanes);
        store(out + p * 16 + v * lanes, minimum(high, maximum(low, y)));
      }
    }
    return;
  }
#pragma GCC unroll 14
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      store(out + p * 16 + v * lanes, minimum(high, maximum(low, acc[p][v])));
  }
}

}  // namespace rulec::kernels::RULEC_ISA
