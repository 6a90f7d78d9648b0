// SPDX-License-Identifier: Apache-2.0
#include "compiler/generate/instance.h"

#include <algorithm>
#include <map>

#include "compiler/generate/guess.h"
#include "compiler/generate/scope_instance.h"
#include "compiler/generate/words.h"
#include "compiler/rule_parts.h"
#include "matcher/facts.h"
#include "matcher/guard.h"
#include "matcher/onnx_infer_node.h"
#include "matcher/onnx_io.h"

namespace rulec {
namespace {

using Kind = Pattern::Kind;

class InstanceMaker {
 public:
  InstanceMaker(const RuleSet& rules, const OpTable& ops, const Rule& rule,
                const Situation& situation, Random& random)
      : rules_(rules),
        ops_(ops),
        rule_(rule),
        situation_(situation),
        random_(random),
        bindings_(rule.slots.size()) {
    words_ = words_of(rules, rule);
  }

  Result<Instance> make() {
    choose_opset();
    choose_base();
    if (rule_.root.kind != Root::Kind::Pattern)
      if (Status made = make_cluster(); !made) return made.error();
    for (const PatternId root : rule_.root.patterns) {
      if (rule_.root.kind != Root::Kind::Pattern) break;
      auto made = value(root, nullptr);
      if (!made) return made.error();
      if (*made && rule_.match_results.empty()) results_.push_back(*made);
    }
    for (const SlotId slot : rule_.match_results)
      if (const auto* held = std::get_if<ValueId>(&bindings_[slot.index].held); held && *held)
        results_.push_back(*held);
    if (results_.empty()) return make_error("the pattern gives no value");
    for (const ValueId result : results_)
      if (Status read = add_reader(result); !read) return read.error();
    Instance out;
    for (const ValueId input : model_.graph(model_.main()).inputs)
      out.inputs.emplace_back(model_.value(input).name, model_.value(input).type);
    if (coin(3)) hide_shapes();
    std::vector<std::string> warnings;
    infer_types(model_, warnings, &ops_);
    out.model = std::move(model_);
    return out;
  }

 private:
  bool coin(int of = 2) { return random_.below(of) == 0; }
  std::size_t below(std::size_t count) {
    return static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(count)));
  }

  void choose_opset() {
    constexpr std::int64_t likely[] = {17, 18, 20, 13, 11, 21};
    std::int64_t opset = likely[below(6)];
    if (rule_.requires_opset && !coin(4))
      opset = std::max<std::int64_t>(opset, rule_.requires_opset->version);
    opset = std::min<std::int64_t>(opset, ops_.newest_opset(""));
    model_.ir_version = 8;
    model_.opset_imports = {{"", opset}};
  }

  void choose_base() {
    constexpr DType dtypes[] = {DType::F32, DType::F32, DType::F32, DType::F16,
                                DType::F64, DType::I32, DType::I64, DType::Bool};
    dtype_ = dtypes[below(8)];
    const std::size_t rank = coin(8) ? below(2) : 2 + below(3);
    for (std::size_t i = 0; i < rank; ++i)
      base_.push_back(coin(5) ? 1 : 2 + random_.below(3));
  }

  // Members that share a value: what stands for all of them is drawn once, the rest for each.
  Status make_cluster() {
    const PatternId member = rule_.root.patterns.front();
    const bool by = rule_.root.kind == Root::Kind::ClusterBy;
    const std::int64_t members = (by ? 2 : 1) + random_.below(2);
    ValueId source;
    for (std::int64_t i = 0; i < members; ++i) {
      nodes_.clear();
      for (std::size_t slot = 0; i > 0 && slot < bindings_.size(); ++slot) {
        const SlotKind kind = rule_.slots[slot].kind;
        const bool common = (by && slot == rule_.root.by.index) || kind == SlotKind::Dimension ||
                            kind == SlotKind::Attributes ||
                            (kind == SlotKind::Attribute && !coin(4));
        if (!common) bindings_[slot] = {};
      }
      auto made = node_of(rules_[member], by ? ValueId{} : source);
      if (!made) return made.error();
      const GraphNode& node = model_.node(*made);
      if (!source && !node.inputs.empty()) source = node.inputs[0];
      results_.push_back(node.outputs[0]);
    }
    return Done{};
  }

  Scope scope(NodeId self = {}) const {
    return {model_, rules_, ops_, rule_.slots, bindings_, situation_, self, rule_.lets};
  }

  // ---- values

