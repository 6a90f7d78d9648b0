// SPDX-License-Identifier: Apache-2.0
#pragma once

// Matched text to syntax tree: one function per production of peg.h. Private to grammar/. Nothing
// can fail here; what is wrong with a text has been said before.

#include "grammar/ast.h"
#include "grammar/syntax.h"

namespace rulec::syntax {

// build_base.cc
ast::Name build_name(Node node);
ast::OpName build_op_name(Node node);
ast::Number build_number(Node node);
ast::String build_string(Node node);
ast::Version build_version(Node node);
ast::Arrow build_arrow(Node node);
ast::Relation build_relation(Node node);
ast::Type build_type(Node node);
ast::Kind build_kind(Node node);
ast::Literal build_literal(Node node);
ast::NameOrString build_name_or_string(Node node);

// build_expr.cc
ast::Expr build_expr(Node node);
std::vector<ast::Attr> build_attrs(Node node);

// build_pattern.cc
ast::Pattern build_pattern(Node node);
ast::Node build_node(Node node);
ast::Root build_root(Node node);
ast::Results build_results(Node node);
ast::Bind build_bind(Node node);

// build_rule.cc
ast::Stmt build_stmt(Node node);
ast::Block build_block(Node node);
ast::Origin build_origin(Node node);
ast::Bound build_bound(Node node);
ast::Target build_target(Node node);
bool is_clause(Node node);
ast::Clause build_clause(Node node);
ast::Rule build_rule(Node node);

// build_item.cc
ast::Package build_package(Node node);
ast::Item build_item(Node node);

}  // namespace rulec::syntax
