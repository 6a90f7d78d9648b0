// SPDX-License-Identifier: Apache-2.0
#include "compiler/typecheck.h"

#include <algorithm>
#include <climits>
#include <map>
#include <set>
#include <tuple>

#include "compiler/rule_parts.h"
#include "matcher/declared_types.h"
#include "matcher/edit_distance.h"

namespace rulec {
namespace {

std::string_view spelled(AttributeKind kind) {
  switch (kind) {
    case AttributeKind::Float:
      return "a float";
    case AttributeKind::Int:
      return "an int";
    case AttributeKind::String:
      return "a string";
    case AttributeKind::Tensor:
      return "a tensor";
    case AttributeKind::Graph:
      return "a graph";
    case AttributeKind::Floats:
      return "a list of floats";
    case AttributeKind::Ints:
      return "a list of ints";
    case AttributeKind::Strings:
      return "a list of strings";
    case AttributeKind::Tensors:
      return "a list of tensors";
    case AttributeKind::Graphs:
      return "a list of graphs";
    case AttributeKind::SparseTensor:
      return "a sparse tensor";
    case AttributeKind::TypeProto:
      return "a type";
  }
  return "something else";
}

// Whether a literal can be an attribute of this kind.
bool fits(const Literal& literal, AttributeKind kind) {
  const auto& value = literal.value;
  const bool integer = std::holds_alternative<std::int64_t>(value);
  const bool number = integer || std::holds_alternative<double>(value);
  const bool text = std::holds_alternative<std::string>(value);
  const bool flag = std::holds_alternative<bool>(value);
  const auto* list = std::get_if<std::vector<Literal>>(&value);
  const auto each = [&](AttributeKind item) {
    return list && std::all_of(list->begin(), list->end(),
                               [&](const Literal& element) { return fits(element, item); });
  };
  switch (kind) {
    case AttributeKind::Int:
      return integer || flag;
    case AttributeKind::Float:
      return number;
    case AttributeKind::String:
      return text;
    case AttributeKind::Ints:
      return each(AttributeKind::Int);
    case AttributeKind::Floats:
      return each(AttributeKind::Float);
    case AttributeKind::Strings:
      return each(AttributeKind::String);
    case AttributeKind::Tensor:
      return number || flag || list != nullptr;
    default:
      return false;
  }
}

constexpr int oldest_opset = 7;

class Checker {
 public:
  Checker(RuleFiles& files, const CompiledRules& compiled)
      : files_(files), rules_(compiled.rules), ops_(compiled.ops) {
    for (std::size_t i = 0; i < files.files.size(); ++i)
      by_name_[std::string(files.files[i].source->name())] = i;
  }

  void run() {
    of_pattern_.resize(rules_.patterns.size());
    of_expr_.resize(rules_.exprs.size());
    for (const Rule& rule : rules_.rules) {
      for (const PatternId id : patterns_of(rules_, rule, true))
        of_pattern_[id.index] = &rule;
      for (const ExprId id : exprs_of(rules_, rule))
        of_expr_[id.index] = &rule;
    }
    for (std::uint32_t i = 0; i < rules_.patterns.size(); ++i)
      check_pattern(rules_.patterns[i], of_pattern_[i]);
    for (std::uint32_t i = 0; i < rules_.exprs.size(); ++i)
      if (rules_.exprs[i].kind == Expr::Kind::Emit && rules_.exprs[i].emit)
        check_emit(rules_.exprs[i], of_expr_[i]);
  }

 private:
  struct Known {
    std::vector<const OpSchema*> versions;
    std::vector<MovedOperand> moved;
    int least_inputs = INT_MAX, most_inputs = 0, most_outputs = 0;
  };

  template <typename... Args>
  Diagnostic* error(DiagnosticKind kind, const Place& place, fmt::format_string<Args...> format,
                    Args&&... args) {
    const auto file = by_name_.find(place.file);
    if (file == by_name_.end()) return nullptr;
    return &files_.files[file->second].diagnostics.error(kind, {place.begin, place.end}, format,
                                                         std::forward<Args>(args)...);
  }

