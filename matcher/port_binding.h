// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which values of the model may stand at a template's input ports (docs/language.md §8): by type
// and shape first, up to adaptors, then by derivation. Ranking only: what proves wins.
//
// Candidates that are the same data up to reshape count as one; of those the one with the smaller
// batch stands for all, then one that needs no adaptor, then the nearest to the root. Between
// different data the nearest to the root goes first, and values from which the whole region follows
// go before others.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "matcher/adaptors.h"
#include "matcher/graph.h"
#include "matcher/match.h"
#include "matcher/rule.h"

namespace rulec {

// Sizes found for a template's dimension variables; an unknown size has its symbol, if any.
using DimSizes = std::map<SlotId, Dim>;

// A value seen as a port wants it.
struct PortView {
  Adaptor adaptor;
  std::vector<Dim> dims;  // in the port's own order
  DType dtype = DType::Undefined;
  DimSizes sizes;  // of the port's variables, with those known before
};

// Every way in which a value of a type may stand at a port, plainest first.
std::vector<PortView> views_of(const Type& type, const Port& port, const DimSizes& known);

struct PortChoice {
  ValueId value;
  PortView view;
  int data = 0;  // which data: equal numbers are the same data up to reshape
};

struct Assignment {
  std::vector<PortChoice> ports;  // one for each input port
  DimSizes sizes;
  std::vector<ValueId> open;  // values below the root that do not follow from these ports
};

// Every assignment of the input ports, best first; `why` says for each port that has none what was
// looked at. `roots` are the cluster's members or the one root.
std::vector<Assignment> assign_ports(const Model& model, const Template& templ,
                                     const TemplateCall& call, std::span<const Binding> slots,
                                     std::span<const NodeId> roots, std::string& why);

}  // namespace rulec
