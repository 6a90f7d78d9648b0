// SPDX-License-Identifier: Apache-2.0
// Templates: their ports, parameters and bodies, and what calls them.
#include <algorithm>

#include "compiler/resolver.h"
#include "matcher/edit_distance.h"

namespace rulec {

static const ast::Expr& without_parens(const ast::Expr& expr) {
  const ast::Expr* out = &expr;
  while (const auto* paren = std::get_if<ast::Paren>(&out->value))
    out = &*paren->inner;
  return *out;
}

// Whether an argument speaks of what the pattern captured, or makes a node: then the call is an
// expression that is given its ports. `preprocess(mean, std, NCHW)` finds them in a region.
bool Resolver::gives_port(const ast::Expr& whole) const {
  const ast::Expr& expr = without_parens(whole);
  const auto captured = [&](std::string_view name) {
    const auto slot = scope_.names.find(name);
    if (slot == scope_.names.end()) return false;
    switch ((*scope_.slots)[slot->second.index].kind) {
      case SlotKind::Value:
      case SlotKind::Values:
      case SlotKind::Scalar:
      case SlotKind::Node:
      case SlotKind::Let:
        return true;
      default:
        return false;
    }
  };
  if (const auto* name = std::get_if<ast::Name>(&expr.value)) return captured(name->text);
  const auto* postfix = std::get_if<ast::Postfix>(&expr.value);
  if (!postfix) return false;
  if (std::holds_alternative<ast::OpName>(postfix->base->value)) return true;
  if (const auto dotted = qualified(*postfix)) return find_template(dotted->first.text).has_value();
  const auto* name = std::get_if<ast::Name>(&postfix->base->value);
  return name && (captured(name->text) || find_template(name->text));
}

// `BatchedNMS_TRT`, `preprocess(mean, std, NCHW)`: the whole replacement is a template that looks
// for its ports in the region. One that is given them is an expression (Expr::Kind::Template).
std::optional<TemplateCall> Resolver::resolve_template_call(const ast::Expr& whole) {
  const ast::Expr& expr = without_parens(whole);
  const auto by_name = [&](const ast::Expr& base) -> std::optional<TemplateId> {
    if (const auto* name = std::get_if<ast::Name>(&base.value))
      return scope_.names.contains(name->text) ? std::nullopt : find_template(name->text);
    if (const auto* op = std::get_if<ast::OpName>(&base.value))
      return op->domain.empty() ? find_template(op->type) : std::nullopt;
    return std::nullopt;
  };
  if (auto id = by_name(expr)) return resolve_arguments(*id, nullptr);
  const auto* postfix = std::get_if<ast::Postfix>(&expr.value);
  if (!postfix) return std::nullopt;
  const auto dotted = qualified(*postfix);
  const std::size_t used = dotted ? dotted->second : 0;
  const auto id = dotted ? find_template(dotted->first.text) : by_name(*postfix->base);
  if (id && postfix->suffixes.size() == used) return resolve_arguments(*id, nullptr);
  const auto* call = postfix->suffixes.size() == used + 1
                         ? std::get_if<ast::Call>(&postfix->suffixes[used])
                         : nullptr;
  if (!id || !call) return std::nullopt;
  if (!call->arguments.empty()) {
    const auto* first = std::get_if<ast::PlainArgument>(&call->arguments.front().value);
    if (first && gives_port(*first->value)) return std::nullopt;
  }
  return resolve_arguments(*id, call);
}

// The syntax of a template, which may not be resolved yet.
const ast::Template& Resolver::template_source(TemplateId id) const {
  for (const Declared& file : declared_) {
    if (!file.file) continue;
    for (const ast::Item& item : file.file->items) {
      const auto* candidate = std::get_if<ast::Template>(&item);
      if (!candidate) continue;
      const auto found = file.templates.find(candidate->name.text);
      if (found != file.templates.end() && found->second == id) return *candidate;
    }
  }
  RULEC_CHECK(false);
}

// A template in an expression: its ports by position, then its parameters; both also by name.
ExprId Resolver::resolve_template_expr(TemplateId callee, const ast::Call& call, Span span) {
  const ast::Template& source = template_source(callee);
  Expr out;
  out.kind = Expr::Kind::Template;
  out.place = place(span);
  out.callee = callee;
  if (source.root)
    diagnostics().error(
        DiagnosticKind::TemplateRoot, span,
        "`{}` replaces a region that it finds by itself; it stands alone behind the "
        "arrow, not in an expression",
        source.name.text);
  const auto& ports = source.inputs.ports;
  out.operands.resize(ports.size());
  std::vector<std::string> known;
  for (const ast::Port& port : ports)
    known.push_back(port.name.text);
  for (const ast::Parameter& parameter : source.parameters)
    known.push_back(parameter.name.text);
  const auto give = [&](std::size_t index, const ast::Expr& value) {
    if (index < ports.size()) {
      out.operands[index] = resolve_expr(value, Where::Replacement);
    } else {
      out.named.emplace_back(known[index], resolve_expr(value, Where::Constant));
    }
  };
  std::size_t position = 0;
  for (const ast::Argument& argument : call.arguments) {
    if (const auto* plain = std::get_if<ast::PlainArgument>(&argument.value)) {
      if (position == known.size()) {
        diagnostics().error(DiagnosticKind::WrongArity, argument.span,
                            "template `{}` takes {} argument{}: {}", source.name.text, known.size(),
                            known.size() == 1 ? "" : "s", fmt::join(known, ", "));
        break;
      }
      give(position++, *plain->value);
    } else if (const auto* named = std::get_if<ast::NamedArgument>(&argument.value)) {
      const auto at = std::find(known.begin(), known.end(), named->name.text);
      if (at == known.end()) {
        diagnostics()
            .error(DiagnosticKind::UnknownName, named->name.span,
                   "template `{}` has no port or parameter `{}`", source.name.text,
                   named->name.text)
            .suggest(nearest_name(named->name.text, known));
      } else {
        give(static_cast<std::size_t>(at - known.begin()), *named->value);
      }
    } else {
      diagnostics().error(DiagnosticKind::TypeMismatch, argument.span,
                          "types of operands belong in patterns and tests");
    }
  }
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (!out.operands[i] && !ports[i].optional)
      diagnostics().error(DiagnosticKind::WrongArity, span,
                          "template `{}` is not given its port `{}`", source.name.text,
                          ports[i].name.text);
  }
  for (const ast::Parameter& parameter : source.parameters) {
    const bool given = std::any_of(out.named.begin(), out.named.end(), [&](const auto& one) {
      return one.first == parameter.name.text;
    });
    if (!given && (!parameter.initial || is_fit(parameter)))
      diagnostics().error(
          DiagnosticKind::MissingValue, span, "template `{}` is not given its parameter `{}`{}",
          source.name.text, parameter.name.text,
          parameter.initial ? ", and in an expression there is no region to fit it by" : "");
  }
  return add(std::move(out));
}

