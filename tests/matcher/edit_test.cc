// SPDX-License-Identifier: Apache-2.0
// Every kind of change that an `edit` may make, as rule text, and what is refused.
#include <gtest/gtest.h>

#include "matcher/evaluate.h"
#include "matcher/onnx_io.h"
#include "tests/support/rewriting.h"

namespace rulec::test {
namespace {

// "input x : f32[1,3]" of what the main graph shows: inputs, then outputs.
std::string interface_of(const Model& model) {
  std::string text;
  for (ValueId id : model.graph(model.main()).inputs)
    text += fmt::format("{} : {} ", model.value(id).name, to_string(model.value(id).type));
  text += "->";
  for (ValueId id : model.graph(model.main()).outputs)
    text += fmt::format(" {} : {}", model.value(id).name, to_string(model.value(id).type));
  return text;
}

std::vector<double> run(const Model& model, const std::vector<double>& numbers) {
  const ValueId input = model.graph(model.main()).inputs[0];
  const Type& type = model.value(input).type;
  Tensor tensor = Tensor::zeros(type.dtype, type.static_shape().value_or(Shape{}));
  for (std::size_t i = 0; i < numbers.size(); ++i)
    tensor.set_number(static_cast<std::int64_t>(i), numbers[i]);
  auto values = Evaluator(model).run(std::vector<std::pair<ValueId, Value>>{{input, tensor}},
                                     model.graph(model.main()).outputs);
  EXPECT_TRUE(values) << values.error().message;
  std::vector<double> out;
  if (!values) return out;
  for (std::int64_t i = 0; i < (*values)[0].tensor().size(); ++i)
    out.push_back((*values)[0].tensor().number(i));
  return out;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

// ---- input ------------------------------------------------------------------------------------

TEST(EditInput, ABytePictureBecomesAFloatOneAndItsCastGoes) {
  const std::string graph =
      "g (uint8[1,2,2,3] x) => (float[1,2,2,3] y) { a = Cast<to = 1>(x) y = Neg(a) }";
  const auto out = rewritten(graph, R"(edit { input "x" : f32 })");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.ops(), "Neg");
  EXPECT_EQ(interface_of(out.model), "x : f32[1,2,2,3] -> y : f32[1,2,2,3]");
  const std::vector<double> picture = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 254, 255};
  EXPECT_EQ(run(out.model, picture), run(model_of(graph), picture));
  ASSERT_FALSE(out.report.edits.empty());
  EXPECT_TRUE(has(out.report.edits[0], "Cast")) << out.report.edits[0];
}

TEST(EditInput, CastsBehindWhatMovesDataGoToo) {
  const auto out = rewritten(R"(g (uint8[1,2,2,3] x) => (float[1,3,2,2] y, float[1,2,2,3] z)
    { t = Transpose<perm = [0,3,1,2]>(x) a = Cast<to = 1>(t) y = Neg(a)
      i = Identity(x) b = Cast<to = 1>(i) z = Neg(b) })",
                             R"(edit { input "x" : f32 })");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.ops(), "Transpose Neg Identity Neg");
}

TEST(EditInput, ACastToAnotherTypeStays) {
  const auto out = rewritten(
      "g (uint8[2] x) => (float[2] y, int32[2] z) { a = Cast<to = 1>(x) y = Neg(a) z = Cast<to = "
      "6>(x) }",
      R"(edit { input "x" : f32 })");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.ops(), "Neg Cast");
}

TEST(EditInput, ACastThatGivesAnOutputKeepsTheName) {
  const auto out = rewritten("g (uint8[2] x) => (float[2] y) { y = Cast<to = 1>(x) }",
                             R"(edit { input "x" : f32 })");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(interface_of(out.model), "x : f32[2] -> y : f32[2]");
}

