// SPDX-License-Identifier: Apache-2.0
#pragma once

// The reference evaluator: runs (part of) a model node by node with the generic kernels. Slow,
// simple, the judge of every rewrite. Not the engine.
//
//   Evaluator evaluator(model, {.precision = Precision::Double});
//   auto out = evaluator.run({{x, tensor}}, {y, z});      // only the nodes that y and z need

#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "matcher/graph.h"
#include "runtime/result.h"
#include "runtime/value.h"

namespace rulec {

// Model: values have the model's own element types (arithmetic in double, one rounding an
// operator). Double: every f32, f16 and bf16 value is widened to f64 first and stays so.
enum class Precision : std::uint8_t { Model, Double };

struct EvaluateOptions {
  Precision precision = Precision::Model;
  // A bound on the nodes run, loop iterations included; 0: none. Past it: an Error.
  std::uint64_t max_steps = 0;
};

class Evaluator {
 public:
  explicit Evaluator(const Model& model, EvaluateOptions options = {});
  ~Evaluator();

  // Values of `targets`, given values of `feeds`: graph inputs, or any other value, which is then
  // not computed (so that a region can be run from its ports). Targets may be any values of the
  // main graph, or of the graph that the feeds belong to; captured outer values count as feeds or
  // are computed too. An Error names the node that failed.
  Result<std::vector<Value>> run(std::span<const std::pair<ValueId, Value>> feeds,
                                 std::span<const ValueId> targets);

  // Constants that do not depend on feeds are kept between runs.
  std::uint64_t steps() const;  // nodes run so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The value of `id` if it can be computed from constants alone, within `max_elements` of any
// intermediate result (so that folding never blows up). Shapes of statically shaped values count
// as constants. Nothing otherwise.
std::optional<Tensor> fold(const Model& model, ValueId id, std::int64_t max_elements = 1 << 20);

}  // namespace rulec
