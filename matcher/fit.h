// SPDX-License-Identifier: Apache-2.0
#pragma once

// Parameters found by looking at what a region does (`fit`, docs/language.md §8): the region is
// measured as y = scale[c] * x + bias[c], and the template's body, read as a chain of affine steps
// around its input port, is solved for the parameters that make it the same.

#include <map>
#include <span>
#include <string>
#include <vector>

#include "matcher/rule.h"
#include "runtime/result.h"
#include "runtime/tensor.h"

namespace rulec {

struct AffineFit {
  std::vector<double> scale, bias;  // one for each channel (last dimension)
  double residual = 0;              // largest |y - (scale x + bias)|
  double magnitude = 0;             // largest |y|
};

// Least squares over all pairs; x and y have one shape each, the same, channel last. NaN or
// infinity anywhere makes the residual infinite.
AffineFit fit_affine(std::span<const Tensor> x, std::span<const Tensor> y);

// The parameters, one list for each slot in `wanted`, a number for each channel. An Error says why
// the expression is no chain of affine steps, or why no parameters make it the measured one.
Result<std::map<SlotId, std::vector<double>>> solve_affine(
    const RuleSet& rules, ExprId expr, SlotId input, std::span<const SlotId> wanted,
    const std::map<SlotId, std::vector<double>>& known, const AffineFit& measured);

}  // namespace rulec
