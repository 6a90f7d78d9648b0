// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/test_case.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/backend/build.h"
#include "matcher/evaluate.h"
#include "matcher/onnx_io.h"
#include "matcher/onnx_value.h"
#include "runtime/generic/kernel.h"
#include "runtime/session.h"
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
          node.domain.empty() ? node.type.str() : fmt::format("{}.{}", node.domain, node.type);
      found.insert(name);
      if (generic::find_kernel(node.domain, node.type) == nullptr) missing = name;
    }
  }
  return found;
}

namespace {
// Runs the model on inputs in the order of its graph (absent where a case gives none).
class Runner {
 public:
  virtual ~Runner() = default;
  virtual Result<std::vector<Value>> run(const std::vector<Value>& inputs) = 0;
};

class ByEvaluator : public Runner {
 public:
  explicit ByEvaluator(const Model& model) : model_(model) {}
  Result<std::vector<Value>> run(const std::vector<Value>& inputs) override {
    const GraphInfo& graph = model_.graph(model_.main());
    std::vector<std::pair<ValueId, Value>> feeds;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].absent()) feeds.emplace_back(graph.inputs[i], inputs[i]);
    }
    return Evaluator(model_).run(feeds, graph.outputs);
  }

 private:
  const Model& model_;
};

class ByEngine : public Runner {
 public:
  ByEngine(const Model& model, Session session) : model_(model), session_(std::move(session)) {}
  Result<std::vector<Value>> run(const std::vector<Value>& inputs) override {
    std::vector<std::pair<std::string, Value>> named;
    const GraphInfo& graph = model_.graph(model_.main());
    for (const EnginePort& port : session_.engine().inputs()) {
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (model_.value(graph.inputs[i]).name != port.name || inputs[i].absent()) continue;
        named.emplace_back(port.name, inputs[i]);
      }
    }
    return session_.run(named);
  }

 private:
  const Model& model_;
  Session session_;
};
}  // namespace

static Result<std::unique_ptr<Runner>> runner_of(const Model& model, Subject subject,
                                                 Outcome& outcome) {
  if (subject == Subject::Evaluator) return std::unique_ptr<Runner>(new ByEvaluator(model));
  BuildOptions options;
  options.fast_kernels = subject == Subject::Engine;
  const auto built = build_engine(model, options);
  if (!built) return built.error();
  outcome.operations = static_cast<int>(built->operations);
  outcome.fast = static_cast<int>(built->operations - built->generic_operations);
  auto engine = Engine::load_bytes(built->bytes, {.verify_weights = true});
  if (!engine) return engine.error();
  auto session = Session::create(*engine, {.threads = 1});
  if (!session) return session.error();
  return std::unique_ptr<Runner>(new ByEngine(model, std::move(*session)));
}

static Status run_data_set(const Model& model, Runner& runner,
                           const std::filesystem::path& folder) {
  const GraphInfo& graph = model.graph(model.main());
  std::vector<Value> inputs(graph.inputs.size());
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    const std::filesystem::path file = folder / fmt::format("input_{}.pb", i);
    if (!std::filesystem::exists(file)) continue;
    auto value = read_value(file, model.value(graph.inputs[i]).type);
    if (!value) return value.error();
    inputs[i] = *std::move(value);
  }
  auto actual = runner.run(inputs);
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

Outcome run_case(const std::filesystem::path& folder, Subject subject) {
  Outcome outcome;
  auto model = import_onnx(folder / "model.onnx");
  if (!model) return {Verdict::Failed, model.error().message, {}, 0, 0};
  std::string missing;
  outcome.operators = operators_of(*model, missing);
  const auto refused = [&](const Error& error) {
    outcome.verdict = missing.empty() ? Verdict::Failed : Verdict::NotSupported;
    outcome.why = error.message;
  };
  const auto runner = runner_of(*model, subject, outcome);
  if (!runner) {
    refused(runner.error());
    return outcome;
  }
  for (int set = 0;; ++set) {
    const std::filesystem::path data = folder / fmt::format("test_data_set_{}", set);
    if (!std::filesystem::exists(data)) break;
    if (auto fine = run_data_set(*model, **runner, data); !fine) {
      refused(fine.error());
      break;
    }
  }
  return outcome;
}

}  // namespace rulec::conformance
