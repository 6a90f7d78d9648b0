// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/memory_plan.h"

#include <algorithm>
#include <functional>

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

namespace {
struct Extent {
  std::uint64_t bytes = 0;
  std::size_t from = 0, to = 0;  // operations
};

// The extents that are placed already, to be found by their time: those that live for long in a
// list, the others by the stretches of the program that they touch.
class Placed {
 public:
  explicit Placed(const std::vector<Extent>& all) : all_(all) {}

  void add(std::size_t g) {
    const Extent& e = all_[g];
    if (e.to - e.from >= stretch) {
      long_.push_back(g);
      return;
    }
    const std::size_t last = e.to / stretch;
    if (last >= by_stretch_.size()) by_stretch_.resize(last + 1);
    by_stretch_[last].push_back(g);
  }
  template <typename F>
  void living_with(const Extent& e, const F& f) const {
    const auto visit = [&](const std::vector<std::size_t>& some) {
      for (const std::size_t g : some) {
        if (all_[g].from <= e.to && e.from <= all_[g].to) f(g);
      }
    };
    visit(long_);
    // Each of the others is filed where it ends, less than a stretch behind where it begins.
    const std::size_t end = std::min(by_stretch_.size(), e.to / stretch + 2);
    for (std::size_t i = e.from / stretch; i < end; ++i)
      visit(by_stretch_[i]);
  }

 private:
  static constexpr std::size_t stretch = 64;
  const std::vector<Extent>& all_;
  std::vector<std::size_t> long_;
  std::vector<std::vector<std::size_t>> by_stretch_;
};
}  // namespace

// Each extent in turn at the lowest address that is free for its life.
static std::vector<std::uint64_t> place_in_order(const std::vector<Extent>& extents,
                                                 const std::vector<std::size_t>& order,
                                                 std::uint64_t& bytes) {
  std::vector<std::uint64_t> place(extents.size(), 0);
  Placed placed(extents);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> taken;
  bytes = 0;
  for (const std::size_t g : order) {
    taken.clear();
    placed.living_with(extents[g], [&](std::size_t other) {
      taken.emplace_back(place[other], place[other] + extents[other].bytes);
    });
    std::sort(taken.begin(), taken.end());
    std::uint64_t at = 0;
    for (const auto& [begin, end] : taken) {
      if (at + extents[g].bytes <= begin) break;
      at = std::max(at, (end + format::arena_alignment - 1) / format::arena_alignment *
                            format::arena_alignment);
    }
    place[g] = at;
    placed.add(g);
    bytes = std::max(bytes, at + extents[g].bytes);
  }
  return place;
}

// The best of several orders: none is always good, and each costs little.
static std::vector<std::uint64_t> place_all(const std::vector<Extent>& extents,
                                            std::uint64_t& bytes) {
  const auto size = [&](std::size_t g) { return static_cast<double>(extents[g].bytes); };
  const auto life = [&](std::size_t g) {
    return static_cast<double>(extents[g].to - extents[g].from + 1);
  };
  // What stands at the busiest operation decides the least that will do: it goes first.
  std::size_t last = 0;
  for (const Extent& e : extents)
    last = std::max(last, e.to);
  std::vector<std::int64_t> change(last + 2, 0);
  for (const Extent& e : extents) {
    change[e.from] += static_cast<std::int64_t>(e.bytes);
    change[e.to + 1] -= static_cast<std::int64_t>(e.bytes);
  }
  std::size_t busiest = 0;
  std::int64_t live = 0, most = 0;
  for (std::size_t i = 0; i < change.size(); ++i) {
    live += change[i];
    if (live > most) most = live, busiest = i;
  }
  const auto there = [&](std::size_t g) {
    return extents[g].from <= busiest && busiest <= extents[g].to;
  };
  const std::function<double(std::size_t)> weights[] = {
      [&](std::size_t g) { return size(g); },
      [&](std::size_t g) { return size(g) * life(g); },
      [&](std::size_t g) { return life(g); },
      [&](std::size_t g) { return there(g) ? 1e30 + life(g) : size(g); },
      [&](std::size_t g) { return -static_cast<double>(extents[g].from); },
  };
  std::vector<std::uint64_t> best;
  for (const auto& weight : weights) {
    std::vector<std::pair<double, std::size_t>> order;
    for (std::size_t g = 0; g < extents.size(); ++g)
      order.emplace_back(-weight(g), g);
    std::sort(order.begin(), order.end());
    std::vector<std::size_t> indices;
    for (const auto& [_, g] : order)
      indices.push_back(g);
    std::uint64_t total = 0;
    std::vector<std::uint64_t> place = place_in_order(extents, indices, total);
    if (best.empty() || total < bytes) best = std::move(place), bytes = total;
    if (bytes <= static_cast<std::uint64_t>(most)) break;
  }
  return best;
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
  std::vector<Extent> extents;
  for (const Life& group : groups)
    extents.push_back({p.values[group.value].bytes, group.from, group.to});
  const std::vector<std::uint64_t> place = place_all(extents, lowered.arena_bytes);
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
