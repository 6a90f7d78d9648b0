// SPDX-License-Identifier: Apache-2.0
// Files and their declarations: who declares what, and what parameters are worth.
#include "compiler/resolver.h"

#include <algorithm>
#include <charconv>

#include "matcher/edit_distance.h"
#include "matcher/guard.h"
#include "matcher/target.h"

namespace rulec {

Resolver::Resolver(RuleFiles& files, const CompileOptions& options, CompiledRules& out,
                   std::vector<std::string>& setting_errors)
    : files_(files), options_(options), out_(out), setting_errors_(setting_errors) {}

bool Resolver::run() {
  setting_used_.assign(options_.settings.size(), false);
  declared_.resize(files_.files.size());
  for (std::size_t i = 0; i < declared_.size(); ++i) {
    declared_[i].index = i;
    if (files_.files[i].dormant) declared_[i].dormant = &files_.files[i].outline;
    if (!files_.files[i].file) continue;
    declared_[i].file = &*files_.files[i].file;
    current_ = &declared_[i];
    declare(declared_[i]);
  }
  for (std::size_t i = 0; i < options_.settings.size(); ++i)
    if (!setting_used_[i]) {
      std::vector<std::string> names;
      for (const Declared& file : declared_)
        if (files_.files[file.index].requested)
          for (const auto& [name, value] : file.params)
            names.push_back(name);
      const std::string& given = options_.settings[i].first;
      const std::string near = nearest_name(given, names);
      setting_errors_.push_back(
          fmt::format("--set {}: no rule file given with -r has a `param {}`{}", given, given,
                      near.empty() ? "" : fmt::format("; did you mean `{}`?", near)));
    }
  for (Declared& file : declared_) {
    if (!file.file) continue;
    current_ = &file;
    declare_operators(file);
  }
  for (Declared& file : declared_) {
    if (!file.file) continue;
    current_ = &file;
    for (const ast::Item& item : file.file->items)
      if (const auto* source = std::get_if<ast::Template>(&item)) {
        if (auto found = file.templates.find(source->name.text);
            found != file.templates.end() &&
            out_.rules.templates[found->second.index].place.begin == source->span.begin)
          resolve_template(*source, found->second);
      } else if (const auto* rule = std::get_if<ast::Rule>(&item)) {
        resolve_rule(*rule, file);
      } else if (const auto* edit = std::get_if<ast::Edit>(&item)) {
        resolve_edit(*edit, file);
      }
  }
  for (Declared& file : declared_) {
    if (!file.file || !files_.files[file.index].requested) continue;
    current_ = &file;
    for (const ast::Item& item : file.file->items)
      if (const auto* test = std::get_if<ast::Test>(&item)) resolve_test(*test, file);
  }
  resolve_phases();
  return !files_.has_errors() && setting_errors_.empty();
}

Place Resolver::place(Span span) const {
  const RuleFile& file = files_.files[current_->index];
  const auto [line, column] = file.source->locate(span.begin);
  return {std::string(file.source->name()), line, column, span.begin, span.end};
}

// Declares a name once for each kind of thing.
void Resolver::declare(Declared& file) {
  std::map<std::string, Span, std::less<>> seen;
  const auto once = [&](const ast::Name& name, std::string_view what) {
    const auto [at, fresh] = seen.emplace(name.text, name.span);
    if (!fresh)
      diagnostics()
          .error(DiagnosticKind::DuplicateName, name.span, "{} `{}` is declared twice", what,
                 name.text)
          .note(at->second, "the first declaration");
    return fresh;
  };
  declare_params(file);
  for (const ast::Item& item : file.file->items) {
    if (const auto* predicate = std::get_if<ast::Predicate>(&item)) {
      if (once(predicate->name, "predicate")) file.predicates[predicate->name.text] = predicate;
    } else if (const auto* source = std::get_if<ast::Template>(&item)) {
      if (!once(source->name, "template")) continue;
      const TemplateId id{static_cast<std::uint32_t>(out_.rules.templates.size())};
      Template& out = out_.rules.templates.emplace_back();
      out.name = source->name.text;
      out.place = place(source->span);
      file.templates[source->name.text] = id;
    } else if (const auto* rule = std::get_if<ast::Rule>(&item)) {
      if (rule->name) once(*rule->name, "rule");
    } else if (const auto* edit = std::get_if<ast::Edit>(&item)) {
      if (edit->name) once(*edit->name, "edit");
    } else if (const auto* pipeline = std::get_if<ast::Pipeline>(&item)) {
      if (!pipeline->name) {
        if (file.unnamed_pipeline)
          diagnostics()
              .error(DiagnosticKind::DuplicateName, pipeline->span,
                     "a file has at most one pipeline without a name")
              .note(file.unnamed_pipeline->span, "the other one");
        file.unnamed_pipeline = pipeline;
      } else if (once(*pipeline->name, "pipeline")) {
        file.pipelines[pipeline->name->text] = pipeline;
      }
    } else if (const auto* target = std::get_if<ast::Target>(&item)) {
      file.targets.push_back(target);
    }
  }
}

bool Resolver::is_fit(const ast::Parameter& parameter) {
  if (!parameter.initial) return false;
  const auto* name = std::get_if<ast::Name>(&parameter.initial->value);
  return name && name->text == "fit";
}

// What a parameter of plain kind wants, where its default is something else.
static std::string_view misfit(const ast::Parameter& parameter, const Literal& given) {
  const auto* type = std::get_if<ast::Type>(&parameter.kind.value);
  const bool nothing = std::holds_alternative<std::monostate>(given.value);  // was told already
  if (!type || nothing || type->dtypes.size() != 1 || !type->shapes.empty()) return "";
  const std::string& kind = type->dtypes.front().text;
  const bool integer = std::holds_alternative<std::int64_t>(given.value);
  const bool number = integer || std::holds_alternative<double>(given.value);
  if (kind == "int" && !integer) return "a whole number";
  if (kind == "float" && !number) return "a number";
  if (kind == "string" && !std::holds_alternative<std::string>(given.value)) return "a string";
  if (kind == "bool" && !std::holds_alternative<bool>(given.value) && !integer)
    return "true or false";
  const bool list = std::holds_alternative<std::vector<Literal>>(given.value);
  if ((kind == "ints" || kind == "floats" || kind == "strings") && !list) return "a list";
  return "";
}

void Resolver::declare_params(Declared& file) {
  for (const ast::Item& item : file.file->items) {
    const auto* param = std::get_if<ast::Param>(&item);
    if (!param) continue;
    const ast::Parameter& parameter = param->parameter;
    if (file.params.contains(parameter.name.text)) {
      diagnostics().error(DiagnosticKind::DuplicateName, parameter.name.span,
                          "param `{}` is declared twice", parameter.name.text);
      continue;
    }
    ParamValue value;
    bool given = false;
    if (files_.files[file.index].requested)
      for (std::size_t i = 0; i < options_.settings.size(); ++i)
        if (options_.settings[i].first == parameter.name.text) {
          setting_used_[i] = given = true;
          if (auto parsed = parse_setting(options_.settings[i].second, parameter))
            value.literal = std::move(*parsed);
        }
    if (!given) {
      if (is_fit(parameter)) {
        value.fit = true;
      } else if (!parameter.initial) {
        diagnostics().error(DiagnosticKind::MissingValue, parameter.span,
                            "param `{}` has no default and was not given; write `--set {}=…`",
                            parameter.name.text, parameter.name.text);
      } else {
        // A constant: resolved without any names but the params above it.
        std::vector<Slot> none;
        scope_ = {};
        scope_.slots = &none;
        const ExprId id = resolve_expr(*parameter.initial, Where::Constant);
        const Expr& expr = out_.rules[id];
        if (expr.kind == Expr::Kind::Literal) {
          value.literal = expr.literal;
        } else if (expr.kind == Expr::Kind::List) {
          std::vector<Literal> items;
          for (ExprId element : expr.operands)
            items.push_back(out_.rules[element].literal);
          value.literal.value = std::move(items);
        } else if (expr.kind == Expr::Kind::Word) {
          value.literal.value = expr.name;
        } else if (auto known = constant_value(id)) {
          value.literal = std::move(*known);
        } else {
          diagnostics().error(DiagnosticKind::NotConstant, parameter.initial->span,
                              "the default of param `{}` is not a constant", parameter.name.text);
        }
        if (const auto wanted = misfit(parameter, value.literal); !wanted.empty())
          diagnostics().error(DiagnosticKind::TypeMismatch, parameter.initial->span,
                              "param `{}` is {}", parameter.name.text, wanted);
      }
    }
    file.params[parameter.name.text] = std::move(value);
  }
}

// What an expression over literals and params is worth.
std::optional<Literal> Resolver::constant_value(ExprId id) const {
  const Model nothing;
  const Situation anywhere;
  const std::vector<Slot> none;
  const RuleValue value = evaluate({.model = nothing,
                                    .rules = out_.rules,
                                    .ops = out_.ops,
                                    .slots = none,
                                    .bindings = {},
                                    .situation = anywhere},
                                   id);
  if (const auto* truth = std::get_if<bool>(&value.data)) return Literal{*truth};
  if (const auto* integer = std::get_if<std::int64_t>(&value.data)) return Literal{*integer};
  if (const auto* number = std::get_if<double>(&value.data)) return Literal{*number};
  if (const auto* text = std::get_if<std::string>(&value.data)) return Literal{*text};
  return std::nullopt;
}

// The text of `--set name=text` as the parameter's type wants it.
std::optional<Literal> Resolver::parse_setting(const std::string& text,
                                               const ast::Parameter& parameter) {
  const auto refuse = [&](std::string_view wanted) -> std::optional<Literal> {
    setting_errors_.push_back(fmt::format("--set {}={}: `{}` is {}", parameter.name.text, text,
                                          parameter.name.text, wanted));
    return std::nullopt;
  };
  const auto number = [](std::string_view part) -> std::optional<double> {
    double out = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), out);
    if (error != std::errc() || end != part.data() + part.size()) return std::nullopt;
    return out;
  };
  const auto integer = [](std::string_view part) -> std::optional<std::int64_t> {
    std::int64_t out = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), out);
    if (error != std::errc() || end != part.data() + part.size()) return std::nullopt;
    return out;
  };
  if (const auto* words = std::get_if<std::vector<ast::Name>>(&parameter.kind.value)) {
    std::vector<std::string> names;
    for (const ast::Name& word : *words)
      names.push_back(word.text);
    if (std::find(names.begin(), names.end(), text) == names.end())
      return refuse(fmt::format("one of {}", fmt::join(names, ", ")));
    return Literal{text};
  }
  const auto& type = std::get<ast::Type>(parameter.kind.value);
  const std::string dtype = type.dtypes.empty() ? "f32" : type.dtypes.front().text;
  const bool integral = dtype == "int" || dtype == "ints" || (dtype[0] == 'i' || dtype[0] == 'u');
  const bool list = !type.shapes.empty() || dtype.ends_with("s");
  if (dtype == "string") return Literal{text};
  if (dtype == "bool") {
    if (text == "true" || text == "1") return Literal{true};
    if (text == "false" || text == "0") return Literal{false};
    return refuse("a bool: true or false");
  }
  if (!list) {
    if (integral) {
      if (auto value = integer(text)) return Literal{*value};
      return refuse("an int");
    }
    if (auto value = number(text)) return Literal{*value};
    return refuse("a number");
  }
  std::string_view rest = text;
  if (rest.starts_with('[') && rest.ends_with(']')) rest = rest.substr(1, rest.size() - 2);
  std::vector<Literal> items;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    std::string_view part = rest.substr(0, comma);
    while (part.starts_with(' '))
      part.remove_prefix(1);
    while (part.ends_with(' '))
      part.remove_suffix(1);
    rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
    if (integral) {
      const auto value = integer(part);
      if (!value) return refuse("a list of ints, as in 1,2,3");
      items.push_back({*value});
    } else {
      const auto value = number(part);
      if (!value) return refuse("a list of numbers, as in 0.5,1,2");
      items.push_back({*value});
    }
  }
  if (type.shapes.size() == 1 && type.shapes[0].dims.size() == 1 &&
      type.shapes[0].dims[0].form == ast::Dim::Form::Size &&
      std::to_string(items.size()) != type.shapes[0].dims[0].text)
    return refuse(fmt::format("a list of {} numbers", type.shapes[0].dims[0].text));
  return Literal{std::move(items)};
}

