// SPDX-License-Identifier: Apache-2.0
#include "matcher/type.h"

#include <gtest/gtest.h>

namespace rulec {
namespace {

Type dims(std::vector<Dim> all) {
  return {.kind = Type::Kind::Tensor, .dtype = DType::F32, .dims = std::move(all)};
}

TEST(Type, Prints) {
  EXPECT_EQ(to_string(Type()), "?");
  EXPECT_EQ(to_string(Type::tensor(DType::U8)), "u8[...]");
  EXPECT_EQ(to_string(Type::tensor(DType::F32, {})), "f32[]");
  EXPECT_EQ(to_string(dims({{.size = 1}, {}, {.symbol = "N"}})), "f32[1,?,N]");
  Type sequence{.kind = Type::Kind::Sequence};
  sequence.element = std::make_shared<Type>(Type::tensor(DType::F32));
  EXPECT_EQ(to_string(sequence), "seq(f32[...])");
}

TEST(Type, ProvenEqualNeedsProof) {
  const Type fixed = Type::tensor(DType::F32, {2, 3});
  EXPECT_TRUE(proven_equal(fixed, fixed));
  EXPECT_FALSE(proven_equal(fixed, Type::tensor(DType::F16, {2, 3})));
  EXPECT_FALSE(proven_equal(Type::tensor(DType::F32), Type::tensor(DType::F32)));
  EXPECT_FALSE(proven_equal(dims({{}}), dims({{}})));
  EXPECT_TRUE(proven_equal(dims({{.symbol = "N"}}), dims({{.symbol = "N"}})));
  EXPECT_FALSE(proven_equal(dims({{.symbol = "N"}}), dims({{.symbol = "M"}})));
  EXPECT_FALSE(proven_equal(Type(), Type()));
}

TEST(Type, CompatibleUnlessDenied) {
  EXPECT_TRUE(compatible(Type(), Type::tensor(DType::F32)));
  EXPECT_TRUE(compatible(Type::tensor(DType::F32), Type::tensor(DType::F32, {2})));
  EXPECT_FALSE(compatible(Type::tensor(DType::F32, {3}), Type::tensor(DType::F32, {2})));
  EXPECT_FALSE(compatible(Type::tensor(DType::F32, {3, 1}), Type::tensor(DType::F32, {3})));
  EXPECT_TRUE(compatible(dims({{.symbol = "N"}}), dims({{.size = 4}})));
  EXPECT_FALSE(compatible(Type::tensor(DType::F32), Type::tensor(DType::I32)));
}

TEST(Type, StaticShape) {
  EXPECT_EQ(Type::tensor(DType::F32, {2, 3}).static_shape(), (Shape{2, 3}));
  EXPECT_FALSE(dims({{.symbol = "N"}}).static_shape());
  EXPECT_FALSE(Type::tensor(DType::F32).static_shape());
}

}  // namespace
}  // namespace rulec
