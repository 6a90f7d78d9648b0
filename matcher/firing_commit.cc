// SPDX-License-Identifier: Apache-2.0
// The second half of a firing: where new nodes stand, who reads them, what goes.
#include <algorithm>
#include <limits>
#include <unordered_set>

#include "matcher/facts.h"
#include "matcher/firing.h"
#include "matcher/label.h"

namespace rulec {

static bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

// The node of `graph` that a node is, or that it lies in; none when it lies elsewhere.
NodeId Replacer::in_graph(NodeId node, GraphId graph) const {
  while (node && model_.node(node).graph != graph) {
    node = model_.graph(model_.node(node).graph).owner;
  }
  return node;
}

// Every result of a node that goes is read by nothing but the match, or has a replacement.
bool Replacer::leaves_no_use(Draft& draft) {
  for (const NodeId id : draft.match.nodes) {
    if (contains(draft.match.kept, id)) continue;
    for (const ValueId output : model_.node(id).outputs) {
      if (!output || model_.use_count(output) == 0) continue;
      const bool replaced =
          std::any_of(draft.exchanges.begin(), draft.exchanges.end(),
                      [&](const Exchange& one) { return one.old_value == output; });
      if (replaced) continue;
      for (const Use& use : model_.uses(output)) {
        if (use.node && (contains(draft.match.nodes, use.node) || contains(draft.made, use.node))) {
          continue;
        }
        return refuse(draft, "use", "no use of a result that is not replaced",
                      fmt::format("`{}` is {}", model_.value(output).name,
                                  use.node ? "used outside the match" : "an output of the graph"));
      }
    }
  }
  return true;
}

// New nodes stand behind all they read and before all that reads what they replace.
bool Replacer::place(Draft& draft) {
  NodeId last;
  const auto needs = [&](ValueId value) {
    const NodeId producer = model_.value(value).producer;
    if (!producer || model_.node(producer).graph != draft.graph) return;
    if (contains(draft.made, producer)) return;
    if (!last || model_.before(last, producer)) last = producer;
  };
  const auto visible = [&](ValueId value) {
    return model_.encloses(model_.value(value).graph, draft.graph);
  };
  for (const NodeId node : draft.made) {
    for (const ValueId input : model_.node(node).inputs) {
      if (!input) continue;
      if (!visible(input)) {
        return refuse(draft, "use", "operands that can be seen where the match stands",
                      fmt::format("`{}` lies in a body", model_.value(input).name));
      }
      needs(input);
    }
  }
  NodeId first_use;
  for (const Exchange& one : draft.exchanges) {
    if (!visible(one.new_value)) {
      return refuse(draft, "use", "a value that can be seen where the match stands",
                    fmt::format("`{}` lies in a body", model_.value(one.new_value).name));
    }
    if (one.existing) needs(one.new_value);
    for (const Use& use : model_.uses(one.old_value)) {
      const NodeId reader = use.node ? in_graph(use.node, draft.graph) : NodeId{};
      if (!reader || contains(draft.made, reader)) continue;
      if (contains(draft.match.nodes, reader) && !contains(draft.match.kept, reader)) continue;
      if (!first_use || model_.before(reader, first_use)) first_use = reader;
    }
  }
  const bool after = !last || model_.before(last, draft.before);
  const bool early =
      !first_use || model_.before(draft.before, first_use) || draft.before == first_use;
  if (after && early) return true;
  if (last && first_use && !model_.before(last, first_use)) {
    if (!make_room(draft, last, first_use)) return false;
  }
  // Right behind the last operand (or before the first reader).
  const NodeId behind = last ? model_.next_node(last) : first_use;
  for (const NodeId node : draft.made) {
    if (node != behind) model_.move_before(node, behind);
  }
  return true;
}

// Readers of the replaced values that stand before an operand move behind it, with all that hangs
// on them; impossible where the operand itself does.
bool Replacer::make_room(Draft& draft, NodeId last, NodeId first_use) {
  std::unordered_set<std::uint32_t> hangs;
  for (const Exchange& one : draft.exchanges) {
    for (const Use& use : model_.uses(one.old_value)) {
      const NodeId reader = use.node ? in_graph(use.node, draft.graph) : NodeId{};
      if (!reader || contains(draft.match.nodes, reader) || contains(draft.made, reader)) continue;
      hangs.insert(reader.index);
    }
  }
  std::vector<NodeId> moving;
  for (NodeId at = first_use; at; at = model_.next_node(at)) {
    if (hangs.contains(at.index)) {
      if (at == last) {
        return refuse(draft, "use", "operands that do not hang on the replaced result",
                      fmt::format("`{}` does: a cycle", model_.node(last).name));
      }
      moving.push_back(at);
      for (const ValueId output : model_.node(at).outputs) {
        if (!output) continue;
        for (const Use& use : model_.uses(output)) {
          const NodeId reader = use.node ? in_graph(use.node, draft.graph) : NodeId{};
          if (reader) hangs.insert(reader.index);
        }
      }
    }
    if (at == last) break;
  }
  const NodeId behind = model_.next_node(last);
  for (const NodeId node : moving)
    model_.move_before(node, behind);
  return true;
}

// Between a graph's (or body's) input and output, or where a value would need two names.
bool Replacer::keeps_identity(const Exchange& one) const {
  if (!model_.is_graph_output(one.old_value)) return false;
  const GraphValue& value = model_.value(one.new_value);
  return value.is_input || !value.producer || model_.is_graph_output(one.new_value) ||
         value.graph != model_.value(one.old_value).graph;
}

// False for an Identity that would be replaced by the Identity that it is.
bool Replacer::changes_something(const Draft& draft) const {
  if (!draft.made.empty()) return true;
  for (const Exchange& one : draft.exchanges) {
    if (one.old_value == one.new_value) continue;
    if (!keeps_identity(one)) return true;
    const NodeId producer = model_.value(one.old_value).producer;
    const GraphNode& node = model_.node(producer);
    const bool already = node.type == "Identity" && node.domain.empty() &&
                         node.inputs.size() == 1 && node.inputs[0] == one.new_value;
    if (!already) return true;
    for (const Use& use : model_.uses(one.old_value)) {
      if (use.node) return true;
    }
  }
  return false;
}

void Replacer::forward(Draft& draft, const Exchange& one, FiringResult& result) {
  if (one.old_value == one.new_value) return;
  if (!one.existing) base_names_[one.new_value.index] = base_name(one.old_value);
  result.placed.push_back(one.new_value);
  for (const Use& use : model_.uses(one.old_value)) {
    if (use.node) result.rewired.push_back(use.node);
  }
  const bool output = model_.is_graph_output(one.old_value);
  if (!output) {
    model_.replace_uses(one.old_value, one.new_value);
    return;
  }
  const std::string name = model_.value(one.old_value).name;
  const Type type = model_.value(one.old_value).type;
  ValueId by = one.new_value;
  if (keeps_identity(one)) {
    // Readers inside the graph take the value itself.
    for (const Use& use : std::vector<Use>(model_.uses(one.old_value))) {
      if (use.node) model_.replace_use(use, one.new_value);
    }
    const NodeId producer = model_.value(one.old_value).producer;
    const GraphNode& node = model_.node(producer);
    if (node.type == "Identity" && node.domain.empty() && node.inputs.size() == 1 &&
        node.inputs[0] == one.new_value) {
      return;
    }
    NewNode identity;
    identity.type = "Identity";
    identity.name = model_.fresh_node_name(name + "_Identity");
    identity.inputs = {one.new_value};
    identity.metadata = metadata_of(draft);
    const NodeId made = model_.add_node(draft.graph, std::move(identity), producer);
    draft.made.push_back(made);
    by = model_.node(made).outputs.front();
  }
  // The graph's output keeps its name and declared type.
  const auto metadata = model_.value(one.old_value).metadata;
  model_.rename(one.old_value, model_.fresh_value_name(name + "_replaced"));
  draft.renamed.emplace_back(one.old_value, name);
  model_.rename(by, name);
  model_.value(by).type = type;
  model_.value(by).metadata = metadata;
  model_.value(by).leftover = model_.value(one.old_value).leftover;
  model_.replace_uses(one.old_value, by);
}

// All that a node reads: operands, and what its bodies capture.
static std::vector<ValueId> reads_of(const Model& model, NodeId id) {
  std::vector<ValueId> out = model.node(id).inputs;
  std::vector<GraphId> open = model.bodies(id);
  if (open.empty()) return out;
  const std::vector<GraphId> own = open;
  const auto captured = [&](ValueId value) {
    return value && std::none_of(own.begin(), own.end(), [&](GraphId body) {
             return model.encloses(body, model.value(value).graph);
           });
  };
  while (!open.empty()) {
    const GraphId graph = open.back();
    open.pop_back();
    for (const ValueId output : model.graph(graph).outputs) {
      if (captured(output)) out.push_back(output);
    }
    for (const NodeId node : model.nodes(graph)) {
      for (const ValueId input : model.node(node).inputs) {
        if (captured(input)) out.push_back(input);
      }
      const auto nested = model.bodies(node);
      open.insert(open.end(), nested.begin(), nested.end());
    }
  }
  return out;
}

static bool is_unused(const Model& model, NodeId id) {
  const auto& outputs = model.node(id).outputs;
  return std::all_of(outputs.begin(), outputs.end(),
                     [&](ValueId output) { return !output || model.use_count(output) == 0; });
}

// What the firing left unused goes; what was unused before is not reached from here.
void Replacer::sweep(Draft& draft, FiringResult& result) {
  std::vector<NodeId> open(draft.match.nodes.begin(), draft.match.nodes.end());
  open.insert(open.end(), draft.movers.begin(), draft.movers.end());
  result.firing.removed.reserve(open.size());
  result.touched.reserve(2 * open.size());
  while (!open.empty()) {
    const NodeId id = open.back();
    open.pop_back();
    if (!model_.node(id).alive || contains(draft.made, id) || !is_unused(model_, id)) continue;
    const std::vector<ValueId> reads = reads_of(model_, id);
    const auto known = draft.labels.find(id.index);
    result.firing.removed.push_back(known != draft.labels.end() ? known->second
                                                                : label(model_, id));
    model_.remove_node(id);
    for (const ValueId value : reads) {
      if (!value || !model_.value(value).alive) continue;
      result.touched.push_back(value);
      if (model_.use_count(value) > 0) continue;
      const GraphValue& info = model_.value(value);
      if (info.producer) {
        open.push_back(info.producer);
      } else if ((info.initializer || info.sparse_initializer) && !info.is_input) {
        unread_.push_back(value);
      }
    }
  }
  std::erase_if(result.touched, [&](ValueId value) { return !model_.value(value).alive; });
}

void Replacer::drop_unread() {
  std::vector<GraphId> graphs;
  for (const ValueId id : unread_) {
    GraphValue& value = model_.value(id);
    if (!value.alive || model_.use_count(id) > 0) continue;
    value.initializer = nullptr;
    value.sparse_initializer = nullptr;
    value.alive = false;
    if (std::find(graphs.begin(), graphs.end(), value.graph) == graphs.end())
      graphs.push_back(value.graph);
  }
  unread_.clear();
  for (const GraphId graph : graphs) {
    std::erase_if(model_.graph(graph).initializers,
                  [&](ValueId id) { return !model_.value(id).alive; });
  }
}

void Replacer::commit(Draft& draft, FiringResult& result) {
  for (const NodeId node : draft.match.nodes) {
    // Without a name it is called after its result, which may get another name.
    if (model_.node(node).name.empty()) draft.labels[node.index] = label(model_, node);
  }
  for (const Exchange& one : draft.exchanges)
    forward(draft, one, result);
  if (!draft.new_outputs.empty()) exchange_outputs(draft, result);
  for (auto& [value, type] : draft.retyped)
    model_.value(value).type = std::move(type);
  sweep(draft, result);
  // What went is called in messages as its user calls it.
  for (auto& [value, name] : draft.renamed) {
    if (!model_.value(value).alive) model_.value(value).name = std::move(name);
  }
  for (const NodeId node : draft.made) {
    result.firing.added.push_back(label(model_, node));
  }
  result.made = draft.made;
}

}  // namespace rulec
