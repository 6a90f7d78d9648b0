// SPDX-License-Identifier: Apache-2.0
// docs/language.md, "Guards": three truth values, and each function by what it lets fire.
#include "matcher/guard.h"

#include <gtest/gtest.h>

#include "tests/support/rewriting.h"

namespace rulec::test {

// One model for most: x is f32[2,3], s is f32[A,B], o has no type but f32, k and p are constants.
static constexpr const char* graph =
    "g (float[2,3] x, float[A,B] s, float[A,B] t, float[C,B] u) => "
    "(float[2,3] y, float[A,B] z, float[A,B] w)"
    "<float[3] k = {1, 2, 3}, int64[4] p = {0, 1, 0, 2}> {"
    "  [block__mul] m = Mul(x, k) [one] y = Relu(m) q = Add(s, t) z = Abs(q) w = Max(s, t, u) }";

// Whether a rule with this guard fires; `pattern` says what it is anchored at.
static bool holds(const std::string& guard, const std::string& pattern = "n @ Mul(x, const k)",
                  const std::string& replacement = "Mul(x, Neg(k))") {
  const auto out = rewritten(graph,
                             "param four : int = 4\npredicate small(v) = size(v) <= four\n"
                             "rule r: " +
                                 pattern + " -> " + replacement + " where " + guard);
  EXPECT_EQ(out.error, "");
  EXPECT_LE(out.report.firings.size(), 1U);
  return !out.report.firings.empty();
}

static bool symbolic(const std::string& guard) {
  return holds(guard, "n @ Max(s, t, u)", "Max(s, t, Neg(u))");
}

TEST(Guard, Comparisons) {
  for (const char* guard : {"1 = 1",
                            "1 == 1",
                            "1 != 2",
                            "1 < 2",
                            "2 <= 2",
                            "3 > 2",
                            "3 >= 3",
                            "1.0 = 1",
                            "not 1 = 2",
                            "1 = 1 and 2 = 2",
                            "1 = 2 or 2 = 2",
                            "[1, 2] = [1, 2]",
                            "[1, 2] != [1, 3]",
                            "\"a\" = \"a\"",
                            "\"a\" < \"b\"",
                            "true",
                            "not false",
                            "7 % 4 = 3",
                            "-7 % 4 = 1",
                            "7 / 2 = 3.5",
                            "6 / 2 = 3",
                            "2 * 3 - 1 = 5",
                            "1 = 2 or 1 = 3 or 1 = 1",
                            "not (1 = 1 and 2 = 2 and 3 = 4)",
                            "-(2) = -2",
                            "f32 = f32",
                            "f32 != f16"})
    EXPECT_TRUE(holds(guard)) << guard;
  for (const char* guard :
       {"1 = 2", "1 != 1", "2 < 2", "[1, 2] = [1, 2, 3]", "\"a\" = \"b\"", "false"})
    EXPECT_FALSE(holds(guard)) << guard;
}

TEST(Guard, UnknownIsNotTrue) {
  EXPECT_FALSE(symbolic("dim(s, 0) = 2"));
  EXPECT_FALSE(symbolic("dim(s, 0) != 2"));
  EXPECT_FALSE(symbolic("not dim(s, 0) = 2"));
  EXPECT_TRUE(symbolic("dim(s, 0) = 2 or true")) << "Kleene's or";
  EXPECT_FALSE(symbolic("dim(s, 0) = 2 and true"));
  EXPECT_FALSE(symbolic("dim(s, 0) = 2 and false"));
  EXPECT_TRUE(symbolic("not (dim(s, 0) = 2 and false)"));
  EXPECT_TRUE(symbolic("dim(s, 0) = 2 or unknown"));
  EXPECT_TRUE(symbolic("not dim(s, 0) = 2 or unknown")) << "it binds to the condition with its not";
  EXPECT_FALSE(symbolic("1 = 2 or unknown"));
  EXPECT_FALSE(symbolic("not 1 = 1 or unknown"));
  EXPECT_FALSE(holds("1 / 0 = 1")) << "division by zero is unknown";
}

TEST(Guard, EqualSymbolsAreEqualSizes) {
  EXPECT_TRUE(symbolic("dim(s, 0) = dim(t, 0)"));
  EXPECT_FALSE(symbolic("dim(s, 0) = dim(u, 0)"));
  EXPECT_FALSE(symbolic("dim(s, 0) != dim(u, 0)")) << "different names are unknown";
  EXPECT_TRUE(symbolic("shape(s) = shape(t)"));
  EXPECT_TRUE(symbolic("same_shape(s, t)"));
  EXPECT_FALSE(symbolic("same_shape(s, u)"));
  EXPECT_TRUE(symbolic("shape(s)[1] = dim(u, -1)"));
}

TEST(Guard, TypesAndShapes) {
  EXPECT_TRUE(
      holds("dtype(x) = f32, rank(x) = 2, shape(x) = [2, 3], dim(x, 0) = 2, dim(x, -1) = 3"));
  EXPECT_TRUE(holds("size(x) = 6, size(k) = 3, rank(k) = 1"));
  EXPECT_FALSE(holds("dim(x, 2) = 1")) << "an axis that is not there";
  EXPECT_TRUE(symbolic("rank(s) = 2"));
  EXPECT_FALSE(symbolic("size(s) > 0"));
  EXPECT_TRUE(holds("broadcasts(k, x)"));
  EXPECT_FALSE(holds("broadcasts(x, k)"));
  EXPECT_TRUE(holds("shape(x)[0:1] = [2], shape(x)[1:] = [3], shape(x)[:-1] = [2]"));
}

TEST(Guard, ValuesOfConstants) {
  EXPECT_TRUE(holds("min(k) = 1, max(k) = 3, sum(value(k)) = 6, prod(k) = 6"));
  EXPECT_TRUE(holds("all(k > 0), any(k == 2), not any(k == 7), all(value(k) == [1, 2, 3])"));
  EXPECT_TRUE(holds("value(k) = [1, 2, 3], value(k)[1] = 2, len(k) = 3"));
  EXPECT_FALSE(holds("all(x > 0)")) << "x is no constant";
  EXPECT_TRUE(holds("min(4, 2, 3) = 2, max(4, 2, 3) = 4, min(size(x), 4) = 4"));
  EXPECT_TRUE(holds("is_int(value(k)[0]), all(is_int(k)), not is_int(0.5)"));
  EXPECT_TRUE(
      holds("sqrt(4) = 2, abs(-3) = 3, floor(1.5) = 1, ceil(1.5) = 2, round(1.6) = 2, exp(0) = 1"));
  EXPECT_TRUE(holds("cast(1.7, i64) = 1"));
  EXPECT_TRUE(holds("k.reshape(3, 1).transpose(1, 0).squeeze(0) = [1, 2, 3]"));
  EXPECT_TRUE(
      holds("rank(k.reshape(1, 3, 1).squeeze()) = 1, rank(k.reshape(1, 3, 1).squeeze(0)) = 2"));
  EXPECT_FALSE(holds("rank(k.reshape(1, 3, 1).squeeze(1)) = 2")) << "axis 1 is of size 3";
  EXPECT_TRUE(holds("rank(k.flatten()) = 1, dtype(k.cast(f16)) = f16"));
}

TEST(Guard, UsesAndNames) {
  EXPECT_TRUE(holds("users(x) = 1, users(n) = 1, is_input(x), not is_output(x), not is_input(k)"));
  EXPECT_TRUE(holds("name(x) = \"x\", name(n) = \"block/mul\", name(n) ~ \"block/*\""));
  EXPECT_FALSE(holds("name(n) ~ \"other/*\""));
  EXPECT_TRUE(holds("is_output(r)", "r @ Relu(z)", "Abs(z)") == false) << "r is a node";
}

TEST(Guard, ListsAndStrings) {
  EXPECT_TRUE(holds("range(3) = [0, 1, 2], range(1, 3) = [1, 2], range(4, 0, -2) = [4, 2]"));
  EXPECT_TRUE(
      holds("gather([5, 6, 7], [2, 0]) = [7, 5], compose([1, 2, 0], [1, 2, 0]) = [2, 0, 1]"));
  EXPECT_TRUE(holds("spatial([0, 0, 1, 2, 0, 0, 3, 4]) = [1, 2, 3, 4]"));
  EXPECT_TRUE(holds("2 in [1, 2], 3 not in [1, 2], \"b\" in \"abc\", f32 in [f16, f32]"));
  EXPECT_TRUE(
      holds("starts_with(\"abc\", \"ab\"), ends_with(\"abc\", \"bc\"), contains(\"abc\", \"b\")"));
  EXPECT_TRUE(holds("contains([1, 2], 2), not contains([1, 2], 3), len(\"abc\") = 3"));
  EXPECT_FALSE(holds("starts_with(\"abc\", \"b\")"));
  EXPECT_TRUE(holds("\"ab\" + \"c\" = \"abc\", \"abc\"[0] = \"a\", \"abc\"[1:] = \"bc\""));
  EXPECT_TRUE(holds("[1, 2] + 1 = [2, 3], [1, 2] + [3, 4] = [4, 6]"));
  EXPECT_FALSE(holds("[1, 2][5] = 1")) << "outside of the list";
}

TEST(Guard, OpsetTargetAndPredicates) {
  EXPECT_TRUE(holds("opset = 17, opset >= 13"));
  EXPECT_FALSE(holds("opset < 17"));
  EXPECT_FALSE(holds("target = \"tensorrt\""));
  EXPECT_TRUE(holds("small(k)")) << "a predicate sees the params of its file";
  EXPECT_FALSE(holds("small(x)"));
  EXPECT_TRUE(holds("(size(x) > 4 ? rank(x) : 0) = 2"));
}

TEST(Guard, ScalesOfAResize) {
  const auto fires = [](const std::string& node, const std::string& guard, int opset = 17) {
    const auto out = rewritten(
        "g (float[1,1,2,3] x) => (float[1,1,4,6] y) "
        "<float[4] s = {1, 1, 2, 2}, int64[4] z = {1, 1, 4, 6}> { y = " +
            node + " }",
        "rule r: n @ Resize{coordinate_transformation_mode = \"half_pixel\"} "
        "-> n{coordinate_transformation_mode = \"asymmetric\"} where " +
            guard,
        opset);
    return !out.report.firings.empty();
  };
  EXPECT_TRUE(fires("Resize(x, , s)", "scales(n) = [1, 1, 2, 2], all(is_int(scales(n)))"));
  EXPECT_TRUE(fires("Resize(x, , , z)", "scales(n) = [1, 1, 2, 2]")) << "implied by the sizes";
  EXPECT_FALSE(fires("Resize(x, , s)", "all(scales(n) > 1)"));
}

TEST(Guard, EveryFunctionThatTheCompilerKnowsIsEvaluated) {
  const std::vector<std::string> names = function_names();
  EXPECT_GE(names.size(), 40U);
  EXPECT_EQ(method_names().size(), 5U);
  for (const char* name : {"starts_with", "ends_with", "contains", "cast", "spatial", "scales"})
    EXPECT_TRUE(std::find(names.begin(), names.end(), name) != names.end()) << name;
}

// ---- alternatives that did not match
// --------------------------------------------------------------

static Rewritten of_either(const std::string& operand, const std::string& rest) {
  return rewritten(
      "g (float[2,3] x, float[2,3] m) => (float[2,3] y) { a = " + operand + " y = Neg(a) }",
      "rule r: Neg(Relu(x) | Mul(x, m)) -> " + rest);
}

TEST(Guard, ACaptureOfAnotherAlternativeHasNoValue) {
  EXPECT_EQ(of_either("Mul(x, m)", "Sub(x, m)").ops(), "Sub");
  const auto bare = of_either("Relu(x)", "Sub(x, m)");
  EXPECT_EQ(bare.ops(), "Relu Neg");
  EXPECT_NE(bare.misses().find("`m else …` says what stands in"), std::string::npos)
      << bare.misses();
  EXPECT_EQ(of_either("Relu(x)", "Sub(x, m else 1)").ops(), "Sub");
  EXPECT_EQ(of_either("Relu(x)", "Clip(x, m else none, none)").ops(), "Clip");
}

TEST(Guard, ConditionsOverItAreUnknown) {
  EXPECT_EQ(of_either("Relu(x)", "Abs(x) where rank(m) = 2").ops(), "Relu Neg");
  EXPECT_EQ(of_either("Relu(x)", "Abs(x) where not rank(m) = 2").ops(), "Relu Neg");
  EXPECT_EQ(of_either("Relu(x)", "Abs(x) where rank(m) = 2 or unknown").ops(), "Abs");
  EXPECT_EQ(of_either("Relu(x)", "Abs(x) where is_none(m)").ops(), "Abs");
  EXPECT_EQ(of_either("Mul(x, m)", "Abs(x) where is_none(m)").ops(), "Mul Neg");
  EXPECT_EQ(of_either("Relu(x)", "Abs(x) where is_none(m) or rank(m) = 2").ops(), "Abs");
}

// A guard that fails since nothing bound its name sends the search on to what does.
TEST(Guard, TheNextAlternativeMayBindIt) {
  const auto out =
      rewritten("g (float[2,3] x, float[2,3] m) => (float[2,3] y) { a = Mul(x, m) y = Neg(a) }",
                "rule r: Neg(Mul(x, _) | Mul(x, m)) -> Abs(x) where rank(m) = 2");
  EXPECT_EQ(out.ops(), "Abs") << out.misses();
}

}  // namespace rulec::test
