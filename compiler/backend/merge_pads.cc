// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/merge_pads.h"

namespace rulec::backend {

// The paddings of a Pad that are constant and by zeros.
static std::optional<std::vector<std::int64_t>> zero_pads(const Model& model,
                                                          const GraphNode& pad) {
  if (pad.attributes.text("mode", "constant") != "constant") return std::nullopt;
  if (pad.inputs.size() == 1) {
    if (pad.attributes.number("value", 0.0f) != 0.0f) return std::nullopt;
    return pad.attributes.integers("pads");
  }
  if (pad.inputs.size() > 3 && pad.inputs[3]) return std::nullopt;
  const auto pads = pad.inputs[1] ? model.constant(pad.inputs[1]) : nullptr;
  if (!pads) return std::nullopt;
  if (pad.inputs.size() > 2 && pad.inputs[2]) {
    const auto value = model.constant(pad.inputs[2]);
    if (!value || value->size() != 1 || value->number(0) != 0.0) return std::nullopt;
  }
  return pads->integers();
}

static bool merge_one(Model& model, NodeId id) {
  const GraphNode& conv = model.node(id);
  if (conv.inputs.empty() || !conv.inputs[0]) return false;
  const ValueId middle = conv.inputs[0];
  const NodeId producer = model.value(middle).producer;
  if (!producer || model.use_count(middle) != 1 || model.is_graph_output(middle)) return false;
  const GraphNode& pad = model.node(producer);
  if (pad.type != "Pad" || !pad.domain.empty() || pad.inputs.empty() || !pad.inputs[0])
    return false;
  if (conv.attributes.text("auto_pad", "NOTSET") != "NOTSET" &&
      conv.attributes.text("auto_pad", "NOTSET") != "VALID") {
    return false;
  }
  const auto pads = zero_pads(model, pad);
  if (!pads || pads->size() < 6 || pads->size() % 2 != 0) return false;
  const std::size_t rank = pads->size() / 2, spatial = rank - 2;
  if ((*pads)[0] != 0 || (*pads)[1] != 0 || (*pads)[rank] != 0 || (*pads)[rank + 1] != 0)
    return false;
  auto own = conv.attributes.integers("pads");
  if (own.empty()) own.assign(2 * spatial, 0);
  if (own.size() != 2 * spatial) return false;
  for (std::size_t d = 0; d < spatial; ++d) {
    if ((*pads)[2 + d] < 0 || (*pads)[rank + 2 + d] < 0) return false;
    own[d] += (*pads)[2 + d];
    own[spatial + d] += (*pads)[rank + 2 + d];
  }
  const ValueId source = pad.inputs[0];
  GraphNode& changed = model.node(id);
  changed.attributes.erase("auto_pad");
  changed.attributes.set("pads", own);
  model.set_input(id, 0, source);
  model.remove_node(producer);
  return true;
}

std::size_t merge_pads(Model& model) {
  std::size_t count = 0;
  for (NodeId id : model.nodes(model.main())) {
    if (model.node(id).alive && model.node(id).domain.empty() && model.node(id).type == "Conv") {
      count += merge_one(model, id) ? 1 : 0;
    }
  }
  return count;
}

}  // namespace rulec::backend
