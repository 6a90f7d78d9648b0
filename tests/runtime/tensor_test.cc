// SPDX-License-Identifier: Apache-2.0
#include "runtime/tensor.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

namespace rulec {
namespace {

Tensor numbers(DType dtype, const std::vector<double>& values) {
  Tensor t = Tensor::allocate(dtype, {static_cast<std::int64_t>(values.size())});
  for (std::size_t i = 0; i < values.size(); ++i) {
    t.set_number(static_cast<std::int64_t>(i), values[i]);
  }
  return t;
}

TEST(Tensors, AreAlignedAndShareBytesWhenCopied) {
  Tensor t = Tensor::zeros(DType::F32, {2, 3});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(t.data<float>()) % 64, 0U);
  EXPECT_EQ(t.number(5), 0);
  t.mutable_data<float>()[5] = 7;
  const Tensor copy = t;
  EXPECT_EQ(copy.data<float>(), t.data<float>());
  EXPECT_EQ(copy.number(5), 7);
  const Tensor other = t.reshaped({6});
  EXPECT_EQ(other.shape(), (Shape{6}));
  EXPECT_EQ(other.data<float>(), t.data<float>());
}

TEST(Tensors, BorrowBytesAndKeepTheirOwnerAlive) {
  auto owner = std::make_shared<std::array<std::int32_t, 2>>(std::array<std::int32_t, 2>{5, -6});
  std::weak_ptr<std::array<std::int32_t, 2>> watch = owner;
  Tensor t =
      Tensor::borrow(DType::I32, {2}, std::as_bytes(std::span<const std::int32_t>(*owner)), owner);
  owner.reset();
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(t.integers(), (std::vector<std::int64_t>{5, -6}));
  t = Tensor();
  EXPECT_TRUE(watch.expired());
  EXPECT_FALSE(t.defined());
}

TEST(Tensors, ScalarsZeroSizesAndStrings) {
  EXPECT_EQ(Tensor::scalar<std::int64_t>(-3).integer(0), -3);
  EXPECT_EQ(Tensor::scalar(true).dtype(), DType::Bool);
  EXPECT_EQ(Tensor::zeros(DType::I4, {0, 3}).size(), 0);
  const Tensor s = Tensor::of_strings({2}, {"a", "b"});
  EXPECT_EQ(s.strings()[1], "b");
  EXPECT_TRUE(same_bits(s, Tensor::of_strings({2}, {"a", "b"})));
  EXPECT_FALSE(same_bits(s, Tensor::of_strings({2}, {"a", "c"})));
}

TEST(Tensors, PackFourAndTwoBitElementsLowFirst) {
  Tensor t = numbers(DType::I4, {1, -2, 7});
  EXPECT_EQ(t.bytes().size(), 2U);
  EXPECT_EQ(static_cast<int>(t.bytes()[0]), 0xE1);
  EXPECT_EQ(static_cast<int>(t.bytes()[1]), 0x07);
  EXPECT_EQ(t.integers(), (std::vector<std::int64_t>{1, -2, 7}));
  Tensor u = numbers(DType::U2, {0, 1, 2, 3, 1});
  EXPECT_EQ(static_cast<int>(u.bytes()[0]), 0xE4);
  EXPECT_EQ(u.numbers(), (std::vector<double>{0, 1, 2, 3, 1}));
}

TEST(Tensors, SameBitsIsStrict) {
  EXPECT_FALSE(same_bits(Tensor::scalar(0.0F), Tensor::scalar(-0.0F)));
  EXPECT_TRUE(same_bits(Tensor::scalar(std::nanf("")), Tensor::scalar(std::nanf(""))));
  EXPECT_FALSE(same_bits(Tensor::scalar(1.0F), Tensor::scalar(1.0)));
  EXPECT_FALSE(same_bits(Tensor::zeros(DType::F32, {1}), Tensor::zeros(DType::F32, {})));
}

TEST(Convert, FloatsTruncateToIntegers) {
  const Tensor x = numbers(DType::F32, {1.9, -1.9, 0.5, 255.5, -0.1});
  EXPECT_EQ(convert(x, DType::I32).integers(), (std::vector<std::int64_t>{1, -1, 0, 255, 0}));
  EXPECT_EQ(convert(x, DType::U8).integers(), (std::vector<std::int64_t>{1, 255, 0, 255, 0}));
  EXPECT_EQ(convert(x, DType::Bool).integers(), (std::vector<std::int64_t>{1, 1, 1, 1, 1}));
}

TEST(Convert, OutOfRangeIsTheSameEverywhere) {
  const double inf = std::numeric_limits<double>::infinity();
  const Tensor x = numbers(DType::F64, {std::nan(""), inf, -inf, 3e9});
  EXPECT_EQ(convert(x, DType::I32).integers(), std::vector<std::int64_t>(4, INT32_MIN));
  EXPECT_EQ(convert(x, DType::I64).integers(),
            (std::vector<std::int64_t>{INT64_MIN, INT64_MIN, INT64_MIN, 3000000000}));
  EXPECT_EQ(convert(x, DType::I8).integers(), (std::vector<std::int64_t>{0, 0, 0, 0}));
}

TEST(Convert, SixtyFourBitIntegersStayExact) {
  const std::vector<std::int64_t> values = {INT64_MIN, INT64_MAX, (1LL << 53) + 1};
  const Tensor x = Tensor::of<std::int64_t>({3}, values);
  EXPECT_EQ(convert(x, DType::U64).data<std::uint64_t>()[2], (1ULL << 53) + 1);
  EXPECT_EQ(convert(convert(x, DType::U64), DType::I64).integers(), values);
  const Tensor big = Tensor::scalar<std::uint64_t>(UINT64_MAX);
  EXPECT_EQ(convert(big, DType::F32).number(0), 0x1p64);
  EXPECT_EQ(convert(big, DType::Bool).number(0), 1);
  EXPECT_EQ(convert(Tensor::scalar<float>(0x1p63F), DType::U64).data<std::uint64_t>()[0],
            1ULL << 63);
  EXPECT_EQ(convert(x, DType::I16).integers(), (std::vector<std::int64_t>{0, -1, 1}));
}

TEST(Convert, LongTensorsGoThroughSeveralChunks) {
  Tensor x = Tensor::allocate(DType::F16, {3001});
  for (std::int64_t i = 0; i < x.size(); ++i)
    x.set_number(i, static_cast<double>(i % 2048));
  const Tensor y = convert(x, DType::I32);
  for (std::int64_t i = 0; i < y.size(); ++i)
    ASSERT_EQ(y.data<std::int32_t>()[i], i % 2048);
  EXPECT_TRUE(same_bits(convert(y, DType::F16), x));
}

TEST(Convert, EightBitFloatsSaturateOnRequest) {
  const Tensor x = numbers(DType::F32, {1000, -1000, 1});
  EXPECT_EQ(convert(x, DType::F8E4M3FN).numbers(), (std::vector<double>{448, -448, 1}));
  const Tensor y = convert(x, DType::F8E4M3FN, false);
  EXPECT_TRUE(std::isnan(y.number(0)));
  EXPECT_EQ(y.number(2), 1);
}

// Weights are views of a mapped file, where nothing is aligned.
TEST(Convert, ElementsMayLieAnywhere) {
  for (const DType dtype : {DType::F64, DType::F32, DType::F16, DType::BF16, DType::I64, DType::U32,
                            DType::I16, DType::C128, DType::C64}) {
    const Tensor straight = numbers(dtype, {3, -2, 1});
    std::vector<std::byte> bytes(straight.byte_size() + 1);
    std::memcpy(bytes.data() + 1, straight.bytes().data(), straight.byte_size());
    const Tensor askew = Tensor::borrow(dtype, {3}, std::span(bytes).subspan(1), nullptr);
    EXPECT_EQ(askew.numbers(), straight.numbers()) << name(dtype);
    EXPECT_EQ(askew.number(1), straight.number(1)) << name(dtype);
    if (is_complex(dtype)) continue;
    EXPECT_EQ(askew.integers(), straight.integers()) << name(dtype);
    EXPECT_TRUE(same_bits(convert(askew, DType::F64), convert(straight, DType::F64)));
  }
}

}  // namespace
}  // namespace rulec
