// SPDX-License-Identifier: Apache-2.0
#pragma once

// Graphs in which a rule over a scope has something to replace. Such a rule trusts names and looks
// at no operator, so the scope holds what the replacement makes, under names that the globs match:
// the rule must find it, put the same there, and keep the interface. Whether a real scope computes
// that is for tests over real models.
//
//   scope "**/Gelu/**" -> Gelu(x) let x = from scope "**/Dense/**"
//   a/Dense/b: Neg   a/Gelu/b: Gelu   reader: Neg

#include <optional>

#include "compiler/generate/instance.h"
#include "compiler/generate/near_miss.h"

namespace rulec {

Result<Instance> make_scope_instance(const RuleSet& rules, const OpTable& ops, const Rule& rule,
                                     const Situation& situation, Random& random);

// A neighbour: nodes that are named otherwise, or an interior value that is read elsewhere too.
std::optional<Variation> vary_scope(const Model& model, const Rule& rule, Random& random);

}  // namespace rulec
