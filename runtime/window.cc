// SPDX-License-Identifier: Apache-2.0
#include "runtime/window.h"

#include <algorithm>

namespace rulec {

std::optional<Window> window_of(const Attributes& attributes, const Shape& input,
                                const Shape& output, const Shape& kernel) {
  const std::size_t spatial = input.size() - 2;
  if ((spatial != 1 && spatial != 2) || kernel.size() != spatial || output.size() != input.size()) {
    return std::nullopt;
  }
  auto strides = attributes.integers("strides"), dilations = attributes.integers("dilations");
  auto pads = attributes.integers("pads");
  if (strides.empty()) strides.assign(spatial, 1);
  if (dilations.empty()) dilations.assign(spatial, 1);
  if (pads.empty()) pads.assign(2 * spatial, 0);
  if (strides.size() != spatial || dilations.size() != spatial || pads.size() != 2 * spatial) {
    return std::nullopt;
  }
  const std::string_view mode = attributes.text("auto_pad", "NOTSET");
  Window w;
  for (std::size_t i = 0; i < spatial; ++i) {
    const std::int64_t size = input[2 + i], out = output[2 + i];
    const std::int64_t reach = (kernel[i] - 1) * dilations[i];
    if (strides[i] < 1 || dilations[i] < 1 || kernel[i] < 1 || strides[i] > 4096 ||
        dilations[i] > 4096) {
      return std::nullopt;
    }
    std::int64_t before = pads[i], after = pads[spatial + i];
    if (mode == "VALID") {
      before = after = 0;
    } else if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
      const std::int64_t total =
          std::max<std::int64_t>(0, (out - 1) * strides[i] + reach + 1 - size);
      before = mode == "SAME_UPPER" ? total / 2 : total - total / 2;
      after = total - before;
    }
    if (reach >= size + before + after) return std::nullopt;  // no window fits
    // What the last window covers beyond the end; ceil_mode may make it more than the padding.
    const std::int64_t over = (out - 1) * strides[i] - before + reach - (size - 1);
    if (before < 0 || after < 0 || before > 4096 || after > 4096 || over > 4096)
      return std::nullopt;
    w.halo = std::max({w.halo, before, over});
    const auto u = [](std::int64_t v) { return static_cast<std::uint32_t>(v); };
    if (i + 1 == spatial) {
      w.stride_w = u(strides[i]);
      w.dilation_w = u(dilations[i]);
      w.pad_left = u(before);
      w.pad_right = u(after);
    } else {
      w.stride_h = u(strides[i]);
      w.dilation_h = u(dilations[i]);
      w.pad_top = u(before);
      w.pad_bottom = u(after);
    }
  }
  return w;
}

std::optional<kernels::PoolParameters> pool_of(const Attributes& attributes, const Shape& input,
                                               const Shape& output) {
  const auto kernel = attributes.integers("kernel_shape");
  const auto window = window_of(attributes, input, output, kernel);
  if (!window || kernel.size() != 2 || kernel[0] > 4096 || kernel[1] > 4096) return std::nullopt;
  kernels::PoolParameters p;
  set_window(p, kernel[0], kernel[1], *window);
  p.pad_bottom = window->pad_bottom;
  p.pad_right = window->pad_right;
  return p;
}

}  // namespace rulec
