// SPDX-License-Identifier: Apache-2.0
#include "runtime/generic/matmul.h"

#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"
#include "runtime/generic/product.h"

namespace rulec::generic {
namespace {

// The operands seen as stacks of matrices [m, k] and [k, n], whose stacks broadcast.
struct Stacks {
  std::int64_t m = 1, k = 1, n = 1;
  Shape stack;
  Strides a_strides, b_strides;  // of the stack, in matrices
  Shape shape;                   // of the result
};

}  // namespace

static Result<Stacks> plan_matmul(Shape a, Shape b) {
  if (a.empty() || b.empty()) return make_error("a scalar cannot be multiplied as a matrix");
  Stacks plan;
  const bool a_vector = a.size() == 1;
  const bool b_vector = b.size() == 1;
  const std::string message =
      fmt::format("the shapes {} and {} do not fit as matrices", to_string(a), to_string(b));
  if (a_vector) a = {1, a[0]};
  if (b_vector) b = {b[0], 1};
  plan.m = a[a.size() - 2];
  plan.k = a.back();
  plan.n = b.back();
  if (b[b.size() - 2] != plan.k) return Error{message};
  a.resize(a.size() - 2);
  b.resize(b.size() - 2);
  const auto stack = broadcast(a, b);
  if (!stack) return Error{message};
  plan.stack = *stack;
  plan.a_strides = broadcast_strides(a, *stack);
  plan.b_strides = broadcast_strides(b, *stack);
  plan.shape = *stack;
  if (!a_vector) plan.shape.push_back(plan.m);
  if (!b_vector) plan.shape.push_back(plan.n);
  return plan;
}

static void multiply_matrices(const double* a, const double* b, double* c, const Stacks& s) {
  std::fill_n(c, s.m * s.n, 0.0);
  multiply_add(a, s.k, s.m, s.k, s.n, panels_of(b, s.k, s.n, s.n, 1), c, s.n);
}

template <typename T>
static void multiply_matrices(const T* a, const T* b, T* c, const Stacks& s) {
  std::fill_n(c, s.m * s.n, T{0});
  for (std::int64_t i = 0; i < s.m; ++i) {
    for (std::int64_t p = 0; p < s.k; ++p) {
      const T scale = a[i * s.k + p];
      for (std::int64_t j = 0; j < s.n; ++j) {
        T& total = c[i * s.n + j];
        total = wrapping_add(total, wrapping_multiply(scale, b[p * s.n + j]));
      }
    }
  }
}

template <typename T>
static Tensor multiply_stacks(const Tensor& a, const Tensor& b, const Stacks& s) {
  Tensor out = Tensor::allocate(a.dtype(), s.shape);
  T* to = out.mutable_data<T>();
  walk<2>(s.stack, {s.a_strides, s.b_strides},
          [&](std::int64_t first, std::int64_t count, const auto& at, const auto& step) {
            for (std::int64_t i = 0; i < count; ++i) {
              multiply_matrices(a.data<T>() + (at[0] + i * step[0]) * s.m * s.k,
                                b.data<T>() + (at[1] + i * step[1]) * s.k * s.n,
                                to + (first + i) * s.m * s.n, s);
            }
          });
  return out;
}

Result<Tensor> matmul(const Tensor& a, const Tensor& b) {
  const Result<Stacks> plan = plan_matmul(a.shape(), b.shape());
  if (!plan) return plan.error();
  if (a.dtype() == DType::F64) return multiply_stacks<double>(a, b, *plan);
  Tensor out;
  const bool done =
      with_integer_type(a.dtype(), [&]<typename T>() { out = multiply_stacks<T>(a, b, *plan); });
  if (!done) return make_error("the operands are of type {}, but must be numbers", name(a.dtype()));
  return out;
}

static Result<Outputs> run_matmul(const Call& call) {
  const Result<DType> dtype = common_type(call);
  if (!dtype) return dtype.error();
  const Result<Tensor> out = matmul(as_computed(call.tensor(0)), as_computed(call.tensor(1)));
  if (!out) return out.error();
  return one(convert(*out, *dtype));
}

static Tensor transposed_matrix(const Tensor& x) {
  Tensor out = Tensor::allocate(x.dtype(), {x.dim(1), x.dim(0)});
  for (std::int64_t i = 0; i < x.dim(0); ++i) {
    for (std::int64_t j = 0; j < x.dim(1); ++j) {
      out.mutable_data<double>()[j * x.dim(0) + i] = x.data<double>()[i * x.dim(1) + j];
    }
  }
  return out;
}

// alpha * op(A) * op(B) + beta * C, C broadcast. Integers are exact in double up to 2^53.
static Result<Outputs> run_gemm(const Call& call) {
  const Result<DType> dtype = common_type(call);
  if (!dtype) return dtype.error();
  Tensor a = as_doubles(call.tensor(0));
  Tensor b = as_doubles(call.tensor(1));
  if (a.rank() != 2 || b.rank() != 2) {
    return make_error("operands 0 and 1 of shapes {} and {} must be matrices", to_string(a.shape()),
                      to_string(b.shape()));
  }
  if (call.attributes.integer("transA", 0) != 0) a = transposed_matrix(a);
  if (call.attributes.integer("transB", 0) != 0) b = transposed_matrix(b);
  const auto alpha = static_cast<double>(call.attributes.number("alpha", 1));
  const auto beta = static_cast<double>(call.attributes.number("beta", 1));
  const Result<Tensor> product = matmul(a, b);
  if (!product) return product.error();
  Tensor y = map_numbers(*product, [=](double v) { return alpha * v; });
  if (call.has(2)) {
    const Tensor c = as_doubles(call.tensor(2));
    const auto shape = broadcast(c.shape(), y.shape());
    if (!shape || *shape != y.shape()) {
      return make_error("operand 2 of shape {} does not broadcast to {}", to_string(c.shape()),
                        to_string(y.shape()));
    }
    y = zip_elements<double, double, double>(y, c, *shape, DType::F64,
                                             [=](double v, double w) { return v + beta * w; });
  }
  return one(convert(y, *dtype));
}

// The determinant of each matrix, by elimination with the largest pivot.
static double determinant(std::vector<double> m, std::int64_t n) {
  double result = 1;
  const auto at = [&](std::int64_t i, std::int64_t j) -> double& {
    return m[static_cast<std::size_t>(i * n + j)];
  };
  for (std::int64_t column = 0; column < n; ++column) {
    std::int64_t pivot = column;
    for (std::int64_t i = column + 1; i < n; ++i) {
      if (std::abs(at(i, column)) > std::abs(at(pivot, column))) pivot = i;
    }
    if (at(pivot, column) == 0) return 0;
    if (pivot != column) {
      result = -result;
      for (std::int64_t j = 0; j < n; ++j)
        std::swap(at(pivot, j), at(column, j));
    }
    result *= at(column, column);
    for (std::int64_t i = column + 1; i < n; ++i) {
      const double factor = at(i, column) / at(column, column);
      for (std::int64_t j = column; j < n; ++j)
        at(i, j) -= factor * at(column, j);
    }
  }
  return result;
}

static Result<Outputs> run_det(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Tensor x = as_doubles(call.tensor(0));
  if (x.rank() < 2 || x.dim(x.rank() - 1) != x.dim(x.rank() - 2)) {
    return make_error("operand 0 of shape {} holds no square matrices", to_string(x.shape()));
  }
  const std::int64_t n = x.shape().back();
  Tensor y = Tensor::allocate(DType::F64, Shape(x.shape().begin(), x.shape().end() - 2));
  for (std::int64_t i = 0; i < y.size(); ++i) {
    const double* from = x.data<double>() + i * n * n;
    y.mutable_data<double>()[i] = determinant(std::vector<double>(from, from + n * n), n);
  }
  return one(convert(y, call.tensor(0).dtype()));
}

std::span<const KernelEntry> matmul_kernels() {
  static constexpr KernelEntry entries[] = {
      {"", "Det", run_det},
      {"", "Gemm", run_gemm, 2},
      {"", "MatMul", run_matmul, 2},
  };
  return entries;
}

}  // namespace rulec::generic
