// SPDX-License-Identifier: Apache-2.0
#include "runtime/attribute.h"

#include <gtest/gtest.h>

namespace rulec {
namespace {

TEST(Attributes, LooksUpByNameAndKind) {
  Attributes attributes({{"axis", std::int64_t{3}},
                         {"alpha", 0.5F},
                         {"mode", std::string("linear")},
                         {"perm", std::vector<std::int64_t>{1, 0}}});
  EXPECT_EQ(attributes.integer("axis", 7), 3);
  EXPECT_EQ(attributes.integer("missing", 7), 7);
  EXPECT_EQ(attributes.integer("alpha", 7), 7) << "a look-up of another kind gives the default";
  EXPECT_EQ(attributes.number("alpha", 1), 0.5F);
  EXPECT_EQ(attributes.text("mode", "nearest"), "linear");
  EXPECT_EQ(attributes.text("axis", "nearest"), "nearest");
  EXPECT_EQ(attributes.integers("perm"), (std::vector<std::int64_t>{1, 0}));
  EXPECT_TRUE(attributes.integers("axis").empty());
  EXPECT_TRUE(attributes.has("mode"));
  EXPECT_FALSE(attributes.has("Mode"));
}

TEST(Attributes, SetReplacesInPlaceAndAppends) {
  Attributes attributes({{"a", std::int64_t{1}}, {"b", std::int64_t{2}}});
  attributes.set("a", 2.5F);
  attributes.set("c", std::string("x"));
  ASSERT_EQ(attributes.all().size(), 3U);
  EXPECT_EQ(attributes.all()[0].name, "a");
  EXPECT_EQ(attributes.number("a", 0), 2.5F);
  EXPECT_EQ(attributes.text("c", ""), "x");
  EXPECT_TRUE(attributes.erase("b"));
  EXPECT_FALSE(attributes.erase("b"));
  EXPECT_EQ(attributes.all().size(), 2U);
}

}  // namespace
}  // namespace rulec
