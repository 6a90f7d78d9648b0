// SPDX-License-Identifier: Apache-2.0
#pragma once

// Builds the bytes of an engine, section by section; engine.h reads them back. Knows the format,
// not what operations mean. Same calls, same bytes.
//
//   EngineWriter writer;
//   writer.begin_program();
//   auto x = writer.add_value({…});
//   writer.add_op({…}, {x}, {y});
//   writer.end_program({x}, {y});
//   std::string bytes = writer.finish(info);

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/attribute.h"
#include "runtime/cpu.h"
#include "runtime/format.h"
#include "runtime/kernels.h"
#include "runtime/result.h"
#include "runtime/tensor.h"

namespace rulec {

struct EngineInfo {
  std::string producer;
  Isa required = Isa::Portable;
  Isa preferred = Isa::Avx512;
  std::uint64_t arena_bytes = 0;
  std::uint64_t options_hash = 0;
  std::array<std::uint8_t, 32> model_sha256{};
  std::array<std::uint8_t, 32> rules_sha256{};
};

class EngineWriter {
 public:
  std::uint32_t add_string(std::string_view text);
  std::uint32_t add_integers(std::span<const std::int64_t> values);
  // Where the bytes lie in the weights section; equal ones are kept once.
  std::uint64_t add_weight(std::span<const std::byte> bytes);

  struct NewValue {
    std::string_view name = {};
    DType dtype = DType::Undefined;
    format::Storage storage = format::Storage::Heap;
    format::Layout layout = format::Layout::Plain;
    std::optional<std::vector<std::int64_t>> dims = std::nullopt;
    std::uint32_t halo = 0;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    std::uint32_t alias_of = format::none;
  };
  struct NewOp {
    Opcode opcode = Opcode::Generic;
    std::string_view name = {};
    std::span<const std::byte> parameters = {};
    std::string_view domain = {};
    std::string_view type = {};
    int opset = 0;
    // Nested graphs are given as indices of programs.
    const Attributes* attributes = nullptr;
    bool planned = false;
  };

  // Programs are numbered in the order of reserve_program; 0 is the main one. They may be filled
  // in any order, one at a time.
  std::uint32_t reserve_program(std::uint32_t parent = format::none);
  void begin_program(std::uint32_t program);
  std::uint32_t add_value(const NewValue& value);
  std::uint32_t add_weight_value(std::string_view name, const Tensor& tensor);
  void add_op(const NewOp& op, std::span<const std::uint32_t> inputs,
              std::span<const std::uint32_t> outputs);
  void end_program(std::span<const std::uint32_t> inputs, std::span<const std::uint32_t> outputs,
                   std::span<const std::uint32_t> captures);

  struct NewPort {
    std::string_view name;
    bool is_output = false;
    std::uint32_t value = 0;
    bool is_tensor = true;
    std::string_view type_text;
    std::vector<std::string> symbols;  // one for each dimension, empty where unnamed
    std::uint32_t default_value = format::none;
  };
  void add_port(const NewPort& port);

  // Every list of dimensions gets a place of its own, so that it can be changed alone.
  void keep_integers_apart() { integers_apart_ = true; }
  void set_sizes(std::vector<format::SizePatch> sizes) { sizes_ = std::move(sizes); }

  std::string finish(const EngineInfo& info);

 private:
  struct ProgramRecords {
    format::Program head;
    std::vector<format::Value> values;
    std::vector<format::Op> ops;
  };
  format::Attribute encode(const Attribute& attribute);
  std::uint32_t add_texts(std::span<const std::string> texts);
  format::Value weight_record(std::string_view name, const Tensor& tensor);
  // Tensors of attributes: a value record behind those of the programs.
  std::uint32_t add_loose(const Tensor& tensor);

  std::string strings_;
  std::vector<format::StringRef> string_refs_;
  std::unordered_map<std::string, std::uint32_t> string_index_;
  std::vector<std::int64_t> integers_;
  std::map<std::vector<std::int64_t>, std::uint32_t> integer_index_;
  std::vector<std::uint32_t> operands_;
  std::vector<format::Attribute> attributes_;
  std::vector<format::Port> ports_;
  std::vector<std::byte> parameters_;
  std::vector<format::SizePatch> sizes_;
  bool integers_apart_ = false;
  std::vector<std::byte> weights_;
  std::multimap<std::uint32_t, std::pair<std::uint64_t, std::uint64_t>> weight_index_;
  std::vector<ProgramRecords> programs_;
  std::vector<format::Value> loose_;
  std::vector<std::uint32_t> loose_attributes_;  // attributes whose `first` counts loose values
  std::uint32_t current_ = format::none;
};

// Writes whole or not at all: temporary file, fsync, rename.
Status write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

}  // namespace rulec
