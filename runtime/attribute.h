// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/id.h"
#include "runtime/tensor.h"

namespace rulec {

// A nested graph. In a Model it is an index into its graphs; in an engine, into its programs.
struct GraphTag {
  static constexpr char prefix = 'g';
};
using GraphId = Id<GraphTag>;

// A constant given by its non-zero elements: indices [nnz] (flat) or [nnz, rank].
struct SparseTensor {
  Tensor values;
  Tensor indices;
  Shape shape;
};

// A serialized onnx.TypeProto (the `type` attribute of Optional), kept as bytes.
struct TypeBytes {
  std::string bytes;
};

// What an ONNX attribute may hold. A reference to a function's parameter is `RefAttribute`.
struct RefAttribute {
  std::string name;  // of the function's attribute parameter
  int kind = 0;      // AttributeProto.AttributeType
};

using AttributeValue =
    std::variant<std::int64_t, float, std::string, Tensor, SparseTensor, GraphId, TypeBytes,
                 std::vector<std::int64_t>, std::vector<float>, std::vector<std::string>,
                 std::vector<Tensor>, std::vector<GraphId>, RefAttribute>;

struct Attribute {
  std::string name;
  AttributeValue value;
};

// A node's attributes in file order, with typed look-up. A look-up of the wrong kind gives the
// default: kinds are checked when a model is imported.
class Attributes {
 public:
  Attributes() = default;
  explicit Attributes(std::vector<Attribute> all) : all_(std::move(all)) {}

  const std::vector<Attribute>& all() const { return all_; }
  const AttributeValue* find(std::string_view name) const;
  void set(std::string_view name, AttributeValue value);  // replaces, or appends
  bool erase(std::string_view name);

  template <typename T>
  const T* get(std::string_view name) const {
    const AttributeValue* value = find(name);
    return value ? std::get_if<T>(value) : nullptr;
  }
  std::int64_t integer(std::string_view name, std::int64_t otherwise) const;
  float number(std::string_view name, float otherwise) const;
  std::string_view text(std::string_view name, std::string_view otherwise) const;
  std::vector<std::int64_t> integers(std::string_view name) const;  // empty when absent
  bool has(std::string_view name) const { return find(name) != nullptr; }

 private:
  std::vector<Attribute> all_;
};

}  // namespace rulec
