// SPDX-License-Identifier: Apache-2.0
// What the parser understood, one S-expression a line per item: parentheses of the text are gone,
// every grouping shows.
#include <fmt/format.h>

#include "grammar/ast_printer.h"

namespace rulec {
namespace {

std::string show(const ast::Expr& expr);
std::string show(const ast::Pattern& pattern);

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& part : parts)
    if (!part.empty()) out += out.empty() ? part : " " + part;
  return out;
}

template <typename List, typename Each>
std::string all(const List& list, Each each) {
  std::vector<std::string> parts;
  for (const auto& element : list)
    parts.push_back(each(element));
  return join(parts);
}

std::string show(const ast::String& string) {
  return fmt::format("\"{}\"", string.value);
}

std::string show(const ast::Type& type) {
  std::string out = "type";
  for (const auto& dtype : type.dtypes)
    out += " " + dtype.text;
  for (const auto& shape : type.shapes)
    out += " [" + all(shape.dims, [](const auto& dim) { return dim.text; }) + "]";
  return "(" + out + ")";
}

std::string show(const std::optional<ast::Type>& type) {
  return type ? show(*type) : "";
}

std::string show(const ast::Kind& kind) {
  if (const auto* type = std::get_if<ast::Type>(&kind.value)) return show(*type);
  return "(choice " +
         all(std::get<std::vector<ast::Name>>(kind.value), [](const auto& n) { return n.text; }) +
         ")";
}

std::string show(const ast::Attr& attr) {
  if (attr.form == ast::Attr::Form::Drop) return "_";
  if (attr.form == ast::Attr::Form::Rest) return ".." + attr.name.text;
  return fmt::format("(= {} {})", attr.name.text, show(*attr.value));
}

std::string show(const std::vector<ast::Attr>& attrs) {
  return "{" + all(attrs, [](const auto& attr) { return show(attr); }) + "}";
}

std::string show(const ast::Results& results) {
  auto slots =
      all(results.slots, [](const auto& slot) { return slot.name ? slot.name->text : "_"; });
  return results.parenthesised ? "(" + slots + ")" : slots;
}

std::string show(const ast::Bind& bind) {
  return fmt::format("(bind {} {})", show(bind.results), show(bind.pattern));
}

struct ShowArgument {
  std::string operator()(const ast::PlainArgument& plain) const {
    return plain.spread ? fmt::format("(... {})", show(*plain.value)) : show(*plain.value);
  }
  std::string operator()(const ast::NamedArgument& named) const {
    return fmt::format("(given {} {})", named.name.text, show(*named.value));
  }
  std::string operator()(const ast::TypedArgument& typed) const {
    auto range = typed.range ? fmt::format(" {}..{}", typed.range->low.text, typed.range->high.text)
                             : std::string();
    return fmt::format("({} : {}{})", typed.name.text, show(typed.type), range);
  }
};

std::string add_suffix(const std::string& base, const ast::Suffix& suffix) {
  if (const auto* call = std::get_if<ast::Call>(&suffix))
    return "(" +
           join({"call", base,
                 all(call->arguments,
                     [](const auto& argument) {
                       return std::visit(ShowArgument{}, argument.value);
                     })}) +
           ")";
  if (const auto* attrs = std::get_if<ast::Attrs>(&suffix))
    return fmt::format("(with {} {})", base, show(attrs->attrs));
  if (const auto* member = std::get_if<ast::Member>(&suffix))
    return fmt::format("(. {} {})", base, member->name.text);
  const auto& index = std::get<ast::Index>(suffix);
  return "(" +
         join({"index", base, index.begin ? show(*index.begin) : "", index.slice ? ":" : "",
               index.end ? show(*index.end) : ""}) +
         ")";
}

