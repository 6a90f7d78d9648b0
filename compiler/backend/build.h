// SPDX-License-Identifier: Apache-2.0
#pragma once

// A model made into an engine: prepare, lower, plan_memory, emit_engine.
//
//   auto built = build_engine(model, {});
//   if (!built) fail(built.error());
//   write_file_atomically("net.engine", built->bytes);

#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "matcher/graph.h"
#include "runtime/cpu.h"
#include "runtime/result.h"

namespace rulec {

enum class Optimize : std::uint8_t { Latency, Balanced, Size };

struct BuildOptions {
  // The best instruction set the engine may use; a lesser CPU still runs it, since packed weights
  // serve all of them.
  Isa isa = Isa::Avx512;
  Optimize optimize = Optimize::Latency;
  // Sizes of the model's named dimensions: {"N", 1}.
  std::map<std::string, std::int64_t> dims;
  // Whole shapes of inputs, by name: they may fix anonymous dimensions too.
  std::map<std::string, std::vector<std::int64_t>> input_shapes;
  bool fast_kernels = true;  // false: generic kernels only, to tell their faults apart
  std::string producer;      // "rulec 0.1.0"
  std::array<std::uint8_t, 32> model_sha256{};
  std::array<std::uint8_t, 32> rules_sha256{};
};

// What became of one node of the (prepared) model.
struct BuiltNode {
  std::string node;    // its name, or its first output's
  std::string type;    // "Conv"
  std::string kernel;  // "Conv", "Generic"; empty when no operation is left of it
  std::string note;    // "fused into …", "an alias", why it is generic
};

struct BuiltEngine {
  std::string bytes;
  std::vector<BuiltNode> report;
  std::vector<std::string> warnings;
  std::string open_dimension;  // what the engine takes any size of, in words; or nothing
  std::uint64_t arena_bytes = 0;
  std::size_t operations = 0;          // of the main program
  std::size_t generic_operations = 0;  // of them
};

Result<BuiltEngine> build_engine(const Model& model, const BuildOptions& options);

}  // namespace rulec
