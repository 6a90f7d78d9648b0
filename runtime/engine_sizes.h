// SPDX-License-Identifier: Apache-2.0
#pragma once

// An engine whose model leaves one dimension open (the batch, as a rule) holds its records for one
// size of it, and how each number in them grows with the size. Here they are made for another size:
// a whole plan, fast kernels and memory included, checked as a file is. Not plans of single
// operations: those are shape_plans.h.
//
//   auto size = open_size(state, inputs);      // 8, where the inputs are f32[8,3,224,224]
//   auto eight = state_for_size(state, *size);

#include <memory>

#include "runtime/engine_state.h"
#include "runtime/value.h"

namespace rulec {

// Whether the records of the section are sound.
Status check_sizes(const Engine::State& state);

inline bool has_open_size(const Engine::State& state) {
  return !state.sizes.empty();
}

// The size that the records are written for.
inline std::int64_t built_size(const Engine::State& state) {
  return state.sizes.front().base;
}

// The size that the inputs have; an Error where they contradict one another.
Result<std::int64_t> open_size(const Engine::State& state, std::span<const Value> inputs);

// The engine for that size: `state` itself, one that was made before, or a new one.
Result<std::shared_ptr<const Engine::State>> state_for_size(
    const std::shared_ptr<const Engine::State>& state, std::int64_t size);

}  // namespace rulec
