// SPDX-License-Identifier: Apache-2.0
// A program's operations in order: operands, attributes, what is written before it is read, and
// which values share memory. Records were checked one by one before.

#include <algorithm>

#include "runtime/engine_checks.h"
#include "runtime/generic/kernel.h"
#include "runtime/kernels/check.h"

namespace rulec {

using format::none;
using format::Storage;
using State = Engine::State;

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

Status check_program(const State& s, std::size_t program) {
  return ProgramCheck(s, program).run();
}

}  // namespace rulec
