// SPDX-License-Identifier: Apache-2.0
// Arithmetic and comparison of expression values: numbers, lists (element by element) and tensors
// (numpy broadcasting). Lists keep unknown elements, so that `shape(x)[1] = 3` can be answered
// where the batch is unknown.
#include <cmath>

#include <fmt/format.h>

#include "matcher/facts.h"
#include "matcher/guard_calls.h"
#include "matcher/tensor_math.h"

namespace rulec {

std::optional<double> as_number(const Scope& scope, const RuleValue& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value.data)) return static_cast<double>(*i);
  if (const auto* d = std::get_if<double>(&value.data)) return *d;
  if (const auto* b = std::get_if<bool>(&value.data)) return *b ? 1 : 0;
  if (const auto* t = std::get_if<DType>(&value.data)) return static_cast<double>(*t);
  if (!std::holds_alternative<Tensor>(value.data) && !std::holds_alternative<ValueId>(value.data)) {
    return std::nullopt;
  }
  const auto tensor = as_tensor(scope, value);
  if (!tensor || tensor->size() != 1 || tensor->dtype() == DType::String) return std::nullopt;
  return tensor->number(0);
}

std::optional<std::int64_t> as_integer(const Scope& scope, const RuleValue& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value.data)) return *i;
  const auto number = as_number(scope, value);
  if (!number || std::trunc(*number) != *number || std::fabs(*number) > 9e15) return std::nullopt;
  return static_cast<std::int64_t>(*number);
}

std::optional<std::vector<RuleValue>> as_list(const Scope& scope, const RuleValue& value) {
  if (const auto* list = std::get_if<std::vector<RuleValue>>(&value.data)) return *list;
  if (!std::holds_alternative<Tensor>(value.data) && !std::holds_alternative<ValueId>(value.data)) {
    return std::nullopt;
  }
  const auto tensor = as_tensor(scope, value);
  if (!tensor || tensor->rank() > 1 || tensor->size() > (1 << 16)) return std::nullopt;
  std::vector<RuleValue> out;
  for (std::int64_t i = 0; i < tensor->size(); ++i) {
    if (tensor->dtype() == DType::String) {
      out.push_back({tensor->strings()[static_cast<std::size_t>(i)]});
    } else if (is_float(tensor->dtype())) {
      out.push_back({tensor->number(i)});
    } else {
      out.push_back({tensor->integer(i)});
    }
  }
  return out;
}

std::optional<std::vector<std::int64_t>> as_integers(const Scope& scope, const RuleValue& value) {
  const auto list = as_list(scope, value);
  if (!list) return std::nullopt;
  std::vector<std::int64_t> out;
  for (const RuleValue& item : *list) {
    const auto integer = as_integer(scope, item);
    if (!integer) return std::nullopt;
    out.push_back(*integer);
  }
  return out;
}

static bool is_comparison(Operator op) {
  return op == Operator::Equal || op == Operator::NotEqual || op == Operator::Less ||
         op == Operator::LessEqual || op == Operator::Greater || op == Operator::GreaterEqual;
}

static bool is_plain_number(const RuleValue& value) {
  return std::holds_alternative<std::int64_t>(value.data) ||
         std::holds_alternative<double>(value.data) || std::holds_alternative<bool>(value.data);
}

bool is_list(const RuleValue& value) {
  return std::holds_alternative<std::vector<RuleValue>>(value.data);
}

// An attribute is stored in f32: 1e-5 in a rule and in a model are the same number.
static bool same_number(double a, double b) {
  if (a == b) return true;
  if (std::isnan(a) && std::isnan(b)) return true;
  if (std::trunc(a) == a && std::trunc(b) == b) return false;
  return static_cast<float>(a) == static_cast<float>(b);
}

static bool compare_numbers(Operator op, double a, double b) {
  const bool same = same_number(a, b);
  switch (op) {
    case Operator::Equal:
      return same;
    case Operator::NotEqual:
      return !same;
    case Operator::Less:
      return !same && a < b;
    case Operator::LessEqual:
      return same || a < b;
    case Operator::Greater:
      return !same && a > b;
    default:
      return same || a > b;
  }
}

