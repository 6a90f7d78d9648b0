// SPDX-License-Identifier: Apache-2.0
// Rules: their clauses, replacements and statements.
#include <algorithm>

#include "compiler/overloaded.h"
#include "compiler/resolver.h"

namespace rulec {

CountBound Resolver::resolve_bound(const ast::Bound& bound) const {
  CountBound out;
  out.relation = bound.relation ? std::string(spelling(*bound.relation)) : "==";
  out.count = bound.count.as_int().value_or(0);
  out.place = place(bound.span);
  return out;
}

static int count_nodes(const RuleSet& rules, PatternId id) {
  const Pattern& pattern = rules[id];
  int best = 0, sum = 0;
  for (PatternId child : pattern.children) {
    const int count = count_nodes(rules, child);
    best = std::max(best, count);
    sum += count;
  }
  switch (pattern.kind) {
    case Pattern::Kind::Either:
      return best;
    case Pattern::Kind::Maybe:
      return pattern.children.size() > 1 ? count_nodes(rules, pattern.children[1]) : 0;
    case Pattern::Kind::Node:
      return 1 + sum;
    case Pattern::Kind::Chain:
      return pattern.at_least + sum;
    default:
      return sum;
  }
}

void Resolver::resolve_rule(const ast::Rule& source, Declared& file) {
  const RuleFile& rule_file = files_.files[file.index];
  Rule out;
  out.place = place(source.span);
  out.name = source.name ? source.name->text
                         : fmt::format("{}:{}", rule_file.path.filename().string(), out.place.line);
  out.package = rule_file.package;
  out.package_version = rule_file.package_version;
  out.doc = source.doc;
  if (source.level) {
    switch (source.level->level) {
      case ast::RuleClass::Level::Exact:
        out.precision.kind = PrecisionClass::Kind::Exact;
        break;
      case ast::RuleClass::Level::Assuming:
        out.precision.kind = PrecisionClass::Kind::Assuming;
        break;
      case ast::RuleClass::Level::Approx:
        out.precision.kind = PrecisionClass::Kind::Approx;
        break;
      case ast::RuleClass::Level::Unsafe:
        out.precision.kind = PrecisionClass::Kind::Unsafe;
        break;
    }
    if (source.level->reason) out.precision.text = source.level->reason->value;
    if (source.level->tolerance) out.precision.tolerance = source.level->tolerance->as_double();
  }
  scope_ = {};
  scope_.slots = &out.slots;
  out.root = source.form == ast::Rule::Form::Arrow ? resolve_root(*source.root)
                                                   : resolve_match(source, out);
  for (PatternId pattern : out.root.patterns) {
    out.pattern_nodes += count_nodes(out_.rules, pattern);
  }
  resolve_clauses(source.clauses, out);
  resolve_replacement(source, out);
  const RuleId id{static_cast<std::uint32_t>(out_.rules.rules.size())};
  out_.rules.rules.push_back(std::move(out));
  file.all_rules.push_back(id);
  if (source.name) file.rules.emplace(source.name->text, id);
}

// `let`s first, in an order in which each uses only earlier ones; they may stand behind their use.
void Resolver::resolve_clauses(const std::vector<ast::Clause>& clauses, Rule& out) {
  for (const ast::Clause& clause : clauses)
    if (const auto* let = std::get_if<ast::Let>(&clause)) resolve_lets(*let, out.lets);
  for (const ast::Clause& clause : clauses)
    std::visit(
        Overloaded{
            [&](const ast::Where& where) {
              for (const ast::Expr& condition : where.conditions)
                out.where.push_back(resolve_expr(condition, Where::Guard));
            },
            [](const ast::Let&) {},
            [&](const ast::Expect& expect) { out.expect.push_back(resolve_bound(expect.bound)); },
            [&](const ast::Priority& priority) {
              out.priority = static_cast<int>(priority.value.as_int().value_or(0));
            },
            [&](const ast::ForTarget& target) { out.target = resolve_target(target.target); },
            [&](const ast::Tolerance& tolerance) {
              out.precision.tolerance = tolerance.value.as_double();
            },
            [&](const ast::Limit& limit) { out.limit = limit.value.as_int(); },
            [&](const ast::Recursive&) { out.recursive = true; },
            [&](const ast::Assuming& assuming) {
              Assumption to{assuming.condition.value, {}};
              if (assuming.when) to.when = resolve_expr(*assuming.when, Where::Guard);
              out.assuming.push_back(std::move(to));
            },
            [&](const ast::SeeThrough& see) {
              for (const ast::OpName& op : see.ops)
                out.see_through.push_back(resolve_op(op));
            },
            [&](const ast::Retype& retype) {
              const SlotId slot = bind_slot(retype.name.text, SlotKind::Value, retype.name.span);
              out.retype.emplace_back(slot, resolve_type(retype.type));
            },
            [&](const ast::Requires& need) {
              OpsetRequirement requirement;
              requirement.relation = std::string(spelling(need.relation));
              requirement.version = static_cast<int>(need.opset.as_int().value_or(0));
              if (need.otherwise)
                requirement.otherwise = resolve_expr(*need.otherwise, Where::Replacement);
              out.requires_opset = requirement;
            }},
        clause);
}

void Resolver::resolve_lets(const ast::Let& let, std::vector<Let>& out) {
  for (const ast::Define& define : let.defines)
    scope_.later_lets.insert(define.name.text);
  for (const ast::Define& each : let.defines) {
    const ast::Define* define = &each;
    Let next;
    if (const auto* origin = std::get_if<ast::Origin>(&define->value)) {
      if (const auto* glob = std::get_if<ast::String>(&origin->where)) {
        next.from_scope = glob->value;
      } else {
        const auto& name = std::get<ast::Name>(origin->where);
        if (auto slot = scope_.names.find(name.text); slot != scope_.names.end())
          next.from_source = slot->second;
        else
          diagnostics().error(DiagnosticKind::UnboundName, name.span,
                              "`{}` is not bound by the pattern", name.text);
      }
    } else {
      next.value = resolve_expr(std::get<ast::Expr>(define->value), Where::Let);
    }
    if (scope_.names.contains(define->name.text))
      diagnostics().error(DiagnosticKind::DuplicateName, define->name.span, "`{}` is bound already",
                          define->name.text);
    scope_.later_lets.erase(define->name.text);
    next.slot = bind_slot(define->name.text, SlotKind::Let, define->name.span);
    out.push_back(std::move(next));
  }
}

// Clauses that speak of a rule's firings say nothing of a template.
void Resolver::refuse_rule_clauses(const std::vector<ast::Clause>& clauses,
                                   std::string_view owner) {
  for (const ast::Clause& clause : clauses) {
    const auto refuse = [&](Span span, std::string_view word) {
      diagnostics().error(DiagnosticKind::MisplacedClause, span,
                          "`{}` belongs to a rule; {} has no firings of its own", word, owner);
    };
    std::visit(
        Overloaded{[](const auto&) {}, [&](const ast::Expect& one) { refuse(one.span, "expect"); },
                   [&](const ast::Priority& one) { refuse(one.span, "priority"); },
                   [&](const ast::ForTarget& one) { refuse(one.span, "for"); },
                   [&](const ast::Limit& one) { refuse(one.span, "limit"); },
                   [&](const ast::Recursive& one) { refuse(one.span, "recursive"); },
                   [&](const ast::SeeThrough& one) { refuse(one.span, "see through"); },
                   [&](const ast::Requires& one) { refuse(one.span, "requires opset"); }},
        clause);
  }
}

void Resolver::resolve_replacement(const ast::Rule& rule, Rule& out) {
  const auto& value = rule.replacement.value;
  if (const auto* block = std::get_if<ast::Block>(&value)) {
    out.statements = resolve_block(*block);
    if (out.statements.empty() && out.match_results.empty())
      diagnostics().error(DiagnosticKind::MissingValue, block->span,
                          "an empty block gives nothing; its last statement is the replacement");
    return;
  }
  if (const auto* stmt = std::get_if<ast::Stmt>(&value)) {
    out.statements.push_back(resolve_statement(*stmt));
    return;
  }
  const auto& expr = std::get<ast::Expr>(value);
  if (auto call = resolve_template_call(expr)) {
    out.call = std::move(call);
    // A template brings what it needs of the root itself; where it says which roots it
    // understands, the rule's must be one of them.
    const Template& callee = out_.rules[out.call->callee];
    if (callee.root && callee.root->kind != out.root.kind) {
      const Root::Kind wanted = callee.root->kind;
      diagnostics().error(DiagnosticKind::TemplateRoot, rule.root ? rule.root->span : rule.span,
                          "`{}` replaces {}", callee.name,
                          wanted == Root::Kind::Cluster     ? "a cluster of nodes: write `Op*`"
                          : wanted == Root::Kind::ClusterBy ? "nodes that share a value: write "
                                                              "`Op(x, …)* by x`"
                          : wanted == Root::Kind::Scope     ? "a scope: write `scope \"…\"`"
                                                            : "what begins at one node");
    }
    return;
  }
  const auto* postfix = std::get_if<ast::Postfix>(&expr.value);
  const auto* word =
      std::get_if<ast::OpName>(postfix != nullptr ? &postfix->base->value : &expr.value);
  const bool known = word == nullptr || !out_.ops.versions(word->domain, word->type).empty();
  // What is no operator either is a template misspelt: that is said of it below.
  if (out.root.kind == Root::Kind::Cluster && known)
    diagnostics().error(DiagnosticKind::TemplateRoot, expr.span,
                        "a cluster `Op*` is replaced by a template; `Op(…)* by x` groups nodes for "
                        "an expression");
  out.replacement = resolve_expr(expr, Where::Replacement);
}

std::vector<Statement> Resolver::resolve_block(const ast::Block& block) {
  std::vector<Statement> out;
  for (const ast::Stmt& stmt : block.stmts)
    out.push_back(resolve_statement(stmt));
  return out;
}

// Results of a statement: a template's result port, a result of the match, or a new name.
Statement Resolver::resolve_statement(const ast::Stmt& stmt) {
  Statement out;
  out.place = place(stmt.span);
  out.value = resolve_expr(stmt.value, Where::Replacement);
  for (const auto& slot : stmt.results.slots) {
    if (!slot.name) {
      out.results.emplace_back();
    } else if (auto port = scope_.outputs.find(slot.name->text); port != scope_.outputs.end()) {
      out.results.push_back(port->second);
    } else if (auto known = scope_.names.find(slot.name->text); known != scope_.names.end()) {
      out.results.push_back(known->second);
    } else {
      out.results.push_back(bind_slot(slot.name->text, SlotKind::Value, slot.span));
    }
  }
  if (Expr& value = out_.rules.exprs[out.value.index]; value.kind == Expr::Kind::Emit)
    value.emit->output_count = static_cast<int>(out.results.size());
  if (stmt.layout) {
    if (auto slot = scope_.names.find(stmt.layout->text); slot != scope_.names.end())
      out.layout_slot = slot->second;
    else
      out.layout = stmt.layout->text;
  }
  return out;
}

}  // namespace rulec
