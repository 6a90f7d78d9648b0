// SPDX-License-Identifier: Apache-2.0
// Leaves, types, expressions.
#include <fmt/format.h>

#include "grammar/printer.h"

namespace rulec {

void Printer::comments_before(std::uint32_t offset) {
  if (!file_) return;
  for (; next_comment_ < file_->comments.size(); ++next_comment_) {
    const auto& comment = file_->comments[next_comment_];
    if (comment.span.begin >= offset) break;
    if (comment.own_line)
      out_.own_comment(comment.text);
    else
      out_.trailing_comment(comment.text);
  }
}

void Printer::leaf(Span span, std::string_view text) {
  comments_before(span.begin);
  out_.text(text);
}

void Printer::op_name(const ast::OpName& op) {
  leaf(op.span, op.quoted ? fmt::format("`{}`", op.text()) : op.text());
}

static std::string quote(std::string_view value) {
  std::string out = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      out += fmt::format("\\u{{{:x}}}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out + '"';
}

void Printer::string(const ast::String& string) {
  leaf(string.span, quote(string.value));
}

void Printer::name_or_string(const ast::NameOrString& name) {
  leaf(name.span, name.quoted ? quote(name.text) : name.text);
}

void Printer::dims(const ast::Dims& dims) {
  enclosed("[", dims.dims, "]", dims.span.end,
           [&](const ast::Dim& dim) { leaf(dim.span, dim.text); });
}

void Printer::type(const ast::Type& type) {
  bool first = true;
  for (const auto& dtype : type.dtypes) {
    if (!first) out_.text("|");
    first = false;
    name(dtype);
  }
  first = true;
  for (const auto& shape : type.shapes) {
    if (!first) out_.text(" | ");
    first = false;
    dims(shape);
  }
}

void Printer::kind(const ast::Kind& kind) {
  if (const auto* as_type = std::get_if<ast::Type>(&kind.value)) return type(*as_type);
  bool first = true;
  for (const auto& choice : std::get<std::vector<ast::Name>>(kind.value)) {
    if (!first) out_.text(" | ");
    first = false;
    name(choice);
  }
}

void Printer::attrs(const std::vector<ast::Attr>& attrs, std::uint32_t end) {
  enclosed("{", attrs, "}", end, [&](const ast::Attr& attr) {
    comments_before(attr.span.begin);
    switch (attr.form) {
      case ast::Attr::Form::Drop:
        out_.text("_");
        break;
      case ast::Attr::Form::Rest:
        out_.text("..");
        name(attr.name);
        break;
      case ast::Attr::Form::Equals:
        name(attr.name);
        out_.text(" = ");
        expr(*attr.value);
        break;
    }
  });
}

void Printer::argument(const ast::Argument& argument) {
  if (const auto* plain = std::get_if<ast::PlainArgument>(&argument.value)) {
    expr(*plain->value);
    if (plain->spread) out_.text("...");
  } else if (const auto* named = std::get_if<ast::NamedArgument>(&argument.value)) {
    name(named->name);
    out_.text(" = ");
    expr(*named->value);
  } else {
    const auto& typed = std::get<ast::TypedArgument>(argument.value);
    name(typed.name);
    out_.text(" : ");
    type(typed.type);
    if (!typed.range) return;
    out_.text(" in [");
    number(typed.range->low);
    out_.text(", ");
    number(typed.range->high);
    out_.text("]");
  }
}

void Printer::suffix(const ast::Suffix& suffix) {
  if (const auto* call = std::get_if<ast::Call>(&suffix)) {
    enclosed("(", call->arguments, ")", call->span.end,
             [&](const ast::Argument& each) { argument(each); });
  } else if (const auto* described = std::get_if<ast::Attrs>(&suffix)) {
    attrs(described->attrs, described->span.end);
  } else if (const auto* index = std::get_if<ast::Index>(&suffix)) {
    out_.text("[");
    if (index->begin) expr(*index->begin);
    if (index->slice) out_.text(":");
    if (index->end) expr(*index->end);
    comments_before(index->span.end);
    out_.text("]");
  } else {
    out_.text(".");
    name(std::get<ast::Member>(suffix).name);
  }
}

void Printer::expr(const ast::Expr& expr) {
  std::visit([&](const auto& each) { value(each, expr.span); }, expr.value);
}

void Printer::value(const ast::List& list, Span span) {
  comments_before(span.begin);
  enclosed("[", list.elements, "]", span.end, [&](const ast::Expr& each) { expr(each); });
}

void Printer::value(const ast::Paren& paren, Span span) {
  comments_before(span.begin);
  out_.open();
  out_.text("(");
  out_.indent(2);
  expr(*paren.inner);
  comments_before(span.end);
  out_.outdent(2);
  out_.text(")");
  out_.close();
}

void Printer::value(const ast::Postfix& postfix, Span) {
  expr(*postfix.base);
  for (const auto& each : postfix.suffixes)
    suffix(each);
}

void Printer::value(const ast::Else& choice, Span) {
  operands(choice.options, "else");
}

void Printer::value(const ast::Negate& negate, Span span) {
  leaf(span, std::string(negate.count, '-'));
  expr(*negate.operand);
}

void Printer::value(const ast::Arithmetic& arithmetic, Span) {
  out_.open();
  expr(*arithmetic.first);
  out_.indent(2);
  for (const auto& [op, operand] : arithmetic.rest) {
    out_.fill();
    out_.text(std::string{op, ' '});
    expr(operand);
  }
  out_.outdent(2);
  out_.close();
}

static std::string_view spelling_of(const ast::Compare& compare) {
  using Op = ast::Compare::Op;
  switch (compare.op) {
    case Op::Equal:
      return compare.single_equals ? "=" : "==";
    case Op::NotEqual:
      return "!=";
    case Op::LessEqual:
      return "<=";
    case Op::GreaterEqual:
      return ">=";
    case Op::Less:
      return "<";
    case Op::Greater:
      return ">";
    case Op::Matches:
      return "~";
    case Op::In:
      return "in";
    case Op::NotIn:
      return "not in";
  }
  return "?";
}

void Printer::value(const ast::Compare& compare, Span) {
  expr(*compare.left);
  out_.space();
  leaf(compare.op_span, spelling_of(compare));
  out_.space();
  expr(*compare.right);
}

void Printer::value(const ast::BodyIs& body, Span span) {
  name(body.body);
  out_.text(" is ");
  out_.open();
  out_.text("{");
  out_.indent(2);
  for (const auto& each : body.binds) {
    out_.line(&each == body.binds.data() ? " " : "  ");
    bind(each);
  }
  comments_before(span.end);
  out_.outdent(2);
  if (!body.binds.empty()) out_.line(" ");
  out_.text("}");
  out_.close();
}

void Printer::value(const ast::Contains& contains, Span) {
  name(contains.body);
  out_.text(" contains ");
  pattern(*contains.pattern);
}

void Printer::value(const ast::IsWord& is, Span span) {
  leaf(span, "is ");
  name(is.word);
}

void Printer::value(const ast::Not& negation, Span span) {
  comments_before(span.begin);
  for (std::size_t i = 0; i < negation.count; ++i)
    out_.text("not ");
  expr(*negation.condition);
}

void Printer::value(const ast::OrUnknown& either, Span) {
  expr(*either.condition);
  out_.text(" or unknown");
}

void Printer::operands(const std::vector<ast::Expr>& operands, std::string_view word) {
  out_.open();
  bool first = true;
  for (const auto& each : operands) {
    if (!first) {
      out_.fill();
      out_.text(fmt::format("{} ", word));
    }
    expr(each);
    if (first) out_.indent(2);
    first = false;
  }
  out_.outdent(2);
  out_.close();
}

void Printer::value(const ast::Ternary& ternary, Span) {
  out_.open();
  expr(*ternary.condition);
  out_.indent(2);
  out_.line(" ");
  out_.text("? ");
  expr(*ternary.if_true);
  out_.line(" ");
  out_.text(": ");
  expr(*ternary.if_false);
  out_.outdent(2);
  out_.close();
}

}  // namespace rulec
