// SPDX-License-Identifier: Apache-2.0
#include "matcher/tensor_math.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <unordered_map>

#include "matcher/widen.h"

namespace rulec {

std::optional<Tensor> widened(const Tensor& tensor) {
  if (tensor.dtype() == DType::F64 || tensor.dtype() == DType::I64) return aligned(tensor);
  if (tensor.dtype() == DType::String || is_complex(tensor.dtype()) || !tensor.defined()) {
    return std::nullopt;
  }
  return convert(tensor, is_float(tensor.dtype()) ? DType::F64 : DType::I64);
}

// Walks two operands over their broadcast shape: offsets of each, row-major.
template <typename Visit>
static void broadcast_walk(const Shape& out, const Shape& a, const Shape& b, Visit&& visit) {
  const std::size_t rank = out.size();
  std::vector<std::int64_t> step_a(rank, 0), step_b(rank, 0), index(rank, 0);
  const auto strides = [&](const Shape& shape, std::vector<std::int64_t>& step) {
    const auto own = strides_of(shape);
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] != 1) step[rank - shape.size() + i] = own[i];
    }
  };
  strides(a, step_a);
  strides(b, step_b);
  const std::int64_t count = element_count(out);
  std::int64_t at_a = 0, at_b = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    visit(i, at_a, at_b);
    for (std::size_t d = rank; d-- > 0;) {
      at_a += step_a[d];
      at_b += step_b[d];
      if (++index[d] < out[d]) break;
      index[d] = 0;
      at_a -= step_a[d] * out[d];
      at_b -= step_b[d] * out[d];
    }
  }
}

template <typename T, typename R, typename F>
static Tensor elementwise(const Shape& shape, const Tensor& a, const Tensor& b, F&& f) {
  Tensor out = Tensor::allocate(dtype_for<R>, shape);
  R* to = out.mutable_data<R>();
  const T* left = a.data<T>();
  const T* right = b.data<T>();
  broadcast_walk(shape, a.shape(), b.shape(), [&](std::int64_t i, std::int64_t j, std::int64_t k) {
    to[i] = static_cast<R>(f(left[j], right[k]));
  });
  return out;
}

static bool divides_everywhere(const Shape& shape, const Tensor& a, const Tensor& b) {
  bool all = true;
  const std::int64_t* left = a.data<std::int64_t>();
  const std::int64_t* right = b.data<std::int64_t>();
  broadcast_walk(shape, a.shape(), b.shape(), [&](std::int64_t, std::int64_t j, std::int64_t k) {
    all = all && right[k] != 0 && right[k] != -1 && left[j] % right[k] == 0;
  });
  return all;
}