  // What is known of an operator in the opsets of a rule (of all where there is none, and where
  // the operator is not ONNX's own).
  const Known* known(const OpName& op, const Rule* rule) {
    OpsetRange range = rule && op.domain.empty() ? opsets_of(rules_, *rule) : OpsetRange{};
    // Models of older opsets are not read.
    if (op.domain.empty()) range.low = std::max(range.low, oldest_opset);
    auto [at, fresh] = known_.try_emplace({op, range.low, range.high});
    Known& out = at->second;
    if (fresh) {
      // Newest first: a version is in force up to the next newer one.
      int newer = INT_MAX;
      for (const OpSchema* schema : ops_.versions(op.domain, op.type)) {
        if (schema->since <= range.high && newer > range.low) out.versions.push_back(schema);
        newer = schema->since;
      }
      out.moved = moved_operands(op.domain, op.type);
      for (const OpSchema* schema : out.versions) {
        out.least_inputs = std::min(out.least_inputs, schema->min_inputs());
        out.most_inputs = std::max(out.most_inputs, schema->max_inputs());
        const bool variadic =
            !schema->outputs.empty() && schema->outputs.back().kind == OperandKind::Variadic;
        out.most_outputs = std::max(out.most_outputs,
                                    variadic ? INT_MAX : static_cast<int>(schema->outputs.size()));
      }
    }
    return out.versions.empty() ? nullptr : &out;
  }

  // The kinds an attribute has over the versions; an operand that moved counts as one, and so does
  // an optional operand by its name.
  std::set<AttributeKind> kinds(const Known& op, std::string_view name) const {
    std::set<AttributeKind> out;
    for (const OpSchema* schema : op.versions)
      if (const AttributeSchema* attribute = schema->attribute(name)) out.insert(attribute->kind);
    for (const MovedOperand& moved : op.moved)
      if (moved.name == name) out.insert(moved.kind);
    return out;
  }

  void check_attribute(const OpName& op, const Known& schema, const std::string& name, ExprId value,
                       const Place& place, const Rule* rule, bool emitted) {
    const std::set<AttributeKind> accepted = kinds(schema, name);
    if (accepted.empty()) {
      std::vector<std::string> names;  // what old versions had besides is of no use to anyone
      for (const AttributeSchema& attribute : schema.versions.front()->attributes)
        names.push_back(attribute.name);
      for (const MovedOperand& moved : schema.moved)
        names.push_back(moved.name);
      std::sort(names.begin(), names.end());
      names.erase(std::unique(names.begin(), names.end()), names.end());
      const std::string near = nearest_name(name, names);
      Diagnostic* diagnostic = error(
          DiagnosticKind::UnknownAttribute, place, "`{}` has no attribute `{}`{}", op.type, name,
          !near.empty()   ? std::string()
          : names.empty() ? std::string("; it has none")
                          : fmt::format("; it has {}", fmt::join(names, ", ")));
      if (diagnostic) diagnostic->suggest(near);
      return;
    }
    if (!value) return;
    const Expr& expr = rules_[value];
    Literal literal = expr.literal;
    if (expr.kind == Expr::Kind::List) {
      std::vector<Literal> items;
      for (ExprId element : expr.operands) {
        if (rules_[element].kind != Expr::Kind::Literal) return;
        items.push_back(rules_[element].literal);
      }
      literal.value = std::move(items);
    } else if (expr.kind == Expr::Kind::Slot && rule) {
      check_captured(op, name, accepted, expr, *rule, emitted);
      return;
    } else if (expr.kind != Expr::Kind::Literal) {
      return;
    }
    if (std::holds_alternative<std::monostate>(literal.value)) return;
    if (std::none_of(accepted.begin(), accepted.end(),
                     [&](AttributeKind kind) { return fits(literal, kind); }))
      error(DiagnosticKind::AttributeType, expr.place, "`{}` of `{}` is {}", name, op.type,
            spelled(*accepted.begin()));
  }

