// SPDX-License-Identifier: Apache-2.0
#include "matcher/label.h"

#include <algorithm>

#include <fmt/format.h>

namespace rulec {

std::string label(const Model& model, NodeId id) {
  if (!id || id.index >= model.node_capacity()) return "";
  const GraphNode& node = model.node(id);
  if (!node.name.empty()) return std::string(node.name);
  for (const ValueId output : node.outputs)
    if (output) return fmt::format("{} → \"{}\"", node.type, model.value(output).name);
  return std::string(node.type);
}

bool is_called(const Model& model, NodeId id, std::string_view name) {
  if (!id || id.index >= model.node_capacity()) return false;
  const GraphNode& node = model.node(id);
  return node.name == name || label(model, id) == name ||
         std::any_of(node.outputs.begin(), node.outputs.end(),
                     [&](ValueId output) { return output && model.value(output).name == name; });
}

}  // namespace rulec
