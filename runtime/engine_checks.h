// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the checks of a loaded file share. Private to engine_validate.cc and engine_flow.cc.
//
//   if (!within(p.first_op, p.ops, s.ops.size())) return corrupt("program {} …", i);

#include "runtime/engine_state.h"

namespace rulec {

template <typename... Args>
Error corrupt(fmt::format_string<Args...> text, Args&&... args) {
  return {"corrupt engine: " + fmt::format(text, std::forward<Args>(args)...)};
}

// Whether [first, first+count) lies in `size` elements.
inline bool within(std::uint64_t first, std::uint64_t count, std::uint64_t size) {
  return first <= size && count <= size - first;
}

inline bool is_string(const Engine::State& s, std::uint32_t ref) {
  return ref == format::none || ref < s.string_refs.size();
}

// Walks one program in order: what is defined when, and how long arena values live.
Status check_program(const Engine::State& s, std::size_t program);

}  // namespace rulec
