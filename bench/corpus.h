// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the benchmarks work on, generated: the same on every machine and in every run. Rules and
// graphs like those that measure other rewriters (erf-GELU in chains, near misses around it).
//
//   Model model = bench::gelu_chain(13'000);
//   auto rules = bench::compile(bench::gelu_rules(10));

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/compile.h"
#include "matcher/graph.h"

namespace rulec::bench {

// About `nodes` nodes: blocks of MatMul, Add and an erf-GELU of five nodes, each with constants of
// its own, as exporters write them.
Model gelu_chain(std::size_t nodes);

// Rule text of `count` rules: erf-GELU to com.microsoft::Gelu, which fires, then near misses over
// the operators of gelu_chain, which do not.
std::string gelu_rules(int count);

// At least `bytes` of rule text: near misses without end.
std::string rule_text(std::size_t bytes);

struct Rules {
  RuleFiles files;
  CompiledRules compiled;
};

// Stops the program, with the diagnostics, where the rules are wrong.
std::unique_ptr<Rules> compile(std::string text);
std::unique_ptr<Rules> compile_files(const std::vector<std::string>& names);

// A file of the folder `shared` beside the project; empty where it is not there.
std::filesystem::path shared_file(std::string_view path);

}  // namespace rulec::bench
