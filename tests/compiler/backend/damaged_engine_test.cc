// SPDX-License-Identifier: Apache-2.0
// Engines as `build` makes them, damaged: every byte changed, every length, and with checksums made
// good again so that the validator is asked. Refused, or harmless; never a crash.
#include <cstring>

#include <gtest/gtest.h>

#include "compiler/backend/build.h"
#include "matcher/onnx_io.h"
#include "runtime/session.h"
#include "tests/runtime/small_engine.h"

namespace rulec {
namespace {

struct Sample {
  const char* name;
  const char* text;
};

// Fast kernels, bodies, strings, sequences and shapes that are not known. No loops: a forged count
// of steps is a valid one.
constexpr Sample samples[] = {
    {"convolutions", R"(<ir_version: 8, opset_import: ["" : 17]>
main (float[1,3,6,6] x) => (float[1,2,1,1] y)
<float[4,3,3,3] w = {)"
                     "1,0,0,0,0,0,0,0,0, 0,1,0,0,0,0,0,0,0, 0,0,1,0,0,0,0,0,0,"
                     "0,0,0,1,0,0,0,0,0, 0,0,0,0,1,0,0,0,0, 0,0,0,0,0,1,0,0,0,"
                     "0,0,0,0,0,0,1,0,0, 0,0,0,0,0,0,0,1,0, 0,0,0,0,0,0,0,0,1,"
                     "1,0,0,0,0,0,0,0,0, 0,1,0,0,0,0,0,0,0, 0,0,1,0,0,0,0,0,0"
                     R"(}, float[2,4,1,1] p = {1,2,3,4,5,6,7,8}>
{
  a = Conv<pads = [1,1,1,1]>(x, w)
  b = Relu(a)
  c = MaxPool<kernel_shape = [2,2], strides = [2,2]>(b)
  d = Conv(c, p)
  y = GlobalAveragePool(d)
})"},
    {"bodies", R"(<ir_version: 8, opset_import: ["" : 17]>
main (bool c, float[N,2] x) => (float[N,2] y)
{
  y = If<then_branch = yes () => (float[N,2] r) { r = Neg(x) },
         else_branch = no () => (float[N,2] s) { s = Softmax<axis = 1>(x) }>(c)
})"},
    {"texts", R"(<ir_version: 8, opset_import: ["" : 17]>
main (string[2] t, float[?,3] x) => (string[2] u, seq(float[?,3]) s)
{
  u = Identity(t)
  s = SequenceConstruct(x, x)
})"}};

std::string build(const Sample& sample) {
  auto model = import_onnx_text(sample.text);
  EXPECT_TRUE(model) << model.error().message;
  if (!model) return {};
  BuildOptions options;
  options.producer = "rulec test";
  auto built = build_engine(*model, options);
  EXPECT_TRUE(built) << built.error().message;
  return built ? built->bytes : std::string();
}

// Small inputs of the types that the engine asks for, where it still makes sense.
void run(const Engine& engine) {
  auto session = Session::create(engine);
  if (!session) return;
  std::vector<Value> inputs;
  for (const EnginePort& port : engine.inputs()) {
    Shape shape;
    std::int64_t size = 1;
    for (const PortDim& dim : port.dims) {
      shape.push_back(dim.size < 0 ? 2 : dim.size);
      size = shape.back() > 4096 ? 1 << 20 : size * shape.back();
      if (size > 4096) return;
    }
    if (!port.is_tensor || port.dtype == DType::Undefined) return;
    inputs.emplace_back(Tensor::zeros(port.dtype, std::move(shape)));
  }
  (void)session->run(std::span<const Value>(inputs));
}

class DamagedEngine : public testing::TestWithParam<Sample> {};

TEST_P(DamagedEngine, IsSoundBefore) {
  auto engine = Engine::load_bytes(build(GetParam()), {.verify_weights = true});
  ASSERT_TRUE(engine) << engine.error().message;
  run(*engine);
}

TEST_P(DamagedEngine, EveryLengthIsRefusedAsTruncated) {
  const std::string good = build(GetParam());
  for (std::size_t size = 8; size < good.size(); size += size < 512 ? 1 : 61) {
    const auto engine = Engine::load_bytes(good.substr(0, size));
    ASSERT_FALSE(engine) << size;
    EXPECT_NE(engine.error().message.find("truncated"), std::string::npos)
        << size << ": " << engine.error().message;
  }
}

TEST_P(DamagedEngine, EveryChangedByteIsFoundByTheChecksums) {
  const std::string good = build(GetParam());
  format::Header header;
  std::memcpy(&header, good.data(), sizeof header);
  std::string bad = good;
  for (const format::Section& section : header.table) {
    for (std::size_t at = section.offset; at < section.offset + section.size; ++at) {
      bad[at] = static_cast<char>(bad[at] ^ 0x10);
      EXPECT_FALSE(Engine::load_bytes(bad, {.verify_weights = true})) << at;
      bad[at] = good[at];
    }
  }
  for (std::size_t at = 0; at < format::header_size; ++at) {
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    EXPECT_FALSE(Engine::load_bytes(bad)) << at;
    bad[at] = good[at];
  }
}

TEST_P(DamagedEngine, ForgedRecordsAreRefusedOrHarmless) {
  const std::string good = build(GetParam());
  format::Header header;
  std::memcpy(&header, good.data(), sizeof header);
  const auto weights = static_cast<std::size_t>(format::SectionKind::Weights);
  static constexpr int patterns[] = {0x01, 0x80, 0xff};
  for (std::size_t at = sizeof(format::magic); at < header.table[weights].offset; ++at) {
    if (at >= sizeof(format::Header) && at < format::header_size) continue;
    const std::size_t arena = offsetof(format::Header, arena_bytes);
    if (at >= arena && at < arena + 8) continue;  // a forged size of the arena only costs memory
    for (const int pattern : patterns) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ pattern);
      repair_checksums(bad);
      const auto engine = Engine::load_bytes(std::move(bad));
      if (engine) run(*engine);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Samples, DamagedEngine, testing::ValuesIn(samples),
                         [](const auto& sample) { return std::string(sample.param.name); });

}  // namespace
}  // namespace rulec