template <typename T>
static std::optional<Tensor> binary_of(Operator op, const Shape& shape, const Tensor& a,
                                       const Tensor& b) {
  switch (op) {
    case Operator::Add:
      return elementwise<T, T>(shape, a, b, [](T x, T y) {
        if constexpr (std::is_integral_v<T>) {
          return static_cast<T>(static_cast<std::uint64_t>(x) + static_cast<std::uint64_t>(y));
        } else {
          return x + y;
        }
      });
    case Operator::Subtract:
      return elementwise<T, T>(shape, a, b, [](T x, T y) {
        if constexpr (std::is_integral_v<T>) {
          return static_cast<T>(static_cast<std::uint64_t>(x) - static_cast<std::uint64_t>(y));
        } else {
          return x - y;
        }
      });
    case Operator::Multiply:
      return elementwise<T, T>(shape, a, b, [](T x, T y) {
        if constexpr (std::is_integral_v<T>) {
          return static_cast<T>(static_cast<std::uint64_t>(x) * static_cast<std::uint64_t>(y));
        } else {
          return x * y;
        }
      });
    case Operator::Divide:
      if constexpr (std::is_integral_v<T>) {
        if (divides_everywhere(shape, a, b)) {
          return elementwise<T, T>(shape, a, b, [](T x, T y) { return x / y; });
        }
        return elementwise<T, double>(
            shape, a, b, [](T x, T y) { return static_cast<double>(x) / static_cast<double>(y); });
      } else {
        return elementwise<T, T>(shape, a, b, [](T x, T y) { return x / y; });
      }
    case Operator::Remainder:
      if constexpr (std::is_integral_v<T>) {
        for (std::int64_t i = 0; i < b.size(); ++i) {
          if (b.data<T>()[i] == 0 || b.data<T>()[i] == -1) return std::nullopt;
        }
        return elementwise<T, T>(shape, a, b, [](T x, T y) {
          const T r = x % y;
          return r != 0 && (r < 0) != (y < 0) ? r + y : r;
        });
      } else {
        return elementwise<T, T>(shape, a, b, [](T x, T y) { return x - y * std::floor(x / y); });
      }
    case Operator::Equal:
      return elementwise<T, bool>(shape, a, b, std::equal_to<T>());
    case Operator::NotEqual:
      return elementwise<T, bool>(shape, a, b, std::not_equal_to<T>());
    case Operator::Less:
      return elementwise<T, bool>(shape, a, b, std::less<T>());
    case Operator::LessEqual:
      return elementwise<T, bool>(shape, a, b, std::less_equal<T>());
    case Operator::Greater:
      return elementwise<T, bool>(shape, a, b, std::greater<T>());
    case Operator::GreaterEqual:
      return elementwise<T, bool>(shape, a, b, std::greater_equal<T>());
    default:
      return std::nullopt;
  }
}

std::optional<Tensor> apply_binary(Operator op, const Tensor& a, const Tensor& b) {
  auto left = widened(a);
  auto right = widened(b);
  if (!left || !right) return std::nullopt;
  const auto shape = broadcast(left->shape(), right->shape());
  if (!shape) return std::nullopt;
  if (left->dtype() != right->dtype()) {
    left = convert(*left, DType::F64);
    right = convert(*right, DType::F64);
  }
  return left->dtype() == DType::I64 ? binary_of<std::int64_t>(op, *shape, *left, *right)
                                     : binary_of<double>(op, *shape, *left, *right);
}

using Unary = double (*)(double);

static const std::unordered_map<std::string_view, Unary>& unary_functions() {
  static const std::unordered_map<std::string_view, Unary> table = {
      {"sqrt", [](double x) { return std::sqrt(x); }},
      {"rsqrt", [](double x) { return 1 / std::sqrt(x); }},
      {"exp", [](double x) { return std::exp(x); }},
      {"log", [](double x) { return std::log(x); }},
      {"abs", [](double x) { return std::fabs(x); }},
      {"floor", [](double x) { return std::floor(x); }},
      {"ceil", [](double x) { return std::ceil(x); }},
      {"round", [](double x) { return std::nearbyint(x); }},
      {"tanh", [](double x) { return std::tanh(x); }},
      {"erf", [](double x) { return std::erf(x); }},
      {"sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }},
      {"reciprocal", [](double x) { return 1 / x; }},
      {"sin", [](double x) { return std::sin(x); }},
      {"cos", [](double x) { return std::cos(x); }},
      {"neg", [](double x) { return -x; }},
  };
  return table;
}

bool is_unary_function(std::string_view name) {
  return unary_functions().contains(name);
}

std::vector<std::string_view> unary_function_names() {
  std::vector<std::string_view> out;
  for (const auto& [name, function] : unary_functions())
    out.push_back(name);
  return out;
}

std::optional<Tensor> apply_unary(std::string_view name, const Tensor& a) {
  const auto found = unary_functions().find(name);
  if (found == unary_functions().end()) return std::nullopt;
  const auto wide = widened(a);
  if (!wide) return std::nullopt;
  if (wide->dtype() == DType::I64 && (name == "abs" || name == "neg")) {
    Tensor out = Tensor::allocate(DType::I64, wide->shape());
    for (std::int64_t i = 0; i < wide->size(); ++i) {
      const std::int64_t x = wide->data<std::int64_t>()[i];
      out.mutable_data<std::int64_t>()[i] =
          name == "neg" || x < 0 ? static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(x)) : x;
    }
    return out;
  }
  const Tensor in = convert(*wide, DType::F64);
  Tensor out = Tensor::allocate(DType::F64, in.shape());
  for (std::int64_t i = 0; i < in.size(); ++i) {
    out.mutable_data<double>()[i] = found->second(in.data<double>()[i]);
  }
  return out;
}

