// SPDX-License-Identifier: Apache-2.0
// The stages of `rulec rewrite`: import, types, rewriting, export; and the two-line file on a
// detector where ../shared is there.
#include <chrono>

#include <benchmark/benchmark.h>

#include "bench/corpus.h"
#include "matcher/onnx_io.h"
#include "matcher/rewrite.h"

namespace rulec::bench {

static void sizes(benchmark::internal::Benchmark* bench) {
  bench->Arg(13'000)->Arg(100'000)->Unit(benchmark::kMillisecond);
}

static void rate(benchmark::State& state) {
  state.counters["nodes/s"] = benchmark::Counter(static_cast<double>(state.range(0)),
                                                 benchmark::Counter::kIsIterationInvariantRate);
}

static void import_model(benchmark::State& state) {
  const auto bytes = export_onnx_bytes(gelu_chain(static_cast<std::size_t>(state.range(0))));
  if (!bytes) return state.SkipWithError(bytes.error().message.c_str());
  for (auto _ : state)
    benchmark::DoNotOptimize(import_onnx_bytes(*bytes));
  rate(state);
}
BENCHMARK(import_model)->Apply(sizes);

static void export_model(benchmark::State& state) {
  const Model model = gelu_chain(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state)
    benchmark::DoNotOptimize(export_onnx_bytes(model));
  rate(state);
}
BENCHMARK(export_model)->Apply(sizes);

static void infer_model_types(benchmark::State& state) {
  const Model model = gelu_chain(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    state.PauseTiming();
    Model fresh = model;
    state.ResumeTiming();
    std::vector<std::string> warnings;
    infer_types(fresh, warnings);
  }
  rate(state);
}
BENCHMARK(infer_model_types)->Apply(sizes);

// Arguments: nodes, rules. Every GELU becomes one node; verification has nothing to do, since no
// template fires.
static void rewrite_model(benchmark::State& state) {
  Model model = gelu_chain(static_cast<std::size_t>(state.range(0)));
  std::vector<std::string> warnings;
  infer_types(model, warnings);
  const auto rules = compile(gelu_rules(static_cast<int>(state.range(1))));
  std::size_t fired = 0;
  for (auto _ : state) {
    state.PauseTiming();
    Model fresh = model;
    state.ResumeTiming();
    auto report = rewrite(fresh, rules->compiled.rules, rules->compiled.ops, {});
    if (!report) return state.SkipWithError(report.error().message.c_str());
    fired = report->firings.size();
  }
  rate(state);
  state.counters["fired"] = static_cast<double>(fired);
}
BENCHMARK(rewrite_model)
    ->ArgsProduct({{13'000, 100'000}, {1, 10, 100}})
    ->Unit(benchmark::kMillisecond);

static constexpr const char* two_lines =
    "edit {\n"
    "  outputs = [\"detection_boxes\", \"detection_scores\", \"detection_classes\", "
    "\"num_detections\"]\n"
    "}\n"
    "Loop[body contains Gather] -> preprocess(mean, std, NCHW)\n"
    "NonMaxSuppression* -> BatchedNMS_TRT\n";

// Import, types, both templates with (1) or without (0) the proof of each firing.
static void rewrite_detector(benchmark::State& state) {
  const auto file = shared_file("models/tfod/ssd_mbv2_c90_op11.onnx");
  if (file.empty()) return state.SkipWithError("../shared is not there");
  const auto rules = compile(two_lines);
  RewriteOptions options;
  options.verify = state.range(0) != 0 ? Verify::Each : Verify::Off;
  std::size_t fired = 0;
  for (auto _ : state) {
    auto model = import_onnx(file);
    if (!model) return state.SkipWithError(model.error().message.c_str());
    std::vector<std::string> warnings;
    infer_types(*model, warnings);
    auto report = rewrite(*model, rules->compiled.rules, rules->compiled.ops, options);
    if (!report) return state.SkipWithError(report.error().message.c_str());
    fired = report->firings.size();
  }
  state.counters["fired"] = static_cast<double>(fired);
}
BENCHMARK(rewrite_detector)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace rulec::bench
