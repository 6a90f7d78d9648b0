// SPDX-License-Identifier: Apache-2.0
// Patterns: what binds, what compares, which operators exist.
#include <algorithm>
#include <cctype>

#include "compiler/overloaded.h"
#include "compiler/resolver.h"

namespace rulec {

PatternId Resolver::add(Pattern pattern) {
  const PatternId id{static_cast<std::uint32_t>(out_.rules.patterns.size())};
  out_.rules.patterns.push_back(std::move(pattern));
  return id;
}

// The slot of a name: a new one, or the one that an earlier mention made.
SlotId Resolver::bind_slot(std::string_view name, SlotKind kind, Span span) {
  if (auto known = scope_.names.find(name); known != scope_.names.end()) {
    const SlotKind had = (*scope_.slots)[known->second.index].kind;
    const bool both_values = (had == SlotKind::Value || had == SlotKind::Scalar) &&
                             (kind == SlotKind::Value || kind == SlotKind::Scalar);
    if (had != kind && !both_values)
      diagnostics().error(DiagnosticKind::NameKind, span,
                          "`{}` is bound twice, and to different kinds of things", name);
    return known->second;
  }
  if (dtype_of(name))
    diagnostics().error(DiagnosticKind::ReservedName, span,
                        "`{}` is an element type and cannot be bound", name);
  const SlotId id{static_cast<std::uint32_t>(scope_.slots->size())};
  scope_.slots->push_back({std::string(name), kind, scope_.in_cluster, place(span)});
  scope_.names.emplace(name, id);
  return id;
}

OpName Resolver::resolve_op(const ast::OpName& op) {
  const std::string domain = op.domain == "ai.onnx" ? "" : op.domain;
  if (out_.ops.versions(domain, op.type).empty()) {
    const std::string near = out_.ops.similar(domain, op.type);
    const std::string prefix = domain.empty() ? "" : domain + "::";
    if (domain.empty() || !near.empty())
      diagnostics()
          .error(
              DiagnosticKind::UnknownOperator, op.span, "`{}` is not an operator{}", op.text(),
              op.type.size() == 1 ? "; what a rule captures begins with a lower-case letter" : "")
          .suggest(near.empty() ? "" : prefix + near);
    else
      diagnostics().error(DiagnosticKind::UnknownOperator, op.span,
                          "`{}` is not a known operator; declare it, as in "
                          "`op {}(x : f32[...]) -> (y : f32[...])`",
                          op.text(), op.text());
  }
  return {domain, op.type};
}

std::string usual_dtype(std::string_view name) {
  std::string lower;
  for (const char c : name)
    lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  static const std::map<std::string, std::string, std::less<>> usual = {
      {"float", "f32"},  {"float32", "f32"},  {"double", "f64"},    {"float64", "f64"},
      {"half", "f16"},   {"float16", "f16"},  {"bfloat16", "bf16"}, {"int8", "i8"},
      {"int16", "i16"},  {"int32", "i32"},    {"int64", "i64"},     {"long", "i64"},
      {"uint8", "u8"},   {"byte", "u8"},      {"uint16", "u16"},    {"uint32", "u32"},
      {"uint64", "u64"}, {"boolean", "bool"}, {"str", "string"}};
  const auto found = usual.find(lower);
  return found == usual.end() ? std::string() : found->second;
}

TypePattern Resolver::resolve_type(const ast::Type& type) {
  TypePattern out;
  for (const ast::Name& name : type.dtypes) {
    static const std::map<std::string, DType, std::less<>> others = {{"int", DType::I64},
                                                                     {"ints", DType::I64},
                                                                     {"float", DType::F32},
                                                                     {"floats", DType::F32},
                                                                     {"string", DType::String}};
    if (auto dtype = dtype_of(name.text)) {
      out.dtypes.push_back(*dtype);
    } else if (auto other = others.find(name.text); other != others.end()) {
      out.dtypes.push_back(other->second);
    } else {
      diagnostics()
          .error(DiagnosticKind::UnknownType, name.span,
                 "`{}` is not an element type; they are f32 f16 bf16 f64 i8 … u64 bool "
                 "string and the 8- and 4-bit ones",
                 name.text)
          .suggest(usual_dtype(name.text));
    }
  }
  for (const ast::Dims& dims : type.shapes) {
    std::vector<DimPattern> shape;
    for (const ast::Dim& dim : dims.dims) {
      DimPattern to;
      switch (dim.form) {
        case ast::Dim::Form::Size:
          to.kind = DimPattern::Kind::Fixed;
          to.size = std::stoll(dim.text);
          if (to.size < 0)
            diagnostics().error(DiagnosticKind::TypeMismatch, dim.span,
                                "a dimension cannot be negative");
          break;
        case ast::Dim::Form::Unknown:
          to.kind = DimPattern::Kind::Unknown;
          break;
        case ast::Dim::Form::Rest:
          to.kind = DimPattern::Kind::Rest;
          break;
        case ast::Dim::Form::Named:
          if (const ParamValue* param = find_param(dim.text)) {
            to.kind = DimPattern::Kind::Fixed;
            if (const auto* size = std::get_if<std::int64_t>(&param->literal.value))
              to.size = *size;
            else
              diagnostics().error(DiagnosticKind::TypeMismatch, dim.span,
                                  "param `{}` is no int and cannot be a dimension", dim.text);
          } else {
            to.kind = DimPattern::Kind::Variable;
            const bool was_cluster = std::exchange(scope_.in_cluster, false);
            to.slot = bind_slot(dim.text, SlotKind::Dimension, dim.span);
            scope_.in_cluster = was_cluster;
          }
          break;
      }
      shape.push_back(to);
    }
    out.shapes.push_back(std::move(shape));
  }
  return out;
}

Literal Resolver::resolve_literal(const ast::Literal& source) {
  return std::visit(Overloaded{[](const ast::Literal::None&) { return Literal{}; },
                               [](bool value) { return Literal{value}; },
                               [](const ast::Number& number) {
                                 if (auto integer = number.as_int()) return Literal{*integer};
                                 return Literal{number.as_double()};
                               },
                               [](const ast::String& text) { return Literal{text.value}; },
                               [&](const std::vector<ast::Literal>& list) {
                                 std::vector<Literal> out;
                                 for (const ast::Literal& item : list)
                                   out.push_back(resolve_literal(item));
                                 return Literal{std::move(out)};
                               }},
                    source.value);
}

PatternId Resolver::resolve_pattern(const ast::Pattern& pattern) {
  if (pattern.alternatives.size() == 1) return resolve_alternative(pattern.alternatives.front());
  Pattern out;
  out.kind = Pattern::Kind::Either;
  out.place = place(pattern.span);
  for (const ast::Alternative& alternative : pattern.alternatives)
    out.children.push_back(resolve_alternative(alternative));
  return add(std::move(out));
}

PatternId Resolver::resolve_alternative(const ast::Alternative& alternative) {
  return std::visit(
      Overloaded{
          [&](const ast::Node& node) { return resolve_node(node); },
          [&](const ast::Chain& chain) {
            Pattern out;
            out.kind = Pattern::Kind::Chain;
            out.place = place(chain.span);
            for (const ast::OpName& op : chain.ops)
              out.ops.push_back(resolve_op(op));
            out.at_least = chain.at_least_one ? 1 : 0;
            out.children.push_back(resolve_pattern(*chain.input));
            return add(std::move(out));
          },
          [&](const ast::ConstValue& value) {
            Pattern out;
            out.kind = Pattern::Kind::Bind;
            out.place = place(value.span);
            out.constness =
                value.scalar ? Pattern::Constness::Scalar : Pattern::Constness::Constant;
            out.optional = value.optional;
            out.slot = bind_slot(value.name.text, value.scalar ? SlotKind::Scalar : SlotKind::Value,
                                 value.name.span);
            if (value.type) out.type = resolve_type(*value.type);
            return add(std::move(out));
          },
          [&](const ast::BodyValue& value) {
            Pattern out;
            out.kind = value.source == ast::BodyValue::Source::Outer   ? Pattern::Kind::Outer
                       : value.source == ast::BodyValue::Source::State ? Pattern::Kind::State
                                                                       : Pattern::Kind::Scan;
            out.place = place(value.span);
            out.index = -1;
            if (!scope_.in_body_pattern)
              diagnostics().error(DiagnosticKind::OutsideBody, value.span,
                                  "`outer`, `state` and `scan` speak of a nested body; use them "
                                  "inside `[body contains …]`");
            if (const auto* name = std::get_if<ast::Name>(&value.which))
              out.slot = bind_slot(name->text, SlotKind::Value, name->span);
            else if (auto index = std::get<ast::Number>(value.which).as_int())
              out.index = static_cast<int>(*index);
            return add(std::move(out));
          },
          [&](const ast::ExactValue& value) {
            Pattern out;
            out.kind = Pattern::Kind::Literal;
            out.place = place(value.span);
            out.exact = true;
            if (auto integer = value.number.as_int())
              out.literal.value = *integer;
            else
              out.literal.value = value.number.as_double();
            return add(std::move(out));
          },
          [&](const ast::Literal& value) {
            Pattern out;
            out.place = place(value.span);
            out.literal = resolve_literal(value);
            out.kind = std::holds_alternative<std::monostate>(out.literal.value)
                           ? Pattern::Kind::Absent
                           : Pattern::Kind::Literal;
            return add(std::move(out));
          },
          [&](const ast::AnyValue& value) {
            Pattern out;
            out.kind = value.rest ? Pattern::Kind::AnyRest : Pattern::Kind::Any;
            out.place = place(value.span);
            return add(std::move(out));
          },
          [&](const ast::NameValue& value) {
            // A result of another bind stands for that bind's node, the first time.
            if (auto pending = scope_.pending.find(value.name.text);
                pending != scope_.pending.end() && !scope_.taken[pending->second] &&
                !value.optional && !value.rest)
              return resolve_bind(pending->second, value.name.text);
            Pattern out;
            out.place = place(value.span);
            if (scope_.in_body_pattern && value.name.text == "iteration" && !value.type) {
              out.kind = Pattern::Kind::Iteration;
              return add(std::move(out));
            }
            out.kind = value.rest ? Pattern::Kind::Rest : Pattern::Kind::Bind;
            out.optional = value.optional;
            out.slot = bind_slot(value.name.text, value.rest ? SlotKind::Values : SlotKind::Value,
                                 value.name.span);
            if (value.type) out.type = resolve_type(*value.type);
            return add(std::move(out));
          }},
      alternative);
}

PatternId Resolver::resolve_node(const ast::Node& node, std::vector<SlotId> results) {
  Pattern out;
  out.kind = Pattern::Kind::Node;
  out.place = place(node.op.span);
  out.ops.push_back(resolve_op(node.op));
  out.shared = node.shared;
  out.results = std::move(results);
  const auto versions = out_.ops.versions(out.ops[0].domain, out.ops[0].type);
  const bool commutative = !versions.empty() && versions.front()->commutative;
  out.commutative = commutative && !node.ordered;
  if (node.binder) out.node_slot = bind_slot(node.binder->text, SlotKind::Node, node.binder->span);
  if (!node.optional) {
    resolve_tail(node.tail, out);
    return add(std::move(out));
  }
  // A?(x): the node over x, or x itself. Its one argument is written once.
  Pattern maybe;
  maybe.kind = Pattern::Kind::Maybe;
  maybe.place = place(node.span);
  if (!node.tail.args || node.tail.args->empty())
    diagnostics().error(DiagnosticKind::WrongArity, node.span,
                        "`{}?` needs the value that stands when the node is absent: `{}?(x)`",
                        node.op.text(), node.op.text());
  resolve_tail(node.tail, out);
  const PatternId over = out.children.empty() ? PatternId{} : out.children.front();
  maybe.children = {add(std::move(out))};
  if (over) maybe.children.push_back(over);
  return add(std::move(maybe));
}

void Resolver::resolve_tail(const ast::Tail& tail, Pattern& pattern) {
  if (tail.args) {
    pattern.any_arguments = false;
    for (const ast::Pattern& argument : *tail.args)
      pattern.children.push_back(resolve_pattern(argument));
  }
  if (tail.attrs) resolve_attributes(*tail.attrs, pattern);
  place_arguments(pattern);
  // What `and` joins stands by itself, so that each body that is spoken of binds its names.
  const auto add_predicate = [&](const auto& self, ExprId id) -> void {
    const Expr& expr = out_.rules[id];
    if (expr.kind != Expr::Kind::Apply || expr.op != Operator::And)
      return pattern.predicates.push_back(id);
    for (const ExprId part : std::vector<ExprId>(expr.operands))
      self(self, part);
  };
  for (const ast::Expr& predicate : tail.preds)
    add_predicate(add_predicate, resolve_expr(predicate, Where::Predicate));
}

// Operands that moved between attribute and input and are written in braces take no place among the
// arguments: the 0 of Pad(x, 0){pads = p} is the third input.
void Resolver::place_arguments(Pattern& pattern) {
  const OpName& op = pattern.ops.front();
  std::vector<std::uint8_t> inputs;
  std::size_t next = 0;
  for (std::size_t i = 0; i < pattern.children.size(); ++i, ++next) {
    while (std::any_of(
        pattern.attributes.begin(), pattern.attributes.end(), [&](const AttributePattern& one) {
          return input_of_attribute(op.domain, op.type, one.name) == static_cast<int>(next);
        }))
      ++next;
    inputs.push_back(static_cast<std::uint8_t>(next));
  }
  if (!inputs.empty() && inputs.back() + 1U != inputs.size()) pattern.inputs = std::move(inputs);
}

void Resolver::resolve_attributes(const std::vector<ast::Attr>& attrs, Pattern& pattern) {
  for (const ast::Attr& attr : attrs) {
    if (attr.form == ast::Attr::Form::Drop) {
      pattern.drop_attributes = true;
      continue;
    }
    if (attr.form == ast::Attr::Form::Rest) {
      pattern.rest_attributes = bind_slot(attr.name.text, SlotKind::Attributes, attr.name.span);
      continue;
    }
    AttributePattern out;
    out.name = attribute_name(pattern.ops.front().domain, pattern.ops.front().type, attr.name.text);
    out.place = place(attr.span);
    const auto* name = std::get_if<ast::Name>(&attr.value->value);
    const auto known = name ? scope_.names.find(name->text) : scope_.names.end();
    const bool is_new =
        name && known == scope_.names.end() && !find_param(name->text) && !dtype_of(name->text);
    const bool is_attribute = known != scope_.names.end() &&
                              (*scope_.slots)[known->second.index].kind == SlotKind::Attribute;
    if (name && name->text == "_") continue;
    if (is_new || is_attribute)
      out.bind = bind_slot(name->text, SlotKind::Attribute, name->span);
    else if (std::holds_alternative<ast::Any>(attr.value->value))
      continue;
    else
      out.equals = resolve_expr(*attr.value, Where::Guard);
    pattern.attributes.push_back(std::move(out));
  }
}

Root Resolver::resolve_root(const ast::Root& root) {
  Root out;
  out.place = place(root.span);
  std::visit(Overloaded{[&](const ast::Pattern& pattern) {
                          scope_.in_cluster = root.by.has_value();
                          if (root.by) {
                            out.kind = Root::Kind::ClusterBy;
                            // The grouping value is one value, not a list.
                            scope_.in_cluster = false;
                            out.by = bind_slot(root.by->text, SlotKind::Value, root.by->span);
                            scope_.in_cluster = true;
                          }
                          out.patterns.push_back(resolve_pattern(pattern));
                          scope_.in_cluster = false;
                        },
                        [&](const ast::Root::Cluster& cluster) {
                          out.kind = Root::Kind::Cluster;
                          scope_.in_cluster = true;
                          ast::Node node;
                          node.op = cluster.op;
                          node.tail = cluster.tail;
                          node.span = cluster.span;
                          out.patterns.push_back(resolve_node(node));
                          scope_.in_cluster = false;
                        },
                        [&](const ast::Root::Scope& scope) {
                          out.kind = Root::Kind::Scope;
                          out.scope = scope.glob.value;
                        }},
             root.value);
  return out;
}

// One bind of a match block: its pattern, with its results as slots; `read` is the result through
// which another pattern reaches it, empty for a root.
PatternId Resolver::resolve_bind(std::size_t index, std::string_view read) {
  const ast::Bind& bind = (*scope_.binds)[index];
  scope_.taken[index] = true;
  std::vector<SlotId> results;
  for (const auto& slot : bind.results.slots)
    results.push_back(slot.name ? bind_slot(slot.name->text, SlotKind::Value, slot.name->span)
                                : SlotId{});
  int output = 0;
  for (std::size_t i = 0; i < bind.results.slots.size(); ++i)
    if (bind.results.slots[i].name && bind.results.slots[i].name->text == read)
      output = static_cast<int>(i);
  std::vector<PatternId> alternatives;
  for (const ast::Alternative& alternative : bind.pattern.alternatives) {
    if (const auto* node = std::get_if<ast::Node>(&alternative); node && !node->optional) {
      alternatives.push_back(resolve_node(*node, results));
      out_.rules.patterns[alternatives.back().index].output = output;
    } else {
      diagnostics().error(
          DiagnosticKind::Misplaced, bind.span,
          "a bind of `match` names the results of an operator; write one behind `=`");
      alternatives.push_back(resolve_alternative(alternative));
    }
  }
  if (alternatives.size() == 1) return alternatives.front();
  Pattern either;
  either.kind = Pattern::Kind::Either;
  either.place = place(bind.pattern.span);
  either.children = std::move(alternatives);
  return add(std::move(either));
}

// The binds of a `match` block: each is taken in where another mentions its result; those that
// nothing mentions are roots, the last of them the rule's.
Root Resolver::resolve_match(const ast::Rule& rule, Rule& out) {
  Root root;
  root.place = place(rule.match_span);
  scope_.binds = &rule.match;
  scope_.taken.assign(rule.match.size(), false);
  for (std::size_t i = 0; i < rule.match.size(); ++i)
    for (const auto& slot : rule.match[i].results.slots)
      if (slot.name) {
        if (!scope_.pending.emplace(slot.name->text, i).second)
          diagnostics().error(DiagnosticKind::DuplicateName, slot.span,
                              "`{}` names two results of the match", slot.name->text);
      }
  for (std::size_t i = rule.match.size(); i-- > 0;)
    if (!scope_.taken[i]) root.patterns.push_back(resolve_bind(i, ""));
  for (const ast::Bind& bind : rule.match)
    for (const auto& slot : bind.results.slots)
      if (slot.name) out.match_results.push_back(scope_.names.find(slot.name->text)->second);
  scope_.pending.clear();
  scope_.binds = nullptr;
  return root;
}

}  // namespace rulec
