// SPDX-License-Identifier: Apache-2.0
#include "grammar/source.h"

#include <gtest/gtest.h>

namespace rulec {
namespace {

TEST(Source, LocatesOneBased) {
  Source source("a.rules", "ab\ncd");
  EXPECT_EQ(source.locate(0).line, 1u);
  EXPECT_EQ(source.locate(2).column, 3u);
  EXPECT_EQ(source.locate(4).line, 2u);
  EXPECT_EQ(source.locate(4).column, 2u);
  EXPECT_EQ(source.locate(5).column, 3u) << "the end of the text";
  EXPECT_EQ(source.line(2), "cd");
}

TEST(Source, ColumnsAreCharacters) {
  Source source("a.rules", "é→x");
  EXPECT_EQ(source.locate(5).column, 3u);
}

TEST(Source, LinesHaveNoEnds) {
  Source source("a.rules", "ab\r\n\r\ncd\n");
  EXPECT_EQ(source.line(1), "ab");
  EXPECT_EQ(source.line(2), "");
  EXPECT_EQ(source.line(3), "cd");
  EXPECT_EQ(source.line(4), "");
}

TEST(Source, MayBeEmpty) {
  Source source("a.rules", "");
  EXPECT_EQ(source.locate(0).line, 1u);
  EXPECT_EQ(source.line(1), "");
}

}  // namespace
}  // namespace rulec
