// SPDX-License-Identifier: Apache-2.0
// Resize over H and W: where each row and column comes from is computed here, in double.
#include <algorithm>
#include <cmath>

#include "compiler/backend/lowering.h"
#include "runtime/resampling.h"

namespace rulec::backend {

using format::Layout;

bool lower_resize(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  const ValueId x = n.inputs[0], y = n.outputs[0];
  const auto from = l.shape(x), to = l.shape(y);
  if (!from || !to) return l.refuse("a shape that is not known");
  if (!l.is_f32(x)) return l.refuse("not f32");
  if (from->size() != 4 || (*from)[0] != (*to)[0] || (*from)[1] != (*to)[1]) {
    return l.refuse("more than H and W");
  }
  const bool old = n.type == "Upsample" || l.model.opset("") < 11;
  const std::string_view mode = n.attributes.text("mode", "nearest");
  const std::string_view coordinates =
      old ? "asymmetric" : n.attributes.text("coordinate_transformation_mode", "half_pixel");
  const std::string_view rounding =
      old ? "floor" : n.attributes.text("nearest_mode", "round_prefer_floor");
  if ((mode != "nearest" && mode != "linear" && mode != "bilinear") ||
      !is_transformation(coordinates) || coordinates == "tf_crop_and_resize" ||
      !is_nearest_mode(rounding) || n.attributes.integer("antialias", 0) != 0 ||
      n.attributes.has("axes") ||
      n.attributes.text("keep_aspect_ratio_policy", "stretch") != "stretch") {
    return l.refuse("a kind of resizing without a fast kernel");
  }
  // A given scale counts, not the ratio of the sizes it led to.
  std::vector<double> scales;
  const std::size_t at = old ? 1 : 2;
  if (n.inputs.size() > at && n.inputs[at]) {
    const auto c = l.constant(n.inputs[at]);
    if (!c) return l.refuse("scales that are not constant");
    if (c->size() == 4) scales = c->numbers();
  } else if (const auto* list = n.attributes.get<std::vector<float>>("scales")) {
    scales.assign(list->begin(), list->end());
  }
  const bool linear = mode != "nearest";
  // tf_half_pixel_for_nn moves axes that keep their length, too.
  for (std::size_t d = 0; d < 2; ++d) {
    const Resampling axis{.in = (*from)[d], .out = (*to)[d]};
    for (std::int64_t i = 0; i < axis.out; ++i) {
      const double source = source_of(axis, coordinates, i);
      const double element = linear ? source : static_cast<double>(nearest_of(source, rounding));
      const bool stays =
          std::clamp(element, 0.0, static_cast<double>(axis.in - 1)) == static_cast<double>(i);
      if (!stays) return l.refuse("more than H and W");
    }
  }
  std::vector<std::int32_t> position;
  std::vector<float> weight;
  for (std::size_t d = 2; d < 4; ++d) {
    Resampling axis{.in = (*from)[d], .out = (*to)[d]};
    axis.scale = scales.size() == 4 ? scales[d]
                                    : static_cast<double>(axis.out) / static_cast<double>(axis.in);
    for (std::int64_t i = 0; i < axis.out; ++i) {
      const double source = source_of(axis, coordinates, i);
      const std::int64_t last = axis.in - 1;
      if (!linear) {
        position.push_back(static_cast<std::int32_t>(
            std::clamp<std::int64_t>(nearest_of(source, rounding), 0, last)));
        continue;
      }
      const double inside = std::clamp(source, 0.0, static_cast<double>(last));
      position.push_back(static_cast<std::int32_t>(std::floor(inside)));
      weight.push_back(static_cast<float>(inside - std::floor(inside)));
    }
  }
  kernels::ResizeParameters p;
  p.kind = linear ? kernels::ResizeKind::Linear : kernels::ResizeKind::Nearest;
  const auto count = static_cast<std::int64_t>(position.size());
  std::vector<Index> inputs = {l.blocked(x, 0)};
  const std::string& name = l.model.value(y).name;
  inputs.push_back(l.add_weight(name + ".positions", Tensor::of<std::int32_t>({count}, position)));
  if (linear) inputs.push_back(l.add_weight(name + ".weights", Tensor::of<float>({count}, weight)));
  const Index out = l.add_arena(y, Layout::Blocked);
  l.add(Opcode::Resize, node, std::move(inputs), {out}).set(p);
  l.bind(y, out);
  l.report(node, "Resize", "");
  return true;
}

}  // namespace rulec::backend
