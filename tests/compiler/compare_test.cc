// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/compare.h"

#include <array>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "compiler/command/interface.h"
#include "matcher/onnx_io.h"

namespace rulec::command {
namespace {

Tensor floats(std::vector<float> values) {
  return Tensor::of<float>({static_cast<std::int64_t>(values.size())},
                           std::span<const float>(values));
}

OutputDifference compare(const Value& a, const Value& b) {
  return difference("y", a, b, 1e-3, 1e-5);
}

Formal formal(std::string name, DType dtype, std::vector<Dim> dims) {
  return {std::move(name),
          {.kind = Type::Kind::Tensor, .dtype = dtype, .dims = std::move(dims)},
          false};
}

TEST(Difference, EqualValuesAreEqual) {
  const auto out = compare(floats({1, -2, 0}), floats({1, -2, 0}));
  EXPECT_TRUE(out.ok);
  EXPECT_EQ(out.max_abs, 0);
  EXPECT_EQ(out.rel_l2, 0);
  EXPECT_NEAR(out.cosine, 1, 1e-12);
}

TEST(Difference, MeasuresWhatDiffers) {
  const auto out = compare(floats({3, 4}), floats({3, 5}));
  EXPECT_FALSE(out.ok);
  EXPECT_DOUBLE_EQ(out.max_abs, 1);
  EXPECT_DOUBLE_EQ(out.max_rel, 0.2);
  EXPECT_NEAR(out.rel_l2, 1 / std::sqrt(34.0), 1e-12);
  EXPECT_NEAR(out.cosine, 29 / (5 * std::sqrt(34.0)), 1e-12);
  EXPECT_NE(out.why.find("[1]"), std::string::npos) << out.why;
  EXPECT_TRUE(compare(floats({1000}), floats({1000.5F})).ok);  // within the relative tolerance
}

TEST(Difference, SpecialNumbers) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  EXPECT_TRUE(compare(floats({nan, infinity}), floats({nan, infinity})).ok);
  EXPECT_FALSE(compare(floats({nan}), floats({1})).ok);
  EXPECT_FALSE(compare(floats({infinity}), floats({-infinity})).ok);
}

TEST(Difference, ShapesAndKindsMustAgree) {
  EXPECT_NE(compare(floats({1}), floats({1, 1})).why.find("shape"), std::string::npos);
  EXPECT_FALSE(compare(floats({1}), Sequence{}).ok);
  EXPECT_FALSE(compare(Tensor::of_strings({1}, {"a"}), floats({1})).ok);
  EXPECT_FALSE(compare(Tensor::of_strings({1}, {"a"}), Tensor::of_strings({1}, {"b"})).ok);
  EXPECT_TRUE(compare(Tensor::of_strings({1}, {"a"}), Tensor::of_strings({1}, {"a"})).ok);
}

TEST(Difference, LargeIntegersAreNotRounded) {
  const std::int64_t big = (std::int64_t{1} << 60);
  const auto out = compare(Tensor::of<std::int64_t>({1}, std::array{big}),
                           Tensor::of<std::int64_t>({1}, std::array{big + 1}));
  EXPECT_GT(out.max_abs, 0);
}

TEST(Difference, LooksIntoSequences) {
  const auto sequence = [](float last) {
    std::vector<Value> items = {floats({1}), floats({last})};
    return Sequence{DType::F32, std::make_shared<const std::vector<Value>>(std::move(items))};
  };
  EXPECT_TRUE(compare(sequence(2), sequence(2)).ok);
  EXPECT_NE(compare(sequence(2), sequence(3)).why.find("y[1]"), std::string::npos);
}

TEST(MadeInputs, AreTheSameForTheSameSeed) {
  const std::vector<Formal> inputs = {formal("x", DType::F32, {{2}, {3}}),
                                      formal("n", DType::I64, {{}})};
  const auto a = make_inputs(inputs, 5, 0), b = make_inputs(inputs, 5, 0);
  const auto c = make_inputs(inputs, 6, 0), d = make_inputs({inputs[0]}, 5, 0);
  ASSERT_TRUE(a && b && c && d);
  EXPECT_TRUE(same_bits((*a)[0].second.tensor(), (*b)[0].second.tensor()));
  EXPECT_FALSE(same_bits((*a)[0].second.tensor(), (*c)[0].second.tensor()));
  EXPECT_TRUE(same_bits((*a)[0].second.tensor(), (*d)[0].second.tensor()));  // others do not matter
}

TEST(MadeInputs, UnknownSizesTakeTheTwinsOnes) {
  const std::vector<Formal> inputs = {formal("x", DType::U8, {{1}, {}, {}, {3}})};
  const auto alone = make_inputs(inputs, 0, 0);
  const auto with = make_inputs(inputs, 0, 0, {formal("x", DType::U8, {{1}, {160}, {120}, {3}})});
  ASSERT_TRUE(alone && with);
  EXPECT_EQ((*alone)[0].second.tensor().shape(), (Shape{1, 64, 64, 3}));
  EXPECT_EQ((*with)[0].second.tensor().shape(), (Shape{1, 160, 120, 3}));
}

TEST(MadeInputs, EqualSymbolsAreEqualSizes) {
  const auto made = make_inputs({formal("ids", DType::I64, {{-1, "N"}, {-1, "S"}}),
                                 formal("mask", DType::Bool, {{-1, "S"}, {-1, "N"}})},
                                0, 0);
  ASSERT_TRUE(made);
  const Shape ids = (*made)[0].second.tensor().shape(), mask = (*made)[1].second.tensor().shape();
  EXPECT_EQ(ids[0], mask[1]);
  EXPECT_EQ(ids[1], mask[0]);
}

TEST(MadeInputs, TrialsDrawOtherDistributions) {
  const std::vector<Formal> inputs = {formal("x", DType::F32, {{1000}}),
                                      formal("ids", DType::I32, {{1000}}),
                                      formal("image", DType::U8, {{1000}})};
  for (int trial = 0; trial < 6; ++trial) {
    const auto made = make_inputs(inputs, 1, trial);
    ASSERT_TRUE(made);
    const auto x = (*made)[0].second.tensor().numbers();
    const auto ids = (*made)[1].second.tensor().integers();
    const auto [low, high] = std::minmax_element(x.begin(), x.end());
    if (trial == 0) {
      EXPECT_LT(*low, -1.5);
      EXPECT_GT(*high, 1.5);
    }
    if (trial == 1) {
      EXPECT_GE(*low, 0);
      EXPECT_LE(*high, 1);
    }
    if (trial == 3) {
      EXPECT_EQ(*low, 0);
      EXPECT_EQ(*high, 0);
    }
    EXPECT_GE(*std::min_element(ids.begin(), ids.end()), 0);
  }
}

TEST(CheckInput, SaysWhatIsWantedAndWhatIsThere) {
  const Formal input = formal("x", DType::F32, {{1}, {}, {3}});
  EXPECT_TRUE(check_input(input, Tensor::zeros(DType::F32, {1, 7, 3})));
  const auto dtype = check_input(input, Tensor::zeros(DType::F64, {1, 7, 3}));
  ASSERT_FALSE(dtype);
  EXPECT_NE(dtype.error().message.find("f32[1,?,3]"), std::string::npos) << dtype.error().message;
  EXPECT_NE(dtype.error().message.find("astype('f4')"), std::string::npos);
  EXPECT_FALSE(check_input(input, Tensor::zeros(DType::F32, {1, 7, 4})));
  EXPECT_FALSE(check_input(input, Tensor::zeros(DType::F32, {7, 3})));
  EXPECT_FALSE(check_input(input, Sequence{}));
}

TEST(FileName, KeepsOnlyPlainCharacters) {
  EXPECT_EQ(file_name_of("StatefulPartitionedCall/a:0"), "StatefulPartitionedCall_a_0");
  EXPECT_EQ(file_name_of("a.b-C_9"), "a.b-C_9");
  EXPECT_EQ(file_name_of(".."), "_..");
  EXPECT_EQ(file_name_of(""), "_");
  EXPECT_EQ(file_name_of("../x"), ".._x");
}

}  // namespace
}  // namespace rulec::command
