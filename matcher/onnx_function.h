// SPDX-License-Identifier: Apache-2.0
#pragma once

// Operators that ONNX defines by other operators: their bodies, for the evaluator.

#include <optional>
#include <span>
#include <string_view>

#include "matcher/graph.h"

namespace rulec {

// One application of an operator, as far as its expansion may depend on it.
struct Application {
  std::string_view domain, type;
  int opset = 0;
  const Attributes& attributes;
  std::span<const Type> inputs;  // Unknown where an operand is absent
  std::size_t outputs = 1;
};

// A model whose only function is the operator's body; nothing where ONNX gives none.
std::optional<Model> expand_operator(const Application& application);

}  // namespace rulec
