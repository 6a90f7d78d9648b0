// SPDX-License-Identifier: Apache-2.0
#pragma once

// What goes in and out of a model or an engine, and values for it: made up by a seed, or read from
// files. Running is subject.h's business.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "matcher/graph.h"
#include "runtime/engine.h"
#include "runtime/result.h"
#include "runtime/value.h"

namespace rulec::command {

// One input or output.
struct Formal {
  std::string name;
  Type type;
  bool has_default = false;  // an input that need not be given
};

std::vector<Formal> inputs_of(const Model& model);
std::vector<Formal> outputs_of(const Model& model);
std::vector<Formal> inputs_of(const Engine& engine);
std::vector<Formal> outputs_of(const Engine& engine);

using Named = std::vector<std::pair<std::string, Value>>;

// "`x` f32[1,3,?,?], `n` i64[]": for messages.
std::string list(const std::vector<Formal>& formals);

// Values for every input without a default, the same for the same name, type, seed and trial.
// Trials differ in their distribution: floats are N(0,1), U[0,1], U[-1,1], zeros, ones, small whole
// numbers; integers are small and not negative, bytes slopes, noise and flat pictures. Unknown
// dimensions take the size that `like` knows at the same input, else a small one; equal symbols are
// equal sizes.
Result<Named> make_inputs(const std::vector<Formal>& inputs, std::uint64_t seed, int trial,
                          const std::vector<Formal>& like = {});
Result<Value> make_input(const Formal& input, const std::vector<Formal>& all, std::uint64_t seed,
                         int trial);

// Whether a value can be given for the input; an Error says what is wanted and what is there.
Status check_input(const Formal& input, const Value& value);

// `.npy`, `.pb`, `.png`, `.jpg`; what was done to a picture is told in `notes`.
Result<Value> read_input(const Formal& input, const std::string& path,
                         std::vector<std::string>& notes);

// The name as a file's: characters outside A-Za-z0-9._- become `_`.
std::string file_name_of(std::string_view name);

// The inputs that a folder holds as NAME.npy, NAME.pb, NAME.png or NAME.jpg, or an .npz by name.
Result<Named> read_inputs(const std::vector<Formal>& inputs, const std::string& place,
                          std::vector<std::string>& notes);

}  // namespace rulec::command
