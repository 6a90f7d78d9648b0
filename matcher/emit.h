// SPDX-License-Identifier: Apache-2.0
#pragma once

// Makes the nodes of a replacement: expressions of operators over values, constants and
// rewrite-time tensors, written in the form that the model's opset wants (attribute or input), with
// types inferred for what is new, names derived from rule and replaced value, and metadata.

#include <string>
#include <vector>

#include "matcher/guard.h"
#include "matcher/rule.h"
#include "runtime/result.h"

namespace rulec {

struct EmitOptions {
  GraphId graph;
  NodeId before;          // new nodes stand before this one
  std::string name_hint;  // names of nodes and values derive from it
  std::vector<Metadata> metadata;
  // For a literal operand: the dtype to take where no operand beside it decides.
  DType literal_dtype = DType::F32;
  // Of the outermost node, where a cluster's Split has as many results as members: their sizes
  // along its axis. Empty: as the expression says.
  std::vector<std::int64_t> split_sizes = {};
  // Of the outermost node: how many results are wanted. It gives them where its operator has them.
  std::size_t results = 1;
  bool strict = false;  // a template in the expression must not assume anything
  int depth = 0;        // of templates in templates
};

struct Emitted {
  std::vector<ValueId> results;           // one, or as many as the emitted node has
  std::vector<NodeId> nodes;              // made, in order
  std::vector<std::string> assumed = {};  // by templates in the expression
};

// An Error (nothing usable was emitted; the caller removes `nodes` it got before) when an operand
// is unknown, an operator is not in the model's opset, or types contradict.
Result<Emitted> emit(Model& model, const Scope& scope, ExprId expr, const EmitOptions& options);

}  // namespace rulec
