// SPDX-License-Identifier: Apache-2.0
#include "runtime/tensor.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "runtime/convert.h"

namespace rulec {

static constexpr std::align_val_t alignment{64};

Tensor Tensor::allocate(DType dtype, Shape shape) {
  RULEC_CHECK(dtype != DType::Undefined);
  const auto count = checked_element_count(shape);
  RULEC_CHECK(count.has_value());
  Tensor out;
  out.dtype_ = dtype;
  out.shape_ = std::move(shape);
  out.size_ = *count;
  if (dtype == DType::String) {
    out.strings_ = std::make_shared<std::vector<std::string>>(static_cast<std::size_t>(out.size_));
    return out;
  }
  // At least one vector's width, so that a kernel may read a whole vector of a small tensor.
  const std::size_t bytes = std::max<std::size_t>(out.byte_size(), 64);
  auto* memory = static_cast<std::byte*>(::operator new(bytes, alignment));
  out.owner_ = std::shared_ptr<const void>(
      memory, [](const void* p) { ::operator delete(const_cast<void*>(p), alignment); });
  out.data_ = memory;
  return out;
}

Tensor Tensor::zeros(DType dtype, Shape shape) {
  Tensor out = allocate(dtype, std::move(shape));
  if (out.data_) std::memset(out.mutable_data<std::byte>(), 0, out.byte_size());
  return out;
}

Tensor Tensor::borrow(DType dtype, Shape shape, std::span<const std::byte> bytes,
                      std::shared_ptr<const void> owner) {
  RULEC_CHECK(dtype != DType::Undefined && dtype != DType::String);
  const auto count = checked_element_count(shape);
  RULEC_CHECK(count.has_value());
  Tensor out;
  out.dtype_ = dtype;
  out.shape_ = std::move(shape);
  out.size_ = *count;
  RULEC_CHECK(bytes.size() == out.byte_size());
  out.data_ = bytes.data();
  out.owner_ = std::move(owner);
  return out;
}

Tensor Tensor::of_strings(Shape shape, std::vector<std::string> strings) {
  Tensor out;
  out.dtype_ = DType::String;
  out.shape_ = std::move(shape);
  out.size_ = static_cast<std::int64_t>(strings.size());
  RULEC_CHECK(checked_element_count(out.shape_) == out.size_);
  out.strings_ = std::make_shared<std::vector<std::string>>(std::move(strings));
  return out;
}

Tensor Tensor::reshaped(Shape shape) const {
  RULEC_CHECK(checked_element_count(shape) == size_);
  Tensor out = *this;
  out.shape_ = std::move(shape);
  return out;
}

double Tensor::number(std::int64_t index) const {
  double value = 0;
  load_numbers(*this, index, {&value, 1});
  return value;
}

std::int64_t Tensor::integer(std::int64_t index) const {
  std::int64_t value = 0;
  load_integers(*this, index, {&value, 1});
  return value;
}

void Tensor::set_number(std::int64_t index, double value) {
  store_numbers(*this, index, {&value, 1});
}

void Tensor::set_integer(std::int64_t index, std::int64_t value) {
  store_integers(*this, index, {&value, 1});
}

std::vector<std::int64_t> Tensor::integers() const {
  std::vector<std::int64_t> out(static_cast<std::size_t>(size_));
  load_integers(*this, 0, out);
  return out;
}

std::vector<double> Tensor::numbers() const {
  std::vector<double> out(static_cast<std::size_t>(size_));
  load_numbers(*this, 0, out);
  return out;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  if (!a.defined()) return true;
  if (a.dtype() == DType::String) return a.strings() == b.strings();
  const auto x = a.bytes();
  const auto y = b.bytes();
  return x.empty() || std::memcmp(x.data(), y.data(), x.size()) == 0;
}

}  // namespace rulec
