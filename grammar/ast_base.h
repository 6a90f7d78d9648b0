// SPDX-License-Identifier: Apache-2.0
#pragma once

// The smallest syntax nodes: names, numbers, strings, versions, types. Part of ast.h.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "grammar/box.h"
#include "grammar/source.h"

namespace rulec::ast {

// `x`, `epsilon`, `NCHW`; where the grammar says `dotted`, `std.cleanup` is one Name.
struct Name {
  std::string text = {};
  Span span = {};
};

// `Conv` (domain "", type "Conv"), `com.microsoft::Gelu`, `` `aten::glu` `` (domain "aten", type
// "glu", quoted).
struct OpName {
  std::string domain = {};
  std::string type = {};
  bool quoted = false;
  Span span = {};

  std::string text() const { return domain.empty() ? type : domain + "::" + type; }
};

// `1`, `-0.5`, `1e-3`, `inf`, `nan`; the text is exactly what the file says.
struct Number {
  std::string text = {};
  bool is_integer = false;  // digits only, perhaps with a sign
  Span span = {};

  double as_double() const;
  std::optional<std::int64_t> as_int() const;  // nothing if no integer or out of range
};

// `"a\n"`; the value is unescaped.
struct String {
  std::string value = {};
  Span span = {};
};

// `1.2.0`, `7.1`, `2.0-rc1`
struct Version {
  std::string text = {};
  Span span = {};
};

// `=` and `==` are the same relation.
enum class Relation { Equal, NotEqual, LessEqual, GreaterEqual, Less, Greater };

std::string_view spelling(Relation relation);  // Equal is "=="

// `->` or `→`; the formatter keeps what was written.
struct Arrow {
  bool unicode = false;
  Span span = {};
};

// One dimension: `3`, `N`, `?` (unknown), `...` (any further ones).
struct Dim {
  enum class Form { Size, Named, Unknown, Rest };
  Form form = {};
  std::string text = {};
  Span span = {};
};

// `[N, 3, ?, ...]`
struct Dims {
  std::vector<Dim> dims = {};
  Span span = {};
};

// `f32[N, 3]`, `u8|f32[...]`, `[O, 1, 1] | [1, O, 1, 1]`, `i64`. No dtypes: any dtype; no shapes:
// any shape; several shapes: either.
struct Type {
  std::vector<Name> dtypes = {};
  std::vector<Dims> shapes = {};
  Span span = {};
};

// The type of a parameter or attribute: `NCHW | NHWC` (a choice of capital words) or a Type
// (`int`, `ints`, `f32[3]`).
struct Kind {
  std::variant<Type, std::vector<Name>> value = {};
  Span span = {};
};

// `0.5`, `"nearest"`, `true`, `none`, `[2, 3]` in a pattern.
struct Literal {
  struct None {};
  std::variant<None, bool, Number, String, std::vector<Literal>> value = {};
  Span span = {};
};

}  // namespace rulec::ast
