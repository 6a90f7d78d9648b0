// SPDX-License-Identifier: Apache-2.0
// Expressions: guards, predicates, `let` and attribute values. What is called is in
// resolve_call.cc.
#include <algorithm>

#include "compiler/overloaded.h"
#include "compiler/resolver.h"
#include "matcher/edit_distance.h"

namespace rulec {

ExprId Resolver::add(Expr expr) {
  const ExprId id{static_cast<std::uint32_t>(out_.rules.exprs.size())};
  out_.rules.exprs.push_back(std::move(expr));
  return id;
}

ExprId Resolver::literal(Literal value, Span span) {
  Expr out;
  out.kind = Expr::Kind::Literal;
  out.place = place(span);
  out.literal = std::move(value);
  return add(std::move(out));
}

ExprId Resolver::apply(Operator op, std::vector<ExprId> operands, Span span) {
  Expr out;
  out.kind = Expr::Kind::Apply;
  out.place = place(span);
  out.op = op;
  out.operands = std::move(operands);
  return add(std::move(out));
}

static Operator operator_of(ast::Compare::Op op) {
  switch (op) {
    case ast::Compare::Op::Equal:
      return Operator::Equal;
    case ast::Compare::Op::NotEqual:
      return Operator::NotEqual;
    case ast::Compare::Op::LessEqual:
      return Operator::LessEqual;
    case ast::Compare::Op::GreaterEqual:
      return Operator::GreaterEqual;
    case ast::Compare::Op::Less:
      return Operator::Less;
    case ast::Compare::Op::Greater:
      return Operator::Greater;
    case ast::Compare::Op::Matches:
      return Operator::Matches;
    case ast::Compare::Op::In:
      return Operator::In;
    case ast::Compare::Op::NotIn:
      return Operator::NotIn;
  }
  return Operator::Equal;
}

static Operator operator_of(char op) {
  switch (op) {
    case '+':
      return Operator::Add;
    case '-':
      return Operator::Subtract;
    case '*':
      return Operator::Multiply;
    case '/':
      return Operator::Divide;
    default:
      return Operator::Remainder;
  }
}

ExprId Resolver::resolve_expr(const ast::Expr& expr, Where where) {
  const Span span = expr.span;
  const auto many = [&](Operator op, const std::vector<ast::Expr>& operands) {
    std::vector<ExprId> out;
    for (const ast::Expr& operand : operands)
      out.push_back(resolve_expr(operand, where));
    return apply(op, std::move(out), span);
  };
  return std::visit(
      Overloaded{
          [&](const ast::None&) { return literal({}, span); },
          [&](const ast::Any&) {
            diagnostics().error(DiagnosticKind::UnboundName, span,
                                "`_` stands for anything and has no value here");
            return literal({}, span);
          },
          [&](const ast::Bool& value) { return literal({value.value}, span); },
          [&](const ast::Number& number) {
            if (auto integer = number.as_int()) return literal({*integer}, span);
            return literal({number.as_double()}, span);
          },
          [&](const ast::String& text) { return literal({text.value}, span); },
          [&](const ast::Name& name) { return resolve_name(name, where); },
          [&](const ast::OpName& name) { return resolve_op_word(name, where); },
          [&](const ast::List& list) {
            Expr out;
            out.kind = Expr::Kind::List;
            out.place = place(span);
            for (const ast::Expr& element : list.elements)
              out.operands.push_back(resolve_expr(element, where));
            return add(std::move(out));
          },
          [&](const ast::Paren& paren) { return resolve_expr(*paren.inner, where); },
          [&](const ast::Postfix& postfix) { return resolve_postfix(postfix, span, where); },
          [&](const ast::Else& choice) {
            ExprId out = resolve_expr(choice.options.back(), where);
            for (std::size_t i = choice.options.size() - 1; i-- > 0;)
              out = apply(Operator::Else, {resolve_expr(choice.options[i], where), out}, span);
            return out;
          },
          [&](const ast::Negate& negate) {
            const ExprId operand = resolve_expr(*negate.operand, where);
            const Literal& held = out_.rules[operand].literal;
            if (negate.count == 1 && out_.rules[operand].kind == Expr::Kind::Literal) {
              if (const auto* integer = std::get_if<std::int64_t>(&held.value))
                return literal({-*integer}, span);
              if (const auto* number = std::get_if<double>(&held.value))
                return literal({-*number}, span);
            }
            return negate.count % 2 == 0 ? operand : apply(Operator::Negate, {operand}, span);
          },
          [&](const ast::Arithmetic& sum) {
            ExprId out = resolve_expr(*sum.first, where);
            for (const auto& [op, operand] : sum.rest)
              out = apply(operator_of(op), {out, resolve_expr(operand, where)}, span);
            return out;
          },
          [&](const ast::Compare& compare) {
            return apply(operator_of(compare.op),
                         {resolve_expr(*compare.left, where), resolve_expr(*compare.right, where)},
                         span);
          },
          [&](const ast::Not& negation) {
            const ExprId operand = resolve_expr(*negation.condition, where);
            return negation.count % 2 == 0 ? operand : apply(Operator::Not, {operand}, span);
          },
          [&](const ast::OrUnknown& fact) {
            return apply(Operator::OrUnknown, {resolve_expr(*fact.condition, where)}, span);
          },
          [&](const ast::And& all) { return many(Operator::And, all.operands); },
          [&](const ast::Or& any) { return many(Operator::Or, any.operands); },
          [&](const ast::Ternary& ternary) {
            return apply(
                Operator::Conditional,
                {resolve_expr(*ternary.condition, where), resolve_expr(*ternary.if_true, where),
                 resolve_expr(*ternary.if_false, where)},
                span);
          },
          [&](const ast::InBody&) {
            Expr out;
            out.kind = Expr::Kind::InBody;
            out.place = place(span);
            return add(std::move(out));
          },
          [&](const ast::IsWord& is) {
            Expr out;
            out.kind = Expr::Kind::Is;
            out.place = place(span);
            out.name = is.word.text;
            if (is.word.text != "output" && is.word.text != "input")
              diagnostics().error(DiagnosticKind::UnknownName, is.word.span,
                                  "a node `is output` or `is input`, not `{}`", is.word.text);
            return add(std::move(out));
          },
          [&](const ast::Contains& contains) {
            Expr out;
            out.kind = Expr::Kind::Contains;
            out.place = place(span);
            out.name = contains.body.text;
            const bool before = std::exchange(scope_.in_body_pattern, true);
            out.pattern = resolve_pattern(*contains.pattern);
            scope_.in_body_pattern = before;
            return add(std::move(out));
          },
          [&](const ast::BodyIs& is) {
            Expr out;
            out.kind = Expr::Kind::BodyIs;
            out.place = place(span);
            out.name = is.body.text;
            const bool before = std::exchange(scope_.in_body_pattern, true);
            for (const ast::Bind& bind : is.binds) {
              std::vector<SlotId> results;
              for (const auto& slot : bind.results.slots)
                results.push_back(slot.name
                                      ? bind_slot(slot.name->text, SlotKind::Value, slot.name->span)
                                      : SlotId{});
              const PatternId pattern = resolve_pattern(bind.pattern);
              out_.rules.patterns[pattern.index].results = std::move(results);
              out.patterns.push_back(pattern);
            }
            scope_.in_body_pattern = before;
            return add(std::move(out));
          }},
      expr.value);
}

ExprId Resolver::resolve_name(const ast::Name& name, Where where) {
  for (std::size_t i = scope_.formals.size(); i-- > 0;) {
    if (auto formal = scope_.formals[i].find(name.text); formal != scope_.formals[i].end())
      return formal->second;
    break;  // a predicate sees its own parameters only
  }
  Expr out;
  out.place = place(name.span);
  if (scope_.formals.empty()) {
    if (auto slot = scope_.names.find(name.text); slot != scope_.names.end()) {
      out.kind = Expr::Kind::Slot;
      out.slot = slot->second;
      return add(std::move(out));
    }
    if (auto slot = scope_.outputs.find(name.text); slot != scope_.outputs.end()) {
      out.kind = Expr::Kind::Slot;
      out.slot = slot->second;
      return add(std::move(out));
    }
  }
  if (const ParamValue* param = find_param(name.text)) {
    if (param->fit)
      diagnostics().error(DiagnosticKind::NotConstant, name.span,
                          "param `{}` is found by fitting; only a template's argument may use it",
                          name.text);
    return literal(param->literal, name.span);
  }
  if (auto dtype = dtype_of(name.text)) {
    out.kind = Expr::Kind::DType;
    out.dtype = *dtype;
    return add(std::move(out));
  }
  if (name.text == "opset" || name.text == "target") {
    out.kind = name.text == "opset" ? Expr::Kind::Opset : Expr::Kind::Target;
    return add(std::move(out));
  }
  if (where == Where::Predicate &&
      (name.text == "name" || name.text == "domain" || name.text == "users")) {
    out.kind = Expr::Kind::Field;
    out.name = name.text;
    return add(std::move(out));
  }
  if (name.text == "body" || name.text == "then_body" || name.text == "else_body") {
    out.kind = Expr::Kind::Word;
    out.name = name.text;
    return add(std::move(out));
  }
  if (scope_.later_lets.contains(name.text)) {
    diagnostics().error(
        DiagnosticKind::UnboundName, name.span,
        "`{}` is bound by a `let` that stands behind this one; write that one first", name.text);
    return literal({}, name.span);
  }
  std::vector<std::string> known = scope_.meant;
  for (const auto& [bound, slot] : scope_.names)
    known.push_back(bound);
  for (const auto& [param, value] : current_->params)
    known.push_back(param);
  const std::string near = nearest_name(name.text, known);
  diagnostics()
      .error(DiagnosticKind::UnboundName, name.span,
             "`{}` is not bound by the pattern, a `let` or a `param`{}", name.text,
             scope_.of_test ? "; an operand of a test has a type, as in `x : f32[2, 3]`" : "")
      .suggest(scope_.of_test ? "" : near);
  return literal({}, name.span);
}

// A capital name by itself: a dimension, an operator without operands, or a word such as NCHW.
ExprId Resolver::resolve_op_word(const ast::OpName& name, Where where) {
  Expr out;
  out.place = place(name.span);
  if (name.domain.empty() && !name.quoted) {
    if (auto slot = scope_.names.find(name.type); slot != scope_.names.end()) {
      out.kind = Expr::Kind::Slot;
      out.slot = slot->second;
      return add(std::move(out));
    }
    if (const ParamValue* param = find_param(name.type)) return literal(param->literal, name.span);
  }
  if (where == Where::Replacement && !out_.ops.versions(name.domain, name.type).empty()) {
    out.kind = Expr::Kind::Emit;
    out.emit.emplace();
    out.emit->op = resolve_op(name);
    out.emit->arguments.emplace();
    return add(std::move(out));
  }
  if (where == Where::Replacement) {
    resolve_op(name);  // says that it is none
    return literal({}, name.span);
  }
  if (where == Where::Guard || where == Where::Let || where == Where::Predicate)
    diagnostics()
        .error(DiagnosticKind::UnboundName, name.span,
               "`{}` is no dimension that the pattern names", name.text())
        .suggest(usual_dtype(name.type));
  out.kind = Expr::Kind::Word;
  out.name = name.text();
  return add(std::move(out));
}

}  // namespace rulec
