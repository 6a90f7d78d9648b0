// SPDX-License-Identifier: Apache-2.0
// Rule text to syntax tree and back: bytes per second over a generated megabyte.
#include <benchmark/benchmark.h>

#include "bench/corpus.h"
#include "grammar/ast_printer.h"
#include "grammar/parse.h"

namespace rulec::bench {

static constexpr std::size_t megabyte = 1'000'000;

static std::optional<ast::File> parse_or_skip(benchmark::State& state, const Source& source) {
  Diagnostics diagnostics;
  auto file = parse(source, diagnostics);
  if (!file) state.SkipWithError(render(source, diagnostics).c_str());
  return file;
}

static void parse_text(benchmark::State& state) {
  const Source source("bench.rules", rule_text(megabyte));
  for (auto _ : state) {
    auto file = parse_or_skip(state, source);
    if (!file) return;
    benchmark::DoNotOptimize(file);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * source.text().size()));
}
BENCHMARK(parse_text)->Unit(benchmark::kMillisecond);

static void print_tree(benchmark::State& state) {
  const Source source("bench.rules", rule_text(megabyte));
  const auto file = parse_or_skip(state, source);
  if (!file) return;
  for (auto _ : state)
    benchmark::DoNotOptimize(print(*file));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * source.text().size()));
}
BENCHMARK(print_tree)->Unit(benchmark::kMillisecond);

}  // namespace rulec::bench
