// SPDX-License-Identifier: Apache-2.0
#pragma once

// Full matches of one pattern at one node: a backtracking search over goals, without recursion.
// Every choice (operand order, alternative, chain length) is a choice point; what fails names the
// choices that it hung on, and the search goes back to the latest of those at once, so that
// independent choices are not multiplied. Who decides where to look is program.h's business.
//
//   Matcher matcher(model, rules, ops, situation);
//   if (auto match = matcher.match(rule, node, &miss)) …

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "matcher/constness.h"
#include "matcher/guard.h"
#include "matcher/match.h"
#include "matcher/visit_order.h"

namespace rulec {

class Matcher {
 public:
  Matcher(const Model& model, const RuleSet& rules, const OpTable& ops, const Situation& situation);

  // A rule at a root: pattern, predicates, guards and use-safety (for rules that replace regions
  // the last is the region's business). `miss` gets the deepest failure.
  std::optional<Match> match(RuleId rule, NodeId root, NearMiss* miss);

  // One pattern at a node, with names bound before (and left unchanged on failure). No use-safety.
  bool match_pattern(const std::vector<Slot>& slots, PatternId pattern, NodeId node,
                     std::vector<Binding>& bindings, NearMiss* miss);
  // A `body contains` or `body is` predicate with the names bound so far.
  Truth body_holds(const Scope& scope, NodeId node, const Expr& expr, std::string* why);

  // A value may have become constant: forget which are not.
  void forget_constants() { constness_.forget(); }
  Constness& constness() { return constness_; }
  // Where several nodes will do, the first in this order is taken; without one, in the file's.
  void set_order(const VisitOrder* order) { order_ = order; }
  std::uint64_t tests() const { return tests_; }

 private:
  struct Goal {
    enum class Kind : std::uint8_t {
      Value,      // `pattern` at `value`
      Root,       // `pattern` at `node`
      Link,       // the chain `pattern`, `count` links in, at `value`
      Elsewhere,  // a further root pattern, at whichever node
      Contains,   // `expr` of `node`: some node of its body
      Deferred,   // predicates and comparisons that waited for names
      Finish,     // what was deferred, further roots, use-safety, guards
    } kind = Kind::Value;
    PatternId pattern = {};
    ValueId value = {};
    NodeId node = {};        // Root, Contains; else the node whose operand `value` is
    std::uint32_t slot = 0;  // operand index in `node`
    std::uint32_t count = 0;
    ExprId expr = {};
    std::uint32_t attribute = 0;  // Deferred: 1 + index of the attribute of `pattern`
    GraphId graph = {};           // where nodes must lie
    GraphId body = {};            // inside `body contains`
    std::uint64_t hangs_on = 0;   // choices that led here
    std::uint32_t next = no_goal;
  };
  static constexpr std::uint32_t no_goal = UINT32_MAX;
  static constexpr std::uint64_t everything = ~0ULL;

  struct Choice {
    std::uint32_t head = no_goal;
    std::uint32_t next = 0, count = 0;  // alternatives
    std::size_t trail = 0, goals = 0;
    std::uint64_t conflict = 0;
    bool pure = false;  // no alternative changes which nodes are matched
  };
  struct Undo {
    enum class Kind : std::uint8_t { Slot, Pattern, Node, Deferred } kind;
    std::uint32_t index = 0;
  };
  struct Deferral {
    ExprId expr;
    PatternId pattern;
    std::uint32_t attribute = 0;
    NodeId node;
    std::uint64_t hangs_on = 0;
    GraphId body;
  };
  struct MatchedNode {
    NodeId node;
    bool shared = false, root = false;
    std::uint64_t hangs_on = 0;
  };
  struct PatternInfo {
    std::vector<std::pair<Symbol, Symbol>> ops;
    std::span<const MovedOperand> moved;
    bool has_nodes = false;    // it or something below is a Node or a Chain
    bool has_results = false;  // it or something below is a node with named results
  };

  void begin(const std::vector<Slot>& slots, NearMiss* miss);
  bool search(std::uint32_t head);
  std::uint32_t alternatives(const Goal& goal, bool& pure);
  bool step(const Goal& goal, std::uint32_t alternative, std::uint64_t hangs_on);
  bool value_goal(const Goal& goal, std::uint32_t alternative, std::uint64_t hangs_on);
  bool bind_goal(const Goal& goal, const Pattern& pattern, std::uint64_t hangs_on);
  bool body_value_goal(const Goal& goal, const Pattern& pattern, std::uint64_t hangs_on);
  bool link_goal(const Goal& goal, std::uint32_t alternative, std::uint64_t hangs_on);
  bool node_goal(const Goal& goal, NodeId node, bool swapped, std::uint64_t hangs_on);
  bool elsewhere_goal(const Goal& goal, std::uint32_t alternative, std::uint64_t hangs_on);
  bool contains_goal(const Goal& goal, std::uint32_t alternative, std::uint64_t hangs_on);
  bool deferred_goal(const Goal& goal, std::uint64_t hangs_on);
  bool finish_goal(const Goal& goal, std::uint64_t hangs_on);

