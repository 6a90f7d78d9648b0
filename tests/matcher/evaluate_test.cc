// SPDX-License-Identifier: Apache-2.0
#include "matcher/evaluate.h"

#include <gtest/gtest.h>

#include "matcher/onnx_io.h"

namespace rulec {
namespace {

ValueId find(const Model& model, std::string_view name) {
  for (std::uint32_t i = 0; i < model.value_capacity(); ++i) {
    if (model.value(ValueId{i}).name == name) return {i};
  }
  return {};
}

Model parse(const char* text) {
  auto model = import_onnx_text(text);
  EXPECT_TRUE(model) << model.error().message;
  return std::move(*model);
}

Tensor floats(std::vector<float> all) {
  return Tensor::of<float>({static_cast<std::int64_t>(all.size())}, std::span<const float>(all));
}

// Values of the named results, given the named values; fails the test on an Error.
std::vector<std::vector<double>> run(Evaluator& evaluator, const Model& model,
                                     std::vector<std::pair<const char*, Tensor>> feeds,
                                     std::vector<const char*> targets) {
  std::vector<std::pair<ValueId, Value>> given;
  for (auto& [name, tensor] : feeds)
    given.emplace_back(find(model, name), tensor);
  std::vector<ValueId> wanted;
  for (const char* name : targets)
    wanted.push_back(find(model, name));
  const auto results = evaluator.run(given, wanted);
  EXPECT_TRUE(results) << (results ? "" : results.error().message);
  std::vector<std::vector<double>> numbers;
  if (results) {
    for (const Value& value : *results)
      numbers.push_back(value.tensor().numbers());
  }
  return numbers;
}

using Numbers = std::vector<std::vector<double>>;

TEST(Evaluate, RunsOnlyWhatIsNeeded) {
  const Model model = parse(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (float[2] x, float[2] never) => (float[2] y, float[2] z) <float[2] w = {10, 20}> {
      a = Add(x, w)
      y = Mul(a, a)
      z = Add(never, a)
    })");
  Evaluator evaluator(model);
  EXPECT_EQ(run(evaluator, model, {{"x", floats({1, 2})}}, {"y"}), (Numbers{{121, 484}}));
  EXPECT_EQ(evaluator.steps(), 2u);
  // A region from its ports.
  EXPECT_EQ(run(evaluator, model, {{"a", floats({1, 2})}}, {"y"}), (Numbers{{1, 4}}));
  EXPECT_EQ(evaluator.steps(), 3u);
  const auto missing = evaluator.run({}, std::vector{find(model, "z")});
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("has no value"), std::string::npos);
}

TEST(Evaluate, KeepsConstantsUnlessTheyAreFed) {
  const Model model = parse(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (float[1] x) => (float[1] y) <float[1] w = {10}> {
      c = Mul(w, w)
      d = Add(c, w)
      y = Add(x, d)
    })");
  Evaluator evaluator(model);
  EXPECT_EQ(run(evaluator, model, {{"x", floats({1})}}, {"y"}), (Numbers{{111}}));
  EXPECT_EQ(evaluator.steps(), 3u);
  EXPECT_EQ(run(evaluator, model, {{"x", floats({2})}}, {"y"}), (Numbers{{112}}));
  EXPECT_EQ(evaluator.steps(), 4u);
  EXPECT_EQ(run(evaluator, model, {{"x", floats({1})}, {"w", floats({2})}}, {"y"}), (Numbers{{7}}));
  EXPECT_EQ(run(evaluator, model, {{"x", floats({1})}, {"c", floats({0})}}, {"y"}),
            (Numbers{{11}}));
  EXPECT_EQ(run(evaluator, model, {{"x", floats({1})}}, {"y"}), (Numbers{{111}}));
}

TEST(Evaluate, DoublePrecisionRoundsNothing) {
  const Model model = parse(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (float16[1] x) => (float[1] y, float[1] z) <float[1] w = {0.1}> {
      a = Cast<to = 1>(x)
      y = Mul(a, w)
      z = Cast<to = 10>(y)
    })");
  const Tensor x = convert(floats({3}), DType::F16);
  Evaluator evaluator(model, {.precision = Precision::Double});
  const auto results = evaluator.run(std::vector<std::pair<ValueId, Value>>{{find(model, "x"), x}},
                                     std::vector{find(model, "y"), find(model, "z")});
  ASSERT_TRUE(results) << results.error().message;
  EXPECT_EQ((*results)[0].tensor().dtype(), DType::F64);
  EXPECT_EQ((*results)[0].tensor().number(0), 3.0 * static_cast<double>(0.1f));
  EXPECT_EQ((*results)[1].tensor().number(0), (*results)[0].tensor().number(0));
}

TEST(Evaluate, LoopsSeeOuterValues) {
  const Model model = parse(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (int64 n, float[2] x) => (float[2] y, float[k, 2] all) <bool yes = {1}, float[2] w = {1, 2}> {
      k = Add(x, w)
      y, all = Loop(n, yes, x) <body = body (int64 i, bool cond, float[2] state) => (bool again, float[2] next, float[2] out) {
        again = Identity(cond)
        next = Add(state, k)
        out = Identity(next)
      }>
    })");
  Evaluator evaluator(model);
  const Numbers results =
      run(evaluator, model, {{"n", Tensor::scalar<std::int64_t>(3)}, {"x", floats({1, 1})}},
          {"y", "all"});
  EXPECT_EQ(results, (Numbers{{7, 10}, {3, 4, 5, 7, 7, 10}}));
}

TEST(Evaluate, EndsAtMaxSteps) {
  const Model model = parse(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (int64 n, float[2] x) => (float[2] y) <bool yes = {1}> {
      y = Loop(n, yes, x) <body = body (int64 i, bool cond, float[2] state) => (bool again, float[2] next) {
        again = Identity(cond)
        next = Add(state, state)
      }>
    })");
  Evaluator evaluator(model, {.max_steps = 100});
  const auto result = evaluator.run(
      std::vector<std::pair<ValueId, Value>>{
          {find(model, "n"), Tensor::scalar<std::int64_t>(1 << 30)},
          {find(model, "x"), floats({1, 1})}},
      std::vector{find(model, "y")});
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("more than 100"), std::string::npos);
}

