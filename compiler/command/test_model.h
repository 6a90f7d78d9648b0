// SPDX-License-Identifier: Apache-2.0
#pragma once

// The model that a test of a rule file describes in its `before`.

#include <cstdint>

#include "compiler/rule_test.h"
#include "matcher/graph.h"
#include "matcher/op_table.h"
#include "runtime/result.h"

namespace rulec::command {

// `seed` draws the constants. A test over a model's file has none: see load_test_model.
Result<Model> build_test_model(const RuleSet& rules, const OpTable& ops, const RuleTest& test,
                               std::uint64_t seed);

// The model of `before`, or that of the file which the test names, with types.
Result<Model> load_test_model(const RuleSet& rules, const OpTable& ops, const RuleTest& test,
                              std::uint64_t seed);

}  // namespace rulec::command