TEST(EditInput, ReadersInsideABodySeeTheNewType) {
  const std::string graph = R"(g (uint8[2,3] x) => (float[2,3] y)
    <int64 m = {2}, bool c = {1}, int32 zero = {0}> {
      last, y = Loop<body = b (int64 i, bool go, int32 n) => (bool go2, int32 n2, float[3] row)
        { go2 = Identity(go) n2 = Identity(n) r = Gather(x, i) f = Cast<to = 1>(r)
          row = Neg(f) }>(m, c, zero) })";
  const auto out = rewritten(graph, R"(edit { input "x" : f32 })");
  EXPECT_EQ(out.error, "");
  ASSERT_FALSE(out.model.nodes(out.model.main()).empty());
  const auto bodies = out.model.bodies(out.model.nodes(out.model.main())[0]);
  ASSERT_EQ(bodies.size(), 1U);
  EXPECT_EQ(ops_of(out.model, bodies[0]), "Identity Identity Gather Neg");
  EXPECT_EQ(run(out.model, {1, 2, 3, 4, 5, 6}), run(model_of(graph), {1, 2, 3, 4, 5, 6}));
}

TEST(EditInput, ATypeTravelsOutOfABodyAndItsCastBehindItGoes) {
  const auto out = rewritten(R"(g (uint8[2,3] x) => (float[2,3] y)
    <int64 m = {2}, bool c = {1}, int32 zero = {0}> {
      last, rows = Loop<body = b (int64 i, bool go, int32 n) => (bool go2, int32 n2, uint8[3] row)
        { go2 = Identity(go) n2 = Identity(n) row = Gather(x, i) }>(m, c, zero)
      f = Cast<to = 1>(rows) y = Neg(f) })",
                             R"(edit { input "x" : f32 })");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.ops(), "Loop Neg");
}

TEST(EditInput, AReaderThatCannotTakeTheTypeIsNamed) {
  const auto out =
      rewritten("g (uint8[2] x) => (bool[2] y) <uint8[1] k = {3}> { [cmp] y = Equal(x, k) }",
                R"(edit { input "x" : f32 })");
  EXPECT_TRUE(has(out.error, "`k`") && has(out.error, "u8") && has(out.error, "f32") &&
              has(out.error, "Equal"))
      << out.error;
}

TEST(EditInput, ASizeSpreadsToWhatSharesItsName) {
  const auto out = rewritten("g (float[N,3] x, float[N,3] z) => (float[N,3] y) { y = Add(x, z) }",
                             R"(edit { input "x" : f32[4, 3] })");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(interface_of(out.model), "x : f32[4,3] z : f32[4,3] -> y : f32[4,3]");
}

TEST(EditInput, KnownSizesChangeWhereTheModelAllowsIt) {
  const auto out = rewritten("g (float[1,3] x) => (float[1,3] y) { y = Relu(x) }",
                             R"(edit { input "x" : f32[8, 3] })");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(interface_of(out.model), "x : f32[8,3] -> y : f32[8,3]");
}

TEST(EditInput, AContradictionNamesBothFacts) {
  const auto out = rewritten(
      "g (float[N,3] x) => (float[N,2] y) <float[3,2] w = {1,2,3,4,5,6}> { y = MatMul(x, w) }",
      R"(edit { input "x" : f32[4, 5] })");
  EXPECT_TRUE(has(out.error, "contradicts") && has(out.error, "MatMul") && has(out.error, "3") &&
              has(out.error, "5"))
      << out.error;
}

TEST(EditInput, AnotherRankIsRefused) {
  const auto out = rewritten("g (float[N,3] x) => (float[N,3] y) { y = Relu(x) }",
                             R"(edit { input "x" : f32[4] })");
  EXPECT_TRUE(has(out.error, "2 dimensions") && has(out.error, "1")) << out.error;
}

TEST(EditInput, WhatTheEditExpectsMustHold) {
  const auto out = rewritten("g (float[N,3] x) => (float[N,3] y) { y = Relu(x) }",
                             R"(edit { input "x" : u8[?, 3] -> "x" : f32[1, 3] })");
  EXPECT_TRUE(has(out.error, "f32[N,3]") && has(out.error, "u8")) << out.error;
}

