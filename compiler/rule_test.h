// SPDX-License-Identifier: Apache-2.0
#pragma once

// A test of a rule file (docs/language.md §11), resolved: a graph before, what it must look like
// after. compiler/command/run_rule_test.h runs it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "grammar/ast.h"
#include "matcher/rule.h"

namespace rulec {

// An operand of a test's graph: an input of the model, or a constant with random numbers where a
// rule under test captures a constant under that name.
struct TestOperand {
  SlotId slot;
  std::string name;
  TypePattern type;
  double low = -1, high = 1;
  bool constant = false;
  Place place;
};

struct RuleTest {
  std::string title;
  Place place;
  std::string folder;         // of the rule file: `model` paths are relative to it
  std::vector<RuleId> rules;  // under test; empty: all of the file
  std::vector<Pass> passes;   // built-in phases under test
  std::vector<Slot> slots;
  std::vector<TestOperand> operands;
  std::vector<Statement> before;
  std::vector<const ast::Stmt*> after;  // compared by structure
  std::vector<std::string> outputs;     // empty: the results that nothing else reads
  bool unchanged = false;
  std::string model;
  std::vector<CountBound> expect;
};

}  // namespace rulec
