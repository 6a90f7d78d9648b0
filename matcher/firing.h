// SPDX-License-Identifier: Apache-2.0
#pragma once

// Replaces one match of an ordinary rule: makes the replacement, proves its types, puts it where
// its operands are there and before its uses, and removes what is left unused. All or nothing.

#include <optional>
#include <unordered_map>
#include <vector>

#include "matcher/guard.h"
#include "matcher/matcher.h"
#include "matcher/rewrite.h"

namespace rulec {

struct FiringResult {
  Firing firing;
  std::vector<NodeId> made;
  std::vector<ValueId> touched;  // operands of what went: they lost a use
  std::vector<NodeId> rewired;   // nodes of which an operand is another one now
  std::vector<ValueId> placed;   // what those read now
};

class Replacer {
 public:
  Replacer(Model& model, const RuleSet& rules, const OpTable& ops, const RewriteOptions& options)
      : model_(model), rules_(rules), ops_(ops), options_(options) {}

  // Nothing, with `miss` told why, when the replacement cannot be made or proven; the model is
  // then as it was. An empty `firing.root` cannot occur.
  std::optional<FiringResult> fire(const Match& match, NearMiss* miss);
  // Initializers that firings left unread go, all at once: each alone would move all behind it in
  // its graph's list. To be called when the firings are done.
  void drop_unread();

 private:
  struct Exchange {
    ValueId old_value, new_value;
    bool existing = false;                 // forwarded, not made
    const TypePattern* retyped = nullptr;  // what the rule says it becomes
  };
  // A firing while it can still be taken back.
  struct Draft {
    const Match& match;
    const Rule& rule;
    std::vector<Binding> slots = {};
    NearMiss* miss = nullptr;
    GraphId graph = {};
    NodeId before = {};  // new nodes stand before this one
    std::vector<NodeId> made = {};
    std::vector<Exchange> exchanges = {};
    std::vector<std::pair<ValueId, Type>> retyped = {};          // new types of values behind
    std::unordered_map<std::uint32_t, std::string> labels = {};  // of nameless ones, from before
    std::vector<std::pair<ValueId, std::string>> renamed = {};   // that gave up a name, and which
    std::size_t initializers_before = 0;
    std::vector<std::string> assumed = {};
    // Of an unsafe rule at a scope: outputs of the graph that go, with the nodes that only move
    // what left the scope, and the results that become outputs in their place.
    std::vector<ValueId> lost_outputs = {}, new_outputs = {};
    std::vector<NodeId> movers = {};

    Scope scope(const Model& model, const RuleSet& rules, const OpTable& ops,
                const Situation& situation) const {
      return {model, rules, ops, rule.slots, slots, situation, match.root, rule.lets};
    }
  };

  bool make(Draft& draft);
  bool assume(Draft& draft);
  bool make_statements(Draft& draft);
  bool make_expression(Draft& draft);
  bool make_split(Draft& draft, ExprId expr);
  bool make_scope(Draft& draft, ExprId expr);
  bool may_be_outputs(Draft& draft, const std::vector<ValueId>& results);
  bool follow_to_outputs(Draft& draft, const std::vector<ValueId>& leaving);
  void exchange_outputs(Draft& draft, FiringResult& result);
  bool emit_locals(Draft& draft, const std::string& replaced);
  bool emit_into(Draft& draft, ExprId expr, const std::string& replaced, std::vector<ValueId>& out,
                 std::vector<std::int64_t> split_sizes = {}, std::size_t results = 1);
  void exchange(Draft& draft, ValueId old_value, ValueId new_value, SlotId slot);
  bool reads_no_replaced(Draft& draft);
  bool types_hold(Draft& draft);
  bool retypes_hold(Draft& draft);
  bool place(Draft& draft);
  bool make_room(Draft& draft, NodeId last, NodeId first_use);
  NodeId in_graph(NodeId node, GraphId graph) const;
  bool leaves_no_use(Draft& draft);
  void commit(Draft& draft, FiringResult& result);
  bool keeps_identity(const Exchange& one) const;
  bool changes_something(const Draft& draft) const;
  void forward(Draft& draft, const Exchange& one, FiringResult& result);
  void sweep(Draft& draft, FiringResult& result);
  void take_back(Draft& draft);
  bool refuse(Draft& draft, std::string kind, std::string expected, std::string found);
  std::vector<Metadata> metadata_of(const Draft& draft) const;
  std::string base_name(ValueId value) const;

  Model& model_;
  const RuleSet& rules_;
  const OpTable& ops_;
  const RewriteOptions& options_;
  std::vector<ValueId> unread_;  // initializers that firings left without a reader
  // Of values made by firings: the name that the first of them replaced, so that names do not grow.
  std::unordered_map<std::uint32_t, std::string> base_names_;
};

// What a firing of the rule would assume, in the rule's words; nothing when `strict` refuses one of
// its clauses, which `refused` then tells.
std::optional<std::vector<std::string>> assumptions_of(const Scope& scope, const Rule& rule,
                                                       bool strict, std::string* refused);

// Whether a rule applies in this model and for this request at all; else why not.
bool rule_applies(const Model& model, const Rule& rule, const RewriteOptions& options,
                  std::string* why);

}  // namespace rulec
