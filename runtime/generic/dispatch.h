// SPDX-License-Identifier: Apache-2.0
#pragma once

// How generic kernels meet element types. Floating-point kernels are written once, in double:
//
//   const Tensor x = as_doubles(call.tensor(0));            // shares the bytes of an f64 tensor
//   Tensor y = Tensor::allocate(DType::F64, x.shape());
//   for (...) y.mutable_data<double>()[i] = f(x.data<double>()[i]);
//   return one(convert(y, call.tensor(0).dtype()));         // rounds once
//
// Integer kernels are templates over the type, since 64 bits do not fit a double:
//
//   with_integer_type(x.dtype(), [&]<typename T>() { ... });
//
// Kernels that only move elements look at their width (with_storage_type).

#include <array>
#include <cstdint>
#include <type_traits>

#include "runtime/generic/kernel.h"
#include "runtime/generic/operands.h"
#include "runtime/tensor.h"

namespace rulec::generic {

inline Tensor as_doubles(const Tensor& tensor) {
  return convert(tensor, DType::F64);
}

// Calls use.operator()<T>() with the C++ type of an 8- to 64-bit integer; false for other types.
template <typename Use>
bool with_integer_type(DType dtype, Use use) {
  switch (dtype) {
    case DType::I8:
      return use.template operator()<std::int8_t>(), true;
    case DType::U8:
      return use.template operator()<std::uint8_t>(), true;
    case DType::I16:
      return use.template operator()<std::int16_t>(), true;
    case DType::U16:
      return use.template operator()<std::uint16_t>(), true;
    case DType::I32:
      return use.template operator()<std::int32_t>(), true;
    case DType::U32:
      return use.template operator()<std::uint32_t>(), true;
    case DType::I64:
      return use.template operator()<std::int64_t>(), true;
    case DType::U64:
      return use.template operator()<std::uint64_t>(), true;
    default:
      return false;
  }
}

// As with_integer_type, and for every float type `double`, for bool `bool`: for kernels that are
// handed elements in that type by as_computed and give back tensors of it, to be converted.
template <typename Use>
bool with_computed_type(DType dtype, Use use) {
  if (is_float(dtype)) return use.template operator()<double>(), true;
  if (dtype == DType::Bool) return use.template operator()<bool>(), true;
  return with_integer_type(dtype, use);
}

// The tensor in the type that with_computed_type names: floats as doubles, the rest as it is.
inline Tensor as_computed(const Tensor& tensor) {
  return is_float(tensor.dtype()) ? as_doubles(tensor) : tensor;
}

struct Bits128 {
  std::array<std::uint64_t, 2> words;
};

// Calls use.operator()<T>() with an unsigned integer (or pair) as wide as one element of 8 to 128
// bits; false for strings and packed types.
template <typename Use>
bool with_storage_type(DType dtype, Use use) {
  switch (bit_width(dtype)) {
    case 8:
      return use.template operator()<std::uint8_t>(), true;
    case 16:
      return use.template operator()<std::uint16_t>(), true;
    case 32:
      return use.template operator()<std::uint32_t>(), true;
    case 64:
      return use.template operator()<std::uint64_t>(), true;
    case 128:
      return use.template operator()<Bits128>(), true;
    default:
      return false;
  }
}

// Arithmetic modulo 2^n, without the undefined overflow of signed types and without their
// promotion to int.
template <typename T>
using Wrapping = std::conditional_t<(sizeof(T) < 4), std::uint32_t, std::make_unsigned_t<T>>;

template <typename T>
T wrapping_add(T a, T b) {
  return static_cast<T>(static_cast<Wrapping<T>>(a) + static_cast<Wrapping<T>>(b));
}
template <typename T>
T wrapping_subtract(T a, T b) {
  return static_cast<T>(static_cast<Wrapping<T>>(a) - static_cast<Wrapping<T>>(b));
}
template <typename T>
T wrapping_multiply(T a, T b) {
  return static_cast<T>(static_cast<Wrapping<T>>(a) * static_cast<Wrapping<T>>(b));
}

}  // namespace rulec::generic
