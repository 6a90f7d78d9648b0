// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "tests/runtime/kernel_call.h"

namespace rulec::generic {

using Numbers = std::vector<double>;

static Tensor counting(Shape shape, DType dtype = DType::F32) {
  Tensor out = Tensor::allocate(dtype, std::move(shape));
  for (std::int64_t i = 0; i < out.size(); ++i)
    out.set_number(i, static_cast<double>(i));
  return out;
}

TEST(Movement, PackedElementsMoveAsBits) {
  for (const DType dtype : {DType::U4, DType::U2, DType::U8, DType::U64}) {
    Tensor in = Tensor::zeros(dtype, {3, 1});
    for (std::int64_t i = 0; i < 3; ++i)
      in.set_integer(i, i + 1);
    const auto joined = KernelCall("Concat").input(in).input(in).integer("axis", 1).run();
    EXPECT_EQ(numbers(joined[0]), (Numbers{1, 1, 2, 2, 3, 3})) << name(dtype);
    const auto turned = KernelCall("Transpose").input(joined[0]).run();
    EXPECT_EQ(numbers(turned[0]), (Numbers{1, 2, 3, 1, 2, 3})) << name(dtype);
    const auto last = KernelCall("Slice")
                          .input(turned[0])
                          .input(i64({1}, {-1}))
                          .input(i64({1}, {std::numeric_limits<std::int64_t>::min()}))
                          .input(i64({1}, {1}))
                          .input(i64({1}, {-2}))
                          .run();
    EXPECT_EQ(numbers(last[0]), (Numbers{3, 1, 3, 1})) << name(dtype);
  }
}

TEST(Movement, StringsMoveToo) {
  const Tensor in = Tensor::of_strings({2, 2}, {"a", "b", "c", "d"});
  const auto out = KernelCall("Gather").input(in).input(i64({1}, {-1})).integer("axis", 1).run();
  EXPECT_EQ(out[0].tensor().strings(), (std::vector<std::string>{"b", "d"}));
  const auto padded = KernelCall("Pad", 13).input(in).input(i64({4}, {0, 1, 0, -1})).run();
  EXPECT_EQ(padded[0].tensor().strings(), (std::vector<std::string>{"", "a", "", "c"}));
}

TEST(Movement, SliceTakesEveryKindOfBound) {
  const auto slice = [](std::int64_t start, std::int64_t end, std::int64_t step) {
    return numbers(KernelCall("Slice")
                       .input(counting({5}))
                       .input(i64({1}, {start}))
                       .input(i64({1}, {end}))
                       .input(i64({1}, {0}))
                       .input(i64({1}, {step}))
                       .run()[0]);
  };
  constexpr std::int64_t low = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t high = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(slice(1, -1, 2), (Numbers{1, 3}));
  EXPECT_EQ(slice(low, high, 1), (Numbers{0, 1, 2, 3, 4}));
  EXPECT_EQ(slice(high, low, -1), (Numbers{4, 3, 2, 1, 0}));
  EXPECT_EQ(slice(0, 5, high), (Numbers{0}));
  EXPECT_EQ(slice(4, 0, low), (Numbers{4}));
  EXPECT_EQ(slice(3, 3, 1), (Numbers{}));
}

TEST(Movement, ZeroSizedTensorsPass) {
  const Tensor none = Tensor::zeros(DType::F32, {0, 3});
  EXPECT_EQ(shape_of(KernelCall("Transpose").input(none).run()[0]), (Shape{3, 0}));
  EXPECT_EQ(
      shape_of(
          KernelCall("Concat").input(none).input(counting({2, 3})).integer("axis", 0).run()[0]),
      (Shape{2, 3}));
  EXPECT_EQ(
      shape_of(KernelCall("Reshape").input(none).input(i64({2}, {0, -1})).result() ? Value(none)
                                                                                   : Value()),
      (Shape{0, 3}));
  EXPECT_EQ(shape_of(KernelCall("NonZero").input(none).run()[0]), (Shape{2, 0}));
  EXPECT_EQ(shape_of(KernelCall("Expand").input(none).input(i64({3}, {2, 1, 1})).run()[0]),
            (Shape{2, 0, 3}));
}

TEST(Movement, AxesMoveFromAttributeToInput) {
  const Tensor in = counting({1, 2, 1});
  EXPECT_EQ(shape_of(KernelCall("Squeeze", 11)
                         .input(in)
                         .attribute("axes", std::vector<std::int64_t>{0})
                         .run()[0]),
            (Shape{2, 1}));
  EXPECT_EQ(shape_of(KernelCall("Squeeze", 13).input(in).input(i64({1}, {-1})).run()[0]),
            (Shape{1, 2}));
  EXPECT_EQ(shape_of(KernelCall("Unsqueeze", 13).input(in).input(i64({2}, {0, -1})).run()[0]),
            (Shape{1, 1, 2, 1, 1}));
  EXPECT_NE(KernelCall("Squeeze", 13).input(in).input(i64({1}, {1})).error(), "");
}

TEST(Movement, UnevenSplits) {
  const auto out =
      KernelCall("Split", 18).input(counting({5})).integer("num_outputs", 2).outputs(2).run();
  EXPECT_EQ(numbers(out[0]), (Numbers{0, 1, 2}));
  EXPECT_EQ(numbers(out[1]), (Numbers{3, 4}));
  EXPECT_NE(KernelCall("Split", 13).input(counting({5})).outputs(2).error().find("equal parts"),
            std::string::npos);
}

TEST(Movement, BadOperandsAreErrors) {
  const Tensor in = counting({2, 3});
  EXPECT_NE(KernelCall("Reshape").input(in).input(i64({2}, {-1, 4})).error(), "");
  EXPECT_NE(KernelCall("Reshape").input(in).input(f32({1}, {6})).error(), "");
  EXPECT_NE(KernelCall("Gather").input(in).input(i64({1}, {2})).error().find("out of range"),
            std::string::npos);
  EXPECT_NE(
      KernelCall("Transpose").input(in).attribute("perm", std::vector<std::int64_t>{0, 0}).error(),
      "");
  EXPECT_NE(KernelCall("Expand").input(in).input(i64({2}, {4, 3})).error(), "");
}

TEST(TopK, TiesTakeTheLowerIndex) {
  const auto out =
      KernelCall("TopK", 11).input(f32({5}, {1, 3, 3, 2, 3})).input(i64({1}, {4})).outputs(2).run();
  EXPECT_EQ(numbers(out[1]), (Numbers{1, 2, 4, 3}));
}

TEST(TopK, SixtyFourBitsAreExact) {
  constexpr std::int64_t big = (1LL << 62) + 1;
  const auto out = KernelCall("TopK", 11)
                       .input(i64({3}, {big - 1, big, big - 2}))
                       .input(i64({1}, {1}))
                       .outputs(2)
                       .run();
  EXPECT_EQ(out[0].tensor().integer(0), big);
}

TEST(ScatterNd, AddsRepeatedIndices) {
  const auto out = KernelCall("ScatterND", 16)
                       .input(f32({3}, {1, 1, 1}))
                       .input(i64({2, 1}, {1, -2}))
                       .input(f32({2}, {5, 7}))
                       .text("reduction", "add")
                       .run();
  EXPECT_EQ(numbers(out[0]), (Numbers{1, 13, 1}));
}

TEST(Range, EmptyAndExact) {
  const auto range = [](std::int64_t a, std::int64_t b, std::int64_t step) {
    return numbers(KernelCall("Range")
                       .input(i64({}, {a}))
                       .input(i64({}, {b}))
                       .input(i64({}, {step}))
                       .run()[0]);
  };
  EXPECT_EQ(range(3, 9, 3), (Numbers{3, 6}));
  EXPECT_EQ(range(10, 4, -2), (Numbers{10, 8, 6}));
  EXPECT_EQ(range(4, 4, 1), Numbers{});
}

}  // namespace rulec::generic
