// SPDX-License-Identifier: Apache-2.0
// Statements, clauses, rules.
#include <fmt/format.h>

#include "grammar/printer.h"

namespace rulec {

void Printer::stmt(const ast::Stmt& stmt) {
  results(stmt.results);
  out_.text(" = ");
  expr(stmt.value);
  if (!stmt.layout) return;
  out_.text(" in ");
  name(*stmt.layout);
}

// `{ y = Relu(x)  z = Abs(y) }` where it fits.
void Printer::block(const ast::Block& block) {
  comments_before(block.span.begin);
  out_.open();
  out_.text("{");
  out_.indent(2);
  for (const auto& each : block.stmts) {
    out_.line(&each == block.stmts.data() ? " " : "  ");
    stmt(each);
  }
  comments_before(block.span.end);
  out_.outdent(2);
  if (!block.stmts.empty()) out_.line(" ");
  out_.text("}");
  out_.close();
}

// Each statement on its line.
void Printer::block_lines(const ast::Block& block) {
  comments_before(block.span.begin);
  out_.text("{");
  out_.indent(2);
  last_line_end_ = block.span.begin;
  for (const auto& each : block.stmts) {
    begin_line(each.span.begin);
    stmt(each);
    last_line_end_ = each.span.end;
  }
  if (!block.stmts.empty()) out_.hard_line();
  end_lines(block.span.end);
  out_.outdent(2);
  out_.text("}");
}

void Printer::origin(const ast::Origin& origin) {
  if (const auto* source = std::get_if<ast::Name>(&origin.where)) {
    out_.text("source(");
    name(*source);
    out_.text(")");
  } else {
    out_.text("scope ");
    string(std::get<ast::String>(origin.where));
  }
}

void Printer::bound(const ast::Bound& bound) {
  if (bound.relation) leaf(bound.span, fmt::format("{} ", ast::spelling(*bound.relation)));
  number(bound.count);
}

void Printer::target(const ast::Target& target) {
  leaf(target.span, "target ");
  name(target.name);
  bool first = true;
  for (const auto& each : target.bounds) {
    out_.text(first ? " " : ", ");
    first = false;
    leaf(each.span, fmt::format("{} ", ast::spelling(each.relation)));
    leaf(each.version.span, each.version.text);
  }
}

void Printer::rule_class(const ast::RuleClass& level) {
  using Level = ast::RuleClass::Level;
  leaf(level.span, level.level == Level::Exact      ? "exact"
                   : level.level == Level::Assuming ? "assuming("
                   : level.level == Level::Approx   ? "approx("
                                                    : "unsafe(");
  if (level.reason) string(*level.reason);
  if (level.tolerance) number(*level.tolerance);
  if (level.level != Level::Exact) out_.text(")");
}

void Printer::replacement(const ast::Replacement& replacement) {
  if (const auto* body = std::get_if<ast::Block>(&replacement.value))
    block(*body);
  else if (const auto* single = std::get_if<ast::Stmt>(&replacement.value))
    stmt(*single);
  else
    expr(std::get<ast::Expr>(replacement.value));
}

void Printer::clause(const ast::Where& where) {
  leaf(where.span, "where ");
  out_.open();
  out_.indent(6);
  listed(where.conditions, [&](const ast::Expr& each) { expr(each); });
  out_.outdent(6);
  out_.close();
}

void Printer::clause(const ast::Let& let) {
  leaf(let.span, "let ");
  out_.open();
  out_.indent(4);
  listed(let.defines, [&](const ast::Define& define) {
    name(define.name);
    out_.text(" = ");
    if (const auto* value = std::get_if<ast::Expr>(&define.value)) return expr(*value);
    out_.text("from ");
    origin(std::get<ast::Origin>(define.value));
  });
  out_.outdent(4);
  out_.close();
}

void Printer::clause(const ast::Expect& expect) {
  leaf(expect.span, "expect ");
  bound(expect.bound);
}

void Printer::clause(const ast::Priority& priority) {
  leaf(priority.span, "priority ");
  number(priority.value);
}

void Printer::clause(const ast::ForTarget& for_target) {
  leaf(for_target.span, "for ");
  target(for_target.target);
}

void Printer::clause(const ast::Tolerance& tolerance) {
  leaf(tolerance.span, "tolerance ");
  number(tolerance.value);
}

void Printer::clause(const ast::Limit& limit) {
  leaf(limit.span, "limit ");
  number(limit.value);
}

void Printer::clause(const ast::Recursive& recursive) {
  leaf(recursive.span, "recursive");
}

void Printer::clause(const ast::Assuming& assuming) {
  leaf(assuming.span, "assuming ");
  string(assuming.condition);
  if (!assuming.when) return;
  out_.text(" when ");
  expr(*assuming.when);
}

void Printer::clause(const ast::SeeThrough& see) {
  leaf(see.span, "see through ");
  enclosed("{", see.ops, "}", see.span.end, [&](const ast::OpName& op) { op_name(op); });
}

void Printer::clause(const ast::Retype& retype) {
  leaf(retype.span, "retype ");
  name(retype.name);
  out_.text(" : ");
  type(retype.type);
}

void Printer::clause(const ast::Requires& need) {
  leaf(need.span, fmt::format("requires opset {} ", ast::spelling(need.relation)));
  number(need.opset);
  if (!need.otherwise) return;
  out_.text(" else ");
  expr(*need.otherwise);
}

void Printer::clauses(const std::vector<ast::Clause>& clauses) {
  out_.indent(2);
  for (const auto& each : clauses) {
    out_.line("  ");
    std::visit([&](const auto& form) { clause(form); }, each);
  }
  out_.outdent(2);
}

// One line where it fits; else the clauses on lines of their own; else root and replacement too.
void Printer::arrow_rule(const ast::Rule& rule) {
  bool headed = rule.name || rule.level;
  out_.open();
  out_.open();
  if (headed) {
    out_.text(":");
    out_.indent(2);
    out_.line(" ");
    root(*rule.root);
  } else {
    root(*rule.root);
    out_.indent(2);
  }
  out_.line(" ");
  arrow(rule.arrow);
  out_.space();
  replacement(rule.replacement);
  out_.outdent(2);
  out_.close();
  clauses(rule.clauses);
  out_.close();
}

void Printer::match_rule(const ast::Rule& rule) {
  out_.text(" {");
  out_.indent(2);
  last_line_end_ = rule.name->span.end;
  auto put_clauses = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i)
      std::visit(
          [&](const auto& each) {
            begin_line(each.span.begin);
            clause(each);
            last_line_end_ = each.span.end;
          },
          rule.clauses[i]);
  };
  put_clauses(0, rule.clauses_before_match);
  // The word `match` itself has no place of its own; its block's is near enough for blank lines.
  begin_line(rule.match_span.begin);
  out_.text("match {");
  out_.indent(2);
  last_line_end_ = rule.match_span.begin;
  for (const auto& each : rule.match) {
    begin_line(each.span.begin);
    bind(each);
    last_line_end_ = each.span.end;
  }
  if (!rule.match.empty()) out_.hard_line();
  end_lines(rule.match_span.end);
  out_.outdent(2);
  out_.text("}");
  last_line_end_ = rule.match_span.end;
  put_clauses(rule.clauses_before_match, rule.clauses_before_emit);
  begin_line(rule.replacement.span.begin);
  out_.text("emit ");
  replacement(rule.replacement);
  last_line_end_ = rule.replacement.span.end;
  put_clauses(rule.clauses_before_emit, rule.clauses.size());
  out_.hard_line();
  end_lines(rule.span.end);
  out_.outdent(2);
  out_.text("}");
}

void Printer::item(const ast::Rule& rule) {
  if (rule.name) {
    out_.text("rule ");
    name(*rule.name);
  }
  if (rule.level) {
    if (rule.name) out_.space();
    rule_class(*rule.level);
  }
  if (rule.form == ast::Rule::Form::Match)
    match_rule(rule);
  else
    arrow_rule(rule);
}

}  // namespace rulec
