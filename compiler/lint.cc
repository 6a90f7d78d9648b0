// SPDX-License-Identifier: Apache-2.0
// What is odd about one rule: names and attributes that go nowhere, literals and globs that hang on
// one exporter's habits.
#include "compiler/lint.h"

#include <algorithm>
#include <cctype>

#include "compiler/linter.h"
#include "compiler/rule_parts.h"

namespace rulec {

void lint(RuleFiles& files, const CompiledRules& compiled) {
  Linter(files, compiled).run();
  for (RuleFile& file : files.files)
    file.diagnostics.sort();
}

void Linter::run() {
  for (const Rule& rule : rules_.rules) {
    if (!is_requested(rule.place)) continue;
    unused_captures(rule);
    dropped_attributes(rule);
    literals(rule);
    generated_names(rule);
    never_true(rule);
    alternatives(rule);
    idle_alternatives(rule);
  }
  for (const Phase& phase : rules_.phases) {
    rule_pairs(phase);
    rule_cycles(phase);
  }
}

bool Linter::is_requested(const Place& place) const {
  const auto file = by_name_.find(place.file);
  return file != by_name_.end() && files_.files[file->second].requested;
}

void Linter::note(Diagnostic& diagnostic, const Place& at, std::string text) const {
  const auto file = by_name_.find(at.file);
  if (file == by_name_.end()) return;
  diagnostic.note(*files_.files[file->second].source, {at.begin, at.end}, std::move(text));
}

// ---- names ------------------------------------------------------------------------------------

void Linter::unused_captures(const Rule& rule) {
  std::vector<int> mentions(rule.slots.size(), 0);
  std::vector<bool> exempt(rule.slots.size(), false);
  const auto mention = [&](SlotId slot) {
    if (slot && slot.index < mentions.size()) ++mentions[slot.index];
  };
  for (const PatternId id : patterns_of(rules_, rule, true)) {
    const Pattern& pattern = rules_[id];
    mention(pattern.slot);
    mention(pattern.rest_attributes);
    mention(pattern.node_slot);
    for (const AttributePattern& attribute : pattern.attributes)
      mention(attribute.bind);
    // These forms have no way to be written without a name.
    const bool named = pattern.kind == Pattern::Kind::Outer ||
                       pattern.kind == Pattern::Kind::State || pattern.kind == Pattern::Kind::Scan;
    if (named && pattern.slot) exempt[pattern.slot.index] = true;
    for (const SlotId result : pattern.results)
      if (result) exempt[result.index] = true;
  }
  std::set<std::uint32_t> kept;  // nodes that the replacement makes over
  for (const ExprId id : exprs_of(rules_, rule)) {
    mention(rules_[id].slot);
    if (!rules_[id].emit) continue;
    mention(rules_[id].emit->node);
    if (rules_[id].emit->node && !rules_[id].emit->arguments)
      kept.insert(rules_[id].emit->node.index);
  }
  // `n{…}` keeps the operands of n, whether their names are said again or not.
  for (const PatternId id : patterns_of(rules_, rule, false)) {
    const Pattern& pattern = rules_[id];
    if (!pattern.node_slot || !kept.contains(pattern.node_slot.index)) continue;
    for (const PatternId child : pattern.children)
      if (rules_[child].slot) exempt[rules_[child].slot.index] = true;
  }
  // What a block names for itself is no capture.
  for (const Statement& statement : rule.statements)
    for (const SlotId result : statement.results)
      if (result) exempt[result.index] = true;
  mention(rule.root.by);
  for (const auto& [slot, type] : rule.retype) {
    mention(slot);
    if (slot) exempt[slot.index] = true;  // `retype y` may be the one to name the result
  }
  for (const Let& let : rule.lets) {
    mention(let.slot);
    mention(let.from_source);
  }
  for (std::size_t i = 0; i < rule.slots.size(); ++i) {
    const Slot& slot = rule.slots[i];
    if (mentions[i] != 1 || exempt[i] || slot.name.starts_with('_')) continue;
    switch (slot.kind) {
      case SlotKind::Value:
      case SlotKind::Scalar:
        warn(DiagnosticKind::UnusedCapture, slot.place,
             "`{}` is captured and never used; write `_` (behind `const` and `scalar`, `_{}`)",
             slot.name, slot.name);
        break;
      case SlotKind::Values:
        warn(DiagnosticKind::UnusedCapture, slot.place,
             "`{}...` is captured and never used; write `_...`", slot.name);
        break;
      case SlotKind::Attribute:
        warn(DiagnosticKind::UnusedCapture, slot.place,
             "the attribute `{}` is captured and never used; `{{_}}` says that attributes may be "
             "dropped",
             slot.name);
        break;
      case SlotKind::Attributes:
        warn(DiagnosticKind::UnusedCapture, slot.place,
             "`..{}` is captured and never used; `{{_}}` says that these attributes may be dropped",
             slot.name);
        break;
      case SlotKind::Node:
      case SlotKind::Nodes:
        warn(DiagnosticKind::UnusedCapture, slot.place, "the node `{}` is captured and never used",
             slot.name);
        break;
      case SlotKind::Let:
        warn(DiagnosticKind::UnusedCapture, slot.place, "`{}` is computed and never used",
             slot.name);
        break;
      default:
        break;
    }
  }
}

// ---- attributes -------------------------------------------------------------------------------

namespace {

// An attribute that says how another one, or an operand, is read: it means nothing where the rule
// has settled that one.
struct Reading {
  std::string_view op;  // "Reduce*" for all of them
  std::string_view attribute, of;
  int operand = -1;
};

}  // namespace

static constexpr Reading readings[] = {
    {"Reduce*", "noop_with_empty_axes", "axes", 1},
    {"Reshape", "allowzero", "shape", 1},
    {"Cast", "saturate", "to", -1},
    {"Cast", "round_mode", "to", -1},
    {"Pad", "mode", "pads", 1},
    {"Pad", "value", "pads", 1},
    {"Pad", "axes", "pads", 1},
    {"BatchNormalization", "momentum", "training_mode", -1},
};

// A shape that says which sizes are copied: `allowzero` tells how to read its zeros.
static bool holds_zero(const Pattern& literal) {
  const auto* list = std::get_if<std::vector<Literal>>(&literal.literal.value);
  return list == nullptr || std::any_of(list->begin(), list->end(), [](const Literal& item) {
           const auto* size = std::get_if<std::int64_t>(&item.value);
           return size == nullptr || *size == 0;
         });
}

// Whether the rule compares what the attribute reads, drops it, or speaks of it in a guard.
static bool is_settled(const RuleSet& rules, const Rule& rule, const Pattern& pattern,
                       std::string_view name) {
  const std::string& type = pattern.ops.front().type;
  const auto guarded = [&](SlotId slot) {
    std::vector<ExprId> open = rule.where;
    while (!open.empty()) {
      const Expr& expr = rules[open.back()];
      open.pop_back();
      if (expr.kind == Expr::Kind::Slot && expr.slot == slot) return true;
      for (const ExprId operand : expr.operands)
        if (operand) open.push_back(operand);
    }
    return false;
  };
  return std::any_of(std::begin(readings), std::end(readings), [&](const Reading& reading) {
    const bool same = reading.op == "Reduce*" ? type.starts_with("Reduce") : type == reading.op;
    if (!same || !pattern.ops.front().domain.empty() || name != reading.attribute) return false;
    for (const AttributePattern& attribute : pattern.attributes) {
      if (attribute.name != reading.of) continue;
      if (attribute.bind) return guarded(attribute.bind);
      const Expr& wanted = rules[attribute.equals];
      return wanted.kind == Expr::Kind::List ? !wanted.operands.empty() : reading.op != "Cast";
    }
    for (std::size_t i = 0; i < pattern.children.size(); ++i) {
      if (static_cast<int>(pattern.input_of(i)) != reading.operand) continue;
      const Pattern& child = rules[pattern.children[i]];
      if (child.kind == Pattern::Kind::Literal && reading.op == "Reshape")
        return !holds_zero(child);
      return child.kind == Pattern::Kind::Any || (child.slot && guarded(child.slot));
    }
    return false;
  });
}

void Linter::dropped_attributes(const Rule& rule) {
  if (rule.call) return;  // what a template replaces is compared by running it
  std::set<std::uint32_t> carried;
  for (const ExprId id : exprs_of(rules_, rule)) {
    const Expr& expr = rules_[id];
    if (expr.emit && expr.emit->node) carried.insert(expr.emit->node.index);
    if (expr.kind == Expr::Kind::Slot && expr.slot) carried.insert(expr.slot.index);
  }
  for (const PatternId id : patterns_of(rules_, rule, false)) {
    const Pattern& pattern = rules_[id];
    if (pattern.kind != Pattern::Kind::Node || pattern.shared || pattern.drop_attributes ||
        pattern.rest_attributes || (pattern.node_slot && carried.contains(pattern.node_slot.index)))
      continue;
    const OpName& op = pattern.ops.front();
    const auto versions = ops_.versions(op.domain, op.type);
    if (versions.empty()) continue;
    std::vector<std::string> free;
    const auto leave = [&](const std::string& name) {
      const bool named = std::any_of(pattern.attributes.begin(), pattern.attributes.end(),
                                     [&](const AttributePattern& one) { return one.name == name; });
      if (!named && std::find(free.begin(), free.end(), name) == free.end()) free.push_back(name);
    };
    for (const AttributeSchema& attribute : versions.front()->attributes)
      if (attribute.kind != AttributeKind::Graph && attribute.kind != AttributeKind::Graphs)
        leave(attribute.name);
    for (const MovedOperand& moved : moved_operands(op.domain, op.type)) {
      if (moved.until != INT_MAX) continue;
      bool listed = false;
      for (std::size_t i = 0; i < pattern.children.size(); ++i) {
        const Pattern::Kind kind = rules_[pattern.children[i]].kind;
        const bool rest = kind == Pattern::Kind::Rest || kind == Pattern::Kind::AnyRest;
        const auto input = static_cast<int>(pattern.input_of(i));
        listed = listed || input == moved.input || (rest && input <= moved.input);
      }
      if (!listed) leave(moved.name);
    }
    std::erase_if(free,
                  [&](const std::string& name) { return is_settled(rules_, rule, pattern, name); });
    if (free.empty()) continue;
    warn(DiagnosticKind::DroppedAttribute, pattern.place,
         "whatever `{}` of this `{}` {}, the replacement drops it; compare or capture it, or write "
         "`{{_}}`",
         fmt::join(free, "`, `"), op.type, free.size() == 1 ? "is" : "are");
  }
}

// ---- literals and names of nodes --------------------------------------------------------------

void Linter::literals(const Rule& rule) {
  for (const PatternId id : patterns_of(rules_, rule, true)) {
    const Pattern& pattern = rules_[id];
    if (pattern.kind != Pattern::Kind::Literal || !pattern.exact) continue;
    const auto* number = std::get_if<double>(&pattern.literal.value);
    if (number == nullptr || static_cast<double>(static_cast<float>(*number)) == *number) continue;
    warn(DiagnosticKind::ExactFloat, pattern.place,
         "`exact {}` matches one rounding of a number that no float is; without `exact` it is "
         "compared to 1e-4",
         *number);
  }
}

void Linter::generated_names(const Rule& rule) {
  if (rule.root.kind == Root::Kind::Scope) check_glob(rule.root.scope, rule.root.place);
  for (const ExprId id : exprs_of(rules_, rule)) {
    const Expr& expr = rules_[id];
    if (expr.kind != Expr::Kind::Apply || expr.op != Operator::Matches) continue;
    const Expr& glob = rules_[expr.operands[1]];
    const auto* text = std::get_if<std::string>(&glob.literal.value);
    if (glob.kind == Expr::Kind::Literal && text != nullptr) check_glob(*text, glob.place);
  }
}

// "Conv_123", "/model/Relu_7", "onnx::MatMul_42", "417": numbers that another export counts anew.
void Linter::check_glob(const std::string& glob, const Place& place) {
  const std::size_t slash = glob.rfind('/');
  std::string last = slash == std::string::npos ? glob : glob.substr(slash + 1);
  const std::size_t colons = last.rfind("::");
  const bool foreign = colons != std::string::npos;
  if (foreign) last = last.substr(colons + 2);
  std::size_t digits = last.size();
  while (digits > 0 && std::isdigit(static_cast<unsigned char>(last[digits - 1])))
    --digits;
  if (digits == last.size()) return;
  const bool counted =
      digits == 0 || (last[digits - 1] == '_' &&
                      (foreign || !ops_.versions("", last.substr(0, digits - 1)).empty()));
  if (!counted) return;
  warn(DiagnosticKind::GeneratedName, place,
       "`{}` ends in a number that an exporter counted; the next export counts otherwise", glob);
}

}  // namespace rulec
