// SPDX-License-Identifier: Apache-2.0
// The engine file: what is written is read back, and whatever is damaged is refused or harmless.
#include "runtime/engine.h"

#include <chrono>
#include <cstring>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "runtime/crc32.h"
#include "runtime/engine_writer.h"
#include "runtime/session.h"
#include "tests/runtime/small_engine.h"

namespace rulec {
namespace {

Result<std::vector<Value>> run(const Engine& engine) {
  auto session = Session::create(engine);
  if (!session) return session.error();
  const float values[] = {1, 1, 1, 0, 1, 0};
  const Value in[] = {Tensor::of<float>({2, 3}, values)};
  return session->run(in);
}

std::string message(std::string bytes) {
  auto engine = Engine::load_bytes(std::move(bytes));
  return engine ? "" : engine.error().message;
}

TEST(Engine, WhatIsWrittenRuns) {
  auto engine = Engine::load_bytes(small_engine(), {.verify_weights = true});
  ASSERT_TRUE(engine) << engine.error().message;
  EXPECT_EQ(engine->inputs()[0].name, "x");
  EXPECT_EQ(engine->inputs()[0].dims[1].symbol, "K");
  EXPECT_EQ(engine->producer(), "rulec test");
  auto out = run(*engine);
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ((*out)[0].tensor().numbers(), (std::vector<double>{1, -1.5}));
  EXPECT_EQ(engine->operations()[0].flops, 12);
  EXPECT_NE(engine->dump().find("Generic(LeakyRelu)"), std::string::npos);
}

TEST(Engine, BytesAreDeterministic) {
  EXPECT_EQ(small_engine(), small_engine());
}

TEST(Engine, ErrorsTellTheirKindsApart) {
  std::string good = small_engine();
  EXPECT_NE(message("").find("not an engine"), std::string::npos);
  std::string bad = good;
  bad[0] = 'x';
  EXPECT_NE(message(bad).find("not an engine"), std::string::npos);
  bad = good;
  bad[offsetof(format::Header, major)] = 9;
  repair_checksums(bad);
  EXPECT_NE(message(bad).find("format version"), std::string::npos);
  bad = good;
  bad[offsetof(format::Header, kernel_abi)] ^= 1;
  repair_checksums(bad);
  EXPECT_NE(message(bad).find("other kernels"), std::string::npos);
  EXPECT_NE(message(good.substr(0, 100)).find("truncated"), std::string::npos);
  EXPECT_NE(message(good.substr(0, good.size() - 1)).find("truncated"), std::string::npos);
  bad = good;
  bad[format::header_size + 1] ^= 1;
  EXPECT_NE(message(bad).find("checksum"), std::string::npos);
  if (detected_isa() != Isa::Avx512) {
    bad = good;
    bad[offsetof(format::Header, required_isa)] = 2;
    repair_checksums(bad);
    EXPECT_NE(message(bad).find("this CPU lacks it"), std::string::npos);
  }
}

TEST(Engine, EveryLengthAndEveryFlippedByteIsRefusedOrHarmless) {
  const std::string good = small_engine();
  for (std::size_t size = 0; size < good.size(); ++size) {
    if (size > 64 && size < format::header_size - 64) continue;  // one kind of place
    EXPECT_NE(message(good.substr(0, size)), "") << size;
  }
  std::size_t accepted = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x41);
    auto engine = Engine::load_bytes(bad);
    if (!engine) continue;
    ++accepted;  // padding, or a weight: their checksum is looked at on request
    (void)run(*engine);
  }
  EXPECT_LT(accepted, good.size() / 2);
}

// The same with checksums made good again, so that the validator itself is asked.
TEST(Engine, ForgedRecordsAreRefusedOrHarmless) {
  const std::string good = small_engine();
  format::Header header;
  std::memcpy(&header, good.data(), sizeof header);
  const auto weights = static_cast<std::size_t>(format::SectionKind::Weights);
  static constexpr int patterns[] = {0x01, 0x80, 0xff};
  for (std::size_t at = sizeof(format::magic); at < header.table[weights].offset; ++at) {
    if (at >= sizeof(format::Header) && at < format::header_size) continue;
    const std::size_t arena = offsetof(format::Header, arena_bytes);
    if (at >= arena && at < arena + 8) continue;  // a forged size of the arena only costs memory
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ patterns[at % 3]);
    repair_checksums(bad);
    auto engine = Engine::load_bytes(bad);
    if (engine) (void)run(*engine);
  }
}

TEST(Engine, WrongInputsAreNamed) {
  auto engine = Engine::load_bytes(small_engine());
  ASSERT_TRUE(engine);
  auto session = Session::create(*engine);
  ASSERT_TRUE(session);
  const Value wrong[] = {Tensor::zeros(DType::F32, {2, 4})};
  auto out = session->run(wrong);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().message, "input 'x' is f32[2,4], the engine expects f32[2,3]");
  const std::pair<std::string, Value> named[] = {{"q", Tensor::zeros(DType::F32, {2, 3})}};
  auto unknown = session->run(named);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message, "the engine has no input 'q'");
}

TEST(Engine, FilesAreWrittenWholeAndMapped) {
  const std::string path = testing::TempDir() + "/rulec_engine_test.engine";
  ASSERT_TRUE(write_file_atomically(path, small_engine()));
  for (const bool map : {true, false}) {
    auto engine = Engine::load(path, {.map = map});
    ASSERT_TRUE(engine) << engine.error().message;
    EXPECT_TRUE(run(*engine));
  }
  unlink(path.c_str());
  EXPECT_NE(Engine::load(path).error().message.find("No such file"), std::string::npos);
}

TEST(Crc32c, KnownValue) {
  const std::string text = "123456789";
  EXPECT_EQ(crc32c(std::as_bytes(std::span(text))), 0xe3069283U);
}

}  // namespace
}  // namespace rulec