static RuleValue apply_integers(Operator op, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  bool overflow = false;
  switch (op) {
    case Operator::Add:
      overflow = __builtin_add_overflow(a, b, &out);
      break;
    case Operator::Subtract:
      overflow = __builtin_sub_overflow(a, b, &out);
      break;
    case Operator::Multiply:
      overflow = __builtin_mul_overflow(a, b, &out);
      break;
    case Operator::Divide:
      if (b == 0) return unknown("division by zero");
      if (b == -1 || a % b != 0) return {static_cast<double>(a) / static_cast<double>(b)};
      out = a / b;
      break;
    case Operator::Remainder:
      if (b == 0) return unknown("division by zero");
      if (b == -1) return {std::int64_t{0}};
      out = a % b;
      if (out != 0 && (out < 0) != (b < 0)) out += b;
      break;
    case Operator::Equal:
      return {a == b};
    case Operator::NotEqual:
      return {a != b};
    case Operator::Less:
      return {a < b};
    case Operator::LessEqual:
      return {a <= b};
    case Operator::Greater:
      return {a > b};
    default:
      return {a >= b};
  }
  if (overflow) return unknown("an integer result is out of range");
  return {out};
}

static RuleValue apply_numbers(const Scope& scope, Operator op, const RuleValue& a,
                               const RuleValue& b) {
  const bool integers =
      !std::holds_alternative<double>(a.data) && !std::holds_alternative<double>(b.data);
  if (integers) return apply_integers(op, *as_integer(scope, a), *as_integer(scope, b));
  const double x = *as_number(scope, a);
  const double y = *as_number(scope, b);
  if (is_comparison(op)) return {compare_numbers(op, x, y)};
  switch (op) {
    case Operator::Add:
      return {x + y};
    case Operator::Subtract:
      return {x - y};
    case Operator::Multiply:
      return {x * y};
    case Operator::Divide:
      if (y == 0) return unknown("division by zero");
      return {x / y};
    default:
      if (y == 0) return unknown("division by zero");
      return {x - y * std::floor(x / y)};
  }
}

static RuleValue apply_lists(const Scope& scope, Operator op, const RuleValue& a,
                             const RuleValue& b) {
  const auto* left = std::get_if<std::vector<RuleValue>>(&a.data);
  const auto* right = std::get_if<std::vector<RuleValue>>(&b.data);
  if (left != nullptr && right != nullptr && left->size() != right->size()) {
    return unknown("lists of {} and {} elements do not go together", left->size(), right->size());
  }
  const std::size_t count = left != nullptr ? left->size() : right->size();
  std::vector<RuleValue> out;
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back(
        apply(scope, op, left != nullptr ? (*left)[i] : a, right != nullptr ? (*right)[i] : b));
  }
  return {std::move(out)};
}

static RuleValue apply_tensors(const Scope& scope, Operator op, const RuleValue& a,
                               const RuleValue& b) {
  const auto left = as_tensor(scope, a);
  const auto right = as_tensor(scope, b);
  for (const auto& [side, tensor] : {std::pair{&a, &left}, std::pair{&b, &right}}) {
    if (*tensor) continue;
    if (const auto* v = std::get_if<ValueId>(&side->data)) {
      return unknown("`{}` is not a constant", value_name(scope, *v));
    }
    return unknown("{} has no numbers", to_string(scope, *side));
  }
  auto out = apply_binary(op, *left, *right);
  if (!out) {
    return unknown("shapes {} and {} do not broadcast", to_string(std::span(left->shape())),
                   to_string(std::span(right->shape())));
  }
  if (is_comparison(op)) return {*out};
  DType narrow = promoted(stored_dtype(scope, a), stored_dtype(scope, b));
  // Integers and a fraction give a fraction.
  if (!is_float(narrow) && is_float(out->dtype())) narrow = DType::F32;
  return {*out, narrow};
}

