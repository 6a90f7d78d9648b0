// SPDX-License-Identifier: Apache-2.0
// Forms of kernels that serve some shapes only: few output channels, short rows, wide windows,
// scattering at even distances. Against the generic kernels, as kernels_test.cc.
#include "tests/compiler/backend/kernels_fixture.h"

namespace rulec {
namespace {

TEST_F(Kernels, FewOutputChannels) {
  for (int trial = 0; trial < 48; ++trial) {
    Model m = start();
    const std::int64_t ic = pick(5, 70), oc = pick(1, 4), kh = pick(1, 5), kw = pick(1, 5);
    const std::int64_t sh = pick(1, 2), sw = pick(1, 2), d = trial % 5 == 4 ? 2 : 1;
    const std::int64_t h = pick(d * kh + 1, 14), w = pick(d * kw + 5, 40);
    const Integers pads = {pick(0, kh - 1), pick(0, kw - 1), pick(0, kh - 1), pick(0, kw - 1)};
    ValueId x = input(m, {trial % 7 == 6 ? 2 : 1, ic, h, w});
    // Channels that only fill a block are NaN behind this.
    if (trial % 3 == 2) {
      const ValueId scale = weight(m, uniform({ic, 1, 1}, 1.0f, 2.0f));
      x = node(m, "Div",
               {node(m, "Conv", {x, weight(m, uniform({ic, ic, 1, 1}, -0.2f, 0.2f))}), scale});
    }
    ValueId y = node(
        m, "Conv", {x, weight(m, uniform({oc, ic, kh, kw}, -0.3f, 0.3f)), weight(m, uniform({oc}))},
        {{"pads", pads}, {"strides", Integers{sh, sw}}, {"dilations", Integers{d, d}}});
    static const char* const acts[] = {"Relu", "Sigmoid", "LeakyRelu"};
    if (trial % 2) y = node(m, acts[static_cast<std::size_t>(trial / 2 % 3)], {y});
    if (trial % 6 == 4) y = node(m, "Mul", {y, node(m, "Sigmoid", {y})});
    check(m, y, "Conv",
          fmt::format("conv {}x{}x{} to {} k {}x{} s {}x{}", ic, h, w, oc, kh, kw, sh, sw));
  }
}

// Alone and behind a product, at the ends of their ranges too; 345 is no number of whole vectors.
TEST_F(Kernels, LongActivations) {
  for (const char* type : {"Sigmoid", "Silu", "Swish", "Mish", "none", "tanh"}) {
    for (const float scale : {1.0f, 8.0f, 300.0f}) {
      for (const bool behind_a_product : {false, true}) {
        Model m = start();
        m.opset_imports = {{"", 20}};
        ValueId x = input(m, {3, 345});
        if (behind_a_product) {
          x = node(m, "MatMul", {x, weight(m, uniform({345, 37}, -scale / 8, scale / 8))});
        } else {
          x = node(m, "Mul", {x, weight(m, Tensor::scalar(scale))});
        }
        const std::string_view kind = type;
        ValueId y = x;
        if (kind == "Silu" || kind == "Swish") {
          const float alpha = kind == "Silu" ? 1.0f : 1.702f;
          const ValueId a = node(m, "Mul", {x, weight(m, Tensor::scalar(alpha))});
          y = node(m, "Mul", {x, node(m, "Sigmoid", {kind == "Silu" ? x : a})});
        } else if (kind == "none" || kind == "tanh") {
          y = node(m, "Gelu", {x}, {{"approximate", std::string(kind)}});
        } else {
          y = node(m, type, {x});
        }
        check(m, y, "", fmt::format("{} of {}, product: {}", type, scale, behind_a_product));
      }
    }
  }
}

TEST_F(Kernels, StridedPoints) {
  for (int trial = 0; trial < 24; ++trial) {
    Model m = start();
    const std::int64_t ic = pick(1, 70), oc = pick(33, 90), n = pick(1, 2);
    const std::int64_t sh = pick(1, 3), sw = pick(2, 3);
    ValueId x = input(m, {n, ic, pick(1, 20), pick(1, 20)});
    if (trial % 2) x = node(m, "Conv", {x, weight(m, uniform({ic, ic, 1, 1}, -0.2f, 0.2f))});
    ValueId y = node(m, "Conv",
                     {x, weight(m, uniform({oc, ic, 1, 1}, -0.3f, 0.3f)), weight(m, uniform({oc}))},
                     {{"strides", Integers{sh, sw}}});
    // An addend, and a halo that the next one asks for.
    if (trial % 3 == 1) y = node(m, "Relu", {node(m, "Add", {y, node(m, "Neg", {y})})});
    if (trial % 4 == 2) {
      y = node(m, "Conv", {y, weight(m, uniform({oc, oc, 3, 3}, -0.1f, 0.1f))},
               {{"pads", Integers{1, 1, 1, 1}}});
    }
    check(m, y, "Conv", fmt::format("{} to {} strides {} {}", ic, oc, sh, sw));
  }
}

TEST_F(Kernels, WideWindows) {
  for (int trial = 0; trial < 30; ++trial) {
    Model m = start();
    const std::int64_t k = pick(2, 13), s = pick(1, 3), d = trial % 6 == 5 ? 2 : 1;
    const std::int64_t p = trial % 4 == 3 ? 0 : pick(0, k - 1);
    const ValueId x = input(m, {pick(1, 2), pick(1, 40), pick(d * k, 30), pick(d * k, 33)});
    std::vector<Attribute> a = {{"kernel_shape", Integers{k, k}},
                                {"strides", Integers{s, s}},
                                {"pads", Integers{p, p, p, p}},
                                {"ceil_mode", std::int64_t{p == 0 && s <= k ? 1 : 0}}};
    const bool max = trial % 2 == 0;
    if (max) a.push_back({"dilations", Integers{d, d}});
    if (!max) a.push_back({"count_include_pad", pick(0, 1)});
    check(m, node(m, max ? "MaxPool" : "AveragePool", {x}, std::move(a)), "",
          fmt::format("pool k{} s{} p{} d{}", k, s, p, d));
  }
}

TEST_F(Kernels, ShortRows) {
  for (std::int64_t n = 1; n <= 18; ++n) {
    for (const char* type : {"Softmax", "LogSoftmax"}) {
      Model m = start();
      const ValueId x = input(m, {pick(1, 3), pick(1, 70), n});
      check(m, node(m, type, {x}, {{"axis", std::int64_t{-1}}}), "Softmax",
            fmt::format("{} of {}", type, n));
    }
  }
}

TEST_F(Kernels, ScatterAtEvenDistances) {
  const auto places = [&](Model& m, const Shape& shape, const Integers& values) {
    return weight(m, Tensor::of<std::int64_t>(shape, std::span(values)));
  };
  // A box of single elements, with a step of two along the last dimension.
  Model m = start();
  Integers box;
  for (std::int64_t c = 0; c < 3; ++c) {
    for (std::int64_t y = 0; y < 2; ++y) {
      for (std::int64_t x = 0; x < 4; ++x)
        box.insert(box.end(), {0, c, y - 3, 1 + 2 * x});
    }
  }
  check(m,
        node(m, "ScatterND",
             {input(m, {1, 3, 5, 9}), places(m, {1, 3, 2, 4, 4}, box), input(m, {1, 3, 2, 4})}),
        "Copy", "a box");
  // Whole slices.
  m = start();
  check(m,
        node(m, "ScatterND", {input(m, {4, 5, 6}), places(m, {2, 1}, {3, 1}), input(m, {2, 5, 6})}),
        "Copy", "slices backwards");
  m = start();
  check(m,
        node(m, "ScatterND", {input(m, {4, 5, 6}), places(m, {1, 2}, {2, -1}), input(m, {1, 6})}),
        "Copy", "one row");
  // Not even, or not to be replaced: the generic kernel.
  m = start();
  check(m, node(m, "ScatterND", {input(m, {7, 5}), places(m, {3, 1}, {0, 1, 3}), input(m, {3, 5})}),
        "Generic", "uneven");
  m = start();
  check(m,
        node(m, "ScatterND",
             {input(m, {7, 5}), places(m, {2, 2, 1}, {0, 1, 1, 2}), input(m, {2, 2, 5})}),
        "Generic", "one place twice");
  m = start();
  check(m,
        node(m, "ScatterND", {input(m, {7, 5}), places(m, {2, 1}, {0, 1}), input(m, {2, 5})},
             {{"reduction", std::string("add")}}),
        "Generic", "a reduction");
}

// ONNX's inference gives such results an element; no window of them lies in the operand.
TEST_F(Kernels, WindowsThatDoNotFitAreRefused) {
  for (const char* type : {"MaxPool", "AveragePool", "Conv"}) {
    Model m = start();
    const ValueId x = input(m, {1, 4, 1, 5});
    const bool conv = std::string_view(type) == "Conv";
    m.add_output(
        m.main(),
        conv ? node(m, type, {x, weight(m, uniform({4, 4, 2, 2}))})
             : node(m, type, {x}, {{"kernel_shape", Integers{2, 2}}, {"strides", Integers{2, 2}}}));
    const auto built = build_engine(m, {});
    const auto engine = built ? Engine::load_bytes(built->bytes) : Result<Engine>(built.error());
    auto session = engine ? Session::create(*engine) : Result<Session>(engine.error());
    EXPECT_FALSE(session && session->run(feeds_)) << type;
    feeds_.clear();
  }
}

TEST_F(Kernels, PaddingByOwnElements) {
  for (const char* mode : {"reflect", "edge", "wrap"}) {
    for (int trial = 0; trial < 8; ++trial) {
      Model m = start();
      m.opset_imports = {{"", 19}};
      const Shape shape = {pick(1, 2), pick(1, 3), pick(4, 9), pick(4, 30)};
      Integers pads(8, 0);
      for (std::size_t d : {2, 3, 6, 7})
        pads[d] = trial % 2 && d % 4 == 2 ? 0 : pick(0, 3);
      check(m, node(m, "Pad", {input(m, shape), integers(m, pads)}, {{"mode", std::string(mode)}}),
            "Copy", fmt::format("{} padding {}", mode, fmt::join(pads, " ")));
    }
  }
  Model m = start();
  check(m,
        node(m, "Pad", {input(m, {1, 4}), integers(m, {0, 0, 0, -1})},
             {{"mode", std::string("edge")}}),
        "Generic", "less than nothing");
}

}  // namespace
}  // namespace rulec
