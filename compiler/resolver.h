// SPDX-License-Identifier: Apache-2.0
#pragma once

// From syntax to RuleSet: finds what every name means. Private to compiler/: compile.cc drives it.
// One Resolver serves all files of a run; `File` says what one file declares and sees, and the
// scope holds the names that the rule or template at hand has bound so far.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "compiler/compile.h"
#include "grammar/ast.h"
#include "matcher/op_table.h"
#include "matcher/rule.h"

namespace rulec {

// What a `param` is worth in this run.
struct ParamValue {
  bool fit = false;
  Literal literal;
};

// The declarations of one file, by name.
struct Declared {
  const ast::File* file = nullptr;   // none where it did not parse, and of a dormant file
  const Outline* dormant = nullptr;  // of a dormant file: names for messages
  std::size_t index = 0;             // in RuleFiles
  std::map<std::string, const ast::Predicate*, std::less<>> predicates;
  std::map<std::string, ParamValue, std::less<>> params;
  std::map<std::string, TemplateId, std::less<>> templates;
  std::map<std::string, RuleId, std::less<>> rules;  // named ones
  std::vector<RuleId> all_rules;                     // in file order
  std::map<std::string, std::size_t, std::less<>> edits;
  std::vector<std::size_t> unnamed_edits;
  std::map<std::string, const ast::Pipeline*, std::less<>> pipelines;
  const ast::Pipeline* unnamed_pipeline = nullptr;
  std::vector<const ast::Target*> targets;
};

// What numpy, ONNX and others call an element type, as rules write it: "float32" is "f32".
std::string usual_dtype(std::string_view name);

class Resolver {
 public:
  Resolver(RuleFiles& files, const CompileOptions& options, CompiledRules& out,
           std::vector<std::string>& setting_errors);

  // Resolves everything; false after at least one error.
  bool run();

 private:
  // What an expression stands for decides which names it knows.
  enum class Where : std::uint8_t { Guard, Predicate, Replacement, Let, Constant };

  struct NameScope {
    std::vector<Slot>* slots = nullptr;
    std::map<std::string, SlotId, std::less<>> names;
    std::map<std::string, SlotId, std::less<>> outputs;  // a template's result ports
    // Formal parameters of the predicates being inlined.
    std::vector<std::map<std::string, ExprId, std::less<>>> formals;
    std::string own_template;  // in its bodies a template's name is the operator
    std::set<std::string, std::less<>> later_lets;
    bool in_cluster = false;  // captures are lists
    bool in_body_pattern = false;
    bool of_test = false;
    std::vector<std::string> meant;  // further names that an unknown one may be meant for
    // The binds of a `match` block that no pattern has taken in yet, by result name.
    std::map<std::string, std::size_t, std::less<>> pending;
    const std::vector<ast::Bind>* binds = nullptr;
    std::vector<bool> taken;
  };

  // resolver.cc: files, declarations, look-up
  void declare(Declared& file);
  void declare_params(Declared& file);
  void declare_operators(const Declared& file);
  std::optional<Literal> constant_value(ExprId id) const;
  std::optional<Literal> parse_setting(const std::string& text, const ast::Parameter& parameter);
  Diagnostics& diagnostics() { return files_.files[current_->index].diagnostics; }
  Place place(Span span) const;
  const Declared* package(std::string_view name) const;
  std::vector<const Declared*> visible() const;  // the current file, then its imports
  // The files that a prefix of a dotted name stands for: an alias or an imported package.
  std::vector<const Declared*> behind(std::string_view prefix) const;
  // A name's last part, and the files that may declare it: `nms`, `q.nms`, `tensorrt.nms.nms`.
  std::pair<std::string_view, std::vector<const Declared*>> places_of(std::string_view name) const;
  bool is_private(const Declared& file, std::string_view name) const;
  bool is_hidden(std::string_view name) const;  // declared where it is private
  // `q.nms` at the head of `q.nms(x)`, and how many suffixes belong to it; none where the head is a
  // value with methods.
  std::optional<std::pair<ast::Name, std::size_t>> qualified(const ast::Postfix& postfix) const;
  const ast::Predicate* find_predicate(std::string_view name, const Declared** owner) const;
  std::optional<TemplateId> find_template(std::string_view name) const;
  const ParamValue* find_param(std::string_view name) const;
  static bool is_fit(const ast::Parameter& parameter);
  bool applies(const std::vector<const ast::Target*>& targets) const;
  TargetRange resolve_target(const ast::Target& target) const;

