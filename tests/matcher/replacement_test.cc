// SPDX-License-Identifier: Apache-2.0
// docs/language.md, "Replacements": what may stand behind the arrow, and what is refused.
#include <gtest/gtest.h>

#include "matcher/onnx_io.h"
#include "tests/support/rewriting.h"

namespace rulec::test {

static const GraphNode& node_at(const Rewritten& out, std::size_t index) {
  return out.model.node(out.model.nodes(out.model.main()).at(index));
}

TEST(Replacement, ANodeWithAttributesChanged) {
  const auto out = rewritten("g (float[2,3] x) => (float[2,3] y) { y = Softmax<axis = 0>(x) }",
                             "rule r: n @ Softmax(x){axis = 0} -> n{axis = 1}");
  ASSERT_EQ(out.ops(), "Softmax") << out.misses();
  EXPECT_EQ(node_at(out, 0).attributes.integer("axis", 0), 1);
}

TEST(Replacement, ANodeWithOperandsChanged) {
  const auto out =
      rewritten("g (float[2,3] x) => (float[2,3] y) { a = Neg(x) y = Softmax<axis = 0>(a) }",
                "rule r: n @ Softmax(Neg(x)) -> n(x)");
  ASSERT_EQ(out.ops(), "Softmax") << out.misses();
  EXPECT_EQ(node_at(out, 0).attributes.integer("axis", 7), 0) << "it keeps its attributes";
}

TEST(Replacement, AMovedOperandOfAChangedNode) {
  const auto out = rewritten(
      "g (float[2] x) => (float[4] y) <int64[2] p = {1, 1}, float v = {3}> { y = Pad(x, p, v) }",
      "rule r: n @ Pad(x){pads = [1, 1]} -> n{pads = [0, 2]}");
  ASSERT_EQ(out.ops(), "Pad") << out.misses();
  EXPECT_EQ(out.model.constant(node_at(out, 0).inputs[1])->integers(),
            (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(out.model.constant(node_at(out, 0).inputs[2])->number(0), 3);
}

TEST(Replacement, NumbersTakeTheTypeBeside) {
  for (const auto& [type, dtype] :
       {std::pair{"float16", DType::F16}, std::pair{"double", DType::F64},
        std::pair{"int64", DType::I64}}) {
    const auto out =
        rewritten(std::string("g (") + type + "[2] x) => (" + type + "[2] y) { y = Neg(x) }",
                  "rule r: Neg(x) -> Sub(0, x)");
    ASSERT_EQ(out.ops(), "Sub") << out.misses();
    EXPECT_EQ(out.model.constant(node_at(out, 0).inputs[0])->dtype(), dtype);
  }
}

TEST(Replacement, LetComputesWithTensors) {
  const auto out = rewritten(
      "g (float[2,3] x) => (float[2,2] y) <float[3,2] w = {1,2,3,4,5,6}, float[2] s = {10, 100}> "
      "{ m = MatMul(x, w) y = Mul(m, s) }",
      "rule r: Mul(MatMul(x, const w), const s) -> MatMul(x, v) let v = w * s");
  ASSERT_EQ(out.ops(), "MatMul") << out.misses();
  EXPECT_EQ(out.model.constant(node_at(out, 0).inputs[1])->numbers(),
            (std::vector<double>{10, 200, 30, 400, 50, 600}));
}

TEST(Replacement, LetKnowsTheOperatorsOfFolding) {
  const auto out = rewritten(
      "g (float[2,3] x) => (float[2,2] y) <float[2,3] w = {1,2,3,4,5,6}, float[2] b = {0, 0}> "
      "{ y = Gemm<transB = 1>(x, w, b) }",
      "rule r: Gemm(x, const w, const b){transB = 1, alpha = 1, beta = 1, transA = 0} "
      "-> Add(MatMul(x, t), b) let t = Transpose(w){perm = [1, 0]}");
  ASSERT_EQ(out.ops(), "MatMul Add") << out.misses();
  EXPECT_EQ(out.model.constant(node_at(out, 0).inputs[1])->numbers(),
            (std::vector<double>{1, 4, 2, 5, 3, 6}));
}

TEST(Replacement, HalvesAreComputedWiderAndRoundedOnce) {
  // 2049 is no f16; 2048 + 1 + 1 rounds to 2050 once, to 2048 twice.
  const auto out = rewritten(
      "g (float16[1] x) => (float16[1] y) <float16[1] a = {26624}, float16[1] b = {15360}> "
      "{ s = Add(x, a) y = Add(s, b) }",
      "rule r: Add(Add(x, const a), const b) -> Add(x, k) let k = a + b + b");
  ASSERT_EQ(out.ops(), "Add") << out.misses();
  EXPECT_EQ(out.model.constant(node_at(out, 0).inputs[1])->number(0), 2050);
  EXPECT_EQ(out.model.constant(node_at(out, 0).inputs[1])->dtype(), DType::F16);
}

TEST(Replacement, AbsentIsContagiousAndElseStandsIn) {
  const std::string head = "g (float[1,1,4,4] x, float[1,1,3,3] w) => (float[1,1,2,2] y) ";
  const std::string with = head + "<float[1] b = {2}> { c = Conv(x, w, b) y = Neg(c) }";
  const std::string without = head + "{ c = Conv(x, w) y = Neg(c) }";
  const std::string rule = "rule r: Neg(Conv(x, w, const? b){..a}) -> Conv(x, Neg(w), b * -1){..a}";
  EXPECT_EQ(node_at(rewritten(with, rule), 1).inputs.size(), 3U);
  EXPECT_EQ(node_at(rewritten(without, rule), 1).inputs.size(), 2U);
  const std::string other =
      "rule r: Neg(Conv(x, w, const? b){..a}) -> Conv(x, Neg(w), [1] + (b else 0)){..a}";
  const auto out = rewritten(without, other);
  ASSERT_EQ(node_at(out, 1).inputs.size(), 3U) << out.misses();
  EXPECT_EQ(out.model.constant(node_at(out, 1).inputs[2])->number(0), 1);
}

TEST(Replacement, AConditionChooses) {
  const std::string rule = "rule r: Abs(x) -> (rank(x) = 1 ? Neg(x) : Exp(x))";
  EXPECT_EQ(rewritten("g (float[2] x) => (float[2] y) { y = Abs(x) }", rule).ops(), "Neg");
  EXPECT_EQ(rewritten("g (float[2,2] x) => (float[2,2] y) { y = Abs(x) }", rule).ops(), "Exp");
}

TEST(Replacement, TheOpsetDecidesOrTheElse) {
  const std::string graph = "g (float[2] x) => (float[2] y) { y = Abs(x) }";
  const std::string rule = "rule r: Abs(x) -> Gelu(x) requires opset >= 20 else Relu(x)";
  EXPECT_EQ(rewritten(graph, rule, 20).ops(), "Gelu");
  EXPECT_EQ(rewritten(graph, rule, 17).ops(), "Relu");
  const std::string alone = "rule r: Abs(x) -> Gelu(x) requires opset >= 20";
  EXPECT_EQ(rewritten(graph, alone, 17).ops(), "Abs");
  // Without the clause a rule does not apply where its operator is not.
  EXPECT_EQ(rewritten(graph, "rule r: Abs(x) -> Gelu(x)", 17).ops(), "Abs");
  EXPECT_EQ(rewritten(graph, "rule r: Abs(x) -> Gelu(x)", 20).ops(), "Gelu");
}

TEST(Replacement, ABlockBehindTheArrow) {
  const auto one = rewritten("g (float[2] x) => (float[2] y) { y = Abs(x) }",
                             "rule r: Abs(x) -> { a = Neg(x)  y = Max(x, a) }");
  EXPECT_EQ(one.ops(), "Neg Max") << one.misses();
  const auto two = rewritten(
      "g (float[2,3] x) => (float[1,3] y, float[1,3] z) <int64[2] s = {1, 1}> "
      "{ a, b = Split<axis = 0>(x, s) y = Relu(a) z = Neg(b) }",
      "rule r: Split(x){axis = 0, split = [1, 1]} -> { c = Neg(x) (a, b) = Split(c){axis = 0, "
      "split = [1, 1]} }");
  EXPECT_EQ(two.ops(), "Neg Split Relu Neg") << two.misses();
}

TEST(Replacement, InlineTakesABranch) {
  const std::string rule = "rule r exact: If(const c) -> inline(c ? then_body : else_body)";
  for (const auto& [value, op] : {std::pair{"1", "Neg"}, std::pair{"0", "Exp"}}) {
    const auto out =
        rewritten(std::string("g (float[3] x) => (float[3] z) <bool c = {") + value +
                      "}> { z = If(c) <then_branch = t () => (float[3] p) { p = Neg(x) }, "
                      "else_branch = e () => (float[3] q) { q = Exp(x) }> }",
                  rule);
    EXPECT_EQ(out.ops(), op) << out.misses();
  }
}

TEST(Replacement, ANewTypeMustNotContradict) {
  const auto out = rewritten("g (float[2,3] x) => (float[2,3] y) { y = Abs(x) }",
                             "rule r: Abs(x) -> Transpose(x){perm = [1, 0]}");
  EXPECT_EQ(out.ops(), "Abs");
  EXPECT_NE(out.misses().find("type"), std::string::npos) << out.misses();
}

TEST(Replacement, RetypeChecksEveryConsumer) {
  const std::string rule = "rule r: Cast(x : f16[N]){to = f32, _} -> Identity(x) retype y : f16[?]";
  // Behind it a Cast takes any type, and gives what it gave.
  const auto fine = rewritten(
      "g (float16[2] x) => (float[2] z) { a = Cast<to = 1>(x) b = Abs(a) z = Cast<to = 1>(b) }",
      rule);
  EXPECT_EQ(fine.ops(), "Identity Abs Cast") << fine.misses();
  EXPECT_EQ(fine.model.value(node_at(fine, 1).outputs[0]).type.dtype, DType::F16)
      << "what stands behind has its new type";
  // An Add with an f32 does not.
  const auto mixed = rewritten(
      "g (float16[2] x, float[2] k) => (float[2] z) { a = Cast<to = 1>(x) z = Add(a, k) }", rule);
  EXPECT_EQ(mixed.ops(), "Cast Add");
  EXPECT_NE(mixed.misses().find("Add"), std::string::npos) << mixed.misses();
  // Nor does the graph's output.
  const auto shown =
      rewritten("g (float16[2] x) => (float[2] z) { a = Cast<to = 1>(x) z = Abs(a) }", rule);
  EXPECT_EQ(shown.ops(), "Cast Abs");
  const auto output = rewritten("g (float16[2] x) => (float[2] z) { z = Cast<to = 1>(x) }", rule);
  EXPECT_EQ(output.ops(), "Cast");
  // Without the clause it is refused at once; with another type than it makes, too.
  EXPECT_EQ(
      rewritten("g (float16[2] x) => (float[2] z) { a = Cast<to = 1>(x) z = Cast<to = 1>(a) }",
                "rule r: Cast(x : f16[N]){to = f32, _} -> Identity(x)")
          .ops(),
      "Cast Cast");
  EXPECT_EQ(
      rewritten("g (float16[2] x) => (float[2] z) { a = Cast<to = 1>(x) z = Cast<to = 1>(a) }",
                "rule r: Cast(x : f16[N]){to = f32, _} -> Identity(x) retype y : f64[?]")
          .ops(),
      "Cast Cast");
}

// docs/adr/0011: a call is a node with a body; the body is a graph of its own.
TEST(Replacement, AFunctionIsACallWithABody) {
  const auto of = [](const std::string& rules) {
    auto model = import_onnx_text(
        "<ir_version: 8, opset_import: [\"\" : 17, \"com.acme\" : 1]>\n"
        "g (float[3] x) => (float[3] y) { a = com.acme.Twice(x) y = Relu(a) }\n"
        "<domain: \"com.acme\", opset_import: [\"\" : 17]>\n"
        "Twice (p) => (q) { r = Neg(p) q = Relu(r) }");
    EXPECT_TRUE(static_cast<bool>(model)) << (model ? "" : model.error().message);
    const CompiledRules compiled =
        rules_of("op com.acme::Twice(x : f32[...]) -> (y : f32[...])\n" + rules);
    std::vector<std::string> warnings;
    infer_types(*model, warnings);
    const auto report = rewrite(*model, compiled.rules, compiled.ops, {});
    EXPECT_TRUE(static_cast<bool>(report)) << (report ? "" : report.error().message);
    return std::pair(ops_of(*model, model->main()), ops_of(*model, model->functions[0].body));
  };
  EXPECT_EQ(of("rule r: com.acme::Twice[body contains Neg](x) -> Abs(x)").first, "Abs Relu");
  EXPECT_EQ(of("rule r: com.acme::Twice[body contains Exp](x) -> Abs(x)").first, "Twice Relu");
  EXPECT_EQ(of("rule r: Relu(Relu(x)) -> Relu(x)").first, "Twice Relu") << "no match across a call";
  EXPECT_EQ(of("rule r: Relu(Neg(x)) -> Abs(x)").second, "Abs") << "rules rewrite its body";
  EXPECT_EQ(of("rule in_place: com.acme::Twice[body contains Neg](_x) -> inline(body)\n"
               "rule r: Relu(Relu(x)) -> Relu(x)")
                .first,
            "Neg Relu")
      << "put in place, it is matched there";
}

TEST(Replacement, MetadataSaysWhatItStandsFor) {
  const auto out =
      rewritten("g (float[2] x) => (float[2] y) { [first] a = Relu(x) [second] y = Relu(a) }",
                "package acme.fold 1.2.0\nrule twice exact: Relu(Relu(x)) -> Relu(x)");
  const auto value = [&](std::string_view key) -> std::string {
    for (const Metadata& one : node_at(out, 0).metadata)
      if (one.key == key) return one.value;
    return "";
  };
  EXPECT_EQ(value("rulec.rule"), "twice");
  EXPECT_EQ(value("rulec.package"), "acme.fold 1.2.0");
  EXPECT_NE(value("rulec.replaces").find("first"), std::string::npos);
  EXPECT_NE(value("rulec.replaces").find("second"), std::string::npos);
}

TEST(Replacement, APrecisionThatIsNotAllowedDoesNothing) {
  const std::string graph = "g (float[2] x) => (float[2] y) { y = Abs(x) }";
  const std::string approx = "rule r approx(1e-2): Abs(x) -> Relu(x)";
  const std::string unsafe = "rule r unsafe(\"positive\"): Abs(x) -> Relu(x)";
  const std::string assuming = "rule r assuming(\"x is positive\"): Abs(x) -> Relu(x)";
  for (const std::string& rule : {approx, unsafe}) {
    EXPECT_EQ(rewritten(graph, rule).ops(), "Abs");
  }
  RewriteOptions options;
  options.allow_approx = options.allow_unsafe = true;
  for (const std::string& rule : {approx, unsafe, assuming}) {
    EXPECT_EQ(rewritten(graph, rule, 17, options).ops(), "Relu");
  }
  RewriteOptions strict;
  strict.strict = true;
  EXPECT_EQ(rewritten(graph, assuming, 17, strict).ops(), "Abs");
}

TEST(Replacement, ARuleOfItsOwnResultNeedsRecursive) {
  const std::string graph = "g (float[2] x) => (float[2] y) { a = Abs(x) b = Abs(a) y = Abs(b) }";
  // Its root is the node that it made: that is for `recursive` rules.
  EXPECT_EQ(rewritten(graph, "rule r: Neg(x) -> Abs(Neg(x))").report.firings.size(), 0U);
  const auto out =
      rewritten("g (float[2] x) => (float[2] y) { y = Neg(x) }", "rule r: Neg(x) -> Neg(Abs(x))");
  EXPECT_EQ(out.ops(), "Abs Neg") << out.misses();
  const auto endless = rewritten("g (float[2] x) => (float[2] y) { y = Neg(x) }",
                                 "rule r: Neg(x) -> Neg(Abs(x)) recursive");
  EXPECT_NE(endless.error.find("r"), std::string::npos);
  EXPECT_FALSE(endless.error.empty());
}

}  // namespace rulec::test
