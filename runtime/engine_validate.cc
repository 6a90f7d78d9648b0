// SPDX-License-Identifier: Apache-2.0
// The idea: after these checks running needs none. Records are visited in an order in which
// whatever a check reads was itself checked before.

#include <algorithm>
#include <cstring>

#include "runtime/engine_state.h"
#include "runtime/generic/kernel.h"
#include "runtime/kernels/check.h"

namespace rulec {

using format::none;
using format::Storage;
using State = Engine::State;

// Running a nested program uses the stack.
static constexpr int max_depth = 64;

template <typename... Args>
static Error corrupt(fmt::format_string<Args...> text, Args&&... args) {
  return {"corrupt engine: " + fmt::format(text, std::forward<Args>(args)...)};
}

// Whether [first, first+count) lies in `size` elements.
static bool within(std::uint64_t first, std::uint64_t count, std::uint64_t size) {
  return first <= size && count <= size - first;
}

static bool is_string(const State& s, std::uint32_t ref) {
  return ref == none || ref < s.string_refs.size();
}

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

static Status check_attribute(const State& s, const format::Attribute& a, std::size_t program) {
  if (a.name == none || !is_string(s, a.name)) return corrupt("an attribute without a name");
  const auto is_weight = [&](std::uint64_t v) {
    return v < s.values.size() && s.values[v].storage == Storage::Weight;
  };
  const auto is_body = [&](std::uint64_t p) {
    return p < s.programs.size() && p > program && s.programs[p].parent == program;
  };
  bool ok = true;
  switch (a.kind) {
    case format::AttributeKind::Integer:
    case format::AttributeKind::Number:
      break;
    case format::AttributeKind::Text:
    case format::AttributeKind::Type:
      ok = a.first < s.string_refs.size();
      break;
    case format::AttributeKind::Tensor:
      ok = is_weight(a.first);
      break;
    case format::AttributeKind::Body:
      ok = is_body(a.first);
      break;
    case format::AttributeKind::Integers:
    case format::AttributeKind::Numbers:
      ok = within(a.first, a.count, s.integers.size());
      break;
    case format::AttributeKind::Texts:
      ok = within(a.first, a.count, s.string_refs.size());
      break;
    case format::AttributeKind::Tensors:
      for (std::uint64_t i = 0; ok && i < a.count; ++i)
        ok = is_weight(a.first + i);
      break;
    case format::AttributeKind::Bodies:
      ok = within(a.first, a.count, s.integers.size());
      for (std::uint64_t i = 0; ok && i < a.count; ++i) {
        const std::int64_t p = s.integers[a.first + i];
        ok = p >= 0 && is_body(static_cast<std::uint64_t>(p));
      }
      break;
    case format::AttributeKind::SparseTensor:
      ok = is_weight(a.first) && is_weight(std::uint64_t{a.first} + 1) &&
           within(a.extra, a.count, s.integers.size());
      break;
    default:
      ok = false;
  }
  if (!ok) return corrupt("attribute '{}' refers to nothing", s.text(a.name));
  return Done{};
}

namespace {
// Walks one program in order: what is defined when, and how long arena values live.
class ProgramCheck {
 public:
  ProgramCheck(const State& s, std::size_t program)
      : s_(s), index_(program), p_(s.programs[program]), values_(s.values_of(p_)) {}

  Status run() {
    defined_.assign(values_.size(), 0);
    last_.assign(values_.size(), 0);
    for (std::size_t v = 0; v < values_.size(); ++v) {
      if (values_[v].storage == Storage::Weight) defined_[v] = before_all;
      if (Status ok = check_alias(v); !ok) return ok;
      if (values_[v].storage == Storage::Arena && index_ != 0) {
        return corrupt("a nested program uses the arena");
      }
    }
    for (std::uint32_t i = 0; i < p_.inputs; ++i) {
      if (Status ok = define_formal(s_.operands[p_.first_input + i]); !ok) return ok;
    }
    for (std::uint32_t i = 0; i < p_.captures; ++i) {
      if (Status ok = define_formal(s_.operands[p_.first_capture + 2 * i + 1]); !ok) return ok;
    }
    const auto ops = s_.ops_of(p_);
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (Status ok = visit(ops[i], i + 1); !ok) return ok;
    }
    for (std::uint32_t i = 0; i < p_.outputs; ++i) {
      const std::uint32_t v = s_.operands[p_.first_output + i];
      if (v == none && index_ != 0) continue;
      if (Status ok = read(v, ops.size() + 1); !ok) return ok;
      if (values_[v].layout != format::Layout::Plain) return corrupt("an output is blocked");
    }
    return check_overlaps();
  }