struct ShowExpr {
  std::string operator()(const ast::None&) const { return "none"; }
  std::string operator()(const ast::Any&) const { return "_"; }
  std::string operator()(const ast::Bool& boolean) const {
    return boolean.value ? "true" : "false";
  }
  std::string operator()(const ast::Number& number) const { return number.text; }
  std::string operator()(const ast::String& string) const { return show(string); }
  std::string operator()(const ast::Name& name) const { return name.text; }
  std::string operator()(const ast::OpName& op) const { return op.text(); }
  std::string operator()(const ast::List& list) const { return "[" + each(list.elements) + "]"; }
  std::string operator()(const ast::Paren& paren) const { return show(*paren.inner); }
  std::string operator()(const ast::Postfix& postfix) const {
    auto out = show(*postfix.base);
    for (const auto& suffix : postfix.suffixes)
      out = add_suffix(out, suffix);
    return out;
  }
  std::string operator()(const ast::Else& choice) const {
    return "(else " + each(choice.options) + ")";
  }
  std::string operator()(const ast::Negate& negate) const {
    return fmt::format("(neg {} {})", negate.count, show(*negate.operand));
  }
  std::string operator()(const ast::Arithmetic& arithmetic) const {
    auto out = show(*arithmetic.first);
    for (const auto& [op, operand] : arithmetic.rest)
      out = fmt::format("({} {} {})", op, out, show(operand));
    return out;
  }
  std::string operator()(const ast::Compare& compare) const {
    static constexpr std::string_view names[] = {"==", "!=", "<=", ">=",    "<",
                                                 ">",  "~",  "in", "not-in"};
    return fmt::format("({} {} {})", names[static_cast<std::size_t>(compare.op)],
                       show(*compare.left), show(*compare.right));
  }
  std::string operator()(const ast::BodyIs& body) const {
    return "(" +
           join({"is", body.body.text, all(body.binds, [](const auto& b) { return show(b); })}) +
           ")";
  }
  std::string operator()(const ast::Contains& contains) const {
    return fmt::format("(contains {} {})", contains.body.text, show(*contains.pattern));
  }
  std::string operator()(const ast::IsWord& is) const {
    return fmt::format("(is {})", is.word.text);
  }
  std::string operator()(const ast::InBody&) const { return "(in-body)"; }
  std::string operator()(const ast::Not& negation) const {
    return fmt::format("(not {} {})", negation.count, show(*negation.condition));
  }
  std::string operator()(const ast::OrUnknown& either) const {
    return fmt::format("(or-unknown {})", show(*either.condition));
  }
  std::string operator()(const ast::And& both) const { return "(and " + each(both.operands) + ")"; }
  std::string operator()(const ast::Or& either) const {
    return "(or " + each(either.operands) + ")";
  }
  std::string operator()(const ast::Ternary& ternary) const {
    return fmt::format("(if {} {} {})", show(*ternary.condition), show(*ternary.if_true),
                       show(*ternary.if_false));
  }

 private:
  static std::string each(const std::vector<ast::Expr>& list) {
    return all(list, [](const auto& expr) { return show(expr); });
  }
};

std::string show(const ast::Expr& expr) {
  return std::visit(ShowExpr{}, expr.value);
}

std::string show(const ast::Tail& tail) {
  std::vector<std::string> parts;
  if (tail.args) {
    auto args = all(*tail.args, [](const auto& arg) { return show(arg); });
    parts.push_back("(" + args + ")");
  }
  if (tail.attrs) parts.push_back(show(*tail.attrs));
  for (const auto& pred : tail.preds)
    parts.push_back(fmt::format("(where {})", show(pred)));
  return join(parts);
}

