// SPDX-License-Identifier: Apache-2.0
// Replacements of more than one node: a Split for a cluster's members, results for what leaves a
// scope.
#include <algorithm>

#include <fmt/ranges.h>

#include "matcher/facts.h"
#include "matcher/firing.h"
#include "matcher/label.h"
#include "matcher/origin.h"

namespace rulec {

// One part for each member, in the order of the members.
bool Replacer::make_split(Draft& draft, ExprId expr) {
  std::vector<ValueId> results, members;
  std::vector<std::int64_t> sizes;
  const Expr& outer = rules_[expr];
  std::int64_t axis = 0;
  if (outer.kind == Expr::Kind::Emit) {
    for (const EmitAttribute& attribute : outer.emit->attributes) {
      if (attribute.name != "axis") continue;
      const RuleValue value =
          evaluate(draft.scope(model_, rules_, ops_, options_.situation), attribute.value);
      if (const auto* given = std::get_if<std::int64_t>(&value.data)) axis = *given;
    }
  }
  for (const NodeId member : draft.match.nodes) {
    members.push_back(model_.node(member).outputs.front());
    const Type type = type_of(model_, members.back());
    const auto along = type.dims ? normalize_axis(axis, type.dims->size())
                                 : Result<std::size_t>(Error{"unknown rank"});
    if (!along || !(*type.dims)[*along].known()) {
      return refuse(draft, "type", "members whose sizes along the axis are known", to_string(type));
    }
    sizes.push_back((*type.dims)[*along].size);
  }
  const std::string replaced = base_name(members.front());
  if (!emit_locals(draft, replaced) || !emit_into(draft, expr, replaced, results, sizes))
    return false;
  if (results.size() != members.size()) {
    return refuse(draft, "replacement", fmt::format("{} results", members.size()),
                  fmt::format("{}", results.size()));
  }
  for (std::size_t i = 0; i < members.size(); ++i)
    exchange(draft, members[i], results[i], {});
  return true;
}

static std::string listed(const Model& model, const std::vector<ValueId>& values) {
  std::vector<std::string> out;
  for (const ValueId value : values)
    out.push_back(
        fmt::format("`{}` : {}", model.value(value).name, to_string(type_of(model, value))));
  return fmt::format("{}", fmt::join(out, ", "));
}

// The results take the places of what leaves the scope, in the graph's order. Where they cannot,
// an unsafe rule may let them become the graph's outputs (docs/adr/0015).
bool Replacer::make_scope(Draft& draft, ExprId expr) {
  static constexpr std::size_t all_results = 16;
  const bool unsafe = draft.rule.precision.kind == PrecisionClass::Kind::Unsafe;
  const std::vector<ValueId> leaving = leaving_values(model_, draft.match.nodes);
  if (leaving.empty()) return refuse(draft, "use", "a value that leaves the scope", "none");
  const std::string replaced = base_name(leaving.front());
  std::vector<ValueId> results;
  if (!emit_locals(draft, replaced) ||
      !emit_into(draft, expr, replaced, results, {}, unsafe ? all_results : leaving.size()))
    return false;
  bool fits = results.size() >= leaving.size();
  for (std::size_t i = 0; fits && i < leaving.size(); ++i)
    fits = compatible(type_of(model_, leaving[i]), type_of(model_, results[i]));
  if (fits) {
    for (std::size_t i = 0; i < leaving.size(); ++i)
      exchange(draft, leaving[i], results[i], {});
    return true;
  }
  if (!unsafe) {
    return refuse(draft, "region", fmt::format("results in place of {}", listed(model_, leaving)),
                  listed(model_, results));
  }
  if (!follow_to_outputs(draft, leaving) || !may_be_outputs(draft, results)) return false;
  draft.new_outputs = std::move(results);
  return true;
}

// An output of a model has an element type and a rank: without them ONNX's checker refuses it.
bool Replacer::may_be_outputs(Draft& draft, const std::vector<ValueId>& results) {
  for (const ValueId value : results) {
    const Type type = type_of(model_, value);
    if (type.is_tensor() && type.dtype != DType::Undefined && type.dims) continue;
    const NodeId producer = model_.value(value).producer;
    const std::string op = producer ? model_.node(producer).type.str() : std::string("it");
    return refuse(draft, "type", "results that can be outputs: of a known element type and rank",
                  fmt::format("result {} of `{}` is {}, which ONNX's checker refuses as an output; "
                              "put behind it what fixes the rank, a `Reshape` for example",
                              model_.value(value).output + 1, op, to_string(type)));
  }
  return true;
}

// From the values that leave a scope down through nodes that only move data: outputs of the model
// and nothing else may read them.
bool Replacer::follow_to_outputs(Draft& draft, const std::vector<ValueId>& leaving) {
  const auto inside = [&](NodeId node) {
    const auto& nodes = draft.match.nodes;
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
  };
  std::vector<ValueId> open = leaving;
  for (std::size_t i = 0; i < open.size(); ++i) {
    for (const Use& use : model_.uses(open[i])) {
      if (!use.node && use.graph == model_.main()) {
        draft.lost_outputs.push_back(open[i]);
        continue;
      }
      if (use.node && inside(use.node)) continue;
      if (!use.node || model_.node(use.node).graph != model_.main() || use.slot != 0 ||
          !moves_data(model_, model_.node(use.node))) {
        return refuse(draft, "use", "values that only become outputs of the model",
                      fmt::format("`{}` is used by {}", model_.value(open[i]).name,
                                  use.node ? fmt::format("`{}`", label(model_, use.node))
                                           : std::string("a nested graph")));
      }
      if (std::find(draft.movers.begin(), draft.movers.end(), use.node) != draft.movers.end())
        continue;
      draft.movers.push_back(use.node);
      for (const ValueId output : model_.node(use.node).outputs) {
        if (output) open.push_back(output);
      }
    }
  }
  return true;
}

// The results become outputs where the first of the lost ones stood, under their operator's names.
void Replacer::exchange_outputs(Draft& draft, FiringResult& result) {
  std::vector<std::string> lost, gained;
  for (const ValueId value : draft.lost_outputs)
    lost.push_back(model_.value(value).name);
  for (const ValueId value : draft.new_outputs) {
    const NodeId producer = model_.value(value).producer;
    if (producer) {
      const GraphNode& node = model_.node(producer);
      const OpSchema* schema = ops_.find(node.domain, node.type, opset_of(model_, node.domain));
      const std::size_t at = model_.value(value).output;
      if (schema != nullptr && at < schema->outputs.size()) {
        model_.rename(value, model_.fresh_value_name(schema->outputs[at].name));
      }
    }
    gained.push_back(model_.value(value).name);
  }
  std::vector<ValueId> outputs;
  bool placed = false;
  for (const ValueId output : model_.graph(model_.main()).outputs) {
    const auto& gone = draft.lost_outputs;
    if (std::find(gone.begin(), gone.end(), output) == gone.end()) {
      outputs.push_back(output);
    } else if (!std::exchange(placed, true)) {
      outputs.insert(outputs.end(), draft.new_outputs.begin(), draft.new_outputs.end());
    }
  }
  model_.set_outputs(model_.main(), outputs);
  result.firing.notes.push_back(fmt::format("outputs `{}` went, `{}` stand in their place: {}",
                                            fmt::join(lost, "`, `"), fmt::join(gained, "`, `"),
                                            draft.rule.precision.text));
}

}  // namespace rulec