  // A value that the model computes is no attribute, save in an operand that moved to the inputs.
  void check_captured(const OpName& op, const std::string& name,
                      const std::set<AttributeKind>& accepted, const Expr& expr, const Rule& rule,
                      bool emitted) {
    const Slot& slot = rule.slots[expr.slot.index];
    const bool value = slot.kind == SlotKind::Value || slot.kind == SlotKind::Values;
    if (slot.kind != SlotKind::Node && slot.kind != SlotKind::Attributes && !value) return;
    if (value && captures_constant(rules_, rule, expr.slot)) return;
    if (value && emitted && input_of_attribute(op.domain, op.type, name) >= 0) return;
    error(DiagnosticKind::AttributeType, expr.place,
          "`{}` of `{}` is {}, and `{}` is {}; capture it with `const`", name, op.type,
          spelled(*accepted.begin()), slot.name,
          value ? "a value that the model computes" : "none");
  }

  // Says so where an operator exists in no opset that the rule applies to.
  const Known* known_or_said(const OpName& op, const Rule* rule, const Place& place) {
    const Known* found = known(op, rule);
    if (found || !rule) return found;
    const auto versions = ops_.versions(op.domain, op.type);
    if (versions.empty()) return nullptr;  // the resolver has said so
    const OpsetRange range = opsets_of(rules_, *rule);
    error(DiagnosticKind::UnknownOperator, place,
          "`{}` is an operator from opset {} on, and this rule applies up to opset {}", op.type,
          versions.back()->since, range.high);
    return nullptr;
  }

  void check_pattern(const Pattern& pattern, const Rule* rule) {
    if (pattern.kind != Pattern::Kind::Node) return;
    const OpName& op = pattern.ops.front();
    const Known* schema = known_or_said(op, rule, pattern.place);
    if (!schema) return;
    if (!pattern.any_arguments) {
      int fixed = 0;
      bool open = false;
      for (PatternId child : pattern.children) {
        const Pattern::Kind kind = rules_[child].kind;
        if (kind == Pattern::Kind::AnyRest || kind == Pattern::Kind::Rest)
          open = true;
        else
          ++fixed;
      }
      // Operands that are written in braces are given there.
      for (const AttributePattern& attribute : pattern.attributes)
        fixed += input_of_attribute(op.domain, op.type, attribute.name) >= 0 ? 1 : 0;
      check_arity(op, *schema, fixed, open, pattern.place, "more are matched by `_...`");
    }
    for (const AttributePattern& attribute : pattern.attributes)
      check_attribute(op, *schema, attribute.name, attribute.equals, attribute.place, rule, false);
    if (static_cast<int>(pattern.results.size()) > schema->most_outputs)
      error(DiagnosticKind::WrongArity, pattern.place, "`{}` gives {} result{}, not {}", op.type,
            schema->most_outputs, schema->most_outputs == 1 ? "" : "s", pattern.results.size());
    check_operand_types(pattern, op, *schema);
  }

  // What a type pattern says of sizes; names are sizes that it does not know.
  static std::vector<DeclaredShape> shapes_of(const TypePattern& type) {
    std::vector<DeclaredShape> out;
    for (const auto& dims : type.shapes) {
      DeclaredShape& shape = out.emplace_back();
      for (const DimPattern& dim : dims) {
        shape.open = dim.kind == DimPattern::Kind::Rest;
        if (shape.open) break;
        shape.dims.push_back(dim.kind == DimPattern::Kind::Fixed ? Dim{.size = dim.size} : Dim{});
      }
    }
    return out;
  }

  static bool never_meet(const std::vector<DeclaredShape>& a, const std::vector<DeclaredShape>& b) {
    if (a.empty() || b.empty()) return false;
    for (const DeclaredShape& x : a)
      for (const DeclaredShape& y : b)
        if (can_meet(x, y)) return false;
    return true;
  }

  static std::string listed(const std::vector<DeclaredShape>& shapes) {
    std::vector<std::string> out;
    for (const DeclaredShape& shape : shapes)
      out.push_back(to_string(shape));
    return fmt::format("{}", fmt::join(out, " | "));
  }

