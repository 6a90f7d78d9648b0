// SPDX-License-Identifier: Apache-2.0
#pragma once

// The tokens of .rules text, as PEGTL rules. Private to grammar/; the productions over them are in
// peg.h. A token swallows the spaces and comments behind it, so "stands against" is a look back at
// one byte. It is the longest that fits: `=` is not the start of `==`, `-` not of `->`.
//
// A token tells the state it is matched with where it ended (`token_ended(offset)`) and which
// comments it passed (`passed_comment(begin, end)`).

#include <cctype>
#include <cstring>

#include <tao/pegtl.hpp>
#include <tao/pegtl/contrib/analyze_traits.hpp>

namespace rulec::peg {

using namespace tao::pegtl;

template <std::size_t N>
struct Spelling {
  char text[N] = {};
  constexpr Spelling(const char (&from)[N]) {
    for (std::size_t i = 0; i < N; ++i)
      text[i] = from[i];
  }
  static constexpr std::size_t size = N - 1;
};

inline bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

inline bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

template <typename In>
std::uint32_t offset_of(const In& in) {
  return static_cast<std::uint32_t>(in.current() - in.begin());
}

// Passes spaces and comments.
template <typename In, typename State>
void skip_spaces(In& in, State& state) {
  const char* at = in.current();
  while (at != in.end()) {
    if (is_space(*at)) {
      ++at;
    } else if (*at == '#') {
      const char* begin = at;
      while (at != in.end() && *at != '\n')
        ++at;
      state.passed_comment(static_cast<std::uint32_t>(begin - in.begin()),
                           static_cast<std::uint32_t>(at - in.begin()));
    } else {
      break;
    }
  }
  in.bump(static_cast<std::size_t>(at - in.current()));
}

struct token_base {};

// The rules in sequence, with no space inside, and the spaces behind them.
template <typename... Rules>
struct token : token_base {
  using rule_t = token;
  using subs_t = type_list<>;

  template <apply_mode A, rewind_mode M, template <typename...> class Action,
            template <typename...> class Control, typename In, typename State>
  static bool match(In& in, State& state) {
    auto mark = in.template mark<rewind_mode::required>();
    if (!normal<seq<Rules...>>::template match<apply_mode::nothing, rewind_mode::active, nothing,
                                               normal>(in))
      return mark(false);
    state.token_ended(offset_of(in));
    skip_spaces(in, state);
    return mark(true);
  }
};

// Exactly this text.
template <Spelling text>
struct exactly {
  using rule_t = exactly;
  using subs_t = type_list<>;

  template <typename In>
  static bool match(In& in) {
    if (in.size(text.size) < text.size || std::memcmp(in.current(), text.text, text.size) != 0)
      return false;
    in.bump(text.size);
    return true;
  }
};

// Matches if there is no space before; consumes nothing. The grammar's `~`.
struct stands_against {
  using rule_t = stands_against;
  using subs_t = type_list<>;

  template <typename In>
  static bool match(In& in) {
    return in.current() == in.begin() || !is_space(in.current()[-1]);
  }
};

// clang-format off
struct word_char  : ranges<'a', 'z', 'A', 'Z', '0', '9', '_'> {};
struct word_end   : not_at<word_char> {};
template <Spelling text> struct keyword_text : seq<exactly<text>, word_end> {};
template <Spelling text> struct keyword      : token<keyword_text<text>> {};

struct lower_start : ranges<'a', 'z', '_'> {};
struct word_start  : ranges<'a', 'z', 'A', 'Z', '_'> {};
struct lone_bar    : seq<one<'_'>, word_end> {};
struct reserved    : sor<keyword_text<"and">, keyword_text<"or">, keyword_text<"not">, keyword_text<"in">,
                         keyword_text<"is">, keyword_text<"else">, keyword_text<"true">, keyword_text<"false">,
                         keyword_text<"none">, keyword_text<"unknown">, keyword_text<"inf">, keyword_text<"nan">> {};

struct name_text   : seq<at<lower_start>, not_at<lone_bar>, not_at<reserved>, plus<word_char>> {};
struct word_text   : seq<at<word_start>, not_at<lone_bar>, plus<word_char>> {};
struct cap_text    : seq<range<'A', 'Z'>, star<word_char>> {};
struct dotted_text : seq<name_text, star<seq<one<'.'>, word_text>>> {};
struct digits      : plus<digit> {};
struct exponent    : seq<one<'e', 'E'>, opt<one<'+', '-'>>, digits> {};

// name     = (a-z | _) {A-Z | a-z | 0-9 | _}, neither "_" nor reserved
// cap      = the same from A-Z
// word     = any of both, reserved or not, save "_"
// dotted   = name {"." word}, no spaces
// op_name  = [dotted "::"] cap | "`" text "`"
// path     = ("./" | "../") text without spaces
// number   = ["-"] (digits ["." digits] [e [sign] digits] | "inf") | "nan"
// integer  = ["-"] digits
// version  = digits {"." digits} ["-" text]
struct name    : token<name_text> {};
struct cap     : token<cap_text> {};
struct word    : token<word_text> {};
struct dotted  : token<dotted_text> {};
struct op_name : token<sor<seq<opt<seq<dotted_text, exactly<"::">>>, cap_text>,
                           seq<one<'`'>, plus<not_one<'`', '\n'>>, one<'`'>>>> {};
struct path    : token<sor<exactly<"./">, exactly<"../">>, plus<not_one<' ', '\t', '\r', '\n', '#'>>> {};
struct number  : token<sor<seq<opt<one<'-'>>, sor<seq<digits, opt<seq<one<'.'>, digits>>, opt<exponent>>, exactly<"inf">>>,
                           exactly<"nan">>, word_end> {};
struct integer : token<opt<one<'-'>>, digits, word_end, not_at<seq<one<'.'>, digit>>> {};
struct version : token<digits, star<seq<one<'.'>, digits>>, opt<seq<one<'-'>, plus<ranges<'a', 'z', 'A', 'Z', '0', '9', '.'>>>>> {};

struct ascii_arrow   : token<exactly<"->">> {};
struct unicode_arrow : token<exactly<"→">> {};
struct underscore    : token<lone_bar> {};

struct open_paren    : token<one<'('>> {};
struct close_paren   : token<one<')'>> {};
struct open_bracket  : token<one<'['>> {};
struct close_bracket : token<one<']'>> {};
struct open_brace    : token<one<'{'>> {};
struct close_brace   : token<one<'}'>> {};
struct comma         : token<one<','>> {};
struct colon         : token<one<':'>, not_at<one<':'>>> {};
struct bar           : token<one<'|'>> {};
struct at_sign       : token<one<'@'>> {};
struct question      : token<one<'?'>> {};
struct dot           : token<one<'.'>, not_at<one<'.'>>> {};
struct two_dots      : token<exactly<"..">, not_at<one<'.'>>> {};
struct three_dots    : token<exactly<"...">> {};
struct star_sign     : token<one<'*'>> {};
struct plus_sign     : token<one<'+'>> {};
struct minus_sign    : token<one<'-'>, not_at<one<'>'>>> {};
struct slash         : token<one<'/'>> {};
struct percent       : token<one<'%'>> {};
struct tilde         : token<one<'~'>> {};
struct equals        : token<one<'='>, not_at<one<'='>>> {};
struct equals_equals : token<exactly<"==">> {};
struct not_equals    : token<exactly<"!=">> {};
struct less_equal    : token<exactly<"<=">> {};
struct greater_equal : token<exactly<">=">> {};
struct less          : token<one<'<'>, not_at<one<'='>>> {};
struct greater       : token<one<'>'>, not_at<one<'='>>> {};
// clang-format on

// string: on one line; `\"`, `\\`, `\n`, `\t`, `\u{e9}`. A quote begins nothing else, so what is
// wrong within is reported at once (`bad_string(begin, end, why)` does not return).
struct string : token_base {
  using rule_t = string;
  using subs_t = type_list<>;

