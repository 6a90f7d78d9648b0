// SPDX-License-Identifier: Apache-2.0
// Expressions. A level of precedence that has a single part and no sign is that part.
#include "grammar/build.h"
#include "grammar/peg.h"

namespace rulec::syntax {

static std::vector<ast::Expr> build_all(Node node) {
  std::vector<ast::Expr> out;
  for (Node part : node.parts())
    out.push_back(build_expr(part));
  return out;
}

std::vector<ast::Attr> build_attrs(Node node) {
  std::vector<ast::Attr> out;
  for (Node part : node.parts()) {
    if (part.is<peg::underscore>()) {
      out.push_back({ast::Attr::Form::Drop, {}, {}, part.span()});
    } else if (part.is<peg::rest_attr>()) {
      out.push_back({ast::Attr::Form::Rest, build_name(part.parts().front()), {}, part.span()});
    } else {
      auto at = part.parts().begin();
      auto name = build_name(*at);
      out.push_back({ast::Attr::Form::Equals, std::move(name), build_expr(*++at), part.span()});
    }
  }
  return out;
}

static ast::TypedArgument build_typed(Node node) {
  auto at = node.parts().begin();
  ast::TypedArgument out{build_name(*at), {}, {}};
  out.type = build_type(*++at);
  if (++at != node.parts().end()) {
    auto ends = (*at).parts().begin();
    auto low = build_number(*ends);
    out.range = {std::move(low), build_number(*++ends)};
  }
  return out;
}

static ast::Argument build_given(Node node) {
  if (node.is<peg::typed_given>()) return {build_typed(node), node.span()};
  auto at = node.parts().begin();
  if (node.is<peg::named_given>()) {
    auto name = build_name(*at);
    return {ast::NamedArgument{std::move(name), build_expr(*++at)}, node.span()};
  }
  ast::PlainArgument out{build_expr(*at)};
  out.spread = ++at != node.parts().end();
  return {std::move(out), node.span()};
}

static ast::Suffix build_suffix(Node node) {
  if (node.is<peg::call>()) {
    ast::Call out{{}, node.span()};
    for (Node part : node.parts())
      out.arguments.push_back(build_given(part));
    return out;
  }
  if (node.is<peg::attrs>()) return ast::Attrs{build_attrs(node), node.span()};
  if (node.is<peg::member>()) return ast::Member{build_name(node.parts().front()), node.span()};
  ast::Index out{{}, {}, false, node.span()};
  for (Node part : node.parts()) {
    if (part.is<peg::index_colon>())
      out.slice = true;
    else
      (out.slice ? out.end : out.begin) = build_expr(part.parts().front());
  }
  return out;
}

static ast::Compare::Op build_op(Node node) {
  using Op = ast::Compare::Op;
  if (node.is<peg::tilde>()) return Op::Matches;
  if (node.is<peg::in_word>()) return Op::In;
  if (node.is<peg::not_in_word>()) return Op::NotIn;
  switch (build_relation(node)) {
    case ast::Relation::Equal:
      return Op::Equal;
    case ast::Relation::NotEqual:
      return Op::NotEqual;
    case ast::Relation::LessEqual:
      return Op::LessEqual;
    case ast::Relation::GreaterEqual:
      return Op::GreaterEqual;
    case ast::Relation::Less:
      return Op::Less;
    case ast::Relation::Greater:
      return Op::Greater;
  }
  return Op::Equal;
}

// `a + b - c`: parts a, +, b, -, c.
static ast::Arithmetic build_arithmetic(Node node) {
  ast::Arithmetic out;
  char op = 0;
  for (Node part : node.parts()) {
    if (part.is<peg::plus_sign, peg::minus_sign, peg::star_sign, peg::slash, peg::percent>())
      op = part.text().front();
    else if (!out.first)
      out.first = build_expr(part);
    else
      out.rest.push_back({op, build_expr(part)});
  }
  return out;
}

// `not not a`, `--a`: some signs, then one operand.
template <typename Sign, typename Out>
static Out build_signed(Node node) {
  std::size_t count = 0;
  auto at = node.parts().begin();
  for (; (*at).is<Sign>(); ++at)
    ++count;
  return {count, build_expr(*at)};
}

static ast::Expr::Value build_value(Node node) {
  auto at = node.parts().begin();
  if (node.is<peg::number>()) return build_number(node);
  if (node.is<peg::string>()) return build_string(node);
  if (node.is<peg::true_word>()) return ast::Bool{true};
  if (node.is<peg::false_word>()) return ast::Bool{false};
  if (node.is<peg::none_word>()) return ast::None{};
  if (node.is<peg::underscore>()) return ast::Any{};
  if (node.is<peg::name>()) return build_name(node);
  if (node.is<peg::op_name>()) return build_op_name(node);
  if (node.is<peg::list_expr>()) return ast::List{build_all(node)};
  if (node.is<peg::paren_expr>()) return ast::Paren{build_expr(*at)};
  if (node.is<peg::in_body>()) return ast::InBody{};
  if (node.is<peg::is_word>()) return ast::IsWord{build_name(*at)};
  if (node.is<peg::contains>()) {
    auto body = build_name(*at);
    return ast::Contains{std::move(body), build_pattern(*++at)};
  }
  if (node.is<peg::body_is>()) {
    ast::BodyIs out{build_name(*at), {}};
    while (++at != node.parts().end())
      out.binds.push_back(build_bind(*at));
    return out;
  }
  if (node.is<peg::postfix>()) {
    ast::Postfix out{build_expr(*at), {}};
    while (++at != node.parts().end())
      out.suffixes.push_back(build_suffix(*at));
    return out;
  }
  if (node.is<peg::choice>()) return ast::Else{build_all(node)};
  if (node.is<peg::factor>()) return build_signed<peg::negative, ast::Negate>(node);
  if (node.is<peg::term, peg::sum>()) return build_arithmetic(node);
  if (node.is<peg::comparison>()) {
    ast::Compare out{};
    out.left = build_expr(*at);
    Node op = *++at;
    out.op = build_op(op);
    out.single_equals = op.text() == "=";
    out.op_span = op.span();
    out.right = build_expr(*++at);
    return out;
  }
  if (node.is<peg::negation>()) return build_signed<peg::not_word, ast::Not>(node);
  if (node.is<peg::third>()) return ast::OrUnknown{build_expr(*at)};
  if (node.is<peg::both>()) return ast::And{build_all(node)};
  if (node.is<peg::either>()) return ast::Or{build_all(node)};
  ast::Ternary out;
  out.condition = build_expr(*at);
  out.if_true = build_expr(*++at);
  out.if_false = build_expr(*++at);
  return out;
}

ast::Expr build_expr(Node node) {
  while (node.is<peg::expr, peg::either, peg::both, peg::third, peg::negation, peg::comparison,
                 peg::sum, peg::term, peg::factor, peg::choice, peg::postfix>() &&
         node.parts().single())
    node = node.parts().front();
  return {build_value(node), node.span()};
}

}  // namespace rulec::syntax
