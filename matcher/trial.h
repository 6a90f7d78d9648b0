// SPDX-License-Identifier: Apache-2.0
#pragma once

// Private to templates: one attempt to put a template in a region's place. A Trial fixes the input
// ports, narrows unknown sizes, draws probes and runs the region on them; prove() then tries one
// form of the replacement on a copy of the model. Nothing here touches the caller's model.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "matcher/evaluate.h"
#include "matcher/guard.h"
#include "matcher/port_binding.h"
#include "matcher/probes.h"
#include "matcher/rewrite.h"

namespace rulec {

// What a template call is tried with: the same for all of its trials.
struct TemplateUse {
  const RuleSet& rules;
  const OpTable& ops;
  const RewriteOptions& options;
  const Rule& rule;
  const Template& templ;
  const TemplateCall& call;
  std::vector<NodeId> roots;            // in graph order
  GraphId graph;                        // theirs
  std::vector<Binding> captured;        // the template's slots that its own root pattern binds
  std::map<SlotId, Binding> arguments;  // given by the rule
  std::vector<std::string> assumed;     // by the rule itself

  // Largest difference that counts as none.
  double tolerance() const;
};

// A value of the region and what it was on each probe.
struct Observed {
  ValueId value;
  int distance = 0;  // to the graph's outputs
  std::vector<Tensor> seen;
};

struct Trial {
  Model model;  // a copy, with narrowed types
  Assignment assignment;
  std::vector<PortShape> shapes;  // of the input ports
  std::vector<Probe> probes;
  std::vector<std::vector<std::pair<ValueId, Value>>> feeds;  // of each probe, in the model's form
  std::vector<Observed> observed;                             // nearest to the outputs first
  std::vector<std::string> notes;
};

// Ports fixed, sizes narrowed, region run. Nothing, with a reason, when it cannot be.
std::optional<Trial> start_trial(const Model& model, const TemplateUse& use,
                                 const Assignment& assignment, std::string& why);

// One form of the replacement: which body, how its `fit` parameters are set, and the sizes that
// only the probes tell.
struct Variant {
  std::size_t body = 0;
  std::vector<std::pair<SlotId, bool>> switches;  // `bool = fit`
  std::map<SlotId, std::vector<double>> fitted;   // `f32[3] = fit`
  DimSizes sizes;
};

struct Outcome {
  Model model;
  Firing firing;
  std::size_t swallowed = 0;  // nodes that went
};

// How far an attempt came, for the nearest miss.
struct Shortfall {
  int bound = -1;  // result ports found
  std::string kind, expected, found;
};

std::optional<Outcome> prove(const TemplateUse& use, const Trial& trial, const Variant& variant,
                             Shortfall& shortfall);

// Sizes of output ports' variables that no input port gives (K), as the region's values suggest
// them, nearest to the outputs first; one empty map when there are none.
std::vector<DimSizes> size_guesses(const TemplateUse& use, const Trial& trial);

// Fitted parameters of a body by the nearest value that is affine in the first input port.
std::optional<std::map<SlotId, std::vector<double>>> fit_parameters(const TemplateUse& use,
                                                                    const Trial& trial,
                                                                    const Variant& variant,
                                                                    Shortfall& shortfall);

// The known sizes of a port's dimensions; nothing where one is unknown.
std::optional<Shape> port_dims(const Port& port, const DimSizes& sizes);

// The layout that a port is written in, by the names of its dimensions, and the one that a
// statement of a body asks for (`in layout`); empty: none.
std::string written_layout(const Template& templ, const Port& port);
std::string wanted_layout(const Scope& scope, const Statement& statement);

// Which result ports have rows of which only the first `count` mean something: the port that
// counts (integers [B]) and the variable (K) of the rows.
struct RowCount {
  std::size_t port = 0;
  SlotId rows;
};
std::optional<RowCount> row_count(const Template& templ);
bool has_rows(const Port& port, const RowCount& count);

// Removes nodes of `graph` that no one uses and that were used in `before`, bottom up, with the
// initializers that only they used; gives the names of the nodes.
std::vector<std::string> sweep(Model& model, GraphId graph, const Model& before);

}  // namespace rulec
