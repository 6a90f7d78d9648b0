// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine_sizes.h"

#include <cstring>

#include "runtime/engine_checks.h"

namespace rulec {

using format::none;
using format::PatchKind;
using format::SizePatch;
using format::Storage;
using State = Engine::State;

static constexpr std::size_t most_sizes = 16;  // kept; then it starts afresh
static constexpr std::int64_t most_size = std::int64_t{1} << 31;

Status check_sizes(const State& s) {
  for (std::size_t i = 0; i < s.sizes.size(); ++i) {
    const SizePatch& p = s.sizes[i];
    const bool first = p.kind == PatchKind::Size;
    if (first != (i == 0)) return corrupt("the size of the open dimension is not told first");
    std::size_t end = 1;
    if (p.kind == PatchKind::Integer) end = s.integers.size();
    if (p.kind == PatchKind::Word) end = s.parameters.size() / 4;
    if (p.kind == PatchKind::Part) end = s.values.size();
    if (p.kind > PatchKind::Part || p.index >= end || p.base < (first ? 1 : 0) ||
        p.base >= most_size || p.step < 0 || p.step >= most_size) {
      return corrupt("what depends on the open dimension is told wrong");
    }
    if (p.kind == PatchKind::Part && s.values[p.index].alias_of == none)
      return corrupt("value {} is part of nothing", p.index);
  }
  return Done{};
}

// The patched number for a size; nothing where it leaves its range.
static std::optional<std::int64_t> number_for(const SizePatch& p, std::int64_t built,
                                              std::int64_t size) {
  std::int64_t grown = 0;
  if (__builtin_mul_overflow(p.step, size - built, &grown) ||
      __builtin_add_overflow(grown, p.base, &grown) || grown < 0 || grown >= most_size) {
    return std::nullopt;
  }
  return grown;
}

Result<std::int64_t> open_size(const State& s, std::span<const Value> inputs) {
  std::optional<std::int64_t> size;
  std::size_t from = 0;  // the input that tells it
  const format::Program& p = s.programs[0];
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const format::Value& v = s.values[s.operands[p.first_input + i]];
    if (v.rank == 0xff || !inputs[i].is_tensor()) continue;
    const Tensor& t = inputs[i].tensor();
    for (const SizePatch& patch : s.sizes) {
      if (patch.kind != PatchKind::Integer || patch.step == 0 || v.rank == 0 ||
          patch.index < v.dims || patch.index - v.dims >= v.rank || t.rank() != v.rank) {
        continue;
      }
      const std::int64_t dim = t.dim(patch.index - v.dims);
      const std::int64_t n = built_size(s) + (dim - patch.base) / patch.step;
      if (n < 1 || number_for(patch, built_size(s), n) != dim) {
        return make_error("input '{}' is {}; the engine's open dimension cannot have that size",
                          s.inputs[i].name, to_string(t.shape()));
      }
      if (size && *size != n) {
        return make_error(
            "inputs '{}' and '{}' have {} and {} in a dimension that is one in the model",
            s.inputs[from].name, s.inputs[i].name, *size, n);
      }
      size = n;
      from = i;
    }
  }
  return size.value_or(built_size(s));
}

namespace {
// The records that differ from the file's.
struct Records {
  std::shared_ptr<const void> file;
  format::Header header;
  std::vector<std::int64_t> integers;
  std::vector<format::Value> values;
  std::vector<std::byte> parameters;
};
}  // namespace