Tensor transposed(const Tensor& tensor, const std::vector<std::int64_t>& permutation) {
  const std::size_t rank = tensor.rank();
  const auto strides = strides_of(tensor.shape());
  Shape shape(rank);
  std::vector<std::int64_t> steps(rank), index(rank, 0);
  for (std::size_t i = 0; i < rank; ++i) {
    shape[i] = tensor.dim(static_cast<std::size_t>(permutation[i]));
    steps[i] = strides[static_cast<std::size_t>(permutation[i])];
  }
  Tensor out = Tensor::allocate(tensor.dtype(), shape);
  const int bits = bit_width(tensor.dtype());
  const std::size_t width = static_cast<std::size_t>(bits) / 8;
  std::int64_t at = 0;
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    if (bits >= 8) {
      std::memcpy(out.mutable_data<std::byte>() + static_cast<std::size_t>(i) * width,
                  tensor.bytes().data() + static_cast<std::size_t>(at) * width, width);
    } else if (tensor.dtype() == DType::String) {
      out.mutable_strings()[static_cast<std::size_t>(i)] =
          tensor.strings()[static_cast<std::size_t>(at)];
    } else {
      out.set_number(i, tensor.number(at));
    }
    for (std::size_t d = rank; d-- > 0;) {
      at += steps[d];
      if (++index[d] < shape[d]) break;
      index[d] = 0;
      at -= steps[d] * shape[d];
    }
  }
  return out;
}

std::optional<Tensor> concatenated(const std::vector<Tensor>& parts, std::int64_t axis) {
  if (parts.empty() || parts.front().rank() == 0) return std::nullopt;
  const auto normal = normalize_axis(axis, parts.front().rank());
  if (!normal) return std::nullopt;
  const std::size_t along = *normal;
  Shape shape = parts.front().shape();
  shape[along] = 0;
  for (const Tensor& part : parts) {
    if (part.dtype() != parts.front().dtype() || part.rank() != shape.size()) return std::nullopt;
    for (std::size_t d = 0; d < shape.size(); ++d) {
      if (d != along && part.dim(d) != shape[d]) return std::nullopt;
    }
    shape[along] += part.dim(along);
  }
  const int bits = bit_width(parts.front().dtype());
  if (bits < 8) return std::nullopt;
  const std::size_t width = static_cast<std::size_t>(bits) / 8;
  Tensor out = Tensor::allocate(parts.front().dtype(), shape);
  std::size_t rows = 1, inner = width;
  for (std::size_t d = 0; d < along; ++d)
    rows *= static_cast<std::size_t>(shape[d]);
  for (std::size_t d = along + 1; d < shape.size(); ++d)
    inner *= static_cast<std::size_t>(shape[d]);
  std::byte* to = out.mutable_data<std::byte>();
  for (std::size_t row = 0; row < rows; ++row) {
    for (const Tensor& part : parts) {
      const std::size_t bytes = inner * static_cast<std::size_t>(part.dim(along));
      if (bytes == 0) continue;
      std::memcpy(to, part.bytes().data() + row * bytes, bytes);
      to += bytes;
    }
  }
  return out;
}

DType promoted(DType a, DType b) {
  if (a == DType::Undefined || a == b) return b == DType::Undefined ? a : b;
  if (b == DType::Undefined) return a;
  if (is_float(a) != is_float(b)) return is_float(a) ? a : b;
  if (is_float(a)) return a == DType::F64 || b == DType::F64 ? DType::F64 : DType::F32;
  return bit_width(a) >= bit_width(b) ? a : b;
}

}  // namespace rulec
