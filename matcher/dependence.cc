// SPDX-License-Identifier: Apache-2.0
#include "matcher/dependence.h"

#include <algorithm>
#include <array>
#include <deque>
#include <string_view>

namespace rulec {
namespace {

enum class Reading : std::uint8_t { Data, Shape };

bool is_any(std::string_view type, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), type) != names.end();
}

// Follows a value up to its sources, remembering for each value how it was read.
class Tracer {
 public:
  explicit Tracer(const Model& model)
      : model_(model), data_(model.value_capacity()), shape_(model.value_capacity()) {}

  void read(ValueId id, Reading reading) {
    if (id) pending_.emplace_back(id, reading);
  }

  Dependence run() {
    while (!pending_.empty()) {
      const auto [id, reading] = pending_.front();
      pending_.pop_front();
      auto& seen = reading == Reading::Data ? data_ : shape_;
      if (seen[id.index]) continue;
      seen[id.index] = true;
      visit(id, reading);
    }
    return std::move(found_);
  }

 private:
  void visit(ValueId id, Reading reading) {
    const GraphValue& value = model_.value(id);
    if (reading == Reading::Shape && value.type.static_shape()) return;
    if (value.producer) return through_node(value.producer, value.output, reading);
    if (!value.is_input) return;  // an initializer
    const NodeId owner = model_.graph(value.graph).owner;
    if (owner) return through_formal(owner, value.graph, id, reading);
    (reading == Reading::Data ? found_.by_data : found_.by_shape).insert(id);
  }

  void read_all(NodeId id, Reading reading) {
    for (ValueId input : model_.node(id).inputs)
      read(input, reading);
  }

  // A formal input of a body.
  void through_formal(NodeId owner, GraphId body, ValueId id, Reading reading) {
    const GraphNode& node = model_.node(owner);
    const GraphInfo& graph = model_.graph(body);
    const auto at = static_cast<std::size_t>(
        std::find(graph.inputs.begin(), graph.inputs.end(), id) - graph.inputs.begin());
    if (node.type == "Loop" && node.domain.empty()) {
      if (at == 0) return;  // the iteration number: how often is the results' business
      if (at < node.inputs.size()) read(node.inputs[at], reading);
      if (at - 1 < graph.outputs.size()) read(graph.outputs[at - 1], reading);
      return;
    }
    read_all(owner, Reading::Data);
  }

  void through_bodies(NodeId id) {
    for (GraphId body : model_.bodies(id)) {
      for (ValueId output : model_.graph(body).outputs)
        read(output, Reading::Data);
    }
  }

  void through_node(NodeId id, std::uint32_t output, Reading reading) {
    const GraphNode& node = model_.node(id);
    const auto input = [&](std::size_t i) {
      return i < node.inputs.size() ? node.inputs[i] : ValueId{};
    };
    const std::vector<GraphId> bodies = model_.bodies(id);
    if (node.domain.empty() && node.type == "If") {
      read(input(0), Reading::Data);
      for (GraphId body : bodies)
        read(model_.graph(body).outputs[output], reading);
      return;
    }
    if (node.domain.empty() && node.type == "Loop" && bodies.size() == 1) {
      const GraphInfo& body = model_.graph(bodies[0]);
      const std::size_t states = node.inputs.size() < 2 ? 0 : node.inputs.size() - 2;
      // How often the body runs: matters for every result of an early end, and for scans' lengths.
      read(input(0), Reading::Data);
      read(input(1), Reading::Data);
      read(body.outputs[0], Reading::Data);
      if (output < states) read(input(output + 2), reading);
      if (output + 1 < body.outputs.size()) read(body.outputs[output + 1], reading);
      return;
    }
    if (!bodies.empty() || !node.domain.empty()) {
      read_all(id, Reading::Data);
      return through_bodies(id);
    }
    if (is_any(node.type, {"Shape", "Size"})) return read(input(0), Reading::Shape);
    if (reading == Reading::Data) return read_all(id, Reading::Data);
    if (is_any(node.type, {"NonZero", "Unique", "Compress", "NonMaxSuppression", "Range",
                           "ConstantOfShape", "AffineGrid", "DFT", "STFT", "MelWeightMatrix",
                           "HannWindow", "HammingWindow", "BlackmanWindow", "StringSplit"})) {
      return read_all(id, Reading::Data);
    }
    read(input(0), Reading::Shape);
    // Operands that say how the result is shaped are read; others only lend their shape.
    const bool says =
        node.type.str().starts_with("Reduce") ||
        is_any(node.type, {"Reshape", "Expand", "Tile", "Slice", "Pad", "Resize", "Upsample",
                           "TopK", "OneHot", "Squeeze", "Unsqueeze", "Split", "CenterCropPad"});
    for (std::size_t i = 1; i < node.inputs.size(); ++i) {
      read(node.inputs[i], says ? Reading::Data : Reading::Shape);
    }
  }

  const Model& model_;
  std::vector<bool> data_, shape_;
  std::deque<std::pair<ValueId, Reading>> pending_;
  Dependence found_;
};

