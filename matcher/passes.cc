// SPDX-License-Identifier: Apache-2.0
#include "matcher/passes.h"

#include <algorithm>

#include "matcher/edit.h"

namespace rulec {

std::optional<Pass> pass_named(std::string_view name) {
  const auto found = std::find(std::begin(pass_names), std::end(pass_names), name);
  if (found == std::end(pass_names)) return std::nullopt;
  return static_cast<Pass>(found - std::begin(pass_names));
}

std::vector<GraphId> open_graphs(const Model& model) {
  std::vector<GraphId> out = {model.main()};
  for (std::size_t i = 0; i < out.size(); ++i) {
    for (NodeId at = model.first_node(out[i]); at; at = model.next_node(at)) {
      const auto bodies = model.bodies(at);
      out.insert(out.end(), bodies.begin(), bodies.end());
    }
  }
  return out;
}

bool is_any_output(const Model& model, NodeId node) {
  const auto& outputs = model.node(node).outputs;
  return std::any_of(outputs.begin(), outputs.end(),
                     [&](ValueId value) { return value && model.is_graph_output(value); });
}

PassResult run_pass(Model& model, const OpTable& ops, Pass pass) {
  switch (pass) {
    case Pass::FoldConstants:
      return fold_constants(model);
    case Pass::KnownShapes:
      return known_shapes(model);
    case Pass::CommonSubexpressions:
      return common_subexpressions(model, ops);
    case Pass::UnusedNodes:
      return {.changes = remove_unused(model)};
  }
  return {};
}

}  // namespace rulec
