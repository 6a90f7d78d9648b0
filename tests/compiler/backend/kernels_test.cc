// SPDX-License-Identifier: Apache-2.0
// Each fast kernel, through lowering, against the generic kernels: many shapes, both instruction
// sets that this machine runs, one thread and two (bit for bit).
#include <algorithm>

#include "tests/compiler/backend/kernels_fixture.h"

namespace rulec {
namespace {

TEST_F(Kernels, Convolution) {
  for (int trial = 0; trial < 60; ++trial) {
    Model m = start();
    const std::int64_t n = pick(1, 2), kh = pick(1, 5), kw = trial % 3 ? kh : pick(1, 5);
    const std::int64_t ic = trial % 4 == 0 ? pick(1, 4) : pick(5, 40), oc = pick(1, 50);
    const std::int64_t h = pick(kh, 20), w = pick(kw, 23), sh = pick(1, 3), sw = pick(1, 3);
    const std::int64_t dh = h >= 2 * kh ? pick(1, 2) : 1, dw = w >= 2 * kw ? pick(1, 2) : 1;
    const Integers pads = {pick(0, kh - 1), pick(0, kw - 1), pick(0, kh - 1), pick(0, kw - 1)};
    const ValueId x = input(m, {n, ic, h, w});
    ValueId y =
        node(m, "Conv", {x, weight(m, uniform({oc, ic, kh, kw})), weight(m, uniform({oc}))},
             {{"pads", pads}, {"strides", Integers{sh, sw}}, {"dilations", Integers{dh, dw}}});
    static const char* const acts[] = {"Relu", "Sigmoid", "Tanh", "HardSwish", "LeakyRelu", "Elu"};
    if (trial % 2) y = node(m, acts[static_cast<std::size_t>(trial / 2 % 6)], {y});
    check(m, y, ic <= 4 ? "ConvStem" : "Conv",
          fmt::format("conv {}x{}x{}x{} to {} k {}x{} s {}x{}", n, ic, h, w, oc, kh, kw, sh, sw));
  }
}

TEST_F(Kernels, DepthwiseAndGroups) {
  for (int trial = 0; trial < 40; ++trial) {
    Model m = start();
    const bool grouped = trial % 4 == 3;
    const std::int64_t k = trial % 2 ? 3 : (trial % 3 ? 5 : 2), s = pick(1, 3), p = pick(0, k / 2);
    const std::int64_t groups = grouped ? pick(2, 4) : pick(2, 40);
    const std::int64_t per = grouped ? pick(2, 9) : 1, c = groups * per;
    const ValueId x = input(m, {pick(1, 2), c, pick(k, 19), pick(k, 30)});
    ValueId y =
        node(m, "Conv", {x, weight(m, uniform({c, per, k, k})), weight(m, uniform({c}))},
             {{"pads", Integers{p, p, p, p}}, {"strides", Integers{s, s}}, {"group", groups}});
    if (trial % 2)
      y = node(m, "Clip", {y, weight(m, Tensor::scalar(0.0f)), weight(m, Tensor::scalar(0.5f))});
    // Few channels of one group are a stem's affair only without groups.
    check(m, y, grouped ? "Conv" : "ConvDepthwise", fmt::format("depthwise {} k{} s{}", c, k, s));
  }
}

TEST_F(Kernels, ResidualsAndActivationsAreFused) {
  for (std::int64_t c : {16, 20, 32, 7}) {
    for (int form = 0; form < 6; ++form) {
      Model m = start();
      const ValueId x = input(m, {1, c, 9, 11});
      const auto conv = [&](ValueId from) {
        return node(m, "Conv", {from, weight(m, uniform({c, c, 3, 3}, -0.1f, 0.1f))},
                    {{"pads", Integers{1, 1, 1, 1}}});
      };
      ValueId y = conv(x);
      if (form == 0) y = node(m, "Relu", {node(m, "Add", {y, conv(x)})});
      if (form == 1) y = node(m, "Add", {node(m, "Relu", {y}), x});
      if (form == 2) y = node(m, "Mul", {y, node(m, "Sigmoid", {y})});
      if (form == 3) y = node(m, "PRelu", {y, weight(m, uniform({c, 1, 1}))});
      if (form == 4) {  // squeeze and excitation
        const ValueId g =
            node(m, "Sigmoid",
                 {node(m, "Conv",
                       {node(m, "GlobalAveragePool", {y}), weight(m, uniform({c, c, 1, 1}))})});
        y = node(m, "Mul", {y, g});
      }
      if (form == 5) {
        const ValueId three = weight(m, Tensor::scalar(3.0f)),
                      six = weight(m, Tensor::scalar(6.0f));
        const ValueId clip =
            node(m, "Clip", {node(m, "Add", {y, three}), weight(m, Tensor::scalar(0.0f)), six});
        y = node(m, "Div", {node(m, "Mul", {y, clip}), six});
      }
      y = conv(y);
      check(m, y, "Conv", fmt::format("form {} with {} channels", form, c));
    }
  }
}

// A factor a channel goes into the weights where these are fewer than what it would be applied to.
TEST_F(Kernels, ScalesOfChannelsGoIntoTheWeights) {
  int absorbed = 0;
  for (int trial = 0; trial < 24; ++trial) {
    Model m = start();
    const std::int64_t n = trial % 3 ? 1 : 2, c = pick(5, 70), oc = pick(2, 60);
    const std::int64_t h = trial % 6 == 5 ? 3 : pick(12, 17), w = pick(11, 19);
    const ValueId x = input(m, {n, c, h, w});
    const ValueId a = node(m, "Conv", {x, weight(m, uniform({c, c, 1, 1}, -0.2f, 0.2f))});
    ValueId s = node(m, "GlobalAveragePool", {a});
    s = node(m, "Sigmoid", {node(m, "Conv", {s, weight(m, uniform({c, c, 1, 1}))})});
    ValueId y = trial % 2 ? node(m, "Mul", {s, a}) : node(m, "Mul", {a, s});
    const ValueId scaled = y;
    y = node(m, "Conv", {y, weight(m, uniform({oc, c, 1, 1})), weight(m, uniform({oc}))});
    if (trial % 4 == 1) y = node(m, "PRelu", {y, weight(m, uniform({oc, 1, 1}))});
    if (trial % 4 == 2) y = node(m, "HardSwish", {node(m, "Add", {y, input(m, {n, oc, h, w})})});
    if (trial % 8 == 7) {
      // Read twice, it stays.
      m.add_output(m.main(), node(m, "Relu", {scaled}));
    } else {
      const auto built = build_engine(
          [&] {
            Model copy = m;
            copy.add_output(copy.main(), y);
            return copy;
          }(),
          {});
      ASSERT_TRUE(built);
      for (const auto& r : built->report)
        absorbed += r.type == "Mul" && r.kernel.empty() && r.note.starts_with("fused") ? 1 : 0;
      check(m, y, "Conv", fmt::format("scaled {}x{}x{}x{} to {}", n, c, h, w, oc));
      continue;
    }
    feeds_.clear();
  }
  EXPECT_GT(absorbed, 8);
}

TEST_F(Kernels, StemsOfImagesWithChannelsLast) {
  for (int trial = 0; trial < 16; ++trial) {
    Model m = start();
    const std::int64_t n = pick(1, 2), ic = trial % 2 ? 3 : pick(1, 4), k = pick(1, 5);
    const std::int64_t oc = trial % 3 ? pick(1, 40) : 24, s = pick(1, 3), p = pick(0, k - 1);
    const std::int64_t h = pick(k, 21), w = pick(k, 40);
    ValueId y = node(m, "Transpose", {input(m, {n, h, w, ic})}, {{"perm", Integers{0, 3, 1, 2}}});
    y = node(m, "Conv", {y, weight(m, uniform({oc, ic, k, k})), weight(m, uniform({oc}))},
             {{"pads", Integers{p, 0, p, p}}, {"strides", Integers{s, s}}});
    if (trial % 4) y = node(m, trial % 4 == 1 ? "Relu" : "HardSwish", {y});
    if (trial % 4 == 3) {
      const Shape shape = {n, oc, (h + 2 * p - k) / s + 1, (w + p - k) / s + 1};
      y = node(m, "Add", {y, input(m, shape)});
    }
    check(m, y, "ConvStem", fmt::format("stem {}x{}x{}x{} to {} k {} s {}", n, h, w, ic, oc, k, s));
  }
}

TEST_F(Kernels, WinogradInBothForms) {
  const auto form_of = [](const Model& m, Optimize optimize) {
    BuildOptions options;
    options.optimize = optimize;
    const auto built = build_engine(m, options);
    EXPECT_TRUE(built);
    std::string forms;
    for (const auto& r : built->report) {
      if (r.type.ends_with("Conv")) forms += r.kernel + " " + r.note + ";";
    }
    return forms;
  };
  int small_tiles = 0, large_tiles = 0;
  for (int trial = 0; trial < 48; ++trial) {
    Model m = start();
    const std::int64_t n = trial % 5 == 4 ? 2 : 1, ic = pick(16, 70), oc = pick(16, 70);
    const std::int64_t h = trial % 3 ? pick(3, 9) : pick(10, 33), w = trial % 3 ? h : pick(5, 40);
    const Integers pads = {pick(0, 1), pick(0, 1), pick(0, 2), pick(0, 2)};
    const ValueId x = input(m, {n, ic, h, w});
    ValueId y = node(m, "Conv",
                     {x, weight(m, uniform({oc, ic, 3, 3}, -0.2f, 0.2f)), weight(m, uniform({oc}))},
                     {{"pads", pads}});
    static const char* const acts[] = {"Relu", "Sigmoid", "HardSwish", "LeakyRelu"};
    if (trial % 2) y = node(m, acts[static_cast<std::size_t>(trial / 2 % 4)], {y});
    if (trial % 8 == 6) {
      const Shape shape = {n, oc, h + pads[0] + pads[2] - 2, w + pads[1] + pads[3] - 2};
      y = node(m, "Relu", {node(m, "Add", {y, input(m, shape)})});
    }
    check(m, y, "Conv", fmt::format("conv {}x{}x{}x{} to {}", n, ic, h, w, oc));
    const std::string forms = form_of(m, Optimize::Latency);
    small_tiles += forms.find("F(2,3)") != std::string::npos ? 1 : 0;
    large_tiles += forms.find("F(4,3)") != std::string::npos ? 1 : 0;
    EXPECT_EQ(form_of(m, Optimize::Size).find("Winograd"), std::string::npos);
  }
  EXPECT_GE(small_tiles, 4);
  EXPECT_GE(large_tiles, 12);

  // Weights above a megabyte are not multiplied by four but where only latency counts.
  Model m = start();
  const ValueId x = input(m, {1, 160, 16, 16});
  m.add_output(m.main(), node(m, "Conv", {x, weight(m, uniform({160, 160, 3, 3}))},
                              {{"pads", Integers{1, 1, 1, 1}}}));
  feeds_.clear();
  EXPECT_EQ(form_of(m, Optimize::Latency), "ConvWinograd F(4,3);");
  EXPECT_EQ(form_of(m, Optimize::Balanced), "Conv ;");
}

TEST_F(Kernels, TransposedConvolutions) {
  for (int trial = 0; trial < 40; ++trial) {
    Model m = start();
    const bool flat = trial % 5 == 4;
    const std::int64_t groups = trial % 3 == 2 ? pick(2, 3) : 1;
    const std::int64_t ic = groups * pick(1, 9), per = pick(1, 9), k = pick(1, 4);
    const std::int64_t s = pick(1, 3), d = pick(1, 2),
                       p = pick(0, std::max<std::int64_t>(0, d * (k - 1) - s + 1));
    const std::int64_t extra = s > 1 ? pick(0, 1) : 0;
    const std::size_t rank = flat ? 1 : 2;
    Shape shape = {pick(1, 2), ic, pick(4, 9)}, kernel = {ic, per, k};
    if (!flat) {
      shape.push_back(pick(4, 9));
      kernel.push_back(k);
    }
    const ValueId x = input(m, shape);
    const ValueId y = node(m, "ConvTranspose",
                           {x, weight(m, uniform(kernel)), weight(m, uniform({groups * per}))},
                           {{"pads", Integers(2 * rank, p)},
                            {"strides", Integers(rank, s)},
                            {"dilations", Integers(rank, d)},
                            {"output_padding", Integers(rank, extra)},
                            {"group", groups}});
    const bool fast = d * (k - 1) - p >= 0 && d * (k - 1) - p + extra - (s - 1) >= 0;
    check(m, y, fast ? "Conv" : "",
          fmt::format("transposed {} of {} k{} s{} d{} p{} extra {}", per, ic, k, s, d, p, extra));
  }
}

TEST_F(Kernels, FilterBanks) {
  for (std::int64_t filters : {1, 2, 17}) {
    for (std::int64_t stride : {1, 2, 8}) {
      Model m = start();
      const std::int64_t window = pick(20, 70), length = window + stride * pick(0, 70);
      const ValueId x = input(m, {1, 1, 1, length});
      const ValueId y =
          node(m, "Conv",
               {x, weight(m, uniform({filters, 1, 1, window})), weight(m, uniform({filters}))},
               {{"strides", Integers{1, stride}}});
      check(m, y, "Gemm",
            fmt::format("{} filters of {} over {} by {}", filters, window, length, stride));
    }
  }
}

// Short rows, whose tiles take pixels of several; single pixels; many channels on few pixels.
TEST_F(Kernels, SmallMaps) {
  for (int trial = 0; trial < 40; ++trial) {
    Model m = start();
    const std::int64_t k = trial % 2 ? 1 : 3, s = pick(1, 2), size = trial % 5 ? pick(1, 8) : 1;
    const std::int64_t ic = pick(30, 130), oc = pick(30, 200);
    const std::int64_t out = (size - 1) / s + 1;
    const ValueId x = input(m, {pick(1, 2), ic, size, size});
    const std::int64_t n = feeds_.back().tensor().dim(0);
    ValueId y = node(m, "Conv",
                     {x, weight(m, uniform({oc, ic, k, k}, -0.1f, 0.1f)), weight(m, uniform({oc}))},
                     {{"pads", Integers{k / 2, k / 2, k / 2, k / 2}}, {"strides", Integers{s, s}}});
    if (trial % 3 == 1) y = node(m, "Sigmoid", {y});
    if (trial % 3 == 2) {
      y = node(m, "Add", {y, input(m, {n, oc, out, out})});
      if (trial % 4 == 0) y = node(m, "Relu", {y});
    }
    check(m, y, "Conv", fmt::format("conv k{} s{} of {} at {}x{} to {}", k, s, ic, size, size, oc));
  }
}

TEST_F(Kernels, Pooling) {
  for (int trial = 0; trial < 40; ++trial) {
    Model m = start();
    const std::int64_t k = pick(1, 4), p = pick(0, k / 2), s = pick(1, 3);
    // Beyond this ONNX's inference counts windows that lie behind the input.
    const std::int64_t ceil = p + s <= k ? pick(0, 1) : 0;
    const ValueId x = input(m, {pick(1, 2), pick(1, 40), pick(k + 1, 15), pick(k + 1, 15)});
    std::vector<Attribute> a = {{"kernel_shape", Integers{k, k}},
                                {"pads", Integers{p, p, p, p}},
                                {"strides", Integers{s, s}},
                                {"ceil_mode", ceil}};
    if (trial % 2) a.push_back({"count_include_pad", std::int64_t{trial % 4 == 1}});
    check(m, node(m, trial % 2 ? "AveragePool" : "MaxPool", {x}, a), "Pool",
          fmt::format("{} k{} p{} s{} ceil {}", trial % 2 ? "average" : "max", k, p, s, ceil));
  }
  for (const char* type : {"GlobalAveragePool", "GlobalMaxPool"}) {
    Model m = start();
    check(m, node(m, type, {input(m, {2, 21, 5, 7})}), "GlobalPool", type);
  }
}

TEST_F(Kernels, Products) {
  for (int trial = 0; trial < 40; ++trial) {
    Model m = start();
    const std::int64_t rows = trial % 3 ? pick(1, 30) : 1, k = pick(1, 70), n = pick(1, 100);
    if (trial % 2) {
      const bool transposed = trial % 4 == 1;
      const ValueId y =
          node(m, "Gemm",
               {input(m, {rows, k}), weight(m, uniform(transposed ? Shape{n, k} : Shape{k, n})),
                weight(m, uniform({n}))},
               {{"transB", std::int64_t{transposed}}, {"alpha", 0.5f}, {"beta", 2.0f}});
      check(m, trial % 8 == 1 ? node(m, "Tanh", {y}) : y, "Gemm",
            fmt::format("gemm {}x{}x{}", rows, k, n));
    } else {
      const ValueId y = node(m, "MatMul", {input(m, {2, 1, rows, k}), input(m, {3, k, n})});
      check(m, y, "MatMul", fmt::format("matmul {}x{}x{}", rows, k, n));
    }
  }
}

TEST_F(Kernels, ElementwiseWithBroadcasting) {
  const std::vector<std::pair<Shape, Shape>> shapes = {{{2, 3, 5, 7}, {2, 3, 5, 7}},
                                                       {{2, 3, 5, 7}, {1, 3, 1, 1}},
                                                       {{2, 3, 5, 7}, {7}},
                                                       {{1, 5}, {4, 1}},
                                                       {{3, 1, 40}, {1, 33, 40}},
                                                       {{2000}, {2000}},
                                                       {{1}, {1}},
                                                       {{17, 1100}, {17, 1}},
                                                       {{6, 4}, {4}}};
  for (const char* type : {"Add", "Sub", "Mul", "Div", "Min", "Max"}) {
    for (const auto& [a, b] : shapes) {
      for (const bool swapped : {false, true}) {
        Model m = start();
        const ValueId x = input(m, a), y = input(m, b);
        check(m, node(m, type, {swapped ? y : x, swapped ? x : y}), "Chain",
              fmt::format("{} {} {}", type, to_string(a), to_string(b)));
      }
    }
  }
  for (const char* type :
       {"Relu", "Sigmoid", "Tanh", "Exp", "Erf", "Neg", "Abs", "Floor", "Ceil", "Round", "Sin",
        "Cos", "Sign", "Softplus", "Elu", "HardSigmoid", "HardSwish", "Mish"}) {
    Model m = start();
    m.opset_imports = {{"", 18}};
    const ValueId scaled = node(m, "Mul", {input(m, {3, 345}), weight(m, Tensor::scalar(8.0f))});
    check(m, node(m, type, {scaled}), "", type);
  }
  for (const char* type : {"Log", "Sqrt", "Reciprocal"}) {
    Model m = start();
    const ValueId positive = node(m, "Exp", {input(m, {3, 345})});
    check(m, node(m, type, {positive}), "", type);
  }
}

TEST_F(Kernels, Rows) {
  for (int trial = 0; trial < 30; ++trial) {
    Model m = start();
    const Shape s = {pick(1, 5), pick(1, 40), pick(1, 40)};
    const std::int64_t axis = pick(0, 2);
    const ValueId x = input(m, s);
    static const char* const types[] = {"Softmax", "LogSoftmax", "ReduceMean", "ReduceMax",
                                        "ReduceL2"};
    const char* type = types[trial % 5];
    const bool soft = trial % 5 < 2;
    std::vector<Attribute> a;
    if (soft) {
      a.push_back({"axis", axis});
    } else {
      a.push_back({"axes", Integers{axis}});
    }
    check(m, node(m, type, {x}, a), soft ? "Softmax" : "Reduce",
          fmt::format("{} {} axis {}", type, to_string(s), axis));
  }
  Model m = start();
  check(m,
        node(m, "LayerNormalization",
             {input(m, {5, 77}), weight(m, uniform({77})), weight(m, uniform({77}))}),
        "LayerNorm", "LayerNormalization");
}

TEST_F(Kernels, Recurrent) {
  for (int trial = 0; trial < 16; ++trial) {
    Model m = start();
    const bool lstm = trial % 2 == 0;
    const std::int64_t g = lstm ? 4 : 3, h = pick(1, 40), i = pick(1, 20), b = pick(1, 3),
                       t = pick(1, 5);
    const std::int64_t d = trial % 4 == 3 ? 2 : 1;
    const char* direction = d == 2 ? "bidirectional" : trial % 8 < 4 ? "forward" : "reverse";
    std::vector<Attribute> a = {{"hidden_size", h}, {"direction", std::string(direction)}};
    if (!lstm) a.push_back({"linear_before_reset", std::int64_t{trial % 4 == 1}});
    const ValueId y = node(
        m, lstm ? "LSTM" : "GRU",
        {input(m, {t, b, i}), weight(m, uniform({d, g * h, i})), weight(m, uniform({d, g * h, h})),
         weight(m, uniform({d, 2 * g * h})), ValueId{}, input(m, {d, b, h})},
        a);
    check(m, y, "Recurrent", fmt::format("{} hidden {} {}", lstm ? "LSTM" : "GRU", h, direction));
  }
}

}  // namespace
}  // namespace rulec
