// SPDX-License-Identifier: Apache-2.0
#pragma once

// Small graphs over a small alphabet, all of them or at random, and random rules: for comparing
// two matchers. Every value is f32[3], save constants of rank 0; constants are 0 and 1; what
// nothing reads is an output.

#include <cstdint>
#include <functional>
#include <random>
#include <string>

#include "matcher/graph.h"

namespace rulec::test {

// Every graph of exactly `nodes` nodes of Relu and Add over the input and the constant 0.
// Gives how many there were.
std::size_t for_each_graph(int nodes, const std::function<void(Model&)>& visit);

// A random graph of elementwise nodes, some with attributes, optional or any number of operands;
// some interior values are outputs as well.
Model random_graph(std::mt19937& random, int nodes);

// The text of a random rule over the same operators: "rule r3: Add(Relu(x), y) -> Neg(x)".
std::string random_rule(std::mt19937& random, const std::string& name);

}  // namespace rulec::test
