// SPDX-License-Identifier: Apache-2.0
// The plan of an engine's arena, read back from its records.
#include <algorithm>

#include "runtime/engine_state.h"

namespace rulec {

using format::none;

std::vector<Engine::Place> Engine::memory_plan() const {
  const State& s = *state_;
  const format::Program& p = s.programs[0];
  const auto values = s.values_of(p);
  std::vector<Place> all(values.size());
  std::vector<bool> lives(values.size(), false);
  const auto touch = [&](std::uint32_t operand, std::size_t at) {
    if (operand == none) return;
    const std::uint32_t v = operand & ~format::last_use;
    if (values[v].storage != format::Storage::Arena) return;
    const std::uint32_t root = values[v].alias_of == none ? v : values[v].alias_of;
    const auto when = static_cast<std::uint32_t>(at);
    if (!lives[root]) {
      all[root] = {.name = std::string(s.text(values[root].name)),
                   .offset = values[root].offset,
                   .bytes = values[root].bytes,
                   .from = when,
                   .to = when};
    }
    lives[root] = true;
    all[root].to = std::max(all[root].to, when);
  };
  const auto ops = s.ops_of(p);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    for (const std::uint32_t v : s.inputs_of(ops[i]))
      touch(v, i);
    for (const std::uint32_t v : s.outputs_of(ops[i]))
      touch(v, i);
    // A body reads what it captures while its operation runs.
    for (const Attribute& a : s.op_attributes[p.first_op + i].all()) {
      std::vector<GraphId> bodies;
      if (const auto* one = std::get_if<GraphId>(&a.value)) bodies.push_back(*one);
      if (const auto* some = std::get_if<std::vector<GraphId>>(&a.value)) bodies = *some;
      for (const GraphId body : bodies) {
        const format::Program& inner = s.programs[body.index];
        for (std::uint32_t c = 0; c < inner.captures; ++c)
          touch(s.operands[inner.first_capture + 2 * c], i);
      }
    }
  }
  for (std::uint32_t i = 0; i < p.outputs; ++i)
    touch(s.operands[p.first_output + i], ops.empty() ? 0 : ops.size() - 1);
  std::vector<Place> out;
  for (std::size_t v = 0; v < all.size(); ++v) {
    if (lives[v]) out.push_back(std::move(all[v]));
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Place& a, const Place& b) { return a.from < b.from; });
  return out;
}

std::uint64_t Engine::least_arena_bytes() const {
  const std::vector<Place> plan = memory_plan();
  const std::size_t ops = state_->ops_of(state_->programs[0]).size();
  // From which operation on a value is counted: where it takes the place of one that dies there,
  // the two are one.
  std::vector<std::int64_t> change(ops + 2, 0);
  std::vector<std::vector<std::size_t>> ends(ops + 1);
  for (std::size_t i = 0; i < plan.size(); ++i)
    ends[plan[i].to].push_back(i);
  for (const Place& p : plan) {
    std::size_t from = p.from;
    for (const std::size_t i : ends[p.from]) {
      if (plan[i].from < p.from && plan[i].offset == p.offset && plan[i].bytes == p.bytes) ++from;
      if (from > p.from) break;
    }
    change[from] += static_cast<std::int64_t>(p.bytes);
    change[std::max<std::size_t>(p.to + 1, from)] -= static_cast<std::int64_t>(p.bytes);
  }
  std::int64_t live = 0, most = 0;
  for (const std::int64_t c : change)
    most = std::max(most, live += c);
  return static_cast<std::uint64_t>(most);
}

}  // namespace rulec
