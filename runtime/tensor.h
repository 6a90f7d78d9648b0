// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/check.h"
#include "runtime/dtype.h"
#include "runtime/float_types.h"
#include "runtime/shape.h"

namespace rulec {

// A dense row-major array: an element type, a shape, and bytes that are owned, shared or borrowed
// (a weight in a mapped file). Copies share the bytes. Not a view with strides.
//
//   auto t = Tensor::zeros(DType::F32, {2, 3});
//   t.mutable_data<float>()[0] = 1;
class Tensor {
 public:
  Tensor() = default;

  // Uninitialised memory (64-byte aligned); strings start empty.
  static Tensor allocate(DType dtype, Shape shape);
  static Tensor zeros(DType dtype, Shape shape);
  // Bytes that live elsewhere for as long as `owner` does (or for ever, when it is null).
  // bytes.size() must be byte_size(dtype, element_count(shape)).
  static Tensor borrow(DType dtype, Shape shape, std::span<const std::byte> bytes,
                       std::shared_ptr<const void> owner);
  static Tensor of_strings(Shape shape, std::vector<std::string> strings);

  template <typename T>
  static Tensor scalar(T value);
  template <typename T>
  static Tensor of(Shape shape, std::span<const T> values);

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::size_t rank() const { return shape_.size(); }
  std::int64_t dim(std::size_t axis) const { return shape_[axis]; }
  std::int64_t size() const { return size_; }
  std::size_t byte_size() const { return rulec::byte_size(dtype_, size_); }
  bool defined() const { return dtype_ != DType::Undefined; }

  std::span<const std::byte> bytes() const { return {data_, byte_size()}; }
  template <typename T>
  const T* data() const {
    return reinterpret_cast<const T*>(data_);
  }
  // Only for a tensor that was just allocated and has not been copied.
  template <typename T>
  T* mutable_data() {
    return reinterpret_cast<T*>(const_cast<std::byte*>(data_));
  }
  const std::vector<std::string>& strings() const { return *strings_; }
  std::vector<std::string>& mutable_strings() { return *strings_; }

  // The same bytes under another shape of the same element count.
  Tensor reshaped(Shape shape) const;

  // One element, converted: for shapes, axes, thresholds and tests, not for bulk work.
  double number(std::int64_t index) const;
  std::int64_t integer(std::int64_t index) const;
  void set_number(std::int64_t index, double value);
  void set_integer(std::int64_t index, std::int64_t value);

  // All elements of a (small) integer tensor, such as a shape or axes.
  std::vector<std::int64_t> integers() const;
  // All elements converted to double.
  std::vector<double> numbers() const;

 private:
  DType dtype_ = DType::Undefined;
  Shape shape_;
  std::int64_t size_ = 0;
  const std::byte* data_ = nullptr;
  std::shared_ptr<const void> owner_;
  std::shared_ptr<std::vector<std::string>> strings_;
};

// Bit for bit: dtype, shape and bytes (so NaN equals the same NaN, and 0 differs from -0).
bool same_bits(const Tensor& a, const Tensor& b);

// Every element converted to `dtype` by ONNX's Cast rules (`saturate` for the 8-bit floats;
// float to integer truncates).
Tensor convert(const Tensor& tensor, DType dtype, bool saturate = true);

template <typename T>
constexpr DType dtype_for = DType::Undefined;
template <>
inline constexpr DType dtype_for<float> = DType::F32;
template <>
inline constexpr DType dtype_for<double> = DType::F64;
template <>
inline constexpr DType dtype_for<bool> = DType::Bool;
template <>
inline constexpr DType dtype_for<std::uint8_t> = DType::U8;
template <>
inline constexpr DType dtype_for<std::int8_t> = DType::I8;
template <>
inline constexpr DType dtype_for<std::uint16_t> = DType::U16;
template <>
inline constexpr DType dtype_for<std::int16_t> = DType::I16;
template <>
inline constexpr DType dtype_for<std::uint32_t> = DType::U32;
template <>
inline constexpr DType dtype_for<std::int32_t> = DType::I32;
template <>
inline constexpr DType dtype_for<std::uint64_t> = DType::U64;
template <>
inline constexpr DType dtype_for<std::int64_t> = DType::I64;
template <>
inline constexpr DType dtype_for<Float16> = DType::F16;
template <>
inline constexpr DType dtype_for<BFloat16> = DType::BF16;

template <typename T>
Tensor Tensor::of(Shape shape, std::span<const T> values) {
  static_assert(dtype_for<T> != DType::Undefined);
  Tensor out = allocate(dtype_for<T>, std::move(shape));
  RULEC_CHECK(out.size() == static_cast<std::int64_t>(values.size()));
  std::copy(values.begin(), values.end(), out.template mutable_data<T>());
  return out;
}

template <typename T>
Tensor Tensor::scalar(T value) {
  return of<T>({}, std::span<const T>(&value, 1));
}

}  // namespace rulec
