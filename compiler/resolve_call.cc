// SPDX-License-Identifier: Apache-2.0
// What is called: functions, predicates (put in place of their calls), tensors' methods, templates,
// and the operators of replacements.
#include <algorithm>

#include "compiler/overloaded.h"
#include "compiler/resolver.h"
#include "matcher/edit_distance.h"
#include "matcher/guard.h"
#include "matcher/guard_calls.h"

namespace rulec {

ExprId Resolver::resolve_postfix(const ast::Postfix& postfix, Span span, Where where) {
  std::size_t used = 0;
  ExprId out;
  const auto dotted = qualified(postfix);
  const auto* dotted_call = dotted && dotted->second < postfix.suffixes.size()
                                ? std::get_if<ast::Call>(&postfix.suffixes[dotted->second])
                                : nullptr;
  if (dotted_call != nullptr) {
    out = resolve_call(dotted->first, *dotted_call,
                       {dotted->first.span.begin, dotted_call->span.end}, where);
    used = dotted->second + 1;
  } else if (const auto* name = std::get_if<ast::Name>(&postfix.base->value)) {
    const auto slot = scope_.names.find(name->text);
    const bool is_node =
        slot != scope_.names.end() && ((*scope_.slots)[slot->second.index].kind == SlotKind::Node ||
                                       (*scope_.slots)[slot->second.index].kind == SlotKind::Nodes);
    if (is_node && !std::holds_alternative<ast::Member>(postfix.suffixes[0])) {
      out = resolve_emit(postfix, used, span, where);
    } else if (const auto* call = std::get_if<ast::Call>(&postfix.suffixes[0])) {
      out = resolve_call(*name, *call, {name->span.begin, call->span.end}, where);
      used = 1;
    } else {
      out = resolve_name(*name, where);
    }
  } else if (std::holds_alternative<ast::OpName>(postfix.base->value) &&
             !std::holds_alternative<ast::Index>(postfix.suffixes[0]) &&
             !std::holds_alternative<ast::Member>(postfix.suffixes[0])) {
    out = resolve_emit(postfix, used, span, where);
  } else {
    out = resolve_expr(*postfix.base, where);
  }
  for (; used < postfix.suffixes.size(); ++used) {
    const ast::Suffix& suffix = postfix.suffixes[used];
    if (const auto* index = std::get_if<ast::Index>(&suffix)) {
      std::vector<ExprId> operands = {out};
      operands.push_back(index->begin ? resolve_expr(*index->begin, where) : ExprId{});
      if (index->slice)
        operands.push_back(index->end ? resolve_expr(*index->end, where) : ExprId{});
      if (!index->slice && !index->begin)
        diagnostics().error(DiagnosticKind::WrongArity, index->span, "an index is missing");
      out = apply(index->slice ? Operator::SliceOf : Operator::Index, std::move(operands),
                  {span.begin, index->span.end});
    } else if (const auto* member = std::get_if<ast::Member>(&suffix)) {
      Expr method;
      method.kind = Expr::Kind::Method;
      method.place = place({span.begin, member->span.end});
      method.name = member->name.text;
      method.operands = {out};
      method.spread = {false};
      const std::vector<std::string>& methods = method_names();
      if (std::find(methods.begin(), methods.end(), method.name) == methods.end()) {
        const std::vector<std::string>& functions = function_names();
        const bool known =
            std::find(functions.begin(), functions.end(), method.name) != functions.end();
        if (known)
          diagnostics().error(DiagnosticKind::UnknownFunction, member->name.span,
                              "`{}` is a function, not a method: write `{}(…)`", method.name,
                              method.name);
        else
          diagnostics().error(DiagnosticKind::UnknownFunction, member->name.span,
                              "a tensor has no method `{}`; it has {}", method.name,
                              fmt::join(methods, ", "));
      }
      if (used + 1 < postfix.suffixes.size())
        if (const auto* call = std::get_if<ast::Call>(&postfix.suffixes[used + 1])) {
          for (const ast::Argument& argument : call->arguments)
            if (const auto* plain = std::get_if<ast::PlainArgument>(&argument.value)) {
              method.operands.push_back(resolve_expr(*plain->value, where));
              method.spread.push_back(plain->spread);
            }
          ++used;
        }
      out = add(std::move(method));
    } else {
      const auto* head = std::get_if<ast::Name>(&postfix.base->value);
      const bool said = head && !scope_.names.contains(head->text) && !find_param(head->text);
      if (!said)
        diagnostics().error(
            DiagnosticKind::Misplaced, span,
            "only an operator or a captured node may be followed by `(` or `{{` here");
    }
  }
  return out;
}

ExprId Resolver::resolve_call(const ast::Name& name, const ast::Call& call, Span span,
                              Where where) {
  const Declared* owner = nullptr;
  if (const ast::Predicate* predicate = find_predicate(name.text, &owner))
    return resolve_predicate(*predicate, *owner, call, span, where);
  if (where == Where::Replacement)
    if (auto callee = find_template(name.text)) return resolve_template_expr(*callee, call, span);
  // Two that make nodes, and those that compute.
  std::vector<std::string> known = function_names();
  if (where == Where::Replacement) known.insert(known.end(), {"inline", "not_empty"});
  if (std::find(known.begin(), known.end(), name.text) == known.end()) {
    for (const Declared* file : visible()) {
      const auto add_known = [&](std::string_view declared) {
        if (!is_private(*file, declared)) known.emplace_back(declared);
      };
      for (const auto& [declared, predicate] : file->predicates)
        add_known(declared);
      if (where == Where::Replacement)
        for (const auto& [declared, id] : file->templates)
          add_known(declared);
      if (file->dormant) {
        std::for_each(file->dormant->predicates.begin(), file->dormant->predicates.end(),
                      add_known);
        if (where == Where::Replacement)
          std::for_each(file->dormant->templates.begin(), file->dormant->templates.end(),
                        add_known);
      }
    }
    const std::string near = nearest_name(name.text, known);
    diagnostics()
        .error(DiagnosticKind::UnknownFunction, name.span, "there is no function or {} `{}`{}",
               where == Where::Replacement ? "template" : "predicate", name.text,
               is_hidden(name.text) ? "; one that begins with `_` is for its own package" : "")
        .suggest(near);
    return literal({}, span);
  }
  Expr out;
  out.kind = name.text == "inline" ? Expr::Kind::Inline : Expr::Kind::Call;
  out.place = place(span);
  out.name = name.text;
  for (const ast::Argument& argument : call.arguments) {
    if (const auto* plain = std::get_if<ast::PlainArgument>(&argument.value)) {
      out.operands.push_back(resolve_expr(*plain->value, where));
      out.spread.push_back(plain->spread);
    } else if (const auto* named = std::get_if<ast::NamedArgument>(&argument.value)) {
      if (name.text != "concat" || named->name.text != "axis")
        diagnostics().error(DiagnosticKind::UnknownName, named->name.span,
                            "`{}` has no parameter `{}`; a comparison is written `==` here",
                            name.text, named->name.text);
      out.named.emplace_back(named->name.text, resolve_expr(*named->value, where));
    } else {
      diagnostics().error(DiagnosticKind::TypeMismatch, argument.span,
                          "types of operands belong in patterns and tests");
    }
  }
  const auto arity = function_arity(name.text);
  const std::size_t given = out.operands.size() + out.named.size();
  const bool spreads = std::any_of(out.spread.begin(), out.spread.end(), [](bool s) { return s; });
  if (arity && !spreads && (given < arity->first || given > arity->second))
    diagnostics().error(DiagnosticKind::WrongArity, span, "`{}` takes {} argument{}, not {}",
                        name.text,
                        arity->first == arity->second ? fmt::format("{}", arity->first)
                        : given < arity->first        ? fmt::format("at least {}", arity->first)
                                                      : fmt::format("at most {}", arity->second),
                        arity->first == 1 && arity->second == 1 ? "" : "s", given);
  return add(std::move(out));
}

// A predicate is inlined: its parameters stand for the arguments.
ExprId Resolver::resolve_predicate(const ast::Predicate& predicate, const Declared& owner,
                                   const ast::Call& call, Span span, Where where) {
  std::vector<ExprId> arguments;
  for (const ast::Argument& argument : call.arguments)
    if (const auto* plain = std::get_if<ast::PlainArgument>(&argument.value))
      arguments.push_back(resolve_expr(*plain->value, where));
  if (arguments.size() != predicate.parameters.size()) {
    diagnostics().error(DiagnosticKind::WrongArity, span,
                        "predicate `{}` takes {} argument{}, not {}", predicate.name.text,
                        predicate.parameters.size(), predicate.parameters.size() == 1 ? "" : "s",
                        arguments.size());
    return literal({}, span);
  }
  if (scope_.formals.size() >= 32) {
    diagnostics().error(DiagnosticKind::PredicateCycle, span,
                        "predicate `{}` uses itself, directly or through others",
                        predicate.name.text);
    return literal({}, span);
  }
  std::map<std::string, ExprId, std::less<>> formals;
  for (std::size_t i = 0; i < arguments.size(); ++i)
    formals.emplace(predicate.parameters[i].text, arguments[i]);
  Declared* caller = std::exchange(current_, const_cast<Declared*>(&owner));
  scope_.formals.push_back(std::move(formals));
  const ExprId out = resolve_expr(predicate.body, where);
  scope_.formals.pop_back();
  current_ = caller;
  return out;
}

// Op(a, b){k = v}, n{k = v}, n(a){k = v}: `used` becomes the number of suffixes taken in.
ExprId Resolver::resolve_emit(const ast::Postfix& postfix, std::size_t& used, Span span,
                              Where where) {
  Expr out;
  out.kind = Expr::Kind::Emit;
  out.place = place(span);
  Emit emit;
  if (const auto* op = std::get_if<ast::OpName>(&postfix.base->value)) {
    if (where != Where::Replacement && where != Where::Let) {
      diagnostics().error(DiagnosticKind::NotConstant, span,
                          "`{}` makes a node; nodes are made behind the arrow only", op->text());
    } else if (const auto* call = std::get_if<ast::Call>(&postfix.suffixes[0]);
               where == Where::Replacement && call && op->domain.empty() &&
               op->type != scope_.own_template && out_.ops.versions("", op->type).empty()) {
      // A name that is a template's and an operator's is the operator in an expression.
      if (const auto callee = find_template(op->type)) {
        used = 1;
        return resolve_template_expr(*callee, *call, {op->span.begin, call->span.end});
      }
    }
    emit.op = resolve_op(*op);
  } else {
    const auto& name = std::get<ast::Name>(postfix.base->value);
    emit.node = scope_.names.find(name.text)->second;
  }
  for (; used < postfix.suffixes.size(); ++used) {
    const ast::Suffix& suffix = postfix.suffixes[used];
    if (const auto* call = std::get_if<ast::Call>(&suffix)) {
      emit.arguments.emplace();
      for (const ast::Argument& argument : call->arguments) {
        if (const auto* plain = std::get_if<ast::PlainArgument>(&argument.value)) {
          emit.arguments->push_back(resolve_expr(*plain->value, where));
          emit.spread.push_back(plain->spread);
        } else if (const auto* named = std::get_if<ast::NamedArgument>(&argument.value)) {
          diagnostics().error(DiagnosticKind::TypeMismatch, named->name.span,
                              "operands go by position; attributes stand in braces: `{{{} = …}}`",
                              named->name.text);
        } else {
          diagnostics().error(DiagnosticKind::TypeMismatch, argument.span,
                              "types of operands belong in patterns and tests");
        }
      }
    } else if (const auto* attrs = std::get_if<ast::Attrs>(&suffix)) {
      for (const ast::Attr& attr : attrs->attrs) {
        if (attr.form == ast::Attr::Form::Drop) continue;
        EmitAttribute attribute;
        if (attr.form == ast::Attr::Form::Rest) {
          attribute.value = resolve_name(attr.name, where);
        } else {
          attribute.name = attribute_name(emit.op.domain, emit.op.type, attr.name.text);
          attribute.value = resolve_expr(*attr.value, Where::Guard);
        }
        emit.attributes.push_back(attribute);
      }
    } else {
      break;
    }
  }
  if (!emit.arguments && !emit.node) emit.arguments.emplace();
  out.emit = std::move(emit);
  return add(std::move(out));
}

}  // namespace rulec
