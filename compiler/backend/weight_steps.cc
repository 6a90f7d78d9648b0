// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/weight_steps.h"

#include <algorithm>
#include <array>
#include <vector>

namespace rulec::backend {

namespace {
using Step = std::array<std::int8_t, 64>;  // [16 oc][4]

struct Steps {
  std::vector<Step> weights;
  std::vector<std::int32_t> numbers;

  void add(const Step& step, std::int64_t number) {
    weights.push_back(step);
    numbers.push_back(static_cast<std::int32_t>(number));
  }
};
}  // namespace

// Whether two neighbours times numbers between 0 and 255 always add up to 16 bits.
static bool leaves_room(const Step& step) {
  for (std::size_t i = 0; i < step.size(); i += 2) {
    const int a = step[i], b = step[i + 1];
    if (std::max(a, 0) + std::max(b, 0) > 128 || std::min(a, 0) + std::min(b, 0) < -128)
      return false;
  }
  return true;
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
  for (std::int64_t panel = 0; panel < panels; ++panel) {
    Steps widened;
    for (std::int64_t r = 0; r < runs; ++r) {
      for (std::int64_t quad = 0; quad * 4 < run; ++quad) {
        std::array<std::int16_t, 64> left;
        for (std::int64_t i = 0; i < 64; ++i)
          left[static_cast<std::size_t>(i)] = weight(panel * 16 + i / 4, r, quad * 4 + i % 4);
        while (std::ranges::any_of(left, [](std::int16_t w) { return w != 0; })) {
          Step step;
          for (std::size_t i = 0; i < step.size(); ++i) {
            step[i] = static_cast<std::int8_t>(std::clamp<std::int16_t>(left[i], -128, 127));
            left[i] = static_cast<std::int16_t>(left[i] - step[i]);
          }
          (leaves_room(step) ? all : widened).add(step, (r << 20) + quad);
        }
      }
    }
    ends.push_back(static_cast<std::int32_t>(all.numbers.size()));
    all.weights.insert(all.weights.end(), widened.weights.begin(), widened.weights.end());
    all.numbers.insert(all.numbers.end(), widened.numbers.begin(), widened.numbers.end());
    ends.push_back(static_cast<std::int32_t>(all.numbers.size()));
  }
  if (all.numbers.empty()) {
    // Not nothing: an operand has a size.
    all.add({}, 0);
    ends.back() = 1;
  }
  const auto steps = static_cast<std::int64_t>(all.numbers.size());
  WeightSteps out = {Tensor::allocate(DType::I8, {steps, 16, 4}),
                     Tensor::allocate(DType::I32, {2 * panels + steps})};
  auto* to = out.weights.mutable_data<std::int8_t>();
  for (const Step& step : all.weights)
    to = std::ranges::copy(step, to).out;
  std::ranges::copy(all.numbers,
                    std::ranges::copy(ends, out.table.mutable_data<std::int32_t>()).out);
  return out;
}

}  // namespace rulec::backend
