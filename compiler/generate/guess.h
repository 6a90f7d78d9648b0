// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an operator would take: shapes and numbers for operands, values for attributes, drawn so
// that the operator accepts them more often than not. Guesses only: what is wrong is found out by
// ONNX's inference and drawn again. Knows operators, not rules; a rule's own numbers come in by
// `Words`.
//
//   OperandGuess w = guess_operand({"Conv", 1, attributes, {x_type}, 17}, base, random, words);

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "matcher/op_table.h"
#include "matcher/random.h"
#include "matcher/type.h"
#include "runtime/attribute.h"

namespace rulec {

// The literals of a rule: guards and attributes often ask for one of them.
struct Words {
  std::vector<std::string> strings;
  std::vector<std::int64_t> integers;
  std::vector<double> numbers;
  std::vector<std::vector<std::int64_t>> lists;
};

// The node at which something is missing.
struct Spot {
  std::string type;                 // operator
  std::size_t index = 0;            // of the operand
  Attributes attributes = {};       // decided so far
  std::vector<Type> operands = {};  // of the operands made so far; unknown where there is none yet
  std::int64_t opset = 0;
};

struct OperandGuess {
  Shape shape;
  std::optional<std::vector<double>> values = {};  // nothing: any numbers of the dtype
  bool positive = false;                           // any numbers above zero
};

// Shape (and numbers, where they must fit) of operand `spot.index`. `base` is the shape that data
// has by default.
OperandGuess guess_operand(const Spot& spot, const Shape& base, Random& random, const Words& words);

// Nothing: leave the attribute away.
std::optional<AttributeValue> guess_attribute(const Spot& spot, const AttributeSchema& schema,
                                              Random& random, const Words& words);

// An element type that the operand takes and that agrees with the operands made so far.
DType guess_dtype(const OpSchema& schema, const Spot& spot, DType base, Random& random);

}  // namespace rulec
