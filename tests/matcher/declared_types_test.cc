// SPDX-License-Identifier: Apache-2.0
// What `op` declarations say of shapes: results follow from operands, and nothing is made up.
#include "matcher/declared_types.h"

#include <gtest/gtest.h>

#include "matcher/onnx_io.h"
#include "tests/support/rewriting.h"

namespace rulec::test {

static const std::string pool =
    "op acme::Pool(x : f32[B, C, N], more? : f32[C]) -> (y : f32[B, C], rows : f32[R, B, 4])\n";

static std::string result_type(const Model& model, std::string_view op, std::size_t index) {
  for (const NodeId id : model.nodes(model.main()))
    if (model.node(id).type == op)
      return to_string(model.value(model.node(id).outputs[index]).type);
  return "none";
}

// Of two Exp the first becomes a Pool, whose first result the second one reads.
static Rewritten with_pool(const std::string& input, const std::string& output) {
  return rewritten("g (" + input + " x) => (" + output + " z, " + input +
                       " w) { e = Exp(x) z = ReduceMax<axes = [2], keepdims = 0>(e) w = Neg(x) }",
                   pool +
                       "rule r: ReduceMax(Exp(x)){axes = [2], keepdims = 0} -> { (p, q) = "
                       "acme::Pool(x)  s = Abs(p) }");
}

TEST(DeclaredTypes, SizesGoFromOperandsToResults) {
  const auto out = with_pool("float[2,3,7]", "float[2,3]");
  ASSERT_EQ(out.ops(), "Pool Abs Neg") << out.misses();
  EXPECT_EQ(result_type(out.model, "Pool", 0), "f32[2,3]");
  EXPECT_EQ(result_type(out.model, "Pool", 1), "f32[?,2,4]") << "R is no operand's size";
  EXPECT_EQ(result_type(out.model, "Abs", 0), "f32[2,3]") << "and on to what reads it";
}

TEST(DeclaredTypes, NamesOfTheModelStay) {
  const auto out = with_pool("float[N,3,M]", "float[N,3]");
  ASSERT_EQ(out.ops(), "Pool Abs Neg") << out.misses();
  EXPECT_EQ(result_type(out.model, "Pool", 0), "f32[N,3]");
}

TEST(DeclaredTypes, AnOperandOfAnotherRankIsRefused) {
  const auto out = rewritten("g (float[2,3] x) => (float[2,3] y) { y = Exp(x) }",
                             pool + "rule r: Exp(x) -> acme::Pool(x)");
  EXPECT_EQ(out.ops(), "Exp");
  EXPECT_NE(out.misses().find("operand `x` of Pool is f32[2,3], declared as [B,C,N]"),
            std::string::npos)
      << out.misses();
}

TEST(DeclaredTypes, OneNameIsOneSize) {
  const std::string graph =
      "g (float[2,3,7] x, float[%] b) => (float[2,3] y) { e = Add(x, b) y = "
      "ReduceMax<axes = [2], keepdims = 0>(e) }";
  const auto with = [&](const std::string& size) {
    std::string text = graph;
    return rewritten(text.replace(text.find('%'), 1, size),
                     pool +
                         "rule r: ReduceMax(Add(x, b)){axes = [2], keepdims = 0} -> "
                         "acme::Pool(x, Squeeze(Slice(b, [0], [3], [0])))");
  };
  EXPECT_EQ(with("7").ops(), "Slice Squeeze Pool");
  const auto out = rewritten(
      "g (float[2,3,7] x, float[2] b) => (float[2,3] y) { e = Exp(x) r = "
      "ReduceMax<axes = [2], keepdims = 0>(e) t = Transpose(r) u = Mul(t, b) "
      "y = Transpose(u) }",
      pool +
          "rule r: Mul(Transpose(ReduceMax(Exp(x)){axes = [2], keepdims = "
          "0}), b) -> Transpose(acme::Pool(x, b)){perm = [1, 0]}");
  EXPECT_EQ(out.ops(), "Exp ReduceMax Transpose Mul Transpose");
  EXPECT_NE(out.misses().find("operand `more` of Pool is f32[2], declared as [C]"),
            std::string::npos)
      << out.misses();
}

// Of several readings none is sure, and `...` says nothing of a rank.
TEST(DeclaredTypes, NothingIsMadeUp) {
  const auto out =
      rewritten("g (float[2,3] x) => (float[2,3] y) { e = Exp(x) y = Neg(e) }",
                "op acme::Any(x : f32[...] | [A, B]) -> (y : f32[...], z : f16|f32[A, B])\n"
                "rule r: Neg(Exp(x)) -> { (p, q) = acme::Any(x)  s = Abs(p) }");
  ASSERT_EQ(out.ops(), "Any Abs") << out.misses();
  EXPECT_EQ(result_type(out.model, "Any", 0), "f32[...]");
  EXPECT_EQ(result_type(out.model, "Any", 1), "?[?,?]");
}

// Of several element types a result has that of the operands which have the same ones.
TEST(DeclaredTypes, ElementTypesGoFromOperandsToResults) {
  const auto with = [](const std::string& op, const std::string& call) {
    const auto out = rewritten(
        "g (float16[2] x, float16[2] s, float[2] t) => (float16[2] y) "
        "{ a = Mul(x, s) y = Exp(a) }",
        "op " + op + "\nrule r: Exp(Mul(x, s)) -> { (p, q) = acme::" + call + "  z = Abs(p) }");
    EXPECT_NE(out.ops().find("Abs"), std::string::npos) << out.misses();
    const std::string type = call.substr(0, call.find('('));
    return result_type(out.model, type, 1);
  };
  const std::string scale =
      "acme::Scale(x : f32|f16[N], s : f16|f32[N], b? : i8|u8) -> (y : f16[N], z : ";
  EXPECT_EQ(with(scale + "f16|f32[N])", "Scale(x, s)"), "f16[2]");
  EXPECT_EQ(with(scale + "f16|f32|f64[N])", "Scale(x, s)"), "?[2]") << "other types";
  EXPECT_EQ(with(scale + "i8|u8[N])", "Scale(x, s)"), "?[2]") << "no operand says which";
  EXPECT_EQ(with(scale + "[N])", "Scale(x, s)"), "?[2]") << "follows none";
  EXPECT_EQ(with(scale + "f16|f32[N])", "Scale(x, Cast(s){to = f32})"), "?[2]") << "no agreement";
  const std::string join = "acme::Join(all... : f16|f32[N]) -> (y : f16[N], z : f16|f32[N])";
  EXPECT_EQ(with(join, "Join(x, s, x)"), "f16[2]");
}

TEST(DeclaredTypes, InferenceOverAWholeModelKnowsThem) {
  auto model = import_onnx_text(
      "<ir_version: 8, opset_import: [\"\" : 17, \"acme\" : 1]>\n"
      "g (float[2,3,7] x) => (float[2,3] z) { y, rows = acme.Pool(x) z = Neg(y) }");
  ASSERT_TRUE(model) << model.error().message;
  const CompiledRules compiled = rules_of(pool + "rule r: Relu(Relu(x)) -> Relu(x)");
  std::vector<std::string> warnings;
  infer_types(*model, warnings, &compiled.ops);
  EXPECT_TRUE(warnings.empty()) << warnings.front();
  EXPECT_EQ(result_type(*model, "Pool", 0), "f32[2,3]");
}

// A detector's head as the outputs of a model: ONNX's checker wants element type and rank.
TEST(DeclaredTypes, ResultsOfAScopeMayBeOutputs) {
  const std::string graph =
      "g (float[2,3] x) => (float[2,3] y) { [\"in/a\"] a = Neg(x) [\"post/b\"] b = Relu(a) "
      "[\"post/c\"] y = Exp(b) }";
  const auto with = [&](const std::string& results) {
    RewriteOptions options;
    options.allow_unsafe = true;
    return rewritten(
        graph,
        "op acme::Detect(v : f32[B, C]) -> (" + results +
            ")\nrule r unsafe(\"read it\"): scope \"post/**\" -> acme::Detect(v)  let v = "
            "from scope \"in/**\"",
        17, options);
  };
  const auto known = with("found : f32[B, 1, K, 7], kept : f32[B]");
  EXPECT_EQ(known.ops(), "Neg Detect") << known.misses();
  EXPECT_EQ(result_type(known.model, "Detect", 0), "f32[2,1,?,7]");
  EXPECT_EQ(known.model.graph(known.model.main()).outputs.size(), 2U);
  const auto open = with("found : i64[...], kept : i64[B]");
  EXPECT_EQ(open.ops(), "Neg Relu Exp");
}

TEST(DeclaredTypes, ShapesMeet) {
  const auto shape = [](std::vector<std::int64_t> sizes, bool open) {
    DeclaredShape out;
    for (const std::int64_t size : sizes)
      out.dims.push_back(size < 0 ? Dim{} : Dim{.size = size});
    out.open = open;
    return out;
  };
  EXPECT_TRUE(can_meet(shape({1, -1}, false), shape({1, 5}, false)));
  EXPECT_TRUE(can_meet(shape({1}, true), shape({1, 5}, false)));
  EXPECT_TRUE(can_meet(shape({}, true), shape({3}, true)));
  EXPECT_FALSE(can_meet(shape({1, 2}, false), shape({1}, false)));
  EXPECT_FALSE(can_meet(shape({1, 2, 3}, true), shape({1, 2}, false)));
  EXPECT_FALSE(can_meet(shape({1, 2}, true), shape({1, 3, 4}, false)));
}

}  // namespace rulec::test
