// SPDX-License-Identifier: Apache-2.0
#pragma once

// Edits of a model's interface (docs/language.md §9).

#include <string>
#include <vector>

#include "matcher/graph.h"
#include "matcher/op_table.h"
#include "matcher/rule.h"
#include "runtime/result.h"

namespace rulec {

// Makes the changes in order, infers types anew, and says in words what each did. An Error, naming
// the change's place, when one matches nothing or contradicts what is known (both facts are told).
Result<std::vector<std::string>> apply_edit(Model& model, const RuleSet& rules, const OpTable& ops,
                                            const Edit& edit);

// Removes nodes, initializers and functions that nothing uses (by a graph output, in any nested
// graph); graph inputs stay. Gives the number of nodes removed.
std::size_t remove_unused(Model& model);

}  // namespace rulec