Truth equal(const Scope& scope, const RuleValue& a, const RuleValue& b, std::string* why) {
  if (is_none(a) || is_none(b)) return is_none(a) && is_none(b) ? Truth::True : Truth::False;
  if (is_unknown(a) || is_unknown(b)) {
    const auto* left = std::get_if<Unknown>(&a.data);
    const auto* right = std::get_if<Unknown>(&b.data);
    if (left != nullptr && right != nullptr && !left->key.empty() && left->key == right->key) {
      return Truth::True;
    }
    if (why != nullptr) *why = left != nullptr ? left->why : right->why;
    return Truth::Unknown;
  }
  const auto* left_text = std::get_if<std::string>(&a.data);
  const auto* right_text = std::get_if<std::string>(&b.data);
  if (left_text != nullptr || right_text != nullptr) {
    return left_text != nullptr && right_text != nullptr && *left_text == *right_text
               ? Truth::True
               : Truth::False;
  }
  if (a.data.index() == b.data.index()) {
    if (const auto* t = std::get_if<DType>(&a.data)) {
      return *t == std::get<DType>(b.data) ? Truth::True : Truth::False;
    }
    if (const auto* n = std::get_if<NodeId>(&a.data)) {
      return *n == std::get<NodeId>(b.data) ? Truth::True : Truth::False;
    }
    if (const auto* v = std::get_if<ValueId>(&a.data)) {
      if (*v == std::get<ValueId>(b.data)) return Truth::True;
    }
  }
  const auto number = [](const RuleValue& v) {
    return is_plain_number(v) || std::holds_alternative<DType>(v.data);
  };
  if (number(a) && number(b)) {
    return same_number(*as_number(scope, a), *as_number(scope, b)) ? Truth::True : Truth::False;
  }
  if (is_list(a) || is_list(b)) {
    const auto left = as_list(scope, a);
    const auto right = as_list(scope, b);
    if (!left || !right) {
      if (why != nullptr) *why = "a list is compared with what is none";
      return Truth::Unknown;
    }
    if (left->size() != right->size()) return Truth::False;
    Truth all = Truth::True;
    for (std::size_t i = 0; i < left->size(); ++i) {
      const Truth one = equal(scope, (*left)[i], (*right)[i], why);
      if (one == Truth::False) return one;
      if (one == Truth::Unknown) all = one;
    }
    return all;
  }
  const auto left = as_tensor(scope, a);
  const auto right = as_tensor(scope, b);
  if (!left || !right) {
    if (why != nullptr) {
      *why = fmt::format("{} is not a constant", to_string(scope, left ? b : a));
    }
    return Truth::Unknown;
  }
  if (left->size() != right->size()) return Truth::False;
  const bool left_strings = left->dtype() == DType::String;
  if (left_strings != (right->dtype() == DType::String)) return Truth::False;
  if (left_strings) return left->strings() == right->strings() ? Truth::True : Truth::False;
  for (std::int64_t i = 0; i < left->size(); ++i) {
    if (!same_number(left->number(i), right->number(i))) return Truth::False;
  }
  return Truth::True;
}

RuleValue apply(const Scope& scope, Operator op, const RuleValue& a, const RuleValue& b) {
  if (op == Operator::Equal || op == Operator::NotEqual) {
    // One answer, save where a list or tensor meets a single number: then one for each element.
    const bool spread =
        (is_plain_number(a) && !is_plain_number(b)) || (is_plain_number(b) && !is_plain_number(a));
    const RuleValue& many = is_plain_number(a) ? b : a;
    const bool elements = spread && (is_list(many) || std::holds_alternative<Tensor>(many.data) ||
                                     std::holds_alternative<ValueId>(many.data));
    if (!elements) {
      std::string why;
      const Truth same = equal(scope, a, b, &why);
      if (same == Truth::Unknown) return {Unknown{why}};
      return {(same == Truth::True) == (op == Operator::Equal)};
    }
  }
  if (is_unknown(a)) return {Unknown{std::get<Unknown>(a.data).why}};
  if (is_unknown(b)) return {Unknown{std::get<Unknown>(b.data).why}};
  if (is_none(a) || is_none(b)) {
    if (is_comparison(op)) return unknown("an absent operand is compared");
    return {None{}};
  }
  if (is_plain_number(a) && is_plain_number(b)) return apply_numbers(scope, op, a, b);
  const auto* left_text = std::get_if<std::string>(&a.data);
  const auto* right_text = std::get_if<std::string>(&b.data);
  if (left_text != nullptr || right_text != nullptr) {
    if (left_text == nullptr || right_text == nullptr) {
      return unknown("a string and something else do not go together");
    }
    if (op == Operator::Add) return {*left_text + *right_text};
    const int order = left_text->compare(*right_text);
    switch (op) {
      case Operator::Less:
        return {order < 0};
      case Operator::LessEqual:
        return {order <= 0};
      case Operator::Greater:
        return {order > 0};
      case Operator::GreaterEqual:
        return {order >= 0};
      default:
        return unknown("strings know no such operator");
    }
  }
  const auto list_like = [](const RuleValue& v) { return is_list(v) || is_plain_number(v); };
  if (list_like(a) && list_like(b)) return apply_lists(scope, op, a, b);
  if (is_list(a) || is_list(b)) {
    // A short constant beside a list is a list.
    const auto left = as_list(scope, a);
    const auto right = as_list(scope, b);
    if (left && right) return apply_lists(scope, op, {*left}, {*right});
  }
  return apply_tensors(scope, op, a, b);
}

}  // namespace rulec
