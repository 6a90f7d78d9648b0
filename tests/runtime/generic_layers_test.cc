// SPDX-License-Identifier: Apache-2.0
// Products, convolutions, poolings, normalizations, quantization: against plain loops and by hand.
#include <cmath>

#include "tests/runtime/generic_call.h"

namespace rulec::generic {
namespace {

using Numbers = std::vector<double>;
using Integers = std::vector<std::int64_t>;

// Reproducible values without a pattern that a wrong index would keep.
Tensor varied(Shape shape, int seed) {
  Tensor t = Tensor::allocate(DType::F64, std::move(shape));
  std::uint64_t state = static_cast<std::uint64_t>(seed) * 2654435761U + 1;
  for (std::int64_t i = 0; i < t.size(); ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    t.mutable_data<double>()[i] = static_cast<double>(state >> 40) / 0x1p23 - 1;
  }
  return t;
}

TEST(GenericMatMul, AgreesWithThreeLoopsAtEverySize) {
  for (const auto& [m, k, n] :
       {std::array{1, 1, 1}, {5, 7, 9}, {4, 8, 16}, {3, 0, 2}, {9, 33, 7}}) {
    const Tensor a = varied({m, k}, 1);
    const Tensor b = varied({k, n}, 2);
    const Tensor y = apply("MatMul", 13, {a, b});
    ASSERT_EQ(y.shape(), (Shape{m, n}));
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (std::int64_t p = 0; p < k; ++p)
          sum += a.number(i * k + p) * b.number(p * n + j);
        ASSERT_EQ(y.number(i * n + j), sum) << "summed in the same order, without fusing";
      }
    }
  }
}

TEST(GenericMatMul, VectorsAndStacks) {
  EXPECT_EQ(apply("MatMul", 13, {floats({2}, {1, 2}), floats({2}, {3, 4})}).shape(), Shape{});
  EXPECT_EQ(apply("MatMul", 13, {varied({2, 1, 3, 4}, 1), varied({5, 4, 2}, 2)}).shape(),
            (Shape{2, 5, 3, 2}));
  EXPECT_EQ(apply("MatMul", 13, {longs({1, 2}, {2, 3}), longs({2, 1}, {5, 7})}).numbers(),
            (Numbers{31}));
  EXPECT_FALSE(try_apply("MatMul", 13, {varied({2, 3}, 1), varied({2, 3}, 2)}));
}

TEST(GenericConv, AgreesWithPlainLoops) {
  const std::int64_t h = 7, w = 6, channels = 4, outputs = 6, groups = 2, stride = 2, dilation = 2;
  const Tensor x = varied({2, channels, h, w}, 3);
  const Tensor weights = varied({outputs, channels / groups, 3, 2}, 4);
  const Tensor bias = varied({outputs}, 5);
  const Tensor y = apply("Conv", 11, {x, weights, bias},
                         {{"group", groups},
                          {"strides", Integers{stride, 1}},
                          {"dilations", Integers{dilation, 1}},
                          {"pads", Integers{1, 0, 2, 1}}});
  const std::int64_t oh = (h + 3 - 5) / stride + 1, ow = w + 1 - 2 + 1;
  ASSERT_EQ(y.shape(), (Shape{2, outputs, oh, ow}));
  for (std::int64_t i = 0; i < y.size(); ++i) {
    const std::int64_t n = i / (outputs * oh * ow), m = i / (oh * ow) % outputs;
    const std::int64_t r = i / ow % oh, c = i % ow;
    double sum = bias.number(m);
    for (std::int64_t k = 0; k < channels / groups; ++k) {
      const std::int64_t channel = m / (outputs / groups) * (channels / groups) + k;
      for (std::int64_t u = 0; u < 3; ++u) {
        for (std::int64_t v = 0; v < 2; ++v) {
          const std::int64_t row = r * stride - 1 + u * dilation, column = c + v;
          if (row < 0 || row >= h || column < 0 || column >= w) continue;
          sum += x.number(((n * channels + channel) * h + row) * w + column) *
                 weights.number(((m * (channels / groups) + k) * 3 + u) * 2 + v);
        }
      }
    }
    ASSERT_NEAR(y.number(i), sum, 1e-12);
  }
}

TEST(GenericConv, TransposedIsTheAdjoint) {
  // <conv(x), y> = <x, transposed(y)> for every x and y.
  const Tensor weights = varied({4, 3, 3, 3}, 6);
  const Tensor x = varied({1, 3, 9, 9}, 7);
  const std::vector<Attribute> attributes = {{"strides", Integers{2, 2}},
                                             {"pads", Integers{1, 1, 1, 1}}};
  const Tensor forward = apply("Conv", 11, {x, weights}, attributes);
  const Tensor y = varied(forward.shape(), 8);
  const Tensor back = apply("ConvTranspose", 11, {y, weights}, attributes);
  ASSERT_EQ(back.shape(), x.shape());
  double left = 0, right = 0;
  for (std::int64_t i = 0; i < y.size(); ++i)
    left += forward.number(i) * y.number(i);
  for (std::int64_t i = 0; i < x.size(); ++i)
    right += back.number(i) * x.number(i);
  EXPECT_NEAR(left, right, 1e-9);
}

