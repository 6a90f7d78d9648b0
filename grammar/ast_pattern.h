// SPDX-License-Identifier: Apache-2.0
#pragma once

// Patterns: what a rule looks for. Part of ast.h.
//
//   `Mul(x, Add(a, 1) | b){axis = 1}[users = 1]`  →  Pattern with one Node alternative, whose
//   second argument is a Pattern of two alternatives.

#include <optional>
#include <variant>
#include <vector>

#include "grammar/ast_base.h"
#include "grammar/ast_expr.h"

namespace rulec::ast {

struct Pattern;

// What may stand against an operator: `[body contains Gather](x, _){axis = 1}[users = 1]`.
struct Tail {
  std::vector<Expr> preds = {};                   // none, one or two
  bool pred_leads = false;                        // the first of preds stands before the arguments
  std::optional<std::vector<Pattern>> args = {};  // absent: any inputs
  std::optional<std::vector<Attr>> attrs = {};
  Span span = {};  // empty when there is none
};

// `n @ shared Conv(x, const w){..a}`, `Relu`, `Clip?(x)`
struct Node {
  std::optional<Name> binder = {};  // `n @`
  bool shared = false;
  bool ordered = false;
  OpName op = {};
  bool optional = false;  // `A?(x)`: A over x, or x itself
  Tail tail = {};
  Span span = {};
};

// `(Cast | Reshape)*(x)`, `+` for one or more
struct Chain {
  std::vector<OpName> ops = {};
  bool at_least_one = false;
  Box<Pattern> input = {};
  Span span = {};
};

// `const w`, `const? w : [O, 1]`, `scalar c`
struct ConstValue {
  bool scalar = false;
  bool optional = false;
  Name name = {};
  std::optional<Type> type = {};
  Span span = {};
};

// `outer x`, `state 0`, `scan i`: values of a nested body
struct BodyValue {
  enum class Source { Outer, State, Scan };
  Source source = {};
  std::variant<Name, Number> which = {};
  Span span = {};
};

// `exact 0.5`
struct ExactValue {
  Number number = {};
  Span span = {};
};

// `_`, `_...`
struct AnyValue {
  bool rest = false;
  Span span = {};
};

// `x`, `b?`, `xs...`, `x : f32[N, 3]`
struct NameValue {
  Name name = {};
  bool optional = false;
  bool rest = false;
  std::optional<Type> type = {};
  Span span = {};
};

using Alternative =
    std::variant<Node, Chain, ConstValue, BodyValue, ExactValue, Literal, AnyValue, NameValue>;

// `A(x) | B(x) | y`; at least one alternative.
struct Pattern {
  std::vector<Alternative> alternatives = {};
  Span span = {};
};

// `y`, `(y, _)`: what a statement or bind names.
struct Results {
  struct Slot {
    std::optional<Name> name = {};  // absent: `_`
    Span span = {};
  };
  std::vector<Slot> slots = {};
  bool parenthesised = false;
  Span span = {};
};

// `(y, mask) = Dropout(x)` inside `match { … }` or `body is { … }`
struct Bind {
  Results results = {};
  Pattern pattern = {};
  Span span = {};
};

}  // namespace rulec::ast