  // The shapes that an operand of the replacement can have: those of its pattern, or those that
  // its operator is declared with. Empty: any.
  std::vector<DeclaredShape> shapes_of(const Rule& rule, ExprId id) {
    const Expr& expr = rules_[id];
    if (expr.kind == Expr::Kind::Emit && expr.emit && !expr.emit->node) {
      const auto versions = ops_.versions(expr.emit->op.domain, expr.emit->op.type);
      if (versions.empty() || versions.front()->outputs.empty()) return {};
      return versions.front()->outputs.front().shapes;
    }
    if (expr.kind != Expr::Kind::Slot) return {};
    for (const PatternId at : patterns_of(rules_, rule, false)) {
      const Pattern& pattern = rules_[at];
      if (pattern.slot == expr.slot && pattern.type && !pattern.type->shapes.empty())
        return shapes_of(*pattern.type);
    }
    return {};
  }

  // An operand whose shape is none that the operator is declared with.
  void check_shapes(const OpName& op, const OpSchema& schema, std::size_t operand,
                    const std::vector<DeclaredShape>& shapes, const Place& place,
                    std::size_t written) {
    if (!schema.declared || schema.inputs.empty()) return;
    const Operand& declared = schema.inputs[std::min(operand, schema.inputs.size() - 1)];
    if (never_meet(declared.shapes, shapes))
      error(DiagnosticKind::TypeMismatch, place,
            "operand {} of `{}` is declared as {}, and is never {}", written + 1, op.type,
            listed(declared.shapes), listed(shapes));
  }

  // An operand whose type pattern no version of the operator accepts can never match.
  void check_operand_types(const Pattern& pattern, const OpName& op, const Known& schema) {
    for (std::size_t i = 0; i < pattern.children.size(); ++i) {
      const Pattern& child = rules_[pattern.children[i]];
      if (!child.type) continue;
      check_shapes(op, *schema.versions.front(), pattern.input_of(i), shapes_of(*child.type),
                   child.place, i);
      if (child.type->dtypes.empty()) continue;
      bool accepted = false;
      for (const OpSchema* version : schema.versions) {
        if (version->inputs.empty()) continue;
        const Operand& operand =
            version->inputs[std::min(pattern.input_of(i), version->inputs.size() - 1)];
        accepted |= operand.dtypes.empty() ||
                    std::any_of(child.type->dtypes.begin(), child.type->dtypes.end(), [&](DType d) {
                      return std::find(operand.dtypes.begin(), operand.dtypes.end(), d) !=
                             operand.dtypes.end();
                    });
      }
      if (!accepted)
        error(DiagnosticKind::TypeMismatch, child.place, "operand {} of `{}` is never {}", i + 1,
              op.type, name(child.type->dtypes.front()));
    }
  }

  void check_arity(const OpName& op, const Known& schema, int given, bool open, const Place& place,
                   std::string_view hint) {
    const auto plural = [](int n) { return n == 1 ? "" : "s"; };
    if (given > schema.most_inputs)
      error(DiagnosticKind::WrongArity, place, "`{}` takes at most {} operand{}, not {}", op.type,
            schema.most_inputs, plural(schema.most_inputs), given);
    else if (!open && given < schema.least_inputs)
      error(DiagnosticKind::WrongArity, place, "`{}` takes at least {} operand{}, not {}; {}",
            op.type, schema.least_inputs, plural(schema.least_inputs), given, hint);
  }

  static bool spreads(const Emit& emit) {
    return std::any_of(emit.attributes.begin(), emit.attributes.end(),
                       [](const EmitAttribute& a) { return a.name.empty(); });
  }

  // The element types that the pattern says a captured value has; empty where it does not say.
  std::vector<DType> captured_dtypes(const Rule& rule, ExprId id) const {
    const Expr& expr = rules_[id];
    if (expr.kind != Expr::Kind::Slot) return {};
    for (const PatternId at : patterns_of(rules_, rule, false)) {
      const Pattern& pattern = rules_[at];
      if (pattern.slot == expr.slot && pattern.type && !pattern.type->dtypes.empty())
        return pattern.type->dtypes;
    }
    return {};
  }

