// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/test_structure.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "matcher/op_table.h"

namespace rulec::command {
namespace {

// Whether values of a model look as the statements of `after` say.
class Structure {
 public:
  Structure(const Model& model, const RuleTest& test) : model_(model) {
    for (const ast::Stmt* stmt : test.after)
      for (const auto& slot : stmt->results.slots)
        if (slot.name) statements_[slot.name->text] = stmt;
  }

  // Empty when it does; else what differs.
  std::string compare() {
    for (const auto& [name, stmt] : statements_) {
      const GraphInfo& main = model_.graph(model_.main());
      const auto output = std::find_if(main.outputs.begin(), main.outputs.end(),
                                       [&](ValueId id) { return model_.value(id).name == name; });
      if (output == main.outputs.end()) continue;
      if (std::string why = differs(*output, stmt->value); !why.empty())
        return ::fmt::format("`{}`: {}", name, why);
    }
    return "";
  }

 private:
  static std::string describe(const Model& model, ValueId id) {
    if (!id) return "nothing";
    const GraphValue& value = model.value(id);
    return value.producer ? std::string(model.node(value.producer).type)
                          : ::fmt::format("`{}`", value.name);
  }

  std::string differs(ValueId id, const ast::Expr& expr) {
    if (std::holds_alternative<ast::Any>(expr.value)) return "";
    if (std::holds_alternative<ast::None>(expr.value))
      return id ? "expected nothing, found " + describe(model_, id) : "";
    if (const auto* paren = std::get_if<ast::Paren>(&expr.value)) return differs(id, *paren->inner);
    if (const auto* name = std::get_if<ast::Name>(&expr.value)) return differs_name(id, name->text);
    if (const auto* op = std::get_if<ast::OpName>(&expr.value))
      return differs_node(id, *op, nullptr, nullptr);
    if (const auto* postfix = std::get_if<ast::Postfix>(&expr.value)) {
      const auto* op = std::get_if<ast::OpName>(&postfix->base->value);
      if (!op) return "an `after` holds operators, names, numbers and `_`";
      const ast::Call* call = nullptr;
      const ast::Attrs* attrs = nullptr;
      for (const ast::Suffix& suffix : postfix->suffixes) {
        if (const auto* c = std::get_if<ast::Call>(&suffix)) call = c;
        if (const auto* a = std::get_if<ast::Attrs>(&suffix)) attrs = a;
      }
      return differs_node(id, *op, call, attrs);
    }
    return differs_literal(id, expr);
  }

  std::string differs_name(ValueId id, const std::string& name) {
    if (auto stmt = statements_.find(name); stmt != statements_.end())
      return differs(id, stmt->second->value);
    if (!id || model_.value(id).name != name)
      return ::fmt::format("expected `{}`, found {}", name, describe(model_, id));
    return "";
  }

  std::string differs_node(ValueId id, const ast::OpName& op, const ast::Call* call,
                           const ast::Attrs* attrs) {
    const NodeId producer = id ? model_.value(id).producer : NodeId{};
    if (!producer || model_.node(producer).type != op.type ||
        model_.node(producer).domain != (op.domain == "ai.onnx" ? "" : op.domain))
      return ::fmt::format("expected {}, found {}", op.text(), describe(model_, id));
    const GraphNode& node = model_.node(producer);
    if (call) {
      std::size_t count = node.inputs.size();
      while (count > 0 && !node.inputs[count - 1])
        --count;
      // An operand that moved from an attribute to an input is written as an attribute, and one
      // that is written in braces takes no place among the arguments.
      const auto& moved = moved_operands(node.domain, node.type);
      const auto is_moved = [&](std::size_t i, bool in_braces) {
        return std::any_of(moved.begin(), moved.end(), [&](const MovedOperand& operand) {
          return operand.input == static_cast<int>(i) &&
                 (!in_braces || (attrs && std::any_of(attrs->attrs.begin(), attrs->attrs.end(),
                                                      [&](const ast::Attr& attr) {
                                                        return attr.name.text == operand.name;
                                                      })));
        });
      };
      std::vector<std::size_t> places;
      for (std::size_t i = 0; places.size() < call->arguments.size(); ++i)
        if (!is_moved(i, true)) places.push_back(i);
      std::size_t written = 0;
      for (std::size_t i = 0; i < count; ++i)
        written +=
            std::find(places.begin(), places.end(), i) != places.end() || !is_moved(i, false);
      if (written != call->arguments.size())
        return ::fmt::format("{} has {} operands, expected {}", op.text(), written,
                             call->arguments.size());
      for (std::size_t i = 0; i < call->arguments.size(); ++i) {
        const auto& argument = call->arguments[i].value;
        std::string why;
        const ValueId there = places[i] < node.inputs.size() ? node.inputs[places[i]] : ValueId{};
        if (const auto* plain = std::get_if<ast::PlainArgument>(&argument))
          why = differs(there, *plain->value);
        else if (const auto* typed = std::get_if<ast::TypedArgument>(&argument))
          why = differs_name(there, typed->name.text);
        if (!why.empty()) return ::fmt::format("operand {} of {}: {}", i + 1, op.text(), why);
      }
    }
    if (attrs)
      for (const ast::Attr& attr : attrs->attrs)
        if (attr.form == ast::Attr::Form::Equals)
          if (std::string why = differs_attribute(node, attr); !why.empty()) return why;
    return "";
  }

