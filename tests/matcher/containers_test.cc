// SPDX-License-Identifier: Apache-2.0
// The containers that a Model is made of: what they hold stays what it was through growth, copies
// and moves.
#include <string>

#include <gtest/gtest.h>

#include "matcher/chunked.h"
#include "matcher/rare.h"
#include "matcher/shared_optional.h"
#include "matcher/small_vector.h"

namespace rulec {
namespace {

TEST(Chunked, ElementsStayWhereTheyAre) {
  Chunked<std::string> all;
  std::string& first = all.emplace_back("first");
  for (int i = 1; i < 1000; ++i)
    all.emplace_back(std::to_string(i));
  EXPECT_EQ(&first, &all[0]);
  EXPECT_EQ(all.size(), 1000U);
  EXPECT_EQ(all[999], "999");
}

TEST(Chunked, CopiesAndMoves) {
  Chunked<std::string> all;
  for (int i = 0; i < 600; ++i)
    all.emplace_back(std::to_string(i));
  const Chunked<std::string> copy = all;
  all[599] = "changed";
  EXPECT_EQ(copy[599], "599");
  Chunked<std::string> moved = std::move(all);
  EXPECT_EQ(moved[599], "changed");
  moved = copy;
  EXPECT_EQ(moved[599], "599");
  EXPECT_EQ(moved.size(), 600U);
}

TEST(Rare, IsEmptyUntilItIsNot) {
  Rare<std::string> text;
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(text.get(), "");
  text.edit() += "more";
  const Rare<std::string> copy = text;
  text = {};
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(copy.get(), "more");
  text = std::string("other");
  EXPECT_EQ(text.get(), "other");
}

TEST(SharedOptional, CopiesShareUntilOneChanges) {
  using List = SharedOptional<std::vector<int>>;
  const List none;
  EXPECT_FALSE(none);
  const List list = std::vector<int>{1, 2};
  List same = list;
  EXPECT_EQ(std::as_const(same).operator->(), list.operator->());
  same->push_back(3);
  EXPECT_EQ(*list, (std::vector<int>{1, 2}));
  EXPECT_EQ(*std::as_const(same), (std::vector<int>{1, 2, 3}));
  EXPECT_NE(list, same);
  EXPECT_EQ(list, List(std::vector<int>{1, 2}));
  EXPECT_NE(list, none);
  same.reset();
  EXPECT_EQ(same, none);
}

TEST(SmallVector, GrowsOutOfItselfAndBack) {
  SmallVector<int, 4> few = {1, 2, 3};
  SmallVector<int, 4> many = few;
  for (int i = 4; i <= 100; ++i)
    many.push_back(i);
  EXPECT_EQ(many.size(), 100U);
  EXPECT_EQ(many.back(), 100);
  EXPECT_EQ(few, (SmallVector<int, 4>{1, 2, 3}));
  SmallVector<int, 4> moved = std::move(many);
  EXPECT_EQ(moved[57], 58);
  EXPECT_TRUE(many.empty());
  many = few;
  EXPECT_EQ(std::vector<int>(many), (std::vector<int>{1, 2, 3}));
  moved = std::move(few);
  EXPECT_EQ(moved.size(), 3U);
  moved.resize(6);
  EXPECT_EQ(moved, (SmallVector<int, 4>{1, 2, 3, 0, 0, 0}));
  moved.resize(2);
  EXPECT_EQ(moved.back(), 2);
  moved.clear();
  EXPECT_TRUE(moved.empty());
  moved.assign(std::vector<int>{7, 8});
  EXPECT_EQ(moved.front(), 7);
}

}  // namespace
}  // namespace rulec
