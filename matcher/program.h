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

#include "matcher/constness.h"
#include "matcher/graph.h"
#include "matcher/rule.h"

namespace rulec {

class RuleProgram {
 public:
  // What to look at: from the root, operand by operand (`either`: operand 0 or 1, in a commutative
  // node), then a property of the node there; or, with one step more, of the operand itself. Where
  // a path leads to several nodes, one of them must have the property.
  struct Probe {
    static constexpr std::uint8_t either = 255;
    enum class What : std::uint8_t {
      Operator,
      Attribute,
      Operands,  // at least so many
      Number,    // the operand is a constant, all of one number
    } what = What::Operator;
    std::vector<std::uint8_t> path;
    std::string attribute = {};
    friend auto operator<=>(const Probe&, const Probe&) = default;
  };
  // A probe and the answer that a rule wants ("Conv", "i:1", the least number of operands, "0.5").
  struct Test {
    Probe probe;
    std::string answer;
    friend auto operator<=>(const Test&, const Test&) = default;
  };

  // The rules that may hold with `node` as root, in the order in which they are tried.
  // Without a Constness, what is computed counts as a constant of any number.
  void candidates(const Model& model, NodeId node, std::vector<RuleId>& found,
                  Constness* constness = nullptr) const;
  // For each rule that may have `node` as root: how many tests in a row hold there at best, the
  // root's included.
  void closeness(const Model& model, NodeId node, Constness* constness,
                 std::vector<std::pair<RuleId, int>>& found) const;

  const std::vector<Symbol>& root_types() const { return root_types_; }

  std::uint64_t tests() const { return tests_; }  // evaluated so far
  std::size_t rule_count() const { return order_.size(); }
  std::string dump(const RuleSet& rules) const;

 private:
  friend RuleProgram compile_program(const RuleSet& rules, std::span<const RuleId> phase);

  struct Fan {
    Probe probe;
    std::unordered_map<std::string, std::uint32_t> by_answer;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> by_operator;  // What::Operator: a few
    std::vector<std::pair<std::size_t, std::uint32_t>> at_least;       // What::Operands
    std::vector<std::pair<double, std::uint32_t>> by_number;           // What::Number, ascending
  };
  struct TreeNode {
    std::vector<Fan> fans;
    std::vector<std::uint32_t> leaves;  // places in `order_`
    std::uint32_t parent = 0;           // of one that is no root
  };

  static std::uint64_t key_of(const GraphNode& node) { return key_of(node.domain, node.type); }
  static std::uint64_t key_of(const Symbol& domain, const Symbol& type);
  void insert(std::uint64_t root, std::vector<Test> tests, std::uint32_t place);
  std::uint32_t child_for(std::uint32_t node, const Test& test);
  void follow(const Model& model, NodeId node, const Fan& fan, Constness* constness,
              std::vector<std::uint32_t>& open) const;
  void follow_number(const Model& model, ValueId value, const Fan& fan, Constness* constness,
                     std::vector<std::uint32_t>& open) const;

  std::unordered_map<std::uint64_t, std::uint32_t> roots_;
  std::map<std::string, std::uint32_t> names_;  // of the roots, for dump()
  std::vector<Symbol> root_types_;
  std::vector<TreeNode> tree_;
  // By root: where in the tree each rule ends, with its place in `order_`.
  std::unordered_map<std::uint32_t, std::vector<std::pair<std::uint32_t, std::uint32_t>>> ends_;
  std::vector<RuleId> order_;  // priority, size, file order
  mutable std::uint64_t tests_ = 0;
  mutable std::vector<std::uint32_t> open_, places_, scratch_;
  mutable std::vector<int> depths_;  // by place in the tree; 0 between calls of closeness()
};

RuleProgram compile_program(const RuleSet& rules, std::span<const RuleId> phase);

}  // namespace rulec
