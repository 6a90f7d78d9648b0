// SPDX-License-Identifier: Apache-2.0
// Patterns, roots, binds.
#include "grammar/printer.h"

namespace rulec {

void Printer::pattern(const ast::Pattern& pattern) {
  out_.open();
  bool first = true;
  for (const auto& each : pattern.alternatives) {
    if (!first) {
      out_.fill();
      out_.text("| ");
    }
    first = false;
    std::visit([&](const auto& form) { alternative(form); }, each);
  }
  out_.close();
}

void Printer::tail(const ast::Tail& tail) {
  std::size_t next = 0;
  auto pred = [&] {
    out_.text("[");
    expr(tail.preds[next++]);
    out_.text("]");
  };
  if (tail.pred_leads) pred();
  if (tail.args)
    enclosed("(", *tail.args, ")", tail.attrs || next < tail.preds.size() ? 0 : tail.span.end,
             [&](const ast::Pattern& each) { pattern(each); });
  if (tail.attrs) attrs(*tail.attrs, next < tail.preds.size() ? 0 : tail.span.end);
  if (next < tail.preds.size()) pred();
}

void Printer::literal(const ast::Literal& literal) {
  if (const auto* boolean = std::get_if<bool>(&literal.value))
    leaf(literal.span, *boolean ? "true" : "false");
  else if (const auto* as_number = std::get_if<ast::Number>(&literal.value))
    number(*as_number);
  else if (const auto* as_string = std::get_if<ast::String>(&literal.value))
    string(*as_string);
  else if (const auto* list = std::get_if<std::vector<ast::Literal>>(&literal.value))
    enclosed("[", *list, "]", literal.span.end,
             [&](const ast::Literal& each) { this->literal(each); });
  else
    leaf(literal.span, "none");
}

void Printer::alternative(const ast::Node& node) {
  if (node.binder) {
    name(*node.binder);
    out_.text(" @ ");
  }
  comments_before(node.binder ? node.op.span.begin : node.span.begin);
  if (node.shared) out_.text("shared ");
  if (node.ordered) out_.text("ordered ");
  op_name(node.op);
  if (node.optional) out_.text("?");
  tail(node.tail);
}

void Printer::alternative(const ast::Chain& chain) {
  comments_before(chain.span.begin);
  out_.text("(");
  bool first = true;
  for (const auto& op : chain.ops) {
    if (!first) out_.text(" | ");
    first = false;
    op_name(op);
  }
  out_.text(chain.at_least_one ? ")+(" : ")*(");
  pattern(*chain.input);
  comments_before(chain.span.end);
  out_.text(")");
}

void Printer::alternative(const ast::ConstValue& value) {
  leaf(value.span, value.scalar ? "scalar" : "const");
  if (value.optional) out_.text("?");
  out_.space();
  name(value.name);
  if (!value.type) return;
  out_.text(" : ");
  type(*value.type);
}

void Printer::alternative(const ast::BodyValue& value) {
  using From = ast::BodyValue::Source;
  leaf(value.span, value.source == From::Outer   ? "outer "
                   : value.source == From::State ? "state "
                                                 : "scan ");
  if (const auto* which = std::get_if<ast::Name>(&value.which))
    name(*which);
  else
    number(std::get<ast::Number>(value.which));
}

void Printer::alternative(const ast::ExactValue& value) {
  leaf(value.span, "exact ");
  number(value.number);
}

void Printer::alternative(const ast::NameValue& value) {
  name(value.name);
  if (value.optional) out_.text("?");
  if (value.rest) out_.text("...");
  if (!value.type) return;
  out_.text(" : ");
  type(*value.type);
}

void Printer::results(const ast::Results& results) {
  if (!results.parenthesised) return name(*results.slots.front().name);
  comments_before(results.span.begin);
  enclosed("(", results.slots, ")", results.span.end, [&](const ast::Results::Slot& slot) {
    leaf(slot.span, slot.name ? slot.name->text : "_");
  });
}

void Printer::bind(const ast::Bind& bind) {
  results(bind.results);
  out_.text(" = ");
  pattern(bind.pattern);
}

void Printer::root(const ast::Root& root) {
  if (const auto* scope = std::get_if<ast::Root::Scope>(&root.value)) {
    leaf(scope->span, "scope ");
    string(scope->glob);
  } else if (const auto* cluster = std::get_if<ast::Root::Cluster>(&root.value)) {
    op_name(cluster->op);
    out_.text("*");
    tail(cluster->tail);
  } else {
    pattern(std::get<ast::Pattern>(root.value));
    if (!root.by) return;
    out_.text("* by ");
    name(*root.by);
  }
}

}  // namespace rulec
