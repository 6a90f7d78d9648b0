// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/memory_plan.h"

#include <algorithm>

namespace rulec::backend {

using format::Storage;

namespace {
struct Life {
  std::uint32_t value = no_value;
  std::size_t from = 0, to = 0;
  std::uint32_t takes_place_of = no_value;  // a root value that dies where this one is made
};
}  // namespace

static std::uint32_t root_of(const Program& p, std::uint32_t v) {
  return p.values[v].alias_of == no_value ? v : p.values[v].alias_of;
}

static std::uint64_t bytes_of(const Value& v) {
  if (v.layout == format::Layout::Blocked) return blocked_bytes(v.dims->data(), v.halo);
  return byte_size(v.dtype, element_count(*v.dims));
}

// Whether kernels of this opcode read each element of operand `input` before they write it.
static bool may_overwrite(const Operation& op, std::size_t input) {
  // A convolution may add its own input: that one is read all around each result.
  if (std::count(op.inputs.begin(), op.inputs.end(), op.inputs[input]) > 1) return false;
  switch (op.opcode) {
    case Opcode::Chain:
      return true;  // operands of the output's size are read tile by tile with it
    case Opcode::Conv:
    case Opcode::ConvStem:
    case Opcode::ConvDepthwise:
    case Opcode::ConvWinograd:
      return input + 1 == op.inputs.size() &&
             op.get<kernels::ConvParameters>().epilogue.residual != kernels::Residual::None;
    default:
      return false;
  }
}

static std::vector<Life> lives_of(const Program& p) {
  std::vector<Life> lives(p.values.size());
  const auto touch = [&](std::uint32_t v, std::size_t at) {
    if (v == no_value || p.values[v].storage != Storage::Arena) return;
    Life& life = lives[root_of(p, v)];
    if (life.value == no_value) {
      life.value = root_of(p, v);
      life.from = at;
    }
    life.to = std::max(life.to, at);
  };
  for (std::size_t i = 0; i < p.operations.size(); ++i) {
    for (std::uint32_t v : p.operations[i].inputs)
      touch(v, i);
    for (std::uint32_t v : p.operations[i].outputs)
      touch(v, i);
  }
  for (std::uint32_t v : p.outputs)
    touch(v, p.operations.size());
  return lives;
}

static void find_places_to_take(const Program& p, std::vector<Life>& lives,
                                const std::vector<bool>& has_alias) {
  for (std::size_t i = 0; i < p.operations.size(); ++i) {
    const Operation& op = p.operations[i];
    if (op.outputs.size() != 1 || p.values[op.outputs[0]].storage != Storage::Arena) continue;
    const std::uint32_t out = op.outputs[0];
    if (has_alias[out] || p.values[out].alias_of != no_value || lives[out].from != i) continue;
    for (std::size_t k = 0; k < op.inputs.size(); ++k) {
      const std::uint32_t in = op.inputs[k];
      if (in == no_value || p.values[in].storage != Storage::Arena || !may_overwrite(op, k))
        continue;
      if (has_alias[in] || p.values[in].alias_of != no_value || lives[in].to != i ||
          p.values[in].layout != p.values[out].layout || p.values[in].halo != p.values[out].halo ||
          *p.values[in].dims != *p.values[out].dims) {
        continue;
      }
      lives[out].takes_place_of = in;
      break;
    }
  }
}

void plan_memory(Lowered& lowered) {
  Program& p = lowered.programs[0];
  std::vector<bool> has_alias(p.values.size(), false);
  // An alias has the border of the whole, and the other way round.
  for (Value& v : p.values) {
    if (v.alias_of == no_value) continue;
    has_alias[v.alias_of] = true;
    Value& whole = p.values[v.alias_of];
    whole.halo = std::max(whole.halo, v.halo);
  }
  for (Value& v : p.values) {
    if (v.alias_of != no_value && v.layout == format::Layout::Blocked) {
      v.halo = p.values[v.alias_of].halo;
    }
  }
  for (Value& v : p.values) {
    if (v.storage == Storage::Arena) v.bytes = bytes_of(v);
  }
  std::vector<Life> lives = lives_of(p);
  // Bodies read captured values while their owner runs: lives_of sees them as operands, because
  // lowering lists them in the program's captures; extend here.
  for (std::size_t i = 0; i < p.operations.size(); ++i) {
    for (std::uint32_t body : p.operations[i].bodies) {
      const auto& captures = lowered.programs[body].captures;
      for (std::size_t c = 0; c < captures.size(); c += 2) {
        const std::uint32_t v = captures[c];
        if (p.values[v].storage != Storage::Arena) continue;
        Life& life = lives[root_of(p, v)];
        life.to = std::max(life.to, i);
      }
    }
  }
  find_places_to_take(p, lives, has_alias);

  // Values that take one another's place form one group, placed as one with the union of lives.
  std::vector<Life> groups;
  std::vector<std::size_t> group_of(p.values.size(), SIZE_MAX);
  std::vector<Life> by_start;
  for (const Life& life : lives) {
    if (life.value != no_value) by_start.push_back(life);
  }
  std::stable_sort(by_start.begin(), by_start.end(),
                   [](const Life& a, const Life& b) { return a.from < b.from; });
  for (const Life& life : by_start) {
    if (life.takes_place_of != no_value && group_of[life.takes_place_of] != SIZE_MAX) {
      group_of[life.value] = group_of[life.takes_place_of];
      Life& group = groups[group_of[life.value]];
      group.to = std::max(group.to, life.to);
    } else {
      group_of[life.value] = groups.size();
      groups.push_back(life);
    }
  }
  std::vector<std::size_t> order(groups.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  const auto size_of = [&](std::size_t g) { return p.values[groups[g].value].bytes; };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return size_of(a) > size_of(b); });
  std::vector<std::uint64_t> place(groups.size(), 0);
  std::vector<std::size_t> placed;
  for (std::size_t g : order) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> taken;
    for (std::size_t other : placed) {
      if (groups[other].to < groups[g].from || groups[g].to < groups[other].from) continue;
      taken.emplace_back(place[other], place[other] + size_of(other));
    }
    std::sort(taken.begin(), taken.end());
    std::uint64_t at = 0;
    for (const auto& [begin, end] : taken) {
      if (at + size_of(g) <= begin) break;
      at = std::max(at, (end + format::arena_alignment - 1) / format::arena_alignment *
                            format::arena_alignment);
    }
    place[g] = at;
    placed.push_back(g);
    lowered.arena_bytes = std::max(lowered.arena_bytes, at + size_of(g));
  }
  for (std::uint32_t v = 0; v < p.values.size(); ++v) {
    if (group_of[v] != SIZE_MAX) p.values[v].offset = place[group_of[v]];
  }
  for (Value& v : p.values) {
    if (v.alias_of == no_value) continue;
    const Value& whole = p.values[v.alias_of];
    const std::int64_t unit = v.layout == format::Layout::Blocked
                                  ? blocked_extent(whole.dims->data(), whole.halo).plane * 4
                                  : 1;
    v.offset = whole.offset + static_cast<std::uint64_t>(v.alias_offset * unit);
  }
}

}  // namespace rulec::backend