TEST(EditInput, IsRenamedByTheArrow) {
  const auto out = rewritten("g (float[N] image_tensor) => (float[N] y) { y = Relu(image_tensor) }",
                             R"(edit { input "image_*" -> "in_*" : f32[2] })");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(interface_of(out.model), "in_tensor : f32[2] -> y : f32[2]");
}

TEST(EditInput, NoSuchInputSuggestsOne) {
  const auto out = rewritten("g (float[N] image) => (float[N] y) { y = Relu(image) }",
                             R"(edit { input "imaeg" : f32[2] })");
  EXPECT_TRUE(has(out.error, "no input is named `imaeg`") && has(out.error, "did you mean `image`"))
      << out.error;
}

TEST(EditInput, ANameThatIsTakenIsRefused) {
  const auto out =
      rewritten("g (float[N] x) => (float[N] y) { y = Relu(x) }", R"(edit { input "x" -> "y" })");
  EXPECT_TRUE(has(out.error, "`x`") && has(out.error, "`y`")) << out.error;
}

TEST(EditInput, ChannelsFirstReachTheReadersThroughATranspose) {
  const std::string graph =
      "g (uint8[1,H,W,3] x) => (float[1,H,W,3] y) { a = Cast<to = 1>(x) y = Neg(a) }";
  const auto out = rewritten(graph, R"(edit { input "x" -> "images" : f32[1, 3, 1, 2] })");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.ops(), "Transpose Neg");
  EXPECT_EQ(interface_of(out.model), "images : f32[1,3,1,2] -> y : f32[1,1,2,3]");
  EXPECT_EQ(run(out.model, {1, 2, 3, 4, 5, 6}), (std::vector<double>{-1, -3, -5, -2, -4, -6}));
}

// ---- dim --------------------------------------------------------------------------------------

TEST(EditDim, FreezesASizeEverywhere) {
  const auto out = rewritten(
      "g (float[N,3] x, bool c) => (float[N,3] y) { y = If<then_branch = t () => (float[N,3] a) { "
      "a = Relu(x) }, else_branch = e () => (float[N,3] b) { b = Neg(x) }>(c) }",
      "edit { dim N = 1 }");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(interface_of(out.model), "x : f32[1,3] c : bool[] -> y : f32[1,3]");
  for (std::uint32_t i = 0; i < out.model.value_capacity(); ++i) {
    const GraphValue& value = out.model.value({i});
    if (!value.alive || !value.type.dims) continue;
    for (const Dim& dim : *value.type.dims)
      EXPECT_TRUE(dim.symbol.empty()) << value.name;
  }
}

TEST(EditDim, TakesNamesThatAreNoWordsAndParams) {
  const auto out = rewritten("g (float[N,M] x) => (float[N,M] y) { y = Relu(x) }",
                             "param batch : int = 2 * 2 edit { dim \"N\" = batch dim M = batch - 1 "
                             "}");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(interface_of(out.model), "x : f32[4,3] -> y : f32[4,3]");
}

TEST(EditDim, NoSuchNameSuggestsOne) {
  const auto out =
      rewritten("g (float[batch] x) => (float[batch] y) { y = Relu(x) }", "edit { dim bacth = 1 }");
  EXPECT_TRUE(has(out.error, "no dimension is named `bacth`; did you mean `batch`?")) << out.error;
}

TEST(EditDim, AContradictionNamesBothFacts) {
  const auto out = rewritten(
      "g (float[2,N] x) => (float[2,2] y) <float[3,2] w = {1,2,3,4,5,6}> { y = MatMul(x, w) }",
      "edit { dim N = 4 }");
  EXPECT_TRUE(has(out.error, "MatMul") && has(out.error, "4") && has(out.error, "3")) << out.error;
}

// ---- outputs ----------------------------------------------------------------------------------

