// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where values come from, as rules speak of it: `from source(b)`, up through nodes that only move
// data, and `scope "glob"`, the part of a graph that lies under a name (docs/language.md §7, §8).
// Facts only; binding ports and replacing regions is others' business.
//
//   auto nodes = region_under(model, graph, "**/Postprocessor/**");
//   auto priors = value_from_scope(model, graph, "**/MultipleGridAnchorGenerator/**");

#include <string>
#include <string_view>
#include <vector>

#include "matcher/graph.h"
#include "matcher/guard.h"
#include "runtime/result.h"

namespace rulec {

// Identity, Cast, Reshape, Squeeze, Unsqueeze, Transpose, Slice, Split, Gather with constant
// indices: the elements of the first operand, in another place.
bool moves_data(const Model& model, const GraphNode& node);

// From a value up through nodes that only move data, the value itself first. `data` counts the
// nodes on the way that do more than reshape.
struct ChainLink {
  ValueId value;
  int data = 0;
};
std::vector<ChainLink> chain_above(const Model& model, ValueId value);
ValueId source_of(const Model& model, ValueId value);

// The nodes of `graph` whose names lie under the glob, and what lies on the paths between them (an
// exporter's helpers carry names of their own), in graph order. So the set is convex.
std::vector<NodeId> region_under(const Model& model, GraphId graph, std::string_view glob);

// Values of the region's nodes that something outside of it reads, or that leave the graph, in
// graph order.
std::vector<ValueId> leaving_values(const Model& model, const std::vector<NodeId>& region);

// What comes out of a scope: leaving values, and initializers named under the glob that others read
// (a generator that constant folding has already computed).
std::vector<ValueId> values_from_scope(const Model& model, GraphId graph, std::string_view glob);

// The one value that comes out of a scope; where several do and one Concat joins all of them
// (through nodes that only move data), what it gives. An Error lists the candidates.
Result<ValueId> value_from_scope(const Model& model, GraphId graph, std::string_view glob);

// What a `let` is worth where the scope's `self` stands: its expression; the source of a captured
// value, one for all members of a cluster; or what comes out of a scope, computed where it follows
// from constants and known shapes alone.
RuleValue let_value(const Scope& scope, const Let& let);

}  // namespace rulec
