// SPDX-License-Identifier: Apache-2.0
#pragma once

// Small models in which a rule's pattern occurs: alternatives, optional parts, attributes, shapes,
// element types and constants are drawn; types are inferred as nodes are made. An If, Loop or Scan
// gets bodies with what the pattern wants in them. That the rule holds there is likely, not
// promised: guards are not solved but hit.
//
//   Random random(7);
//   auto instance = make_instance(rules, ops, rule, situation, random);
//   if (instance) rewrite(instance->model, …);

#include <string>
#include <utility>
#include <vector>

#include "matcher/graph.h"
#include "matcher/match.h"
#include "matcher/op_table.h"
#include "matcher/random.h"
#include "matcher/rule.h"
#include "runtime/result.h"

namespace rulec {

// Why no instances can be made up: what a template replaces is found by running it, and bodies of
// model-local functions are not drawn. Empty where they can.
std::string why_no_instances(const RuleSet& rules, const Rule& rule);

struct Instance {
  Model model;
  // Inputs with the sizes that the model was made with; its own types may leave some open.
  std::vector<std::pair<std::string, Type>> inputs;
};

// An Error where this draw led to a graph that ONNX refuses.
Result<Instance> make_instance(const RuleSet& rules, const OpTable& ops, RuleId rule,
                               const Situation& situation, Random& random);

// Whether some constant is of half precision: what is computed from it is rounded as coarsely.
bool reads_half(const Model& model);

}  // namespace rulec