  Result<ValueId> value(PatternId id, const Spot* spot, const OpSchema* schema = nullptr) {
    const Pattern& pattern = rules_[id];
    switch (pattern.kind) {
      case Kind::Absent:
        return ValueId{};
      case Kind::Any:
        return leaf(pattern, spot, schema);
      case Kind::Bind:
        return bound(pattern, spot, schema);
      case Kind::Literal:
        return literal(pattern, spot, schema);
      case Kind::Either:
        return value(pattern.children[below(pattern.children.size())], spot, schema);
      case Kind::Maybe:
        return value(pattern.children[coin() ? 0 : pattern.children.size() - 1], spot, schema);
      case Kind::Chain:
        return chain(pattern, spot, schema);
      case Kind::Node: {
        auto made = node(id);
        if (!made) return made.error();
        const auto& outputs = model_.node(*made).outputs;
        const auto output = static_cast<std::size_t>(pattern.output);
        if (output >= outputs.size()) return make_error("the operator has fewer results");
        return outputs[output];
      }
      default:
        return make_error("the pattern speaks of a body");
    }
  }

  Result<ValueId> bound(const Pattern& pattern, const Spot* spot, const OpSchema* schema) {
    if (!pattern.slot) return leaf(pattern, spot, schema);
    Binding& slot = bindings_[pattern.slot.index];
    if (const auto* held = std::get_if<ValueId>(&slot.held)) return *held;
    if (const auto* held = std::get_if<Binding::Number>(&slot.held)) return held->value;
    if (pattern.optional && coin(3)) {
      slot.held = ValueId{};
      return ValueId{};
    }
    auto made = leaf(pattern, spot, schema);
    if (made) slot.held = *made;
    return made;
  }

  // An input or a constant of a shape, an element type and numbers that the place takes.
  Result<ValueId> leaf(const Pattern& pattern, const Spot* spot, const OpSchema* schema) {
    OperandGuess guess{base_};
    DType dtype = dtype_;
    if (spot != nullptr) guess = guess_operand(*spot, base_, random_, words_);
    if (schema != nullptr && spot != nullptr) dtype = guess_dtype(*schema, *spot, dtype_, random_);
    if (pattern.type && !pattern.type->dtypes.empty() &&
        std::find(pattern.type->dtypes.begin(), pattern.type->dtypes.end(), dtype) ==
            pattern.type->dtypes.end())
      dtype = pattern.type->dtypes[below(pattern.type->dtypes.size())];
    if (pattern.type && !pattern.type->shapes.empty()) {
      const Shape shape =
          shaped(pattern.type->shapes[below(pattern.type->shapes.size())], guess.shape);
      if (shape != guess.shape) guess.values.reset();
      guess.shape = shape;
    }
    const bool scalar = pattern.constness == Pattern::Constness::Scalar;
    const bool constant = pattern.constness != Pattern::Constness::Any || guess.values ||
                          (spot != nullptr && spot->index > 0 && coin(6));
    if (scalar && !guess.values) guess.shape = coin() ? Shape{} : Shape{1};
    if (dtype == DType::String || dtype == DType::Undefined)
      return make_error("operands of this type are not made up");
    if (!constant)
      return model_.add_input(model_.main(), model_.fresh_value_name("x"),
                              Type::tensor(dtype, guess.shape));
    return constant_of(dtype, guess, scalar);
  }

  // A shape pattern's names take the sizes they have, or those that the place asks for.
  Shape shaped(const std::vector<DimPattern>& dims, const Shape& like) {
    Shape out;
    for (std::size_t i = 0; i < dims.size(); ++i) {
      const std::int64_t likely = like.size() == dims.size() ? like[i] : 1 + random_.below(4);
      switch (dims[i].kind) {
        case DimPattern::Kind::Fixed:
          out.push_back(dims[i].size);
          break;
        case DimPattern::Kind::Variable: {
          Binding& slot = bindings_[dims[i].slot.index];
          if (!slot.bound()) slot.held = likely;
          const auto* size = std::get_if<std::int64_t>(&slot.held);
          out.push_back(size != nullptr ? *size : likely);
          break;
        }
        case DimPattern::Kind::Unknown:
          out.push_back(likely);
          break;
        case DimPattern::Kind::Rest:
          for (std::int64_t more = random_.below(3); more > 0; --more)
            out.push_back(1 + random_.below(3));
          break;
      }
    }
    return out;
  }