static const char* const two_outputs =
    "g (float[2] x, float[2] spare) => (float[2] a, float[2] b) { a = Relu(x) n = Neg(x) b = "
    "Abs(n) }";

TEST(EditOutputs, KeepsTheseInThisOrder) {
  const auto out = rewritten(two_outputs, "edit { outputs = [b, a] }");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(interface_of(out.model), "x : f32[2] spare : f32[2] -> b : f32[2] a : f32[2]");
}

TEST(EditOutputs, PrunesTheRestButNoInput) {
  const auto out = rewritten(two_outputs, "edit { outputs = [\"a\"] }");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.ops(), "Relu");
  EXPECT_EQ(interface_of(out.model), "x : f32[2] spare : f32[2] -> a : f32[2]");
  ASSERT_EQ(out.report.edits.size(), 1U);
  EXPECT_TRUE(has(out.report.edits[0], "dropped `b` and 2 nodes")) << out.report.edits[0];
}

TEST(EditOutputs, NoSuchOutputSuggestsOne) {
  const auto out = rewritten("g (float[2] x) => (float[2] boxes) { boxes = Relu(x) }",
                             "edit { outputs = [boxse] }");
  EXPECT_TRUE(has(out.error, "no output `boxse`; did you mean `boxes`?")) << out.error;
  EXPECT_TRUE(has(out.error, "test.rules:1:8")) << out.error;
}

TEST(EditOutputs, ListedTwiceIsRefused) {
  const auto out = rewritten(two_outputs, "edit { outputs = [a, a] }");
  EXPECT_TRUE(has(out.error, "listed twice")) << out.error;
}

// ---- output -----------------------------------------------------------------------------------

static const char* const stages =
    "g (float[2] x) => (float[2] y) { [s4] a = Relu(x) [s5_one] b = Relu(a) [s5_two] c = Relu(b) "
    "y = Neg(c) }";

TEST(EditExpose, TheLastOfSeveral) {
  const auto out = rewritten(stages, "edit { output \"c5\" = last Relu[name ~ \"s5_*\"] }");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(interface_of(out.model), "x : f32[2] -> y : f32[2] c5 : f32[2]");
  ASSERT_EQ(out.model.graph(out.model.main()).outputs.size(), 2U);
  const ValueId last = out.model.graph(out.model.main()).outputs[1];
  EXPECT_EQ(out.model.node(out.model.value(last).producer).name, "s5_two");
}

TEST(EditExpose, WhatTheEditExposesComesLastAndStays) {
  const auto out = rewritten(stages, "edit { output \"c5\" = last Relu  outputs = [y] }");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(interface_of(out.model), "x : f32[2] -> y : f32[2] c5 : f32[2]");
}

TEST(EditExpose, WithoutLastOneMustMatch) {
  const auto out = rewritten(stages, "edit { output \"c5\" = Relu[name ~ \"s5_*\"] }");
  EXPECT_TRUE(has(out.error, "2 nodes match") && has(out.error, "`last`")) << out.error;
  const auto one = rewritten(stages, "edit { output \"c4\" = Relu[name ~ \"s4\"] }");
  EXPECT_EQ(one.error, "");
}

TEST(EditExpose, AnOutputIsExposedOnceMoreBehindAnIdentity) {
  const auto out = rewritten(stages, "edit { output \"again\" = last Neg }");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.ops(), "Relu Relu Relu Neg Identity");
  EXPECT_EQ(interface_of(out.model), "x : f32[2] -> y : f32[2] again : f32[2]");
}

TEST(EditExpose, NothingThatMatchesIsAnError) {
  const auto out = rewritten(stages, "edit { output \"c5\" = last Relu[name ~ \"s6_*\"] }");
  EXPECT_TRUE(has(out.error, "no node matches the pattern of output `c5`")) << out.error;
  const auto taken = rewritten(stages, "edit { output \"y\" = last Relu }");
  EXPECT_TRUE(has(taken.error, "there is a value of that name")) << taken.error;
}

// ---- rename -----------------------------------------------------------------------------------

