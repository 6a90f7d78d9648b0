// SPDX-License-Identifier: Apache-2.0
// Tests in rule files: operands with types, the statements of the graph before.
#include <algorithm>

#include "compiler/overloaded.h"
#include "compiler/resolver.h"
#include "compiler/rule_parts.h"
#include "matcher/edit_distance.h"

namespace rulec {

// What a test expects is compared as it is written; its operators exist all the same.
void Resolver::check_operators(const ast::Expr& expr) {
  std::visit(
      Overloaded{[&](const ast::OpName& op) { resolve_op(op); },
                 [&](const ast::Postfix& postfix) {
                   check_operators(*postfix.base);
                   for (const ast::Suffix& suffix : postfix.suffixes) {
                     const auto* call = std::get_if<ast::Call>(&suffix);
                     if (!call) continue;
                     for (const ast::Argument& argument : call->arguments)
                       if (const auto* plain = std::get_if<ast::PlainArgument>(&argument.value))
                         check_operators(*plain->value);
                   }
                 },
                 [&](const ast::Paren& paren) { check_operators(*paren.inner); },
                 [](const auto&) {}},
      expr.value);
}

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
  const auto is_constant = [&](std::string_view name) {
    return std::any_of(out.rules.begin(), out.rules.end(), [&](RuleId id) {
      const Rule& rule = out_.rules[id];
      for (std::uint32_t i = 0; i < rule.slots.size(); ++i)
        if (rule.slots[i].name == name && captures_constant(out_.rules, rule, SlotId{i}))
          return true;
      return false;
    });
  };
  scope_ = {};
  scope_.slots = &out.slots;
  scope_.of_test = true;
  for (const ast::TestPart& part : source.parts)
    std::visit(
        Overloaded{
            [&](const ast::TestGraph& graph) {
              for (const ast::Stmt& stmt : graph.stmts) {
                if (graph.after) {
                  check_operators(stmt.value);
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
                  operand.constant = is_constant(operand.name);
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

}  // namespace rulec
