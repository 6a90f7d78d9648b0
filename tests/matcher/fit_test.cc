// SPDX-License-Identifier: Apache-2.0
#include "matcher/fit.h"

#include <limits>

#include <gtest/gtest.h>

#include "tests/support/rewriting.h"

namespace rulec::test {

static Tensor pixels(const std::vector<float>& values, std::int64_t channels) {
  return Tensor::of<float>({static_cast<std::int64_t>(values.size()) / channels, channels}, values);
}

TEST(FitAffine, EachChannelHasItsOwn) {
  const Tensor x[] = {pixels({0, 0, 1, 1, 2, 5, 3, 7}, 2)};
  const Tensor y[] = {pixels({3, 1, 5, 0.5F, 7, -1.5F, 9, -2.5F}, 2)};
  const AffineFit found = fit_affine(x, y);
  ASSERT_EQ(found.scale.size(), 2U);
  EXPECT_NEAR(found.scale[0], 2, 1e-9);
  EXPECT_NEAR(found.bias[0], 3, 1e-9);
  EXPECT_NEAR(found.scale[1], -0.5, 1e-9);
  EXPECT_NEAR(found.bias[1], 1, 1e-9);
  EXPECT_LT(found.residual, 1e-6);
  EXPECT_EQ(found.magnitude, 9);
}

TEST(FitAffine, WhatIsNotAffineLeavesAResidual) {
  const Tensor x[] = {pixels({0, 1, 2, 3}, 1)}, y[] = {pixels({0, 1, 4, 9}, 1)};
  EXPECT_GT(fit_affine(x, y).residual, 0.5);
  const Tensor odd[] = {pixels({0, 1, std::numeric_limits<float>::quiet_NaN(), 9}, 1)};
  EXPECT_EQ(fit_affine(x, odd).residual, std::numeric_limits<double>::infinity());
}

namespace {

// A template of one body over x with parameters a and b, and what it is to do.
struct Body {
  CompiledRules compiled;
  const Template& templ() const {
    for (const Template& one : compiled.rules.templates)
      if (one.name == "body") return one;
    return compiled.rules.templates.front();
  }
  Result<std::map<SlotId, std::vector<double>>> solve(const AffineFit& measured) const {
    const Template& of = templ();
    std::vector<SlotId> wanted;
    for (const TemplateParameter& parameter : of.parameters)
      wanted.push_back(parameter.slot);
    return solve_affine(compiled.rules, of.bodies[0].statements.back().value, of.inputs[0].slot,
                        wanted, {}, measured);
  }
  double found(const AffineFit& measured, std::size_t parameter) const {
    const auto all = solve(measured);
    if (!all) return std::numeric_limits<double>::quiet_NaN();
    return all->at(templ().parameters[parameter].slot).at(0);
  }
};

Body body_of(const std::string& expression) {
  return {
      rules_of("template body(a : f32[1] = fit, b : f32[1] = fit) for (x : f32[N, 1]) -> (y : "
               "f32[N, 1]) { y = " +
               expression + " }")};
}

const AffineFit measured{.scale = {0.25}, .bias = {-3}, .residual = 0, .magnitude = 10};

}  // namespace

// y = 0.25 x - 3, read as what each body says.
TEST(SolveAffine, TheBodyIsSolvedForItsParameters) {
  const Body division = body_of("Div(Sub(x, a), b)");
  EXPECT_NEAR(division.found(measured, 0), 12, 1e-9);
  EXPECT_NEAR(division.found(measured, 1), 4, 1e-9);
  const Body product = body_of("Add(Mul(x, a), b)");
  EXPECT_NEAR(product.found(measured, 0), 0.25, 1e-9);
  EXPECT_NEAR(product.found(measured, 1), -3, 1e-9);
  const Body through = body_of("Mul(Sub(Cast(x){to = f32}, a), b)");
  EXPECT_NEAR(through.found(measured, 0), 12, 1e-9);
}

TEST(SolveAffine, WhatCannotBeSolvedSaysWhy) {
  const auto curved = body_of("Mul(Sub(Exp(x), a), b)").solve(measured);
  ASSERT_FALSE(curved);
  EXPECT_NE(curved.error().message, "");
}

}  // namespace rulec::test
