// SPDX-License-Identifier: Apache-2.0
#pragma once

// Moving elements about without looking at them: bytes, strings and packed 2- and 4-bit elements
// alike. Every data-movement kernel is one of these few operations. Not arithmetic.
//
//   Tensor t = strided(in, {3, 2}, {1, 3});                     // a transposed [2,3]
//   Tensor u = take(in, 0, std::vector<std::int64_t>{2, 0, 1});  // rows 2, 0, 1

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/tensor.h"

namespace rulec::generic {

// Copies runs of elements between two tensors of one element type; positions are flat.
class ElementCopy {
 public:
  ElementCopy(const Tensor& from, Tensor& to);
  void operator()(std::int64_t from, std::int64_t to, std::int64_t count = 1) const;
  // One element, `count` times.
  void repeat(std::int64_t from, std::int64_t to, std::int64_t count) const;
  // `count` single elements at constant distances.
  void strided(std::int64_t from, std::int64_t from_stride, std::int64_t to, std::int64_t to_stride,
               std::int64_t count) const;

 private:
  const std::byte* from_ = nullptr;
  std::byte* to_ = nullptr;
  const std::string* from_strings_ = nullptr;
  std::string* to_strings_ = nullptr;
  int bits_ = 0;
};

// out[to + Σ i·to_strides] = in[from + Σ i·from_strides] for every index i below `shape`.
void copy_strided(const Tensor& in, std::int64_t from, std::span<const std::int64_t> from_strides,
                  Tensor& out, std::int64_t to, std::span<const std::int64_t> to_strides,
                  std::span<const std::int64_t> shape);

// A new tensor of `shape` whose element i is in[offset + Σ i·strides].
Tensor strided(const Tensor& in, Shape shape, std::span<const std::int64_t> strides,
               std::int64_t offset = 0);

// Axis k of the result is axis permutation[k] of `in`.
Tensor transposed(const Tensor& in, std::span<const std::int64_t> permutation);

// Slices `indices` (all within the axis) of `axis`, in that order.
Tensor take(const Tensor& in, std::size_t axis, std::span<const std::int64_t> indices);

// Tensors that agree in all axes but `axis`, joined along it.
Tensor concatenated(std::span<const Tensor> parts, std::size_t axis);

// Every element becomes element 0 of `value` (same element type).
void fill(Tensor& out, const Tensor& value);

// Values rounded once to `dtype`, a number type.
Tensor from_numbers(DType dtype, Shape shape, std::span<const double> values);

// A private copy that may be written.
Tensor cloned(const Tensor& in);

}  // namespace rulec::generic
