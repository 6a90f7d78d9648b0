// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include "tests/runtime/generic_call.h"

namespace rulec::generic {
namespace {

using Numbers = std::vector<double>;
using Axes = std::vector<std::int64_t>;

TEST(GenericReduce, AxesAreAnAttributeOrAnOperand) {
  const Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(apply("ReduceMean", 11, {x}, {{"axes", Axes{-1}}}).numbers(), (Numbers{2, 5}));
  EXPECT_EQ(apply("ReduceSum", 13, {x, longs({1}, {0})}, {{"keepdims", std::int64_t{0}}}).shape(),
            (Shape{3}));
  EXPECT_EQ(apply("ReduceMax", 13, {x}).shape(), (Shape{1, 1}));
}

TEST(GenericReduce, NoAxesMayMeanAllOrNone) {
  const Tensor x = floats({2}, {-1, 2});
  EXPECT_EQ(apply("ReduceL1", 18, {x, longs({0}, {})}).numbers(), (Numbers{3}));
  EXPECT_EQ(apply("ReduceL1", 18, {x, longs({0}, {})}, {{"noop_with_empty_axes", std::int64_t{1}}})
                .numbers(),
            (Numbers{1, 2}))
      << "over an empty set of axes, each element is its own sum";
}

TEST(GenericReduce, OfNothing) {
  const Tensor x = floats({2, 0}, {});
  const double infinity = std::numeric_limits<double>::infinity();
  const auto reduce = [&](const char* type) {
    return apply(type, 18, {x, longs({1}, {1})}).number(0);
  };
  EXPECT_EQ(reduce("ReduceSum"), 0);
  EXPECT_EQ(reduce("ReduceProd"), 1);
  EXPECT_EQ(reduce("ReduceMax"), -infinity);
  EXPECT_EQ(reduce("ReduceMin"), infinity);
  EXPECT_EQ(reduce("ReduceLogSumExp"), -infinity);
  EXPECT_TRUE(std::isnan(reduce("ReduceMean")));
}

TEST(GenericReduce, LogSumExpDoesNotOverflow) {
  EXPECT_NEAR(apply("ReduceLogSumExp", 13, {floats({2}, {1000, 1000})}).number(0),
              1000 + std::log(2), 1e-4);
}

TEST(GenericArg, TiesAndNaN) {
  const Tensor x = floats({4}, {1, 3, 3, 0});
  EXPECT_EQ(apply("ArgMax", 13, {x}).numbers(), (Numbers{1}));
  EXPECT_EQ(apply("ArgMax", 13, {x}, {{"select_last_index", std::int64_t{1}}}).numbers(),
            (Numbers{2}));
  EXPECT_EQ(apply("ArgMin", 13, {floats({3}, {1, std::nan(""), 0})}).numbers(), (Numbers{1}));
  EXPECT_FALSE(try_apply("ArgMax", 13, {floats({0}, {})}));
}

TEST(GenericCumSum, ExclusiveAndReverse) {
  const Tensor x = longs({3}, {1, 2, 3});
  const Tensor axis = longs({}, {0});
  EXPECT_EQ(apply("CumSum", 14, {x, axis}).numbers(), (Numbers{1, 3, 6}));
  EXPECT_EQ(
      apply("CumSum", 14, {x, axis}, {{"exclusive", std::int64_t{1}}, {"reverse", std::int64_t{1}}})
          .numbers(),
      (Numbers{5, 3, 0}));
}

}  // namespace
}  // namespace rulec::generic
