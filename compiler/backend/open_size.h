// SPDX-License-Identifier: Apache-2.0
#pragma once

// A model that leaves one dimension open (the batch, as a rule) is lowered for several sizes of it.
// Where the engines differ only in numbers that grow evenly with the size, one of them and the
// steps of those numbers are an engine for any size (runtime/engine_sizes.h). Where they do not,
// the model stays dynamic: generic kernels, and plans of single operations.
//
//   auto dimension = find_open_dimension(model, options);   // `batch`
//   auto open = compare_sizes(1, one, {2, 3}, {two, three});

#include <array>
#include <optional>
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

// `base` is the engine for `size`, the others are for those sizes. All must have been written with
// integers kept apart.
std::optional<OpenSize> compare_sizes(std::int64_t size, std::string_view base,
                                      const std::array<std::int64_t, 2>& sizes,
                                      const std::array<std::string_view, 2>& others);

}  // namespace rulec::backend
