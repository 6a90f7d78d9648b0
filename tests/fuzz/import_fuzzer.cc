// SPDX-License-Identifier: Apache-2.0
// A model in ONNX's text form, then its binary form with damage of many kinds: import refuses it,
// or what it gives is sound, has types, and survives export and import.
#include <random>

#include "matcher/onnx_io.h"
#include "runtime/check.h"
#include "tests/fuzz/damage.h"

using namespace rulec;

static void look(const std::string& bytes) {
  auto model = import_onnx_bytes(bytes);
  if (!model) return;
  const Status sound = model->verify();
  RULEC_CHECK(sound);
  std::vector<std::string> warnings;
  infer_types(*model, warnings);
  const auto written = export_onnx_bytes(*model);
  RULEC_CHECK(written);
  RULEC_CHECK(import_onnx_bytes(*written));
}

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  look(text);
  auto model = import_onnx_text(text);
  if (!model) return 0;
  const auto bytes = export_onnx_bytes(*model);
  if (!bytes) return 0;
  std::seed_seq seed(data, data + size);
  std::mt19937 random(seed);
  for (int i = 0; i < 200; ++i)
    look(test::damaged(*bytes, *bytes, random));
  return 0;
}
