// SPDX-License-Identifier: Apache-2.0
#pragma once

// One of ONNX's backend tests: a folder with model.onnx and test_data_set_N/{input,output}_M.pb.

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace rulec::conformance {

enum class Verdict : std::uint8_t { Passed, Failed, NotSupported };

struct Outcome {
  Verdict verdict = Verdict::Passed;
  std::string why;                  // of a failure
  std::set<std::string> operators;  // that the model uses, nested graphs included
  int operations = 0, fast = 0;     // of the engine, without what is folded or a view
};

// Folders below `root` that hold a model.onnx, in order of their names.
std::vector<std::filesystem::path> find_cases(const std::filesystem::path& root);

// What runs a case: the reference evaluator, or an engine built of its model, with generic kernels
// alone or with fast ones wherever one fits.
enum class Subject : std::uint8_t { Evaluator, GenericEngine, Engine };

// Runs every data set of the case.
Outcome run_case(const std::filesystem::path& folder, Subject subject);

}  // namespace rulec::conformance
