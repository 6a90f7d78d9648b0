// SPDX-License-Identifier: Apache-2.0
#include "runtime/dtype.h"

#include <gtest/gtest.h>

namespace rulec {
namespace {

TEST(DTypeNames, RoundTrip) {
  for (int i = 1; i <= 26; ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(dtype_of(name(dtype)), dtype) << name(dtype);
  }
  EXPECT_EQ(name(DType::F32), "f32");
  EXPECT_EQ(name(DType::F8E4M3FN), "f8e4m3fn");
  EXPECT_EQ(name(DType::I2), "i2");
  EXPECT_EQ(dtype_of("float"), std::nullopt);
  EXPECT_EQ(dtype_of("undefined"), std::nullopt);
}

TEST(DTypeSizes, PackedTypesRoundUpToBytes) {
  EXPECT_EQ(byte_size(DType::F32, 3), 12U);
  EXPECT_EQ(byte_size(DType::C128, 2), 32U);
  EXPECT_EQ(byte_size(DType::I4, 3), 2U);
  EXPECT_EQ(byte_size(DType::F4E2M1, 4), 2U);
  EXPECT_EQ(byte_size(DType::U2, 5), 2U);
  EXPECT_EQ(byte_size(DType::I4, 0), 0U);
  EXPECT_EQ(byte_size(DType::String, 9), 0U);
}

TEST(DTypeKinds, PartitionTheTypes) {
  int floats = 0, integers = 0, signed_integers = 0, complexes = 0;
  for (int i = 0; i <= 26; ++i) {
    const auto dtype = static_cast<DType>(i);
    floats += is_float(dtype);
    integers += is_integer(dtype);
    signed_integers += is_signed_integer(dtype);
    complexes += is_complex(dtype);
    EXPECT_LE(is_float(dtype) + is_integer(dtype) + is_complex(dtype), 1);
  }
  EXPECT_EQ(floats, 10);
  EXPECT_EQ(integers, 12);
  EXPECT_EQ(signed_integers, 6);
  EXPECT_EQ(complexes, 2);
}

}  // namespace
}  // namespace rulec