TemplateCall Resolver::resolve_arguments(TemplateId callee, const ast::Call* call) {
  TemplateCall out;
  out.callee = callee;
  if (!call) return out;
  const ast::Template* source = &template_source(callee);
  std::vector<std::string> parameters;
  for (const ast::Parameter& parameter : source->parameters)
    parameters.push_back(parameter.name.text);
  std::size_t position = 0;
  const auto value_of = [&](const std::string& parameter, const ast::Expr& value) {
    TemplateArgument argument;
    argument.parameter = parameter;
    if (const auto* name = std::get_if<ast::Name>(&value.value);
        name && !scope_.names.contains(name->text)) {
      const ParamValue* param = find_param(name->text);
      argument.use_default = param ? param->fit : name->text == parameter || name->text == "fit";
    }
    scope_.meant = parameters;  // a word that is none may be one misspelt
    if (!argument.use_default) argument.value = resolve_expr(value, Where::Constant);
    scope_.meant.clear();
    out.arguments.push_back(std::move(argument));
  };
  for (const ast::Argument& argument : call->arguments) {
    if (const auto* plain = std::get_if<ast::PlainArgument>(&argument.value)) {
      if (position >= parameters.size()) {
        diagnostics().error(DiagnosticKind::WrongArity, argument.span,
                            "template `{}` takes {} argument{}", source->name.text,
                            parameters.size(), parameters.size() == 1 ? "" : "s");
        return out;
      }
      value_of(parameters[position++], *plain->value);
    } else if (const auto* named = std::get_if<ast::NamedArgument>(&argument.value)) {
      const std::string& name = named->name.text;
      if (std::find(parameters.begin(), parameters.end(), name) != parameters.end()) {
        value_of(name, *named->value);
        continue;
      }
      const bool is_port =
          std::any_of(source->inputs.ports.begin(), source->inputs.ports.end(),
                      [&](const ast::Port& port) { return port.name.text == name; });
      const auto* text = std::get_if<ast::String>(&named->value->value);
      if (is_port && text) {
        out.ports.emplace_back(name, text->value);
        continue;
      }
      const std::string near = nearest_name(name, parameters);
      if (is_port)
        diagnostics().error(DiagnosticKind::TypeMismatch, argument.span,
                            "port `{}` is bound by a value's name, a string", name);
      else
        diagnostics()
            .error(DiagnosticKind::UnknownName, named->name.span,
                   "template `{}` has no parameter or port `{}`", source->name.text, name)
            .suggest(near);
    } else {
      diagnostics().error(DiagnosticKind::TypeMismatch, argument.span,
                          "types of operands belong in patterns and tests");
    }
  }
  return out;
}