 private:
  static constexpr std::uint32_t before_all = UINT32_MAX;

  std::uint32_t root(std::uint32_t v) const {
    return values_[v].alias_of == none ? v : values_[v].alias_of;
  }

  Status check_alias(std::size_t v) const {
    const format::Value& value = values_[v];
    if (value.alias_of == none) return Done{};
    if (value.storage != Storage::Arena || value.alias_of >= values_.size()) {
      return corrupt("value {} is an alias of nothing", v);
    }
    const format::Value& whole = values_[value.alias_of];
    if (whole.storage != Storage::Arena || whole.alias_of != none || value.offset < whole.offset ||
        !within(value.offset - whole.offset, value.bytes, whole.bytes)) {
      return corrupt("value {} does not lie in the value it is part of", v);
    }
    return Done{};
  }

  Status define_formal(std::uint32_t v) {
    if (v >= values_.size() || values_[v].storage != Storage::Heap || defined_[v] != 0) {
      return corrupt("program {} has an input without a place", index_);
    }
    defined_[v] = before_all;
    return Done{};
  }

  // A value is there when it, or the whole it lies in, or all that lies in it was written; the
  // last case is the compiler's affair: reading a whole needs one written part.
  Status read(std::uint32_t v, std::size_t at) {
    if (v >= values_.size()) return corrupt("operation {} reads value {}", at, v);
    const std::uint32_t r = root(v);
    if (defined_[v] == 0 && defined_[r] == 0) {
      return corrupt("operation {} of program {} reads value {} before it is written", at, index_,
                     v);
    }
    if (gone_.size() > v && gone_[v])
      return corrupt("operation {} reads the spent value {}", at, v);
    last_[r] = std::max(last_[r], static_cast<std::uint32_t>(at));
    return Done{};
  }

  Status visit(const format::Op& op, std::size_t at) {
    const bool generic = static_cast<Opcode>(op.opcode) == Opcode::Generic;
    if (op.opcode >= opcode_count || (op.flags & ~(generic ? format::planned : 0)) != 0)
      return corrupt("operation {} is unknown", at);
    if (!within(op.first_operand, std::uint64_t{op.inputs} + op.outputs, s_.operands.size()) ||
        !within(op.parameters, op.parameter_bytes, s_.parameters.size()) ||
        op.parameters % 8 != 0 ||
        !within(op.first_attribute, op.attributes, s_.attributes.size()) ||
        !is_string(s_, op.name) || !is_string(s_, op.domain) || !is_string(s_, op.type)) {
      return corrupt("operation {} reaches outside its sections", at);
    }
    gone_.resize(values_.size(), false);
    for (std::uint32_t operand : s_.inputs_of(op)) {
      if (operand == none) continue;
      if (Status ok = read(operand & ~format::last_use, at); !ok) return ok;
    }
    for (std::uint32_t operand : s_.inputs_of(op)) {
      if (operand == none || !(operand & format::last_use)) continue;
      gone_[operand & ~format::last_use] = true;
    }
    for (std::uint32_t a = 0; a < op.attributes; ++a) {
      const format::Attribute& attribute = s_.attributes[op.first_attribute + a];
      if (Status ok = check_attribute(s_, attribute, index_); !ok) return ok;
      if (Status ok = read_captures(attribute, at); !ok) return ok;
    }
    for (std::uint32_t v : s_.outputs_of(op)) {
      if (v == none) continue;
      if (v >= values_.size() || defined_[v] != 0 || values_[v].storage == Storage::Weight) {
        return corrupt("operation {} writes value {}", at, v);
      }
      defined_[v] = static_cast<std::uint32_t>(at);
      const std::uint32_t r = root(v);
      if (defined_[r] == 0) defined_[r] = static_cast<std::uint32_t>(at);
      last_[r] = std::max(last_[r], static_cast<std::uint32_t>(at));
    }
    return static_cast<Opcode>(op.opcode) == Opcode::Generic ? visit_generic(op, at)
                                                             : visit_fast(op, at);
  }

