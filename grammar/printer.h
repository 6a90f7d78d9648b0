// SPDX-License-Identifier: Apache-2.0
#pragma once

// The canonical layout of every syntax node. Private to grammar/. A leaf first lets out the
// comments that stood before it in the text, so each stays between the same two words.

#include <string>

#include "grammar/ast.h"
#include "grammar/layout.h"

namespace rulec {

class Printer {
 public:
  // Without a file there are no comments and no blank lines.
  explicit Printer(const ast::File* file = nullptr) : file_(file) {}

  void file();
  void expr(const ast::Expr& expr);
  void pattern(const ast::Pattern& pattern);
  std::string text() const { return out_.render(); }
  std::string one_line() const;

 private:
  // printer_expr.cc
  void leaf(Span span, std::string_view text);
  void comments_before(std::uint32_t offset);
  void name(const ast::Name& name) { leaf(name.span, name.text); }
  void op_name(const ast::OpName& op);
  void number(const ast::Number& number) { leaf(number.span, number.text); }
  void string(const ast::String& string);
  void arrow(const ast::Arrow& arrow) { leaf(arrow.span, arrow.unicode ? "→" : "->"); }
  void name_or_string(const ast::NameOrString& name);
  void type(const ast::Type& type);
  void dims(const ast::Dims& dims);
  void kind(const ast::Kind& kind);
  void attrs(const std::vector<ast::Attr>& attrs, std::uint32_t end);
  void argument(const ast::Argument& argument);
  void suffix(const ast::Suffix& suffix);
  void operands(const std::vector<ast::Expr>& operands, std::string_view word);
  void binds(const std::vector<ast::Bind>& binds);
  void value(const ast::Name& name, Span span) { leaf(span, name.text); }
  void value(const ast::OpName& op, Span) { op_name(op); }
  void value(const ast::Number& number_value, Span) { number(number_value); }
  void value(const ast::String& string_value, Span) { string(string_value); }
  void value(const ast::None&, Span span) { leaf(span, "none"); }
  void value(const ast::Any&, Span span) { leaf(span, "_"); }
  void value(const ast::Bool& boolean, Span span) { leaf(span, boolean.value ? "true" : "false"); }
  void value(const ast::List& list, Span span);
  void value(const ast::Paren& paren, Span span);
  void value(const ast::Postfix& postfix, Span span);
  void value(const ast::Else& choice, Span span);
  void value(const ast::Negate& negate, Span span);
  void value(const ast::Arithmetic& arithmetic, Span span);
  void value(const ast::Compare& compare, Span span);
  void value(const ast::BodyIs& body, Span span);
  void value(const ast::Contains& contains, Span span);
  void value(const ast::IsWord& is, Span span);
  void value(const ast::InBody&, Span span) { leaf(span, "in body"); }
  void value(const ast::Not& negation, Span span);
  void value(const ast::OrUnknown& either, Span span);
  void value(const ast::And& both, Span) { operands(both.operands, "and"); }
  void value(const ast::Or& either, Span) { operands(either.operands, "or"); }
  void value(const ast::Ternary& ternary, Span span);

  // printer_pattern.cc
  void tail(const ast::Tail& tail);
  void literal(const ast::Literal& literal);
  void results(const ast::Results& results);
  void bind(const ast::Bind& bind);
  void root(const ast::Root& root);
  void alternative(const ast::Node& node);
  void alternative(const ast::Chain& chain);
  void alternative(const ast::ConstValue& value);
  void alternative(const ast::BodyValue& value);
  void alternative(const ast::ExactValue& value);
  void alternative(const ast::Literal& value) { literal(value); }
  void alternative(const ast::AnyValue& value) { leaf(value.span, value.rest ? "_..." : "_"); }
  void alternative(const ast::NameValue& value);

  // printer_item.cc
  void stmt(const ast::Stmt& stmt);
  void block(const ast::Block& block);
  void block_lines(const ast::Block& block);
  void origin(const ast::Origin& origin);
  void bound(const ast::Bound& bound);
  void target(const ast::Target& target);
  void rule_class(const ast::RuleClass& level);
  void replacement(const ast::Replacement& replacement);
  void clause(const ast::Where& where);
  void clause(const ast::Let& let);
  void clause(const ast::Expect& expect);
  void clause(const ast::Priority& priority);
  void clause(const ast::ForTarget& target);
  void clause(const ast::Tolerance& tolerance);
  void clause(const ast::Limit& limit);
  void clause(const ast::Recursive& recursive);
  void clause(const ast::Assuming& assuming);
  void clause(const ast::SeeThrough& see);
  void clause(const ast::Retype& retype);
  void clause(const ast::Requires& need);
  void clauses(const std::vector<ast::Clause>& clauses);
  void arrow_rule(const ast::Rule& rule);
  void match_rule(const ast::Rule& rule);
  void parameter(const ast::Parameter& parameter);
  void port(const ast::Port& port);
  void ports(const ast::Ports& ports);
  void package(const ast::Package& package);
  void item(const ast::Import& import);
  void item(const ast::Target& item_target) { target(item_target); }
  void item(const ast::Param& param);
  void item(const ast::Predicate& predicate);
  void item(const ast::OpDecl& op);
  void item(const ast::Template& declared);
  void item(const ast::Edit& edit);
  void item(const ast::Pipeline& pipeline);
  void item(const ast::Test& test);
  void item(const ast::Rule& rule);
  void change(const ast::InputChange& change);
  void change(const ast::DimChange& change);
  void change(const ast::OutputsChange& change);
  void change(const ast::OutputChange& change);
  void change(const ast::RenameChange& change);
  void change(const ast::OpsetChange& change);
  void part(const ast::TestGraph& graph);
  void part(const ast::TestOutputs& outputs);
  void part(const ast::TestUnchanged& unchanged) { leaf(unchanged.span, "unchanged"); }
  void part(const ast::TestModel& model);
  void part(const ast::Expect& expect) { clause(expect); }

  // What stands on lines of its own: comments and single blank lines before `begin`, and before
  // the closing brace at `end`.
  void begin_line(std::uint32_t begin);
  void end_lines(std::uint32_t end);
  bool blank_between(std::uint32_t from, std::uint32_t to) const;

  // `open` a, b, c `close`, filled when it does not fit; `end` is where the closing one ends.
  template <typename List, typename Each>
  void enclosed(std::string_view left, const List& list, std::string_view right, std::uint32_t end,
                Each each) {
    out_.open();
    out_.text(left);
    out_.indent(2);
    if (!std::empty(list)) out_.line("");
    listed(list, each);
    if (end != 0) comments_before(end);
    out_.outdent(2);
    if (!std::empty(list)) out_.line("");
    out_.text(right);
    out_.close();
  }

  template <typename List, typename Each>
  void listed(const List& list, Each each) {
    bool first = true;
    for (const auto& element : list) {
      if (!first) {
        out_.text(",");
        out_.fill();
      }
      first = false;
      each(element);
    }
  }

  Layout out_;
  const ast::File* file_;
  std::size_t next_comment_ = 0;
  std::uint32_t last_line_end_ = 0;  // where the last thing on a line of its own ended in the text
};

}  // namespace rulec