  bool arguments(const Goal& goal, const Pattern& pattern, NodeId node, bool swapped,
                 std::uint64_t hangs_on);
  std::optional<bool> absent_operand_holds(NodeId node, const MovedOperand& moved, PatternId child,
                                           std::uint64_t hangs_on);
  bool attributes(const Goal& goal, const Pattern& pattern, NodeId node, std::uint64_t hangs_on);
  bool attribute_equals(const Goal& goal, const AttributePattern& attribute, NodeId node,
                        std::uint64_t hangs_on);
  bool moved_literal(const Pattern& pattern, const AttributeValue& value);
  bool type_holds(const Goal& goal, const TypePattern& type, ValueId value, std::uint64_t hangs_on);
  bool dims_hold(const std::vector<DimPattern>& dims, ValueId value, const Type& type,
                 std::uint64_t hangs_on);
  bool literal_holds(const Goal& goal, const Pattern& pattern);
  bool use_safe(std::uint64_t hangs_on);
  bool guards_hold(std::uint64_t hangs_on);

  const std::vector<NodeId>& elsewhere_nodes(const Goal& goal);
  std::vector<NodeId> nodes_of(GraphId graph) const;
  std::vector<NodeId> node_candidates(const Goal& goal) const;
  bool is_operator(PatternId pattern, const GraphNode& node) const;
  bool is_seen_through(const GraphNode& node) const;
  bool may_match(PatternId pattern, ValueId value, GraphId graph);
  std::optional<Tensor> tensor_of(ValueId value);
  const std::vector<std::uint32_t>& slots_of(ExprId expr);
  Scope scope(NodeId self) const;

  bool bind(SlotId slot, Binding binding, std::uint64_t hangs_on);
  bool fail(std::uint64_t conflict) {
    conflict_ = conflict;
    return false;
  }
  void push(Goal goal);
  void defer(Deferral deferral);
  void note_node(NodeId node, bool shared, bool root, const Goal& goal, std::uint64_t hangs_on);
  void undo(std::size_t trail);
  bool missing() const;  // whether a failure here would be the deepest so far
  void miss(NodeId node, const Place& place, std::string_view kind, std::string expected,
            std::string found);
  std::uint64_t hangs_of(SlotId slot) const;
  // What a condition over a name hangs on. Where nothing binds it another alternative may: on every
  // choice.
  std::uint64_t hangs_of_condition(std::uint32_t slot) const;

  const Model& model_;
  const RuleSet& rules_;
  const OpTable& ops_;
  const Situation& situation_;
  std::vector<PatternInfo> info_;
  std::vector<std::optional<std::vector<std::uint32_t>>> expr_slots_;
  Constness constness_;
  std::unordered_map<std::uint64_t, bool> may_match_;

  const Rule* rule_ = nullptr;
  const std::vector<Slot>* slots_ = nullptr;
  std::vector<std::pair<Symbol, Symbol>> see_through_;
  RuleId see_through_of_;
  std::vector<Binding> bindings_;
  std::vector<std::uint64_t> bound_by_;  // choices that a binding hangs on
  std::vector<Goal> goals_;
  std::vector<Choice> choices_;
  std::vector<Undo> trail_;
  std::vector<std::pair<PatternId, NodeId>> pattern_nodes_;
  std::vector<MatchedNode> matched_;
  std::vector<Deferral> deferred_;
  std::vector<NodeId> elsewhere_;
  struct Wanted {
    PatternId pattern;
    ValueId value;
    std::uint32_t slot;
  };
  std::vector<Wanted> wanted_;  // while arguments() looks
  const VisitOrder* order_ = nullptr;
  std::uint32_t head_ = no_goal;  // of the goals left
  std::uint64_t conflict_ = 0;
  std::uint64_t pure_ = 0;  // choices that do not change which nodes are matched
  std::uint64_t steps_ = 0;
  std::uint64_t tests_ = 0;
  NearMiss* miss_ = nullptr;
  int deepest_ = -1;
};

// The bodies that a name in a predicate or in inline() means: "body", "then_body", ….
std::vector<GraphId> bodies_named(const Model& model, NodeId node, std::string_view name);

}  // namespace rulec
