// SPDX-License-Identifier: Apache-2.0
// The C interface: what it tells of an engine, runs on the caller's buffers, and how it refuses.
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/rulec.h"
#include "tests/runtime/small_engine.h"

namespace rulec {
namespace {

struct FreeEngine {
  void operator()(rulec_engine* engine) const { rulec_engine_free(engine); }
};
using EnginePointer = std::unique_ptr<rulec_engine, FreeEngine>;

EnginePointer load(const std::string& bytes, const rulec_options* options = nullptr) {
  rulec_engine* engine = nullptr;
  const auto status = rulec_engine_load_memory(bytes.data(), bytes.size(), options, &engine);
  EXPECT_EQ(status == RULEC_OK, engine != nullptr);
  return EnginePointer(engine);
}

// z = LeakyRelu(x·w + b) of small_engine().
struct Call {
  alignas(16) float x[6] = {1, 1, 1, 0, 1, 0};
  float z[2] = {};
  rulec_tensor in{RULEC_F32, 2, {2, 3}, x, sizeof x};
  rulec_tensor out{RULEC_UNKNOWN, 0, {}, z, sizeof z};
  rulec_status run(const EnginePointer& engine) {
    return rulec_engine_run(engine.get(), &in, 1, &out, 1);
  }
};

std::string error() {
  return rulec_last_error();
}

TEST(CApi, TellsWhatAnEngineTakesAndGives) {
  const auto engine = load(small_engine());
  ASSERT_TRUE(engine) << error();
  EXPECT_EQ(rulec_engine_input_count(engine.get()), 1U);
  EXPECT_EQ(rulec_engine_output_count(engine.get()), 1U);
  rulec_port port;
  ASSERT_EQ(rulec_engine_input(engine.get(), 0, &port), RULEC_OK);
  EXPECT_STREQ(port.name, "x");
  EXPECT_STREQ(port.type, "f32[2,3]");
  EXPECT_EQ(port.dtype, RULEC_F32);
  ASSERT_EQ(port.rank, 2);
  EXPECT_EQ(port.dims[1], 3);
  EXPECT_EQ(rulec_engine_output(engine.get(), 1, &port), RULEC_BAD_ARGUMENT);
  EXPECT_EQ(error(), "there is no port 1; the engine has 1");
}

TEST(CApi, RunsOnTheCallersBuffers) {
  const auto engine = load(small_engine());
  Call call;
  ASSERT_EQ(call.run(engine), RULEC_OK) << error();
  EXPECT_EQ(call.z[0], 1);
  EXPECT_EQ(call.z[1], -1.5F);
  EXPECT_EQ(call.out.dtype, RULEC_F32);
  EXPECT_EQ(call.out.rank, 2);
  EXPECT_EQ(call.out.dims[0], 2);

  // Anywhere in memory.
  char odd[sizeof call.x + 1];
  std::memcpy(odd + 1, call.x, sizeof call.x);
  call.in.data = odd + 1;
  call.z[1] = 0;
  ASSERT_EQ(call.run(engine), RULEC_OK) << error();
  EXPECT_EQ(call.z[1], -1.5F);
}

TEST(CApi, SizesAreToldBeforeAndInsteadOfWriting) {
  const auto engine = load(small_engine());
  Call call;
  call.out.data = nullptr;
  ASSERT_EQ(call.run(engine), RULEC_OK) << error();
  EXPECT_EQ(call.out.bytes, 8U);
  call.out.data = call.z;
  call.out.bytes = 7;
  EXPECT_EQ(call.run(engine), RULEC_BUFFER_TOO_SMALL);
  EXPECT_EQ(call.out.bytes, 8U);
  EXPECT_EQ(error(), "output 'z' is f32[2,1] and needs 8 bytes; 7 are given");
  EXPECT_EQ(call.run(engine), RULEC_OK);
}

TEST(CApi, ThreadsShareAnEngine) {
  const rulec_options options{sizeof options, 2, 1};
  const auto engine = load(small_engine(), &options);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        Call call;
        call.x[0] = static_cast<float>(t);
        if (call.run(engine) != RULEC_OK || call.z[0] != static_cast<float>(t)) ++wrong[t];
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

TEST(CApi, ErrorsAreOfTheirThread) {
  EXPECT_FALSE(load("not an engine"));
  std::thread([] { EXPECT_FALSE(load(small_engine().substr(0, 5000))); }).join();
  EXPECT_NE(error().find("not an engine file"), std::string::npos);
}

TEST(CApi, RefusesWhatItCannotUse) {
  rulec_engine* none = nullptr;
  EXPECT_EQ(rulec_engine_load("/no/such/file", nullptr, &none), RULEC_BAD_ENGINE);
  EXPECT_NE(error().find("/no/such/file"), std::string::npos);
  EXPECT_EQ(rulec_engine_load(nullptr, nullptr, &none), RULEC_BAD_ARGUMENT);
  EXPECT_EQ(rulec_engine_load("x", nullptr, nullptr), RULEC_BAD_ARGUMENT);
  EXPECT_EQ(rulec_engine_load_memory(nullptr, 3, nullptr, &none), RULEC_BAD_ARGUMENT);
  const rulec_options unset{};
  EXPECT_EQ(rulec_engine_load("x", &unset, &none), RULEC_BAD_ARGUMENT);
  const rulec_options crowd{sizeof crowd, 5000, 0};
  EXPECT_EQ(rulec_engine_load("x", &crowd, &none), RULEC_BAD_ARGUMENT);
  EXPECT_EQ(rulec_engine_run(nullptr, nullptr, 0, nullptr, 0), RULEC_BAD_ARGUMENT);
  EXPECT_EQ(rulec_engine_input_count(nullptr), 0U);
  rulec_engine_free(nullptr);

  const auto engine = load(small_engine());
  const auto refused = [&](auto change) {
    Call call;
    change(call.in);
    EXPECT_NE(call.run(engine), RULEC_OK);
    return error();
  };
  EXPECT_EQ(refused([](rulec_tensor& in) { in.bytes = 20; }),
            "input 'x' is 20 bytes; f32[2,3] needs 24");
  EXPECT_NE(refused([](rulec_tensor& in) { in.dims[0] = -1; }).find("impossible shape"),
            std::string::npos);
  EXPECT_NE(refused([](rulec_tensor& in) {
              in.dims[0] = in.dims[1] = INT64_MAX;
            }).find("impossible shape"),
            std::string::npos);
  EXPECT_NE(refused([](rulec_tensor& in) { in.rank = 99; }).find("rank 99"), std::string::npos);
  EXPECT_NE(refused([](rulec_tensor& in) { in.dtype = 77; }).find("unknown element type 77"),
            std::string::npos);
  EXPECT_NE(refused([](rulec_tensor& in) { in.data = nullptr; }).find("at NULL"),
            std::string::npos);
  EXPECT_EQ(refused([](rulec_tensor& in) { in.dims[0] = 3, in.dims[1] = 2; }),
            "input 'x' is f32[3,2], the engine expects f32[2,3]");
  Call call;
  EXPECT_EQ(rulec_engine_run(engine.get(), &call.in, 0, &call.out, 1), RULEC_BAD_ARGUMENT);
}

}  // namespace
}  // namespace rulec
