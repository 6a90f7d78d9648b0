// SPDX-License-Identifier: Apache-2.0
#pragma once

// Types of nodes whose operator an `op` declaration of a rule file describes: the operands are held
// against the shapes written there, what they bind is put into the results: sizes by their names,
// and of several element types the one that the operands declared with the same ones have. No
// inference of what is not written: a name that only a result has is an unknown size.
//
//   op acme::Pool(x : f32[B, C, N]) -> (y : f32[B, C])
//   Pool(f32[1,8,300])  gives  f32[1,8]

#include <vector>

#include "matcher/graph.h"
#include "matcher/op_table.h"
#include "runtime/result.h"

namespace rulec {

// One Type for each result of `node`. An Error where an operand's rank or sizes contradict the
// declaration.
Result<std::vector<Type>> declared_types(const OpSchema& schema, const Model& model,
                                         const GraphNode& node);

// Whether both descriptions can hold of one shape.
bool can_meet(const DeclaredShape& a, const DeclaredShape& b);
// "[B,4,...]"
std::string to_string(const DeclaredShape& shape);

}  // namespace rulec