  ValueId constant_of(DType dtype, const OperandGuess& guess, bool scalar) {
    Tensor tensor = Tensor::zeros(dtype, guess.shape);
    // Zeros, ones and a rule's own numbers are where identities hold.
    std::optional<double> same;
    if (!guess.values && (scalar || coin(8))) {
      same = coin(3) ? 0.0 : coin() ? 1.0 : random_.uniform(0.1, 3);
      if (!words_.numbers.empty() && coin()) same = words_.numbers[below(words_.numbers.size())];
      if (!words_.integers.empty() && coin())
        same = static_cast<double>(words_.integers[below(words_.integers.size())]);
    }
    for (std::int64_t i = 0; i < tensor.size(); ++i) {
      double number = random_.normal();
      if (guess.positive) number = 0.5 + random_.uniform();
      if (guess.values) number = (*guess.values)[static_cast<std::size_t>(i)];
      if (same && !guess.positive) number = *same;
      if (is_float(dtype))
        tensor.set_number(i, number);
      else if (dtype == DType::Bool)
        tensor.set_integer(i, guess.values || same ? number != 0 : coin());
      else
        tensor.set_integer(i, guess.values || same
                                  ? static_cast<std::int64_t>(std::clamp(number, -9.2e18, 9.2e18))
                                  : random_.below(5));
    }
    return model_.add_initializer(model_.main(), model_.fresh_value_name("c"), std::move(tensor));
  }

  static double number_of(const Literal& literal) {
    if (const auto* b = std::get_if<bool>(&literal.value)) return *b ? 1 : 0;
    if (const auto* i = std::get_if<std::int64_t>(&literal.value)) return static_cast<double>(*i);
    if (const auto* d = std::get_if<double>(&literal.value)) return *d;
    return 0;
  }

  Result<ValueId> literal(const Pattern& pattern, const Spot* spot, const OpSchema* schema) {
    if (std::holds_alternative<std::monostate>(pattern.literal.value)) return ValueId{};
    if (std::holds_alternative<std::string>(pattern.literal.value))
      return make_error("operands of strings are not made up");
    OperandGuess guess;
    DType dtype = dtype_;
    if (schema != nullptr && spot != nullptr) dtype = guess_dtype(*schema, *spot, dtype_, random_);
    if (const auto* list = std::get_if<std::vector<Literal>>(&pattern.literal.value)) {
      guess.values.emplace();
      for (const Literal& item : *list)
        guess.values->push_back(number_of(item));
      guess.shape = {static_cast<std::int64_t>(list->size())};
    } else {
      guess.values = {number_of(pattern.literal)};
      if (coin(4)) guess.shape = {1};
    }
    const bool whole = std::all_of(guess.values->begin(), guess.values->end(),
                                   [](double v) { return v == std::floor(v); });
    if (!whole && !is_float(dtype)) return make_error("a fraction among integers");
    return constant_of(dtype, guess, false);
  }

  Result<ValueId> chain(const Pattern& pattern, const Spot* spot, const OpSchema* schema) {
    auto at = value(pattern.children.front(), spot, schema);
    if (!at) return at;
    const std::int64_t links = pattern.at_least + random_.below(3);
    for (std::int64_t i = 0; i < links; ++i) {
      Pattern link;
      link.kind = Kind::Node;
      link.ops = {pattern.ops[below(pattern.ops.size())]};
      auto made = node_of(link, *at);
      if (!made) return made.error();
      at = model_.node(*made).outputs[0];
    }
    return at;
  }

  // ---- nodes

  Result<NodeId> node(PatternId id) {
    if (const auto known = nodes_.find(id.index); known != nodes_.end()) return known->second;
    auto made = node_of(rules_[id], {});
    if (made) nodes_[id.index] = *made;
    return made;
  }

  bool holds_nodes(PatternId id) const {
    const Pattern& pattern = rules_[id];
    if (pattern.kind == Kind::Node || pattern.kind == Kind::Chain) return true;
    if (pattern.kind == Kind::Bind && pattern.slot && bindings_[pattern.slot.index].bound())
      return true;
    return std::any_of(pattern.children.begin(), pattern.children.end(),
                       [&](PatternId child) { return holds_nodes(child); });
  }

  void put(Spot& spot, std::vector<ValueId>& inputs, std::size_t index, ValueId made) {
    if (inputs.size() <= index) inputs.resize(index + 1);
    inputs[index] = made;
    if (spot.operands.size() <= index) spot.operands.resize(index + 1);
    if (made) spot.operands[index] = type_of(model_, made);
  }

