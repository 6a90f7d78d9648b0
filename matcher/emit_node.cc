// SPDX-License-Identifier: Apache-2.0
// Writes one node: arguments and attributes in the form of the model's opset, checked against the
// schema, with types inferred.
#include <algorithm>

#include "matcher/clone.h"
#include "matcher/declared_types.h"
#include "matcher/emission.h"
#include "matcher/evaluate.h"
#include "matcher/facts.h"
#include "matcher/guard_calls.h"
#include "matcher/onnx_infer_node.h"

namespace rulec {

const Operand* schema_operand(const OpSchema& schema, std::size_t index) {
  if (schema.inputs.empty()) return nullptr;
  if (index < schema.inputs.size()) return &schema.inputs[index];
  const Operand& last = schema.inputs.back();
  return last.kind == OperandKind::Variadic ? &last : nullptr;
}

Status Emission::add_arguments(const Emit& emit, Draft& draft) {
  if (!emit.arguments) return Done{};  // a changed node keeps its own
  draft.operands.clear();
  // Operands that are written in braces take no place among the arguments.
  const auto add = [&](EmitOperand operand) {
    while (
        std::any_of(emit.attributes.begin(), emit.attributes.end(), [&](const EmitAttribute& one) {
          return !one.name.empty() &&
                 input_of_attribute(draft.op.domain, draft.op.type, one.name) ==
                     static_cast<int>(draft.operands.size());
        }))
      draft.operands.push_back({None{}});
    draft.operands.push_back(std::move(operand));
  };
  for (std::size_t i = 0; i < emit.arguments->size(); ++i) {
    const ExprId argument = (*emit.arguments)[i];
    if (i < emit.spread.size() && emit.spread[i]) {
      const RuleValue list = evaluate(scope_, argument);
      const auto* items = std::get_if<std::vector<RuleValue>>(&list.data);
      if (items == nullptr) return make_error("only a list can be spread");
      for (const RuleValue& item : *items) {
        const auto* value = std::get_if<ValueId>(&item.data);
        if (value != nullptr) {
          add({*value});
        } else if (is_none(item)) {
          add({None{}});
        } else {
          add({item});
        }
      }
      continue;
    }
    auto made = operand(argument);
    if (!made) return made.error();
    add(std::move(*made));
  }
  return Done{};
}

// The attributes of a `..a`; of a cluster's list, the first member's (they are equal).
static const std::vector<Attribute>* spread_attributes(const Binding& binding) {
  if (const auto* own = std::get_if<std::vector<Attribute>>(&binding.held)) return own;
  const auto* list = std::get_if<std::vector<Binding>>(&binding.held);
  if (list == nullptr || list->empty()) return nullptr;
  return std::get_if<std::vector<Attribute>>(&list->front().held);
}

Status Emission::add_attributes(const Emit& emit, Draft& draft) {
  for (const EmitAttribute& attribute : emit.attributes) {
    if (attribute.name.empty()) {
      const Expr& expr = scope_.rules[attribute.value];
      if (expr.kind != Expr::Kind::Slot || expr.slot.index >= scope_.bindings.size()) {
        return make_error("only captured attributes can be spread");
      }
      const auto* all = spread_attributes(scope_.bindings[expr.slot.index]);
      if (all == nullptr) return make_error("the spread attributes are not bound");
      for (const Attribute& one : *all)
        draft.attributes.push_back(one);
      continue;
    }
    std::erase_if(draft.attributes,
                  [&](const Attribute& earlier) { return earlier.name == attribute.name; });
    // An attribute that was captured as it stands keeps its kind.
    const Expr& expr = scope_.rules[attribute.value];
    if (expr.kind == Expr::Kind::Slot && expr.slot.index < scope_.bindings.size()) {
      const auto* held = std::get_if<AttributeValue>(&scope_.bindings[expr.slot.index].held);
      if (held != nullptr) {
        draft.attributes.push_back({attribute.name, *held});
        continue;
      }
    }
    RuleValue value = evaluate(scope_, attribute.value);
    if (const auto* unknown = std::get_if<Unknown>(&value.data)) {
      return make_error("attribute `{}`: {}", attribute.name, unknown->why);
    }
    if (!is_none(value)) draft.loose.emplace_back(attribute.name, std::move(value));
  }
  return Done{};
}

// How many results an operator has in the model's opset; at least one.
std::size_t Emission::most_results(const OpName& op) const {
  const OpSchema* schema = scope_.ops.find(op.domain, op.type, opset_for(op));
  if (schema == nullptr || schema->outputs.empty()) return 1;
  if (schema->outputs.back().kind == OperandKind::Variadic) return options_.results;
  return schema->outputs.size();
}

// The model's opset of an operator's domain; of a domain that it does not import yet the newest.
int Emission::opset_for(const OpName& op) const {
  return model_.opset(op.domain) == 0 ? std::max(1, scope_.ops.newest_opset(op.domain))
                                      : opset_of(model_, op.domain);
}

Result<std::vector<ValueId>> Emission::emit_node(const Expr& expr, bool outermost) {
  const Emit& emit = *expr.emit;
  Draft draft;
  draft.op = emit.op;
  draft.output_count = static_cast<std::size_t>(std::max(1, emit.output_count));
  draft.outermost = outermost;
  if (emit.node) {
    const Binding& binding = scope_.bindings[emit.node.index];
    const auto* node = std::get_if<NodeId>(&binding.held);
    if (node == nullptr) return make_error("the changed node is not bound");
    const GraphNode& base = model_.node(*node);
    draft.op = {base.domain.str(), base.type.str()};
    draft.changes = *node;
    draft.output_count = base.outputs.size();
    for (const ValueId input : base.inputs) {
      if (input) {
        draft.operands.push_back({input});
      } else {
        draft.operands.push_back({None{}});
      }
    }
    draft.attributes = base.attributes.all();
  }
  if (outermost && !emit.node && options_.results > draft.output_count)
    draft.output_count = std::min(options_.results, most_results(draft.op));
  if (const Status added = add_arguments(emit, draft); !added) return added.error();
  if (const Status added = add_attributes(emit, draft); !added) return added.error();
  return make(std::move(draft));
}

static void set_operand(std::vector<EmitOperand>& operands, std::size_t index,
                        EmitOperand operand) {
  if (operands.size() <= index) operands.resize(index + 1);
  operands[index] = std::move(operand);
}

// An attribute given by value or by kind: into the node's attributes, or into the operand that it
// became in this opset.
Status Emission::place_attribute(const OpSchema& schema, Draft& draft, const std::string& name,
                                 const RuleValue* loose, const AttributeValue* given) {
  const AttributeSchema* known = schema.attribute(name);
  if (known != nullptr) {
    std::optional<AttributeValue> value;
    if (given != nullptr) {
      value = *given;
    } else {
      value = as_attribute(scope_, *loose, known->kind);
    }
    if (!value) {
      return make_error("attribute `{}` of {} cannot be {}", name, draft.op.type,
                        to_string(scope_, *loose));
    }
    std::erase_if(draft.attributes, [&](const Attribute& other) { return other.name == name; });
    draft.attributes.push_back({name, std::move(*value)});
    return Done{};
  }
  for (const MovedOperand& moved : moved_operands(draft.op.domain, draft.op.type)) {
    if (moved.name != name || !moved.is_input_at(opset_of(model_, draft.op.domain))) continue;
    const auto slot = static_cast<std::size_t>(moved.input);
    const bool taken = slot < draft.operands.size() && !draft.operands[slot].absent();
    if (taken && (given != nullptr || !draft.changes)) {
      // What a changed node has already is not written again; two different ones are a mistake.
      if (draft.changes) return Done{};
      return make_error("operand `{}` of {} is given twice", name, draft.op.type);
    }
    if (loose != nullptr && std::holds_alternative<ValueId>(loose->data)) {
      set_operand(draft.operands, slot, {std::get<ValueId>(loose->data)});
      return Done{};
    }
    std::optional<AttributeValue> value;
    if (given != nullptr) {
      value = *given;
    } else {
      value = as_attribute(scope_, *loose, moved.kind);
    }
    auto tensor = value ? tensor_from_attribute(*value) : std::nullopt;
    if (!tensor) return make_error("operand `{}` of {} has no value", name, draft.op.type);
    // TopK's k is the one integer that is a list of one as an operand.
    if (moved.kind == AttributeKind::Int && tensor->rank() == 0) tensor = tensor->reshaped({1});
    RuleValue operand{*tensor};
    if (tensor->size() == 1 && is_float(tensor->dtype()) && tensor->rank() == 0) {
      operand = {tensor->number(0)};
    }
    set_operand(draft.operands, slot, {std::move(operand)});
    return Done{};
  }
  for (const OpSchema* version : scope_.ops.versions(draft.op.domain, draft.op.type)) {
    const AttributeSchema* other = version->attribute(name);
    if (other == nullptr || !other->default_value) continue;
    std::optional<AttributeValue> value;
    if (given != nullptr) {
      value = *given;
    } else {
      value = as_attribute(scope_, *loose, other->kind);
    }
    if (value && same_attribute(*value, *other->default_value)) return Done{};
    return make_error("{} knows `{}` from opset {} on only", draft.op.type, name, version->since);
  }
  return make_error("{} has no attribute `{}`", draft.op.type, name);
}

Status Emission::place_attributes(const OpSchema& schema, Draft& draft) {
  const std::vector<Attribute> given = std::exchange(draft.attributes, {});
  for (const Attribute& attribute : given) {
    const Status placed = place_attribute(schema, draft, attribute.name, nullptr, &attribute.value);
    if (!placed) return placed;
  }
  for (const auto& [name, value] : draft.loose) {
    const Status placed = place_attribute(schema, draft, name, &value, nullptr);
    if (!placed) return placed;
  }
  return Done{};
}

// An operand in the position that is still an attribute in this opset.
Status Emission::operands_to_attributes(const OpSchema& schema, Draft& draft) {
  for (const MovedOperand& moved : moved_operands(draft.op.domain, draft.op.type)) {
    const auto index = static_cast<std::size_t>(moved.input);
    if (moved.is_input_at(opset_of(model_, draft.op.domain)) || index >= draft.operands.size())
      continue;
    if (schema.attribute(moved.name) == nullptr) continue;
    const EmitOperand operand = draft.operands[index];
    draft.operands[index] = {None{}};
    if (operand.absent()) continue;
    const RuleValue value =
        operand.value() != nullptr ? RuleValue{*operand.value()} : *operand.constant();
    auto attribute = as_attribute(scope_, value, moved.kind);
    if (!attribute) {
      return make_error("`{}` of {} must be a constant before opset {}", moved.name, draft.op.type,
                        moved.since);
    }
    draft.attributes.push_back({moved.name, std::move(*attribute)});
  }
  return Done{};
}

Status Emission::check_arity(const OpSchema& schema, Draft& draft) const {
  while (!draft.operands.empty() && draft.operands.back().absent())
    draft.operands.pop_back();
  const auto count = static_cast<int>(draft.operands.size());
  if (count < schema.min_inputs() || count > schema.max_inputs()) {
    return make_error("{} does not take {} operands", draft.op.type, count);
  }
  for (std::size_t i = 0; i < draft.operands.size(); ++i) {
    const Operand* operand = schema_operand(schema, i);
    if (operand != nullptr && operand->kind == OperandKind::Single && draft.operands[i].absent()) {
      return make_error("operand `{}` of {} is absent", operand->name, draft.op.type);
    }
  }
  for (const AttributeSchema& attribute : schema.attributes) {
    if (!attribute.required) continue;
    const bool given =
        std::any_of(draft.attributes.begin(), draft.attributes.end(),
                    [&](const Attribute& one) { return one.name == attribute.name; });
    if (!given) return make_error("{} needs attribute `{}`", draft.op.type, attribute.name);
  }
  return Done{};
}

void Emission::split_attributes(Draft& draft) {
  if (draft.op.type != "Split" || !draft.op.domain.empty()) return;
  if (draft.outermost && !options_.split_sizes.empty()) {
    std::vector<RuleValue> sizes;
    for (const std::int64_t size : options_.split_sizes)
      sizes.push_back({size});
    draft.output_count = sizes.size();
    draft.loose.emplace_back("split", RuleValue{std::move(sizes)});
    return;
  }
  const auto given = [&](std::string_view wanted) {
    return std::any_of(draft.loose.begin(), draft.loose.end(),
                       [&](const auto& one) { return one.first == wanted; }) ||
           std::any_of(draft.attributes.begin(), draft.attributes.end(),
                       [&](const Attribute& one) { return one.name == wanted; });
  };
  const bool sized = given("split") || given("num_outputs") || draft.operands.size() > 1;
  if (opset_of(model_, "") >= 18 && !sized) {
    draft.loose.emplace_back("num_outputs",
                             RuleValue{static_cast<std::int64_t>(draft.output_count)});
  }
}

void Emission::import_domain(const std::string& domain) {
  if (model_.opset(domain) != 0) return;
  model_.opset_imports.emplace_back(domain, std::max(1, scope_.ops.newest_opset(domain)));
}

// What an `op` declaration says of its results, and where inference knows nothing besides, the only
// element type that the schema has.
Status Emission::take_declared_types(const OpSchema& schema, NodeId node) {
  const auto& outputs = model_.node(node).outputs;
  std::vector<Type> declared;
  if (schema.declared) {
    auto types = declared_types(schema, model_, model_.node(node));
    if (!types) return types.error();
    declared = std::move(*types);
  }
  for (std::size_t i = 0; i < outputs.size() && i < schema.outputs.size(); ++i) {
    GraphValue& value = model_.value(outputs[i]);
    if (value.type.kind == Type::Kind::Unknown && i < declared.size()) value.type = declared[i];
    const std::vector<DType>& dtypes = schema.outputs[i].dtypes;
    if (value.type.kind == Type::Kind::Unknown && dtypes.size() == 1)
      value.type = Type::tensor(dtypes.front());
    if (value.type.is_tensor() && !value.type.dims && i < declared.size())
      value.type.dims = declared[i].dims;
  }
  return Done{};
}

Result<std::vector<ValueId>> Emission::make(Draft draft) {
  const int opset = opset_for(draft.op);
  const OpSchema* schema = scope_.ops.find(draft.op.domain, draft.op.type, opset);
  if (schema == nullptr || schema->deprecated) {
    return make_error("{} is not an operator of opset {}{}{}", draft.op.type, opset,
                      draft.op.domain.empty() ? "" : " of ", draft.op.domain);
  }
  split_attributes(draft);
  if (const Status placed = place_attributes(*schema, draft); !placed) return placed.error();
  if (const Status placed = operands_to_attributes(*schema, draft); !placed) return placed.error();
  if (const Status checked = check_arity(*schema, draft); !checked) return checked.error();
  for (std::size_t i = 0; i < draft.operands.size(); ++i) {
    if (draft.operands[i].constant() == nullptr) continue;
    const auto value = materialise(*schema, draft, i);
    if (!value) return value.error();
    draft.operands[i] = {*value};
  }
  if (const Status checked = check_dtypes(*schema, draft); !checked) return checked.error();
  import_domain(draft.op.domain);

  NewNode made;
  made.domain = draft.op.domain;
  made.type = draft.op.type;
  const std::string hint =
      draft.outermost ? options_.name_hint : options_.name_hint + "_" + draft.op.type;
  made.name = model_.fresh_node_name(hint);
  for (const EmitOperand& operand : draft.operands) {
    made.inputs.push_back(operand.value() != nullptr ? *operand.value() : ValueId{});
  }
  made.output_count = draft.output_count;
  for (std::size_t i = 0; i < draft.output_count; ++i) {
    made.output_names.push_back(
        model_.fresh_value_name(i == 0 ? hint : fmt::format("{}_{}", hint, i)));
  }
  made.metadata = options_.metadata;
  const NodeId node = model_.add_node(options_.graph, std::move(made), options_.before);
  for (Attribute& attribute : draft.attributes) {
    // Bodies belong to one node: a changed copy gets copies.
    if (const auto* body = std::get_if<GraphId>(&attribute.value)) {
      attribute.value = clone_graph(model_, *body, node);
    } else if (auto* bodies = std::get_if<std::vector<GraphId>>(&attribute.value)) {
      for (GraphId& one : *bodies)
        one = clone_graph(model_, one, node);
    }
    model_.node(node).attributes.set(attribute.name, std::move(attribute.value));
  }
  nodes_.push_back(node);
  const NodeId fresh[] = {node};
  if (const Status inferred = infer_node_types(model_, fresh); !inferred) return inferred.error();
  if (const Status held = take_declared_types(*schema, node); !held) return held.error();
  if (draft.changes && !model_.bodies(node).empty()) {
    for (std::size_t i = 0; i < model_.node(node).outputs.size(); ++i) {
      const ValueId old = model_.node(draft.changes).outputs[i];
      const ValueId now = model_.node(node).outputs[i];
      if (old && now) model_.value(now).type = model_.value(old).type;
    }
  }
  if (schema->inputs.empty() && schema->deterministic) return computed(node);
  return std::vector<ValueId>(model_.node(node).outputs);
}

// An operator without operands (GridAnchor_TRT, Constant) gives the same at every run: computed
// here, where the reference evaluator can.
std::vector<ValueId> Emission::computed(NodeId node) {
  const std::vector<ValueId> outputs = model_.node(node).outputs;
  auto values = Evaluator(model_).run({}, outputs);
  if (!values ||
      !std::all_of(values->begin(), values->end(), [](const Value& v) { return v.is_tensor(); }))
    return outputs;
  model_.remove_node(node);
  nodes_.pop_back();
  std::vector<ValueId> constants;
  for (const Value& value : *values)
    constants.push_back(add_constant(value.tensor()));
  return constants;
}

}  // namespace rulec
