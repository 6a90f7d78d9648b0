// SPDX-License-Identifier: Apache-2.0
// Tests in rule files: operands with types, the statements of the graph before.
#include <algorithm>

#include "compiler/resolver.h"
#include "grammar/edit_distance.h"

namespace rulec {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

// Takes the typed operands out of an expression, so that what is left is one of a replacement.
static void take_operands(ast::Expr& expr, std::vector<ast::TypedArgument>& out) {
  std::visit(
      Overloaded{
          [&](ast::Postfix& postfix) {
            take_operands(*postfix.base, out);
            for (ast::Suffix& suffix : postfix.suffixes) {
              auto* call = std::get_if<ast::Call>(&suffix);
              if (!call) continue;
              for (ast::Argument& argument : call->arguments) {
                if (auto* typed = std::get_if<ast::TypedArgument>(&argument.value)) {
                  out.push_back(*typed);
                  const ast::Name name = typed->name;
                  argument.value = ast::PlainArgument{.value = ast::Expr{name, argument.span}};
                } else if (auto* plain = std::get_if<ast::PlainArgument>(&argument.value)) {
                  take_operands(*plain->value, out);
                }
              }
            }
          },
          [&](ast::Paren& paren) { take_operands(*paren.inner, out); }, [](auto&) {}},
      expr.value);
}

void Resolver::resolve_test(const ast::Test& source, const Declared& file) {
  RuleTest out;
  out.title = source.title.value;
  out.place = place(source.span);
  out.folder = files_.files[file.index].path.parent_path().string();
  for (const ast::Name& name : source.rules) {
    const Members members = find_members(file, name.text);
    out.passes.insert(out.passes.end(), members.passes.begin(), members.passes.end());
    if (members.rules.empty() && members.passes.empty()) {
      std::vector<std::string> known;
      for (const auto& [rule, id] : file.rules)
        known.push_back(rule);
      diagnostics()
          .error(DiagnosticKind::UnknownName, name.span,
                 "`{}` is no rule or built-in phase to test", name.text)
          .suggest(nearest_name(name.text, known));
    }
    out.rules.insert(out.rules.end(), members.rules.begin(), members.rules.end());
  }
  if (source.rules.empty()) out.rules = file.all_rules;
  const auto captures_constant = [&](std::string_view name) {
    return std::any_of(out.rules.begin(), out.rules.end(),
                       [&](RuleId id) { return is_constant_capture(out_.rules[id], name); });
  };
  scope_ = {};
  scope_.slots = &out.slots;
  for (const ast::TestPart& part : source.parts)
    std::visit(
        Overloaded{
            [&](const ast::TestGraph& graph) {
              for (const ast::Stmt& stmt : graph.stmts) {
                if (graph.after) {
                  out.after.push_back(&stmt);
                  continue;
                }
                ast::Stmt plain = stmt;
                std::vector<ast::TypedArgument> typed;
                take_operands(plain.value, typed);
                for (const ast::TypedArgument& argument : typed) {
                  if (scope_.names.contains(argument.name.text)) {
                    diagnostics().error(DiagnosticKind::DuplicateName, argument.name.span,
                                        "`{}` has a type already", argument.name.text);
                    continue;
                  }
                  TestOperand operand;
                  operand.name = argument.name.text;
                  operand.place = place(argument.name.span);
                  operand.type = resolve_type(argument.type);
                  operand.slot = bind_slot(operand.name, SlotKind::Value, argument.name.span);
                  operand.constant = captures_constant(operand.name);
                  if (argument.range) {
                    operand.low = argument.range->low.as_double();
                    operand.high = argument.range->high.as_double();
                  }
                  out.operands.push_back(std::move(operand));
                }
                out.before.push_back(resolve_statement(plain));
              }
            },
            [&](const ast::TestOutputs& outputs) {
              for (const ast::Name& name : outputs.names)
                out.outputs.push_back(name.text);
            },
            [&](const ast::TestUnchanged&) { out.unchanged = true; },
            [&](const ast::TestModel& model) { out.model = model.path.value; },
            [&](const ast::Expect& expect) { out.expect.push_back(resolve_bound(expect.bound)); }},
        part);
  if (out.before.empty() && out.model.empty())
    diagnostics().error(DiagnosticKind::MissingValue, source.span,
                        "a test needs `before` or `model`");
  out_.tests.push_back(std::move(out));
}

// Whether a rule's pattern captures a constant under this name.
bool Resolver::is_constant_capture(const Rule& rule, std::string_view name) const {
  std::vector<PatternId> open = rule.root.patterns;
  while (!open.empty()) {
    const Pattern& pattern = out_.rules[open.back()];
    open.pop_back();
    if (pattern.kind == Pattern::Kind::Bind && pattern.constness != Pattern::Constness::Any &&
        pattern.slot && rule.slots[pattern.slot.index].name == name)
      return true;
    open.insert(open.end(), pattern.children.begin(), pattern.children.end());
  }
  return false;
}

}  // namespace rulec
