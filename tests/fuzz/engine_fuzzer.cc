// SPDX-License-Identifier: Apache-2.0
// A model in ONNX's text form is built into an engine, whose records are then forged and its
// checksums made good again: loading refuses it, or what is loaded runs without harm.
#include <cstring>
#include <random>

#include "compiler/backend/build.h"
#include "compiler/command/interface.h"
#include "matcher/onnx_io.h"
#include "runtime/crc32.h"
#include "runtime/format.h"
#include "runtime/session.h"
#include "tests/fuzz/damage.h"

using namespace rulec;

static void repair_checksums(std::string& bytes) {
  format::Header header;
  if (bytes.size() < format::header_size) return;
  std::memcpy(&header, bytes.data(), sizeof header);
  for (format::Section& section : header.table) {
    if (section.offset > bytes.size() || section.size > bytes.size() - section.offset) continue;
    section.crc32c = crc32c(std::as_bytes(std::span(bytes.data() + section.offset, section.size)));
  }
  std::memcpy(bytes.data(), &header, sizeof header);
  const std::uint32_t crc =
      crc32c(std::as_bytes(std::span(bytes.data(), format::header_crc_offset)));
  std::memcpy(bytes.data() + format::header_crc_offset, &crc, sizeof crc);
}

// `runs`: false where a forged number could make it run for ever, which is no fault of the engine.
static void look(std::string bytes, bool runs) {
  // A forged size of the arena only costs memory: more of it than a fuzzer should take.
  format::Header header;
  if (bytes.size() >= sizeof header) {
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.arena_bytes > (std::uint64_t{1} << 24)) return;
  }
  auto engine = Engine::load_bytes(std::move(bytes));
  if (!engine) return;
  auto session = Session::create(*engine);
  auto named = command::make_inputs(command::inputs_of(*engine), 0, 0);
  if (!session || !named || !runs) return;
  std::vector<Value> inputs;
  for (auto& [name, value] : *named)
    inputs.push_back(value);
  (void)session->run(inputs);
}

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  auto model = import_onnx_text(text);
  if (!model) return 0;
  std::vector<std::string> warnings;
  infer_types(*model, warnings);
  auto built = build_engine(*model, {});
  if (!built) return 0;
  look(built->bytes, true);
  const bool loops = text.find("Loop") != std::string::npos;
  std::seed_seq seed(data, data + size);
  std::mt19937 random(seed);
  for (int i = 0; i < 60; ++i) {
    std::string bad = test::forged(built->bytes, random);
    repair_checksums(bad);
    look(std::move(bad), !loops);
  }
  return 0;
}
