// SPDX-License-Identifier: Apache-2.0
#include "compiler/generate/instance.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/generate/instance_maker.h"
#include "compiler/generate/scope_instance.h"
#include "compiler/rule_parts.h"
#include "matcher/onnx_io.h"

namespace rulec {

Result<Instance> InstanceMaker::make() {
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

void InstanceMaker::choose_opset() {
  constexpr std::int64_t likely[] = {17, 18, 20, 13, 11, 21};
  std::int64_t opset = likely[below(6)];
  if (rule_.requires_opset && !coin(4))
    opset = std::max<std::int64_t>(opset, rule_.requires_opset->version);
  opset = std::min<std::int64_t>(opset, ops_.newest_opset(""));
  model_.ir_version = 8;
  model_.opset_imports = {{"", opset}};
}

void InstanceMaker::choose_base() {
  constexpr DType dtypes[] = {DType::F32, DType::F32, DType::F32, DType::F16,
                              DType::F64, DType::I32, DType::I64, DType::Bool};
  dtype_ = dtypes[below(8)];
  const std::size_t rank = coin(8) ? below(2) : 2 + below(3);
  for (std::size_t i = 0; i < rank; ++i)
    base_.push_back(coin(5) ? 1 : 2 + random_.below(3));
}

Status InstanceMaker::make_cluster() {
  const PatternId member = rule_.root.patterns.front();
  const bool by = rule_.root.kind == Root::Kind::ClusterBy;
  const std::int64_t members = (by ? 2 : 1) + random_.below(2);
  ValueId source;
  for (std::int64_t i = 0; i < members; ++i) {
    nodes_.clear();
    for (std::size_t slot = 0; i > 0 && slot < bindings_.size(); ++slot) {
      const SlotKind kind = rule_.slots[slot].kind;
      const bool common = (by && slot == rule_.root.by.index) || kind == SlotKind::Dimension ||
                          kind == SlotKind::Attributes || (kind == SlotKind::Attribute && !coin(4));
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

void InstanceMaker::hide_shapes() {
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

static bool makes_bodies(const std::vector<OpName>& ops) {
  return std::all_of(ops.begin(), ops.end(), [](const OpName& op) {
    return op.domain.empty() && (op.type == "Loop" || op.type == "If" || op.type == "Scan");
  });
}

static bool speaks_of_body(const RuleSet& rules, ExprId id) {
  if (!id) return false;
  const Expr& expr = rules[id];
  if (expr.kind == Expr::Kind::Contains || expr.kind == Expr::Kind::BodyIs) return true;
  return std::any_of(expr.operands.begin(), expr.operands.end(),
                     [&](ExprId operand) { return speaks_of_body(rules, operand); });
}

std::string why_no_instances(const RuleSet& rules, const Rule& rule) {
  if (rule.call)
    return "what a template replaces is not made up; a test over a model in which it fires gives "
           "near misses";
  for (const PatternId id : patterns_of(rules, rule, false))
    for (const ExprId predicate : rules[id].predicates)
      if (speaks_of_body(rules, predicate) && !makes_bodies(rules[id].ops))
        return fmt::format(
            "the body of {} is that of a model-local function, which is not made up; a test over a "
            "model in which it fires gives near misses",
            rules[id].ops.empty() ? "the node" : rules[id].ops.front().type);
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