  // What the pattern says of its captures is what the operators made of them take.
  void check_emitted_types(const Emit& emit, const Known& schema, const Place& place,
                           const Rule& rule) {
    const auto meet = [](const std::vector<DType>& a, const std::vector<DType>& b) {
      return a.empty() || b.empty() || std::any_of(a.begin(), a.end(), [&](DType dtype) {
               return std::find(b.begin(), b.end(), dtype) != b.end();
             });
    };
    std::vector<std::vector<DType>> captured;
    for (const ExprId argument : *emit.arguments)
      captured.push_back(captured_dtypes(rule, argument));
    std::string why;
    for (const OpSchema* version : schema.versions) {
      if (version->inputs.empty()) return;
      const auto operand = [&](std::size_t i) -> const Operand& {
        return version->inputs[std::min(i, version->inputs.size() - 1)];
      };
      std::string trouble;
      for (std::size_t i = 0; i < captured.size() && trouble.empty(); ++i) {
        if (!meet(captured[i], operand(i).dtypes))
          trouble = fmt::format("operand {} of `{}` is never {}", i + 1, emit.op.type,
                                name(captured[i].front()));
        for (std::size_t j = 0; j < i && trouble.empty(); ++j)
          if (operand(i).type_parameter == operand(j).type_parameter && operand(i).homogeneous &&
              !operand(i).type_parameter.empty() && !meet(captured[i], captured[j]))
            trouble = fmt::format("operands {} and {} of `{}` have one element type, not {} and {}",
                                  j + 1, i + 1, emit.op.type, name(captured[j].front()),
                                  name(captured[i].front()));
      }
      if (trouble.empty()) return;
      if (why.empty()) why = std::move(trouble);
    }
    if (!why.empty()) error(DiagnosticKind::TypeMismatch, place, "{}", why);
  }

  void check_emit(const Expr& expr, const Rule* rule) {
    const Emit& emit = *expr.emit;
    if (emit.node) return;  // a captured node: its operator is known when it is matched
    const Known* schema = known_or_said(emit.op, rule, expr.place);
    if (!schema) return;
    const bool spread =
        std::any_of(emit.spread.begin(), emit.spread.end(), [](bool b) { return b; });
    if (emit.arguments) {
      int given = static_cast<int>(emit.arguments->size());
      for (const EmitAttribute& attribute : emit.attributes)
        given += input_of_attribute(emit.op.domain, emit.op.type, attribute.name) >= 0 ? 1 : 0;
      check_arity(emit.op, *schema, given, spread || spreads(emit), expr.place, "write them all");
      if (rule && !spread) {
        check_emitted_types(emit, *schema, expr.place, *rule);
        for (std::size_t i = 0; i < emit.arguments->size(); ++i)
          check_shapes(emit.op, *schema->versions.front(), i,
                       shapes_of(*rule, (*emit.arguments)[i]), rules_[(*emit.arguments)[i]].place,
                       i);
      }
    }
    for (const EmitAttribute& attribute : emit.attributes)
      if (!attribute.name.empty())
        check_attribute(emit.op, *schema, attribute.name, attribute.value,
                        attribute.value ? rules_[attribute.value].place : expr.place, rule, true);
    if (emit.output_count > schema->most_outputs)
      error(DiagnosticKind::WrongArity, expr.place, "`{}` gives {} result{}, not {}", emit.op.type,
            schema->most_outputs, schema->most_outputs == 1 ? "" : "s", emit.output_count);
    // Attributes that every version requires and nothing spreads.
    for (const AttributeSchema& attribute : schema->versions.front()->attributes) {
      if (!attribute.required || spreads(emit)) continue;
      const bool given =
          std::any_of(emit.attributes.begin(), emit.attributes.end(),
                      [&](const EmitAttribute& a) { return a.name == attribute.name; });
      if (!given)
        error(DiagnosticKind::MissingValue, expr.place, "`{}` needs its attribute `{}`",
              emit.op.type, attribute.name);
    }
  }

  RuleFiles& files_;
  const RuleSet& rules_;
  const OpTable& ops_;
  std::map<std::tuple<OpName, int, int>, Known> known_;
  // The rule that a pattern or expression belongs to; none for those of templates and tests.
  std::vector<const Rule*> of_pattern_, of_expr_;
  std::map<std::string, std::size_t> by_name_;
};

}  // namespace

void typecheck(RuleFiles& files, const CompiledRules& compiled) {
  Checker(files, compiled).run();
}

}  // namespace rulec
