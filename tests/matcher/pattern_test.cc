// SPDX-License-Identifier: Apache-2.0
// docs/language.md, "Patterns", form by form: what each matches and what it leaves alone.
#include <gtest/gtest.h>

#include "tests/support/rewriting.h"

namespace rulec::test {

TEST(Pattern, TheSameNameTwiceIsTheSameValue) {
  const std::string rule = "rule r: Add(x, x) -> Relu(x)";
  EXPECT_EQ(firings("g (float[3] a) => (float[3] y) { y = Add(a, a) }", rule), 1U);
  EXPECT_EQ(firings("g (float[3] a, float[3] b) => (float[3] y) { y = Add(a, b) }", rule), 0U);
}

TEST(Pattern, AnyIsAValueThatIsThere) {
  const std::string rule = "rule r: Clip(x, _, _) -> Relu(x)";
  EXPECT_EQ(firings("g (float[3] x, float l, float h) => (float[3] y) { y = Clip(x, l, h) }", rule),
            1U);
  EXPECT_EQ(firings("g (float[3] x, float h) => (float[3] y) { y = Clip(x, , h) }", rule), 0U);
}

TEST(Pattern, AListedInputListIsExact) {
  const std::string sum = "g (float[3] a, float[3] b, float[3] c) => (float[3] y) ";
  EXPECT_EQ(firings(sum + "{ y = Sum(a, b, c) }", "rule r: Sum(x, z) -> Add(x, z)"), 0U);
  EXPECT_EQ(firings(sum + "{ y = Sum(a, b) }", "rule r: Sum(x, z) -> Add(x, z)"), 1U);
  EXPECT_EQ(firings(sum + "{ y = Sum(a, b, c) }", "rule r: Sum(x, _...) -> Relu(x)"), 1U);
  EXPECT_EQ(firings(sum + "{ y = Sum(a, b, c) }", "rule r: n @ Sum -> n(n)"), 0U)
      << "a replacement does not read what it replaces";
}

TEST(Pattern, ARestIsBoundAsAList) {
  const auto out = rewritten(
      "g (float[3] a, float[3] b, float[3] c) => (float[9] y) "
      "{ i = Concat<axis = 0>(a, b, c) y = Relu(i) }",
      "rule r: Relu(Concat(xs...){axis = a}) -> Concat(xs...){axis = a}");
  EXPECT_EQ(out.ops(), "Concat") << out.misses();
  EXPECT_EQ(out.model.node(out.model.nodes(out.model.main()).front()).inputs.size(), 3U);
  // The same list twice is the same list.
  const std::string pair =
      "rule r: Add(Concat(xs...){axis = a}, Concat(xs...){axis = a}) -> Concat(xs...){axis = a}";
  const std::string head =
      "g (float[3] a, float[3] b) => (float[6] y) { i = Concat<axis = 0>(a, b) ";
  EXPECT_EQ(firings(head + "j = Concat<axis = 0>(a, b) y = Add(i, j) }", pair), 1U);
  EXPECT_EQ(firings(head + "j = Concat<axis = 0>(b, a) y = Add(i, j) }", pair), 0U);
}

TEST(Pattern, NoneIsAnAbsentInput) {
  const std::string rule = "rule r: Clip(x, none, h) -> Min(x, h)";
  EXPECT_EQ(firings("g (float[3] x, float h) => (float[3] y) { y = Clip(x, , h) }", rule), 1U);
  EXPECT_EQ(firings("g (float[3] x, float l, float h) => (float[3] y) { y = Clip(x, l, h) }", rule),
            0U);
}

TEST(Pattern, AnOptionalOperandMayBeAbsent) {
  const std::string rule = "rule r: Relu(Conv(x, w, b?)) -> Conv(x, w, b)";
  const std::string head =
      "g (float[1,1,4,4] x, float[1,1,3,3] w, float[1] b) => (float[1,1,2,2] y) ";
  const auto with = rewritten(head + "{ c = Conv(x, w, b) y = Relu(c) }", rule);
  const auto without = rewritten(head + "{ c = Conv(x, w) y = Relu(c) }", rule);
  for (const auto* out : {&with, &without})
    EXPECT_EQ(out->ops(), "Conv") << out->misses();
  const auto inputs = [](const Rewritten& out) {
    return out.model.node(out.model.nodes(out.model.main()).front()).inputs.size();
  };
  EXPECT_EQ(inputs(with), 3U);
  EXPECT_EQ(inputs(without), 2U);
  // Without the question mark an operand is there.
  EXPECT_EQ(firings(head + "{ c = Conv(x, w) y = Relu(c) }",
                    "rule r: Relu(Conv(x, w, b)) -> Conv(x, w, b)"),
            0U);
}

TEST(Pattern, ConstantsAreInitializersConstantNodesAndWhatFolds) {
  const std::string rule = "rule r: Add(x, const c) -> Sub(x, c)";
  EXPECT_EQ(firings("g (float[2] x) => (float[2] y) <float[2] c = {1, 2}> { y = Add(x, c) }", rule),
            1U);
  EXPECT_EQ(firings("g (float[2] x) => (float[2] y) "
                    "{ c = Constant<value = float[2] {1, 2}>() y = Add(x, c) }",
                    rule),
            1U);
  EXPECT_EQ(firings("g (float[2] x) => (float[2] y) <float[2] c = {1, 2}> "
                    "{ d = Neg(c) y = Add(x, d) }",
                    rule),
            1U);
  EXPECT_EQ(firings("g (float[2] x, float[2] c) => (float[2] y) { y = Add(x, c) }", rule), 0U);
}

TEST(Pattern, AnInitializerThatIsAnInputIsNoConstant) {
  // In the text form an initializer of an input is a default that a caller may replace.
  EXPECT_EQ(firings("g (float[2] x, float[2] c = {1, 2}) => (float[2] y) { y = Add(x, c) }",
                    "rule r: Add(x, const c) -> Sub(x, c)"),
            0U);
}

TEST(Pattern, AnOptionalConstantIsConstantOrAbsent) {
  const std::string rule = "rule r: Relu(Conv(x, w, const? b)) -> Conv(x, w, b)";
  const std::string head =
      "g (float[1,1,4,4] x, float[1,1,3,3] w, float[1] v) => (float[1,1,2,2] y) ";
  EXPECT_EQ(firings(head + "{ c = Conv(x, w) y = Relu(c) }", rule), 1U);
  EXPECT_EQ(firings(head + "<float[1] b = {1}> { c = Conv(x, w, b) y = Relu(c) }", rule), 1U);
  EXPECT_EQ(firings(head + "{ c = Conv(x, w, v) y = Relu(c) }", rule), 0U);
}

TEST(Pattern, AScalarHasOneValueAndDoesNotWiden) {
  const std::string rule = "rule r: Mul(x, scalar c) -> Relu(x) where c = 2";
  const auto of = [&](const std::string& type, const std::string& data) {
    return firings("g (float[2,3] x) => (float[" +
                       std::string(type == "[1,2,3]" ? "1,2,3" : "2,3") + "] y) <float" + type +
                       " c = {" + data + "}> { y = Mul(x, c) }",
                   rule);
  };
  EXPECT_EQ(of("", "2"), 1U);
  EXPECT_EQ(of("[1]", "2"), 1U);
  EXPECT_EQ(of("[3]", "2, 2, 2"), 1U);
  EXPECT_EQ(of("[3]", "2, 2, 3"), 0U) << "two distinct values";
  EXPECT_EQ(of("[1,2,3]", "2, 2, 2, 2, 2, 2"), 0U) << "it adds an axis";
  // Where the other side's size is not known, nothing is proven.
  EXPECT_EQ(
      firings("g (float[N] x) => (float[M] y) <float[3] c = {2,2,2}> { y = Mul(x, c) }", rule), 0U);
}

TEST(Pattern, ALiteralIsRoundedToTheConstantsTypeFirst) {
  const std::string rule = "rule r: Mul(x, 1.4142) -> Relu(x)";
  EXPECT_EQ(
      firings("g (float[2] x) => (float[2] y) <float c = {1.4142135}> { y = Mul(x, c) }", rule),
      1U);
  EXPECT_EQ(
      firings("g (float16[2] x) => (float16[2] y) <float16 c = {15784}> { y = Mul(x, c) }", rule),
      1U);
  EXPECT_EQ(firings("g (float[2] x) => (float[2] y) <float c = {1.42}> { y = Mul(x, c) }", rule),
            0U);
  // Integers are compared as they are: no fraction is one.
  EXPECT_EQ(firings("g (int64[2] x) => (int64[2] y) <int64 c = {1}> { y = Mul(x, c) }", rule), 0U);
  EXPECT_EQ(firings("g (int64[2] x) => (int64[2] y) <int64 c = {2}> { y = Mul(x, c) }",
                    "rule r: Mul(x, 2.0) -> Neg(x)"),
            1U);
}

TEST(Pattern, ExactComparesTheBits) {
  const auto of = [&](const std::string& number) {
    return firings("g (float[2] x) => (float[2] y) <float c = {" + number + "}> { y = Mul(x, c) }",
                   "rule r: Mul(x, exact 0.5) -> Relu(x)");
  };
  EXPECT_EQ(of("0.5"), 1U);
  EXPECT_EQ(of("0.50001"), 0U);
  EXPECT_EQ(firings("g (float[2] x) => (float[2] y) <float c = {0.50001}> { y = Mul(x, c) }",
                    "rule r: Mul(x, 0.5) -> Relu(x)"),
            1U);
}

TEST(Pattern, ListsTruthsAndTexts) {
  EXPECT_EQ(
      firings("g (float[2,3] x) => (float[3,2] y) <int64[2] s = {3, 2}> { y = Reshape(x, s) }",
              "rule r: Reshape(x, [3, 2]) -> Transpose(x){perm = [1, 0]}"),
      1U);
  EXPECT_EQ(
      firings("g (float[2,3] x) => (float[2,3] y) <int64[2] s = {2, 3}> { y = Reshape(x, s) }",
              "rule r: Reshape(x, [3, 2]) -> Relu(x)"),
      0U);
  EXPECT_EQ(firings("g (float[2] x) => (float[2] y) <bool c = {1}> { y = Where(c, x, x) }",
                    "rule r: Where(true, x, _) -> Relu(x)"),
            1U);
  EXPECT_EQ(firings("g (float[2] x) => (float[2] y) <bool c = {0}> { y = Where(c, x, x) }",
                    "rule r: Where(true, x, _) -> Relu(x)"),
            0U);
}

TEST(Pattern, TypesOfValues) {
  const auto of = [&](const std::string& type, const std::string& pattern) {
    const std::string element = type.substr(0, type.find('['));
    return firings("g (" + type + " x) => (" + type + " y) { y = Abs(x) }",
                   "rule r: Abs(x : " + pattern + ") -> Neg(x)");
  };
  EXPECT_EQ(of("float[2,3]", "f32[2, 3]"), 1U);
  EXPECT_EQ(of("float[2,3]", "f32[N, 3]"), 1U);
  EXPECT_EQ(of("float[2,3]", "f32[N, N]"), 0U) << "a name twice is one size";
  EXPECT_EQ(of("float[3,3]", "f32[N, N]"), 1U);
  EXPECT_EQ(of("float[B,B]", "f32[N, N]"), 1U) << "equal symbols are equal sizes";
  EXPECT_EQ(of("float[A,B]", "f32[N, N]"), 0U) << "different ones are not known to be";
  EXPECT_EQ(of("float[A,3]", "f32[2, 3]"), 0U) << "a size that is not known is not 2";
  EXPECT_EQ(of("float[A,3]", "f32[?, 3]"), 1U);
  EXPECT_EQ(of("float[2,3,4]", "f32[2, ...]"), 1U);
  EXPECT_EQ(of("float[2,3,4]", "f32[..., 4]"), 1U);
  EXPECT_EQ(of("float[2,3,4]", "f32[2, 3, 4, ...]"), 1U) << "no further dimension is some";
  EXPECT_EQ(of("float[2]", "f32[2, 3, ...]"), 0U);
  EXPECT_EQ(of("float16[2]", "f32[2]"), 0U);
  EXPECT_EQ(of("float16[2]", "f16|f32[2]"), 1U);
  EXPECT_EQ(of("float16[2]", "f16|f32"), 1U);
  EXPECT_EQ(of("float16[2]", "[2]"), 1U);
  EXPECT_EQ(of("float[1,2]", "[2] | [1, 2]"), 1U);
  EXPECT_EQ(of("float[2]", "[2] | [1, 2]"), 1U);
}

TEST(Pattern, TypesBehindConstants) {
  const std::string rule =
      "rule r: Mul(x, const c : [O, 1, 1] | [1, O, 1, 1]) -> Div(x, c) where O = 2";
  const auto of = [&](const std::string& shape) {
    return firings("g (float[5,2,4,4] x) => (float[5,2,4,4] y) <float" + shape +
                       " c = {1, 2}> { y = Mul(x, c) }",
                   rule);
  };
  EXPECT_EQ(of("[2,1,1]"), 1U);
  EXPECT_EQ(of("[1,2,1,1]"), 1U);
}

TEST(Pattern, ANodeOfSeveralResults) {
  const std::string rule =
      "rule r { match { (a, b) = Split(x){axis = 0}  y = Add(a, b) } emit y = ReduceSum(x) }";
  const std::string head = "g (float[2,3] x) => (float[1,3] y) ";
  EXPECT_EQ(firings(head + "<int64[2] s = {1, 1}> { a, b = Split<axis = 0>(x, s) y = Add(a, b) }",
                    "rule r { match { (a, b) = Split(x){axis = 0}  y = Add(a, b) } "
                    "emit y = ReduceSum(x){axes = [0], keepdims = 1} }"),
            1U);
  // The same result twice is another pattern.
  EXPECT_EQ(firings(head + "<int64[2] s = {1, 1}> { a, b = Split<axis = 0>(x, s) y = Add(a, a) }",
                    "rule r { match { (a, b) = Split(x){axis = 0}  y = Sub(a, b) } "
                    "emit y = ReduceSum(x){axes = [0], keepdims = 1} }"),
            0U);
}

TEST(Pattern, AResultThatIsNotReplacedMustNotBeUsed) {
  const std::string rule =
      "rule r { match { (a, b) = Split(x){axis = 0}  y = Relu(a) } emit y = Slice(x, [0], [1]) }";
  const std::string head =
      "g (float[2,3] x) => (float[1,3] y, float[1,3] z) <int64[2] s = {1, 1}> ";
  EXPECT_EQ(firings(head + "{ a, b = Split<axis = 0>(x, s) y = Relu(a) z = Neg(b) }", rule), 0U);
  EXPECT_EQ(firings("g (float[2,3] x) => (float[1,3] y) <int64[2] s = {1, 1}> "
                    "{ a, b = Split<axis = 0>(x, s) y = Relu(a) }",
                    rule),
            1U);
}

TEST(Pattern, AlternativesInOrderAndBackWhenAGuardFails) {
  const std::string graph = "g (float[3] x) => (float[3] y) { a = Neg(x) b = Relu(a) y = Abs(b) }";
  const auto captured = [&](const std::string& rule) {
    const auto out = rewritten(graph, rule);
    return out.report.firings.empty() ? "" : out.report.firings[0].captures[0].second;
  };
  EXPECT_EQ(captured("rule r: Abs(z | Relu(z)) -> Neg(z)"), "b");
  EXPECT_EQ(captured("rule r: Abs(z | Relu(z)) -> Neg(z) where is_input(z) or name(z) = \"a\""),
            "a");
  EXPECT_EQ(captured("rule r: Abs(z | Relu(z) | Relu(Neg(z))) -> Neg(z) where is_input(z)"), "x");
}

TEST(Pattern, AnOptionalNode) {
  const std::string rule = "rule r: Abs(Relu?(x)) -> Neg(x)";
  const auto with = rewritten("g (float[3] x) => (float[3] y) { a = Relu(x) y = Abs(a) }", rule);
  EXPECT_EQ(with.ops(), "Neg");
  const auto without = rewritten("g (float[3] x) => (float[3] y) { y = Abs(x) }", rule);
  EXPECT_EQ(without.ops(), "Neg");
}

TEST(Pattern, AChainOfNodes) {
  const std::string rule = "rule r: Abs((Relu | Neg)*(x)) -> Sqrt(x) where is_input(x)";
  const std::string least = "rule r: Abs((Relu | Neg)+(x)) -> Sqrt(x) where is_input(x)";
  for (const auto& [body, some] :
       {std::pair{"y = Abs(x)", false}, std::pair{"a = Relu(x) y = Abs(a)", true},
        std::pair{"a = Relu(x) b = Neg(a) c = Relu(b) y = Abs(c)", true}}) {
    const std::string graph = std::string("g (float[3] x) => (float[3] y) { ") + body + " }";
    EXPECT_EQ(rewritten(graph, rule).ops(), "Sqrt") << body;
    EXPECT_EQ(firings(graph, least), some ? 1U : 0U) << body;
  }
  // An inner link that something else reads is outside of no match.
  EXPECT_EQ(firings("g (float[3] x) => (float[3] y, float[3] z) "
                    "{ a = Relu(x) b = Neg(a) y = Abs(b) z = Exp(a) }",
                    rule),
            0U);
  EXPECT_EQ(firings("g (float[3] x) => (float[3] y, float[3] z) "
                    "{ a = Relu(x) b = Neg(a) y = Abs(b) z = Exp(a) }",
                    "rule r: Abs((Relu | Neg)*(x)) -> Sqrt(x)"),
            1U)
      << "the chain may be shorter";
}

TEST(Pattern, CommutativeOperandsAndOrderedOnes) {
  const std::string graph = "g (float[3] x) => (float[3] y) { a = Relu(x) y = Add(x, a) }";
  EXPECT_EQ(firings(graph, "rule r: Add(Relu(x), x) -> Neg(x)"), 1U);
  EXPECT_EQ(firings(graph, "rule r: ordered Add(Relu(x), x) -> Neg(x)"), 0U);
  EXPECT_EQ(firings(graph, "rule r: ordered Add(x, Relu(x)) -> Neg(x)"), 1U);
  EXPECT_EQ(firings("g (float[3] x) => (float[3] y) { a = Relu(x) y = Sub(x, a) }",
                    "rule r: Sub(Relu(x), x) -> Neg(x)"),
            0U)
      << "Sub is not commutative";
}

TEST(Pattern, SeeThroughSkipsNodes) {
  const std::string rule = "rule r: Abs(Relu(x)) -> Neg(x) see through {Identity, Cast}";
  EXPECT_EQ(rewritten("g (float[3] x) => (float[3] y) "
                      "{ a = Relu(x) b = Identity(a) c = Cast<to = 1>(b) y = Abs(c) }",
                      rule)
                .ops(),
            "Neg");
  EXPECT_EQ(firings("g (float[3] x) => (float[3] y) { a = Relu(x) b = Exp(a) y = Abs(b) }", rule),
            0U);
  // What is skipped belongs to the match: nothing else may read it.
  EXPECT_EQ(firings("g (float[3] x) => (float[3] y, float[3] z) "
                    "{ a = Relu(x) b = Identity(a) y = Abs(b) z = Exp(b) }",
                    rule),
            0U);
}

TEST(Pattern, PredicatesSpeakOfTheNode) {
  const std::string graph =
      "g (float[3] x) => (float[3] y, float[3] z) { [one__two] a = Relu(x) "
      "[one__two__three] y = Neg(a) z = Exp(a) }";
  const auto of = [&](const std::string& pattern) {
    return firings(graph, "rule r: " + pattern + "(x) -> Abs(x)");
  };
  EXPECT_EQ(of("Relu[users = 2]"), 1U);
  EXPECT_EQ(of("Relu[users = 1]"), 0U);
  EXPECT_EQ(of("Neg[is output]"), 1U);
  EXPECT_EQ(of("Relu[is output]"), 0U);
  EXPECT_EQ(of("Relu[is input]"), 1U);
  EXPECT_EQ(of("Neg[is input]"), 0U);
  EXPECT_EQ(of("Relu[in body]"), 0U);
  EXPECT_EQ(of("Relu[not in body]"), 1U);
  EXPECT_EQ(of("Relu[domain = \"ai.onnx\"]"), 1U);
  EXPECT_EQ(of("Relu[domain = \"com.acme\"]"), 0U);
  EXPECT_EQ(of("Relu[name ~ \"one/*\"]"), 1U);
  EXPECT_EQ(of("Neg[name ~ \"one/*\"]"), 0U) << "a star stays within a level";
  EXPECT_EQ(of("Neg[name ~ \"one/**\"]"), 1U);
  EXPECT_EQ(of("Neg[is output and name ~ \"**\"]"), 1U);
  EXPECT_EQ(of("Relu[is output or users = 2]"), 1U);
}

TEST(Pattern, ASharedNodeStays) {
  const std::string graph =
      "g (float[3] x) => (float[3] y, float[3] z) { a = Relu(x) y = Neg(a) z = Exp(a) }";
  EXPECT_EQ(firings(graph, "rule r: Neg(Relu(x)) -> Abs(x)"), 0U);
  EXPECT_EQ(rewritten(graph, "rule r: Neg(shared Relu(x)) -> Abs(x)").ops(), "Relu Abs Exp");
  // A graph output is a use.
  EXPECT_EQ(firings("g (float[3] x) => (float[3] a, float[3] y) { a = Relu(x) y = Neg(a) }",
                    "rule r: Neg(Relu(x)) -> Abs(x)"),
            0U);
}

TEST(Pattern, ACaptureByABodyIsAUse) {
  EXPECT_EQ(firings("g (float[3] x, bool c) => (float[3] y, float[3] z) { a = Relu(x) y = Neg(a) "
                    "z = If(c) <then_branch = t () => (float[3] p) { p = Exp(a) }, "
                    "else_branch = e () => (float[3] q) { q = Neg(a) }> }",
                    "rule r: Neg(Relu(x)) -> Abs(x)"),
            0U);
}

TEST(Pattern, WhatWasUnusedBeforeStays) {
  const auto out = rewritten(
      "g (float[3] x) => (float[3] y) <float[3] lost = {1, 2, 3}> "
      "{ dead = Exp(x) a = Relu(x) y = Relu(a) }",
      "rule r exact: Relu(Relu(x)) -> Relu(x)");
  EXPECT_EQ(out.ops(), "Exp Relu");
  EXPECT_NE(dump(out.model).find("lost"), std::string::npos);
}

// ---- bodies ----------------------------------------------------------------------------------

static constexpr const char* loop =
    "g (float[3] x, int64 n, bool c, float[3] s0) => (float[3] s, float[K,3] all) {"
    "  s, all = Loop(n, c, s0) <body = b (int64 i, bool go, float[3] st)"
    "    => (bool goes, float[3] next, float[3] row)"
    "    { f = Cast<to = 1>(i) m = Mul(st, f) next = Add(m, x) row = Neg(next) goes = Identity(go) "
    "}>"
    "}";

TEST(Pattern, BodiesContainPatterns) {
  const auto holds = [&](const std::string& predicate) {
    const auto out = rewritten(loop, "rule r: n @ Loop[" + predicate + "] -> n{}");
    EXPECT_EQ(out.error, "");
    return out.report.firings.size() == 1;
  };
  EXPECT_TRUE(holds("body contains Mul"));
  EXPECT_FALSE(holds("body contains Exp"));
  EXPECT_TRUE(holds("not body contains Exp"));
  EXPECT_TRUE(holds("body contains Add(_, outer images)"));
  EXPECT_FALSE(holds("body contains Mul(_, outer images)"));
  EXPECT_TRUE(holds("body contains Mul(state st, _)"));
  EXPECT_TRUE(holds("body contains Mul(state 0, _)"));
  EXPECT_FALSE(holds("body contains Mul(state 1, _)"));
  EXPECT_TRUE(holds("body contains Cast(iteration)"));
  EXPECT_FALSE(holds("body contains Neg(iteration)"));
  EXPECT_TRUE(holds("body contains Neg(Add)"));
}

TEST(Pattern, InBodyIsInsideALoop) {
  const auto out = rewritten(loop, "rule r: Neg[in body](x) -> Abs(x)");
  EXPECT_EQ(out.report.firings.size(), 1U) << out.misses();
}

TEST(Pattern, OuterConstantsAreConstantsInABody) {
  EXPECT_EQ(firings("g (float[3] x, bool c) => (float[3] z) <float[3] k = {1, 2, 3}> {"
                    "z = If(c) <then_branch = t () => (float[3] p) { p = Add(x, k) }, "
                    "else_branch = e () => (float[3] q) { q = Neg(x) }> }",
                    "rule r: Add(x, const k) -> Sub(x, k)"),
            1U);
}

TEST(Pattern, AMatchLiesWithinOneGraph) {
  EXPECT_EQ(firings("g (float[3] x, bool c) => (float[3] z) { a = Relu(x) "
                    "z = If(c) <then_branch = t () => (float[3] p) { p = Neg(a) }, "
                    "else_branch = e () => (float[3] q) { q = Exp(a) }> }",
                    "rule r: Neg(Relu(x)) -> Abs(x)"),
            0U);
}

TEST(Pattern, BodiesThatAndJoinsBindTheirNames) {
  const auto out = rewritten(
      "g (float[4] x, bool c) => (float[4] y) { y = If(c) <then_branch = a () => (float[4] o) "
      "{ o = Relu(x) }, else_branch = b () => (float[4] p) { p = Neg(x) }> }",
      "rule r: If[then_body contains Relu(outer v) and else_body contains Neg(outer v)](c) "
      "-> Where(c, Relu(v), Neg(v))");
  EXPECT_EQ(out.ops(), "Relu Neg Where") << out.misses();
}

}  // namespace rulec::test
