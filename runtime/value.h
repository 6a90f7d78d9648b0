// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "runtime/tensor.h"

namespace rulec {

struct Value;

// An ONNX sequence; immutable once shared.
struct Sequence {
  DType element = DType::Undefined;  // of its tensors, where known
  std::shared_ptr<const std::vector<Value>> items;
};

// An ONNX optional; `held` is null when empty.
struct Optional {
  std::shared_ptr<const Value> held;
};

// An ai.onnx.ml map: keys (i64 or string, rank 1) and as many values.
struct Map {
  Tensor keys;
  Tensor values;
};

// What flows along an edge of a graph at run time. The monostate is an absent optional operand.
struct Value {
  std::variant<std::monostate, Tensor, Sequence, Optional, Map> data;

  Value() = default;
  Value(Tensor t) : data(std::move(t)) {}
  Value(Sequence s) : data(std::move(s)) {}
  Value(Optional o) : data(std::move(o)) {}
  Value(Map m) : data(std::move(m)) {}

  bool absent() const { return data.index() == 0; }
  bool is_tensor() const { return data.index() == 1; }
  const Tensor& tensor() const {
    RULEC_CHECK(is_tensor());
    return *std::get_if<Tensor>(&data);
  }
};

}  // namespace rulec
