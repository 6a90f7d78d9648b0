// SPDX-License-Identifier: Apache-2.0
#pragma once

// How the type of a result follows from the types of operands and from attributes, one function for
// each form that operators share: broadcasting, products, reductions, windows, slices. Operands are
// tensors of known rank and element type. Nothing where the node is odd or too little is known.
// Which operator has which form is type_rules.cc's.
//
//   broadcast(f32[N,1], f32[3], DType::F32)   // f32[N,3]

#include <optional>

#include "matcher/graph.h"

namespace rulec {

std::optional<Type> broadcast(const Type& a, const Type& b, DType dtype);
std::optional<Type> matmul(const Type& a, const Type& b);
std::optional<Type> fused_matmul(const GraphNode& node, Type a, Type b);
std::optional<Type> gemm(const GraphNode& node, const Type& a, const Type& b);
std::optional<Type> transpose(const GraphNode& node, const Type& from);
std::optional<Type> reduce(const Model& model, const GraphNode& node, const Type& from, int opset);
std::optional<Type> cast(const GraphNode& node, const Type& from);
std::optional<Type> pool(const GraphNode& node, const Type& from);
std::optional<Type> slice(const Model& model, const GraphNode& node, const Type& from);
std::optional<Type> features(const Type& from, const Type& indices);

// Whether the node's `axis`, or this default of it, is one of the tensor's.
bool axis_exists(const GraphNode& node, const Type& from, std::int64_t otherwise);

}  // namespace rulec
