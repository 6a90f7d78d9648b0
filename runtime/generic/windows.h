// SPDX-License-Identifier: Apache-2.0
#pragma once

// How a kernel's window slides over the spatial axes of an operand [N, C, spatial…]: the attributes
// that convolutions and poolings share.

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/generic/kernel.h"

namespace rulec::generic {

struct Windows {
  Shape in;      // spatial sizes
  Shape kernel;  // taps along each axis
  Shape strides, dilations;
  Shape begin, end;  // padding
  Shape out;         // spatial sizes

  std::int64_t taps() const { return element_count(kernel); }
};

// From `kernel_shape` (or `kernel` where that is absent), `strides`, `dilations`, `pads`,
// `auto_pad`, `ceil_mode`. Refuses sizes that do not fit.
Result<Windows> plan_windows(const Call& call, std::span<const std::int64_t> spatial,
                             std::span<const std::int64_t> kernel);

// The padded positions of one window: offsets of its taps into the spatial elements, -1 where the
// tap lies in the padding. `position` counts outputs in row-major order.
void window_offsets(const Windows& windows, std::int64_t position,
                    std::vector<std::int64_t>& offsets);

}  // namespace rulec::generic