struct ShowPattern {
  std::string operator()(const ast::Node& node) const {
    return "(" +
           join({node.binder ? node.binder->text + " @" : "", node.shared ? "shared" : "",
                 node.ordered ? "ordered" : "", node.op.text() + (node.optional ? "?" : ""),
                 show(node.tail)}) +
           ")";
  }
  std::string operator()(const ast::Chain& chain) const {
    auto ops = all(chain.ops, [](const auto& op) { return op.text(); });
    return fmt::format("(chain{} [{}] {})", chain.at_least_one ? "+" : "*", ops,
                       show(*chain.input));
  }
  std::string operator()(const ast::ConstValue& value) const {
    return "(" +
           join({std::string(value.scalar ? "scalar" : "const") + (value.optional ? "?" : ""),
                 value.name.text, show(value.type)}) +
           ")";
  }
  std::string operator()(const ast::BodyValue& value) const {
    static constexpr std::string_view names[] = {"outer", "state", "scan"};
    const auto* name = std::get_if<ast::Name>(&value.which);
    return fmt::format("({} {})", names[static_cast<std::size_t>(value.source)],
                       name ? name->text : std::get<ast::Number>(value.which).text);
  }
  std::string operator()(const ast::ExactValue& value) const {
    return fmt::format("(exact {})", value.number.text);
  }
  std::string operator()(const ast::Literal& literal) const {
    if (const auto* boolean = std::get_if<bool>(&literal.value)) return *boolean ? "true" : "false";
    if (const auto* number = std::get_if<ast::Number>(&literal.value)) return number->text;
    if (const auto* string = std::get_if<ast::String>(&literal.value)) return show(*string);
    if (const auto* list = std::get_if<std::vector<ast::Literal>>(&literal.value))
      return "[" + all(*list, [&](const auto& each) { return (*this)(each); }) + "]";
    return "none";
  }
  std::string operator()(const ast::AnyValue& value) const { return value.rest ? "_..." : "_"; }
  std::string operator()(const ast::NameValue& value) const {
    auto name = value.name.text + (value.optional ? "?" : "") + (value.rest ? "..." : "");
    return value.type ? fmt::format("({} : {})", name, show(value.type)) : name;
  }
};

std::string show(const ast::Pattern& pattern) {
  auto alternatives =
      all(pattern.alternatives, [](const auto& each) { return std::visit(ShowPattern{}, each); });
  return pattern.alternatives.size() == 1 ? alternatives : "(| " + alternatives + ")";
}

std::string show(const ast::Root& root) {
  if (const auto* scope = std::get_if<ast::Root::Scope>(&root.value))
    return fmt::format("(scope {})", show(scope->glob));
  if (const auto* cluster = std::get_if<ast::Root::Cluster>(&root.value))
    return "(" + join({"cluster", cluster->op.text(), show(cluster->tail)}) + ")";
  auto pattern = show(std::get<ast::Pattern>(root.value));
  return root.by ? fmt::format("(by {} {})", root.by->text, pattern) : pattern;
}

std::string show(const ast::Stmt& stmt) {
  return "(" +
         join({"=", show(stmt.results), show(stmt.value),
               stmt.layout ? "in " + stmt.layout->text : ""}) +
         ")";
}

std::string show(const ast::Block& block) {
  return "(" + join({"block", all(block.stmts, [](const auto& stmt) { return show(stmt); })}) + ")";
}

std::string show(const ast::Replacement& replacement) {
  return std::visit([](const auto& each) { return show(each); }, replacement.value);
}

std::string show(const ast::Origin& origin) {
  if (const auto* source = std::get_if<ast::Name>(&origin.where))
    return fmt::format("(source {})", source->text);
  return fmt::format("(scope {})", show(std::get<ast::String>(origin.where)));
}

std::string show(const ast::Bound& bound) {
  return fmt::format("{}{}", bound.relation ? ast::spelling(*bound.relation) : "",
                     bound.count.text);
}

std::string show(const ast::Target& target) {
  return "(" +
         join({"target", target.name.text,
               all(target.bounds,
                   [](const auto& each) {
                     return fmt::format("{}{}", ast::spelling(each.relation), each.version.text);
                   })}) +
         ")";
}

std::string show(const ast::Expect& expect) {
  return fmt::format("(expect {})", show(expect.bound));
}

