// SPDX-License-Identifier: Apache-2.0
#pragma once

// For tests of rewriting: a model in ONNX's text form, rules as text, and what comes out.

#include <string>

#include "compiler/compile.h"
#include "matcher/graph.h"
#include "matcher/rewrite.h"

namespace rulec::test {

// A model whose main graph is `graph` ("g (float[N] x) => (float[N] y) { y = Relu(x) }"), with
// inferred types. `__` in a node's name stands for `/`, which the text form cannot write. Fails the
// running test when it does not parse.
Model model_of(const std::string& graph, int opset = 17);

// Fails the running test, with the rendered diagnostics, when the rules do not compile.
CompiledRules rules_of(const std::string& text, const Situation& situation = {});

struct Rewritten {
  Model model;
  RewriteReport report;
  std::string error;  // empty when rewrite() succeeded
  // Operators of the main graph in order: "Conv Relu".
  std::string ops() const;
  // The nearest misses in words.
  std::string misses() const;
};
Rewritten rewritten(const std::string& graph, const std::string& rules, int opset = 17,
                    const RewriteOptions& options = {});

// How often `rule` fires on a graph. Fails the running test where rewriting does.
std::size_t firings(const std::string& graph, const std::string& rule, int opset = 17);

// Operators of a graph in order.
std::string ops_of(const Model& model, GraphId graph);

}  // namespace rulec::test
