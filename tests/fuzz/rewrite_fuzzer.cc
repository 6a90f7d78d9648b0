// SPDX-License-Identifier: Apache-2.0
// Any bytes are a seed: the std package leaves the numbers of a random network as they were, in
// double, for every size of an open batch; a second run changes nothing.
#include <cmath>

#include "compiler/compile.h"
#include "matcher/evaluate.h"
#include "matcher/onnx_io.h"
#include "matcher/rewrite.h"
#include "runtime/check.h"
#include "tests/support/network_generator.h"

using namespace rulec;

namespace {
struct Std {
  RuleFiles files;
  CompiledRules compiled;
};
}  // namespace

static Std compile_std() {
  auto files = load_rule_files({"std"}, {RULEC_TEST_RULES});
  RULEC_CHECK(files);
  std::vector<std::string> errors;
  auto compiled = compile_rules(*files, {}, errors);
  RULEC_CHECK(compiled);
  return {std::move(*files), std::move(*compiled)};
}

static void fail(const Model& before, const Model& after, const RewriteReport& report,
                 const std::string& what) {
  fmt::print(stderr, "{}\nbecame\n{}\n", dump(before), dump(after));
  for (const Firing& firing : report.firings)
    fmt::print(stderr, "rule {} at {}\n", firing.rule.index, firing.root);
  fmt::print(stderr, "{}\n", what);
  std::abort();
}

static Result<std::vector<Value>> run(const Model& model, std::int64_t batch, std::uint64_t seed) {
  Random random(seed);
  std::vector<std::pair<ValueId, Value>> feeds;
  for (const ValueId id : model.graph(model.main()).inputs) {
    Shape shape;
    for (const Dim& dim : *model.value(id).type.dims)
      shape.push_back(dim.known() ? dim.size : batch);
    feeds.emplace_back(id, test::uniform(random, shape));
  }
  return Evaluator(model, {.precision = Precision::Double})
      .run(feeds, model.graph(model.main()).outputs);
}

// Weights that are folded into others are rounded to f32.
static bool agree(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  double scale = 1;
  for (std::int64_t i = 0; i < a.size(); ++i)
    if (std::isfinite(a.number(i))) scale = std::max(scale, std::abs(a.number(i)));
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const double x = a.number(i), y = b.number(i);
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;  // means of nothing
    if (!(std::abs(x - y) <= 2e-5 * scale)) return false;
  }
  return true;
}

static void check(const Model& before, Std& std, const RewriteOptions& options, std::int64_t batch,
                  std::uint64_t seed) {
  Model after = before;
  const auto report = rewrite(after, std.compiled.rules, std.compiled.ops, options);
  if (!report) fail(before, after, {}, report.error().message);
  if (const Status sound = after.verify(); !sound)
    fail(before, after, *report, sound.error().message);
  for (const std::int64_t size : {batch, std::int64_t{1}, std::int64_t{3}}) {
    const auto want = run(before, size, seed), got = run(after, size, seed);
    // What is not defined for some size may become so.
    if (!want) continue;
    if (!got) fail(before, after, *report, fmt::format("batch {}: {}", size, got.error().message));
    for (std::size_t i = 0; i < want->size(); ++i)
      if (!agree((*want)[i].tensor(), (*got)[i].tensor()))
        fail(before, after, *report, fmt::format("batch {}: output {} differs", size, i));
  }
  Model again = after;
  const auto second = rewrite(again, std.compiled.rules, std.compiled.ops, options);
  if (!second) fail(after, again, {}, second.error().message);
  if (!second->firings.empty()) fail(after, again, *second, "a second run changed something");
}

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static Std std = compile_std();
  Random random = test::seeded_by(data, size);
  for (int i = 0; i < 4; ++i) {
    Model model = test::random_network(random, static_cast<int>(1 + random.below(16)));
    const std::int64_t batch =
        (*model.value(model.graph(model.main()).inputs[0]).type.dims)[0].size;
    if (random.below(3) == 0) test::open_batch(model);
    RewriteOptions options;
    options.verify = random.below(2) == 0 ? Verify::Off : Verify::Each;
    check(model, std, options, batch, random.bits());
  }
  return 0;
}
