// SPDX-License-Identifier: Apache-2.0
#pragma once

// Expressions: guards, attribute values, replacements. Part of ast.h. Chains of one precedence are
// lists, not left-leaning trees, so that the depth of a tree is bounded by the brackets of the
// text.
//
//   `a + b - c`  →  Arithmetic{first: a, rest: [{'+', b}, {'-', c}]}
//   `Conv(x, w){..a}`  →  Postfix{base: OpRef Conv, suffixes: [Call, Attrs]}

#include <optional>
#include <variant>
#include <vector>

#include "grammar/ast_base.h"

namespace rulec::ast {

struct Expr;
struct Pattern;
struct Bind;

// Inside `{ … }` against a name: `axis = 1` (Equals), `..rest` (Rest), `_` (Drop). In a pattern a
// value that is a bare unbound name binds it.
struct Attr {
  enum class Form { Equals, Rest, Drop };
  Form form = {};
  Name name = {};        // the attribute, or what `..` binds; empty for Drop
  Box<Expr> value = {};  // Equals only
  Span span = {};
};

// `c ? a : b`
struct Ternary {
  Box<Expr> condition = {}, if_true = {}, if_false = {};
};

// `a or b or c`; at least two.
struct Or {
  std::vector<Expr> operands = {};
};

// `a and b and c`; at least two.
struct And {
  std::vector<Expr> operands = {};
};

// `rank(x) = 4 or unknown`
struct OrUnknown {
  Box<Expr> condition = {};
};

// `not a`, `not not a`
struct Not {
  std::size_t count = 1;
  Box<Expr> condition = {};
};

// `in body`, within a node's `[ … ]`
struct InBody {};

// `is output`, within a node's `[ … ]`
struct IsWord {
  Name word = {};
};

// `body contains Gather(outer x, _)`
struct Contains {
  Name body = {};
  Box<Pattern> pattern = {};
};

// `body is { y = Relu(x) }`
struct BodyIs {
  Name body = {};
  std::vector<Bind> binds = {};
};

// `a >= b`, `name ~ "block*"`, `x in [1, 2]`, `x not in [1, 2]`
struct Compare {
  enum class Op { Equal, NotEqual, LessEqual, GreaterEqual, Less, Greater, Matches, In, NotIn };
  Op op = {};
  bool single_equals = false;  // Equal, written `=`
  Box<Expr> left = {}, right = {};
  Span op_span = {};
};

// `a + b - c` or `a * b / c % d`: one precedence, from the left.
struct Arithmetic {
  struct Operation;
  Box<Expr> first = {};
  std::vector<Operation> rest = {};  // at least one
};

// `-a`, `--a`
struct Negate {
  std::size_t count = 1;
  Box<Expr> operand = {};
};

// `b else 0 else c`; at least two.
struct Else {
  std::vector<Expr> options = {};
};

// `x`, `k = 3`, `v : f32[4] in [0.5, 2]`, `1...` as an argument of a call.
struct TypedArgument {
  struct Range {
    Number low = {}, high = {};
  };
  Name name = {};
  Type type = {};
  std::optional<Range> range = {};
};
struct NamedArgument {
  Name name = {};
  Box<Expr> value = {};
};
struct PlainArgument {
  Box<Expr> value = {};
  bool spread = false;  // `1...`
};
struct Argument {
  std::variant<PlainArgument, NamedArgument, TypedArgument> value = {};
  Span span = {};
};

// `(x, w)` against what it calls
struct Call {
  std::vector<Argument> arguments = {};
  Span span = {};
};

// `{axis = 1, ..a}` against what it describes
struct Attrs {
  std::vector<Attr> attrs = {};
  Span span = {};
};

// `[i]`, `[a:b]`, `[:b]`, `[]`
struct Index {
  Box<Expr> begin = {}, end = {};  // either may be empty
  bool slice = false;              // there is a `:`
  Span span = {};
};

// `.reshape`
struct Member {
  Name name = {};
  Span span = {};
};

using Suffix = std::variant<Call, Attrs, Index, Member>;

// `k.reshape(-1)[0]{axis = 1}`; at least one suffix.
struct Postfix {
  Box<Expr> base = {};
  std::vector<Suffix> suffixes = {};
};

// `[1, a, b]`
struct List {
  std::vector<Expr> elements = {};
};

// `(a + b)`
struct Paren {
  Box<Expr> inner = {};
};

// `true`
struct Bool {
  bool value = false;
};

// `none`
struct None {};

// `_`
struct Any {};

struct Expr {
  // An OpName is any capital name: operator, template, dimension or layout, as the resolver finds.
  using Value = std::variant<None, Any, Bool, Number, String, Name, OpName, List, Paren, Postfix,
                             Else, Negate, Arithmetic, Compare, BodyIs, Contains, IsWord, InBody,
                             Not, OrUnknown, And, Or, Ternary>;
  Value value = {};
  Span span = {};
};

struct Arithmetic::Operation {
  char op = {};  // + - * / %
  Expr operand = {};
};

}  // namespace rulec::ast

// The patterns that expressions hold; behind them, since they hold expressions in turn.
#include "grammar/ast_pattern.h"
