// SPDX-License-Identifier: Apache-2.0
// Every node of a graph against a set of rules, nothing replaced: arguments are nodes and rules.
#include <benchmark/benchmark.h>

#include "bench/corpus.h"
#include "matcher/matcher.h"
#include "matcher/program.h"

namespace rulec::bench {

static void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgsProduct({{13'000, 100'000}, {1, 10, 100}})->Unit(benchmark::kMillisecond);
}

static void count(benchmark::State& state, std::size_t nodes, std::uint64_t tests,
                  std::size_t matches) {
  const auto total = static_cast<double>(nodes) * static_cast<double>(state.iterations());
  state.counters["nodes/s"] = benchmark::Counter(total, benchmark::Counter::kIsRate);
  state.counters["tests/node"] = static_cast<double>(tests) / total;
  state.counters["found"] = static_cast<double>(matches);
}

// The decision program alone: which rules are worth a full match where.
static void candidates(benchmark::State& state) {
  const Model model = gelu_chain(static_cast<std::size_t>(state.range(0)));
  const auto rules = compile(gelu_rules(static_cast<int>(state.range(1))));
  const RuleSet& set = rules->compiled.rules;
  const RuleProgram program = compile_program(set, set.phases.front().rules);
  const std::vector<NodeId> nodes = model.nodes(model.main());
  std::vector<RuleId> found;
  std::size_t total = 0;
  for (auto _ : state) {
    total = 0;
    for (const NodeId node : nodes) {
      program.candidates(model, node, found);
      total += found.size();
    }
    benchmark::DoNotOptimize(total);
  }
  count(state, nodes.size(), program.tests(), total);
}
BENCHMARK(candidates)->Apply(sizes);

// The program, then the full match of what it lets through.
static void match(benchmark::State& state) {
  const Model model = gelu_chain(static_cast<std::size_t>(state.range(0)));
  const auto rules = compile(gelu_rules(static_cast<int>(state.range(1))));
  const RuleSet& set = rules->compiled.rules;
  const RuleProgram program = compile_program(set, set.phases.front().rules);
  const Situation situation;
  Matcher matcher(model, set, rules->compiled.ops, situation);
  const std::vector<NodeId> nodes = model.nodes(model.main());
  std::vector<RuleId> found;
  std::size_t total = 0;
  for (auto _ : state) {
    total = 0;
    for (const NodeId node : nodes) {
      program.candidates(model, node, found);
      for (const RuleId rule : found)
        if (matcher.match(rule, node, nullptr)) ++total;
    }
    benchmark::DoNotOptimize(total);
  }
  count(state, nodes.size(), program.tests() + matcher.tests(), total);
}
BENCHMARK(match)->Apply(sizes);

}  // namespace rulec::bench
