// SPDX-License-Identifier: Apache-2.0
// Three sizes lie on a line by chance: min(n, 4) does up to 4, n / 4 up to 3. So a model is taken
// for one that grows evenly only where its types say so, with the open size as a name.
#include <algorithm>

#include "compiler/backend/open_size.h"
#include "compiler/backend/prepare.h"
#include "matcher/passes.h"
#include "matcher/size_values.h"

namespace rulec::backend {

static constexpr const char* open_name = "rulec_open_size";

static void name_dimension(Model& model, const OpenDimension& dimension) {
  for (const ValueId id : model.graph(model.main()).inputs) {
    Type& type = model.value(id).type;
    if (!type.dims) continue;
    for (Dim& dim : *type.dims) {
      const bool meant = dimension.symbol.empty() ? model.value(id).name == dimension.input
                                                  : dim.symbol == dimension.symbol;
      if (!dim.known() && meant) dim.symbol = open_name;
    }
  }
}

// Types as far as they follow, through shapes that the model computes.
static bool follow_types(Model& model, const BuildOptions& options) {
  forget_inferred_types(model);
  BuiltEngine told;
  if (!settle_types(model, options, told)) return false;
  const OpTable ops;
  const std::vector<ValueId> outputs = model.graph(model.main()).outputs;
  for (int round = 0; round < 64; ++round) {
    // What an output is declared to be is not what follows.
    model.set_outputs(model.main(), {});
    const bool more = run_pass(model, ops, Pass::KnownShapes).types_may_follow;
    model.set_outputs(model.main(), outputs);
    if (!more) return true;
    std::vector<std::string> warnings;
    infer(model, warnings);
  }
  return true;
}

static bool is_even(const Type& type) {
  if (!type.is_tensor() || !type.dims) return false;
  return std::all_of(type.dims->begin(), type.dims->end(), [](const Dim& dim) {
    if (dim.known()) return true;
    if (dim.symbol.empty()) return false;
    const SizeElement size = size_named(dim.symbol);
    return !size.open && size.factor > 0 && size.sizes == std::vector<std::string>{open_name};
  });
}

// A sequence or a map that leaves the model: nothing is planned for it.
static bool is_only_handed_out(const Model& model, ValueId id) {
  const Type& type = model.value(id).type;
  const std::vector<Use> uses = model.uses(id);
  return type.kind != Type::Kind::Unknown && !type.is_tensor() &&
         std::none_of(uses.begin(), uses.end(), [](const Use& use) { return bool(use.node); });
}

// Operands that say no more than what the type of the result says.
static bool is_told_by_type(const GraphNode& node, std::size_t operand) {
  if (!node.domain.empty()) return false;
  if (node.type == "Reshape" || node.type == "Expand") return operand == 1;
  return node.type == "ConstantOfShape" && operand == 0;
}

namespace {
class Proof {
 public:
  explicit Proof(const Model& model) : model_(model) {}

  bool holds() {
    std::vector<bool> needed(model_.value_capacity(), false);
    const std::vector<NodeId> nodes = model_.nodes(model_.main());
    for (const ValueId output : model_.graph(model_.main()).outputs)
      needed[output.index] = true;
    for (std::size_t i = nodes.size(); i-- > 0;) {
      const GraphNode& node = model_.node(nodes[i]);
      const bool used = std::any_of(node.outputs.begin(), node.outputs.end(),
                                    [&](ValueId v) { return v && needed[v.index]; });
      if (!used) continue;
      for (const ValueId input : node.inputs) {
        if (input) needed[input.index] = true;
      }
    }
    for (const NodeId id : nodes) {
      read_sizes(model_, id, sizes_);
      const GraphNode& node = model_.node(id);
      const bool used = std::any_of(node.outputs.begin(), node.outputs.end(),
                                    [&](ValueId v) { return v && needed[v.index]; });
      if (used && !holds_for(id)) return false;
    }
    return std::none_of(model_.graph(model_.main()).outputs.begin(),
                        model_.graph(model_.main()).outputs.end(),
                        [&](ValueId v) { return tells_size(v); });
  }

 private:
  bool tells_size(ValueId v) const { return v && tells_size_[v.index]; }

  bool holds_for(NodeId id) {
    const GraphNode& node = model_.node(id);
    if (!model_.bodies(id).empty()) return false;
    bool measures = (node.type == "Shape" || node.type == "Size") && node.domain.empty();
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
      measures = measures || (tells_size(node.inputs[i]) && !is_told_by_type(node, i));
    for (const ValueId output : node.outputs) {
      if (!output) continue;
      if (!is_even(model_.value(output).type) && !is_only_handed_out(model_, output)) return false;
      if (!measures) continue;
      const SizeList* list = sizes_.find(output);
      if (list == nullptr || !list->complete()) return false;
      tells_size_[output.index] = !list->known();
    }
    return true;
  }

  const Model& model_;
  SizeValues sizes_;
  std::vector<bool> tells_size_ = std::vector<bool>(model_.value_capacity(), false);
};
}  // namespace

bool shapes_grow_evenly(const Model& model, const OpenDimension& dimension,
                        const BuildOptions& options) {
  Model named = model;
  name_dimension(named, dimension);
  return follow_types(named, options) && Proof(named).holds();
}

}  // namespace rulec::backend
