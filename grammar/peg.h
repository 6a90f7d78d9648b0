// SPDX-License-Identifier: Apache-2.0
#pragma once

// The .rules grammar, production for production as docs/language.md writes it. Private to grammar/:
// syntax.h keeps what it matches, build_*.cc turn that into ast.h.
//
// A rule called `need_…` is one that the reader has already committed to by what stands before it:
// its failure is an error with a message (messages.h), not a way back. Everything behind an opening
// bracket, an operator or a keyword that cannot be a name here is needed; so no text is read twice
// and the time is linear. `maybe` is the notation's `[…]`, `many` its `{…}`, `tight` its `~`.

#include "grammar/peg_tokens.h"

namespace rulec::peg {

// clang-format off
template <typename... R> using maybe = opt<seq<R...>>;
template <typename... R> using many  = star<seq<R...>>;
template <typename R>    using tight = seq<stands_against, R>;

// A word that begins something, unless it is a name after all: `edit @ Relu(x)`, `op::Foo(x)`.
template <Spelling text>
struct head : seq<keyword<text>, not_at<sor<at_sign, seq<stands_against, sor<seq<one<'.'>, word_start>, exactly<"::">>>>>> {};

// [first {"," next}], the first one silent: an empty list is not an error.
template <typename First, typename Next> struct listed     : maybe<First, many<comma, Next>> {};
template <typename First, typename Next> struct some_listed : seq<First, many<comma, Next>> {};

// What may be needed, with its message, or not; the list of these is in messages.h.
struct need_tight_paren : tight<open_paren> {};
struct need_close_paren : seq<close_paren> {};
struct need_close_bracket : seq<close_bracket> {};
struct need_open_bracket : seq<open_bracket> {};
struct need_open_brace : seq<open_brace> {};
struct need_comma : seq<comma> {};
struct need_close_brace : seq<close_brace> {};
struct need_name : seq<name> {};
struct need_word : seq<word> {};
struct need_op_name : seq<op_name> {};
struct need_string : seq<string> {};
struct need_number : seq<number> {};
struct need_integer : seq<integer> {};
struct need_version : seq<version> {};
struct need_dotted : seq<dotted> {};
struct need_equals : seq<equals> {};
struct need_colon : seq<colon> {};

struct arrow : sor<ascii_arrow, unicode_arrow> {};
struct need_arrow : seq<arrow> {};
struct relation : sor<equals_equals, equals, not_equals, less_equal, greater_equal, less, greater> {};
struct need_relation : seq<relation> {};

// ---- types
struct dim_size : seq<integer> {};
struct dim_name : seq<word> {};
struct dim_unknown : question {};
struct dim_rest : three_dots {};
struct dim : sor<dim_size, dim_name, dim_unknown, dim_rest> {};
struct need_dim : seq<dim> {};
struct dims : seq<open_bracket, listed<dim, dim>, close_bracket> {};
struct close_dims : seq<close_bracket> {};
struct sure_dims : seq<open_bracket, listed<dim, need_dim>, close_dims> {};
struct type : sor<seq<name, many<bar, name>, maybe<tight<sure_dims>, many<bar, dims>>>, seq<dims, many<bar, dims>>> {};
struct need_type : seq<type> {};
struct choices : seq<cap, many<bar, cap>> {};
struct kind : sor<choices, type> {};
struct need_kind : seq<kind> {};

// ---- expressions
struct expr;
struct sum;
struct pattern;
struct bind;
struct need_expr : seq<expr> {};
struct need_sum : seq<sum> {};
struct need_pattern : seq<pattern> {};

struct need_attr_equals : seq<equals> {};
struct rest_attr : seq<two_dots, need_name> {};
struct equals_attr : seq<word, need_attr_equals, need_expr> {};
struct attr : sor<rest_attr, equals_attr, underscore> {};
struct need_attr : seq<attr> {};
struct close_attrs : seq<close_brace> {};
struct attrs : seq<open_brace, listed<attr, need_attr>, close_attrs> {};

struct typed_range : seq<keyword<"in">, need_open_bracket, need_number, need_comma, need_number, need_close_bracket> {};
struct typed_given : seq<name, colon, need_type, opt<typed_range>> {};
struct named_given : seq<word, equals, need_expr> {};
struct plain_given : seq<expr, opt<tight<three_dots>>> {};
struct given : sor<typed_given, named_given, plain_given> {};
struct need_given : seq<given> {};
struct close_call : seq<close_paren> {};
struct call : seq<open_paren, listed<given, need_given>, close_call> {};

struct index_begin : seq<expr> {};
struct index_colon : colon {};
struct index_end : seq<expr> {};
struct index : seq<open_bracket, opt<index_begin>, maybe<index_colon, opt<index_end>>, need_close_bracket> {};
struct need_member : tight<word> {};
struct member : seq<dot, need_member> {};

struct true_word : keyword<"true"> {};
struct false_word : keyword<"false"> {};
struct none_word : keyword<"none"> {};
struct list_expr : seq<open_bracket, listed<expr, need_expr>, need_close_bracket> {};
struct paren_expr : seq<open_paren, need_expr, need_close_paren> {};
struct primary : sor<number, string, true_word, false_word, none_word, list_expr, paren_expr, op_name, name, underscore> {};
struct postfix : seq<primary, star<seq<stands_against, sor<call, attrs, index, member>>>> {};
struct need_postfix : seq<postfix> {};
struct choice : seq<postfix, many<keyword<"else">, need_postfix>> {};
struct need_choice : seq<choice> {};
struct negative : minus_sign {};
struct factor : sor<seq<plus<negative>, need_choice>, choice> {};
struct need_factor : seq<factor> {};
struct term : seq<factor, many<sor<star_sign, slash, percent>, need_factor>> {};
struct need_term : seq<term> {};
struct sum : seq<term, many<sor<plus_sign, minus_sign>, need_term>> {};

struct need_body : keyword<"body"> {};
struct in_body : seq<keyword<"in">, need_body> {};
struct is_word : seq<keyword<"is">, need_word> {};
struct contains : seq<name, head<"contains">, need_pattern> {};
struct close_binds : seq<close_brace> {};
struct body_is : seq<name, keyword<"is">, need_open_brace, star<bind>, close_binds> {};
struct in_word : keyword<"in"> {};
struct need_in : keyword<"in"> {};
struct not_in_word : seq<keyword<"not">, need_in> {};
struct comparison : seq<sum, maybe<sor<relation, tilde, in_word, not_in_word>, need_sum>> {};
struct fact : sor<in_body, is_word, contains, body_is, comparison> {};
struct need_fact : seq<fact> {};
struct not_word : keyword<"not"> {};
struct negation : sor<seq<plus<not_word>, need_fact>, fact> {};
struct or_unknown : seq<keyword<"or">, keyword<"unknown">> {};
struct third : seq<negation, opt<or_unknown>> {};
struct need_third : seq<third> {};
struct both : seq<third, many<keyword<"and">, need_third>> {};
struct need_both : seq<both> {};
struct either : seq<both, many<keyword<"or">, need_both>> {};
struct need_either : seq<either> {};
struct ternary_colon : seq<colon> {};
struct expr : seq<either, maybe<question, need_either, ternary_colon, need_either>> {};

// ---- patterns
struct need_condition : seq<expr> {};
struct preds : seq<open_bracket, need_condition, need_close_bracket> {};
struct close_args : seq<close_paren> {};
struct args : seq<open_paren, listed<pattern, need_pattern>, close_args> {};
struct tail : seq<opt<tight<preds>>, opt<tight<args>>, opt<tight<attrs>>, opt<tight<preds>>> {};

struct shared_word : keyword<"shared"> {};
struct ordered_word : keyword<"ordered"> {};
struct mark_optional : question {};
struct mark_rest : three_dots {};
struct bare_node : seq<star<sor<shared_word, ordered_word>>, op_name, opt<tight<mark_optional>>, tail> {};
struct binder : seq<name, at_sign> {};
struct need_node : seq<bare_node> {};
struct node : sor<seq<binder, need_node>, bare_node> {};
struct need_output_node : seq<node> {};
struct mark_star : star_sign {};
struct mark_plus : plus_sign {};
struct chain_mark : tight<sor<mark_star, mark_plus>> {};
struct need_chain_mark : seq<chain_mark> {};
struct chain : seq<open_paren, op_name, many<bar, need_op_name>, need_close_paren, need_chain_mark, need_tight_paren, need_pattern, need_close_paren> {};
struct tree : sor<node, chain> {};
struct need_tree : seq<tree> {};

struct const_word : keyword<"const"> {};
struct scalar_word : keyword<"scalar"> {};
struct outer_word : keyword<"outer"> {};
struct state_word : keyword<"state"> {};
struct scan_word : keyword<"scan"> {};
struct const_value : seq<sor<const_word, scalar_word>, opt<tight<mark_optional>>, name, maybe<colon, need_type>> {};
struct body_value : seq<sor<outer_word, state_word, scan_word>, sor<name, integer>> {};
struct exact_value : seq<keyword<"exact">, number> {};
struct literal;
struct need_literal : seq<literal> {};
struct list_literal : seq<open_bracket, listed<literal, need_literal>, need_close_bracket> {};
struct literal : sor<number, string, true_word, false_word, none_word, list_literal> {};
struct any_value : seq<underscore, opt<tight<mark_rest>>> {};
struct name_value : seq<name, opt<tight<sor<mark_optional, mark_rest>>>, maybe<colon, need_type>> {};
struct value : sor<const_value, body_value, exact_value, literal, any_value, name_value> {};
struct alternative : sor<tree, value> {};
struct need_alternative : seq<alternative> {};
struct pattern : seq<alternative, many<bar, need_alternative>> {};

struct need_by : keyword<"by"> {};
struct scope_root : seq<head<"scope">, need_string> {};
struct cluster_root : seq<op_name, tight<mark_star>, tail> {};
struct tree_root : seq<tree, many<bar, need_tree>> {};
struct by_star : star_sign {};
struct by_part : seq<tight<by_star>, need_by, need_name> {};
struct root : sor<scope_root, cluster_root, seq<tree_root, opt<by_part>>> {};
struct need_root : seq<root> {};

// ---- statements and clauses
struct slot : sor<name, underscore> {};
struct need_slot : seq<slot> {};
struct name_result : seq<name> {};
struct tuple_results : seq<open_paren, some_listed<slot, need_slot>, close_paren> {};
struct results : sor<name_result, tuple_results> {};
struct need_bind_equals : seq<equals> {};
struct bind : seq<results, need_bind_equals, need_pattern> {};
struct stmt : seq<results, equals, need_sum, maybe<keyword<"in">, need_name>> {};
struct need_stmt : seq<stmt> {};
struct close_block : seq<close_brace> {};
struct block : seq<open_brace, star<stmt>, close_block> {};
struct need_block : seq<block> {};

struct source_origin : seq<keyword<"source">, tight<open_paren>, need_name, need_close_paren> {};
struct scope_origin : seq<keyword<"scope">, string> {};
struct origin : sor<source_origin, scope_origin> {};
struct need_origin : seq<origin> {};
struct from_origin : seq<keyword<"from">, origin> {};
struct define : seq<name, need_equals, sor<from_origin, need_expr>> {};
struct need_define : seq<define> {};
struct bound : seq<opt<relation>, integer> {};
struct need_bound : seq<bound> {};

struct version_bound : seq<relation, need_version> {};
struct need_version_bound : seq<version_bound> {};
struct need_target_name : seq<name> {};
struct target : seq<head<"target">, need_target_name, maybe<version_bound, many<comma, need_version_bound>>> {};
struct need_target : seq<target> {};

struct where_clause : seq<head<"where">, need_condition, many<comma, need_condition>> {};
struct let_clause : seq<head<"let">, need_define, many<comma, need_define>> {};
struct expect_clause : seq<head<"expect">, need_bound> {};
struct priority_clause : seq<head<"priority">, need_integer> {};
struct for_clause : seq<head<"for">, need_target> {};
struct tolerance_clause : seq<head<"tolerance">, need_number> {};
struct limit_clause : seq<head<"limit">, need_integer> {};
struct recursive_clause : keyword<"recursive"> {};
struct assuming_clause : seq<keyword<"assuming">, string, maybe<head<"when">, need_condition>> {};
struct need_through : keyword<"through"> {};
struct see_clause : seq<head<"see">, need_through, need_open_brace, need_op_name, many<comma, need_op_name>, need_close_brace> {};
struct retype_clause : seq<head<"retype">, need_name, need_colon, need_type> {};
struct need_opset : keyword<"opset"> {};
struct requires_clause : seq<head<"requires">, need_opset, need_relation, need_integer, maybe<keyword<"else">, need_sum>> {};
struct clause : sor<where_clause, let_clause, expect_clause, priority_clause, for_clause, tolerance_clause, limit_clause,
                    recursive_clause, assuming_clause, see_clause, retype_clause, requires_clause> {};

// ---- rules
struct exact_class : keyword<"exact"> {};
struct assuming_class : seq<keyword<"assuming">, tight<open_paren>, need_string, need_close_paren> {};
struct unsafe_class : seq<keyword<"unsafe">, tight<open_paren>, need_string, need_close_paren> {};
struct approx_class : seq<keyword<"approx">, tight<open_paren>, need_number, need_close_paren> {};
struct rule_class : sor<exact_class, assuming_class, unsafe_class, approx_class> {};
struct need_replacement : sor<block, sum> {};
struct arrow_rest : seq<need_arrow, need_replacement, star<clause>> {};
struct arrow_form : seq<root, arrow_rest> {};
struct need_arrow_form : seq<need_root, arrow_rest> {};
struct need_match : keyword<"match"> {};
struct match_body : seq<open_brace, star<bind>, close_binds> {};
struct need_match_body : seq<match_body> {};
struct need_emit : keyword<"emit"> {};
struct need_emitted : sor<block, stmt> {};
struct close_rule : seq<close_brace> {};
struct match_form : seq<star<clause>, need_match, need_match_body, star<clause>, need_emit, need_emitted, star<clause>> {};
struct colon_or_brace : sor<seq<colon, need_arrow_form>, seq<open_brace, match_form, close_rule>> {};
struct need_rule_name : seq<name> {};
struct named_rule : seq<head<"rule">, need_rule_name, opt<rule_class>, colon_or_brace> {};
struct plain_rule : sor<seq<rule_class, colon, need_arrow_form>, arrow_form> {};
struct rule : sor<named_rule, plain_rule> {};

// ---- declarations
struct package : seq<head<"package">, need_dotted, need_version> {};
struct import_path : seq<path> {};
struct need_import : sor<import_path, dotted> {};
struct import_decl : seq<head<"import">, need_import, maybe<head<"as">, need_name>> {};
struct parameter : seq<name, need_colon, need_kind, maybe<equals, need_expr>> {};
struct need_parameter : seq<parameter> {};
struct close_parameters : seq<close_paren> {};
struct param : seq<head<"param">, need_parameter> {};
struct predicate_names : seq<need_tight_paren, listed<name, need_name>, close_parameters> {};
struct predicate : seq<head<"predicate">, need_word, predicate_names, need_equals, need_expr> {};

struct need_any : keyword<"any"> {};
struct need_layout : keyword<"layout"> {};
struct any_layout : seq<keyword<"in">, need_any, need_layout> {};
struct port : seq<name, opt<tight<sor<mark_optional, mark_rest>>>, need_colon, need_type, opt<any_layout>, maybe<keyword<"from">, need_origin>> {};
struct need_port : seq<port> {};
struct close_ports : seq<close_paren> {};
struct ports : seq<open_paren, listed<port, need_port>, close_ports> {};
struct need_ports : seq<ports> {};
struct need_tight_ports : tight<ports> {};
struct attr_decl : seq<word, need_colon, need_kind, maybe<equals, need_expr>> {};
struct need_attr_decl : seq<attr_decl> {};
struct attr_decls : seq<open_brace, listed<attr_decl, need_attr_decl>, close_attrs> {};
struct op_decl : seq<head<"op">, need_op_name, need_tight_ports, need_arrow, need_ports, opt<attr_decls>> {};

struct need_for : keyword<"for"> {};
struct template_parameters : seq<need_tight_paren, listed<parameter, need_parameter>, close_parameters> {};
struct template_decl : seq<head<"template">, need_word, template_parameters, need_for, opt<root>, need_ports, need_arrow, need_ports,
                           star<clause>, need_block, many<keyword<"else">, star<clause>, need_block>> {};

// ---- edits, pipelines, tests
struct new_name : seq<arrow, need_string, maybe<colon, need_type>> {};
struct input_change : seq<keyword<"input">, need_string, maybe<colon, need_type>, opt<new_name>> {};
struct need_dim_name : sor<word, string> {};
struct dim_change : seq<keyword<"dim">, need_dim_name, need_equals, need_sum> {};
struct keep : sor<name, string> {};
struct need_keep : seq<keep> {};
struct outputs_change : seq<keyword<"outputs">, need_equals, need_open_bracket, need_keep, many<comma, need_keep>, need_close_bracket> {};
struct last_word : keyword<"last"> {};
struct output_change : seq<keyword<"output">, need_string, need_equals, sor<seq<last_word, node>, need_output_node>> {};
struct rename_input : keyword<"input"> {};
struct rename_output : keyword<"output"> {};
struct need_rename_side : sor<rename_input, rename_output> {};
struct rename_change : seq<keyword<"rename">, need_rename_side, need_string, need_arrow, need_string> {};
struct opset_change : seq<keyword<"opset">, need_equals, need_integer> {};
struct change : sor<input_change, dim_change, outputs_change, output_change, rename_change, opset_change> {};
struct close_edit : seq<close_brace> {};
struct edit : seq<head<"edit">, opt<name>, need_open_brace, star<change>, close_edit> {};

struct step_part : seq<dotted, maybe<keyword<"expect">, bound>> {};
struct need_step_part : seq<step_part> {};
struct step : seq<step_part, many<comma, need_step_part>> {};
struct close_pipeline : seq<close_brace> {};
struct pipeline : seq<head<"pipeline">, opt<name>, need_open_brace, star<step>, close_pipeline> {};

struct before_part : seq<keyword<"before">, star<stmt>> {};
struct after_part : seq<keyword<"after">, star<stmt>> {};
struct outputs_part : seq<keyword<"outputs">, need_name, many<comma, need_name>> {};
struct unchanged_part : keyword<"unchanged"> {};
struct model_part : seq<keyword<"model">, need_string> {};
struct expect_part : seq<keyword<"expect">, need_bound> {};
struct part : sor<before_part, after_part, outputs_part, unchanged_part, model_part, expect_part> {};
struct test_rules : seq<keyword<"for">, need_dotted, many<comma, need_dotted>> {};
struct close_test : seq<close_brace> {};
struct test : seq<head<"test">, need_string, opt<test_rules>, need_open_brace, star<part>, close_test> {};

// ---- the file
struct item : sor<import_decl, target, param, predicate, op_decl, template_decl, edit, pipeline, test, rule> {};
struct need_item : seq<item> {};
struct end : eof {};
struct file : seq<spaces, opt<package>, star<item>, end> {};
// clang-format on

}  // namespace rulec::peg
