// SPDX-License-Identifier: Apache-2.0
#pragma once

// A model that leaves one dimension open (the batch, as a rule) is lowered for several sizes of it,
// if every shape in it is proven to grow evenly with the size. Where the engines differ only in
// numbers that do, one of them and the steps of those numbers are an engine for any size
// (runtime/engine_sizes.h). Where they do not, the model stays dynamic: generic kernels, and plans
// of single operations.
//
//   auto dimension = find_open_dimension(model, options);   // `batch`
//   if (dimension && shapes_grow_evenly(model, *dimension, options))
//     open = compare_sizes({1, one}, {{2, two}, {3, three}, {61, large}});

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/backend/build.h"
#include "matcher/graph.h"
#include "runtime/format.h"

namespace rulec::backend {

struct OpenSize {
  std::vector<format::SizePatch> patches;
};

// The only dimension of the inputs that is not known.
struct OpenDimension {
  std::string symbol;               // or, where it has no name, …
  std::string input;                // … the input that has it
  std::vector<std::int64_t> shape;  // of that input, -1 where it is open

  // The options that set it to `size`.
  BuildOptions with(BuildOptions options, std::int64_t size) const;
};
std::optional<OpenDimension> find_open_dimension(const Model& model, const BuildOptions& options);

// Whether each dimension of each value that the outputs need is a number, or the open size times
// one, for whatever size; and whether no number but shapes hangs on the size. What inference does
// not know is not proven.
bool shapes_grow_evenly(const Model& model, const OpenDimension& dimension,
                        const BuildOptions& options);

// An engine for one size, written with integers kept apart.
struct SizedEngine {
  std::int64_t size = 0;
  std::string_view bytes;
};
// `base` with the steps of its numbers, as all others bear them out.
std::optional<OpenSize> compare_sizes(const SizedEngine& base, std::span<const SizedEngine> others);

}  // namespace rulec::backend