void collect_captures(const Model& model, GraphId outermost, GraphId body,
                      std::vector<ValueId>& found) {
  const auto note = [&](ValueId id) {
    if (!id || model.encloses(outermost, model.value(id).graph)) return;
    if (std::find(found.begin(), found.end(), id) == found.end()) found.push_back(id);
  };
  for (NodeId id = model.first_node(body); id; id = model.next_node(id)) {
    for (ValueId input : model.node(id).inputs)
      note(input);
    for (GraphId inner : model.bodies(id))
      collect_captures(model, outermost, inner, found);
  }
  for (ValueId output : model.graph(body).outputs)
    note(output);
}

}  // namespace

std::vector<ValueId> captures(const Model& model, NodeId node) {
  std::vector<ValueId> found;
  for (GraphId body : model.bodies(node))
    collect_captures(model, body, body, found);
  return found;
}

std::vector<ValueId> reads(const Model& model, NodeId node) {
  std::vector<ValueId> all;
  for (ValueId input : model.node(node).inputs) {
    if (input && std::find(all.begin(), all.end(), input) == all.end()) all.push_back(input);
  }
  for (ValueId outer : captures(model, node)) {
    if (std::find(all.begin(), all.end(), outer) == all.end()) all.push_back(outer);
  }
  return all;
}

std::vector<NodeId> nodes_below(const Model& model, GraphId graph, std::span<const NodeId> roots,
                                bool (*stop)(const GraphNode&)) {
  std::vector<NodeId> below;
  std::vector<bool> reached(model.value_capacity());
  for (NodeId id = model.first_node(graph); id; id = model.next_node(id)) {
    bool in = std::find(roots.begin(), roots.end(), id) != roots.end();
    if (!in) {
      const std::vector<ValueId> all = reads(model, id);
      in = std::any_of(all.begin(), all.end(), [&](ValueId v) { return reached[v.index]; });
      if (in && stop != nullptr && stop(model.node(id))) in = false;
    }
    if (!in) continue;
    below.push_back(id);
    for (ValueId output : model.node(id).outputs) {
      if (output) reached[output.index] = true;
    }
  }
  return below;
}

bool is_heavy(const GraphNode& node) {
  return is_any(node.type, {"Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "DeformConv",
                            "MatMul", "Gemm", "Einsum", "MatMulInteger", "QLinearMatMul", "LSTM",
                            "GRU", "RNN", "Attention"});
}

Computable::Computable(const Model& model, GraphId graph, std::span<const ValueId> feeds)
    : state_(model.value_capacity()) {
  for (ValueId feed : feeds)
    state_[feed.index] = {true, true, false, {}};
  // Whether a value of this or an outer graph is there; outer ones only when constant.
  const auto look = [&](ValueId id) -> const State& {
    State& state = state_[id.index];
    if (!state.known) {
      const GraphValue& value = model.value(id);
      const bool fixed = !value.producer && !value.is_input;
      const bool constant = fixed || model.constant(id) != nullptr;
      state = {true, constant, constant, constant ? ValueId{} : id};
    }
    return state;
  };
  for (NodeId id = model.first_node(graph); id; id = model.next_node(id)) {
    const GraphNode& node = model.node(id);
    State result{
        true, !node.type.str().starts_with("Random") && node.type != "Multinomial", true, {}};
    if (!result.ok && !node.outputs.empty()) result.blame = node.outputs[0];
    if (node.domain.empty() && (node.type == "Shape" || node.type == "Size") &&
        !node.inputs.empty() && !look(node.inputs[0]).ok) {
      if (auto shape = model.value(node.inputs[0]).type.static_shape();
          shape && !node.attributes.has("start") && !node.attributes.has("end")) {
        Tensor tensor =
            node.type == "Size"
                ? Tensor::scalar<std::int64_t>(element_count(*shape))
                : Tensor::of<std::int64_t>({static_cast<std::int64_t>(shape->size())}, *shape);
        shapes_.emplace_back(node.outputs[0], Value(std::move(tensor)));
        state_[node.outputs[0].index] = {true, true, true, {}};
        continue;
      }
    }
    for (ValueId read : reads(model, id)) {
      const State state = look(read);
      result.constant = result.constant && state.constant;
      if (state.ok) continue;
      result = {true, false, false, state.blame};
      break;
    }
    if (result.ok && !result.constant && is_heavy(node)) {
      result = {true, false, false, node.outputs[0]};
    }
    for (ValueId output : node.outputs) {
      if (output && !state_[output.index].known) state_[output.index] = result;
    }
  }
  for (State& state : state_) {
    if (!state.known) state = {};
  }
}

Dependence trace(const Model& model, ValueId value) {
  Tracer tracer(model);
  tracer.read(value, Reading::Data);
  return tracer.run();
}

std::vector<int> distances_to_outputs(const Model& model, GraphId graph) {
  std::vector<int> distance(model.value_capacity(), -1);
  for (ValueId output : model.graph(graph).outputs) {
    if (output) distance[output.index] = 0;
  }
  for (NodeId id = model.last_node(graph); id; id = model.previous_node(id)) {
    int nearest = -1;
    for (ValueId output : model.node(id).outputs) {
      if (!output || distance[output.index] < 0) continue;
      const int own = distance[output.index];
      nearest = nearest < 0 ? own : std::min(nearest, own);
    }
    if (nearest < 0) continue;
    for (ValueId read : reads(model, id)) {
      int& there = distance[read.index];
      if (there < 0 || there > nearest + 1) there = nearest + 1;
    }
  }
  return distance;
}

}  // namespace rulec