  Status read_captures(const format::Attribute& attribute, std::size_t at) {
    std::vector<std::int64_t> bodies;
    if (attribute.kind == format::AttributeKind::Body) bodies.push_back(attribute.first);
    if (attribute.kind == format::AttributeKind::Bodies) {
      const auto list = s_.integers.subspan(attribute.first, attribute.count);
      bodies.assign(list.begin(), list.end());
    }
    for (std::int64_t body : bodies) {
      const format::Program& inner = s_.programs[static_cast<std::size_t>(body)];
      for (std::uint32_t i = 0; i < inner.captures; ++i) {
        const std::uint32_t v = s_.operands[inner.first_capture + 2 * i];
        if (Status ok = read(v, at); !ok) return ok;
        if (values_[v].layout != format::Layout::Plain)
          return corrupt("a captured value is blocked");
      }
    }
    return Done{};
  }

  Status visit_generic(const format::Op& op, std::size_t at) const {
    if (op.type == none) return corrupt("operation {} names no operator", at);
    for (std::uint32_t v : s_.outputs_of(op)) {
      if (v != none && values_[v].storage != Storage::Heap) {
        return corrupt("operation {} is generic and writes into the arena", at);
      }
    }
    for (std::uint32_t v : s_.inputs_of(op)) {
      if (v != none && values_[v & ~format::last_use].layout != format::Layout::Plain) {
        return corrupt("operation {} is generic and reads a blocked value", at);
      }
    }
    if (generic::find_kernel(s_.text(op.domain), s_.text(op.type)) == nullptr) {
      return make_error("the engine needs the operator {}{}{}, which this runtime does not have",
                        s_.text(op.domain), s_.text(op.domain).empty() ? "" : ".",
                        s_.text(op.type));
    }
    return Done{};
  }

  Status visit_fast(const format::Op& op, std::size_t at) const {
    std::vector<TensorRef> in, out;
    for (std::uint32_t operand : s_.inputs_of(op)) {
      if (operand == none) {
        in.emplace_back();
        continue;
      }
      const format::Value& v = values_[operand & ~format::last_use];
      const auto dims = s_.dims(v);
      if (v.rank == 0xff || std::any_of(dims.begin(), dims.end(), [](auto d) { return d < 0; }) ||
          v.dtype == 0 || static_cast<DType>(v.dtype) == DType::String) {
        return corrupt("operation {} reads a value of unknown size", at);
      }
      in.push_back(s_.ref(v));
    }
    for (std::uint32_t v : s_.outputs_of(op)) {
      if (v == none) {
        out.emplace_back();
        continue;
      }
      if (values_[v].storage != Storage::Arena)
        return corrupt("operation {} writes to the heap", at);
      out.push_back(s_.ref(values_[v]));
    }
    Status ok = check_operation(static_cast<Opcode>(op.opcode), in, out,
                                s_.parameters.subspan(op.parameters, op.parameter_bytes));
    if (!ok) {
      return corrupt("operation {} ({}): {}", at, name(static_cast<Opcode>(op.opcode)),
                     ok.error().message);
    }
    return Done{};
  }

