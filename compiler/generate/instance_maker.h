// SPDX-License-Identifier: Apache-2.0
#pragma once

// Makes up a graph in which one rule's pattern lies, part by part; what make_instance does. Not for
// rules of scopes (scope_instance.h).

#include <map>

#include "compiler/generate/guess.h"
#include "compiler/generate/instance.h"
#include "compiler/generate/words.h"
#include "matcher/guard.h"
#include "matcher/random.h"

namespace rulec {

class InstanceMaker {
 public:
  InstanceMaker(const RuleSet& rules, const OpTable& ops, const Rule& rule,
                const Situation& situation, Random& random)
      : rules_(rules),
        ops_(ops),
        rule_(rule),
        situation_(situation),
        random_(random),
        bindings_(rule.slots.size()) {
    words_ = words_of(rules, rule);
  }
  Result<Instance> make();

 private:
  bool coin(int of = 2) { return random_.below(of) == 0; }
  std::size_t below(std::size_t count) {
    return static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(count)));
  }

  // instance.cc
  void choose_opset();
  void choose_base();
  // Members that share a value: what stands for all of them is drawn once, the rest for each.
  Status make_cluster();
  // Sizes of inputs become names, or nothing: what must not be known is not.
  void hide_shapes();

  Scope scope(NodeId self = {}) const {
    return {model_, rules_, ops_, rule_.slots, bindings_, situation_, self, rule_.lets};
  }

  // instance_values.cc
  Result<ValueId> value(PatternId id, const Spot* spot, const OpSchema* schema = nullptr);
  Result<ValueId> bound(const Pattern& pattern, const Spot* spot, const OpSchema* schema);
  // An input or a constant of a shape, an element type and numbers that the place takes.
  Result<ValueId> leaf(const Pattern& pattern, const Spot* spot, const OpSchema* schema);
  // A shape pattern's names take the sizes they have, or those that the place asks for.
  Shape shaped(const std::vector<DimPattern>& dims, const Shape& like);
  ValueId constant_of(DType dtype, const OperandGuess& guess, bool scalar);
  static double number_of(const Literal& literal);
  Result<ValueId> literal(const Pattern& pattern, const Spot* spot, const OpSchema* schema);
  Result<ValueId> chain(const Pattern& pattern, const Spot* spot, const OpSchema* schema);

  // instance_nodes.cc
  Result<NodeId> node(PatternId id);
  bool holds_nodes(PatternId id) const;
  void put(Spot& spot, std::vector<ValueId>& inputs, std::size_t index, ValueId made);
  // `first`: what stands in front where the pattern does not say (links of a chain).
  Result<NodeId> node_of(const Pattern& pattern, ValueId first);
  // Operands that the pattern does not list and the operator needs, or may have.
  Status fill_up(const Pattern& pattern, const OpSchema& schema, Spot& spot,
                 std::vector<ValueId>& inputs, std::size_t listed, std::size_t more);
  // `spot.attributes` gets those of this opset, `moved` those that are operands by now.
  Status attributes(const Pattern& pattern, const OpSchema& schema, Spot& spot,
                    std::vector<Attribute>& moved);
  void place_moved(const OpName& op, const OpSchema& schema, Spot& spot,
                   std::vector<ValueId>& inputs, const std::vector<Attribute>& moved);
  // Forwarding an input to an output keeps an Identity, so that a result is read by a node.
  Status add_reader(ValueId result);

  // instance_bodies.cc
  // A body while it is made: what its patterns may speak of.
  struct Body {
    GraphId graph;
    std::vector<ValueId> states = {};  // carried by a Loop or Scan
    ValueId iteration = {};
    std::map<std::size_t, ValueId> scans = {};  // results that a pattern calls `scan i`
    bool closed = false;                        // `body is { … }`: only the nodes of its patterns
    std::vector<ValueId> results = {};          // of its patterns, read by no node in it
  };
  // Bodies of an If, Loop or Scan, as its attributes; the types of the node's results.
  Result<std::vector<Type>> bodies(const Pattern& pattern, Spot& spot,
                                   std::vector<ValueId>& inputs);
  Result<std::vector<Type>> branches(const Pattern& pattern, Spot& spot);
  Result<std::vector<Type>> loop_body(const Pattern& pattern, Spot& spot,
                                      std::vector<ValueId>& inputs);
  // What the node's predicates want of the body of this name.
  std::vector<ExprId> wanted_of_body(const Pattern& pattern, std::string_view name);
  Status fill_body(Body& body, const std::vector<ExprId>& wanted);
  Result<ValueId> body_value(const Pattern& pattern, const Spot* spot, const OpSchema* schema);
  // A value of this type that is computed in the body, or a constant of it where it is closed.
  Result<ValueId> filler(const Body& body, const Type& type);
  ValueId body_input(Body& body, std::string_view name, Type type);

  const RuleSet& rules_;
  const OpTable& ops_;
  const Rule& rule_;
  const Situation& situation_;
  Random& random_;
  Model model_;
  GraphId graph_ = {0};   // where nodes are put
  Body* body_ = nullptr;  // that of `graph_`
  Words words_;
  DType dtype_ = DType::F32;
  Shape base_;
  std::vector<Binding> bindings_;
  std::map<std::uint32_t, NodeId> nodes_;
  std::optional<std::vector<Attribute>> rest_;  // a cluster's members have these in common
  std::vector<ValueId> results_;
};

}  // namespace rulec
