// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/attribute.h"
#include "runtime/kernels/parameters.h"
#include "runtime/shape.h"

namespace rulec {

// Strides, padding and dilation of a Conv or Pool over [N,C,H,W] or [N,C,W], with auto_pad
// resolved, and how far its windows reach over the input's edges (`halo`, on the worst side).
struct Window {
  std::uint32_t stride_h = 1, stride_w = 1;
  std::uint32_t dilation_h = 1, dilation_w = 1;
  std::uint32_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  std::int64_t halo = 0;
};
// Nothing for negative padding, sizes that contradict one another, and other ranks.
std::optional<Window> window_of(const Attributes& attributes, const Shape& input,
                                const Shape& output, const Shape& kernel);

// Writes a kernel of [height, width] and its window into parameters of a convolution or pooling.
template <typename Parameters>
void set_window(Parameters& p, std::int64_t height, std::int64_t width, const Window& window) {
  p.kernel_h = static_cast<std::uint32_t>(height);
  p.kernel_w = static_cast<std::uint32_t>(width);
  p.stride_h = window.stride_h;
  p.stride_w = window.stride_w;
  p.dilation_h = window.dilation_h;
  p.dilation_w = window.dilation_w;
  p.pad_top = window.pad_top;
  p.pad_left = window.pad_left;
}

// The same for a pooling, by its attribute kernel_shape; of kind Max.
std::optional<kernels::PoolParameters> pool_of(const Attributes& attributes, const Shape& input,
                                               const Shape& output);

}  // namespace rulec
