// SPDX-License-Identifier: Apache-2.0
#include "runtime/shape.h"

#include <limits>

#include <gtest/gtest.h>

namespace rulec {
namespace {

TEST(Shapes, CountElements) {
  EXPECT_EQ(element_count(Shape{}), 1);
  EXPECT_EQ(element_count(Shape{2, 3, 4}), 24);
  EXPECT_EQ(element_count(Shape{2, 0, 4}), 0);
  const std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(checked_element_count(Shape{2, 3}), 6);
  EXPECT_EQ(checked_element_count(Shape{2, -1}), std::nullopt);
  EXPECT_EQ(checked_element_count(Shape{huge, 2}), std::nullopt);
  EXPECT_EQ(checked_element_count(Shape{huge, 0}), 0);
}

TEST(Shapes, Strides) {
  EXPECT_EQ(strides_of(Shape{2, 3, 4}), (std::vector<std::int64_t>{12, 4, 1}));
  EXPECT_TRUE(strides_of(Shape{}).empty());
}

TEST(Shapes, BroadcastAsNumpyDoes) {
  EXPECT_EQ(broadcast(Shape{2, 3, 4}, Shape{3, 1}), (Shape{2, 3, 4}));
  EXPECT_EQ(broadcast(Shape{1, 4}, Shape{5, 1}), (Shape{5, 4}));
  EXPECT_EQ(broadcast(Shape{}, Shape{2}), (Shape{2}));
  EXPECT_EQ(broadcast(Shape{0}, Shape{1}), (Shape{0}));
  EXPECT_EQ(broadcast(Shape{0}, Shape{2}), std::nullopt);
  EXPECT_EQ(broadcast(Shape{2, 3}, Shape{2}), std::nullopt);
}

TEST(Shapes, NormalizeAxis) {
  EXPECT_EQ(*normalize_axis(-1, 3), 2U);
  EXPECT_EQ(*normalize_axis(0, 3), 0U);
  EXPECT_FALSE(normalize_axis(3, 3));
  EXPECT_EQ(normalize_axis(-4, 3).error().message,
            "axis -4 is outside the 3 dimensions of the operand");
  EXPECT_FALSE(normalize_axis(0, 0));
}

TEST(Shapes, Print) {
  EXPECT_EQ(to_string(Shape{1, 3, 224, 224}), "[1,3,224,224]");
  EXPECT_EQ(to_string(Shape{}), "[]");
}

}  // namespace
}  // namespace rulec
