// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/slices.h"

#include <algorithm>

#include "runtime/shape.h"

namespace rulec::backend {

std::optional<std::vector<AxisCut>> constant_slice(const Model& model, NodeId node,
                                                   const Shape& from) {
  const GraphNode& n = model.node(node);
  std::vector<std::int64_t> starts = n.attributes.integers("starts"),
                            axes = n.attributes.integers("axes");
  std::vector<std::int64_t> steps;
  if (model.opset("") >= 10) {
    const auto list = [&](std::size_t i) -> std::optional<std::vector<std::int64_t>> {
      if (i >= n.inputs.size() || !n.inputs[i]) return std::vector<std::int64_t>();
      const auto c = model.constant(n.inputs[i]);
      return c ? std::optional(c->integers()) : std::nullopt;
    };
    const auto s = list(1), a = list(3), t = list(4);
    if (!s || !a || !t) return std::nullopt;
    starts = *s;
    axes = *a;
    steps = *t;
  }
  if (axes.empty()) {
    for (std::size_t i = 0; i < starts.size(); ++i)
      axes.push_back(static_cast<std::int64_t>(i));
  }
  steps.resize(starts.size(), 1);
  if (axes.size() != starts.size()) return std::nullopt;
  std::vector<AxisCut> cuts;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const auto axis = normalize_axis(axes[i], from.size());
    if (!axis || steps[i] == 0) return std::nullopt;
    const std::int64_t size = from[*axis];
    const std::int64_t start = starts[i] < 0 ? starts[i] + size : starts[i];
    cuts.push_back({*axis,
                    steps[i] > 0 ? std::clamp<std::int64_t>(start, 0, size)
                                 : std::clamp<std::int64_t>(start, 0, size - 1),
                    steps[i]});
  }
  return cuts;
}

}  // namespace rulec::backend
