// SPDX-License-Identifier: Apache-2.0
// The decision program by itself: what it offers at a node, in which order, and what it leaves out.
#include "matcher/program.h"

#include <gtest/gtest.h>

#include "tests/support/rewriting.h"

namespace rulec::test {

// The rules that are worth a full match at the last node of the graph.
static std::string offered(const std::string& graph, const std::string& rules,
                           std::uint64_t* tests = nullptr) {
  const CompiledRules compiled = rules_of(rules);
  const RuleProgram program = compile_program(compiled.rules, compiled.rules.phases[0].rules);
  const Model model = model_of(graph, 17);
  std::vector<RuleId> found;
  program.candidates(model, model.nodes(model.main()).back(), found);
  if (tests != nullptr) *tests = program.tests();
  std::string out;
  for (const RuleId id : found)
    out += (out.empty() ? "" : " ") + compiled.rules[id].name;
  return out;
}

static const std::string relu_of_add =
    "g (float[2] x, float[2] z) => (float[2] y) { a = Add(x, z) y = Relu(a) }";

TEST(Program, OffersWhatBeginsRight) {
  EXPECT_EQ(offered(relu_of_add,
                    "rule other_root: Neg(x) -> x\n"
                    "rule other_operand: Relu(Neg(x)) -> x\n"
                    "rule right: Relu(Add(x, z)) -> Add(x, z)\n"
                    "rule deeper: Relu(Add(Neg(x), z)) -> Add(x, z)"),
            "right");
}

TEST(Program, OrdersByPriorityThenSizeThenFile) {
  EXPECT_EQ(offered(relu_of_add,
                    "rule small: Relu(x) -> Abs(x)\n"
                    "rule large: Relu(Add(x, z)) -> Abs(x)\n"
                    "rule first: Relu(x) -> Abs(x)  priority 1\n"
                    "rule as_large: Relu(Add(z, x)) -> Abs(x)"),
            "first large as_large small");
}

TEST(Program, CommutativeOperandsAreLookedAtEitherWay) {
  const std::string graph =
      "g (float[2] x, float[2] z) => (float[2] y) { a = Neg(x) y = Add(z, a) }";
  EXPECT_EQ(offered(graph,
                    "rule either: Add(Neg(x), z) -> Sub(z, x)\n"
                    "rule pinned: ordered Add(Neg(x), z) -> Sub(z, x)"),
            "either");
}

TEST(Program, AlternativesAndMissingNodesAreNotShutOut) {
  EXPECT_EQ(offered(relu_of_add,
                    "rule either: Relu(Neg(x) | Add(x, z)) -> Abs(x)\n"
                    "rule maybe: Relu(Neg?(x)) -> Abs(x)\n"
                    "rule chain: Relu((Neg)*(x)) -> Abs(x)\n"
                    "rule through: Relu(Neg(x)) -> Abs(x)  see through {Add}"),
            "either through maybe chain");
}

TEST(Program, AttributesTellRulesApart) {
  const std::string graph =
      "g (float[2,3] x, float[4,3] w) => (float[2,4] y) { y = Gemm<transB = 1>(x, w) }";
  EXPECT_EQ(offered(graph,
                    "rule turned: Gemm(x, w, none){transB = 1, _} -> MatMul(x, w)\n"
                    "rule plain: Gemm(x, w, none){transB = 0, _} -> MatMul(x, w)\n"
                    "rule any: Gemm(x, w, none){transB = t, _} -> MatMul(x, w)  where t = 1"),
            "turned any");
}

// Rules with a common beginning share their tests.
TEST(Program, TestsDoNotGrowWithRulesThatCannotMatch) {
  std::string few = "rule right: Relu(Add(x, z)) -> Add(x, z)\n", many = few;
  for (int i = 0; i < 100; ++i)
    many +=
        "rule r" + std::to_string(i) + ": Relu(Neg(Mul(x, " + std::to_string(i) + "))) -> Abs(x)\n";
  std::uint64_t with_few = 0, with_many = 0;
  EXPECT_EQ(offered(relu_of_add, few, &with_few), "right");
  EXPECT_EQ(offered(relu_of_add, many, &with_many), "right");
  EXPECT_LE(with_many, with_few + 1);
}

}  // namespace rulec::test
