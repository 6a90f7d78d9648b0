// SPDX-License-Identifier: Apache-2.0
#pragma once

// The decision program of a phase: all its rules in one structure that says, for a node, which of
// them are worth a full match. Indexed by the root's operator; below it a tree of cheap tests that
// rules share by their common beginnings, where values fan out through tables. So a rule whose
// operators do not stand at a node costs nothing there. It never leaves out a rule that holds.
//
//   RuleProgram program = compile_program(rules, phase.rules);
//   program.candidates(model, node, found);   // priority, then size, then file order

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "matcher/graph.h"
#include "matcher/rule.h"

namespace rulec {

class RuleProgram {
 public:
  // What to look at: from the root, operand by operand (`either`: operand 0 or 1, in a commutative
  // node), then a property of the node there, or of its operand `slot`.
  struct Probe {
    static constexpr std::uint8_t either = 255;
    enum class What : std::uint8_t { Operator, Attribute, Operands } what = What::Operator;
    std::vector<std::uint8_t> path;
    std::string attribute = {};
    friend auto operator<=>(const Probe&, const Probe&) = default;
  };
  // A probe and the answer that a rule wants ("Conv", "i:1", or the least number of operands).
  struct Test {
    Probe probe;
    std::string answer;
    friend auto operator<=>(const Test&, const Test&) = default;
  };

  // The rules that may hold with `node` as root, in the order in which they are tried.
  void candidates(const Model& model, NodeId node, std::vector<RuleId>& found) const;
  bool has_root(const GraphNode& node) const { return roots_.contains(key_of(node)); }

  std::uint64_t tests() const { return tests_; }  // evaluated so far
  std::size_t rule_count() const { return order_.size(); }
  std::string dump(const RuleSet& rules) const;

 private:
  friend RuleProgram compile_program(const RuleSet& rules, std::span<const RuleId> phase);

  struct Fan {
    Probe probe;
    std::unordered_map<std::string, std::uint32_t> by_answer;
    std::unordered_map<std::uint64_t, std::uint32_t> by_operator;  // What::Operator
    std::vector<std::pair<std::size_t, std::uint32_t>> at_least;   // What::Operands
  };
  struct TreeNode {
    std::vector<Fan> fans;
    std::vector<std::uint32_t> leaves;  // places in `order_`
  };

  static std::uint64_t key_of(const GraphNode& node) { return key_of(node.domain, node.type); }
  static std::uint64_t key_of(const Symbol& domain, const Symbol& type);
  void insert(std::uint64_t root, std::vector<Test> tests, std::uint32_t place);
  std::uint32_t child_for(std::uint32_t node, const Test& test);
  void follow(const Model& model, NodeId node, const Fan& fan,
              std::vector<std::uint32_t>& open) const;

  std::unordered_map<std::uint64_t, std::uint32_t> roots_;
  std::map<std::string, std::uint32_t> names_;  // of the roots, for dump()
  std::vector<TreeNode> tree_;
  std::vector<RuleId> order_;  // priority, size, file order
  mutable std::uint64_t tests_ = 0;
  mutable std::vector<std::uint32_t> open_, places_;  // scratch
};

RuleProgram compile_program(const RuleSet& rules, std::span<const RuleId> phase);

}  // namespace rulec