  // Numbers and lists of them; `_` says only that the attribute may be anything.
  std::string differs_attribute(const GraphNode& node, const ast::Attr& attr) {
    if (std::holds_alternative<ast::Any>(attr.value->value)) return "";
    std::vector<double> expected;
    std::string text;
    if (!numbers_of(*attr.value, expected)) {
      const auto* string = std::get_if<ast::String>(&attr.value->value);
      if (!string) return ::fmt::format("`{}` is no number, list or string", attr.name.text);
      text = string->value;
    }
    std::vector<double> found;
    if (const AttributeValue* value = node.attributes.find(attr.name.text)) {
      if (const auto* i = std::get_if<std::int64_t>(value)) found = {static_cast<double>(*i)};
      if (const auto* f = std::get_if<float>(value)) found = {static_cast<double>(*f)};
      if (const auto* is = std::get_if<std::vector<std::int64_t>>(value))
        found.assign(is->begin(), is->end());
      if (const auto* fs = std::get_if<std::vector<float>>(value))
        found.assign(fs->begin(), fs->end());
      if (const auto* s = std::get_if<std::string>(value); s && *s == text && !text.empty())
        return "";
    } else {
      for (const MovedOperand& moved : moved_operands(node.domain, node.type))
        if (moved.name == attr.name.text &&
            static_cast<std::size_t>(moved.input) < node.inputs.size())
          if (auto constant = model_.constant(node.inputs[static_cast<std::size_t>(moved.input)]))
            found = constant->numbers();
    }
    const bool same =
        text.empty() && found.size() == expected.size() &&
        std::equal(found.begin(), found.end(), expected.begin(),
                   [](double a, double b) { return std::abs(a - b) <= 1e-6 * std::abs(b); });
    return same ? "" : ::fmt::format("attribute `{}` of {} differs", attr.name.text, node.type);
  }

  static bool numbers_of(const ast::Expr& expr, std::vector<double>& out) {
    if (const auto* number = std::get_if<ast::Number>(&expr.value)) {
      out.push_back(number->as_double());
      return true;
    }
    if (const auto* negate = std::get_if<ast::Negate>(&expr.value)) {
      if (!numbers_of(*negate->operand, out)) return false;
      if (negate->count % 2 == 1) out.back() = -out.back();
      return true;
    }
    const auto* list = std::get_if<ast::List>(&expr.value);
    return list && std::all_of(list->elements.begin(), list->elements.end(),
                               [&](const ast::Expr& element) { return numbers_of(element, out); });
  }

  std::string differs_literal(ValueId id, const ast::Expr& expr) {
    std::vector<double> expected;
    if (!numbers_of(expr, expected)) return "an `after` holds operators, names, numbers and `_`";
    const auto constant = id ? model_.constant(id) : nullptr;
    if (!constant) return ::fmt::format("expected a constant, found {}", describe(model_, id));
    const std::vector<double> found = constant->numbers();
    if (expected.size() != 1 && expected.size() != found.size())
      return ::fmt::format("the constant has {} elements", found.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      const double want = expected.size() == 1 ? expected.front() : expected[i];
      if (!(std::abs(found[i] - want) <= 1e-4 * std::max(1.0, std::abs(want))))
        return ::fmt::format("expected {}, found {}", want, found[i]);
    }
    return "";
  }

  const Model& model_;
  std::map<std::string, const ast::Stmt*> statements_;
};

}  // namespace

std::string structure_differs(const Model& model, const RuleTest& test) {
  return Structure(model, test).compare();
}

}  // namespace rulec::command
