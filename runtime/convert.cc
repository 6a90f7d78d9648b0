// SPDX-License-Identifier: Apache-2.0
#include "runtime/convert.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <type_traits>

namespace rulec {

std::int64_t truncate_to_integer(double value) {
  if (!(value >= -0x1p63 && value < 0x1p63)) return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(value);
}

template <typename T>
static T number_to_integer(double value) {
  if constexpr (std::is_same_v<T, std::uint64_t>) {
    if (value >= 0x1p63 && value < 0x1p64) return static_cast<std::uint64_t>(value);
    return static_cast<std::uint64_t>(truncate_to_integer(value));
  } else if constexpr (sizeof(T) >= 8 || std::is_same_v<T, std::uint32_t>) {
    return static_cast<T>(truncate_to_integer(value));
  } else {
    const bool fits = value > -0x1p31 - 1 && value < 0x1p31;
    const auto wide =
        fits ? static_cast<std::int32_t>(value) : std::numeric_limits<std::int32_t>::min();
    return static_cast<T>(wide);
  }
}

// Calls `use` with a null pointer of the type whose plain array the tensor's bytes are; false for
// packed and 8-bit float types, strings and complex numbers.
template <typename Use>
static bool with_plain_type(DType dtype, Use use) {
  switch (dtype) {
    case DType::F32:
      return use(static_cast<float*>(nullptr)), true;
    case DType::F64:
      return use(static_cast<double*>(nullptr)), true;
    case DType::F16:
      return use(static_cast<Float16*>(nullptr)), true;
    case DType::BF16:
      return use(static_cast<BFloat16*>(nullptr)), true;
    case DType::U8:
      return use(static_cast<std::uint8_t*>(nullptr)), true;
    case DType::I8:
      return use(static_cast<std::int8_t*>(nullptr)), true;
    case DType::U16:
      return use(static_cast<std::uint16_t*>(nullptr)), true;
    case DType::I16:
      return use(static_cast<std::int16_t*>(nullptr)), true;
    case DType::U32:
      return use(static_cast<std::uint32_t*>(nullptr)), true;
    case DType::I32:
      return use(static_cast<std::int32_t*>(nullptr)), true;
    case DType::U64:
      return use(static_cast<std::uint64_t*>(nullptr)), true;
    case DType::I64:
      return use(static_cast<std::int64_t*>(nullptr)), true;
    default:
      return false;
  }
}

// A weight in a mapped file may lie anywhere.
template <typename T>
static T load(const Tensor& tensor, std::int64_t index) {
  T value;
  std::memcpy(&value, tensor.data<std::byte>() + static_cast<std::size_t>(index) * sizeof(T),
              sizeof(T));
  return value;
}

static std::uint8_t load_bits(const Tensor& tensor, std::int64_t index) {
  const int width = bit_width(tensor.dtype());
  const auto* bytes = tensor.data<std::uint8_t>();
  if (width == 8) return bytes[index];
  const std::int64_t bit = index * width;
  return static_cast<std::uint8_t>((bytes[bit / 8] >> (bit % 8)) & ((1 << width) - 1));
}

static void store_bits(Tensor& tensor, std::int64_t index, std::uint8_t bits) {
  const int width = bit_width(tensor.dtype());
  auto* bytes = tensor.mutable_data<std::uint8_t>();
  if (width == 8) {
    bytes[index] = bits;
    return;
  }
  const std::int64_t bit = index * width;
  const int shift = static_cast<int>(bit % 8);
  const int mask = (1 << width) - 1;
  // The first element of a byte clears it, so that the padding behind the last one is zero.
  const int kept = shift == 0 ? 0 : bytes[bit / 8] & ~(mask << shift);
  bytes[bit / 8] = static_cast<std::uint8_t>(kept | ((bits & mask) << shift));
}

static std::int64_t load_narrow_integer(const Tensor& tensor, std::int64_t index) {
  const int bits = load_bits(tensor, index);
  const int width = bit_width(tensor.dtype());
  const bool negative = is_signed_integer(tensor.dtype()) && (bits >> (width - 1)) != 0;
  return negative ? bits - (1 << width) : bits;
}

static void check_range(const Tensor& tensor, std::int64_t first, std::size_t count) {
  RULEC_CHECK(tensor.dtype() != DType::String);
  RULEC_CHECK(first >= 0 && first + static_cast<std::int64_t>(count) <= tensor.size());
}

void load_numbers(const Tensor& tensor, std::int64_t first, std::span<double> out) {
  check_range(tensor, first, out.size());
  const bool plain = with_plain_type(tensor.dtype(), [&]<typename T>(T*) {
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<double>(load<T>(tensor, first + static_cast<std::int64_t>(i)));
  });
  if (plain) return;
  const DType dtype = tensor.dtype();
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t index = first + static_cast<std::int64_t>(i);
    if (dtype == DType::Bool) {
      out[i] = load_bits(tensor, index) != 0 ? 1 : 0;
    } else if (dtype == DType::C64) {
      out[i] = static_cast<double>(load<std::complex<float>>(tensor, index).real());
    } else if (dtype == DType::C128) {
      out[i] = load<std::complex<double>>(tensor, index).real();
    } else if (is_float(dtype)) {
      out[i] = static_cast<double>(
          small_float_to_float(static_cast<int>(dtype), load_bits(tensor, index)));
    } else {
      out[i] = static_cast<double>(load_narrow_integer(tensor, index));
    }
  }
}

