// SPDX-License-Identifier: Apache-2.0
#pragma once

// Runs a built-in phase (pass.h says what they are) once over a whole model. Coming to a fixpoint,
// together with the rules of a step, is rewrite.h's business.
//
//   const PassResult done = run_pass(model, ops, Pass::FoldConstants);

#include <vector>

#include "matcher/graph.h"
#include "matcher/op_table.h"
#include "matcher/pass.h"

namespace rulec {

struct PassResult {
  std::size_t changes = 0;
  bool types_may_follow = false;  // more may be inferred now
};

PassResult run_pass(Model& model, const OpTable& ops, Pass pass);

// The single ones.
PassResult fold_constants(Model& model);
PassResult known_shapes(Model& model);
PassResult common_subexpressions(Model& model, const OpTable& ops);

// Graphs whose nodes a pass may change, outer ones first: not the bodies of functions, which have
// no initializers and whose attributes may be parameters.
std::vector<GraphId> open_graphs(const Model& model);
// Whether a node's result is wanted under its name: an output of a graph.
bool is_any_output(const Model& model, NodeId node);

}  // namespace rulec
