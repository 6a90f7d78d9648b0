// SPDX-License-Identifier: Apache-2.0
// Statements, clauses, rules.
#include "grammar/build.h"
#include "grammar/peg.h"

namespace rulec::syntax {

ast::Stmt build_stmt(Node node) {
  auto at = node.parts().begin();
  auto results = build_results(*at);
  ast::Stmt out{std::move(results), build_expr(*++at), std::nullopt, node.span()};
  if (++at != node.parts().end()) out.layout = build_name(*at);
  return out;
}

ast::Block build_block(Node node) {
  ast::Block out{{}, node.span()};
  for (Node part : node.parts())
    out.stmts.push_back(build_stmt(part));
  return out;
}

ast::Origin build_origin(Node node) {
  Node what = node.parts().front();
  if (what.is<peg::string>()) return {build_string(what), node.span()};
  return {build_name(what), node.span()};
}

ast::Bound build_bound(Node node) {
  ast::Bound out{.span = node.span()};
  for (Node part : node.parts())
    if (part.is<peg::relation>())
      out.relation = build_relation(part);
    else
      out.count = build_number(part);
  return out;
}

ast::Target build_target(Node node) {
  ast::Target out{{}, {}, node.span()};
  for (Node part : node.parts()) {
    if (part.is<peg::name>()) {
      out.name = build_name(part);
    } else {
      auto at = part.parts().begin();
      auto relation = build_relation(*at);
      out.bounds.push_back({relation, build_version(*++at), part.span()});
    }
  }
  return out;
}

static ast::Define build_define(Node node) {
  auto at = node.parts().begin();
  auto name = build_name(*at);
  Node value = *++at;
  if (value.is<peg::source_origin, peg::scope_origin>())
    return {std::move(name), build_origin(value), node.span()};
  return {std::move(name), build_expr(value), node.span()};
}

bool is_clause(Node node) {
  return node.is<peg::where_clause, peg::let_clause, peg::expect_clause, peg::priority_clause,
                 peg::for_clause, peg::tolerance_clause, peg::limit_clause, peg::recursive_clause,
                 peg::assuming_clause, peg::see_clause, peg::retype_clause, peg::requires_clause>();
}

ast::Clause build_clause(Node node) {
  Span span = node.span();
  if (node.is<peg::recursive_clause>()) return ast::Recursive{span};
  auto at = node.parts().begin();
  if (node.is<peg::where_clause>()) {
    ast::Where out{{}, span};
    for (Node part : node.parts())
      out.conditions.push_back(build_expr(part));
    return out;
  }
  if (node.is<peg::let_clause>()) {
    ast::Let out{{}, span};
    for (Node part : node.parts())
      out.defines.push_back(build_define(part));
    return out;
  }
  if (node.is<peg::expect_clause>()) return ast::Expect{build_bound(*at), span};
  if (node.is<peg::priority_clause>()) return ast::Priority{build_number(*at), span};
  if (node.is<peg::for_clause>()) return ast::ForTarget{build_target(*at), span};
  if (node.is<peg::tolerance_clause>()) return ast::Tolerance{build_number(*at), span};
  if (node.is<peg::limit_clause>()) return ast::Limit{build_number(*at), span};
  if (node.is<peg::assuming_clause>()) {
    ast::Assuming out{build_string(*at), {}, span};
    if (++at != node.parts().end()) out.when = build_expr(*at);
    return out;
  }
  if (node.is<peg::see_clause>()) {
    ast::SeeThrough out{{}, span};
    for (Node part : node.parts())
      out.ops.push_back(build_op_name(part));
    return out;
  }
  if (node.is<peg::retype_clause>()) {
    auto name = build_name(*at);
    return ast::Retype{std::move(name), build_type(*++at), span};
  }
  auto relation = build_relation(*at);
  ast::Requires out{relation, build_number(*++at), {}, span};
  if (++at != node.parts().end()) out.otherwise = build_expr(*at);
  return out;
}

static ast::RuleClass build_class(Node node) {
  using Level = ast::RuleClass::Level;
  if (node.is<peg::exact_class>()) return {Level::Exact, {}, {}, node.span()};
  Node what = node.parts().front();
  if (node.is<peg::approx_class>()) return {Level::Approx, {}, build_number(what), node.span()};
  auto level = node.is<peg::unsafe_class>() ? Level::Unsafe : Level::Assuming;
  return {level, build_string(what), {}, node.span()};
}

static ast::Replacement build_replacement(Node node) {
  if (node.is<peg::block>()) return {build_block(node), node.span()};
  if (node.is<peg::stmt>()) return {build_stmt(node), node.span()};
  return {build_expr(node), node.span()};
}

ast::Rule build_rule(Node node) {
  ast::Rule out{.replacement = {}, .span = node.span()};
  bool emitted = false;
  for (Node part : node.parts()) {
    if (part.is<peg::need_rule_name>()) {
      out.name = build_name(part);
    } else if (part.is<peg::exact_class, peg::assuming_class, peg::unsafe_class,
                       peg::approx_class>()) {
      out.level = build_class(part);
    } else if (part.is<peg::root>()) {
      out.root = build_root(part);
    } else if (part.is<peg::arrow>()) {
      out.arrow = build_arrow(part);
    } else if (part.is<peg::match_body>()) {
      out.form = ast::Rule::Form::Match;
      out.match_span = part.span();
      out.clauses_before_match = out.clauses.size();
      for (Node bind : part.parts())
        out.match.push_back(build_bind(bind));
    } else if (is_clause(part)) {
      out.clauses.push_back(build_clause(part));
      if (!emitted) out.clauses_before_emit = out.clauses.size();
    } else {
      out.replacement = build_replacement(part);
      emitted = true;
    }
  }
  if (out.form == ast::Rule::Form::Arrow) out.clauses_before_emit = 0;
  return out;
}

}  // namespace rulec::syntax