// Parameters are sizes by now; what names are left are symbols.
static DeclaredShape declared_shape(const std::vector<DimPattern>& dims,
                                    const std::vector<Slot>& slots) {
  DeclaredShape out;
  for (const DimPattern& dim : dims) {
    switch (dim.kind) {
      case DimPattern::Kind::Rest:
        out.open = true;
        return out;
      case DimPattern::Kind::Fixed:
        out.dims.push_back({.size = dim.size});
        break;
      case DimPattern::Kind::Variable:
        out.dims.push_back({.symbol = slots[dim.slot.index].name});
        break;
      case DimPattern::Kind::Unknown:
        out.dims.emplace_back();
        break;
    }
  }
  return out;
}

// `op` declarations become schemas.
void Resolver::declare_operators(const Declared& file) {
  std::vector<Slot> slots;
  for (const ast::Item& item : file.file->items) {
    const auto* decl = std::get_if<ast::OpDecl>(&item);
    if (!decl) continue;
    OpSchema schema;
    schema.domain = decl->op.domain == "ai.onnx" ? "" : decl->op.domain;
    schema.type = decl->op.type;
    slots.clear();
    scope_ = {};
    scope_.slots = &slots;
    const auto operands = [&](const ast::Ports& ports, std::vector<Operand>& out) {
      for (const ast::Port& port : ports.ports) {
        Operand operand;
        operand.name = port.name.text;
        operand.kind = port.variadic   ? OperandKind::Variadic
                       : port.optional ? OperandKind::Optional
                                       : OperandKind::Single;
        TypePattern type = resolve_type(port.type);
        operand.dtypes = std::move(type.dtypes);
        for (const auto& shape : type.shapes)
          operand.shapes.push_back(declared_shape(shape, slots));
        out.push_back(std::move(operand));
      }
    };
    operands(decl->inputs, schema.inputs);
    operands(decl->outputs, schema.outputs);
    if (decl->attrs)
      for (const ast::AttrDecl& attr : *decl->attrs) {
        AttributeSchema out;
        out.name = attr.name.text;
        out.required = !attr.initial;
        static const std::map<std::string, AttributeKind, std::less<>> kinds = {
            {"int", AttributeKind::Int},         {"ints", AttributeKind::Ints},
            {"float", AttributeKind::Float},     {"floats", AttributeKind::Floats},
            {"string", AttributeKind::String},   {"strings", AttributeKind::Strings},
            {"tensor", AttributeKind::Tensor},   {"graph", AttributeKind::Graph},
            {"bool", AttributeKind::Int},        {"graphs", AttributeKind::Graphs},
            {"tensors", AttributeKind::Tensors}, {"type", AttributeKind::TypeProto}};
        const auto* type = std::get_if<ast::Type>(&attr.kind.value);
        const auto kind =
            type && type->dtypes.size() == 1 ? kinds.find(type->dtypes.front().text) : kinds.end();
        if (kind == kinds.end()) {
          diagnostics().error(DiagnosticKind::UnknownType, attr.kind.span,
                              "the kind of attribute `{}` is none of int, ints, float, floats, "
                              "string, strings, bool, tensor, graph",
                              attr.name.text);
          continue;
        }
        out.kind = kind->second;
        if (attr.initial) {
          const Expr& value = out_.rules[resolve_expr(*attr.initial, Where::Constant)];
          const Literal& literal = value.literal;
          if (const auto* integer = std::get_if<std::int64_t>(&literal.value))
            out.default_value = out.kind == AttributeKind::Float
                                    ? AttributeValue(static_cast<float>(*integer))
                                    : AttributeValue(*integer);
          else if (const auto* number = std::get_if<double>(&literal.value))
            out.default_value = static_cast<float>(*number);
          else if (const auto* text = std::get_if<std::string>(&literal.value))
            out.default_value = *text;
          else if (const auto* flag = std::get_if<bool>(&literal.value))
            out.default_value = static_cast<std::int64_t>(*flag);
        }
        schema.attributes.push_back(std::move(out));
      }
    if (!out_.ops.declare(std::move(schema)))
      diagnostics().error(DiagnosticKind::DuplicateName, decl->op.span,
                          "operator `{}` is already known with other operands or attributes",
                          decl->op.text());
  }
}

static std::vector<int> parse_version(std::string_view text) {
  std::vector<int> out;
  const std::size_t dash = text.find('-');
  text = text.substr(0, dash);
  while (!text.empty()) {
    const std::size_t dot = text.find('.');
    const std::string_view part = text.substr(0, dot);
    int value = 0;
    std::from_chars(part.data(), part.data() + part.size(), value);
    out.push_back(value);
    text = dot == text.npos ? std::string_view() : text.substr(dot + 1);
  }
  return out;
}

TargetRange Resolver::resolve_target(const ast::Target& target) const {
  TargetRange out;
  out.name = target.name.text;
  for (const auto& bound : target.bounds)
    out.bounds.push_back(
        {std::string(spelling(bound.relation)), parse_version(bound.version.text)});
  return out;
}

// Whether a file's `target` lines let its rules apply to the target at hand: any of them does.
bool Resolver::applies(const std::vector<const ast::Target*>& targets) const {
  if (targets.empty()) return true;
  return std::any_of(targets.begin(), targets.end(), [&](const ast::Target* target) {
    return in_range(options_.situation, resolve_target(*target));
  });
}

}  // namespace rulec
