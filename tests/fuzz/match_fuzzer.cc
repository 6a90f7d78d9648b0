// SPDX-License-Identifier: Apache-2.0
// Any bytes are a seed: random rules over a random graph give the same firings, in the same order,
// and the same graph by the compiled program as by the reference matcher.
#include <random>

#include "compiler/compile.h"
#include "matcher/rewrite.h"
#include "runtime/check.h"
#include "tests/support/graph_generator.h"
#include "tests/support/naive_matcher.h"

using namespace rulec;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  std::seed_seq seed(data, data + size);
  std::mt19937 random(seed);
  std::string text;
  const int count = 1 + static_cast<int>(random() % 12);
  for (int i = 0; i < count; ++i)
    text += test::random_rule(random, fmt::format("r{}", i)) + "\n";
  auto files = load_rule_text("fuzz.rules", text, {RULEC_TEST_PRELUDE});
  RULEC_CHECK(files);
  std::vector<std::string> errors;
  auto compiled = compile_rules(*files, {}, errors);
  RULEC_CHECK(compiled);
  for (int i = 0; i < 8; ++i) {
    const int nodes = 2 + static_cast<int>(random() % 24);
    const auto own = static_cast<std::uint32_t>(random());
    std::mt19937 first(own), second(own);
    Model fast = test::random_graph(first, nodes), slow = test::random_graph(second, nodes);
    const auto bound = 20 * static_cast<std::size_t>(nodes);
    const auto expected = test::naive_rewrite(slow, compiled->rules, compiled->ops, bound);
    const auto report = rewrite(fast, compiled->rules, compiled->ops, {});
    if (!report) {
      RULEC_CHECK(expected.size() > bound);
      continue;
    }
    std::vector<std::string> fired;
    for (const Firing& firing : report->firings)
      fired.push_back(compiled->rules[firing.rule].name);
    if (fired != expected || dump(fast) != dump(slow))
      fmt::print(stderr, "{}\n{}\n{}\n", text, dump(fast), dump(slow));
    RULEC_CHECK(fired == expected);
    RULEC_CHECK(dump(fast) == dump(slow));
    RULEC_CHECK(fast.verify());
  }
  return 0;
}
