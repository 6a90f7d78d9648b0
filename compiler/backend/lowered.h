// SPDX-License-Identifier: Apache-2.0
#pragma once

// What lowering makes of a Model: linear programs of kernel calls on values that have a layout but,
// until plan_memory, no place. Not the file: emit_engine writes that.

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "runtime/attribute.h"
#include "runtime/format.h"
#include "runtime/kernels.h"
#include "runtime/tensor.h"

namespace rulec::backend {

inline constexpr std::uint32_t no_value = format::none;

struct Value {
  std::string name;
  DType dtype = DType::Undefined;
  std::optional<std::vector<std::int64_t>> dims;  // -1 where unknown; nothing: unknown rank
  format::Storage storage = format::Storage::Heap;
  format::Layout layout = format::Layout::Plain;
  std::uint32_t halo = 0;
  Tensor constant;                    // of a Weight
  std::uint32_t alias_of = no_value;  // an arena value that this one lies in …
  std::int64_t alias_offset = 0;  // … so many bytes in (Plain), or blocks of channels (Blocked)
  std::uint64_t offset = 0;       // in the arena, set by plan_memory
  std::uint64_t bytes = 0;        // set by plan_memory

  bool is_static() const {
    if (!dims) return false;
    for (std::int64_t d : *dims) {
      if (d < 0) return false;
    }
    return dtype != DType::Undefined;
  }
};

struct Operation {
  Opcode opcode = Opcode::Generic;
  std::string name;  // source nodes, joined by '+'
  std::vector<std::uint32_t> inputs, outputs;
  std::string parameters;  // bytes of the kernel's parameter struct
  std::string domain, type;
  int opset = 0;
  Attributes attributes;              // bodies are program numbers
  std::vector<std::uint32_t> bodies;  // those programs
  bool planned = false;               // Generic: a fast kernel may do it, by the run's shapes
  bool dead = false;                  // moved or absorbed

  template <typename T>
  T get() const {
    T out{};
    std::memcpy(&out, parameters.data(), sizeof out);
    return out;
  }
  template <typename T>
  void set(const T& p) {
    parameters.assign(reinterpret_cast<const char*>(&p), sizeof p);
  }
};

struct Program {
  std::uint32_t parent = no_value;
  std::vector<Value> values;
  std::vector<Operation> operations;
  std::vector<std::uint32_t> inputs, outputs;
  std::vector<std::uint32_t> captures;  // pairs: value of the parent, value here
};

struct Port {
  std::string name;
  bool is_output = false;
  bool is_tensor = true;
  std::uint32_t value = no_value;
  std::string type_text;
  std::vector<std::string> symbols;
  std::uint32_t default_value = no_value;
};

// What became of one node, for people.
struct NodeReport {
  std::string node;    // its name, or its first output's
  std::string type;    // "Conv"
  std::string kernel;  // "Conv", "Generic", or empty when no operation is left of it
  std::string note;    // "fused into …", "alias", "folded", why it is generic
};

struct Lowered {
  std::vector<Program> programs;
  std::vector<Port> ports;
  std::vector<NodeReport> report;
  std::uint64_t arena_bytes = 0;
};

}  // namespace rulec::backend
