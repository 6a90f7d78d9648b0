// SPDX-License-Identifier: Apache-2.0
#pragma once

// Whether a rewritten model looks as the `after` of a test says.

#include <string>

#include "compiler/rule_test.h"
#include "matcher/graph.h"

namespace rulec::command {

// Empty when it does; else what differs.
std::string structure_differs(const Model& model, const RuleTest& test);

}  // namespace rulec::command
