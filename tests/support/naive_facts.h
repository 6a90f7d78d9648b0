// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the reference matcher knows of a graph, found in the plainest way and without the matcher's
// own facts, guards and folding: constants by running the model, attributes by the schema, guards
// by a walk over the expression.

#include <map>
#include <optional>
#include <vector>

#include "matcher/match.h"
#include "matcher/op_table.h"
#include "matcher/rule.h"

namespace rulec::test {

class NaiveFacts {
 public:
  NaiveFacts(const Model& model, const OpTable& ops) : model_(model), ops_(ops) {}

  // The tensor of a value that depends on nothing but constants.
  std::optional<Tensor> constant(ValueId value) const;
  // One number, of a shape that adds no element to the other operand of `reader`.
  bool is_scalar(const Tensor& tensor, NodeId reader, std::size_t slot) const;
  // Written or by default; of an operand that moved to the inputs, its constant.
  std::optional<AttributeValue> attribute(NodeId node, const std::string& name) const;
  // Whether operand `slot` is one that was an attribute before this opset.
  bool is_moved(NodeId node, std::size_t slot) const;

 private:
  std::optional<Tensor> computed(ValueId value) const;

  const Model& model_;
  const OpTable& ops_;
  mutable std::map<std::uint32_t, std::optional<Tensor>> known_;  // the model stands still
};

// A literal against a constant: rounded to its element type, then equal to 1e-4 (or to the bit).
bool naive_literal(const Literal& literal, bool exact, const Tensor& tensor);

bool naive_same(const AttributeValue& a, const AttributeValue& b, std::optional<std::int64_t> rank);

// A guard or predicate over what is bound; `self` is the node that a predicate stands at. Knows the
// functions that the tests' rules use; any other is a mistake of the test.
Truth naive_truth(const Model& model, const RuleSet& rules, const std::vector<Binding>& bound,
                  NodeId self, ExprId expr);

}  // namespace rulec::test
