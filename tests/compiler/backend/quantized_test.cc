// SPDX-License-Identifier: Apache-2.0
// Numbers of 8 bits: engines with fast kernels give the very bits of engines without, on random
// shapes, scales and zero points, with every instruction set that this machine runs, with one
// thread and with two.
#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "compiler/backend/build.h"
#include "runtime/session.h"

namespace rulec {
namespace {

using Integers = std::vector<std::int64_t>;

class Quantized : public testing::Test {
 protected:
  std::mt19937 random_{5};
  Model model_;
  std::vector<Value> feeds_;
  DType stored_ = DType::U8;  // of activations

  std::int64_t pick(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  float real(float low, float high) {
    return std::uniform_real_distribution<float>(low, high)(random_);
  }

  void start() {
    model_ = Model();
    model_.opset_imports = {{"", 17}};
    feeds_.clear();
    stored_ = pick(0, 1) == 0 ? DType::U8 : DType::I8;
  }
  Tensor integers(DType dtype, const Shape& shape, std::int64_t low, std::int64_t high) {
    Tensor t = Tensor::allocate(dtype, shape);
    for (std::int64_t i = 0; i < t.size(); ++i)
      t.set_integer(i, pick(low, high));
    return t;
  }
  Tensor reals(const Shape& shape, float low, float high) {
    Tensor t = Tensor::allocate(DType::F32, shape);
    for (std::int64_t i = 0; i < t.size(); ++i)
      t.mutable_data<float>()[i] = real(low, high);
    return t;
  }
  // Any number of `dtype`, the ends of its range often.
  Tensor any_stored(DType dtype, const Shape& shape) {
    const std::int64_t low = dtype == DType::I8 ? -128 : 0;
    return integers(dtype, shape, low, low + 255);
  }

  ValueId input(Tensor t) {
    const Type type = Type::tensor(t.dtype(), t.shape());
    feeds_.emplace_back(std::move(t));
    return model_.add_input(model_.main(), model_.fresh_value_name("in"), type);
  }
  ValueId weight(Tensor t) {
    return model_.add_initializer(model_.main(), model_.fresh_value_name("w"), std::move(t));
  }
  ValueId scale(float s) { return weight(Tensor::scalar(s)); }
  ValueId zero(DType dtype, bool symmetric = false) {
    const std::int64_t low = dtype == DType::I8 ? -128 : 0;
    return weight(integers(dtype, {}, symmetric ? 0 : low, symmetric ? 0 : low + 255));
  }
  ValueId node(const char* type, std::vector<ValueId> in, std::vector<Attribute> attributes = {}) {
    const NodeId id =
        model_.add_node(model_.main(), {.name = model_.fresh_node_name(type),
                                        .type = type,
                                        .inputs = std::move(in),
                                        .attributes = Attributes(std::move(attributes))});
    return model_.node(id).outputs[0];
  }
  ValueId dequantized(ValueId x) {
    return node("DequantizeLinear", {x, scale(real(0.001F, 0.1F)), zero(stored_)});
  }
  ValueId quantized(ValueId x, float s) {
    return node("QuantizeLinear", {x, scale(s), zero(stored_)});
  }
  // Weights [oc, …] as DequantizeLinear gives them.
  ValueId weights(const Shape& shape, std::int64_t axis) {
    const DType dtype = pick(0, 2) == 0 ? DType::U8 : DType::I8;
    const ValueId w = weight(any_stored(dtype, shape));
    if (pick(0, 1) == 0)
      return node("DequantizeLinear", {w, scale(real(0.001F, 0.1F)), zero(dtype, pick(0, 1) == 0)});
    const std::int64_t channels = shape[static_cast<std::size_t>(axis)];
    const ValueId zeros =
        weight(pick(0, 1) == 0 ? Tensor::zeros(dtype, {channels}) : any_stored(dtype, {channels}));
    return node("DequantizeLinear", {w, weight(reals({channels}, 0.001F, 0.1F)), zeros},
                {{"axis", axis}});
  }

  std::optional<Tensor> run(const BuildOptions& options, int threads, const std::string& kernel) {
    auto built = build_engine(model_, options);
    if (!built) {
      ADD_FAILURE() << built.error().message;
      return std::nullopt;
    }
    bool found = kernel.empty();
    std::string notes;
    for (const auto& r : built->report) {
      found = found || r.kernel == kernel;
      notes += fmt::format("{} {}: {} {}\n", r.type, r.node, r.kernel, r.note);
    }
    EXPECT_TRUE(found) << "nothing became " << kernel << "\n" << notes;
    auto engine = Engine::load_bytes(built->bytes);
    if (!engine) {
      ADD_FAILURE() << engine.error().message;
      return std::nullopt;
    }
    auto session = Session::create(*engine, {.threads = threads});
    auto got = session->run(feeds_);
    if (!got) {
      ADD_FAILURE() << got.error().message;
      return std::nullopt;
    }
    return (*got)[0].tensor();
  }

  // How many results differ.
  void check(ValueId out, const std::string& kernel, const std::string& what) {
    model_.add_output(model_.main(), out);
    const auto want = run({.fast_kernels = false}, 1, "");
    ASSERT_TRUE(want) << what;
    for (const Isa isa : {Isa::Portable, Isa::Avx2, Isa::Avx512}) {
      if (isa > detected_isa()) continue;
      for (const int threads : {1, 2}) {
        const auto got = run({.isa = isa}, threads, kernel);
        ASSERT_TRUE(got) << what;
        ASSERT_EQ(to_string(want->shape()), to_string(got->shape())) << what;
        std::int64_t differ = 0;
        for (std::int64_t i = 0; i < want->size(); ++i)
          differ += want->number(i) == got->number(i) ? 0 : 1;
        ASSERT_EQ(differ, 0) << what << ", " << name(isa) << ": of " << want->size();
      }
    }
  }

  // A scale that puts most of a product's results inside of the range.
  static float result_scale(std::int64_t depth) {
    return 0.03F * std::sqrt(static_cast<float>(depth));
  }
};

TEST_F(Quantized, Convolutions) {
  for (int trial = 0; trial < 60; ++trial) {
    start();
    const bool depthwise = trial % 3 == 2;
    const std::int64_t kh = pick(1, 4), kw = trial % 5 == 0 ? 1 : pick(1, 4), n = pick(1, 2);
    const std::int64_t ic = pick(1, 40), oc = depthwise ? ic : pick(1, 40);
    const std::int64_t h = pick(4, 14), w = pick(4, 14);
    const std::int64_t dilation = h >= 2 * kh && w >= 2 * kw ? pick(1, 2) : 1;
    const ValueId x = dequantized(input(any_stored(stored_, {n, ic, h, w})));
    std::vector<ValueId> operands = {x, weights({oc, depthwise ? 1 : ic, kh, kw}, 0)};
    if (pick(0, 1) == 0) operands.push_back(weight(reals({oc}, -5, 5)));
    ValueId y = node(
        "Conv", operands,
        {{"pads", Integers{pick(0, kh - 1), pick(0, kw - 1), pick(0, kh - 1), pick(0, kw - 1)}},
         {"strides", Integers{pick(1, 2), pick(1, 3)}},
         {"dilations", Integers{dilation, dilation}},
         {"group", depthwise ? ic : 1}});
    if (trial % 4 == 1) y = node("Relu", {y});
    if (trial % 4 == 2) y = node("Clip", {y, scale(0), scale(6)});
    check(quantized(y, result_scale(kh * kw * (depthwise ? 1 : ic))),
          depthwise && ic > 1 ? "QuantizedDepthwise" : "QuantizedConv",
          fmt::format("trial {}: {}x{}x{}x{} to {}, {}x{}", trial, n, ic, h, w, oc, kh, kw));
  }
}

TEST_F(Quantized, PointwiseConvolutionsAndMatrices) {
  for (int trial = 0; trial < 40; ++trial) {
    start();
    const std::int64_t k = pick(1, 300), m = pick(1, 70), rows = pick(1, 90);
    ValueId y;
    switch (trial % 3) {
      case 0: {
        const ValueId x = dequantized(input(any_stored(stored_, {1, k, rows, 1})));
        y = node("Conv", {x, weights({m, k, 1, 1}, 0)});
        break;
      }
      case 1: {
        const ValueId x = dequantized(input(any_stored(stored_, {rows, k})));
        const bool transposed = pick(0, 1) == 0;
        const ValueId w = transposed ? weights({m, k}, 0) : weights({k, m}, 1);
        y = node("Gemm", {x, w, weight(reals({m}, -5, 5))}, {{"transB", std::int64_t{transposed}}});
        break;
      }
      default:
        y = node("MatMul",
                 {dequantized(input(any_stored(stored_, {2, rows, k}))), weights({k, m}, 1)});
    }
    check(quantized(y, result_scale(k)), "QuantizedConv",
          fmt::format("trial {}: {} rows of {} to {}", trial, rows, k, m));
  }
}

// Nothing but the ends of the ranges: two products of bytes leave 16 bits wherever they can.
TEST_F(Quantized, LargestProducts) {
  for (int trial = 0; trial < 48; ++trial) {
    start();
    const std::int64_t kernel = trial % 2 == 0 ? 1 : 3, ic = pick(1, 40), oc = pick(1, 40);
    const auto ends = [&](DType dtype, const Shape& shape, bool one) {
      const std::int64_t low = dtype == DType::I8 ? -128 : 0;
      Tensor t = Tensor::allocate(dtype, shape);
      for (std::int64_t i = 0; i < t.size(); ++i)
        t.set_integer(
            i, one || pick(0, 1) == 0 ? low + 255 : low + (dtype == DType::I8 ? trial / 4 % 2 : 0));
      return t;
    };
    const DType dtype = trial % 3 == 0 ? DType::U8 : DType::I8;
    const bool one = trial % 8 == 7;
    const ValueId s = scale(0.01F);
    const ValueId x = node("DequantizeLinear", {input(ends(stored_, {1, ic, 9, 8}, one)), s,
                                                weight(ends(stored_, {}, trial % 5 == 0))});
    const ValueId w =
        node("DequantizeLinear",
             {weight(ends(dtype, {oc, ic, kernel, kernel}, one)), s,
              weight(trial % 4 == 0 ? ends(dtype, {}, true) : Tensor::zeros(dtype, {}))});
    const ValueId y = node("Conv", {x, w}, {{"pads", Integers(4, kernel / 2)}});
    check(quantized(y, 0.02F * static_cast<float>(kernel * kernel * ic)), "QuantizedConv",
          fmt::format("trial {}: {} to {}, {}x{}", trial, ic, oc, kernel, kernel));
  }
}

TEST_F(Quantized, WinogradOfIntegers) {
  for (int trial = 0; trial < 24; ++trial) {
    start();
    const std::int64_t ic = trial % 3 == 0 ? 64 : 32, oc = pick(20, 40), n = pick(1, 2);
    const std::int64_t h = pick(20, 26), w = pick(20, 26);
    Tensor stored = any_stored(stored_, {n, ic, h, w});
    const DType dtype = trial % 4 == 0 ? DType::U8 : DType::I8;
    Tensor factors = any_stored(dtype, {oc, ic, 3, 3});
    if (trial % 6 == 5) {  // the largest sums that there are
      for (std::int64_t i = 0; i < stored.size(); ++i)
        stored.set_integer(i, stored_ == DType::I8 ? -128 : 255);
      for (std::int64_t i = 0; i < factors.size(); ++i)
        factors.set_integer(i, dtype == DType::I8 ? -128 : 255);
    }
    const ValueId x = dequantized(input(std::move(stored)));
    const ValueId weights =
        node("DequantizeLinear",
             {weight(std::move(factors)), scale(real(0.001F, 0.1F)), zero(dtype, trial % 2 == 0)});
    std::vector<ValueId> operands = {x, weights};
    if (pick(0, 1) == 0) operands.push_back(weight(reals({oc}, -5, 5)));
    ValueId y = node("Conv", operands,
                     {{"pads", Integers{pick(0, 2), pick(0, 2), pick(0, 2), pick(0, 2)}}});
    if (trial % 4 == 1) y = node("Relu", {y});
    check(quantized(y, result_scale(9 * ic)), "QuantizedWinograd",
          fmt::format("trial {}: {}x{}x{}x{} to {}", trial, n, ic, h, w, oc));
  }
}

// Where every sum lies between two steps: scales that are powers of two are exact, halves are met,
// and go to the even number.
TEST_F(Quantized, HalvesGoToTheEvenNumber) {
  start();
  stored_ = DType::I8;
  const ValueId s = scale(1), zero = weight(Tensor::zeros(DType::I8, {}));
  const ValueId x = node("DequantizeLinear", {input(any_stored(stored_, {1, 8, 20, 20})), s, zero});
  const ValueId w =
      node("DequantizeLinear", {weight(integers(DType::I8, {16, 8, 1, 1}, -3, 3)), s, zero});
  check(node("QuantizeLinear", {node("Conv", {x, w}), scale(2), zero}), "QuantizedConv", "halves");
}

TEST_F(Quantized, LinearProducts) {
  for (int trial = 0; trial < 30; ++trial) {
    start();
    const std::int64_t k = pick(1, 70), m = pick(1, 40);
    const DType dtype = pick(0, 1) == 0 ? DType::U8 : DType::I8;
    const bool conv = trial % 2 == 0;
    const std::int64_t size = conv ? 3 : 1;
    const ValueId x = input(any_stored(stored_, conv ? Shape{1, k, 9, 7} : Shape{13, k}));
    const ValueId w = weight(any_stored(dtype, conv ? Shape{m, k, size, size} : Shape{k, m}));
    const bool each = pick(0, 1) == 0;
    const ValueId ws = each ? weight(reals({m}, 0.001F, 0.1F)) : scale(real(0.001F, 0.1F));
    const ValueId wz = each ? weight(any_stored(dtype, {m})) : zero(dtype);
    std::vector<ValueId> operands = {x,
                                     scale(real(0.001F, 0.1F)),
                                     zero(stored_),
                                     w,
                                     ws,
                                     wz,
                                     scale(result_scale(k * size * size)),
                                     zero(stored_)};
    if (conv && pick(0, 1) == 0) {
      operands.push_back(weight(integers(DType::I32, {m}, -10000, 10000)));
    }
    check(node(conv ? "QLinearConv" : "QLinearMatMul", operands), "QuantizedConv",
          fmt::format("trial {}: {} to {}", trial, k, m));
  }
}

TEST_F(Quantized, WhatStandsBetweenProducts) {
  for (int trial = 0; trial < 24; ++trial) {
    start();
    const Shape shape = {pick(1, 2), pick(1, 70), pick(1, 9), pick(1, 9)};
    const ValueId a = input(any_stored(stored_, shape)), b = input(any_stored(stored_, shape));
    ValueId y;
    switch (trial % 4) {
      case 0:
        y = node("Add", {dequantized(a), dequantized(b)});
        break;
      case 1:
        y = node("Relu", {node("Add", {dequantized(a), dequantized(b)})});
        break;
      case 2:
        y = node("Mul", {dequantized(a), dequantized(b)});
        break;
      default:
        y = node("GlobalAveragePool", {dequantized(a)});
    }
    check(quantized(y, 0.05F), "Quantized", fmt::format("trial {}", trial));
  }
}

// By a table of 256 results, made when the engine is built. With these scales some of the exact
// results lie halfway between two numbers.
TEST_F(Quantized, FunctionsOfOneNumber) {
  for (const char* type : {"Sigmoid", "Tanh", "HardSigmoid", "LeakyRelu", "Elu", "Identity"}) {
    for (int trial = 0; trial < 6; ++trial) {
      start();
      const float s = trial % 2 == 0 ? 0.02F : real(0.001F, 0.1F);
      ValueId y = node("DequantizeLinear",
                       {input(any_stored(stored_, {1, 7, 9, 9})), scale(s), zero(stored_)});
      std::vector<Attribute> attributes;
      if (std::string_view(type) == "LeakyRelu") attributes = {{"alpha", 0.3F}};
      if (std::string_view(type) != "Identity") y = node(type, {y}, std::move(attributes));
      if (trial > 3) y = node("Relu", {y});
      check(quantized(y, trial % 2 == 0 ? 0.02F : real(0.001F, 0.1F)), "Quantized",
            fmt::format("{} {}", type, trial));
    }
  }
}

TEST_F(Quantized, ThereAndBack) {
  for (int trial = 0; trial < 10; ++trial) {
    start();
    const Shape shape = {1, pick(1, 20), pick(1, 70), pick(1, 70)};
    Tensor x = reals(shape, -20, 20);
    x.mutable_data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
    x.mutable_data<float>()[x.size() / 2] = std::numeric_limits<float>::infinity();
    check(quantized(input(std::move(x)), real(0.01F, 0.2F)), "Quantized", "to 8 bits");
    start();
    check(dequantized(input(any_stored(stored_, shape))), "Quantized", "from 8 bits");
  }
}

// Parts of several scales become the whole's, between convolutions without leaving [N,H,W,C].
TEST_F(Quantized, PartsOfAWhole) {
  for (int trial = 0; trial < 12; ++trial) {
    start();
    const std::int64_t h = pick(1, 9), w = pick(1, 9), parts = 2 + trial % 3;
    const float s = 0.05F;
    const ValueId z = zero(stored_);
    std::vector<ValueId> joined;
    for (std::int64_t i = 0; i < parts; ++i) {
      const std::int64_t ic = pick(1, 20);
      ValueId x = dequantized(input(any_stored(stored_, {1, ic, h, w})));
      if (trial % 2 == 0) {
        const ValueId y = node("Conv", {x, weights({pick(1, 30), ic, 1, 1}, 0)});
        x = dequantized(quantized(y, result_scale(ic)));
      }
      joined.push_back(x);
    }
    ValueId y = node("Concat", joined, {{"axis", std::int64_t{1}}});
    y = node("QuantizeLinear", {y, scale(s), z});
    check(y, "Copy", fmt::format("trial {}", trial));
  }
}

TEST_F(Quantized, MovedNumbers) {
  for (int trial = 0; trial < 6; ++trial) {
    start();
    const float s = real(0.001F, 0.1F);
    const std::int64_t least = stored_ == DType::I8 ? -128 : 0;
    const ValueId z = weight(integers(stored_, {}, least, least + 255));
    ValueId y = node("DequantizeLinear", {input(any_stored(stored_, {1, 8, 6, 4})), scale(s), z});
    const auto list = [&](std::vector<std::int64_t> of) {
      return weight(
          Tensor::of<std::int64_t>({static_cast<std::int64_t>(of.size())}, std::span(of)));
    };
    switch (trial) {
      case 0:
        y = node("Slice", {y, list({1}), list({7}), list({1}), list({2})});
        break;
      case 1:
        y = node("Squeeze", {y, list({0})});
        break;
      case 2:
        y = node("Unsqueeze", {y, list({0, 3})});
        break;
      case 3:
        y = node("Gather", {y, list({3, 1, 2})}, {{"axis", std::int64_t{2}}});
        break;
      case 4:
        y = node("DepthToSpace", {y}, {{"blocksize", std::int64_t{2}}});
        break;
      default:
        y = node("SpaceToDepth", {y}, {{"blocksize", std::int64_t{2}}});
    }
    check(node("QuantizeLinear", {y, scale(s), z}), "", fmt::format("trial {}", trial));
  }
}

TEST_F(Quantized, OperatorsOfOnnxRuntime) {
  for (int trial = 0; trial < 8; ++trial) {
    start();
    model_.opset_imports.emplace_back("com.microsoft", 1);
    const Shape shape = {1, pick(1, 40), pick(1, 9), pick(1, 9)};
    const auto operand = [&](const Shape& of) {
      return std::vector<ValueId>{input(any_stored(stored_, of)), scale(real(0.001F, 0.1F)),
                                  zero(stored_)};
    };
    std::vector<ValueId> in = operand(shape);
    static constexpr const char* types[] = {"QLinearAdd", "QLinearMul", "QLinearSigmoid",
                                            "QLinearLeakyRelu"};
    const char* const type = types[trial % 4];
    if (trial % 4 < 2) {
      const std::vector<ValueId> other = operand(shape);
      in.insert(in.end(), other.begin(), other.end());
    }
    in.push_back(scale(real(0.005F, 0.05F)));
    in.push_back(zero(stored_));
    const NodeId id = model_.add_node(
        model_.main(),
        {.name = "q", .domain = "com.microsoft", .type = type, .inputs = in, .attributes = {}});
    check(model_.node(id).outputs[0], "Quantized", fmt::format("{} {}", type, trial));
  }
}

TEST_F(Quantized, GreatestNumbers) {
  for (int trial = 0; trial < 10; ++trial) {
    start();
    const ValueId x = input(any_stored(stored_, {1, pick(1, 40), pick(4, 12), pick(4, 12)}));
    check(node("MaxPool", {x},
               {{"kernel_shape", Integers{3, 2}},
                {"strides", Integers{2, 1}},
                {"pads", Integers{1, 0, 1, 1}}}),
          "QuantizedPool", fmt::format("trial {}", trial));
  }
}

}  // namespace
}  // namespace rulec
