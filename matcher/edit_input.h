// SPDX-License-Identifier: Apache-2.0
#pragma once

// Private to edits: a graph input's name, element type and sizes, carried through the nodes that
// only move its data; Casts that do nothing any more go.

#include <string>
#include <vector>

#include "matcher/graph.h"
#include "matcher/op_table.h"
#include "matcher/rule.h"
#include "runtime/result.h"

namespace rulec {

// Changes every main input that the glob names; says what it did. `dims_changed` is set when a size
// that was known became another one.
Result<std::vector<std::string>> edit_input(Model& model, const OpTable& ops,
                                            const Edit::Input& change, bool& dims_changed);

// "did you mean" over names: "; did you mean `x`?" or the names there are.
std::string near_names(const std::string& wanted, const std::vector<std::string>& names);

}  // namespace rulec
