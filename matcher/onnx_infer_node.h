// SPDX-License-Identifier: Apache-2.0
#pragma once

// ONNX's own shape inference for single nodes: for what a rewrite has just made. The whole model is
// onnx_io.h's infer_types.

#include <span>

#include "matcher/graph.h"
#include "runtime/result.h"

namespace rulec {

// Infers the types of the nodes' results, in the order given, and stores them. Operators without a
// schema, and nodes with bodies, leave their results as they are. An Error where ONNX refuses a
// node: its operands contradict its schema.
Status infer_node_types(Model& model, std::span<const NodeId> nodes);

}  // namespace rulec
