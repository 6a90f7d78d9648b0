// SPDX-License-Identifier: Apache-2.0
#pragma once

// A rule that changes a type (`retype y : f32[…]`): every node behind the value is inferred again
// with the new type in its place, until nothing changes. Changes nothing that lasts.

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "matcher/graph.h"
#include "matcher/op_table.h"
#include "matcher/rule.h"

namespace rulec {

struct RetypedValue {
  ValueId old_value, new_value;
};

// What a consumer says against the new types, in words; nothing when all hold. `types` gets the new
// types of values behind. Nodes in `gone` go with the firing and are not asked.
std::optional<std::string> retype_trouble(Model& model, const OpTable& ops,
                                          std::span<const RetypedValue> values,
                                          std::span<const NodeId> gone,
                                          std::vector<std::pair<ValueId, Type>>& types);

// Whether a type that a rule announces does not contradict what is known.
bool announces(const TypePattern& announced, const Type& known);

}  // namespace rulec
