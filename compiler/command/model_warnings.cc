// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/model_warnings.h"

#include <algorithm>
#include <unordered_set>

#include <fmt/format.h>

#include "matcher/label.h"
#include "matcher/op_table.h"

namespace rulec::command {

static constexpr std::int64_t oldest_opset = 7;

static bool is_local(const Model& model, const GraphNode& node) {
  return std::any_of(model.functions.begin(), model.functions.end(), [&](const Function& function) {
    return node.type == function.name && node.domain == function.domain;
  });
}

std::vector<std::string> model_warnings(const Model& model) {
  std::vector<std::string> out;
  const OpTable ops;
  const std::int64_t opset = model.opset(""), newest = ops.newest_opset("");
  if (opset != 0 && (opset < oldest_opset || opset > newest)) {
    out.push_back(::fmt::format(
        "the model's opset is {}; operators are known as of opsets {} to {}, so types may stay "
        "unknown and rules may not fire; --opset {} converts it first",
        opset, oldest_opset, newest, opset < oldest_opset ? oldest_opset : newest));
  }
  std::unordered_set<Symbol> known;  // to ONNX: it is asked once a type
  for (std::uint32_t i = 0; i < model.node_capacity(); ++i) {
    const GraphNode& node = model.node(NodeId{i});
    if (!node.alive || !node.domain.empty() || known.contains(node.type)) continue;
    if (!ops.versions("", node.type).empty()) known.insert(node.type);
    if (known.contains(node.type) || is_local(model, node)) continue;
    const auto near = ops.similar("", node.type);
    out.push_back(::fmt::format(
        "node `{}`: ONNX has no operator `{}`{}; it is kept, with results of unknown type",
        label(model, NodeId{i}), node.type.str(),
        near.empty() ? "" : ::fmt::format(" (did you mean `{}`?)", near.front())));
  }
  return out;
}

}  // namespace rulec::command
