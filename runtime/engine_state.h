// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a loaded engine consists of: private to engine*.cc, session.cc and executor.cc.

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/arena.h"
#include "runtime/engine.h"
#include "runtime/format.h"
#include "runtime/kernels.h"

namespace rulec {

struct Engine::State {
  std::shared_ptr<const void> storage;  // the mapping, or the bytes
  std::span<const std::byte> file;
  const format::Header* header = nullptr;
  std::span<const char> strings;
  std::span<const format::StringRef> string_refs;
  std::span<const std::int64_t> integers;
  std::span<const format::Value> values;
  std::span<const std::uint32_t> operands;
  std::span<const format::Op> ops;
  std::span<const format::Program> programs;
  std::span<const format::Attribute> attributes;
  std::span<const format::Port> ports;
  std::span<const std::byte> parameters;
  std::span<const format::SizePatch> sizes;
  std::span<const std::byte> weights;

  std::vector<Attributes> op_attributes;  // one for each op
  std::vector<EnginePort> inputs, outputs;
  Isa isa = Isa::Portable;
  std::shared_ptr<ArenaPool> arenas = std::make_shared<ArenaPool>();

  // The same engine for other sizes of its open dimension: made when they come, and kept.
  struct Others {
    std::mutex mutex;
    std::map<std::int64_t, std::shared_ptr<const State>> by_size;
  };
  std::shared_ptr<Others> others = std::make_shared<Others>();

  std::string_view text(std::uint32_t ref) const {
    if (ref == format::none) return {};
    const format::StringRef r = string_refs[ref];
    return {strings.data() + r.offset, r.size};
  }
  std::span<const std::int64_t> dims(const format::Value& v) const {
    return v.rank == 0xff ? std::span<const std::int64_t>()
                          : integers.subspan(v.dims == format::none ? 0 : v.dims, v.rank);
  }
  std::span<const format::Value> values_of(const format::Program& p) const {
    return values.subspan(p.first_value, p.values);
  }
  std::span<const format::Op> ops_of(const format::Program& p) const {
    return ops.subspan(p.first_op, p.ops);
  }
  std::span<const std::uint32_t> inputs_of(const format::Op& op) const {
    return operands.subspan(op.first_operand, op.inputs);
  }
  std::span<const std::uint32_t> outputs_of(const format::Op& op) const {
    return operands.subspan(op.first_operand + op.inputs, op.outputs);
  }
  // The tensor of a value with Storage::Weight.
  Tensor weight(const format::Value& value) const;
  // How a fast kernel sees a value; `data` is set for weights only.
  TensorRef ref(const format::Value& value) const;
};

// Every check that makes running safe. `state` has its section spans, nothing else.
Status validate(const Engine::State& state);
// What follows from checked records: attributes, ports.
void describe_interface(Engine::State& state);
// The attributes of one (validated) op.
Attributes decode_attributes(const Engine::State& state, const format::Op& op);

}  // namespace rulec