  // `first`: what stands in front where the pattern does not say (links of a chain).
  Result<NodeId> node_of(const Pattern& pattern, ValueId first) {
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
    while (!inputs.empty() && !inputs.back())
      inputs.pop_back();
    if (pattern.commutative && inputs.size() == 2 && coin()) std::swap(inputs[0], inputs[1]);
    const std::size_t results =
        std::max({pattern.results.size(), static_cast<std::size_t>(pattern.output) + 1,
                  op.type == "Split" ? std::size_t{2} : std::size_t{1}});
    const NodeId made = model_.add_node(model_.main(), {.name = model_.fresh_node_name(op.type),
                                                        .domain = op.domain,
                                                        .type = op.type,
                                                        .inputs = std::move(inputs),
                                                        .output_count = results,
                                                        .attributes = std::move(spot.attributes)});
    const NodeId one[] = {made};
    if (Status inferred = infer_node_types(model_, one); !inferred) return inferred.error();
    if (pattern.node_slot) bindings_[pattern.node_slot.index].held = made;
    for (std::size_t i = 0; i < pattern.results.size(); ++i)
      if (pattern.results[i])
        bindings_[pattern.results[i].index].held = model_.node(made).outputs[i];
    return made;
  }

  // Operands that the pattern does not list and the operator needs, or may have.
  Status fill_up(const Pattern& pattern, const OpSchema& schema, Spot& spot,
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

  // `spot.attributes` gets those of this opset, `moved` those that are operands by now.
  Status attributes(const Pattern& pattern, const OpSchema& schema, Spot& spot,
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

  void place_moved(const OpName& op, const OpSchema& schema, Spot& spot,
                   std::vector<ValueId>& inputs, const std::vector<Attribute>& moved) {
    for (const Attribute& attribute : moved)
      for (const MovedOperand& one : moved_operands(op.domain, op.type)) {
        if (one.name != attribute.name ||
            !one.is_input_at(static_cast<int>(model_.opset(op.domain))))
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

  // Forwarding an input to an output keeps an Identity, so that a result is read by a node.
  Status add_reader(ValueId result) {
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

  // Sizes of inputs become names, or nothing: what must not be known is not.
  void hide_shapes() {
    const bool named = coin();
    for (const ValueId input : model_.graph(model_.main()).inputs) {
      if (coin(3) || !model_.value(input).type.dims) continue;
      for (Dim& dim : *model_.value(input).type.dims) {
        if (dim.size < 2 || coin(3)) continue;
        dim = {.symbol = named ? "d" + std::to_string(dim.size) : std::string()};
      }
    }
    const Type unknown;
    for (std::uint32_t i = 0; i < model_.value_capacity(); ++i)
      if (GraphValue& info = model_.value(ValueId{i}); info.alive && info.producer)
        info.type = unknown;
  }

  const RuleSet& rules_;
  const OpTable& ops_;
  const Rule& rule_;
  const Situation& situation_;
  Random& random_;
  Model model_;
  Words words_;
  DType dtype_ = DType::F32;
  Shape base_;
  std::vector<Binding> bindings_;
  std::map<std::uint32_t, NodeId> nodes_;
  std::optional<std::vector<Attribute>> rest_;  // a cluster's members have these in common
  std::vector<ValueId> results_;
};

}  // namespace

std::string why_no_instances(const RuleSet& rules, const Rule& rule) {
  if (rule.call)
    return "what a template replaces is not made up; a test over a model in which it fires gives "
           "near misses";
  for (const PatternId id : patterns_of(rules, rule, false))
    for (const OpName& op : rules[id].ops)
      if (op.domain.empty() && (op.type == "Loop" || op.type == "If" || op.type == "Scan"))
        return "nodes with bodies are not made up; a test over a model in which it fires gives "
               "near "
               "misses";
  return "";
}

Result<Instance> make_instance(const RuleSet& rules, const OpTable& ops, RuleId id,
                               const Situation& situation, Random& random) {
  const Rule& rule = rules[id];
  if (rule.root.kind == Root::Kind::Scope)
    return make_scope_instance(rules, ops, rule, situation, random);
  return InstanceMaker(rules, ops, rule, situation, random).make();
}

bool reads_half(const Model& model) {
  for (std::uint32_t i = 0; i < model.value_capacity(); ++i) {
    const GraphValue& value = model.value(ValueId{i});
    if (value.alive && value.initializer && bit_width(value.initializer->dtype()) <= 16 &&
        is_float(value.initializer->dtype()))
      return true;
  }
  return false;
}

}  // namespace rulec
