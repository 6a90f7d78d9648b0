// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which step of a fast kernel an operator is, by its name: for lowering, and for plans of shapes
// that only the run knows. Nothing where no fast kernel does it.

#include <optional>
#include <string_view>

#include "runtime/attribute.h"
#include "runtime/kernels/parameters.h"

namespace rulec {

std::optional<kernels::ChainOp> unary_chain_op(std::string_view type);   // Neg, Exp, …
std::optional<kernels::ChainOp> binary_chain_op(std::string_view type);  // Add, Pow, …
std::optional<kernels::TypedOp> typed_op(std::string_view type);         // Cast, Equal, Where, …
std::optional<kernels::RowKind> row_kind(std::string_view type);         // ReduceMean, …

// The activation that a node of domain rulec asks for.
std::optional<kernels::Epilogue> activation_named(const Attributes& attributes);

}  // namespace rulec
