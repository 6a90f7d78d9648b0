// SPDX-License-Identifier: Apache-2.0
#pragma once

// What can be said for sure about nodes and values without running the model: attributes with
// their defaults and moved operands, constants, shapes that must be equal. The matcher, the guards
// and the emitter agree because they all ask here. Nothing in here guesses: no answer is "unknown".

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "matcher/graph.h"
#include "matcher/op_table.h"

namespace rulec {

struct AttributeFact {
  enum class State : std::uint8_t {
    Known,
    Absent,   // not given, and no default
    Runtime,  // an operand that only the run knows
  } state = State::Absent;
  AttributeValue value;
  bool given = false;  // in the file, not by default
};

// An attribute as docs/language.md §1.2 sees it: written, default, a later opset's default, or an
// operand that moved between attribute and input and is constant here.
AttributeFact attribute_of(const Model& model, const OpTable& ops, NodeId node,
                           std::string_view name);

// The index of the operand that carries a moved attribute in this model's opset, or -1.
int moved_input(const Model& model, const GraphNode& node, std::string_view name);
// Whether operand `index` is such a one; gives its description.
std::optional<MovedOperand> moved_at(const Model& model, const GraphNode& node, std::size_t index);

// The opset that a domain has in this model (1 for undeclared domains).
int opset_of(const Model& model, std::string_view domain);

// The tensor of a value that is constant, folding included. Reads no weight's numbers.
std::optional<Tensor> constant_tensor(const Model& model, ValueId value);

// Whether a formal input of a Loop's body is the number of the iteration: the trip counter itself,
// or a loop-carried integer that begins at 0 and is one more in each iteration, as exporters that
// count for themselves write it.
bool counts_iterations(const Model& model, GraphId body, ValueId value);

// What is known of a value's type; an initializer's is its tensor's.
Type type_of(const Model& model, ValueId value);

// Both values have the same shape at every run: by types, or by how they are computed.
bool proven_same_shape(const Model& model, ValueId a, ValueId b);
bool proven_same_dtype(const Model& model, ValueId a, ValueId b);

// A name for dimension `axis` of a value such that equal names are equal sizes: its size, its
// symbol, or the value that fixes it. Empty where the rank is unknown or too small.
std::string dimension_key(const Model& model, ValueId value, std::size_t axis);

// A binary or variadic elementwise operator with numpy broadcasting.
bool broadcasts_operands(const GraphNode& node);
// Operand `index` of `node` has a shape (given) that provably does not widen the result.
bool does_not_widen(const Model& model, const GraphNode& node, std::size_t index,
                    const Shape& shape);

// Elements all equal; then the one. Stops at the first that differs.
bool one_distinct_value(const Tensor& tensor);

// Conversions between tensors and attributes.
std::optional<AttributeValue> attribute_from_tensor(const Tensor& tensor, AttributeKind kind);
std::optional<Tensor> tensor_from_attribute(const AttributeValue& value);

// Equal values; `axes`: integers are axes of a tensor of this rank and compare normalised;
// `unordered`: lists are sets.
bool same_attribute(const AttributeValue& a, const AttributeValue& b,
                    std::optional<std::size_t> axes_rank = std::nullopt, bool unordered = false);
// The rank that axes of attribute `name` count in, where it is an axis attribute and known.
std::optional<std::size_t> axes_rank(const Model& model, NodeId node, std::string_view name);
bool axes_are_set(const GraphNode& node, std::string_view name);

std::string to_string(const AttributeValue& value);  // for reports

}  // namespace rulec
