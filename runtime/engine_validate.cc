// SPDX-License-Identifier: Apache-2.0
// The idea: after these checks running needs none. Records are visited in an order in which
// whatever a check reads was itself checked before.

#include "runtime/engine_checks.h"

namespace rulec {

using format::none;
using format::Storage;
using State = Engine::State;

// Running a nested program uses the stack.
static constexpr int max_depth = 64;

static Status check_value(const State& s, const format::Value& v, std::size_t at) {
  if (!is_string(s, v.name)) return corrupt("value {} has no name {}", at, v.name);
  if (v.dtype > static_cast<int>(DType::I2))
    return corrupt("value {} has element type {}", at, v.dtype);
  if (v.storage > Storage::Weight)
    return corrupt("value {} has storage {}", at, static_cast<int>(v.storage));
  if (v.layout > format::Layout::Blocked)
    return corrupt("value {} has layout {}", at, static_cast<int>(v.layout));
  if (v.layout == format::Layout::Plain && v.halo != 0) {
    return corrupt("value {} has a border and is not blocked", at);
  }
  if (v.flags != 0) return corrupt("value {} has flags {:#x}", at, v.flags);
  if (v.rank == 0xff) {
    if (v.storage != Storage::Heap || v.layout != format::Layout::Plain) {
      return corrupt("value {} has no known rank", at);
    }
    return Done{};
  }
  if (v.rank > format::max_rank || (v.rank > 0 && !within(v.dims, v.rank, s.integers.size()))) {
    return corrupt("value {} has {} dimensions at {}", at, v.rank, v.dims);
  }
  const auto dims = s.dims(v);
  bool known = true;
  for (std::int64_t d : dims) {
    if (d < -1 || d > (std::int64_t{1} << 40)) return corrupt("value {} has a size of {}", at, d);
    known = known && d >= 0;
  }
  if (v.storage == Storage::Heap) {
    if (v.layout != format::Layout::Plain) return corrupt("value {} is blocked on the heap", at);
    if (known && !checked_element_count(dims)) return corrupt("value {} is too large", at);
    return Done{};
  }
  const auto dtype = static_cast<DType>(v.dtype);
  const auto count = known ? checked_element_count(dims) : std::nullopt;
  if (!count || *count > (std::int64_t{1} << 40)) return corrupt("value {} has no proper size", at);
  if (dtype == DType::Undefined) return corrupt("value {} has no element type", at);
  if (dtype == DType::String) {
    if (v.storage != Storage::Weight || v.bytes != static_cast<std::uint64_t>(*count) ||
        !within(v.offset, v.bytes, s.string_refs.size())) {
      return corrupt("value {} has no proper strings", at);
    }
    return Done{};
  }
  std::uint64_t bytes = rulec::byte_size(dtype, *count);
  if (v.layout == format::Layout::Blocked) {
    if (dtype != DType::F32 || v.rank != 4 || v.halo > 64 || v.storage != Storage::Arena) {
      return corrupt("value {} cannot be blocked", at);
    }
    bytes = blocked_bytes(dims.data(), v.halo);
  }
  if (bytes != v.bytes) return corrupt("value {} has {} bytes instead of {}", at, v.bytes, bytes);
  const std::uint64_t size = v.storage == Storage::Arena ? s.header->arena_bytes : s.weights.size();
  const std::uint64_t alignment = v.storage == Storage::Weight ? format::weight_alignment
                                  : v.alias_of == none         ? format::arena_alignment
                                                               : 4;
  if (v.offset % alignment != 0 || !within(v.offset, v.bytes, size)) {
    return corrupt("value {} lies at {}+{} of {}", at, v.offset, v.bytes, size);
  }
  return Done{};
}

static Status check_programs(const State& s) {
  if (s.programs.empty()) return corrupt("no program");
  std::uint64_t value = 0, op = 0;
  std::vector<int> depth(s.programs.size(), 0);
  for (std::size_t i = 0; i < s.programs.size(); ++i) {
    const format::Program& p = s.programs[i];
    const bool root = p.parent == none;
    if (root != (i == 0) || (!root && p.parent >= i)) {
      return corrupt("program {} has parent {}", i, p.parent);
    }
    depth[i] = root ? 0 : depth[p.parent] + 1;
    if (depth[i] > max_depth) return corrupt("programs are nested more than {} deep", max_depth);
    // Programs share no records, so that each is checked once.
    if (p.first_value != value || !within(value, p.values, s.values.size()) || p.first_op != op ||
        !within(op, p.ops, s.ops.size()) || !within(p.first_input, p.inputs, s.operands.size()) ||
        !within(p.first_output, p.outputs, s.operands.size()) || p.captures > (1u << 30) ||
        !within(p.first_capture, std::uint64_t{2} * p.captures, s.operands.size()) ||
        (root && p.captures != 0)) {
      return corrupt("program {} reaches outside its sections", i);
    }
    value += p.values;
    op += p.ops;
  }
  // What follows the programs' own values are tensors of attributes.
  for (std::size_t v = value; v < s.values.size(); ++v) {
    if (s.values[v].storage != Storage::Weight) return corrupt("value {} belongs to no program", v);
  }
  if (op != s.ops.size()) return corrupt("{} operations belong to no program", s.ops.size() - op);
  return Done{};
}

static Status check_ports(const State& s) {
  const format::Program& p = s.programs[0];
  std::uint32_t inputs = 0, outputs = 0;
  for (const format::Port& port : s.ports) {
    const std::uint32_t count = port.is_output ? p.outputs : p.inputs;
    std::uint32_t& at = port.is_output ? outputs : inputs;
    if (port.is_output > 1 || port.kind > 1 || port.optional > 1 || port.name == none ||
        at >= count || !is_string(s, port.name) || !is_string(s, port.type_text) ||
        port.value >= p.values ||
        s.operands[(port.is_output ? p.first_output : p.first_input) + at] != port.value) {
      return corrupt("a port is not an input or output of the program");
    }
    ++at;
    const format::Value& v = s.values[port.value];
    if (port.first_symbol != none) {
      if (v.rank == 0xff || !within(port.first_symbol, v.rank, s.integers.size())) {
        return corrupt("a port's dimension names are missing");
      }
      for (std::int64_t symbol : s.integers.subspan(port.first_symbol, v.rank)) {
        if (symbol < -1 || symbol >= static_cast<std::int64_t>(s.string_refs.size())) {
          return corrupt("a port's dimension name {} is missing", symbol);
        }
      }
    }
    if (port.optional && (port.default_value >= p.values ||
                          s.values[port.default_value].storage != Storage::Weight)) {
      return corrupt("a port's default is missing");
    }
  }
  if (inputs != p.inputs || outputs != p.outputs)
    return corrupt("inputs or outputs without a port");
  return Done{};
}

Status validate(const State& s) {
  for (const format::StringRef& r : s.string_refs) {
    if (!within(r.offset, r.size, s.strings.size())) return corrupt("a string lies outside");
  }
  for (std::size_t i = 0; i < s.values.size(); ++i) {
    if (Status ok = check_value(s, s.values[i], i); !ok) return ok;
  }
  if (Status ok = check_programs(s); !ok) return ok;
  for (std::size_t i = 0; i < s.programs.size(); ++i) {
    // Capture pairs first: a body is checked after its parent reads them.
    const format::Program& p = s.programs[i];
    for (std::uint32_t c = 0; c < p.captures; ++c) {
      if (s.operands[p.first_capture + 2 * c] >= s.programs[p.parent].values) {
        return corrupt("program {} captures nothing", i);
      }
    }
  }
  for (std::size_t i = 0; i < s.programs.size(); ++i) {
    if (Status ok = check_program(s, i); !ok) return ok;
  }
  return check_ports(s);
}

}  // namespace rulec
