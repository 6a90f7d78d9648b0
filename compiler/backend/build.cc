// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/build.h"

#include <algorithm>
#include <map>
#include <span>

#include "compiler/backend/emit_engine.h"
#include "compiler/backend/lower.h"
#include "compiler/backend/memory_plan.h"
#include "compiler/backend/open_size.h"
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

static Result<backend::Lowered> lower_model(const Model& model, const BuildOptions& options,
                                            bool any_batch, BuiltEngine& built) {
  Model prepared = model;
  if (Status ok = backend::prepare(prepared, options, built); !ok) return ok.error();
  auto lowered = backend::lower(prepared, options.fast_kernels, options.optimize, any_batch);
  if (lowered) backend::plan_memory(*lowered);
  return lowered;
}

static EngineInfo info_of(const BuildOptions& options) {
  EngineInfo info;
  info.producer = options.producer;
  info.preferred = options.isa;
  info.options_hash = hash_of(options);
  info.model_sha256 = options.model_sha256;
  info.rules_sha256 = options.rules_sha256;
  return info;
}

static void describe(BuiltEngine& built, backend::Lowered& lowered) {
  for (auto& r : lowered.report) {
    built.report.push_back(
        {std::move(r.node), std::move(r.type), std::move(r.kernel), std::move(r.note)});
  }
  built.arena_bytes = lowered.arena_bytes;
  built.operations = lowered.programs[0].operations.size();
  for (const auto& op : lowered.programs[0].operations) {
    built.generic_operations += op.opcode == Opcode::Generic ? 1 : 0;
  }
}

// What the model says of its inputs and outputs, before a size was set.
static void describe_ports(const Model& model, backend::Lowered& lowered) {
  for (backend::Port& port : lowered.ports) {
    const GraphInfo& main = model.graph(model.main());
    for (const ValueId id : port.is_output ? main.outputs : main.inputs) {
      const GraphValue& v = model.value(id);
      if (v.name != port.name) continue;
      port.type_text = to_string(v.type);
      const auto& dims = lowered.programs[0].values[port.value].dims;
      port.symbols.clear();
      if (!v.type.dims || !dims || v.type.dims->size() != dims->size()) continue;
      for (const Dim& d : *v.type.dims)
        port.symbols.push_back(d.symbol);
    }
  }
}

// An engine for any size of the one dimension that the model leaves open, where there is one and
// the engines for several sizes have one form. Tried with the engine for 1 first, since it may be
// written with fewer copies.
static Result<std::optional<BuiltEngine>> build_for_any_size(const Model& model,
                                                             const BuildOptions& options) {
  const auto dimension = backend::find_open_dimension(model, options);
  if (!dimension || !options.fast_kernels ||
      !backend::shapes_grow_evenly(model, *dimension, options)) {
    return std::optional<BuiltEngine>();
  }
  struct Sample {
    std::int64_t size = 0;
    BuiltEngine built;
    std::optional<backend::Lowered> lowered;
  };
  const EngineInfo info = info_of(options);
  const backend::OpenSize apart;
  std::map<std::int64_t, Sample> samples;
  const auto sample = [&](std::int64_t size) -> Sample* {
    Sample& s = samples[size];
    if (s.lowered) return &s;
    auto lowered = lower_model(model, dimension->with(options, size), true, s.built);
    // What does not lower for a size may do so for another, or with the dimension open.
    if (!lowered) return nullptr;
    describe_ports(model, *lowered);
    s.built.bytes = backend::emit_engine(*lowered, info, &apart);
    s.lowered = std::move(*lowered);
    return &s;
  };
  // The last is far off, so that a kernel's number that grows by steps does not pass for one that
  // stays.
  static constexpr std::int64_t tried[][4] = {{1, 2, 3, 61}, {2, 3, 5, 61}};
  for (const auto& sizes : tried) {
    std::vector<backend::SizedEngine> engines;
    for (const std::int64_t size : sizes) {
      const Sample* const made = sample(size);
      if (made == nullptr) return std::optional<BuiltEngine>();
      engines.push_back({size, made->built.bytes});
    }
    const auto open = backend::compare_sizes(engines[0], std::span(engines).subspan(1));
    if (!open) continue;
    Sample* const base = &samples.at(sizes[0]);
    const auto& operations = base->lowered->programs[0].operations;
    const bool any_fast = std::any_of(operations.begin(), operations.end(),
                                      [](const auto& op) { return op.opcode != Opcode::Generic; });
    if (!any_fast) break;  // nothing is gained, and a size of 0 lost
    BuiltEngine built = std::move(base->built);
    built.bytes = backend::emit_engine(*base->lowered, info, &*open);
    built.open_dimension = dimension->symbol.empty()
                               ? "an unnamed dimension of `" + dimension->input + "`"
                               : "dimension `" + dimension->symbol + "`";
    describe(built, *base->lowered);
    return std::optional(std::move(built));
  }
  return std::optional<BuiltEngine>();
}

Result<BuiltEngine> build_engine(const Model& model, const BuildOptions& options) {
  auto any_size = build_for_any_size(model, options);
  if (!any_size) return any_size.error();
  if (*any_size) return std::move(**any_size);
  BuiltEngine built;
  auto lowered = lower_model(model, options, false, built);
  if (!lowered) return lowered.error();
  built.bytes = backend::emit_engine(*lowered, info_of(options));
  describe(built, *lowered);
  return built;
}

}  // namespace rulec
