// SPDX-License-Identifier: Apache-2.0
#include "runtime/float_types.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/dtype.h"

namespace rulec {
namespace {

// A format as the standards' tables give it; the value of every code is computed by powers of two.
struct Table {
  DType dtype;
  int bits, exponent_bits, mantissa_bits, bias;
  bool infinities;            // IEEE's: the top exponent holds infinities and NaN
  int nan_from;               // least magnitude code that is no finite number (without infinities)
  bool negative_zero_is_nan;  // the "uz" formats
};

const Table f16{DType::F16, 16, 5, 10, 15, true, 0, false};
const Table bf16{DType::BF16, 16, 8, 7, 127, true, 0, false};
const std::vector<Table> small_formats = {
    {DType::F8E4M3FN, 8, 4, 3, 7, false, 0x7F, false},
    {DType::F8E4M3FNUZ, 8, 4, 3, 8, false, 0x80, true},
    {DType::F8E5M2, 8, 5, 2, 15, true, 0, false},
    {DType::F8E5M2FNUZ, 8, 5, 2, 16, false, 0x80, true},
    {DType::F4E2M1, 4, 2, 1, 1, false, 0x8, false},
};

double slow_value(const Table& t, int code) {
  const int sign_bit = 1 << (t.bits - 1);
  const int magnitude = code & (sign_bit - 1);
  const double sign = (code & sign_bit) != 0 ? -1 : 1;
  const int exponent = magnitude / (1 << t.mantissa_bits);
  const double fraction = static_cast<double>(magnitude % (1 << t.mantissa_bits)) /
                          static_cast<double>(1 << t.mantissa_bits);
  if (t.negative_zero_is_nan && code == sign_bit) return std::nan("");
  if (t.infinities && exponent == (1 << t.exponent_bits) - 1) {
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  }
  if (!t.infinities && magnitude >= t.nan_from) return std::nan("");
  if (exponent == 0) return sign * fraction * std::pow(2.0, 1 - t.bias);
  return sign * (1 + fraction) * std::pow(2.0, exponent - t.bias);
}

bool same_number(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b && std::signbit(a) == std::signbit(b);
}

// Finite magnitudes in order of their codes, which is the order of their values.
std::vector<double> finite_magnitudes(const Table& t) {
  std::vector<double> values;
  for (int code = 0; code < 1 << (t.bits - 1); ++code) {
    const double value = slow_value(t, code);
    if (std::isfinite(value)) values.push_back(value);
  }
  return values;
}

TEST(HalfFloats, EveryCodeHasItsValueAndComesBack) {
  for (int code = 0; code < 65536; ++code) {
    const auto bits = static_cast<std::uint16_t>(code);
    const double half = slow_value(f16, code);
    const double brain = slow_value(bf16, code);
    ASSERT_TRUE(same_number(half, static_cast<double>(f16_to_float(bits)))) << code;
    ASSERT_TRUE(same_number(brain, static_cast<double>(bf16_to_float(bits)))) << code;
    if (!std::isnan(half)) {
      ASSERT_EQ(double_to_f16(half), bits);
      ASSERT_EQ(float_to_f16(static_cast<float>(half)), bits);
    }
    if (!std::isnan(brain)) {
      ASSERT_EQ(double_to_bf16(brain), bits);
      ASSERT_EQ(float_to_bf16(static_cast<float>(brain)), bits);
    }
  }
  EXPECT_TRUE(std::isnan(f16_to_float(float_to_f16(std::nanf("")))));
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(std::nanf("")))));
}

// Between two neighbours: just below the middle goes down, just above goes up, the middle to the
// even code.
template <typename Encode>
void check_rounding(const Table& t, Encode encode) {
  const std::vector<double> values = finite_magnitudes(t);
  for (std::size_t i = 0; i + 1 < values.size(); ++i) {
    const double middle = (values[i] + values[i + 1]) / 2;
    const auto below = static_cast<int>(i), above = static_cast<int>(i + 1);
    const int even = below % 2 == 0 ? below : above;
    ASSERT_EQ(encode(std::nextafter(middle, 0.0)), below) << name(t.dtype) << ' ' << middle;
    ASSERT_EQ(encode(std::nextafter(middle, 1e300)), above) << name(t.dtype) << ' ' << middle;
    ASSERT_EQ(encode(middle), even) << name(t.dtype) << ' ' << middle;
  }
}