// A plan for one size is one for a multiple of it, with all places multiplied: nothing grows faster
// than the dimension.
static void place_values(const State& s, Records& r, std::int64_t size, std::uint64_t times) {
  std::vector<std::uint64_t> part(s.values.size(), 0);
  for (std::size_t i = 0; i < s.programs[0].values; ++i) {
    const format::Value& v = s.values[i];
    if (v.alias_of != none) part[i] = v.offset - s.values[v.alias_of].offset;
  }
  for (const SizePatch& p : s.sizes) {
    if (p.kind != PatchKind::Part) continue;
    part[p.index] = static_cast<std::uint64_t>(number_for(p, built_size(s), size).value_or(0));
  }
  for (std::size_t i = 0; i < s.programs[0].values; ++i) {
    format::Value& v = r.values[i];
    if (v.storage != Storage::Arena) continue;
    const std::span<const std::int64_t> dims(r.integers.data() + (v.rank == 0 ? 0 : v.dims),
                                             v.rank);
    v.bytes = v.layout == format::Layout::Blocked
                  ? blocked_bytes(dims.data(), v.halo)
                  : byte_size(static_cast<DType>(v.dtype), element_count(dims));
    v.offset = s.values[v.alias_of == none ? i : v.alias_of].offset * times + part[i];
  }
}

static Result<std::shared_ptr<const State>> make_state(const std::shared_ptr<const State>& of,
                                                       std::int64_t size) {
  const State& s = *of;
  const std::int64_t built = built_size(s);
  auto r = std::make_shared<Records>();
  r->file = s.storage;  // not the state, which keeps this one
  r->header = *s.header;
  r->integers.assign(s.integers.begin(), s.integers.end());
  r->values.assign(s.values.begin(), s.values.end());
  r->parameters.assign(s.parameters.begin(), s.parameters.end());
  for (const SizePatch& p : s.sizes) {
    if (p.kind == PatchKind::Size) continue;
    const auto number = number_for(p, built, size);
    if (!number) return make_error("the engine cannot be laid out for a size of {}", size);
    if (p.kind == PatchKind::Integer) r->integers[p.index] = *number;
    const auto word = static_cast<std::uint32_t>(*number);
    if (p.kind == PatchKind::Word)
      std::memcpy(r->parameters.data() + std::size_t{p.index} * 4, &word, sizeof word);
  }
  const auto times = static_cast<std::uint64_t>((size + built - 1) / built);
  if (s.header->arena_bytes > format::max_arena_bytes / times) {
    return make_error(
        "an arena for a size of {} would have {} times {} bytes; at most {} are "
        "possible",
        size, times, s.header->arena_bytes, format::max_arena_bytes);
  }
  r->header.arena_bytes *= times;
  for (std::size_t i = 0; i < s.programs[0].values; ++i) {
    const format::Value& v = r->values[i];
    if (v.storage != Storage::Arena || v.rank == 0) continue;
    if (!checked_element_count({r->integers.data() + v.dims, v.rank}))
      return make_error("the engine cannot be laid out for a size of {}", size);
  }
  place_values(s, *r, size, times);
  auto made = std::make_shared<State>();
  made->storage = r;
  made->file = s.file;
  made->header = &r->header;
  made->strings = s.strings;
  made->string_refs = s.string_refs;
  made->integers = r->integers;
  made->values = r->values;
  made->operands = s.operands;
  made->ops = s.ops;
  made->programs = s.programs;
  made->attributes = s.attributes;
  made->ports = s.ports;
  made->parameters = r->parameters;
  made->weights = s.weights;
  made->isa = s.isa;
  if (Status ok = validate(*made); !ok)
    return make_error("for a size of {}: {}", size, ok.error().message);
  describe_interface(*made);
  return std::shared_ptr<const State>(std::move(made));
}

Result<std::shared_ptr<const State>> state_for_size(const std::shared_ptr<const State>& state,
                                                    std::int64_t size) {
  if (size == built_size(*state)) return state;
  State::Others& others = *state->others;
  const std::lock_guard lock(others.mutex);
  if (const auto it = others.by_size.find(size); it != others.by_size.end()) return it->second;
  auto made = make_state(state, size);
  if (!made) return made.error();
  if (others.by_size.size() >= most_sizes) others.by_size.clear();
  others.by_size.emplace(size, *made);
  return *made;
}

}  // namespace rulec
