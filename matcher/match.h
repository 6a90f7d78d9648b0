// SPDX-License-Identifier: Apache-2.0
#pragma once

// Finds where rules hold. compile_program turns the patterns of a phase into one decision program
// (index by root operator, shared prefixes of tests, early rejects); match_at runs it at a node.
// Replacing is rewrite.h's business, regions and templates are region.h's.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "matcher/graph.h"
#include "matcher/op_table.h"
#include "matcher/rule.h"

namespace rulec {

// What the rewrite was asked for: facts that guards may speak of.
struct Situation {
  std::string target;               // "cpu", "tensorrt", …; empty: none
  std::vector<int> target_version;  // {8, 5}
};

// What a slot is bound to.
struct Binding {
  // unbound; a value (or none id: absent); a node; attribute; all other attributes; a number with
  // the value it came from; a dimension; lists of these for clusters and xs...
  struct Number {
    double number = 0;
    ValueId value;
  };
  std::variant<std::monostate, ValueId, NodeId, AttributeValue, std::vector<Attribute>, Number,
               std::int64_t, Tensor, Literal, std::vector<Binding>>
      held;
  DType narrow = DType::Undefined;  // of a Tensor: see RuleValue::narrow
  bool bound() const { return held.index() != 0; }
};

// One place where a rule's pattern, predicates, types and guards hold and use-safety is given.
struct Match {
  RuleId rule;
  NodeId root;
  std::vector<Binding> slots;  // as many as the rule's
  std::vector<NodeId> nodes;   // matched interior and root nodes, in graph order
  std::vector<NodeId> kept;    // matched by `shared`: stay
};

// Why the deepest attempt of a rule at a node failed; for `explain` and --report.
struct NearMiss {
  RuleId rule;
  NodeId root;
  NodeId node;  // where it failed
  Place place;  // of the pattern part or guard
  std::string
      kind;  // "operator", "attribute", "constant", "type", "use", "guard", "arity", "region", …
  std::string expected, found;
  int matched = 0;  // pattern nodes that held: the deeper, the nearer
  std::vector<std::pair<PatternId, NodeId>> held = {};  // these, in the order they were found
};

struct Scope;

// Whether a `body contains P` or `body is { … }` predicate holds of a node; bindings of the scope
// restrict it, new ones inside stay inside. Unknown when the node's body is.
enum class Truth : std::uint8_t { False, True, Unknown };
Truth body_holds(const Scope& scope, NodeId node, const Expr& expr, std::string* why);

}  // namespace rulec