  template <apply_mode A, rewind_mode M, template <typename...> class Action,
            template <typename...> class Control, typename In, typename State>
  static bool match(In& in, State& state) {
    const char* at = in.current();
    if (in.empty() || *at != '"') return false;
    auto offset = [&](const char* place) { return static_cast<std::uint32_t>(place - in.begin()); };
    for (++at; at != in.end() && *at != '"' && *at != '\n'; ++at) {
      if (*at != '\\') continue;
      const char* escape = at++;
      char c = at == in.end() ? '\n' : *at;
      if (c == '"' || c == '\\' || c == 'n' || c == 't') continue;
      if (c == 'u' && at + 1 != in.end() && at[1] == '{') {
        const char* digits = at += 2;
        std::uint32_t code = 0;
        for (; at != in.end() && std::isxdigit(static_cast<unsigned char>(*at)); ++at) {
          auto digit = *at <= '9' ? *at - '0' : (*at | 0x20) - 'a' + 10;
          if (code < 0x110000) code = code * 16 + static_cast<std::uint32_t>(digit);
        }
        if (at != digits && at != in.end() && *at == '}') {
          if (code < 0xD800 || (code > 0xDFFF && code < 0x110000)) continue;
          state.bad_string(offset(escape), offset(at + 1), "this is no code point of Unicode");
        }
      }
      state.bad_string(offset(escape), offset(c == '\n' ? escape + 1 : escape + 2),
                       "a string knows only `\\\"`, `\\\\`, `\\n`, `\\t` and `\\u{e9}` after `\\`");
    }
    if (at == in.end() || *at == '\n')
      state.bad_string(offset(in.current()), offset(at), "this string does not end on its line");
    in.bump(static_cast<std::size_t>(at + 1 - in.current()));
    state.token_ended(offset_of(in));
    skip_spaces(in, state);
    return true;
  }
};

// Spaces and comments, before the first token.
struct spaces {
  using rule_t = spaces;
  using subs_t = type_list<>;

  template <apply_mode A, rewind_mode M, template <typename...> class Action,
            template <typename...> class Control, typename In, typename State>
  static bool match(In& in, State& state) {
    skip_spaces(in, state);
    return true;
  }
};

}  // namespace rulec::peg

// What `analyze` must know of the rules that are not made of PEGTL's own.
namespace tao::pegtl {

template <typename Name, typename... Rules>
struct analyze_traits<Name, rulec::peg::token<Rules...>> : analyze_seq_traits<Rules...> {};
template <typename Name, rulec::peg::Spelling text>
struct analyze_traits<Name, rulec::peg::exactly<text>> : analyze_any_traits<> {};
template <typename Name>
struct analyze_traits<Name, rulec::peg::string> : analyze_any_traits<> {};
template <typename Name>
struct analyze_traits<Name, rulec::peg::stands_against> : analyze_opt_traits<> {};
template <typename Name>
struct analyze_traits<Name, rulec::peg::spaces> : analyze_opt_traits<> {};

}  // namespace tao::pegtl