struct ShowClause {
  std::string operator()(const ast::Where& where) const {
    return "(where " + all(where.conditions, [](const auto& each) { return show(each); }) + ")";
  }
  std::string operator()(const ast::Let& let) const {
    return "(let " +
           all(let.defines,
               [](const ast::Define& define) {
                 auto value = std::visit([](const auto& each) { return show(each); }, define.value);
                 return fmt::format("({} {})", define.name.text, value);
               }) +
           ")";
  }
  std::string operator()(const ast::Expect& expect) const { return show(expect); }
  std::string operator()(const ast::Priority& priority) const {
    return fmt::format("(priority {})", priority.value.text);
  }
  std::string operator()(const ast::ForTarget& target) const {
    return fmt::format("(for {})", show(target.target));
  }
  std::string operator()(const ast::Tolerance& tolerance) const {
    return fmt::format("(tolerance {})", tolerance.value.text);
  }
  std::string operator()(const ast::Limit& limit) const {
    return fmt::format("(limit {})", limit.value.text);
  }
  std::string operator()(const ast::Recursive&) const { return "(recursive)"; }
  std::string operator()(const ast::Assuming& assuming) const {
    return "(" +
           join({"assuming", show(assuming.condition), assuming.when ? show(*assuming.when) : ""}) +
           ")";
  }
  std::string operator()(const ast::SeeThrough& see) const {
    return "(see-through " + all(see.ops, [](const auto& op) { return op.text(); }) + ")";
  }
  std::string operator()(const ast::Retype& retype) const {
    return fmt::format("(retype {} {})", retype.name.text, show(retype.type));
  }
  std::string operator()(const ast::Requires& need) const {
    return "(" +
           join({"requires", std::string(ast::spelling(need.relation)), need.opset.text,
                 need.otherwise ? show(*need.otherwise) : ""}) +
           ")";
  }
};

std::string show(const std::vector<ast::Clause>& clauses) {
  return all(clauses, [](const auto& each) { return std::visit(ShowClause{}, each); });
}

std::string show(const ast::RuleClass& level) {
  using Level = ast::RuleClass::Level;
  if (level.level == Level::Exact) return "exact";
  if (level.level == Level::Approx) return fmt::format("(approx {})", level.tolerance->text);
  return fmt::format("({} {})", level.level == Level::Unsafe ? "unsafe" : "assuming",
                     show(*level.reason));
}

// Of a Parameter, an AttrDecl.
template <typename Declared>
std::string show_declared(const Declared& declared) {
  return "(" +
         join({declared.name.text, show(declared.kind),
               declared.initial ? show(*declared.initial) : ""}) +
         ")";
}

std::string show(const ast::Ports& ports) {
  return "(" +
         join({"ports", all(ports.ports,
                            [](const ast::Port& port) {
                              auto name = port.name.text + (port.optional ? "?" : "") +
                                          (port.variadic ? "..." : "");
                              return "(" +
                                     join({name, show(port.type),
                                           port.any_layout ? "any-layout" : "",
                                           port.origin ? show(*port.origin) : ""}) +
                                     ")";
                            })}) +
         ")";
}

std::string show(const ast::NameOrString& name) {
  return name.quoted ? fmt::format("\"{}\"", name.text) : name.text;
}

struct ShowChange {
  std::string operator()(const ast::InputChange& change) const {
    return "(" +
           join({"input", show(change.glob), show(change.type),
                 change.replaced ? "-> " + show(change.replaced->name) : "",
                 change.replaced ? show(change.replaced->type) : ""}) +
           ")";
  }
  std::string operator()(const ast::DimChange& change) const {
    return fmt::format("(dim {} {})", show(change.dim), show(change.value));
  }
  std::string operator()(const ast::OutputsChange& change) const {
    return "(outputs " + all(change.outputs, [](const auto& each) { return show(each); }) + ")";
  }
  std::string operator()(const ast::OutputChange& change) const {
    return "(" +
           join({"output", show(change.name), change.last ? "last" : "",
                 ShowPattern{}(change.node)}) +
           ")";
  }
  std::string operator()(const ast::RenameChange& change) const {
    return fmt::format("(rename {} {} {})", change.input ? "input" : "output", show(change.from),
                       show(change.to));
  }
  std::string operator()(const ast::OpsetChange& change) const {
    return fmt::format("(opset {})", change.opset.text);
  }
};

