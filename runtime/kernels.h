// SPDX-License-Identifier: Apache-2.0
#pragma once

// The fast kernels: one function for each opcode and instruction set, chosen once by cpu.h. They
// trust their operands: check_operation has looked at every size when the engine was loaded.
// Only plain data here: kernels are compiled for several instruction sets, and a shared inline
// function would be linked from any of them.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "runtime/cpu.h"
#include "runtime/dtype.h"
#include "runtime/format.h"
#include "runtime/kernels/parameters.h"

namespace rulec {

class ThreadPool;

enum class Opcode : std::uint16_t {
#define RULEC_OPCODE(name, parameters) name,
#include "runtime/opcodes.def"
};
#define RULEC_OPCODE(name, parameters) +1
inline constexpr std::size_t opcode_count = 0
#include "runtime/opcodes.def"
    ;

std::string_view name(Opcode opcode);

// An operand of a fast kernel: static shape, known place.
struct TensorRef {
  std::byte* data = nullptr;
  const std::int64_t* dims = nullptr;
  std::uint64_t bytes = 0;
  std::uint32_t rank = 0;
  std::uint32_t halo = 0;
  DType dtype = DType::Undefined;
  format::Layout layout = format::Layout::Plain;

  bool present() const { return dims != nullptr || bytes != 0; }
};

// How a Blocked tensor [N,C,H,W] lies in memory, in floats.
struct BlockedExtent {
  std::int64_t n, c, h, w;
  std::int64_t blocks;  // of 16 channels
  std::int64_t row, plane, image;
  std::int64_t origin;  // of pixel (0,0)
};
BlockedExtent blocked_extent(const std::int64_t* dims, std::uint32_t halo);
// Bytes of a blocked tensor; nothing on overflow, or where a dimension is negative.
std::uint64_t blocked_bytes(const std::int64_t* dims, std::uint32_t halo);

struct KernelCall {
  std::span<const TensorRef> inputs;
  std::span<const TensorRef> outputs;
  const std::byte* parameters;
  std::uint32_t parameter_bytes;
  ThreadPool* pool;
};

using FastKernel = void (*)(const KernelCall& call);

struct KernelTable {
  FastKernel run[opcode_count] = {};  // null: not of this table (Generic)
};

const KernelTable& kernels_for(Isa isa);

// Memory of the calling thread, at least `bytes`, 64-byte aligned, kept for its next call.
std::byte* thread_scratch(std::size_t bytes);
// The same, another piece: for what a caller shares with the chunks of its loops.
std::byte* shared_scratch(std::size_t bytes);

}  // namespace rulec