Port Resolver::resolve_port(const ast::Port& port) {
  Port out;
  out.name = port.name.text;
  out.place = place(port.span);
  out.type = resolve_type(port.type);
  out.any_layout = port.any_layout;
  out.optional = port.optional;
  out.variadic = port.variadic;
  if (port.origin) {
    if (const auto* glob = std::get_if<ast::String>(&port.origin->where)) {
      out.from_scope = glob->value;
    } else {
      const auto& name = std::get<ast::Name>(port.origin->where);
      if (auto slot = scope_.names.find(name.text); slot != scope_.names.end())
        out.from_source = slot->second;
      else
        diagnostics().error(DiagnosticKind::UnboundName, name.span,
                            "`{}` is not bound by the template's root", name.text);
    }
  }
  return out;
}

void Resolver::resolve_template(const ast::Template& source, TemplateId id) {
  const RuleFile& file = files_.files[current_->index];
  Template out;
  out.name = source.name.text;
  out.package = file.package;
  out.package_version = file.package_version;
  out.doc = source.doc;
  out.place = place(source.span);
  scope_ = {};
  scope_.slots = &out.slots;
  scope_.own_template = source.name.text;
  if (source.root) out.root = resolve_root(*source.root);
  for (const ast::Port& port : source.inputs.ports) {
    Port resolved = resolve_port(port);
    resolved.slot = bind_slot(port.name.text, SlotKind::Value, port.name.span);
    out.inputs.push_back(std::move(resolved));
  }
  for (const ast::Port& port : source.outputs.ports) {
    Port resolved = resolve_port(port);
    resolved.slot = {static_cast<std::uint32_t>(out.slots.size())};
    out.slots.push_back({port.name.text, SlotKind::Value, false, place(port.name.span)});
    scope_.outputs.emplace(port.name.text, resolved.slot);
    out.outputs.push_back(std::move(resolved));
  }
  // Parameters are known by name before any default is read: a default may use ports' dimensions
  // and the parameters above it.
  for (const ast::Parameter& parameter : source.parameters) {
    TemplateParameter to;
    to.name = parameter.name.text;
    to.place = place(parameter.span);
    if (const auto* words = std::get_if<std::vector<ast::Name>>(&parameter.kind.value)) {
      for (const ast::Name& word : *words)
        to.words.push_back(word.text);
    } else {
      to.type = resolve_type(std::get<ast::Type>(parameter.kind.value));
    }
    to.fit = is_fit(parameter);
    if (parameter.initial && !to.fit)
      to.default_value = resolve_expr(*parameter.initial, Where::Constant);
    to.slot = bind_slot(parameter.name.text, SlotKind::Parameter, parameter.name.span);
    out.parameters.push_back(std::move(to));
  }
  const auto clauses_of = [&](const std::vector<ast::Clause>& list, std::string_view owner) {
    Rule held;
    resolve_clauses(list, held);
    refuse_rule_clauses(list, owner);
    return held;
  };
  Rule clauses = clauses_of(source.clauses, "a template");
  out.where = std::move(clauses.where);
  out.lets = std::move(clauses.lets);
  out.assuming = std::move(clauses.assuming);
  out.retype = std::move(clauses.retype);
  out.tolerance = clauses.precision.tolerance;
  for (const ast::Template::Body& alternative : source.bodies) {
    const auto names = scope_.names;  // locals of one body are not seen by the next
    TemplateBody body;
    Rule own = clauses_of(alternative.clauses, "a body of a template");
    body.where = std::move(own.where);
    body.lets = std::move(own.lets);
    body.assuming = std::move(own.assuming);
    body.statements = resolve_block(alternative.block);
    out.bodies.push_back(std::move(body));
    scope_.names = names;
  }
  for (const Port& port : out.outputs)
    for (const TemplateBody& body : out.bodies) {
      const bool assigned =
          std::any_of(body.statements.begin(), body.statements.end(), [&](const Statement& stmt) {
            return std::find(stmt.results.begin(), stmt.results.end(), port.slot) !=
                   stmt.results.end();
          });
      if (!assigned)
        diagnostics().error(DiagnosticKind::MissingValue, source.name.span,
                            "a body of template `{}` does not assign its result `{}`", out.name,
                            port.name);
    }
  out_.rules.templates[id.index] = std::move(out);
}

}  // namespace rulec
