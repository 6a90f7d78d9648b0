// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/test_case.h"

#include <algorithm>

#include <fmt/format.h>

#include "matcher/evaluate.h"
#include "matcher/onnx_io.h"
#include "matcher/onnx_value.h"
#include "runtime/generic/kernel.h"
#include "tests/conformance/compare.h"

namespace rulec::conformance {

std::vector<std::filesystem::path> find_cases(const std::filesystem::path& root) {
  std::vector<std::filesystem::path> cases;
  std::error_code error;
  for (auto it = std::filesystem::recursive_directory_iterator(root, error);
       !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
    if (it->path().filename() == "model.onnx") cases.push_back(it->path().parent_path());
  }
  std::sort(cases.begin(), cases.end());
  return cases;
}

static bool is_function(const Model& model, const GraphNode& node) {
  return std::any_of(model.functions.begin(), model.functions.end(), [&](const Function& function) {
    return function.domain == node.domain && function.name == node.type;
  });
}

// The model's operators; `missing` becomes one that has no kernel.
static std::set<std::string> operators_of(const Model& model, std::string& missing) {
  std::set<std::string> found;
  for (std::uint32_t g = 0; g < model.graph_capacity(); ++g) {
    if (!model.graph({g}).alive) continue;
    for (NodeId id : model.nodes({g})) {
      const GraphNode& node = model.node(id);
      if (is_function(model, node)) continue;
      const std::string name =
          node.domain.empty() ? node.type : fmt::format("{}.{}", node.domain, node.type);
      found.insert(name);
      if (generic::find_kernel(node.domain, node.type) == nullptr) missing = name;
    }
  }
  return found;
}

static Status run_data_set(const Model& model, const std::filesystem::path& folder) {
  const GraphInfo& graph = model.graph(model.main());
  std::vector<std::pair<ValueId, Value>> feeds;
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    const std::filesystem::path file = folder / fmt::format("input_{}.pb", i);
    if (!std::filesystem::exists(file)) continue;
    auto value = read_value(file, model.value(graph.inputs[i]).type);
    if (!value) return value.error();
    feeds.emplace_back(graph.inputs[i], *std::move(value));
  }
  Evaluator evaluator(model);
  auto actual = evaluator.run(feeds, graph.outputs);
  if (!actual) return actual.error();
  for (std::size_t i = 0; i < graph.outputs.size(); ++i) {
    const std::filesystem::path file = folder / fmt::format("output_{}.pb", i);
    if (!std::filesystem::exists(file)) continue;
    auto expected = read_value(file, model.value(graph.outputs[i]).type);
    if (!expected) return expected.error();
    if (auto same = compare((*actual)[i], *expected); !same) {
      return make_error("output {}: {}", i, same.error().message);
    }
  }
  return Done{};
}

Outcome run_case(const std::filesystem::path& folder) {
  Outcome outcome;
  auto model = import_onnx(folder / "model.onnx");
  if (!model) return {Verdict::Failed, model.error().message, {}};
  std::string missing;
  outcome.operators = operators_of(*model, missing);
  for (int set = 0;; ++set) {
    const std::filesystem::path data = folder / fmt::format("test_data_set_{}", set);
    if (!std::filesystem::exists(data)) break;
    if (auto fine = run_data_set(*model, data); !fine) {
      outcome.verdict = missing.empty() ? Verdict::Failed : Verdict::NotSupported;
      outcome.why = fine.error().message;
      break;
    }
  }
  return outcome;
}

}  // namespace rulec::conformance
