// SPDX-License-Identifier: Apache-2.0
#pragma once

// The engine file, byte for byte: a header of 4 KB, then sections of fixed-width little-endian
// records that name one another by index. No pointers, no code. engine_writer.h makes it,
// engine.h reads and checks it.
//
//   header | strings | string refs | integers | values | operands | ops | programs | attributes |
//   ports | parameters | sizes | weights (4 KB aligned, each tensor 64 B aligned)

#include <array>
#include <bit>
#include <cstdint>
#include <type_traits>

namespace rulec::format {

static_assert(std::endian::native == std::endian::little, "engine files are little-endian");

// As PNG's: a high bit, a name, and the bytes that text-mode transfers damage.
inline constexpr std::array<std::uint8_t, 8> magic = {0x89, 'R', 'L', 'E', '\r', '\n', 0x1a, '\n'};
inline constexpr std::uint32_t endian_tag = 0x01020304;
inline constexpr std::uint16_t major_version = 1;
inline constexpr std::uint16_t minor_version = 1;
// Changes whenever an opcode's parameters, a weight packing or a kernel's operands change.
inline constexpr std::uint64_t kernel_abi = 0x72756c6563000008ULL;

inline constexpr std::uint32_t none = 0xffffffff;
inline constexpr std::size_t header_size = 4096;
inline constexpr std::size_t weight_alignment = 64;
inline constexpr std::size_t weight_section_alignment = 4096;
inline constexpr std::size_t arena_alignment = 64;
inline constexpr std::uint64_t max_arena_bytes = std::uint64_t{1} << 36;
inline constexpr std::uint32_t max_rank = 32;

enum class SectionKind : std::uint32_t {
  Strings,     // bytes
  StringRefs,  // StringRef
  Integers,    // i64: dimensions and integer lists
  Values,      // Value
  Operands,    // u32: value index within the program, or `none`; see last_use
  Ops,         // Op
  Programs,    // Program
  Attributes,  // Attribute
  Ports,       // Port
  Parameters,  // bytes: the parameter structs of fast kernels, 8-byte aligned
  Sizes,       // SizePatch: what depends on a dimension that the model leaves open
  Weights,     // bytes
};
inline constexpr std::size_t section_count = 12;

struct Section {
  std::uint32_t kind = 0;
  std::uint32_t crc32c = 0;  // of its bytes
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

struct Header {
  std::array<std::uint8_t, 8> magic;
  std::uint32_t endian;
  std::uint16_t major, minor;
  std::uint32_t size;      // of this header
  std::uint32_t sections;  // section_count
  std::uint64_t file_size;
  std::uint64_t kernel_abi;
  std::uint32_t required_isa;   // bits of cpu.h's Isa
  std::uint32_t preferred_isa;  // an Isa
  std::uint64_t arena_bytes;
  std::uint64_t options_hash;
  std::uint32_t dims_flags;  // reserved, 0
  std::uint32_t reserved;
  std::array<char, 32> producer;  // "rulec 0.1.0", zero-filled
  std::array<std::uint8_t, 32> model_sha256;
  std::array<std::uint8_t, 32> rules_sha256;
  std::array<Section, section_count> table;
};
static_assert(sizeof(Header) <= header_size - 4);
// The last four bytes of the header's 4 KB: crc32c over all before them.
inline constexpr std::size_t header_crc_offset = header_size - 4;

struct StringRef {
  std::uint32_t offset = 0, size = 0;
};

enum class Storage : std::uint8_t {
  Heap,    // made while running: results of generic kernels, captured and formal values
  Arena,   // at a fixed place of the arena
  Weight,  // in the weights section, or (strings) in StringRefs
};

enum class Layout : std::uint8_t {
  Plain,    // row-major
  Blocked,  // NCHW16c: [N][ceil(C/16)][H + 2 halo][W + 2 halo][16], f32, zero where C is not full
};

// A value of a program. Sizes of dims are -1 where unknown.
struct Value {
  std::uint32_t name = none;  // StringRef
  std::uint8_t dtype = 0;
  Storage storage = Storage::Heap;
  Layout layout = Layout::Plain;
  std::uint8_t rank = 0xff;       // 0xff: unknown, or not a tensor
  std::uint32_t dims = none;      // first of `rank` Integers
  std::uint32_t halo = 0;         // of Blocked, in pixels on every side
  std::uint64_t offset = 0;       // in the arena, the weights section, or StringRefs (strings)
  std::uint64_t bytes = 0;        // its extent there
  std::uint32_t alias_of = none;  // an Arena value that this one lies in
  std::uint32_t flags = 0;
};

// Operand bit: no later op of the program reads this value.
inline constexpr std::uint32_t last_use = 0x80000000;

// Flag of a Generic op: a fast kernel may do it where its operands' shapes allow, see
// shape_plans.h.
inline constexpr std::uint16_t planned = 1;

struct Op {
  std::uint16_t opcode = 0;
  std::uint16_t inputs = 0;
  std::uint16_t outputs = 0;
  std::uint16_t flags = 0;          // planned, of a Generic op
  std::uint32_t first_operand = 0;  // inputs, then outputs
  std::uint32_t parameters = 0;     // byte offset in Parameters
  std::uint32_t parameter_bytes = 0;
  std::uint32_t name = none;  // of the source node (or nodes, joined by '+')
  // of a Generic op:
  std::uint32_t domain = none, type = none;
  std::int32_t opset = 0;
  std::uint32_t first_attribute = 0, attributes = 0;
  std::uint32_t reserved = 0;
};

// Program 0 is the model; the others are bodies of If, Loop and Scan.
struct Program {
  std::uint32_t first_value = 0, values = 0;
  std::uint32_t first_op = 0, ops = 0;
  std::uint32_t first_input = 0, inputs = 0;      // Operands: value indices
  std::uint32_t first_output = 0, outputs = 0;    // Operands: value indices, or none
  std::uint32_t first_capture = 0, captures = 0;  // Operands: pairs (value of parent, value here)
  std::uint32_t parent = none;
  std::uint32_t reserved = 0;
};

enum class AttributeKind : std::uint8_t {
  Integer,      // `bits`
  Number,       // `bits`: a float's
  Text,         // first: StringRef
  Tensor,       // first: value index in the Values section that has Storage::Weight
  Body,         // first: program
  Type,         // first: StringRef
  Integers,     // first, count: Integers
  Numbers,      // first, count: Integers holding floats' bits
  Texts,        // first, count: StringRefs (consecutive)
  Tensors,      // first, count: Values (consecutive)
  Bodies,       // first, count: Integers
  SparseTensor  // first: Values index of values, then indices; count: rank, dims at `extra`
};

struct Attribute {
  std::uint32_t name = none;
  AttributeKind kind = AttributeKind::Integer;
  std::uint8_t pad[3] = {};
  std::uint32_t first = 0, count = 0;
  std::uint32_t extra = 0, reserved = 0;
  std::int64_t bits = 0;
};

// An input or output of the engine, in the model's order.
struct Port {
  std::uint32_t name = none;
  std::uint32_t is_output = 0;
  std::uint32_t value = none;  // of program 0
  std::uint32_t kind = 0;      // 0: tensor, else not a tensor, see type_text
  std::uint32_t type_text = none;
  std::uint32_t first_symbol = none;   // Integers: StringRef index or -1 for each dimension
  std::uint32_t optional = 0;          // an input with a default: that of `default_value`
  std::uint32_t default_value = none;  // value of program 0
};

enum class PatchKind : std::uint32_t {
  Size,     // the first, if any: base is the size that the records are written for
  Integer,  // index: of Integers
  Word,     // index: of Parameters, in units of 4 bytes
  Part,     // index: of Values, one with alias_of: its distance from that, in bytes
};

// A number that is base + step (n - size) where the open dimension has size n. What arena values
// measure follows from their dimensions; their places are multiplied, see engine_sizes.h.
struct SizePatch {
  PatchKind kind = PatchKind::Size;
  std::uint32_t index = 0;
  std::int64_t base = 0, step = 0;
};

static_assert(sizeof(SizePatch) == 24 && std::is_trivially_copyable_v<SizePatch>);
static_assert(sizeof(Value) == 40 && std::is_trivially_copyable_v<Value>);
static_assert(sizeof(Op) == 48 && std::is_trivially_copyable_v<Op>);
static_assert(sizeof(Program) == 48 && std::is_trivially_copyable_v<Program>);
static_assert(sizeof(Attribute) == 32 && std::is_trivially_copyable_v<Attribute>);
static_assert(sizeof(Port) == 32 && std::is_trivially_copyable_v<Port>);

}  // namespace rulec::format
