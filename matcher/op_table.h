// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which operators exist, for each opset: operands, results, attributes with defaults, and what the
// matcher must know (commutative, operand that moved between attribute and input). ONNX's schemas,
// TensorRT's plugin operators (in the empty domain) and com.microsoft operators we know, and what
// `op` declarations of rule files add.

#include <climits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "matcher/type.h"
#include "runtime/attribute.h"
#include "runtime/dtype.h"

namespace rulec {

// A shape that an `op` declaration writes: f32[B, 4, ?]. A symbol is one size in all of the
// declaration; behind `...` nothing is said of rank and sizes.
struct DeclaredShape {
  std::vector<Dim> dims;  // before the `...`, or all
  bool open = false;      // there is a `...`
};

enum class OperandKind : std::uint8_t { Single, Optional, Variadic };

struct Operand {
  std::string name;
  OperandKind kind = OperandKind::Single;
  std::vector<DType> dtypes;   // accepted tensor element types; empty: not a plain tensor / any
  std::string type_parameter;  // "T": operands of one parameter have one type
  bool homogeneous = true;     // variadic: all of one type
  int min_arity = 1;           // variadic
  std::vector<DeclaredShape> shapes = {};  // of an `op` declaration, alternatives; empty: any
};

// Kinds as ONNX numbers them (AttributeProto.AttributeType).
enum class AttributeKind : std::uint8_t {
  Float = 1,
  Int = 2,
  String = 3,
  Tensor = 4,
  Graph = 5,
  Floats = 6,
  Ints = 7,
  Strings = 8,
  Tensors = 9,
  Graphs = 10,
  SparseTensor = 11,
  TypeProto = 13,
};

struct AttributeSchema {
  std::string name;
  AttributeKind kind = AttributeKind::Int;
  bool required = false;
  std::optional<AttributeValue> default_value;
};

struct OpSchema {
  std::string domain;
  std::string type;
  int since = 1;  // the opset that introduced this version
  bool deprecated = false;
  bool commutative = false;  // binary, in its two operands
  bool deterministic = true;
  bool declared = false;  // by an `op` declaration: declared_types.h tells its results' types
  std::vector<Operand> inputs;
  std::vector<Operand> outputs;
  std::vector<AttributeSchema> attributes;

  const AttributeSchema* attribute(std::string_view name) const;
  // Index of a named operand, -1 when there is none.
  int input(std::string_view name) const;
  int min_inputs() const;
  int max_inputs() const;  // INT_MAX when variadic
};

class OpTable {
 public:
  // ONNX's schemas and the plugins. Cheap: schemas are translated when asked for.
  OpTable();

  // The version in force at `opset` of the domain ("" for ONNX's own; plugins live there too).
  const OpSchema* find(std::string_view domain, std::string_view type, int opset) const;
  // Any version, newest first; empty when the operator is unknown.
  std::vector<const OpSchema*> versions(std::string_view domain, std::string_view type) const;
  int newest_opset(std::string_view domain) const;

  // An operator of an `op` declaration; it replaces what we know of a plugin or a foreign operator.
  // False for one of ONNX's own with another form.
  bool declare(OpSchema schema);
  bool has_declarations() const;

  // The operator whose name is nearest to `type`, for "did you mean"; "" when none is near.
  std::string similar(std::string_view domain, std::string_view type) const;

 private:
  struct Cache;
  std::shared_ptr<Cache> cache_;
};

// An operand that moved between attribute and input across opsets (axes of Squeeze at 13, k of
// TopK at 10, min/max of Clip at 11, …): language.md §1 law 2. `name` is the attribute's name, by
// which rules call it everywhere; some inputs are called otherwise.
struct MovedOperand {
  std::string name;
  int input = 0;                             // its index from `since` on
  int since = 13;                            // first opset where it is an input
  AttributeKind kind = AttributeKind::Ints;  // as an attribute
  int until = INT_MAX;                       // first opset where it is that input no more
  std::string operand = {};                  // the input's name, where it differs from `name`

  bool is_input_at(int opset) const { return opset >= since && opset < until; }
};
// Of one operator, newest form first; empty when no operand of it ever moved.
const std::vector<MovedOperand>& moved_operands(std::string_view domain, std::string_view type);
// The name by which rules call what was written as `name`: Pad's constant_value is `value`.
std::string attribute_name(std::string_view domain, std::string_view type, std::string_view name);
// The input that an attribute became in the newest form of the operator, -1 for a plain one.
int input_of_attribute(std::string_view domain, std::string_view type, std::string_view name);

}  // namespace rulec