TEST(GenericPool, PaddingCountsOnlyOnRequest) {
  const Tensor x = floats({1, 1, 2, 2}, {1, 2, 3, 4});
  const std::vector<Attribute> window = {{"kernel_shape", Integers{2, 2}},
                                         {"pads", Integers{1, 1, 0, 0}}};
  EXPECT_EQ(apply("AveragePool", 11, {x}, window).numbers(), (Numbers{1, 1.5, 2, 2.5}));
  auto counted = window;
  counted.push_back({"count_include_pad", std::int64_t{1}});
  EXPECT_EQ(apply("AveragePool", 11, {x}, counted).numbers(), (Numbers{0.25, 0.75, 1, 2.5}));
}

TEST(GenericPool, CeilModeDropsAWindowInThePadding) {
  const Tensor x = floats({1, 1, 2}, {1, 2});
  const std::vector<Attribute> window = {
      {"kernel_shape", Integers{1}}, {"strides", Integers{2}}, {"ceil_mode", std::int64_t{1}}};
  EXPECT_EQ(apply("MaxPool", 12, {x}, window).numbers(), (Numbers{1}));
}

TEST(GenericBatchNormalization, RefusesTraining) {
  const Tensor one_each = floats({1}, {1});
  const std::vector<Tensor> operands = {floats({1, 1, 2}, {1, 3}), one_each, one_each, one_each,
                                        one_each};
  const Result<Outputs> out =
      try_apply("BatchNormalization", 15, operands, {{"training_mode", std::int64_t{1}}}, 3);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().message,
            "BatchNormalization: training_mode=1 is not supported: set it to 0 to run the model");
  EXPECT_EQ(apply("BatchNormalization", 9, operands, {{"epsilon", 0.0F}}).numbers(),
            (Numbers{1, 3}));
}

TEST(GenericQuantize, RoundsHalfToEvenAndSaturates) {
  const Tensor x = floats({5}, {0.5, 1.5, -0.5, 300, -300});
  const Tensor scale = floats({}, {1});
  const Tensor zero = numbers(DType::U8, {}, {10});
  EXPECT_EQ(apply("QuantizeLinear", 13, {x, scale, zero}).numbers(), (Numbers{10, 12, 10, 255, 0}));
  EXPECT_EQ(apply("QuantizeLinear", 21, {x, scale}, {{"output_dtype", std::int64_t{22}}}).dtype(),
            DType::I4);
}

TEST(GenericQuantize, BlocksAlongAnAxis) {
  const Tensor q = numbers(DType::I8, {1, 5}, {1, 2, 3, 4, 5});
  const Tensor scales = floats({1, 3}, {1, 10, 100});
  EXPECT_EQ(apply("DequantizeLinear", 21, {q, scales},
                  {{"axis", std::int64_t{1}}, {"block_size", std::int64_t{2}}})
                .numbers(),
            (Numbers{1, 2, 30, 40, 500}));
}

TEST(GenericEinsum, DiagonalsTracesAndEllipsis) {
  const Tensor x = floats({2, 2}, {1, 2, 3, 4});
  const auto einsum = [&](const char* equation, const std::vector<Tensor>& operands) {
    return apply("Einsum", 12, operands, {{"equation", std::string(equation)}});
  };
  EXPECT_EQ(einsum("ii->i", {x}).numbers(), (Numbers{1, 4}));
  EXPECT_EQ(einsum("ii", {x}).number(0), 5);
  EXPECT_EQ(einsum("ij->ji", {x}).numbers(), (Numbers{1, 3, 2, 4}));
  EXPECT_EQ(einsum("...ij,jk->...ik", {varied({3, 2, 2}, 1), varied({2, 4}, 2)}).shape(),
            (Shape{3, 2, 4}));
}

// The same product of stacks, each stored in every way that the flags tell of.
TEST(Products, StacksOfAFusedProduct) {
  const Tensor a = varied({2, 3, 4, 5}, 1), b = varied({2, 3, 5, 6}, 2);
  const auto product = [](const Tensor& x, const Tensor& y, std::vector<std::int64_t> flags) {
    KernelCall call("FusedMatMul", 1, "com.microsoft");
    call.input(x).input(y).integer("transA", flags[0]).integer("transBatchA", flags[1]);
    return call.integer("transB", flags[2]).integer("transBatchB", flags[3]).run()[0].tensor();
  };
  const auto stored = [](const Tensor& t, std::int64_t turned, std::int64_t rows_first) {
    Integers order = turned != 0 ? Integers{0, 1, 3, 2} : Integers{0, 1, 2, 3};
    if (rows_first != 0) order = {order[2], order[0], order[1], order[3]};
    return apply("Transpose", 13, {t}, {{"perm", order}});
  };
  const Tensor plain = apply("MatMul", 13, {a, b});
  for (std::int64_t bits = 0; bits < 16; ++bits) {
    const std::vector<std::int64_t> flags = {bits & 1, bits >> 1 & 1, bits >> 2 & 1, bits >> 3};
    const Tensor got = product(stored(a, flags[0], flags[1]), stored(b, flags[2], flags[3]), flags);
    EXPECT_EQ(got.shape(), plain.shape());
    for (std::int64_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(got.number(i), plain.number(i), 1e-12) << bits;
  }
}

}  // namespace
}  // namespace rulec::generic
