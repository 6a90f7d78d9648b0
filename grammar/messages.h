// SPDX-License-Identifier: Apache-2.0
#pragma once

// What to say when a needed rule of peg.h fails, in the reader's words. Private to grammar/. A rule
// with a message fails the item; one without goes back and lets the next alternative try.

#include "grammar/peg.h"

namespace rulec::peg {

// clang-format off
template <typename> inline constexpr const char* message = nullptr;

template <> inline constexpr auto message<need_tight_paren>   = "expected `(`, against what it belongs to";
template <> inline constexpr auto message<need_close_paren>   = "expected `)`";
template <> inline constexpr auto message<need_open_bracket>  = "expected `[`";
template <> inline constexpr auto message<need_close_bracket> = "expected `]`";
template <> inline constexpr auto message<need_open_brace>    = "expected `{`";
template <> inline constexpr auto message<need_close_brace>   = "expected `}`";
template <> inline constexpr auto message<need_comma>         = "expected `,`";
template <> inline constexpr auto message<need_equals>        = "expected `=`";
template <> inline constexpr auto message<need_colon>         = "expected `:` and a type";
template <> inline constexpr auto message<need_name>          = "expected a name that begins with a lower-case letter";
template <> inline constexpr auto message<need_word>          = "expected a word";
template <> inline constexpr auto message<need_op_name>       = "expected an operator's name, which begins with a capital";
template <> inline constexpr auto message<need_string>        = "expected a string in double quotes";
template <> inline constexpr auto message<need_number>        = "expected a number";
template <> inline constexpr auto message<need_integer>       = "expected a whole number";
template <> inline constexpr auto message<need_version>       = "expected a version, such as `1.2.0`";
template <> inline constexpr auto message<need_dotted>        = "expected a name, such as `std.cleanup`";
template <> inline constexpr auto message<need_arrow>         = "expected `->`";
template <> inline constexpr auto message<need_relation>      = "expected a comparison, such as `>=`";

template <> inline constexpr auto message<need_type>          = "expected a type, such as `f32[N, 3]`";
template <> inline constexpr auto message<need_kind>          = "expected a type, such as `int`, or words to choose from, such as `NCHW | NHWC`";
template <> inline constexpr auto message<need_dim>           = "expected a dimension: a number, a name, `?` or `...`";
template <> inline constexpr auto message<close_dims>         = "expected a dimension, `,` or `]` to close the shape";

template <> inline constexpr auto message<need_expr>          = "expected an expression";
template <> inline constexpr auto message<need_sum>           = "expected a value";
template <> inline constexpr auto message<need_term>          = "expected a value after the sign";
template <> inline constexpr auto message<need_factor>        = "expected a value after the operator";
template <> inline constexpr auto message<need_choice>        = "expected a value after `-`";
template <> inline constexpr auto message<need_postfix>       = "expected a value after `else`";
template <> inline constexpr auto message<need_fact>          = "expected a condition after `not`";
template <> inline constexpr auto message<need_third>         = "expected a condition after `and`";
template <> inline constexpr auto message<need_both>          = "expected a condition after `or`";
template <> inline constexpr auto message<need_either>        = "expected a value of the choice `c ? a : b`";
template <> inline constexpr auto message<ternary_colon>      = "expected `:` and what holds otherwise, as in `c ? a : b`";
template <> inline constexpr auto message<need_body>          = "expected `body` after `in`";
template <> inline constexpr auto message<need_in>            = "expected `in` after `not`";
template <> inline constexpr auto message<need_condition>     = "expected a condition";
template <> inline constexpr auto message<need_given>         = "expected an argument after `,`";
template <> inline constexpr auto message<close_call>         = "expected `,` or `)` to close the arguments";
template <> inline constexpr auto message<need_attr>          = "expected an attribute after `,`";
template <> inline constexpr auto message<need_attr_equals>   = "expected `=` and the attribute's value";
template <> inline constexpr auto message<close_attrs>        = "expected an attribute, `,` or `}` to close the attributes";
template <> inline constexpr auto message<need_member>        = "expected a name against the `.`";

template <> inline constexpr auto message<need_pattern>       = "expected a pattern";
template <> inline constexpr auto message<need_alternative>   = "expected a pattern after `|`";
template <> inline constexpr auto message<need_tree>          = "expected an operator after `|`";
template <> inline constexpr auto message<need_node>          = "expected an operator after `@`";
template <> inline constexpr auto message<need_output_node>   = "expected an operator";
template <> inline constexpr auto message<close_args>         = "expected a pattern, `,` or `)` to close the arguments";
template <> inline constexpr auto message<need_chain_mark>    = "expected `*` or `+` against the chain's `)`";
template <> inline constexpr auto message<need_literal>       = "expected a number, a string, `true`, `false` or `none`";
template <> inline constexpr auto message<need_by>            = "expected `by` and the name that the group shares";
template <> inline constexpr auto message<need_root>          = "expected a pattern: an operator, a cluster `Op*` or a scope";

template <> inline constexpr auto message<need_slot>          = "expected a name or `_`";
template <> inline constexpr auto message<need_bind_equals>   = "expected `=` and a pattern";
template <> inline constexpr auto message<close_binds>        = "expected `name = pattern` or `}`";
template <> inline constexpr auto message<close_block>        = "expected `name = value` or `}`";
template <> inline constexpr auto message<need_block>         = "expected `{` and statements";
template <> inline constexpr auto message<need_origin>        = "expected `source(name)` or `scope \"glob\"` after `from`";
template <> inline constexpr auto message<need_define>        = "expected `name = value` after `let`";
template <> inline constexpr auto message<need_bound>         = "expected a number, such as `1` or `>= 1`";
template <> inline constexpr auto message<need_version_bound> = "expected a version bound, such as `< 11`";
template <> inline constexpr auto message<need_target_name>   = "expected a target's name";
template <> inline constexpr auto message<need_target>        = "expected `target` and its name after `for`";
template <> inline constexpr auto message<need_through>       = "expected `through` after `see`";
template <> inline constexpr auto message<need_opset>         = "expected `opset` after `requires`";

template <> inline constexpr auto message<need_rule_name>     = "expected the rule's name after `rule`";
template <> inline constexpr auto message<colon_or_brace>     = "expected `:` or `{` after the rule's name";
template <> inline constexpr auto message<need_replacement>   = "expected a replacement";
template <> inline constexpr auto message<need_match>         = "expected a clause or `match`";
template <> inline constexpr auto message<need_match_body>    = "expected `{` after `match`";
template <> inline constexpr auto message<need_emit>          = "expected a clause or `emit`";
template <> inline constexpr auto message<need_emitted>       = "expected `name = value` or a block after `emit`";
template <> inline constexpr auto message<close_rule>         = "expected a clause or `}` to close the rule";

template <> inline constexpr auto message<need_import>        = "expected a package's name or a path, such as `./local.rules`";
template <> inline constexpr auto message<need_parameter>     = "expected a parameter, such as `n : int`";
template <> inline constexpr auto message<close_parameters>   = "expected a parameter, `,` or `)` to close the parameters";
template <> inline constexpr auto message<need_any>           = "expected `any layout` after `in`";
template <> inline constexpr auto message<need_layout>        = "expected `layout` after `any`";
template <> inline constexpr auto message<need_port>          = "expected a port after `,`, such as `x : f32[N]`";
template <> inline constexpr auto message<close_ports>        = "expected a port, `,` or `)` to close the ports";
template <> inline constexpr auto message<need_ports>         = "expected ports in parentheses, such as `(x : f32[N])`";
template <> inline constexpr auto message<need_tight_ports>   = "expected ports in parentheses against the operator's name";
template <> inline constexpr auto message<need_attr_decl>     = "expected an attribute, such as `axis : int = 0`";
template <> inline constexpr auto message<need_for>           = "expected `for` and the template's ports";

template <> inline constexpr auto message<need_dim_name>      = "expected the dimension's name";
template <> inline constexpr auto message<need_keep>          = "expected an output's name";
template <> inline constexpr auto message<need_rename_side>   = "expected `input` or `output` after `rename`";
template <> inline constexpr auto message<close_edit>         = "expected a change (`input`, `output`, `outputs`, `dim`, `rename`, `opset`) or `}`";
template <> inline constexpr auto message<need_step_part>     = "expected the name of a rule, an edit or a pipeline";
template <> inline constexpr auto message<close_pipeline>     = "expected the name of a rule, an edit or a pipeline, or `}`";
template <> inline constexpr auto message<close_test>         = "expected `before`, `after`, `outputs`, `unchanged`, `model`, `expect` or `}`";
// clang-format on

struct Messages {
  template <typename Rule>
  static constexpr const char* message = peg::message<Rule>;
};

}  // namespace rulec::peg
