// SPDX-License-Identifier: Apache-2.0
#include "runtime/generic/windows.h"

namespace rulec::generic {

static Result<Shape> sizes(const Call& call, std::string_view name, std::size_t rank,
                           std::int64_t otherwise, std::int64_t least) {
  Shape values = call.attributes.integers(name);
  if (values.empty()) return Shape(rank, otherwise);
  if (values.size() != rank) {
    return make_error("the attribute {} has {} values, but {} are needed", name, values.size(),
                      rank);
  }
  for (const std::int64_t value : values) {
    if (value < least) return make_error("the attribute {} holds {}", name, value);
  }
  return values;
}

Result<Windows> plan_windows(const Call& call, std::span<const std::int64_t> spatial,
                             std::span<const std::int64_t> kernel) {
  const std::size_t rank = spatial.size();
  Windows w;
  w.in.assign(spatial.begin(), spatial.end());
  w.kernel = call.attributes.integers("kernel_shape");
  if (w.kernel.empty()) w.kernel.assign(kernel.begin(), kernel.end());
  if (w.kernel.size() != rank) {
    return make_error("the kernel has {} axes, but the operand has {} spatial ones",
                      w.kernel.size(), rank);
  }
  if (!kernel.empty() && !std::equal(kernel.begin(), kernel.end(), w.kernel.begin())) {
    return make_error("the attribute kernel_shape {} is not that of the weights, {}",
                      to_string(w.kernel), to_string(kernel));
  }
  for (const std::int64_t taps : w.kernel) {
    if (taps < 1) return make_error("the kernel {} is empty", to_string(w.kernel));
  }
  auto strides = sizes(call, "strides", rank, 1, 1);
  if (!strides) return strides.error();
  w.strides = *std::move(strides);
  auto dilations = sizes(call, "dilations", rank, 1, 1);
  if (!dilations) return dilations.error();
  w.dilations = *std::move(dilations);
  auto pads = sizes(call, "pads", rank * 2, 0, INT64_MIN);
  if (!pads) return pads.error();
  const std::string_view automatic = call.attributes.text("auto_pad", "NOTSET");
  const bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER";
  if (!same && automatic != "VALID" && automatic != "NOTSET" && !automatic.empty()) {
    return make_error("the attribute auto_pad is '{}'", automatic);
  }
  const bool ceil = call.attributes.integer("ceil_mode", 0) != 0;
  const bool explicit_pads = !same && automatic != "VALID";
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t extent = (w.kernel[i] - 1) * w.dilations[i] + 1;
    const std::int64_t stride = w.strides[i];
    std::int64_t begin = explicit_pads ? (*pads)[i] : 0;
    std::int64_t end = explicit_pads ? (*pads)[rank + i] : 0;
    std::int64_t out = 0;
    if (same) {
      out = (w.in[i] + stride - 1) / stride;
      const std::int64_t total = std::max<std::int64_t>(0, (out - 1) * stride + extent - w.in[i]);
      begin = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
      end = total - begin;
    } else {
      const std::int64_t room = w.in[i] + begin + end - extent;
      if (room < 0) {
        return make_error("a kernel of extent {} does not fit {} padded elements on axis {}",
                          extent, w.in[i] + begin + end, i);
      }
      out = (room + (ceil ? stride - 1 : 0)) / stride + 1;
      // With ceil_mode no window starts in the padding at the end.
      if (ceil && (out - 1) * stride >= w.in[i] + begin) --out;
    }
    w.begin.push_back(begin);
    w.end.push_back(end);
    w.out.push_back(out);
  }
  return w;
}

void window_offsets(const Windows& windows, std::int64_t position,
                    std::vector<std::int64_t>& offsets) {
  offsets.assign(1, 0);
  // Axis by axis from the outermost: each offset so far becomes one for every tap of the axis.
  std::vector<std::int64_t> next;
  std::int64_t below = element_count(windows.out);
  for (std::size_t d = 0; d < windows.in.size(); ++d) {
    below /= windows.out[d];
    const std::int64_t index = position / below % windows.out[d];
    const std::int64_t start = index * windows.strides[d] - windows.begin[d];
    next.clear();
    for (const std::int64_t offset : offsets) {
      for (std::int64_t tap = 0; tap < windows.kernel[d]; ++tap) {
        const std::int64_t at = start + tap * windows.dilations[d];
        const bool inside = offset >= 0 && at >= 0 && at < windows.in[d];
        next.push_back(inside ? offset * windows.in[d] + at : -1);
      }
    }
    offsets.swap(next);
  }
}

}  // namespace rulec::generic
