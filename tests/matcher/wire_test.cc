// SPDX-License-Identifier: Apache-2.0
#include "matcher/wire.h"

#include <gtest/gtest.h>

namespace rulec::wire {
namespace {

TEST(Wire, RoundTrip) {
  Writer inner;
  inner.integer(1, -5);
  Writer writer;
  writer.varint(1, 300);
  writer.bytes(2, "text");
  writer.fixed32(3, 1.5f);
  writer.message(16, inner);
  const std::string bytes = writer.joined();
  EXPECT_EQ(bytes.size(), writer.size());

  Reader reader(bytes);
  Field field;
  ASSERT_TRUE(reader.next(field));
  EXPECT_EQ(field.number, 1u);
  EXPECT_EQ(field.value, 300u);
  ASSERT_TRUE(reader.next(field));
  EXPECT_EQ(field.bytes, "text");
  EXPECT_EQ(field.whole, std::string("\x12\x04text"));
  ASSERT_TRUE(reader.next(field));
  EXPECT_EQ(as_float(field.value), 1.5f);
  ASSERT_TRUE(reader.next(field));
  EXPECT_EQ(field.number, 16u);
  Reader nested(field.bytes);
  ASSERT_TRUE(nested.next(field));
  EXPECT_EQ(static_cast<std::int64_t>(field.value), -5);
  EXPECT_FALSE(reader.next(field));
  EXPECT_FALSE(reader.failed());
}

TEST(Wire, LargePayloadsAreReferredTo) {
  const std::string large(10000, 'x');
  Writer inner;
  inner.view(9, large);
  inner.bytes(8, "name");
  Writer outer;
  outer.bytes(1, "before");
  outer.message(5, inner);
  outer.bytes(2, "after");
  Writer copied_inner, copied;
  copied_inner.bytes(9, large);
  copied_inner.bytes(8, "name");
  copied.bytes(1, "before");
  copied.message(5, copied_inner);
  copied.bytes(2, "after");
  EXPECT_EQ(outer.joined(), copied.joined());
  bool referred = false;
  for (const std::string_view piece : outer.pieces())
    referred |= piece.data() == large.data();
  EXPECT_TRUE(referred);
}

// A large message comes in blocks that the one around it takes without a copy.
TEST(Wire, LargeMessagesAreNotMoved) {
  Writer inner;
  std::string expected;
  for (int i = 0; i < 20000; ++i) {
    Writer one;
    one.bytes(1, "a text of some length, number " + std::to_string(i));
    inner.message(7, one);
    expected += "\x3a" + std::string(1, static_cast<char>(one.size())) + one.joined();
  }
  EXPECT_GT(inner.pieces().size(), 1U);
  Writer outer, appended;
  outer.message(3, inner);
  appended.append(inner);
  EXPECT_EQ(inner.joined(), expected);
  EXPECT_EQ(appended.joined(), expected);
  EXPECT_EQ(outer.joined().substr(outer.size() - expected.size()), expected);
  EXPECT_EQ(outer.pieces()[1].data(), inner.pieces()[0].data());
}

TEST(Wire, BrokenBytesFail) {
  const char* const broken[] = {
      "\x0a\x05"
      "abc",                                           // shorter than it says
      "\x0b",                                          // a group
      "\x0d\x01\x02",                                  // half a fixed32
      "\x09\x01",                                      // half a fixed64
      "\x08",                                          // a tag and nothing
      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",  // an endless varint
      "\x02\x01",                                      // field number 0
  };
  for (const char* bytes : broken) {
    Reader reader(bytes);
    Field field;
    while (reader.next(field)) {
    }
    EXPECT_TRUE(reader.failed()) << bytes;
  }
}

}  // namespace
}  // namespace rulec::wire
