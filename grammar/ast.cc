// SPDX-License-Identifier: Apache-2.0
#include "grammar/ast.h"

#include <charconv>
#include <limits>

namespace rulec::ast {

// Not strtod: it follows the process's locale.
double Number::as_double() const {
  std::string_view digits = text;
  bool negative = digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  double value = 0;
  if (digits == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (digits == "inf") {
    value = std::numeric_limits<double>::infinity();
  } else {
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    // Out of range leaves `value` alone: 1e999 is infinite, 1e-999 is nothing.
    if (error == std::errc::result_out_of_range && digits.find("e-") == digits.npos &&
        digits.find("E-") == digits.npos)
      value = std::numeric_limits<double>::infinity();
  }
  return negative ? -value : value;
}

std::optional<std::int64_t> Number::as_int() const {
  if (!is_integer) return std::nullopt;
  std::int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

std::string_view spelling(Relation relation) {
  switch (relation) {
    case Relation::Equal:
      return "==";
    case Relation::NotEqual:
      return "!=";
    case Relation::LessEqual:
      return "<=";
    case Relation::GreaterEqual:
      return ">=";
    case Relation::Less:
      return "<";
    case Relation::Greater:
      return ">";
  }
  return "?";
}

}  // namespace rulec::ast
