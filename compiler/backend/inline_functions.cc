// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/inline_functions.h"

#include "matcher/clone.h"
#include "matcher/op_table.h"

namespace rulec::backend {

static constexpr int deepest_call = 100;

static const Function* function_of(const Model& model, const GraphNode& node) {
  for (const Function& f : model.functions) {
    if (node.type == f.name && node.domain == f.domain && node.overload == f.overload) return &f;
  }
  return nullptr;
}

static bool in_function(const Model& model, GraphId graph) {
  for (const Function& f : model.functions) {
    if (model.encloses(f.body, graph)) return true;
  }
  return false;
}

// An operator means the same at both opsets when they have the same version of its schema.
static Status check_opsets(const Model& model, const Function& function, const OpTable& ops) {
  for (const auto& [domain, version] : function.opset_imports) {
    const std::int64_t own = model.opset(domain);
    if (own == version || own == 0) continue;
    for (std::uint32_t i = 0; i < model.node_capacity(); ++i) {
      const GraphNode& n = model.node(NodeId{i});
      if (!n.alive || n.domain.str() != domain || !model.encloses(function.body, n.graph)) continue;
      const OpSchema* here = ops.find(domain, n.type.str(), static_cast<int>(own));
      const OpSchema* there = ops.find(domain, n.type.str(), static_cast<int>(version));
      if (here == there) continue;
      if (here != nullptr && there != nullptr && here->since == there->since) continue;
      return make_error(
          "function {}.{} is written for opset {} and the model for {}, between which {} changed; "
          "convert the model to opset {} first",
          function.domain, function.name, version, own, n.type.str(), version);
    }
  }
  return Done{};
}

static void inline_call(Model& model, NodeId call, const Function& function) {
  std::vector<Attribute> parameters = function.attribute_defaults;
  const GraphNode& node = model.node(call);
  for (const Attribute& given : node.attributes.all()) {
    std::erase_if(parameters, [&](const Attribute& a) { return a.name == given.name; });
    parameters.push_back(given);
  }
  ValueMap map;
  const std::vector<ValueId> formal = model.graph(function.body).inputs;
  for (std::size_t i = 0; i < formal.size(); ++i)
    map[formal[i].index] = i < node.inputs.size() ? node.inputs[i] : ValueId{};
  const GraphId graph = node.graph;
  const std::vector<ValueId> outputs = node.outputs;
  for (NodeId id : clone_nodes(model, function.body, graph, call, map, parameters)) {
    // A parameter that neither the call nor a default gives: the operator's own default holds.
    std::vector<std::string> open;
    for (const Attribute& a : model.node(id).attributes.all()) {
      if (std::holds_alternative<RefAttribute>(a.value)) open.push_back(a.name);
    }
    for (const std::string& name : open)
      model.node(id).attributes.erase(name);
  }
  const std::vector<ValueId> results = model.graph(function.body).outputs;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i] || i >= results.size()) continue;
    const auto found = map.find(results[i].index);
    ValueId result = found == map.end() ? results[i] : found->second;
    if (!result) continue;
    if (model.is_graph_output(outputs[i])) {
      // The output keeps its name and declared type, whatever the body calls it.
      const NodeId copy = model.add_node(graph,
                                         {.name = model.fresh_node_name(model.node(call).name),
                                          .type = "Identity",
                                          .inputs = {result}},
                                         call);
      const ValueId to = model.node(copy).outputs[0];
      model.value(to).type = model.value(outputs[i]).type;
      const std::string name = model.value(outputs[i]).name;
      model.rename(outputs[i], model.fresh_value_name(name));
      model.rename(to, name);
      result = to;
    }
    model.replace_uses(outputs[i], result);
  }
  model.remove_node(call);
}

Status inline_functions(Model& model) {
  if (model.functions.empty()) return Done{};
  const OpTable ops;
  for (const Function& function : model.functions) {
    if (Status ok = check_opsets(model, function, ops); !ok) return ok;
    for (const auto& [domain, version] : function.opset_imports) {
      if (model.opset(domain) == 0) model.opset_imports.emplace_back(domain, version);
    }
  }
  struct Open {
    NodeId node;
    int depth = 0;
  };
  std::vector<Open> open;
  for (std::uint32_t i = 0; i < model.node_capacity(); ++i) {
    const GraphNode& n = model.node(NodeId{i});
    if (n.alive && !in_function(model, n.graph)) open.push_back({NodeId{i}});
  }
  while (!open.empty()) {
    const Open next = open.back();
    open.pop_back();
    if (!model.node(next.node).alive) continue;
    const Function* function = function_of(model, model.node(next.node));
    if (function == nullptr) continue;
    if (next.depth >= deepest_call)
      return make_error("function {}.{} calls itself", function->domain, function->name);
    const std::size_t before = model.node_capacity();
    inline_call(model, next.node, *function);
    // Clones in nested bodies are new nodes too.
    for (std::size_t i = before; i < model.node_capacity(); ++i)
      open.push_back({NodeId{static_cast<std::uint32_t>(i)}, next.depth + 1});
  }
  return Done{};
}

}  // namespace rulec::backend
