// SPDX-License-Identifier: Apache-2.0
#pragma once

// Copies of nodes with all that lies in them: the nodes of a body in another place (`inline`), or
// the bodies of a node for a changed copy of it.

#include <unordered_map>
#include <vector>

#include "matcher/graph.h"

namespace rulec {

// Old values to new ones; values that are not in it are captured and stay what they are.
using ValueMap = std::unordered_map<std::uint32_t, ValueId>;

// Copies the nodes and initializers of `from` into `to`, before `before` (at the end when none).
// `map` must hold the formal inputs of `from`; it gets every other value of it. `parameters`
// replaces references to a function's attributes. Gives the new nodes of `to` in order.
std::vector<NodeId> clone_nodes(Model& model, GraphId from, GraphId to, NodeId before,
                                ValueMap& map, const std::vector<Attribute>& parameters = {});

// A copy of a whole graph, nested ones included, for `owner`'s attribute.
GraphId clone_graph(Model& model, GraphId from, NodeId owner, const ValueMap& map = {});

}  // namespace rulec