TEST(Evaluate, FunctionsTakeAttributes) {
  const Model model = parse(R"(
    <ir_version: 8, opset_import: ["" : 17, "mine" : 1]>
    main (float[2] x) => (float[2] y, float[2] z) {
      y = mine.leak<alpha = 0.5>(x)
      z = mine.leak<alpha = 0.25>(x)
    }
    <domain: "mine", opset_import: ["" : 17]>
    leak <alpha> (a) => (b) { b = LeakyRelu<alpha : float = @alpha>(a) })");
  Evaluator evaluator(model);
  EXPECT_EQ(run(evaluator, model, {{"x", floats({-4, 4})}}, {"y", "z"}),
            (Numbers{{-2, 4}, {-1, 4}}));
}

TEST(Evaluate, NamesTheNodeThatFails) {
  const Model model = parse(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (float[2] x) => (float[2] y) { y = Unheard(x) })");
  Evaluator evaluator(model);
  const auto result =
      evaluator.run(std::vector<std::pair<ValueId, Value>>{{find(model, "x"), floats({1, 1})}},
                    std::vector{find(model, "y")});
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("Unheard"), std::string::npos) << result.error().message;
}

TEST(Evaluate, TargetsInsideABody) {
  const Model model = parse(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (bool c, float[2] x) => (float[2] y) {
      k = Add(x, x)
      y = If(c) <then_branch = t () => (float[2] r) { q = Mul(k, k) r = Neg(q) },
                 else_branch = e () => (float[2] s) { s = Neg(k) }>
    })");
  Evaluator evaluator(model);
  EXPECT_EQ(run(evaluator, model, {{"x", floats({1, 2})}}, {"q"}), (Numbers{{4, 16}}));
  EXPECT_EQ(run(evaluator, model, {{"q", floats({1, 2})}}, {"r"}), (Numbers{{-1, -2}}));
}

}  // namespace
}  // namespace rulec
