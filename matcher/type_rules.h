// SPDX-License-Identifier: Apache-2.0
#pragma once

// The types of results of everyday operators, straight on Type: for Add, Mul, MatMul, Transpose,
// reductions, activations and the like, where asking ONNX's inference functions would cost fifty
// times as much in messages. The answers are the ones ONNX gives, but for windows at the end of an
// axis, where its older functions err, and for slices of all of an axis, whose name they forget.
// Not a full inference: what is not here, or looks odd, gives nothing, and ONNX is asked
// (infer_types).
//
//   if (auto type = type_of_result(model, node, opset)) …

#include <optional>

#include "matcher/graph.h"

namespace rulec {

// The type of a node's only result, where its operands' types say enough; of MaxPool the first of
// two. `opset` is that of ONNX's own domain. Nodes whose results ONNX would follow as computed
// shapes (integers) are left to it.
std::optional<Type> type_of_result(const Model& model, const GraphNode& node, int opset);

// MaxPool's second result, by its first: where each element came from.
Type type_of_indices(const Type& pooled);

}  // namespace rulec