  // Arena values that live at the same time lie apart. One that is written by the last reader of
  // another may take exactly its place (the kernels that may do so are listed by the compiler).
  Status check_overlaps() const {
    struct Range {
      std::uint64_t begin, end;
      std::uint32_t from, to;
    };
    std::vector<Range> all;
    for (std::uint32_t v = 0; v < values_.size(); ++v) {
      const format::Value& value = values_[v];
      if (value.storage != Storage::Arena || value.alias_of != none || value.bytes == 0) continue;
      if (defined_[v] == 0) continue;
      all.push_back({value.offset, value.offset + value.bytes, defined_[v], last_[v]});
    }
    std::sort(all.begin(), all.end(),
              [](const Range& a, const Range& b) { return a.from < b.from; });
    std::vector<Range> live;
    for (const Range& r : all) {
      std::erase_if(live, [&](const Range& l) { return l.to < r.from; });
      for (const Range& l : live) {
        if (l.end <= r.begin || r.end <= l.begin) continue;
        if (l.to == r.from && l.begin == r.begin && l.end == r.end && l.from < r.from) continue;
        return corrupt("two live values overlap at {} and {} of the arena", l.begin, r.begin);
      }
      live.push_back(r);
    }
    return Done{};
  }

  const State& s_;
  std::size_t index_;
  const format::Program& p_;
  std::span<const format::Value> values_;
  std::vector<std::uint32_t> defined_;  // 1 + the op that writes it; 0: nobody yet
  std::vector<std::uint32_t> last_;     // 1 + the last op that touches it
  std::vector<bool> gone_;
};
}  // namespace

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
    if (Status ok = ProgramCheck(s, i).run(); !ok) return ok;
  }
  return check_ports(s);
}

Attributes decode_attributes(const State& s, const format::Op& op) {
  std::vector<Attribute> all;
  for (const format::Attribute& a : s.attributes.subspan(op.first_attribute, op.attributes)) {
    AttributeValue value;
    const auto integers = s.integers;
    switch (a.kind) {
      case format::AttributeKind::Integer:
        value = a.bits;
        break;
      case format::AttributeKind::Number:
        value = std::bit_cast<float>(static_cast<std::uint32_t>(a.bits));
        break;
      case format::AttributeKind::Text:
        value = std::string(s.text(a.first));
        break;
      case format::AttributeKind::Type:
        value = TypeBytes{std::string(s.text(a.first))};
        break;
      case format::AttributeKind::Tensor:
        value = s.weight(s.values[a.first]);
        break;
      case format::AttributeKind::Body:
        value = GraphId{a.first};
        break;
      case format::AttributeKind::Integers: {
        const auto list = integers.subspan(a.first, a.count);
        value = std::vector<std::int64_t>(list.begin(), list.end());
        break;
      }
      case format::AttributeKind::Numbers: {
        std::vector<float> list;
        for (std::int64_t i : integers.subspan(a.first, a.count)) {
          list.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(i)));
        }
        value = std::move(list);
        break;
      }
      case format::AttributeKind::Texts: {
        std::vector<std::string> list;
        for (std::uint32_t i = 0; i < a.count; ++i)
          list.emplace_back(s.text(a.first + i));
        value = std::move(list);
        break;
      }
      case format::AttributeKind::Tensors: {
        std::vector<Tensor> list;
        for (std::uint32_t i = 0; i < a.count; ++i)
          list.push_back(s.weight(s.values[a.first + i]));
        value = std::move(list);
        break;
      }
      case format::AttributeKind::Bodies: {
        std::vector<GraphId> list;
        for (std::int64_t i : integers.subspan(a.first, a.count)) {
          list.push_back({static_cast<std::uint32_t>(i)});
        }
        value = std::move(list);
        break;
      }
      case format::AttributeKind::SparseTensor: {
        const auto shape = integers.subspan(a.extra, a.count);
        value = SparseTensor{s.weight(s.values[a.first]),
                             s.weight(s.values[a.first + 1]),
                             {shape.begin(), shape.end()}};
        break;
      }
    }
    all.push_back({std::string(s.text(a.name)), std::move(value)});
  }
  return Attributes(std::move(all));
}

}  // namespace rulec
