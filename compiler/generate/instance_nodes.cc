// SPDX-License-Identifier: Apache-2.0
// Nodes of a made-up graph: their operands, attributes, and what the opset has as one or the other.
#include <algorithm>

#include "compiler/generate/instance_maker.h"
#include "matcher/facts.h"
#include "matcher/onnx_infer_node.h"

namespace rulec {

using Kind = Pattern::Kind;

Result<NodeId> InstanceMaker::node(PatternId id) {
  if (const auto known = nodes_.find(id.index); known != nodes_.end()) return known->second;
  auto made = node_of(rules_[id], {});
  if (made) nodes_[id.index] = *made;
  return made;
}

bool InstanceMaker::holds_nodes(PatternId id) const {
  const Pattern& pattern = rules_[id];
  if (pattern.kind == Kind::Node || pattern.kind == Kind::Chain) return true;
  if (pattern.kind == Kind::Bind && pattern.slot && bindings_[pattern.slot.index].bound())
    return true;
  return std::any_of(pattern.children.begin(), pattern.children.end(),
                     [&](PatternId child) { return holds_nodes(child); });
}

void InstanceMaker::put(Spot& spot, std::vector<ValueId>& inputs, std::size_t index, ValueId made) {
  if (inputs.size() <= index) inputs.resize(index + 1);
  inputs[index] = made;
  if (spot.operands.size() <= index) spot.operands.resize(index + 1);
  if (made) spot.operands[index] = type_of(model_, made);
}

Result<NodeId> InstanceMaker::node_of(const Pattern& pattern, ValueId first) {
  const OpName& op = pattern.ops[below(pattern.ops.size())];
  if (!op.domain.empty() && model_.opset(op.domain) == 0)
    model_.opset_imports.emplace_back(op.domain, 1);
  const OpSchema* schema = ops_.find(op.domain, op.type, opset_of(model_, op.domain));
  if (schema == nullptr) return make_error("no {} in this opset", op.type);
  Spot spot{.type = op.type, .opset = model_.opset("")};
  std::vector<ValueId> inputs;
  std::vector<PatternId> children;
  std::size_t more = 0;  // operands that `_...` and the like stand for
  for (const PatternId child : pattern.children) {
    const Kind kind = rules_[child].kind;
    if (kind == Kind::AnyRest || kind == Kind::Rest)
      more = below(3);
    else
      children.push_back(child);
  }
  if (first) put(spot, inputs, 0, first);
  // Operands that nodes give come first: they say what the others must be.
  const auto take = [&](std::size_t i) -> Status {
    spot.index = pattern.input_of(i);
    auto made = value(children[i], &spot, schema);
    if (!made) return made.error();
    put(spot, inputs, spot.index, *made);
    return Done{};
  };
  std::vector<bool> taken(children.size());
  for (std::size_t i = 0; i < children.size(); ++i)
    if (holds_nodes(children[i])) {
      if (Status done = take(i); !done) return done.error();
      taken[i] = true;
    }
  const auto open = [&](std::size_t i) {
    return !taken[i] && rules_[children[i]].constness == Pattern::Constness::Any &&
           rules_[children[i]].kind != Kind::Literal && rules_[children[i]].kind != Kind::Absent;
  };
  if (std::none_of(taken.begin(), taken.end(), [](bool t) { return t; }))
    for (std::size_t i = 0; i < children.size(); ++i)
      if (open(i)) {
        if (Status done = take(i); !done) return done.error();
        taken[i] = true;
        break;
      }
  std::vector<Attribute> moved;
  if (Status done = attributes(pattern, *schema, spot, moved); !done) return done.error();
  for (std::size_t i = 0; i < children.size(); ++i)
    if (!taken[i])
      if (Status done = take(i); !done) return done.error();
  place_moved(op, *schema, spot, inputs, moved);
  const std::size_t listed = children.empty() ? 0 : pattern.input_of(children.size() - 1) + 1;
  if (Status done = fill_up(pattern, *schema, spot, inputs, listed, more); !done)
    return done.error();
  auto told = bodies(pattern, spot, inputs);
  if (!told) return told.error();
  while (!inputs.empty() && !inputs.back())
    inputs.pop_back();
  if (pattern.commutative && inputs.size() == 2 && coin()) std::swap(inputs[0], inputs[1]);
  const std::size_t results =
      std::max({pattern.results.size(), static_cast<std::size_t>(pattern.output) + 1,
                op.type == "Split" ? std::size_t{2} : std::size_t{1}});
  if (!told->empty() && results > told->size())
    return make_error("{} has fewer results than the pattern names", op.type);
  const NodeId made = model_.add_node(graph_, {.name = model_.fresh_node_name(op.type),
                                               .domain = op.domain,
                                               .type = op.type,
                                               .inputs = std::move(inputs),
                                               .output_count = std::max(results, told->size()),
                                               .attributes = std::move(spot.attributes)});
  const NodeId one[] = {made};
  if (Status inferred = infer_node_types(model_, one); !inferred) return inferred.error();
  for (std::size_t i = 0; i < told->size(); ++i)
    model_.value(model_.node(made).outputs[i]).type = (*told)[i];
  if (pattern.node_slot) bindings_[pattern.node_slot.index].held = made;
  for (std::size_t i = 0; i < pattern.results.size(); ++i)
    if (pattern.results[i]) bindings_[pattern.results[i].index].held = model_.node(made).outputs[i];
  return made;
}

Status InstanceMaker::fill_up(const Pattern& pattern, const OpSchema& schema, Spot& spot,
                              std::vector<ValueId>& inputs, std::size_t listed, std::size_t more) {
  const auto needed = static_cast<std::size_t>(std::max(0, schema.min_inputs()));
  std::size_t count = std::max(needed, listed + more);
  if (pattern.any_arguments && coin(3)) ++count;
  count = std::min(count, static_cast<std::size_t>(std::max(0, schema.max_inputs())));
  for (std::size_t i = 0; i < count; ++i) {
    const bool there = i < inputs.size() && inputs[i];
    if (there || (i < listed && i >= needed)) continue;
    if (i < listed) continue;
    spot.index = i;
    auto made = leaf(Pattern{}, &spot, &schema);
    if (!made) return made.error();
    put(spot, inputs, i, *made);
  }
  return Done{};
}

Status InstanceMaker::attributes(const Pattern& pattern, const OpSchema& schema, Spot& spot,
                                 std::vector<Attribute>& moved) {
  const std::vector<MovedOperand> operands = moved_operands(schema.domain, schema.type);
  const auto described = [&](const std::string& name) -> std::optional<AttributeSchema> {
    if (const AttributeSchema* known = schema.attribute(name)) return *known;
    for (const MovedOperand& one : operands)
      if (one.name == name) {
        AttributeSchema moved_there;
        moved_there.name = name;
        moved_there.kind = one.kind;
        return moved_there;
      }
    return std::nullopt;
  };
  const auto set = [&](const std::string& name, AttributeValue value) {
    if (schema.attribute(name) != nullptr)
      spot.attributes.set(name, std::move(value));
    else
      moved.push_back({name, std::move(value)});
  };
  for (const AttributePattern& wanted : pattern.attributes) {
    const auto known = described(wanted.name);
    if (!known) continue;  // a later opset's; its default counts
    if (wanted.equals) {
      const RuleValue value = evaluate(scope(), wanted.equals);
      if (std::holds_alternative<None>(value.data)) continue;
      auto attribute = as_attribute(scope(), value, known->kind);
      if (!attribute) return make_error("`{}` cannot be made up", wanted.name);
      set(wanted.name, std::move(*attribute));
      continue;
    }
    const auto* held =
        wanted.bind ? std::get_if<AttributeValue>(&bindings_[wanted.bind.index].held) : nullptr;
    if (held != nullptr) {
      set(wanted.name, *held);
      continue;
    }
    if (!known->required && coin(4) && schema.attribute(wanted.name) != nullptr) continue;
    auto value = guess_attribute(spot, *known, random_, words_);
    if (!value) continue;
    if (wanted.bind) bindings_[wanted.bind.index].held = *value;
    set(wanted.name, std::move(*value));
  }
  const auto named = [&](const std::string& name) {
    return std::any_of(pattern.attributes.begin(), pattern.attributes.end(),
                       [&](const AttributePattern& one) { return one.name == name; });
  };
  const bool of_member =
      rule_.root.kind != Root::Kind::Pattern && &pattern == &rules_[rule_.root.patterns.front()];
  if (of_member && rest_) {
    for (const Attribute& other : *rest_)
      spot.attributes.set(other.name, other.value);
    return Done{};
  }
  std::vector<Attribute> rest;
  for (const AttributeSchema& other : schema.attributes) {
    if (named(other.name) || !(other.required || coin(4))) continue;
    if (auto value = guess_attribute(spot, other, random_, words_)) {
      rest.push_back({other.name, *value});
      spot.attributes.set(other.name, std::move(*value));
    }
  }
  if (of_member) rest_ = std::move(rest);
  return Done{};
}

void InstanceMaker::place_moved(const OpName& op, const OpSchema& schema, Spot& spot,
                                std::vector<ValueId>& inputs, const std::vector<Attribute>& moved) {
  for (const Attribute& attribute : moved)
    for (const MovedOperand& one : moved_operands(op.domain, op.type)) {
      if (one.name != attribute.name || !one.is_input_at(static_cast<int>(model_.opset(op.domain))))
        continue;
      auto tensor = tensor_from_attribute(attribute.value);
      if (!tensor) continue;
      if (one.kind == AttributeKind::Int) tensor = tensor->reshaped({1});  // TopK's k
      spot.index = static_cast<std::size_t>(one.input);
      if (is_float(tensor->dtype())) {
        const DType dtype = guess_dtype(schema, spot, dtype_, random_);
        Tensor as = Tensor::zeros(dtype, tensor->shape());
        for (std::int64_t i = 0; i < as.size(); ++i)
          as.set_number(i, tensor->number(i));
        tensor = std::move(as);
      }
      put(spot, inputs, spot.index,
          model_.add_initializer(model_.main(), model_.fresh_value_name(one.name),
                                 std::move(*tensor)));
    }
}

Status InstanceMaker::add_reader(ValueId result) {
  const Type type = type_of(model_, result);
  NewNode reader{.type = "Neg", .inputs = {result}};
  reader.name = model_.fresh_node_name("reader");
  if (!type.is_tensor()) {
    model_.add_output(model_.main(), result);
    return Done{};
  }
  if (type.dtype == DType::Bool) {
    reader.type = "Not";
  } else if (!is_float(type.dtype) && !is_signed_integer(type.dtype)) {
    reader.type = "Unsqueeze";
    if (model_.opset("") < 13)
      reader.attributes.set("axes", std::vector<std::int64_t>{0});
    else
      reader.inputs.push_back(
          model_.add_initializer(model_.main(), model_.fresh_value_name("axes"),
                                 Tensor::of<std::int64_t>({1}, std::vector<std::int64_t>{0})));
  }
  const NodeId made = model_.add_node(model_.main(), std::move(reader));
  const NodeId one[] = {made};
  model_.add_output(model_.main(), model_.node(made).outputs[0]);
  return infer_node_types(model_, one);
}

}  // namespace rulec
