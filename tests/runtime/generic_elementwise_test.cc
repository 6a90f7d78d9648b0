// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include "tests/runtime/generic_call.h"

namespace rulec::generic {
namespace {

using Numbers = std::vector<double>;

TEST(GenericArithmetic, BroadcastsAsNumpyDoes) {
  const Tensor y = apply("Add", 14, {floats({2, 1}, {1, 2}), floats({3}, {10, 20, 30})});
  EXPECT_EQ(y.shape(), (Shape{2, 3}));
  EXPECT_EQ(y.numbers(), (Numbers{11, 21, 31, 12, 22, 32}));
  EXPECT_EQ(apply("Mul", 14, {floats({0, 3}, {}), floats({1}, {2})}).shape(), (Shape{0, 3}));
  EXPECT_EQ(try_apply("Add", 14, {floats({2}, {1, 2}), floats({3}, {1, 2, 3})}).error().message,
            "Add: the shapes [2] and [3] do not broadcast");
}

TEST(GenericArithmetic, IntegersWrap) {
  const auto i8 = [](Numbers v) {
    return numbers(DType::I8, {static_cast<std::int64_t>(v.size())}, v);
  };
  EXPECT_EQ(apply("Add", 14, {i8({127}), i8({1})}).numbers(), (Numbers{-128}));
  EXPECT_EQ(apply("Mul", 14, {i8({100}), i8({3})}).numbers(), (Numbers{44}));
  EXPECT_EQ(apply("Neg", 13, {i8({-128})}).numbers(), (Numbers{-128}));
  EXPECT_EQ(apply("Div", 14, {i8({-7, -128}), i8({2, -1})}).numbers(), (Numbers{-3, -128}));
  EXPECT_EQ(apply("Mod", 13, {i8({-7, 7}), i8({3, -3})}).numbers(), (Numbers{2, -2}));
  EXPECT_EQ(apply("Mod", 13, {i8({-7, 7}), i8({3, -3})}, {{"fmod", std::int64_t{1}}}).numbers(),
            (Numbers{-1, 1}));
}

TEST(GenericArithmetic, ModOfFloatsHasTheDivisorsSign) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const Tensor a = floats({7}, {-7, 7, -6, 0, 2, -2, 5.5});
  const Tensor b = floats({7}, {3, -3, 3, -3, inf, inf, 2});
  for (const DType dtype : {DType::F16, DType::F32, DType::F64}) {
    const Tensor y = apply("Mod", 28, {convert(a, dtype), convert(b, dtype)});
    EXPECT_EQ(y.numbers(), (Numbers{2, -2, 0, 0, 2, inf, 1.5}));
    EXPECT_FALSE(std::signbit(y.number(2)));
    EXPECT_TRUE(std::signbit(y.number(3)));
  }
  for (const auto& [x, by] : {std::pair{inf, 1.0}, {1.0, 0.0}, {1.0, std::nan("")}}) {
    EXPECT_TRUE(std::isnan(apply("Mod", 28, {floats({1}, {x}), floats({1}, {by})}).number(0)));
  }
  EXPECT_EQ(apply("Mod", 28, {a, b}, {{"fmod", std::int64_t{1}}}).number(0), -1);
  EXPECT_FALSE(try_apply("Mod", 13, {a, b}));
}

TEST(GenericArithmetic, RefusesWhatHasNoResult) {
  EXPECT_EQ(try_apply("Div", 14, {longs({2}, {1, 1}), longs({2}, {1, 0})}).error().message,
            "Div: operand 1 is zero at element 1: an integer cannot be divided by it");
  EXPECT_FALSE(try_apply("Add", 14, {longs({1}, {1}), floats({1}, {1})}));
  EXPECT_FALSE(try_apply("Exp", 13, {longs({1}, {1})}));
  EXPECT_EQ(try_apply("Add", 14, {floats({1}, {1})}).error().message,
            "Add: operand 1 is required but absent");
}

TEST(GenericArithmetic, SixtyFourBitIntegersAreExact) {
  const Tensor big = Tensor::scalar<std::int64_t>((1LL << 53) + 1);
  EXPECT_EQ(apply("Add", 14, {big, Tensor::scalar<std::int64_t>(2)}).integer(0), (1LL << 53) + 3);
  EXPECT_EQ(apply("Pow", 13, {longs({}, {3}), longs({}, {39})}).integer(0), 4052555153018976267LL);
}

TEST(GenericArithmetic, HalfFloatsAreRoundedOnce) {
  const Tensor a = numbers(DType::F16, {2}, {2048, 60000});
  const Tensor y = apply("Add", 14, {a, numbers(DType::F16, {2}, {1, 60000})});
  EXPECT_EQ(y.dtype(), DType::F16);
  EXPECT_EQ(y.number(0), 2048);
  EXPECT_TRUE(std::isinf(y.number(1)));
}

TEST(GenericArithmetic, PowKeepsTheTypeOfTheBase) {
  const Tensor y = apply("Pow", 13, {floats({2}, {2, 3}), longs({2}, {3, 2})});
  EXPECT_EQ(y.dtype(), DType::F32);
  EXPECT_EQ(y.numbers(), (Numbers{8, 9}));
}

TEST(GenericArithmetic, NaNWinsInMaxAndMin) {
  const Tensor a = floats({2}, {1, std::nan("")});
  const Tensor b = floats({2}, {std::nan(""), 1});
  for (const char* type : {"Max", "Min"}) {
    const Tensor y = apply(type, 13, {a, b});
    EXPECT_TRUE(std::isnan(y.number(0)) && std::isnan(y.number(1))) << type;
  }
}

TEST(GenericClip, LimitsAreAttributesBeforeOpset11) {
  const Tensor x = floats({3}, {-1, 0.5, 7});
  EXPECT_EQ(apply("Clip", 6, {x}, {{"min", 0.0F}, {"max", 6.0F}}).numbers(), (Numbers{0, 0.5, 6}));
  EXPECT_EQ(apply("Clip", 13, {x, Tensor(), floats({}, {6})}).numbers(), (Numbers{-1, 0.5, 6}));
  EXPECT_EQ(apply("Clip", 13, {longs({2}, {-5, 5}), longs({}, {0})}).numbers(), (Numbers{0, 5}));
  EXPECT_EQ(apply("Clip", 13, {x, floats({}, {3}), floats({}, {1})}).numbers(), (Numbers{1, 1, 1}))
      << "the upper limit wins where they cross";
}

TEST(GenericSoftmax, IsOfAMatrixBeforeOpset13) {
  const Tensor x = Tensor::zeros(DType::F32, {2, 2, 2});
  EXPECT_EQ(apply("Softmax", 11, {x}).number(0), 0.25);
  EXPECT_EQ(apply("Softmax", 13, {x}).number(0), 0.5);
  EXPECT_EQ(apply("Softmax", 13, {floats({2}, {1000, 1000})}).numbers(), (Numbers{0.5, 0.5}));
  EXPECT_EQ(apply("Softmax", 13, {floats({0, 3}, {})}).shape(), (Shape{0, 3}));
}

TEST(GenericDropout, PassesAndRefusesTraining) {
  const Tensor x = floats({2}, {1, 2});
  const Result<Outputs> out = try_apply("Dropout", 13, {x}, {}, 2);
  ASSERT_TRUE(out);
  EXPECT_EQ((*out)[1].tensor().dtype(), DType::Bool);
  EXPECT_EQ((*try_apply("Dropout", 7, {x}, {}, 2))[1].tensor().dtype(), DType::F32);
  EXPECT_FALSE(try_apply("Dropout", 13, {x, floats({}, {0.5}), Tensor::scalar(true)}));
}

TEST(GenericWhere, ChoosesByTheCondition) {
  const Tensor c = numbers(DType::Bool, {2, 1}, {1, 0});
  const Tensor y = apply("Where", 16, {c, longs({2}, {1, 2}), longs({}, {9})});
  EXPECT_EQ(y.numbers(), (Numbers{1, 2, 9, 9}));
}

TEST(GenericCast, TextAndBack) {
  const Tensor text = Tensor::of_strings({4}, {"1.5", "-INF", "nan", " 2e3 "});
  const Tensor y = apply("Cast", 13, {text}, {{"to", std::int64_t{1}}});
  EXPECT_EQ(y.number(0), 1.5);
  EXPECT_EQ(y.number(1), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(y.number(2)));
  EXPECT_EQ(y.number(3), 2000);
  const Tensor back = apply("Cast", 13, {longs({2}, {-3, 12})}, {{"to", std::int64_t{8}}});
  EXPECT_EQ(back.strings(), (std::vector<std::string>{"-3", "12"}));
  EXPECT_EQ(try_apply("Cast", 13, {Tensor::of_strings({1}, {"x1"})}, {{"to", std::int64_t{7}}})
                .error()
                .message,
            "Cast: element 0 of operand 0, 'x1', is no number");
}

TEST(GenericBits, ShiftsBeyondTheWidthGiveZero) {
  const Tensor x = numbers(DType::U8, {2}, {255, 255});
  const Tensor by = numbers(DType::U8, {2}, {4, 8});
  EXPECT_EQ(apply("BitShift", 11, {x, by}, {{"direction", std::string("LEFT")}}).numbers(),
            (Numbers{240, 0}));
  EXPECT_EQ(apply("BitShift", 11, {x, by}, {{"direction", std::string("RIGHT")}}).numbers(),
            (Numbers{15, 0}));
}

TEST(GenericBits, SignedNumbersShiftArithmetically) {
  const Numbers x = {-8, -8, -8, 8, 8, 8, 127};
  const Numbers by = {1, -1, 40, 1, -1, 40, 1};
  for (const DType dtype : {DType::I8, DType::I16, DType::I32}) {
    const std::vector<Tensor> operands = {numbers(dtype, {7}, x), numbers(dtype, {7}, by)};
    EXPECT_EQ(apply("BitShift", 28, operands, {{"direction", std::string("RIGHT")}}).numbers(),
              (Numbers{-4, -1, -1, 4, 0, 0, 63}));
    EXPECT_EQ(apply("BitShift", 28, operands, {{"direction", std::string("LEFT")}}).numbers(),
              (Numbers{-16, 0, 0, 16, 0, 0, dtype == DType::I8 ? -2.0 : 254.0}));
  }
}

}  // namespace
}  // namespace rulec::generic
