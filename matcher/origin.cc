// SPDX-License-Identifier: Apache-2.0
#include "matcher/origin.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "matcher/dependence.h"
#include "matcher/evaluate.h"
#include "matcher/glob.h"

namespace rulec {

bool moves_data(const Model& model, const GraphNode& node) {
  if (!node.domain.empty() || node.inputs.empty() || !node.inputs[0]) return false;
  const std::string& type = node.type;
  if (type == "Gather") return node.inputs.size() > 1 && model.constant(node.inputs[1]) != nullptr;
  return type == "Identity" || type == "Cast" || type == "Reshape" || type == "Squeeze" ||
         type == "Unsqueeze" || type == "Transpose" || type == "Slice" || type == "Split";
}

static bool only_reshapes(const Model& model, const GraphNode& node) {
  const std::string& type = node.type;
  if (type == "Identity" || type == "Reshape" || type == "Squeeze" || type == "Unsqueeze")
    return true;
  if (type == "Split") return node.outputs.size() == 1;
  if (type == "Cast") {
    return is_float(model.value(node.inputs[0]).type.dtype) &&
           is_float(model.value(node.outputs[0]).type.dtype);
  }
  return false;
}

std::vector<ChainLink> chain_above(const Model& model, ValueId value) {
  std::vector<ChainLink> chain;
  int data = 0;
  while (value) {
    chain.push_back({value, data});
    const NodeId producer = model.value(value).producer;
    if (!producer || !moves_data(model, model.node(producer))) break;
    if (!only_reshapes(model, model.node(producer))) ++data;
    value = model.node(producer).inputs[0];
  }
  return chain;
}

ValueId source_of(const Model& model, ValueId value) {
  return chain_above(model, value).back().value;
}

// ---- scopes -------------------------------------------------------------------------------------

std::vector<NodeId> region_under(const Model& model, GraphId graph, std::string_view glob) {
  const std::vector<NodeId> all = model.nodes(graph);
  // Per node: named under the glob; below such a node; above one.
  std::vector<bool> named(model.node_capacity()), below(named), above(named);
  for (NodeId id : all) {
    named[id.index] = glob_match(glob, model.node(id).name);
    below[id.index] = named[id.index];
    for (ValueId value : reads(model, id)) {
      const NodeId producer = model.value(value).producer;
      if (producer && below[producer.index]) below[id.index] = true;
    }
  }
  for (std::size_t i = all.size(); i-- > 0;) {
    if (!named[all[i].index] && !above[all[i].index]) continue;
    above[all[i].index] = true;
    for (ValueId value : reads(model, all[i])) {
      const NodeId producer = model.value(value).producer;
      if (producer) above[producer.index] = true;
    }
  }
  std::vector<NodeId> region;
  for (NodeId id : all) {
    if (named[id.index] || (below[id.index] && above[id.index])) region.push_back(id);
  }
  return region;
}

// The node of `graph` that a use stands in; none for an output of the graph itself.
static NodeId reader_in(const Model& model, const Use& use, GraphId graph) {
  NodeId reader = use.node;
  GraphId at = use.graph;
  if (!reader) {
    if (at == graph) return {};
    reader = model.graph(at).owner;
  }
  while (reader && model.node(reader).graph != graph)
    reader = model.graph(model.node(reader).graph).owner;
  return reader;
}

std::vector<ValueId> leaving_values(const Model& model, const std::vector<NodeId>& region) {
  std::vector<bool> inside(model.node_capacity());
  for (NodeId id : region)
    inside[id.index] = true;
  std::vector<ValueId> leaving;
  for (NodeId id : region) {
    const GraphId graph = model.node(id).graph;
    for (ValueId output : model.node(id).outputs) {
      if (!output) continue;
      const std::vector<Use> uses = model.uses(output);
      const bool leaves = std::any_of(uses.begin(), uses.end(), [&](const Use& use) {
        const NodeId reader = reader_in(model, use, graph);
        return !reader || !inside[reader.index];
      });
      if (leaves) leaving.push_back(output);
    }
  }
  return leaving;
}

std::vector<ValueId> values_from_scope(const Model& model, GraphId graph, std::string_view glob) {
  const std::vector<NodeId> region = region_under(model, graph, glob);
  std::vector<ValueId> values = leaving_values(model, region);
  for (ValueId id : model.graph(graph).initializers) {
    const GraphValue& value = model.value(id);
    if (value.is_input || !glob_match(glob, value.name)) continue;
    const std::vector<Use> uses = model.uses(id);
    const bool outside = std::any_of(uses.begin(), uses.end(), [&](const Use& use) {
      const NodeId reader = reader_in(model, use, graph);
      return !reader || std::find(region.begin(), region.end(), reader) == region.end();
    });
    if (outside) values.push_back(id);
  }
  return values;
}

// The Concat that a value comes to through nodes that only move data, each its only reader.
static NodeId joining_concat(const Model& model, ValueId value) {
  for (;;) {
    const std::vector<Use> uses = model.uses(value);
    if (uses.size() != 1 || !uses[0].node) return {};
    const GraphNode& reader = model.node(uses[0].node);
    if (reader.type == "Concat" && reader.domain.empty()) return uses[0].node;
    if (!moves_data(model, reader) || reader.inputs[0] != value || reader.outputs.size() != 1 ||
        !reader.outputs[0])
      return {};
    value = reader.outputs[0];
  }
}

Result<ValueId> value_from_scope(const Model& model, GraphId graph, std::string_view glob) {
  const std::vector<ValueId> values = values_from_scope(model, graph, glob);
  if (values.empty()) {
    return make_error("nothing comes out of scope \"{}\"{}", glob,
                      region_under(model, graph, glob).empty() ? ": no node is named so" : "");
  }
  if (values.size() == 1) return values[0];
  const NodeId join = joining_concat(model, values[0]);
  const bool joined = join && model.node(join).inputs.size() == values.size() &&
                      std::all_of(values.begin(), values.end(), [&](ValueId value) {
                        return joining_concat(model, value) == join;
                      });
  if (joined) return model.node(join).outputs[0];
  std::vector<std::string> names;
  for (ValueId value : values) {
    if (names.size() == 6) break;
    names.push_back(
        fmt::format("`{}` : {}", model.value(value).name, to_string(model.value(value).type)));
  }
  return make_error("{} values come out of scope \"{}\", and no Concat joins them: {}{}",
                    values.size(), glob, fmt::join(names, ", "),
                    values.size() > names.size() ? ", …" : "");
}

// ---- let ----------------------------------------------------------------------------------------

static RuleValue source_value(const Scope& scope, const Let& let) {
  const Binding& of = scope.bindings[let.from_source.index];
  std::vector<ValueId> values;
  const auto add = [&](const Binding& binding) {
    if (const auto* value = std::get_if<ValueId>(&binding.held); value && *value)
      values.push_back(*value);
    if (const auto* number = std::get_if<Binding::Number>(&binding.held); number && number->value)
      values.push_back(number->value);
  };
  add(of);
  if (const auto* list = std::get_if<std::vector<Binding>>(&of.held)) {
    for (const Binding& item : *list)
      add(item);
  }
  const std::string& name = scope.slots[let.from_source.index].name;
  if (values.empty()) return {Unknown{fmt::format("`{}` is no value of the graph", name)}};
  std::vector<std::string> names;
  const ValueId source = source_of(scope.model, values[0]);
  for (ValueId value : values) {
    const ValueId other = source_of(scope.model, value);
    const std::string text = fmt::format("`{}`", scope.model.value(other).name);
    if (std::find(names.begin(), names.end(), text) == names.end()) names.push_back(text);
  }
  if (names.size() > 1) {
    return {Unknown{
        fmt::format("`{}` comes from {} sources: {}", name, names.size(), fmt::join(names, ", "))}};
  }
  return {source};
}

// What follows from constants and known shapes alone is computed here and now.
static std::optional<Tensor> computed(const Model& model, GraphId graph, ValueId value) {
  if (model.constant(value) != nullptr) return std::nullopt;  // stays the initializer that it is
  const Computable able(model, graph, {});
  if (!able.ok(value)) return std::nullopt;
  const ValueId targets[] = {value};
  auto values = Evaluator(model).run(able.shapes(), targets);
  if (!values || !values->front().is_tensor()) return std::nullopt;
  return values->front().tensor();
}

RuleValue let_value(const Scope& scope, const Let& let) {
  if (let.value) return evaluate(scope, let.value);
  if (let.from_source) return source_value(scope, let);
  const GraphId graph = scope.self ? scope.model.node(scope.self).graph : scope.model.main();
  const auto value = value_from_scope(scope.model, graph, let.from_scope);
  if (!value) return {Unknown{value.error().message}};
  if (auto tensor = computed(scope.model, graph, *value)) return {std::move(*tensor)};
  return {*value};
}

}  // namespace rulec