  // resolve_pattern.cc
  PatternId resolve_pattern(const ast::Pattern& pattern);
  PatternId resolve_alternative(const ast::Alternative& alternative);
  PatternId resolve_node(const ast::Node& node, std::vector<SlotId> results = {});
  PatternId resolve_bind(std::size_t index, std::string_view read);
  void resolve_tail(const ast::Tail& tail, Pattern& pattern);
  static void place_arguments(Pattern& pattern);
  void resolve_attributes(const std::vector<ast::Attr>& attrs, Pattern& pattern);
  TypePattern resolve_type(const ast::Type& type);
  Literal resolve_literal(const ast::Literal& literal);
  OpName resolve_op(const ast::OpName& op);
  SlotId bind_slot(std::string_view name, SlotKind kind, Span span);
  Root resolve_root(const ast::Root& root);
  Root resolve_match(const ast::Rule& rule, Rule& out);
  PatternId add(Pattern pattern);

  // resolve_expr.cc
  ExprId resolve_expr(const ast::Expr& expr, Where where);
  ExprId resolve_name(const ast::Name& name, Where where);
  ExprId resolve_op_word(const ast::OpName& name, Where where);
  // resolve_call.cc
  ExprId resolve_postfix(const ast::Postfix& postfix, Span span, Where where);
  ExprId resolve_call(const ast::Name& name, const ast::Call& call, Span span, Where where);
  ExprId resolve_predicate(const ast::Predicate& predicate, const Declared& owner,
                           const ast::Call& call, Span span, Where where);
  ExprId resolve_emit(const ast::Postfix& postfix, std::size_t& used, Span span, Where where);
  ExprId add(Expr expr);
  ExprId literal(Literal value, Span span);
  ExprId apply(Operator op, std::vector<ExprId> operands, Span span);

  // resolve_rule.cc
  void resolve_rule(const ast::Rule& rule, Declared& file);
  void resolve_template(const ast::Template& source, TemplateId id);
  void resolve_replacement(const ast::Rule& rule, Rule& out);
  std::optional<TemplateCall> resolve_template_call(const ast::Expr& expr);
  bool gives_port(const ast::Expr& whole) const;
  const ast::Template& template_source(TemplateId id) const;
  ExprId resolve_template_expr(TemplateId callee, const ast::Call& call, Span span);
  TemplateCall resolve_arguments(TemplateId callee, const ast::Call* call);
  std::vector<Statement> resolve_block(const ast::Block& block);
  Statement resolve_statement(const ast::Stmt& stmt);
  void resolve_clauses(const std::vector<ast::Clause>& clauses, Rule& out);
  void refuse_rule_clauses(const std::vector<ast::Clause>& clauses, std::string_view owner);
  Port resolve_port(const ast::Port& port);
  void resolve_lets(const ast::Let& let, std::vector<Let>& out);
  CountBound resolve_bound(const ast::Bound& bound) const;

  // resolve_pipeline.cc, resolve_test.cc
  void resolve_edit(const ast::Edit& edit, Declared& file);
  void resolve_phases();
  void add_file_phases(const Declared& file);
  void add_pipeline(const Declared& file, const ast::Pipeline& pipeline, int depth);
  void add_step(const Declared& file, const ast::Step& step, int depth);
  struct Members {
    std::vector<RuleId> rules;
    std::vector<std::size_t> edits;
    std::vector<Pass> passes;
    const ast::Pipeline* pipeline = nullptr;
    const Declared* owner = nullptr;
    bool found = false;
  };
  Members find_members(const Declared& file, std::string_view name) const;
  void resolve_test(const ast::Test& source, const Declared& file);
  void check_operators(const ast::Expr& expr);
  void collect_steps(const Declared& file, const ast::Pipeline& pipeline, Phase& phase, int depth);
  const Declared* pipeline_of_package(const Declared& file) const;

  RuleFiles& files_;
  const CompileOptions& options_;
  CompiledRules& out_;
  std::vector<std::string>& setting_errors_;
  std::vector<Declared> declared_;
  Declared* current_ = nullptr;
  NameScope scope_;
  std::vector<bool> setting_used_;
};

}  // namespace rulec
