// SPDX-License-Identifier: Apache-2.0
#pragma once

// Weights in the order in which the fast kernels read them (kernels/parameters.h says which).

#include <cstdint>
#include <span>

#include "runtime/tensor.h"

namespace rulec::backend {

// [oc][ic/groups][kh][kw] to [oc/16][ic/16][kh][kw][16 ic][16 oc]; groups become zeros between
// them.
Tensor pack_conv(const Tensor& weights, std::int64_t groups);
// … to [oc/16][ic][kh][kw][16].
Tensor pack_stem(const Tensor& weights);
// [oc][ic][3][3] to [oc/16][(m+2)^2][ic][16], transformed by F(m,3), m = 2 or 4, in double.
Tensor pack_winograd(const Tensor& weights, int m);
// [c][1][kh][kw] to [c/16][kh][kw][16].
Tensor pack_depthwise(const Tensor& weights);
// [k][n] (or [n][k] when transposed) times scale to [n/16][k][16].
Tensor pack_columns(std::span<const float> weights, std::int64_t depth, std::int64_t columns,
                    bool transposed, float scale = 1.0f);
// Weights less their zero points, [c][kh][kw], to i16 [c/16][kh][kw/2][16][2].
Tensor pack_depthwise_pairs(std::span<const std::int16_t> weights, std::int64_t channels,
                            std::int64_t kh, std::int64_t kw);
// Weights less their zero points, [oc][ic][3][3], transformed by F(4,3), rows of the transform
// times 4, -6, -6, 24, 24, 1, to i16 [oc/16][36][ic/2][16][2]; ic is even.
Tensor pack_whole_winograd(std::span<const std::int16_t> weights, std::int64_t oc, std::int64_t ic);
// A vector filled up to a multiple of 16 with `fill`; of nothing: all `fill`.
Tensor pad_vector(std::span<const float> values, std::int64_t size, float fill);

}  // namespace rulec::backend
