// SPDX-License-Identifier: Apache-2.0
#pragma once

// Two models on the same inputs, both run by the reference evaluator in double.

#include <cstdint>
#include <string>
#include <vector>

#include "matcher/graph.h"
#include "runtime/result.h"
#include "runtime/value.h"

namespace rulec::command {

// Inputs for a model: by seed, of several distributions (trial 0: the plain one); unknown
// dimensions take what `like` has at the same name, else a small size.
Result<std::vector<std::pair<std::string, Value>>> make_inputs(const Model& model,
                                                               std::uint64_t seed, int trial,
                                                               const Model* like = nullptr);

struct OutputDifference {
  std::string name;
  double max_abs = 0, max_rel = 0, rel_l2 = 0, cosine = 1;
  bool ok = true;
  std::string why;  // where not ok
};
OutputDifference difference(const std::string& name, const Value& a, const Value& b, double rtol,
                            double atol);

// The original file against its rewritten form; an Error says which output differs, and by what.
Status compare_with_original(const std::string& path, const Model& rewritten, std::uint64_t seed,
                             double rtol = 1e-3, double atol = 1e-5);

}  // namespace rulec::command
