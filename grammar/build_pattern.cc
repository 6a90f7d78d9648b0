// SPDX-License-Identifier: Apache-2.0
// Patterns, roots, binds.
#include "grammar/build.h"
#include "grammar/peg.h"

namespace rulec::syntax {

// Adds a part of the tail to `tail`; false if the node is none.
static bool add_to_tail(ast::Tail& tail, Node node) {
  if (node.is<peg::preds>()) {
    if (!tail.args && !tail.attrs && tail.preds.empty()) tail.pred_leads = true;
    tail.preds.push_back(build_expr(node.parts().front()));
  } else if (node.is<peg::args>()) {
    tail.args.emplace();
    for (Node part : node.parts())
      tail.args->push_back(build_pattern(part));
  } else if (node.is<peg::attrs>()) {
    tail.attrs = build_attrs(node);
  } else {
    return false;
  }
  if (tail.span.end == 0) tail.span.begin = node.span().begin;
  tail.span.end = node.span().end;
  return true;
}

// Where nothing follows it, the order of a single predicate says nothing.
static void settle(ast::Tail& tail) {
  if (!tail.args && !tail.attrs && tail.preds.size() == 1) tail.pred_leads = false;
}

ast::Node build_node(Node node) {
  ast::Node out{.span = node.span()};
  for (Node part : node.parts()) {
    if (part.is<peg::binder>())
      out.binder = build_name(part.parts().front());
    else if (part.is<peg::shared_word>())
      out.shared = true;
    else if (part.is<peg::ordered_word>())
      out.ordered = true;
    else if (part.is<peg::op_name>())
      out.op = build_op_name(part);
    else if (part.is<peg::mark_optional>())
      out.optional = true;
    else
      add_to_tail(out.tail, part);
  }
  settle(out.tail);
  return out;
}

static ast::Chain build_chain(Node node) {
  ast::Chain out{{}, false, {}, node.span()};
  for (Node part : node.parts()) {
    if (part.is<peg::op_name>())
      out.ops.push_back(build_op_name(part));
    else if (part.is<peg::mark_plus>())
      out.at_least_one = true;
    else if (part.is<peg::pattern>())
      out.input = build_pattern(part);
  }
  return out;
}

static ast::ConstValue build_const(Node node) {
  ast::ConstValue out{.span = node.span()};
  for (Node part : node.parts()) {
    if (part.is<peg::scalar_word>())
      out.scalar = true;
    else if (part.is<peg::mark_optional>())
      out.optional = true;
    else if (part.is<peg::name>())
      out.name = build_name(part);
    else if (part.is<peg::type>())
      out.type = build_type(part);
  }
  return out;
}

static ast::BodyValue build_body_value(Node node) {
  auto at = node.parts().begin();
  auto source = (*at).is<peg::outer_word>()   ? ast::BodyValue::Source::Outer
                : (*at).is<peg::state_word>() ? ast::BodyValue::Source::State
                                              : ast::BodyValue::Source::Scan;
  Node which = *++at;
  if (which.is<peg::name>()) return {source, build_name(which), node.span()};
  return {source, build_number(which), node.span()};
}

static ast::NameValue build_name_value(Node node) {
  ast::NameValue out{.span = node.span()};
  for (Node part : node.parts()) {
    if (part.is<peg::name>())
      out.name = build_name(part);
    else if (part.is<peg::mark_optional>())
      out.optional = true;
    else if (part.is<peg::mark_rest>())
      out.rest = true;
    else if (part.is<peg::type>())
      out.type = build_type(part);
  }
  return out;
}

static ast::Alternative build_alternative(Node node) {
  if (node.is<peg::node>()) return build_node(node);
  if (node.is<peg::chain>()) return build_chain(node);
  if (node.is<peg::const_value>()) return build_const(node);
  if (node.is<peg::body_value>()) return build_body_value(node);
  if (node.is<peg::exact_value>())
    return ast::ExactValue{build_number(node.parts().front()), node.span()};
  if (node.is<peg::any_value>()) return ast::AnyValue{!node.parts().single(), node.span()};
  if (node.is<peg::name_value>()) return build_name_value(node);
  return build_literal(node);
}

ast::Pattern build_pattern(Node node) {
  ast::Pattern out{{}, node.span()};
  for (Node part : node.parts())
    out.alternatives.push_back(build_alternative(part));
  return out;
}

ast::Root build_root(Node node) {
  auto at = node.parts().begin();
  ast::Root out{.span = node.span()};
  if ((*at).is<peg::scope_root>()) {
    out.value = ast::Root::Scope{build_string((*at).parts().front()), node.span()};
  } else if ((*at).is<peg::cluster_root>()) {
    ast::Root::Cluster cluster{.span = node.span()};
    for (Node part : (*at).parts())
      if (part.is<peg::op_name>())
        cluster.op = build_op_name(part);
      else
        add_to_tail(cluster.tail, part);
    settle(cluster.tail);
    out.value = std::move(cluster);
  } else {
    out.value = build_pattern(*at);
    if (++at != node.parts().end()) out.by = build_name((*at).parts().front());
  }
  return out;
}

ast::Results build_results(Node node) {
  ast::Results out{{}, node.is<peg::tuple_results>(), node.span()};
  for (Node part : node.parts()) {
    if (part.is<peg::name>())
      out.slots.push_back({build_name(part), part.span()});
    else
      out.slots.push_back({std::nullopt, part.span()});
  }
  return out;
}

ast::Bind build_bind(Node node) {
  auto at = node.parts().begin();
  auto results = build_results(*at);
  return {std::move(results), build_pattern(*++at), node.span()};
}

}  // namespace rulec::syntax