void store_numbers(Tensor& tensor, std::int64_t first, std::span<const double> values,
                   bool saturate) {
  check_range(tensor, first, values.size());
  const bool plain = with_plain_type(tensor.dtype(), [&]<typename T>(T*) {
    T* to = tensor.mutable_data<T>() + first;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if constexpr (std::is_integral_v<T>) {
        to[i] = number_to_integer<T>(values[i]);
      } else {
        to[i] = static_cast<T>(values[i]);
      }
    }
  });
  if (plain) return;
  const DType dtype = tensor.dtype();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::int64_t index = first + static_cast<std::int64_t>(i);
    if (dtype == DType::Bool) {
      store_bits(tensor, index, values[i] != 0 ? 1 : 0);
    } else if (dtype == DType::C64) {
      tensor.mutable_data<std::complex<float>>()[index] = static_cast<float>(values[i]);
    } else if (dtype == DType::C128) {
      tensor.mutable_data<std::complex<double>>()[index] = values[i];
    } else if (is_float(dtype)) {
      const auto value = static_cast<float>(values[i]);
      store_bits(tensor, index, float_to_small_float(static_cast<int>(dtype), value, saturate));
    } else {
      store_bits(tensor, index,
                 static_cast<std::uint8_t>(number_to_integer<std::int32_t>(values[i]) & 0xFF));
    }
  }
}

void load_integers(const Tensor& tensor, std::int64_t first, std::span<std::int64_t> out) {
  check_range(tensor, first, out.size());
  const bool plain = with_plain_type(tensor.dtype(), [&]<typename T>(T*) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const T from = load<T>(tensor, first + static_cast<std::int64_t>(i));
      if constexpr (std::is_integral_v<T>) {
        out[i] = static_cast<std::int64_t>(from);
      } else {
        out[i] = truncate_to_integer(static_cast<double>(from));
      }
    }
  });
  if (plain) return;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t index = first + static_cast<std::int64_t>(i);
    if (is_integer(tensor.dtype())) {
      out[i] = load_narrow_integer(tensor, index);
    } else {
      out[i] = truncate_to_integer(tensor.number(index));
    }
  }
}

void store_integers(Tensor& tensor, std::int64_t first, std::span<const std::int64_t> values) {
  check_range(tensor, first, values.size());
  const bool plain = with_plain_type(tensor.dtype(), [&]<typename T>(T*) {
    T* to = tensor.mutable_data<T>() + first;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if constexpr (std::is_integral_v<T> || std::is_floating_point_v<T>) {
        to[i] = static_cast<T>(values[i]);
      } else {
        to[i] = T(static_cast<double>(values[i]));
      }
    }
  });
  if (plain) return;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::int64_t index = first + static_cast<std::int64_t>(i);
    if (tensor.dtype() == DType::Bool || !is_integer(tensor.dtype())) {
      tensor.set_number(index, static_cast<double>(values[i]));
    } else {
      store_bits(tensor, index, static_cast<std::uint8_t>(values[i] & 0xFF));
    }
  }
}

static Tensor convert_complex(const Tensor& tensor, DType dtype) {
  Tensor out = Tensor::allocate(dtype, tensor.shape());
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    if (dtype == DType::C128) {
      const auto value = load<std::complex<float>>(tensor, i);
      out.mutable_data<std::complex<double>>()[i] = std::complex<double>(value);
    } else {
      const auto value = load<std::complex<double>>(tensor, i);
      out.mutable_data<std::complex<float>>()[i] = std::complex<float>(value);
    }
  }
  return out;
}

Tensor convert(const Tensor& tensor, DType dtype, bool saturate) {
  if (tensor.dtype() == dtype) return tensor;
  RULEC_CHECK(tensor.dtype() != DType::String && dtype != DType::String);
  if (is_complex(tensor.dtype()) && is_complex(dtype)) return convert_complex(tensor, dtype);
  Tensor out = Tensor::allocate(dtype, tensor.shape());
  constexpr std::int64_t chunk = 1024;
  // 64-bit integers do not fit a double, so integers travel as integers; u64 to a float type is
  // the one pair that must not, since its upper half would turn negative.
  const bool as_integers =
      is_integer(tensor.dtype()) && (tensor.dtype() != DType::U64 || is_integer(dtype));
  std::array<double, chunk> numbers;
  std::array<std::int64_t, chunk> integers;
  for (std::int64_t first = 0; first < tensor.size(); first += chunk) {
    const auto count = static_cast<std::size_t>(std::min(chunk, tensor.size() - first));
    if (as_integers && dtype != DType::Bool) {
      load_integers(tensor, first, {integers.data(), count});
      store_integers(out, first, {integers.data(), count});
    } else {
      load_numbers(tensor, first, {numbers.data(), count});
      store_numbers(out, first, {numbers.data(), count}, saturate);
    }
  }
  return out;
}

}  // namespace rulec
