// SPDX-License-Identifier: Apache-2.0
// What moves elements, or is spelt as such: copies, views, resizing, slices that a convolution
// reads where they lie. Against the generic kernels, as kernels_test.cc.
#include "tests/compiler/backend/kernels_fixture.h"

namespace rulec {
namespace {

// Space to depth before a convolution is a convolution with larger steps.
TEST_F(Kernels, JoinedSlicesOfAnImageAreReadWhereTheyLie) {
  for (int trial = 0; trial < 12; ++trial) {
    Model m = start();
    const std::int64_t s = trial % 4 == 3 ? 3 : 2, t = trial % 4 == 2 ? 1 : 2, c = pick(1, 4);
    const std::int64_t k = pick(1, 3), p = pick(0, k - 1), step = pick(1, 2), oc = pick(1, 32);
    const Shape shape = {pick(1, 2), c, s * pick(k, 8), t * pick(k, 11)};
    const ValueId x = input(m, shape);
    const auto slice = [&](ValueId from, const Integers& starts, const Integers& axes,
                           const Integers& steps) {
      const Integers ends(starts.size(), std::int64_t{1} << 40);
      return node(
          m, "Slice",
          {from, integers(m, starts), integers(m, ends), integers(m, axes), integers(m, steps)});
    };
    std::vector<ValueId> pieces;
    for (std::int64_t i = 0; i < s * t; ++i) {
      const std::int64_t row = i % s, column = i / s;
      pieces.push_back(trial % 3 ? slice(slice(x, {row}, {2}, {s}), {column}, {3}, {t})
                                 : slice(x, {column, row - shape[2]}, {-1, 2}, {t, s}));
    }
    const bool whole = trial != 6;  // else one piece stands in another's place
    if (!whole) pieces[1] = pieces[0];
    std::shuffle(pieces.begin(), pieces.end(), random_);
    const ValueId joined = node(m, "Concat", pieces, {{"axis", std::int64_t{1}}});
    ValueId y = node(m, "Conv",
                     {joined, weight(m, uniform({oc, c * s * t, k, k})), weight(m, uniform({oc}))},
                     {{"pads", Integers{p, 0, p, p}}, {"strides", Integers{step, step}}});
    if (trial % 2) y = node(m, "Relu", {y});
    Model copy = m;
    copy.add_output(copy.main(), y);
    const auto built = build_engine(copy, {});
    ASSERT_TRUE(built);
    // The convolution, and its result out of blocks.
    EXPECT_EQ(built->operations == 2, whole) << built->operations;
    check(m, y, whole ? "ConvStem" : "", fmt::format("{} pieces of {}", s * t, c));
  }
}

// Parts that lie together are views, and what is joined end to end is made there.
TEST_F(Kernels, PartsThatLieTogetherAreNotCopied) {
  for (int trial = 0; trial < 24; ++trial) {
    Model m = start();
    const std::int64_t parts = pick(2, 4), rows = pick(1, 9), columns = pick(1, 21);
    const ValueId x = input(m, {rows, parts, columns});
    const ValueId turned = node(m, "Transpose", {x}, {{"perm", Integers{1, 0, 2}}});
    std::vector<ValueId> pieces;
    if (trial % 3 == 2) {
      const NodeId split = m.add_node(
          m.main(), {.name = m.fresh_node_name("Split"),
                     .type = "Split",
                     .inputs = {turned, integers(m, Integers(static_cast<std::size_t>(parts), 1))},
                     .output_count = static_cast<std::uint32_t>(parts),
                     .attributes = Attributes(std::vector<Attribute>{{"axis", std::int64_t{0}}})});
      for (const ValueId piece : m.node(split).outputs)
        pieces.push_back(piece);
    }
    for (std::int64_t i = 0; pieces.size() < static_cast<std::size_t>(parts); ++i) {
      if (trial % 3 == 0) {
        const ValueId piece = node(m, "Gather", {turned, weight(m, Tensor::scalar(i))});
        pieces.push_back(node(m, "Unsqueeze", {piece, integers(m, {0})}));
      } else {
        pieces.push_back(
            node(m, "Slice", {turned, integers(m, {i}), integers(m, {i + 1}), integers(m, {0})}));
      }
    }
    for (ValueId& piece : pieces) {
      if (pick(0, 2)) piece = node(m, pick(0, 1) ? "Relu" : "Exp", {piece});
    }
    if (trial % 4 == 1) pieces.push_back(weight(m, uniform({2, rows, columns})));
    if (trial % 4 == 2) pieces.push_back(input(m, {1, rows, columns}));
    if (trial % 4 == 3) pieces.push_back(pieces[0]);
    std::shuffle(pieces.begin(), pieces.end(), random_);
    ValueId y = node(m, "Concat", pieces, {{"axis", std::int64_t{0}}});
    if (trial % 2) y = node(m, "Mul", {y, y});
    check(m, y, "", fmt::format("{} parts of {}x{}, trial {}", parts, rows, columns, trial));
  }
}

TEST_F(Kernels, Movement) {
  for (const Integers& perm :
       {Integers{0, 2, 3, 1}, Integers{3, 1, 0, 2}, Integers{0, 1, 3, 2}, Integers{0, 3, 1, 2}}) {
    Model m = start();
    check(m, node(m, "Transpose", {input(m, {2, 19, 5, 33})}, {{"perm", perm}}), "", "Transpose");
  }
  for (std::int64_t axis = 0; axis < 4; ++axis) {
    Model m = start();
    Shape a = {2, 5, 6, 7}, b = a;
    b[static_cast<std::size_t>(axis)] = 3;
    const ValueId y = node(m, "Concat", {input(m, a), input(m, b)}, {{"axis", axis}});
    check(m, y, "Copy", fmt::format("Concat {}", axis));
  }
  {
    Model m = start();
    const ValueId y =
        node(m, "Slice",
             {input(m, {2, 20, 9, 11}), integers(m, {1, 8, -1}), integers(m, {19, 1, -100}),
              integers(m, {1, 2, 3}), integers(m, {3, -2, -1})});
    check(m, y, "Copy", "Slice");
  }
  {
    Model m = start();
    check(m,
          node(m, "Pad",
               {input(m, {2, 5, 6, 7}), integers(m, {0, 1, 2, 0, 0, 0, -1, 3}),
                weight(m, Tensor::scalar(2.5f))}),
          "Copy", "Pad");
  }
  for (const char* mode : {"DCR", "CRD"}) {
    Model m = start();
    check(m,
          node(m, "DepthToSpace", {input(m, {1, 12, 3, 5})},
               {{"blocksize", std::int64_t{2}}, {"mode", std::string(mode)}}),
          "Copy", mode);
  }
  {  // parts of blocks joined and cut in place
    Model m = start();
    const ValueId x = input(m, {1, 16, 6, 6});
    const auto conv = [&](ValueId from, std::int64_t ic, std::int64_t oc) {
      return node(m, "Conv", {from, weight(m, uniform({oc, ic, 3, 3}))},
                  {{"pads", Integers{1, 1, 1, 1}}});
    };
    const ValueId joined = node(m, "Concat", {conv(x, 16, 32), conv(x, 16, 16), conv(x, 16, 5)},
                                {{"axis", std::int64_t{1}}});
    const ValueId part =
        node(m, "Slice", {joined, integers(m, {16}), integers(m, {48}), integers(m, {1})});
    check(
        m,
        node(m, "Concat", {conv(joined, 53, 16), conv(part, 32, 16)}, {{"axis", std::int64_t{1}}}),
        "Conv", "joined");
  }
}

TEST_F(Kernels, Resize) {
  for (const char* coordinates :
       {"asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel"}) {
    for (const char* mode : {"nearest", "linear"}) {
      Model m = start();
      const ValueId y = node(
          m, "Resize", {input(m, {1, 18, 5, 6}), ValueId{}, ValueId{}, integers(m, {1, 18, 11, 9})},
          {{"mode", std::string(mode)},
           {"coordinate_transformation_mode", std::string(coordinates)}});
      check(m, y, "Resize", fmt::format("{} {}", mode, coordinates));
    }
  }
}

// A scale that does not lead to a whole number of elements counts as it is given.
TEST_F(Kernels, ResizeByScales) {
  for (const char* coordinates : {"asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel",
                                  "half_pixel_symmetric", "tf_half_pixel_for_nn"}) {
    for (const char* mode : {"nearest", "linear"}) {
      for (const float scale : {1.5F, 0.4F, 1.0F / 3.0F, 2.0F}) {
        Model m = start();
        m.opset_imports = {{"", 19}};
        const ValueId scales =
            weight(m, Tensor::of<float>({4}, std::vector<float>{1, 1, scale, 1.3F}));
        const ValueId y = node(m, "Resize", {input(m, {1, 3, 13, 9}), ValueId{}, scales},
                               {{"mode", std::string(mode)},
                                {"coordinate_transformation_mode", std::string(coordinates)}});
        // That mode blends channels, too.
        const bool generic = std::string_view(coordinates) == "tf_half_pixel_for_nn" &&
                             std::string_view(mode) == "linear";
        check(m, y, generic ? "Generic" : "Resize",
              fmt::format("{} {} by {}", mode, coordinates, scale));
      }
    }
  }
}

}  // namespace
}  // namespace rulec
