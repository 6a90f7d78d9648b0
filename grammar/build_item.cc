// SPDX-License-Identifier: Apache-2.0
// What a file declares besides rules.
#include "grammar/build.h"
#include "grammar/peg.h"

namespace rulec::syntax {

ast::Package build_package(Node node) {
  auto at = node.parts().begin();
  auto name = build_name(*at);
  return {std::move(name), build_version(*++at), node.span()};
}

static ast::Import build_import(Node node) {
  auto at = node.parts().begin();
  bool is_path = (*at).is<peg::import_path>();
  ast::Import out{.what = build_name(*at), .is_path = is_path, .span = node.span()};
  if (++at != node.parts().end()) out.as = build_name(*at);
  return out;
}

// `word : kind [= expr]`, of parameters and attribute declarations alike.
template <typename Out>
static Out build_declared(Node node) {
  auto at = node.parts().begin();
  auto name = build_name(*at);
  Out out{std::move(name), build_kind(*++at), {}, node.span()};
  if (++at != node.parts().end()) out.initial = build_expr(*at);
  return out;
}

static ast::Predicate build_predicate(Node node) {
  ast::Predicate out{.name = {}, .parameters = {}, .body = {}, .span = node.span()};
  for (Node part : node.parts()) {
    if (part.is<peg::word>())
      out.name = build_name(part);
    else if (part.is<peg::predicate_names>())
      for (Node name : part.parts())
        out.parameters.push_back(build_name(name));
    else
      out.body = build_expr(part);
  }
  return out;
}

static ast::Ports build_ports(Node node) {
  ast::Ports out{{}, node.span()};
  for (Node each : node.parts()) {
    ast::Port port{.name = {}, .type = {}, .span = each.span()};
    for (Node part : each.parts()) {
      if (part.is<peg::name>())
        port.name = build_name(part);
      else if (part.is<peg::mark_optional>())
        port.optional = true;
      else if (part.is<peg::mark_rest>())
        port.variadic = true;
      else if (part.is<peg::type>())
        port.type = build_type(part);
      else if (part.is<peg::any_layout>())
        port.any_layout = true;
      else
        port.origin = build_origin(part);
    }
    out.ports.push_back(std::move(port));
  }
  return out;
}

static ast::OpDecl build_op_decl(Node node) {
  auto at = node.parts().begin();
  ast::OpDecl out{.op = build_op_name(*at), .inputs = {}, .arrow = {}, .outputs = {}};
  out.inputs = build_ports(*++at);
  out.arrow = build_arrow(*++at);
  out.outputs = build_ports(*++at);
  out.span = node.span();
  if (++at != node.parts().end()) {
    out.attrs.emplace();
    for (Node attr : (*at).parts())
      out.attrs->push_back(build_declared<ast::AttrDecl>(attr));
  }
  return out;
}

static ast::Template build_template(Node node) {
  ast::Template out{.span = node.span()};
  bool arrow_seen = false;
  std::size_t clauses_seen = 0;  // since the last block
  for (Node part : node.parts()) {
    if (part.is<peg::word>()) {
      out.name = build_name(part);
    } else if (part.is<peg::template_parameters>()) {
      for (Node each : part.parts())
        out.parameters.push_back(build_declared<ast::Parameter>(each));
    } else if (part.is<peg::root>()) {
      out.root = build_root(part);
    } else if (part.is<peg::ports>()) {
      (arrow_seen ? out.outputs : out.inputs) = build_ports(part);
    } else if (part.is<peg::arrow>()) {
      out.arrow = build_arrow(part);
      arrow_seen = true;
    } else if (part.is<peg::block>()) {
      if (out.bodies.empty() || clauses_seen == 0) out.bodies.emplace_back();
      out.bodies.back().block = build_block(part);
      clauses_seen = 0;
    } else if (out.bodies.empty()) {
      out.clauses.push_back(build_clause(part));
    } else {  // behind an `else`: the next body's
      if (clauses_seen++ == 0) out.bodies.emplace_back();
      out.bodies.back().clauses.push_back(build_clause(part));
    }
  }
  return out;
}

static ast::InputChange build_input_change(Node node) {
  ast::InputChange out{.span = node.span()};
  for (Node part : node.parts()) {
    if (part.is<peg::string>()) {
      out.glob = build_string(part);
    } else if (part.is<peg::type>()) {
      out.type = build_type(part);
    } else {
      auto at = part.parts().begin();
      auto arrow = build_arrow(*at);
      out.replaced = {arrow, build_string(*++at), std::nullopt};
      if (++at != part.parts().end()) out.replaced->type = build_type(*at);
    }
  }
  return out;
}

static ast::OutputChange build_output_change(Node node) {
  ast::OutputChange out{.name = {}, .node = {}, .span = node.span()};
  for (Node part : node.parts()) {
    if (part.is<peg::string>())
      out.name = build_string(part);
    else if (part.is<peg::last_word>())
      out.last = true;
    else
      out.node = build_node(part);
  }
  return out;
}

static ast::Change build_change(Node node) {
  auto at = node.parts().begin();
  if (node.is<peg::input_change>()) return build_input_change(node);
  if (node.is<peg::output_change>()) return build_output_change(node);
  if (node.is<peg::dim_change>()) {
    auto dim = build_name_or_string(*at);
    return ast::DimChange{std::move(dim), build_expr(*++at), node.span()};
  }
  if (node.is<peg::outputs_change>()) {
    ast::OutputsChange out{{}, node.span()};
    for (Node part : node.parts())
      out.outputs.push_back(build_name_or_string(part));
    return out;
  }
  if (node.is<peg::opset_change>()) return ast::OpsetChange{build_number(*at), node.span()};
  bool input = (*at).is<peg::rename_input>();
  auto from = build_string(*++at);
  auto arrow = build_arrow(*++at);
  return ast::RenameChange{input, std::move(from), arrow, build_string(*++at), node.span()};
}

static ast::Edit build_edit(Node node) {
  ast::Edit out{.span = node.span()};
  for (Node part : node.parts())
    if (part.is<peg::name>())
      out.name = build_name(part);
    else
      out.changes.push_back(build_change(part));
  return out;
}

static ast::Step build_step(Node node) {
  ast::Step out{{}, node.span()};
  for (Node each : node.parts()) {
    auto at = each.parts().begin();
    ast::Step::Part part{build_name(*at), {}, each.span()};
    if (++at != each.parts().end()) part.expect = build_bound(*at);
    out.parts.push_back(std::move(part));
  }
  return out;
}

static ast::Pipeline build_pipeline(Node node) {
  ast::Pipeline out{.span = node.span()};
  for (Node part : node.parts())
    if (part.is<peg::name>())
      out.name = build_name(part);
    else
      out.steps.push_back(build_step(part));
  return out;
}

static ast::TestPart build_part(Node node) {
  if (node.is<peg::unchanged_part>()) return ast::TestUnchanged{node.span()};
  if (node.is<peg::model_part>())
    return ast::TestModel{build_string(node.parts().front()), node.span()};
  if (node.is<peg::expect_part>())
    return ast::Expect{build_bound(node.parts().front()), node.span()};
  if (node.is<peg::outputs_part>()) {
    ast::TestOutputs out{{}, node.span()};
    for (Node part : node.parts())
      out.names.push_back(build_name(part));
    return out;
  }
  ast::TestGraph out{node.is<peg::after_part>(), {}, node.span()};
  for (Node part : node.parts())
    out.stmts.push_back(build_stmt(part));
  return out;
}

static ast::Test build_test(Node node) {
  ast::Test out{.span = node.span()};
  for (Node part : node.parts()) {
    if (part.is<peg::string>())
      out.title = build_string(part);
    else if (part.is<peg::dotted>())
      out.rules.push_back(build_name(part));
    else
      out.parts.push_back(build_part(part));
  }
  return out;
}

ast::Item build_item(Node node) {
  if (node.is<peg::import_decl>()) return build_import(node);
  if (node.is<peg::target>()) return build_target(node);
  if (node.is<peg::param>())
    return ast::Param{build_declared<ast::Parameter>(node.parts().front()), node.span()};
  if (node.is<peg::predicate>()) return build_predicate(node);
  if (node.is<peg::op_decl>()) return build_op_decl(node);
  if (node.is<peg::template_decl>()) return build_template(node);
  if (node.is<peg::edit>()) return build_edit(node);
  if (node.is<peg::pipeline>()) return build_pipeline(node);
  if (node.is<peg::test>()) return build_test(node);
  return build_rule(node);
}

}  // namespace rulec::syntax
