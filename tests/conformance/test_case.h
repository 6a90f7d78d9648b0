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
};

// Folders below `root` that hold a model.onnx, in order of their names.
std::vector<std::filesystem::path> find_cases(const std::filesystem::path& root);

// Runs every data set of the case with the reference evaluator.
Outcome run_case(const std::filesystem::path& folder);

}  // namespace rulec::conformance
