// SPDX-License-Identifier: Apache-2.0
#pragma once

// A compiled model, loaded and found sound: data only, no code, immutable, shared by sessions.
//
//   auto engine = Engine::load("net.engine");
//   if (!engine) fail(engine.error());
//   auto session = Session::create(*engine, {.threads = 2});
//   auto outputs = session->run(inputs);

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/attribute.h"
#include "runtime/cpu.h"
#include "runtime/format.h"
#include "runtime/result.h"
#include "runtime/value.h"

namespace rulec {

class ArenaPool;

// A dimension of an input or output: a size, or unknown (named where the model names it).
struct PortDim {
  std::int64_t size = -1;
  std::string symbol;
};

struct EnginePort {
  std::string name;
  bool is_tensor = true;
  DType dtype = DType::Undefined;
  bool known_rank = false;
  std::vector<PortDim> dims;
  std::string type;  // "f32[1,3,N,N]", "seq(i64)": for people
  bool has_default = false;
};

struct LoadOptions {
  bool verify_weights = false;  // their checksum too (the metadata's is always checked)
  bool map = true;              // else the file is read into memory
};

class Engine {
 public:
  // Refuses, with a message that tells them apart: another kind of file, another version, another
  // CPU, a truncated file, a damaged one.
  static Result<Engine> load(const std::filesystem::path& path, LoadOptions options = {});
  static Result<Engine> load_bytes(std::string bytes, LoadOptions options = {});

  const std::vector<EnginePort>& inputs() const;
  const std::vector<EnginePort>& outputs() const;
  std::uint64_t file_bytes() const;
  std::uint64_t arena_bytes() const;
  std::uint64_t weight_bytes() const;
  Isa isa() const;  // the one its kernels will use here
  std::string producer() const;
  std::string model_sha256() const;  // hexadecimal
  std::string rules_sha256() const;

  struct Operation {
    std::string kernel;  // "Conv", or "Generic(NonMaxSuppression)"
    std::string name;    // of the model's node or nodes
    double flops = 0;    // of one run; 0 where unknown
  };
  std::vector<Operation> operations() const;  // of the main program

  // Where each value of the main program lies in the arena, and for which of its operations.
  struct Place {
    std::string name;
    std::uint64_t offset = 0, bytes = 0;
    std::uint32_t from = 0, to = 0;  // operations, both included
  };
  std::vector<Place> memory_plan() const;  // by the operation that makes it
  // Bytes that live at the busiest operation: no plan can do with fewer.
  std::uint64_t least_arena_bytes() const;

  // Sections, values, operations: for `--dump=engine` and tests.
  std::string dump() const;

  struct State;
  const State& state() const { return *state_; }

 private:
  friend class Session;
  explicit Engine(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace rulec
