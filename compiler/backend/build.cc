// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/build.h"

#include "compiler/backend/emit_engine.h"
#include "compiler/backend/lower.h"
#include "compiler/backend/memory_plan.h"
#include "compiler/backend/prepare.h"

namespace rulec {

// Equal options, equal hash (FNV-1a over their text).
static std::uint64_t hash_of(const BuildOptions& options) {
  std::string text = fmt::format("{} {} {}", static_cast<int>(options.isa),
                                 static_cast<int>(options.optimize), options.fast_kernels);
  for (const auto& [name, size] : options.dims)
    text += fmt::format(" {}={}", name, size);
  for (const auto& [name, shape] : options.input_shapes) {
    text += fmt::format(" {}={}", name, to_string(shape));
  }
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

Result<BuiltEngine> build_engine(const Model& model, const BuildOptions& options) {
  BuiltEngine built;
  Model prepared = model;
  if (Status ok = backend::prepare(prepared, options, built); !ok) return ok.error();
  auto lowered = backend::lower(prepared, options.fast_kernels, options.optimize);
  if (!lowered) return lowered.error();
  backend::plan_memory(*lowered);
  EngineInfo info;
  info.producer = options.producer;
  info.preferred = options.isa;
  info.options_hash = hash_of(options);
  info.model_sha256 = options.model_sha256;
  info.rules_sha256 = options.rules_sha256;
  built.bytes = backend::emit_engine(*lowered, info);
  for (auto& r : lowered->report) {
    built.report.push_back(
        {std::move(r.node), std::move(r.type), std::move(r.kernel), std::move(r.note)});
  }
  built.arena_bytes = lowered->arena_bytes;
  built.operations = lowered->programs[0].operations.size();
  for (const auto& op : lowered->programs[0].operations) {
    built.generic_operations += op.opcode == Opcode::Generic ? 1 : 0;
  }
  return built;
}

}  // namespace rulec