TEST(HalfFloats, RoundToNearestEvenOnce) {
  check_rounding(f16, [](double v) { return static_cast<int>(double_to_f16(v)); });
  check_rounding(bf16, [](double v) { return static_cast<int>(double_to_bf16(v)); });
  // Through float this would round twice, to 0x3C00.
  EXPECT_EQ(double_to_f16(1 + 0x1p-11 + 0x1p-40), 0x3C01);
}

TEST(HalfFloats, OverflowToInfinity) {
  EXPECT_EQ(double_to_f16(65519.99), 0x7BFF);
  EXPECT_EQ(double_to_f16(65520), 0x7C00);
  EXPECT_EQ(double_to_f16(-1e300), 0xFC00);
  EXPECT_EQ(double_to_bf16(1e300), 0x7F80);
  EXPECT_EQ(double_to_f16(-1e-300), 0x8000);
}

TEST(SmallFloats, EveryCodeHasItsValueAndComesBack) {
  for (const Table& t : small_formats) {
    for (int code = 0; code < 1 << t.bits; ++code) {
      const auto bits = static_cast<std::uint8_t>(code);
      const float value = small_float_to_float(static_cast<int>(t.dtype), bits);
      const double slow = slow_value(t, code);
      ASSERT_TRUE(same_number(slow, static_cast<double>(value))) << name(t.dtype) << ' ' << code;
      if (std::isfinite(slow)) {
        ASSERT_EQ(float_to_small_float(static_cast<int>(t.dtype), value, false), bits)
            << name(t.dtype);
      }
    }
  }
}

TEST(SmallFloats, RoundToNearestEven) {
  for (const Table& t : small_formats) {
    const std::vector<double> values = finite_magnitudes(t);
    for (std::size_t i = 0; i + 1 < values.size(); ++i) {
      const auto middle = static_cast<float>((values[i] + values[i + 1]) / 2);
      const auto encode = [&](float v) {
        return static_cast<std::size_t>(float_to_small_float(static_cast<int>(t.dtype), v, true));
      };
      ASSERT_EQ(encode(std::nextafter(middle, 0.0F)), i) << name(t.dtype);
      ASSERT_EQ(encode(std::nextafter(middle, 1e30F)), i + 1) << name(t.dtype);
      ASSERT_EQ(encode(middle), i % 2 == 0 ? i : i + 1) << name(t.dtype);
    }
  }
}

TEST(SmallFloats, BeyondTheLargest) {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto encode = [](DType dtype, float v, bool saturate) {
    return static_cast<int>(float_to_small_float(static_cast<int>(dtype), v, saturate));
  };
  EXPECT_EQ(encode(DType::F8E4M3FN, 1e9F, true), 0x7E);
  EXPECT_EQ(encode(DType::F8E4M3FN, -infinity, true), 0xFE);
  EXPECT_EQ(encode(DType::F8E4M3FN, 1e9F, false), 0x7F);
  EXPECT_EQ(encode(DType::F8E4M3FNUZ, 1e9F, true), 0x7F);
  EXPECT_EQ(encode(DType::F8E4M3FNUZ, infinity, false), 0x80);
  EXPECT_EQ(encode(DType::F8E5M2, infinity, true), 0x7B);
  EXPECT_EQ(encode(DType::F8E5M2, -1e9F, false), 0xFC);
  EXPECT_EQ(encode(DType::F8E5M2FNUZ, 1e9F, false), 0x80);
  EXPECT_EQ(encode(DType::F8E5M2FNUZ, -1e-9F, true), 0x00) << "there is no minus zero";
  EXPECT_EQ(encode(DType::F4E2M1, -infinity, true), 0xF);
  for (const Table& t : small_formats) {
    if (t.dtype == DType::F4E2M1) continue;
    const int code = encode(t.dtype, std::nanf(""), true);
    EXPECT_TRUE(std::isnan(
        small_float_to_float(static_cast<int>(t.dtype), static_cast<std::uint8_t>(code))));
  }
}

TEST(SmallFloats, PowersOfTwoRoundUp) {
  const int e8m0 = static_cast<int>(DType::F8E8M0);
  for (int code = 1; code < 255; ++code) {
    const float value = std::ldexp(1.0F, code - 127);
    EXPECT_EQ(small_float_to_float(e8m0, static_cast<std::uint8_t>(code)), value);
    EXPECT_EQ(float_to_small_float(e8m0, value, true), code);
  }
  EXPECT_EQ(float_to_small_float(e8m0, 1.25F, true), 128);
  EXPECT_EQ(float_to_small_float(e8m0, 3e38F, true), 254);
  EXPECT_TRUE(std::isnan(small_float_to_float(e8m0, 0xFF)));
}

}  // namespace
}  // namespace rulec
