// SPDX-License-Identifier: Apache-2.0
// Einsum: sums of products over labelled axes, any number of operands.
#include <algorithm>
#include <map>

#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"

namespace rulec::generic {
namespace {

// Labels in the order of the loops: those of the result, then those that are summed. An axis under
// an ellipsis has a label too, '0' for the last one, '1' for the one before, ….
struct Equation {
  std::vector<std::string> terms;
  std::string result;
  std::string order;
};

}  // namespace

// The term with its ellipsis replaced by `hidden` labels, the last of them '0'.
static std::string with_ellipsis(std::string_view term, std::size_t hidden) {
  const auto at = term.find("...");
  if (at == std::string_view::npos) return std::string(term);
  std::string labels;
  for (std::size_t i = hidden; i-- > 0;)
    labels.push_back(static_cast<char>('0' + i));
  return std::string(term.substr(0, at)) + labels + std::string(term.substr(at + 3));
}

static std::size_t letters(std::string_view term) {
  return static_cast<std::size_t>(
      std::count_if(term.begin(), term.end(), [](char c) { return c != '.'; }));
}

static Result<Equation> parse_equation(const Call& call) {
  std::string text(call.attributes.text("equation", ""));
  std::erase(text, ' ');
  const auto arrow = text.find("->");
  const std::string left = text.substr(0, arrow);
  Equation equation;
  std::vector<std::string> terms;
  for (std::size_t start = 0; start <= left.size();) {
    const std::size_t comma = std::min(left.find(',', start), left.size());
    terms.push_back(left.substr(start, comma - start));
    start = comma + 1;
  }
  if (terms.size() != call.inputs.size()) {
    return make_error("the equation '{}' has {} terms for {} operands", text, terms.size(),
                      call.inputs.size());
  }
  std::size_t most_hidden = 0;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const std::size_t rank = call.tensor(i).rank();
    const bool ellipsis = terms[i].find("...") != std::string::npos;
    const std::size_t named = letters(terms[i]);
    if (ellipsis ? named > rank : named != rank) {
      return make_error("the term '{}' does not fit operand {} of shape {}", terms[i], i,
                        to_string(call.tensor(i).shape()));
    }
    const std::size_t hidden = rank - named;
    if (hidden > 10) return make_error("an ellipsis stands for more than 10 axes");
    most_hidden = std::max(most_hidden, hidden);
    equation.terms.push_back(with_ellipsis(terms[i], hidden));
  }
  if (arrow != std::string::npos) {
    equation.result = with_ellipsis(text.substr(arrow + 2), most_hidden);
  } else {
    // Without an arrow: the ellipsis, then the labels that occur once, in order.
    std::map<char, int> counts;
    for (const std::string& term : equation.terms) {
      for (const char label : term)
        ++counts[label];
    }
    equation.result = with_ellipsis("...", most_hidden);
    for (const auto& [label, count] : counts) {
      if (count == 1 && std::isalpha(static_cast<unsigned char>(label)) != 0) {
        equation.result.push_back(label);
      }
    }
  }
  equation.order = equation.result;
  for (const std::string& term : equation.terms) {
    for (const char label : term) {
      if (equation.order.find(label) == std::string::npos) equation.order.push_back(label);
    }
  }
  for (std::size_t i = 0; i < equation.result.size(); ++i) {
    const char label = equation.result[i];
    const bool twice = equation.result.find(label, i + 1) != std::string::npos;
    const bool known = std::any_of(equation.terms.begin(), equation.terms.end(),
                                   [&](const auto& t) { return t.find(label) != t.npos; });
    if (twice || !known) {
      return make_error("the equation '{}' has a result label that is {}", text,
                        twice ? "repeated" : "in no term");
    }
  }
  return equation;
}

static Result<Outputs> run_einsum(const Call& call) {
  const Result<DType> dtype = common_type(call);
  if (!dtype) return dtype.error();
  const Result<Equation> equation = parse_equation(call);
  if (!equation) return equation.error();
  const std::string& order = equation->order;
  Shape sizes(order.size(), 1);
  std::vector<Strides> strides(equation->terms.size(), Strides(order.size(), 0));
  for (std::size_t k = 0; k < equation->terms.size(); ++k) {
    const Shape& shape = call.tensor(k).shape();
    const Strides own = strides_of(shape);
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const std::size_t at = order.find(equation->terms[k][i]);
      if (sizes[at] != 1 && shape[i] != 1 && sizes[at] != shape[i]) {
        return make_error("operand {} of shape {} has {} elements for the label '{}', not {}", k,
                          to_string(shape), shape[i], order[at], sizes[at]);
      }
      if (shape[i] == 1) continue;
      sizes[at] = shape[i];
      strides[k][at] += own[i];  // a label repeated in a term walks its diagonal
    }
  }
  const std::size_t kept = equation->result.size();
  const Shape shape(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(kept));
  Tensor out;
  const auto sum_products = [&]<typename T>() {
    std::vector<Tensor> operands;
    for (std::size_t k = 0; k < call.inputs.size(); ++k) {
      operands.push_back(as_computed(call.tensor(k)));
    }
    Tensor y = Tensor::zeros(operands[0].dtype(), shape);
    // Where each element goes, as one more operand: summed labels do not move it.
    Strides to = strides_of(shape);
    to.resize(order.size(), 0);
    std::vector<std::int64_t> index(order.size(), 0), at(operands.size(), 0);
    std::int64_t at_out = 0;
    const std::int64_t count = element_count(sizes);
    for (std::int64_t i = 0; i < count; ++i) {
      T product{1};
      for (std::size_t k = 0; k < operands.size(); ++k) {
        const T value = operands[k].data<T>()[at[k]];
        if constexpr (std::is_integral_v<T>) {
          product = wrapping_multiply(product, value);
        } else {
          product *= value;
        }
      }
      T& total = y.mutable_data<T>()[at_out];
      if constexpr (std::is_integral_v<T>) {
        total = wrapping_add(total, product);
      } else {
        total += product;
      }
      for (std::size_t d = order.size(); d-- > 0;) {
        for (std::size_t k = 0; k < operands.size(); ++k)
          at[k] += strides[k][d];
        at_out += to[d];
        if (++index[d] < sizes[d]) break;
        for (std::size_t k = 0; k < operands.size(); ++k)
          at[k] -= strides[k][d] * sizes[d];
        at_out -= to[d] * sizes[d];
        index[d] = 0;
      }
    }
    out = convert(y, *dtype);
  };
  if (is_float(*dtype)) {
    sum_products.template operator()<double>();
  } else if (!with_integer_type(*dtype, sum_products)) {
    return make_error("the operands are of type {}, but must be numbers", name(*dtype));
  }
  return one(std::move(out));
}

std::span<const KernelEntry> einsum_kernels() {
  static constexpr KernelEntry entries[] = {{"", "Einsum", run_einsum, 1}};
  return entries;
}

}  // namespace rulec::generic
