// SPDX-License-Identifier: Apache-2.0
#include "matcher/edit_distance.h"

#include <vector>

#include <gtest/gtest.h>

namespace rulec {
namespace {

TEST(EditDistance, CountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("Relu", "Rellu"), 1u);
  EXPECT_EQ(edit_distance("Conv", "Covn"), 1u) << "a swap is one edit";
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("axis", "axes"), edit_distance("axes", "axis"));
}

TEST(NearestName, FindsOrDoesNot) {
  std::vector<std::string> ops = {"Conv", "BatchNormalization", "Relu", "PRelu", "Elu"};
  EXPECT_EQ(nearest_name("BatchNormalisation", ops), "BatchNormalization");
  EXPECT_EQ(nearest_name("relu", ops), "Relu");
  EXPECT_EQ(nearest_name("Covn", ops), "Conv");
  EXPECT_EQ(nearest_name("Softmax", ops), "");
  EXPECT_EQ(nearest_name("Relu", {}), "");
}

}  // namespace
}  // namespace rulec
