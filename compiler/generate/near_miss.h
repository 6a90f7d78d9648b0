// SPDX-License-Identifier: Apache-2.0
#pragma once

// The neighbours of an instance: a model that differs in one thing on which a rule may hang. They
// need not be wrong for the rule; whatever it makes of them must compute the same.

#include <optional>
#include <string>

#include "matcher/graph.h"
#include "matcher/op_table.h"
#include "matcher/random.h"

namespace rulec {

struct Variation {
  Model model;
  std::string what;        // "`t1` is read elsewhere too", for messages
  bool must_stay = false;  // whatever the rule would make of it
};

// One interior value read elsewhere too, one attribute off, one constant off by a hair, or one
// operand that is another value of the same type. Nothing where this draw has nothing to change.
std::optional<Variation> vary(const Model& model, const OpTable& ops, Random& random);

}  // namespace rulec
