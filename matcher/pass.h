// SPDX-License-Identifier: Apache-2.0
#pragma once

// Built-in phases: what no rule can say because it speaks of every operator, or of two places of a
// graph that hang together by nothing. A pipeline names them like rules, and they take part in the
// fixpoint of their step. Names only: passes.h runs them.
//
//   pipeline { fold_constants, common_subexpressions, relu_pair }

#include <cstdint>
#include <optional>
#include <string_view>

namespace rulec {

enum class Pass : std::uint8_t {
  FoldConstants,         // nodes over constants alone, and Constant nodes, become initializers
  KnownShapes,           // shapes that are computed, but follow from what is known of sizes
  CommonSubexpressions,  // of nodes that compute the same from the same, the first
  UnusedNodes,           // nodes and initializers that no output needs
};

inline constexpr std::string_view pass_names[] = {"fold_constants", "known_shapes",
                                                  "common_subexpressions", "unused_nodes"};

std::optional<Pass> pass_named(std::string_view name);

}  // namespace rulec
