// SPDX-License-Identifier: Apache-2.0
#pragma once

// Random networks as the backend meets them: convolutions, poolings, products, norms, movements and
// elementwise operators over small images and matrices, values read by several nodes, results
// inside. For comparing an engine with the reference evaluator.
//
//   Random random(7);
//   Model m = test::random_network(random, 12);

#include "matcher/graph.h"
#include "matcher/random.h"

namespace rulec::test {

// f32 numbers in [low, high).
Tensor uniform(Random& random, const Shape& shape, double low = -1, double high = 1);

// The generator for an input of a fuzz target: any bytes are a seed.
Random seeded_by(const unsigned char* data, std::size_t size);

// About `nodes` nodes. Every value is f32 of a known shape; the batch of the inputs may be more
// than one. What nothing reads is an output; so are some values that are read.
Model random_network(Random& random, int nodes);

// Makes the inputs' first dimension the name `N`; the types of computed values follow.
void open_batch(Model& model);
// Makes any of the inputs' dimensions open; equal ones get one name, or all none.
void open_some(Model& model, Random& random);

}  // namespace rulec::test
