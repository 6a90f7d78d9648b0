// SPDX-License-Identifier: Apache-2.0
// Syntax trees to a RuleSet, and a RuleSet to a decision program.
#include <benchmark/benchmark.h>

#include "bench/corpus.h"
#include "matcher/program.h"

namespace rulec::bench {

// Reading, parsing, resolving and type checking, as `rulec check` does.
static void compile_package(benchmark::State& state, const std::vector<std::string>& names) {
  std::size_t count = 0;
  for (auto _ : state)
    count = compile_files(names)->compiled.rules.rules.size();
  state.counters["rules"] = static_cast<double>(count);
}
BENCHMARK_CAPTURE(compile_package, std_cleanup, {"std.cleanup"})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(compile_package, tensorrt_nms, {"tensorrt.nms"})->Unit(benchmark::kMillisecond);

static void compile_generated(benchmark::State& state) {
  const std::string text = gelu_rules(static_cast<int>(state.range(0)));
  for (auto _ : state)
    benchmark::DoNotOptimize(compile(text));
  state.counters["rules/s"] = benchmark::Counter(static_cast<double>(state.range(0)),
                                                 benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(compile_generated)->Arg(1)->Arg(10)->Arg(100)->Arg(1000)->Unit(benchmark::kMillisecond);

// The rules that other rewriters are measured with.
static void compile_peer_rules(benchmark::State& state) {
  const auto file = shared_file("bench/peers/rules/rules_100.rules");
  if (file.empty()) return state.SkipWithError("../shared is not there");
  for (auto _ : state)
    benchmark::DoNotOptimize(compile_files({file.string()}));
}
BENCHMARK(compile_peer_rules)->Unit(benchmark::kMillisecond);

static void make_program(benchmark::State& state) {
  const auto rules = compile(gelu_rules(static_cast<int>(state.range(0))));
  const RuleSet& set = rules->compiled.rules;
  for (auto _ : state)
    benchmark::DoNotOptimize(compile_program(set, set.phases.front().rules));
}
BENCHMARK(make_program)->Arg(1)->Arg(100)->Arg(1000)->Unit(benchmark::kMicrosecond);

}  // namespace rulec::bench
