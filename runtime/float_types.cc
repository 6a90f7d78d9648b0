// SPDX-License-Identifier: Apache-2.0
#include "runtime/float_types.h"

#include <bit>
#include <cmath>
#include <limits>

#include "runtime/check.h"
#include "runtime/dtype.h"

namespace rulec {
namespace {

// How a narrow format differs from IEEE's pattern: where its exponent is biased, which magnitude is
// the largest finite one, and which codes mean infinity and NaN (with the sign bit where it
// matters).
struct SmallFormat {
  int mantissa_bits;
  int bias;
  std::uint8_t sign_bit;
  std::uint8_t largest;  // finite magnitude
  int infinity;          // magnitude, or -1
  int nan;               // whole code, or -1
  bool negative_zero;
};

}  // namespace

// The magnitude code of `value` (finite, sign ignored) rounded to nearest even, as if the exponent
// field had no upper end: the caller compares it with its largest code.
static std::uint64_t round_magnitude(double value, int mantissa_bits, int bias) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const int exponent_field = static_cast<int>((bits >> 52) & 0x7FF);
  if (exponent_field == 0) return 0;                  // below every narrow format's least subnormal
  const int exponent = exponent_field - 1023 + bias;  // in the narrow format; < 1: subnormal
  const std::uint64_t significand = (bits & 0xFFFFFFFFFFFFFULL) | (1ULL << 52);
  const int shift = 52 - mantissa_bits + (exponent < 1 ? 1 - exponent : 0);
  if (shift > 53) return 0;
  const std::uint64_t rest = significand & ((1ULL << shift) - 1);
  const std::uint64_t half = 1ULL << (shift - 1);
  std::uint64_t code = significand >> shift;
  if (rest > half || (rest == half && (code & 1) != 0)) ++code;
  // A normal significand carries its leading one, which stands for one step of the exponent.
  if (exponent >= 1) code += static_cast<std::uint64_t>(exponent - 1) << mantissa_bits;
  return code;
}

float f16_to_float(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1FU;
  const std::uint32_t mantissa = bits & 0x3FFU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
  }
  const std::uint32_t wide = exponent == 31 ? 255U : exponent + 112U;
  return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
}

std::uint16_t double_to_f16(double value) {
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | 0x7E00);
  if (std::isinf(value)) return static_cast<std::uint16_t>(sign | 0x7C00);
  const std::uint64_t code = round_magnitude(value, 10, 15);
  return static_cast<std::uint16_t>(sign | (code < 0x7C00 ? code : 0x7C00));
}

std::uint16_t float_to_f16(float value) {
  return double_to_f16(static_cast<double>(value));
}

float bf16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

std::uint16_t double_to_bf16(double value) {
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | 0x7FC0);
  if (std::isinf(value)) return static_cast<std::uint16_t>(sign | 0x7F80);
  const std::uint64_t code = round_magnitude(value, 7, 127);
  return static_cast<std::uint16_t>(sign | (code < 0x7F80 ? code : 0x7F80));
}

std::uint16_t float_to_bf16(float value) {
  return double_to_bf16(static_cast<double>(value));
}

static SmallFormat format_of(int dtype) {
  switch (static_cast<DType>(dtype)) {
    case DType::F8E4M3FN:
      return {3, 7, 0x80, 0x7E, -1, 0x7F, true};
    case DType::F8E4M3FNUZ:
      return {3, 8, 0x80, 0x7F, -1, 0x80, false};
    case DType::F8E5M2:
      return {2, 15, 0x80, 0x7B, 0x7C, 0x7E, true};
    case DType::F8E5M2FNUZ:
      return {2, 16, 0x80, 0x7F, -1, 0x80, false};
    case DType::F4E2M1:
      return {1, 1, 0x8, 0x7, -1, -1, true};
    default:
      RULEC_CHECK(!"a format of at most 8 bits");
  }
}

float small_float_to_float(int dtype, std::uint8_t bits) {
  if (static_cast<DType>(dtype) == DType::F8E8M0) {
    return bits == 0xFF ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0F, bits - 127);
  }
  const SmallFormat format = format_of(dtype);
  const bool negative = (bits & format.sign_bit) != 0;
  const int magnitude = bits & (format.sign_bit - 1);
  if (magnitude > format.largest || static_cast<int>(bits) == format.nan) {
    if (magnitude != format.infinity) return std::numeric_limits<float>::quiet_NaN();
    const float infinity = std::numeric_limits<float>::infinity();
    return negative ? -infinity : infinity;
  }
  const int exponent = magnitude >> format.mantissa_bits;
  int mantissa = magnitude & ((1 << format.mantissa_bits) - 1);
  if (exponent > 0) mantissa += 1 << format.mantissa_bits;
  const int scale = (exponent > 0 ? exponent : 1) - format.bias - format.mantissa_bits;
  const float value = std::ldexp(static_cast<float>(mantissa), scale);
  return negative ? -value : value;
}

// A power of two, rounded up; the sign is dropped and zero becomes the least one.
static std::uint8_t float_to_power_of_two(float value, bool saturate) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t exponent = (bits >> 23) & 0xFFU;
  if (exponent == 0xFF) return 0xFF;
  const bool up = (bits & 0x7FFFFFU) != 0 && !(saturate && exponent == 0xFE);
  return static_cast<std::uint8_t>(exponent + (up ? 1U : 0U));
}

std::uint8_t float_to_small_float(int dtype, float value, bool saturate) {
  if (static_cast<DType>(dtype) == DType::F8E8M0) return float_to_power_of_two(value, saturate);
  const SmallFormat format = format_of(dtype);
  const int sign = std::signbit(value) ? format.sign_bit : 0;
  if (std::isnan(value)) {
    if (format.nan < 0) return format.sign_bit;  // no NaN: the formats' convention is minus zero
    const bool signless = format.nan == format.sign_bit;
    return static_cast<std::uint8_t>(signless ? format.nan : format.nan | sign);
  }
  std::uint64_t code = std::isinf(value) ? std::uint64_t{0xFF}
                                         : round_magnitude(static_cast<double>(value),
                                                           format.mantissa_bits, format.bias);
  if (code > format.largest) {
    if (saturate || (format.infinity < 0 && format.nan < 0)) {
      code = format.largest;
    } else if (format.infinity >= 0) {
      code = static_cast<std::uint64_t>(format.infinity);
    } else {
      const bool signless = format.nan == format.sign_bit;
      return static_cast<std::uint8_t>(signless ? format.nan : format.nan | sign);
    }
  }
  if (code == 0 && !format.negative_zero) return 0;
  return static_cast<std::uint8_t>(sign | static_cast<int>(code));
}

}  // namespace rulec
