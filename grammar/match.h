// SPDX-License-Identifier: Apache-2.0
#pragma once

// Matches one piece of rule text against a production and keeps what matched. Private to grammar/:
// parse.cc drives it. Not a parser of its own: PEGTL walks peg.h, this is its control class.

#include <string>

#include "grammar/diagnostic.h"
#include "grammar/messages.h"
#include "grammar/syntax.h"

namespace rulec::syntax {

// Thrown where a needed rule fails; caught in parse.cc.
struct Rejected {
  DiagnosticKind kind;
  Span span;
  std::string message;
};

struct State {
  std::vector<Entry> entries = {};
  std::vector<Span> comments = {};
  std::uint32_t token_end = 0;  // of the last good token
  int depth = 0;                // of brackets

  void token_ended(std::uint32_t offset) { token_end = offset; }

  // Text is looked at again when an alternative fails; comments count once.
  void passed_comment(std::uint32_t begin, std::uint32_t end) {
    if (comments.empty() || comments.back().begin < begin) comments.push_back({begin, end});
  }

  [[noreturn]] static void bad_string(std::uint32_t begin, std::uint32_t end, const char* why) {
    throw Rejected{DiagnosticKind::BadString, {begin, end}, why};
  }
};

template <typename Rule, typename... Rules>
inline constexpr bool is_one_of = (std::is_same_v<Rule, Rules> || ...);

// The rules whose matches build_*.cc ask for.
template <typename Rule>
inline constexpr bool is_kept = is_one_of<
    Rule, peg::after_part, peg::any_layout, peg::any_value, peg::approx_class, peg::args,
    peg::arrow, peg::assuming_class, peg::assuming_clause, peg::attr_decl, peg::attr_decls,
    peg::attrs, peg::before_part, peg::bind, peg::binder, peg::block, peg::body_is, peg::body_value,
    peg::both, peg::bound, peg::by_part, peg::call, peg::cap, peg::chain, peg::choice, peg::choices,
    peg::cluster_root, peg::comparison, peg::const_value, peg::contains, peg::define,
    peg::dim_change, peg::dim_name, peg::dim_rest, peg::dim_size, peg::dim_unknown, peg::dims,
    peg::dotted, peg::edit, peg::either, peg::equals_attr, peg::exact_class, peg::exact_value,
    peg::expect_clause, peg::expect_part, peg::expr, peg::factor, peg::false_word, peg::for_clause,
    peg::import_decl, peg::import_path, peg::in_body, peg::in_word, peg::index, peg::index_begin,
    peg::index_colon, peg::index_end, peg::input_change, peg::integer, peg::is_word, peg::last_word,
    peg::let_clause, peg::limit_clause, peg::list_expr, peg::list_literal, peg::mark_optional,
    peg::mark_plus, peg::mark_rest, peg::match_body, peg::member, peg::minus_sign, peg::model_part,
    peg::name, peg::name_result, peg::need_rule_name, peg::name_value, peg::named_given,
    peg::negation, peg::negative, peg::new_name, peg::node, peg::none_word, peg::not_in_word,
    peg::not_word, peg::number, peg::op_decl, peg::op_name, peg::opset_change, peg::or_unknown,
    peg::ordered_word, peg::outer_word, peg::output_change, peg::outputs_change, peg::outputs_part,
    peg::package, peg::param, peg::parameter, peg::paren_expr, peg::pattern, peg::percent,
    peg::pipeline, peg::plain_given, peg::plus_sign, peg::port, peg::ports, peg::postfix,
    peg::predicate, peg::predicate_names, peg::preds, peg::priority_clause, peg::recursive_clause,
    peg::relation, peg::rename_change, peg::rename_input, peg::rename_output, peg::requires_clause,
    peg::rest_attr, peg::retype_clause, peg::root, peg::rule, peg::scalar_word, peg::scan_word,
    peg::scope_origin, peg::scope_root, peg::see_clause, peg::shared_word, peg::slash,
    peg::source_origin, peg::star_sign, peg::state_word, peg::step, peg::step_part, peg::stmt,
    peg::string, peg::sum, peg::sure_dims, peg::target, peg::template_decl,
    peg::template_parameters, peg::term, peg::test, peg::third, peg::three_dots, peg::tilde,
    peg::tolerance_clause, peg::tree_root, peg::true_word, peg::tuple_results, peg::type,
    peg::typed_given, peg::typed_range, peg::unchanged_part, peg::underscore, peg::unsafe_class,
    peg::version, peg::version_bound, peg::where_clause, peg::word>;

// Levels of precedence: one with a single part is dropped in its favour.
template <typename Rule>
inline constexpr bool is_level =
    is_one_of<Rule, peg::expr, peg::either, peg::both, peg::third, peg::negation, peg::comparison,
              peg::sum, peg::term, peg::factor, peg::choice, peg::postfix>;

// Every recursion of the grammar passes one of these.
template <typename Rule>
inline constexpr bool is_nest =
    is_one_of<Rule, peg::paren_expr, peg::list_expr, peg::call, peg::index, peg::attrs, peg::args,
              peg::preds, peg::chain, peg::list_literal>;

// A lone part this small is moved up; moving a larger one again and again would not be linear.
inline constexpr std::uint32_t small_subtree = 32;

void check_nesting(const State& state, std::uint32_t at, char next);
void check_list(const State& state, std::size_t index);

// Keeps entries, goes back in them, speaks up where a rule has a message. It calls the rule itself
// rather than through PEGTL's layers, for the sake of the stack: 200 brackets deep.
template <typename Rule>
struct control : tao::pegtl::normal<Rule> {
  template <tao::pegtl::apply_mode A, tao::pegtl::rewind_mode M,
            template <typename...> class Action, template <typename...> class Control, typename In>
  static bool match(In& in, State& state) {
    constexpr bool is_token = std::is_base_of_v<peg::token_base, Rule>;
    if constexpr (is_token && !is_kept<Rule> && peg::message<Rule> == nullptr) {
      return matches<A, M, Action, Control>(in, state);
    } else {
      auto begin = peg::offset_of(in);
      auto index = state.entries.size();
      auto token_end = state.token_end;
      if constexpr (is_nest<Rule>) {
        ++state.depth;
        if (state.depth > max_depth) check_nesting(state, begin, in.empty() ? ' ' : *in.current());
      }
      if constexpr (is_kept<Rule>) state.entries.push_back({&tag<Rule>, begin, begin, 1});
      bool matched = matches<A, M, Action, Control>(in, state);
      if constexpr (is_nest<Rule>) --state.depth;
      if (!matched) {
        if constexpr (peg::message<Rule> != nullptr)
          throw Rejected{DiagnosticKind::SyntaxError,
                         {state.token_end, state.token_end + 1},
                         peg::message<Rule>};
        state.entries.resize(index);
        state.token_end = token_end;
        return false;
      }
      if constexpr (is_kept<Rule>) finish(state, index);
      return true;
    }
  }

 private:
  static constexpr int max_depth = 200;

  template <tao::pegtl::apply_mode A, tao::pegtl::rewind_mode M,
            template <typename...> class Action, template <typename...> class Control, typename In>
  static bool matches(In& in, State& state) {
    if constexpr (requires { Rule::template match<A, M, Action, Control>(in, state); })
      return Rule::template match<A, M, Action, Control>(in, state);
    else
      return Rule::match(in);
  }

  static void finish(State& state, std::size_t index) {
    auto& entry = state.entries[index];
    entry.end = state.token_end;
    entry.size = static_cast<std::uint32_t>(state.entries.size() - index);
    if constexpr (is_level<Rule>) {
      if (entry.size > 1 && entry.size <= small_subtree &&
          state.entries[index + 1].size + 1 == entry.size)
        state.entries.erase(state.entries.begin() + static_cast<std::ptrdiff_t>(index));
    }
    if (entry.size > 100'000) check_list(state, index);
  }
};

}  // namespace rulec::syntax
