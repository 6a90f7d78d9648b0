// SPDX-License-Identifier: Apache-2.0
// Names, numbers, strings, types, literals.
#include <charconv>

#include "grammar/build.h"
#include "grammar/peg.h"

namespace rulec::syntax {

ast::Name build_name(Node node) {
  return {std::string(node.text()), node.span()};
}

ast::OpName build_op_name(Node node) {
  auto text = node.text();
  bool quoted = text.starts_with('`');
  if (quoted) text = text.substr(1, text.size() - 2);
  auto at = text.rfind("::");
  if (at == text.npos) return {"", std::string(text), quoted, node.span()};
  return {std::string(text.substr(0, at)), std::string(text.substr(at + 2)), quoted, node.span()};
}

ast::Number build_number(Node node) {
  auto text = node.text();
  bool integer = text.find_first_not_of("-0123456789") == text.npos;
  return {std::string(text), integer, node.span()};
}

static void append_utf8(std::string& out, std::uint32_t code) {
  auto byte = [&](std::uint32_t value) { out += static_cast<char>(value); };
  auto rest = [&](int shift) { byte(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0 | (code >> 6)), rest(0);
  } else if (code < 0x10000) {
    byte(0xE0 | (code >> 12)), rest(6), rest(0);
  } else {
    byte(0xF0 | (code >> 18)), rest(12), rest(6), rest(0);
  }
}

ast::String build_string(Node node) {
  auto text = node.text().substr(1, node.text().size() - 2);
  std::string value;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      value += text[i];
    } else if (char c = text[++i]; c == 'n') {
      value += '\n';
    } else if (c == 't') {
      value += '\t';
    } else if (c == 'u') {
      auto close = text.find('}', i);
      std::uint32_t code = 0;
      std::from_chars(text.data() + i + 2, text.data() + close, code, 16);
      append_utf8(value, code);
      i = close;
    } else {
      value += c;
    }
  }
  return {std::move(value), node.span()};
}

ast::Version build_version(Node node) {
  return {std::string(node.text()), node.span()};
}

ast::Arrow build_arrow(Node node) {
  return {node.text() != "->", node.span()};
}

ast::Relation build_relation(Node node) {
  auto text = node.text();
  if (text == "!=") return ast::Relation::NotEqual;
  if (text == "<=") return ast::Relation::LessEqual;
  if (text == ">=") return ast::Relation::GreaterEqual;
  if (text == "<") return ast::Relation::Less;
  if (text == ">") return ast::Relation::Greater;
  return ast::Relation::Equal;
}

static ast::Dims build_dims(Node node) {
  ast::Dims out{{}, node.span()};
  for (Node part : node.parts()) {
    auto form = part.is<peg::dim_size>()      ? ast::Dim::Form::Size
                : part.is<peg::dim_name>()    ? ast::Dim::Form::Named
                : part.is<peg::dim_unknown>() ? ast::Dim::Form::Unknown
                                              : ast::Dim::Form::Rest;
    out.dims.push_back({form, std::string(part.text()), part.span()});
  }
  return out;
}

ast::Type build_type(Node node) {
  ast::Type out{{}, {}, node.span()};
  for (Node part : node.parts())
    if (part.is<peg::name>())
      out.dtypes.push_back(build_name(part));
    else
      out.shapes.push_back(build_dims(part));
  return out;
}

ast::Kind build_kind(Node node) {
  if (node.is<peg::type>()) return {build_type(node), node.span()};
  std::vector<ast::Name> choices;
  for (Node part : node.parts())
    choices.push_back(build_name(part));
  return {std::move(choices), node.span()};
}

ast::Literal build_literal(Node node) {
  if (node.is<peg::number>()) return {build_number(node), node.span()};
  if (node.is<peg::string>()) return {build_string(node), node.span()};
  if (node.is<peg::true_word>()) return {true, node.span()};
  if (node.is<peg::false_word>()) return {false, node.span()};
  if (node.is<peg::none_word>()) return {ast::Literal::None{}, node.span()};
  std::vector<ast::Literal> elements;
  for (Node part : node.parts())
    elements.push_back(build_literal(part));
  return {std::move(elements), node.span()};
}

ast::NameOrString build_name_or_string(Node node) {
  if (node.is<peg::string>()) return {build_string(node).value, true, node.span()};
  return {std::string(node.text()), false, node.span()};
}

}  // namespace rulec::syntax
