// SPDX-License-Identifier: Apache-2.0
#pragma once

// The two loops that elementwise kernels share. They work on tensors of one C++ type each; see
// dispatch.h for how a kernel gets there.
//
//   const Tensor y = map_numbers(x, [](double v) { return v > 0 ? v : 0; });  // any float type

#include "runtime/generic/broadcast.h"
#include "runtime/generic/dispatch.h"

namespace rulec::generic {

// f of every element of a float tensor, in double, rounded once to the tensor's own type.
template <typename F>
Tensor map_numbers(const Tensor& tensor, F f) {
  const Tensor x = as_doubles(tensor);
  Tensor y = Tensor::allocate(DType::F64, x.shape());
  const double* from = x.data<double>();
  double* to = y.mutable_data<double>();
  for (std::int64_t i = 0; i < x.size(); ++i)
    to[i] = f(from[i]);
  return convert(y, tensor.dtype());
}

// f of every element of a tensor of T's, as a tensor of the same element type.
template <typename T, typename F>
Tensor map_elements(const Tensor& x, F f) {
  Tensor y = Tensor::allocate(x.dtype(), x.shape());
  const T* from = x.data<T>();
  T* to = y.mutable_data<T>();
  for (std::int64_t i = 0; i < x.size(); ++i)
    to[i] = f(from[i]);
  return y;
}

// f of every pair of elements of two tensors of A's and B's, broadcast to `shape`, which they fit.
template <typename A, typename B, typename R, typename F>
Tensor zip_elements(const Tensor& a, const Tensor& b, const Shape& shape, DType dtype, F f) {
  Tensor out = Tensor::allocate(dtype, shape);
  const A* from_a = a.data<A>();
  const B* from_b = b.data<B>();
  R* to = out.mutable_data<R>();
  walk<2>(shape, {broadcast_strides(a.shape(), shape), broadcast_strides(b.shape(), shape)},
          [&](std::int64_t first, std::int64_t count, const auto& at, const auto& step) {
            const A* x = from_a + at[0];
            const B* y = from_b + at[1];
            for (std::int64_t i = 0; i < count; ++i) {
              to[first + i] = f(x[i * step[0]], y[i * step[1]]);
            }
          });
  return out;
}

// The element type that all present operands from `first` on share. Floats of different types are
// let through as f64, which is how a model looks that is evaluated in double.
Result<DType> common_type(const Call& call, std::size_t first = 0);

// An Error unless the operand has a float type.
Status check_float(const Call& call, std::size_t operand);

}  // namespace rulec::generic
