// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/weight_steps.h"

#include <algorithm>
#include <array>
#include <vector>

namespace rulec::backend {

namespace {
using Step = std::array<std::int8_t, 64>;  // [16 oc][4]

// Steps of a panel: weights, of masked ones masks behind them, and numbers.
struct Steps {
  std::vector<Step> weights;
  std::vector<std::int32_t> numbers;

  void append(const Steps& other) {
    weights.insert(weights.end(), other.weights.begin(), other.weights.end());
    numbers.insert(numbers.end(), other.numbers.begin(), other.numbers.end());
  }
};
}  // namespace

// Whether two numbers between 0 and 255 times these always add up to 16 bits.
static bool leave_room(int a, int b) {
  return std::max(a, 0) + std::max(b, 0) <= 128 && std::min(a, 0) + std::min(b, 0) >= -128;
}

// Negates one of two weights wherever they leave no room; which ones. Two of -128 have no negative:
// there one becomes -127.
static Step make_room(Step& step) {
  Step masks = {};
  for (std::size_t i = 0; i < step.size(); i += 2) {
    if (leave_room(step[i], step[i + 1])) continue;
    const std::size_t at = step[i] == -128 ? i + 1 : i;
    step[at] = std::max<std::int8_t>(step[at], -127);
    step[at] = static_cast<std::int8_t>(-step[at]);
    masks[at] = -1;
  }
  return masks;
}

WeightSteps pack_steps(std::span<const std::int16_t> weights, const WeightShape& shape) {
  const auto [oc, ic, kh, kw, joined] = shape;
  const std::int64_t panels = (oc + 15) / 16, taps = kh * kw;
  const std::int64_t runs = joined ? kh : taps, run = joined ? kw * ic : ic;
  // The weight of channel o for element e of a run.
  const auto weight = [&](std::int64_t o, std::int64_t r, std::int64_t e) {
    if (o >= oc || e >= run) return std::int16_t{0};
    const std::int64_t tap = joined ? r * kw + e / ic : r;
    return weights[static_cast<std::size_t>((o * ic + e % ic) * taps + tap)];
  };
  Steps all;
  std::vector<std::int32_t> ends;
  WeightSteps out;
  out.complemented.resize(static_cast<std::size_t>(panels * 16));
  for (std::int64_t panel = 0; panel < panels; ++panel) {
    Steps masked;
    for (std::int64_t r = 0; r < runs; ++r) {
      for (std::int64_t quad = 0; quad * 4 < run; ++quad) {
        std::array<std::int16_t, 64> left;
        for (std::int64_t i = 0; i < 64; ++i)
          left[static_cast<std::size_t>(i)] = weight(panel * 16 + i / 4, r, quad * 4 + i % 4);
        while (std::ranges::any_of(left, [](std::int16_t w) { return w != 0; })) {
          Step step;
          for (std::size_t i = 0; i < step.size(); ++i)
            step[i] = static_cast<std::int8_t>(std::clamp<std::int16_t>(left[i], -128, 127));
          const Step masks = make_room(step);
          const bool plain = masks == Step{};
          Steps& to = plain ? all : masked;
          to.weights.push_back(step);
          to.numbers.push_back(static_cast<std::int32_t>((r << 20) + quad));
          if (!plain) to.weights.push_back(masks);
          for (std::size_t i = 0; i < step.size(); ++i) {
            const int w = masks[i] != 0 ? -step[i] : step[i];
            left[i] = static_cast<std::int16_t>(left[i] - w);
            // 255 w + (255 - x) (-w) = x w
            if (masks[i] != 0)
              out.complemented[static_cast<std::size_t>(panel) * 16 + i / 4] += 255 * w;
          }
        }
      }
    }
    ends.push_back(static_cast<std::int32_t>(all.numbers.size()));
    all.append(masked);
    ends.push_back(static_cast<std::int32_t>(all.numbers.size()));
  }
  if (all.numbers.empty()) {
    // Not nothing: an operand has a size.
    all.weights.push_back({});
    all.numbers.push_back(0);
    for (std::size_t i = ends.size() - 2; i < ends.size(); ++i)
      ends[i] = 1;
  }
  const auto steps = static_cast<std::int64_t>(all.numbers.size());
  out.weights = Tensor::allocate(DType::I8, {static_cast<std::int64_t>(all.weights.size()), 16, 4});
  out.table = Tensor::allocate(DType::I32, {2 * panels + steps});
  auto* to = out.weights.mutable_data<std::int8_t>();
  for (const Step& step : all.weights)
    to = std::ranges::copy(step, to).out;
  std::ranges::copy(all.numbers,
                    std::ranges::copy(ends, out.table.mutable_data<std::int32_t>()).out);
  return out;
}

}  // namespace rulec::backend
