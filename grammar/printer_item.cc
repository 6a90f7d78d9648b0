// SPDX-License-Identifier: Apache-2.0
// The file and what it declares besides rules.
#include <algorithm>
#include <limits>

#include "grammar/ast_printer.h"
#include "grammar/printer.h"

namespace rulec {

bool Printer::blank_between(std::uint32_t from, std::uint32_t to) const {
  if (!file_) return false;
  const auto& all = file_->blank_lines;
  auto first = std::lower_bound(all.begin(), all.end(), from);
  return first != all.end() && *first < to;
}

void Printer::begin_line(std::uint32_t begin) {
  // What follows something on its line is said before the line ends.
  while (file_ && next_comment_ < file_->comments.size()) {
    const auto& comment = file_->comments[next_comment_];
    if (comment.span.begin >= begin) break;
    if (!comment.own_line) {
      out_.trailing_comment(comment.text);
    } else {
      out_.hard_line();
      if (last_line_end_ != 0 && blank_between(last_line_end_, comment.span.begin))
        out_.blank_line();
      out_.own_comment(comment.text);
    }
    last_line_end_ = comment.span.end;
    ++next_comment_;
  }
  out_.hard_line();
  if (last_line_end_ != 0 && blank_between(last_line_end_, begin)) out_.blank_line();
}

void Printer::end_lines(std::uint32_t end) {
  if (!file_) return;
  while (next_comment_ < file_->comments.size() &&
         file_->comments[next_comment_].span.begin < end) {
    const auto& comment = file_->comments[next_comment_++];
    if (!comment.own_line) {
      out_.trailing_comment(comment.text);
    } else {
      out_.hard_line();
      if (blank_between(last_line_end_, comment.span.begin)) out_.blank_line();
      out_.own_comment(comment.text);
    }
    last_line_end_ = comment.span.end;
  }
}

void Printer::package(const ast::Package& package) {
  out_.text("package ");
  name(package.name);
  out_.space();
  leaf(package.version.span, package.version.text);
}

void Printer::item(const ast::Import& import) {
  out_.text("import ");
  name(import.what);
  if (!import.as) return;
  out_.text(" as ");
  name(*import.as);
}

void Printer::parameter(const ast::Parameter& parameter) {
  name(parameter.name);
  out_.text(" : ");
  kind(parameter.kind);
  if (!parameter.initial) return;
  out_.text(" = ");
  expr(*parameter.initial);
}

void Printer::item(const ast::Param& param) {
  out_.text("param ");
  parameter(param.parameter);
}

void Printer::item(const ast::Predicate& predicate) {
  out_.text("predicate ");
  name(predicate.name);
  enclosed("(", predicate.parameters, ")", 0, [&](const ast::Name& each) { name(each); });
  out_.text(" = ");
  expr(predicate.body);
}

void Printer::port(const ast::Port& port) {
  name(port.name);
  if (port.optional) out_.text("?");
  if (port.variadic) out_.text("...");
  out_.text(" : ");
  type(port.type);
  if (port.any_layout) out_.text(" in any layout");
  if (!port.origin) return;
  out_.text(" from ");
  origin(*port.origin);
}

void Printer::ports(const ast::Ports& ports) {
  enclosed("(", ports.ports, ")", ports.span.end, [&](const ast::Port& each) { port(each); });
}

void Printer::item(const ast::OpDecl& op) {
  out_.open();
  out_.text("op ");
  op_name(op.op);
  ports(op.inputs);
  out_.indent(2);
  out_.line(" ");
  arrow(op.arrow);
  out_.space();
  ports(op.outputs);
  if (op.attrs) {
    out_.line(" ");
    enclosed("{", *op.attrs, "}", op.span.end, [&](const ast::AttrDecl& attr) {
      name(attr.name);
      out_.text(" : ");
      kind(attr.kind);
      if (!attr.initial) return;
      out_.text(" = ");
      expr(*attr.initial);
    });
  }
  out_.outdent(2);
  out_.close();
}

void Printer::item(const ast::Template& declared) {
  out_.text("template ");
  name(declared.name);
  enclosed("(", declared.parameters, ")", 0, [&](const ast::Parameter& each) { parameter(each); });
  out_.indent(2);
  out_.hard_line();
  out_.open();
  out_.text("for ");
  if (declared.root) {
    root(*declared.root);
    out_.line(" ");
  }
  comments_before(declared.inputs.span.begin);
  ports(declared.inputs);
  out_.line(" ");
  arrow(declared.arrow);
  out_.space();
  ports(declared.outputs);
  out_.close();
  out_.outdent(2);
  out_.indent(2);
  for (const auto& each : declared.clauses) {
    out_.hard_line();
    std::visit([&](const auto& form) { clause(form); }, each);
  }
  out_.outdent(2);
  out_.hard_line();
  bool first = true;
  for (const auto& body : declared.bodies) {
    if (!first) out_.text(" else ");
    first = false;
    for (const auto& each : body.clauses) {
      std::visit([&](const auto& form) { clause(form); }, each);
      out_.space();
    }
    block_lines(body.block);
  }
}

void Printer::change(const ast::InputChange& change) {
  out_.text("input ");
  string(change.glob);
  if (change.type) {
    out_.text(" : ");
    type(*change.type);
  }
  if (!change.replaced) return;
  out_.space();
  arrow(change.replaced->arrow);
  out_.space();
  string(change.replaced->name);
  if (!change.replaced->type) return;
  out_.text(" : ");
  type(*change.replaced->type);
}

void Printer::change(const ast::DimChange& change) {
  out_.text("dim ");
  name_or_string(change.dim);
  out_.text(" = ");
  expr(change.value);
}

void Printer::change(const ast::OutputsChange& change) {
  out_.text("outputs = ");
  enclosed("[", change.outputs, "]", change.span.end,
           [&](const ast::NameOrString& each) { name_or_string(each); });
}

void Printer::change(const ast::OutputChange& change) {
  out_.text("output ");
  string(change.name);
  out_.text(change.last ? " = last " : " = ");
  alternative(change.node);
}

void Printer::change(const ast::RenameChange& change) {
  out_.text(change.input ? "rename input " : "rename output ");
  string(change.from);
  out_.space();
  arrow(change.arrow);
  out_.space();
  string(change.to);
}

void Printer::change(const ast::OpsetChange& change) {
  out_.text("opset = ");
  number(change.opset);
}

void Printer::item(const ast::Edit& edit) {
  out_.text("edit ");
  if (edit.name) {
    name(*edit.name);
    out_.space();
  }
  out_.text("{");
  out_.indent(2);
  last_line_end_ = edit.name ? edit.name->span.end : edit.span.begin;
  for (const auto& each : edit.changes)
    std::visit(
        [&](const auto& form) {
          begin_line(form.span.begin);
          change(form);
          last_line_end_ = form.span.end;
        },
        each);
  if (!edit.changes.empty()) out_.hard_line();
  end_lines(edit.span.end);
  out_.outdent(2);
  out_.text("}");
}

void Printer::item(const ast::Pipeline& pipeline) {
  out_.text("pipeline ");
  if (pipeline.name) {
    name(*pipeline.name);
    out_.space();
  }
  out_.text("{");
  out_.indent(2);
  last_line_end_ = pipeline.name ? pipeline.name->span.end : pipeline.span.begin;
  for (const auto& step : pipeline.steps) {
    begin_line(step.span.begin);
    out_.open();
    listed(step.parts, [&](const ast::Step::Part& each) {
      name(each.name);
      if (!each.expect) return;
      out_.text(" expect ");
      bound(*each.expect);
    });
    out_.close();
    last_line_end_ = step.span.end;
  }
  if (!pipeline.steps.empty()) out_.hard_line();
  end_lines(pipeline.span.end);
  out_.outdent(2);
  out_.text("}");
}

// The statements stand below each other.
void Printer::part(const ast::TestGraph& graph) {
  constexpr int width = 8;
  out_.text(graph.after ? "after" : "before");
  if (graph.stmts.empty()) return;
  out_.text(graph.after ? "   " : "  ");
  out_.indent(width);
  last_line_end_ = graph.span.begin;
  for (const auto& each : graph.stmts) {
    if (&each != graph.stmts.data()) begin_line(each.span.begin);
    stmt(each);
    last_line_end_ = each.span.end;
  }
  out_.outdent(width);
}

void Printer::part(const ast::TestOutputs& outputs) {
  leaf(outputs.span, "outputs ");
  out_.open();
  out_.indent(8);
  listed(outputs.names, [&](const ast::Name& each) { name(each); });
  out_.outdent(8);
  out_.close();
}

void Printer::part(const ast::TestModel& model) {
  leaf(model.span, "model ");
  string(model.path);
}

void Printer::item(const ast::Test& test) {
  out_.text("test ");
  string(test.title);
  if (!test.rules.empty()) {
    out_.text(" for ");
    out_.open();
    out_.indent(4);
    listed(test.rules, [&](const ast::Name& each) { name(each); });
    out_.outdent(4);
    out_.close();
  }
  bool has_graph = std::any_of(test.parts.begin(), test.parts.end(), [](const auto& part) {
    return std::holds_alternative<ast::TestGraph>(part);
  });
  out_.text(" {");
  if (!has_graph) {
    // `test "x" for r { model "m.onnx"  expect 1 }`
    out_.open();
    out_.indent(2);
    for (const auto& each : test.parts) {
      out_.line(&each == test.parts.data() ? " " : "  ");
      std::visit([&](const auto& form) { part(form); }, each);
    }
    comments_before(test.span.end);
    out_.outdent(2);
    if (!test.parts.empty()) out_.line(" ");
    out_.text("}");
    out_.close();
    return;
  }
  out_.indent(2);
  last_line_end_ = test.title.span.end;
  for (const auto& each : test.parts)
    std::visit(
        [&](const auto& form) {
          begin_line(form.span.begin);
          part(form);
          last_line_end_ = form.span.end;
        },
        each);
  out_.hard_line();
  end_lines(test.span.end);
  out_.outdent(2);
  out_.text("}");
}

void Printer::file() {
  if (file_->package) {
    begin_line(file_->package->span.begin);
    package(*file_->package);
    last_line_end_ = file_->package->span.end;
  }
  for (const auto& each : file_->items)
    std::visit(
        [&](const auto& form) {
          begin_line(form.span.begin);
          item(form);
          last_line_end_ = form.span.end;
        },
        each);
  end_lines(file_->span.end + 1);
}

std::string print(const ast::File& file) {
  Printer printer(&file);
  printer.file();
  return printer.text();
}

std::string Printer::one_line() const {
  auto text = out_.render(std::numeric_limits<std::uint32_t>::max());
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

std::string print(const ast::Expr& expr) {
  Printer printer;
  printer.expr(expr);
  return printer.one_line();
}

std::string print(const ast::Pattern& pattern) {
  Printer printer;
  printer.pattern(pattern);
  return printer.one_line();
}

}  // namespace rulec
