// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace rulec {

// Storage types: two bytes that convert to and from float, round to nearest even.
// Conversions of the 8-bit and 4-bit floats are free functions, since their storage is packed bits.
float f16_to_float(std::uint16_t bits);
std::uint16_t float_to_f16(float value);
std::uint16_t double_to_f16(double value);  // one rounding
float bf16_to_float(std::uint16_t bits);
std::uint16_t float_to_bf16(float value);
std::uint16_t double_to_bf16(double value);

struct Float16 {
  std::uint16_t bits = 0;
  Float16() = default;
  explicit Float16(float value) : bits(float_to_f16(value)) {}
  explicit Float16(double value) : bits(double_to_f16(value)) {}
  explicit operator float() const { return f16_to_float(bits); }
  explicit operator double() const { return static_cast<double>(f16_to_float(bits)); }
};

struct BFloat16 {
  std::uint16_t bits = 0;
  BFloat16() = default;
  explicit BFloat16(float value) : bits(float_to_bf16(value)) {}
  explicit BFloat16(double value) : bits(double_to_bf16(value)) {}
  explicit operator float() const { return bf16_to_float(bits); }
  explicit operator double() const { return static_cast<double>(bf16_to_float(bits)); }
};

// f8e4m3fn, f8e4m3fnuz, f8e5m2, f8e5m2fnuz, f8e8m0, f4e2m1 by their DType number.
// `saturate`: values beyond the largest finite one become it, else NaN or infinity.
float small_float_to_float(int dtype, std::uint8_t bits);
std::uint8_t float_to_small_float(int dtype, float value, bool saturate);

}  // namespace rulec
