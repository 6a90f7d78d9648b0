// SPDX-License-Identifier: Apache-2.0
#include "compiler/rule_parts.h"

#include <algorithm>

namespace rulec {

std::vector<ExprId> exprs_of(const RuleSet& rules, const Rule& rule) {
  std::vector<ExprId> open = rule.where;
  open.push_back(rule.replacement);
  for (const Assumption& one : rule.assuming)
    open.push_back(one.when);
  if (rule.requires_opset) open.push_back(rule.requires_opset->otherwise);
  for (const Let& let : rule.lets)
    open.push_back(let.value);
  for (const Statement& statement : rule.statements)
    open.push_back(statement.value);
  if (rule.call)
    for (const TemplateArgument& argument : rule.call->arguments)
      open.push_back(argument.value);
  std::vector<PatternId> patterns = rule.root.patterns;
  std::vector<PatternId> seen;
  std::vector<ExprId> out;
  while (!open.empty() || !patterns.empty()) {
    if (!patterns.empty()) {
      const PatternId id = patterns.back();
      patterns.pop_back();
      if (std::find(seen.begin(), seen.end(), id) != seen.end()) continue;
      seen.push_back(id);
      const Pattern& pattern = rules[id];
      patterns.insert(patterns.end(), pattern.children.begin(), pattern.children.end());
      open.insert(open.end(), pattern.predicates.begin(), pattern.predicates.end());
      for (const AttributePattern& attribute : pattern.attributes)
        open.push_back(attribute.equals);
      continue;
    }
    const ExprId id = open.back();
    open.pop_back();
    if (!id || std::find(out.begin(), out.end(), id) != out.end()) continue;
    out.push_back(id);
    const Expr& expr = rules[id];
    open.insert(open.end(), expr.operands.begin(), expr.operands.end());
    for (const auto& [name, value] : expr.named)
      open.push_back(value);
    if (expr.emit) {
      if (expr.emit->arguments)
        open.insert(open.end(), expr.emit->arguments->begin(), expr.emit->arguments->end());
      for (const EmitAttribute& attribute : expr.emit->attributes)
        open.push_back(attribute.value);
    }
    if (expr.pattern) patterns.push_back(expr.pattern);
    patterns.insert(patterns.end(), expr.patterns.begin(), expr.patterns.end());
  }
  return out;
}

std::vector<PatternId> patterns_of(const RuleSet& rules, const Rule& rule, bool bodies) {
  std::vector<PatternId> out;
  std::vector<PatternId> open(rule.root.patterns.rbegin(), rule.root.patterns.rend());
  if (bodies) {
    for (const ExprId id : exprs_of(rules, rule)) {
      const Expr& expr = rules[id];
      if (expr.pattern) open.push_back(expr.pattern);
      open.insert(open.end(), expr.patterns.begin(), expr.patterns.end());
    }
  }
  while (!open.empty()) {
    const PatternId id = open.back();
    open.pop_back();
    if (std::find(out.begin(), out.end(), id) != out.end()) continue;
    out.push_back(id);
    open.insert(open.end(), rules[id].children.rbegin(), rules[id].children.rend());
  }
  return out;
}

bool captures_constant(const RuleSet& rules, const Rule& rule, SlotId slot) {
  for (const PatternId id : patterns_of(rules, rule, true)) {
    const Pattern& pattern = rules[id];
    if (pattern.slot == slot && pattern.constness != Pattern::Constness::Any) return true;
  }
  return false;
}

static void narrow(OpsetRange& range, std::string_view relation, int version) {
  if (relation == ">=") range.low = std::max(range.low, version);
  if (relation == ">") range.low = std::max(range.low, version + 1);
  if (relation == "<=") range.high = std::min(range.high, version);
  if (relation == "<") range.high = std::min(range.high, version - 1);
  if (relation == "=" || relation == "==") range = {version, version};
}

OpsetRange opsets_of(const RuleSet& rules, const Rule& rule) {
  OpsetRange range;
  if (rule.requires_opset && !rule.requires_opset->otherwise)
    narrow(range, rule.requires_opset->relation, rule.requires_opset->version);
  std::vector<ExprId> open = rule.where;
  while (!open.empty()) {
    const Expr& expr = rules[open.back()];
    open.pop_back();
    if (expr.kind != Expr::Kind::Apply) continue;
    if (expr.op == Operator::And) {
      open.insert(open.end(), expr.operands.begin(), expr.operands.end());
      continue;
    }
    if (expr.operands.size() != 2) continue;
    const bool turned = rules[expr.operands[1]].kind == Expr::Kind::Opset;
    if (!turned && rules[expr.operands[0]].kind != Expr::Kind::Opset) continue;
    const auto* version =
        std::get_if<std::int64_t>(&rules[expr.operands[turned ? 0 : 1]].literal.value);
    if (version == nullptr) continue;
    const auto number = static_cast<int>(std::clamp<std::int64_t>(*version, -1000, 1000));
    switch (expr.op) {
      case Operator::Equal:
        narrow(range, "=", number);
        break;
      case Operator::Less:
        narrow(range, turned ? ">" : "<", number);
        break;
      case Operator::LessEqual:
        narrow(range, turned ? ">=" : "<=", number);
        break;
      case Operator::Greater:
        narrow(range, turned ? "<" : ">", number);
        break;
      case Operator::GreaterEqual:
        narrow(range, turned ? "<=" : ">=", number);
        break;
      default:
        break;
    }
  }
  // What contradicts itself is the lints' business.
  return range.low <= range.high ? range : OpsetRange{};
}

bool is_plain(const RuleSet& rules, const Rule& rule) {
  if (rule.root.kind != Root::Kind::Pattern || rule.root.patterns.size() != 1 || rule.call)
    return false;
  const Pattern& root = rules[rule.root.patterns.front()];
  const auto is_node = [](const Pattern& pattern) { return pattern.kind == Pattern::Kind::Node; };
  return is_node(root) || (root.kind == Pattern::Kind::Either &&
                           std::all_of(root.children.begin(), root.children.end(),
                                       [&](PatternId child) { return is_node(rules[child]); }));
}

bool has_conditions(const RuleSet& rules, const Rule& rule) {
  if (!rule.where.empty() || rule.requires_opset || rule.target || !rule.see_through.empty())
    return true;
  if (rule.precision.kind == PrecisionClass::Kind::Approx ||
      rule.precision.kind == PrecisionClass::Kind::Unsafe)
    return true;
  std::vector<PatternId> open = rule.root.patterns;
  while (!open.empty()) {
    const Pattern& pattern = rules[open.back()];
    open.pop_back();
    if (!pattern.predicates.empty()) return true;
    open.insert(open.end(), pattern.children.begin(), pattern.children.end());
  }
  return false;
}

std::string called(const Rule& rule) {
  return rule.package.empty() ? fmt::format("`{}`", rule.name)
                              : fmt::format("`{}.{}`", rule.package, rule.name);
}

}  // namespace rulec