struct ShowPart {
  std::string operator()(const ast::TestGraph& graph) const {
    return "(" +
           join({graph.after ? "after" : "before",
                 all(graph.stmts, [](const auto& stmt) { return show(stmt); })}) +
           ")";
  }
  std::string operator()(const ast::TestOutputs& outputs) const {
    return "(outputs " + all(outputs.names, [](const auto& name) { return name.text; }) + ")";
  }
  std::string operator()(const ast::TestUnchanged&) const { return "(unchanged)"; }
  std::string operator()(const ast::TestModel& model) const {
    return fmt::format("(model {})", show(model.path));
  }
  std::string operator()(const ast::Expect& expect) const { return show(expect); }
};

struct ShowItem {
  std::string operator()(const ast::Import& import) const {
    return "(" + join({"import", import.what.text, import.as ? "as " + import.as->text : ""}) + ")";
  }
  std::string operator()(const ast::Target& target) const { return show(target); }
  std::string operator()(const ast::Param& param) const {
    return fmt::format("(param {})", show_declared(param.parameter));
  }
  std::string operator()(const ast::Predicate& predicate) const {
    return fmt::format("(predicate {} ({}) {})", predicate.name.text,
                       all(predicate.parameters, [](const auto& name) { return name.text; }),
                       show(predicate.body));
  }
  std::string operator()(const ast::OpDecl& op) const {
    return "(" +
           join({"op", op.op.text(), show(op.inputs), show(op.outputs),
                 op.attrs
                     ? "{" + all(*op.attrs, [](const auto& attr) { return show_declared(attr); }) +
                           "}"
                     : ""}) +
           ")";
  }
  std::string operator()(const ast::Template& declared) const {
    return "(" +
           join({"template", declared.name.text,
                 "(" + all(declared.parameters, [](const auto& p) { return show_declared(p); }) +
                     ")",
                 declared.root ? "for " + show(*declared.root) : "", show(declared.inputs),
                 show(declared.outputs), show(declared.clauses),
                 all(declared.bodies,
                     [](const auto& body) {
                       return join({show(body.clauses), show(body.block)});
                     })}) +
           ")";
  }
  std::string operator()(const ast::Edit& edit) const {
    return "(" +
           join({"edit", edit.name ? edit.name->text : "",
                 all(edit.changes, [](const auto& c) { return std::visit(ShowChange{}, c); })}) +
           ")";
  }
  std::string operator()(const ast::Pipeline& pipeline) const {
    auto steps = all(pipeline.steps, [](const ast::Step& step) {
      return "(" +
             all(step.parts,
                 [](const ast::Step::Part& part) {
                   return part.name.text + (part.expect ? ":" + show(*part.expect) : "");
                 }) +
             ")";
    });
    return "(" + join({"pipeline", pipeline.name ? pipeline.name->text : "", steps}) + ")";
  }
  std::string operator()(const ast::Test& test) const {
    auto rules = all(test.rules, [](const auto& name) { return name.text; });
    return "(" +
           join({"test", show(test.title), rules.empty() ? "" : "for " + rules,
                 all(test.parts, [](const auto& part) { return std::visit(ShowPart{}, part); })}) +
           ")";
  }
  std::string operator()(const ast::Rule& rule) const {
    bool match = rule.form == ast::Rule::Form::Match;
    auto found =
        match ? "(match " + all(rule.match, [](const auto& bind) { return show(bind); }) + ")"
              : show(*rule.root);
    return "(" +
           join({"rule", rule.name ? rule.name->text : "", rule.level ? show(*rule.level) : "",
                 found, "->", show(rule.replacement), show(rule.clauses)}) +
           ")";
  }
};

}  // namespace

std::string dump(const ast::File& file) {
  std::string out;
  if (file.package)
    out += fmt::format("(package {} {})\n", file.package->name.text, file.package->version.text);
  for (const auto& item : file.items)
    out += std::visit(ShowItem{}, item) + "\n";
  return out;
}

}  // namespace rulec