TEST(EditRename, StarsCarryWhatTheyMatched) {
  const auto out = rewritten(
      "g (float[2] x) => (float[2] Part_1, float[2] Part_2) { Part_1 = Relu(x) Part_2 = Neg(x) }",
      "edit { rename output \"Part_*\" -> \"out_*\" rename input \"x\" -> \"images\" }");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(interface_of(out.model), "images : f32[2] -> out_1 : f32[2] out_2 : f32[2]");
}

TEST(EditRename, ABodyFollowsButMustNotHideTheNewName) {
  const std::string graph =
      "g (float[2] x, bool c) => (float[2] y) { y = If<then_branch = t () => (float[2] a) { a = "
      "Relu(x) }, else_branch = e () => (float[2] b) { b = Neg(x) }>(c) }";
  const auto free = rewritten(graph, "edit { rename input \"x\" -> \"image\" }");
  EXPECT_EQ(free.error, "");
  EXPECT_EQ(interface_of(free.model), "image : f32[2] c : bool[] -> y : f32[2]");
  const auto hidden = rewritten(graph, "edit { rename input \"x\" -> \"a\" }");
  EXPECT_TRUE(has(hidden.error, "cannot be renamed to `a`")) << hidden.error;
}

TEST(EditRename, NothingMatchedAndNamesTaken) {
  const auto none = rewritten(two_outputs, "edit { rename output \"detections\" -> \"d\" }");
  EXPECT_TRUE(has(none.error, "no output is named `detections`; there are `a`, `b`")) << none.error;
  const auto taken = rewritten(two_outputs, "edit { rename output \"a\" -> \"b\" }");
  EXPECT_TRUE(has(taken.error, "cannot be renamed to `b`")) << taken.error;
}

// ---- opset ------------------------------------------------------------------------------------

TEST(EditOpset, GoesThroughTheConverter) {
  const auto out = rewritten("g (float[2,1] x) => (float[2] y) { y = Squeeze<axes = [1]>(x) }",
                             "edit { opset = 13 }", 11);
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.model.opset(""), 13);
  NodeId squeeze;
  for (NodeId id : out.model.nodes(out.model.main()))
    if (out.model.node(id).type == "Squeeze") squeeze = id;
  ASSERT_TRUE(squeeze);
  EXPECT_EQ(out.model.node(squeeze).inputs.size(), 2U);  // the axes are an operand there
  EXPECT_EQ(interface_of(out.model), "x : f32[2,1] -> y : f32[2]");
}

TEST(EditOpset, TheSameIsSaid) {
  const auto out =
      rewritten("g (float[2] x) => (float[2] y) { y = Relu(x) }", "edit { opset = 17 }", 17);
  EXPECT_EQ(out.error, "");
  ASSERT_EQ(out.report.edits.size(), 1U);
  EXPECT_TRUE(has(out.report.edits[0], "17 already"));
}

TEST(EditOpset, WhatHasNoAdapterIsRefused) {
  const auto out =
      rewritten("g (float[2] x) => (float[2] y) { y = Relu(x) }", "edit { opset = 999 }", 17);
  EXPECT_TRUE(has(out.error, "999")) << out.error;
}

// ---- several ----------------------------------------------------------------------------------

TEST(Edit, ChangesHappenInOrderAndRulesSeeThem) {
  const auto out = rewritten(
      "g (uint8[N,2] x) => (float[N,2] y, float[N,2] z) { a = Cast<to = 1>(x) b = Relu(a) y = "
      "Relu(b) z = Neg(a) }",
      "edit { input \"x\" : f32 dim N = 3 outputs = [y] rename output \"y\" -> \"out\" }\n"
      "rule r exact: Relu(Relu(v)) -> Relu(v)");
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.ops(), "Relu");
  EXPECT_EQ(interface_of(out.model), "x : f32[3,2] -> out : f32[3,2]");
  EXPECT_EQ(out.report.firings.size(), 1U);
}

}  // namespace rulec::test
