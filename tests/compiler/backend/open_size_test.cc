// SPDX-License-Identifier: Apache-2.0
// Models that leave their batch open: one engine, a whole plan for each size that comes, and the
// numbers of the reference evaluator.
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "compiler/backend/build.h"
#include "matcher/evaluate.h"
#include "matcher/onnx_io.h"
#include "runtime/session.h"

namespace rulec {
namespace {

class OpenSize : public testing::Test {
 protected:
  std::mt19937 random_{3};
  Model model_;

  Tensor reals(const Shape& shape) {
    Tensor t = Tensor::allocate(DType::F32, shape);
    for (std::int64_t i = 0; i < t.size(); ++i)
      t.mutable_data<float>()[i] = std::uniform_real_distribution<float>(-1, 1)(random_);
    return t;
  }
  ValueId weight(Tensor t) {
    return model_.add_initializer(model_.main(), model_.fresh_value_name("w"), std::move(t));
  }
  // An f32 input [symbol, rest…].
  ValueId input(const char* name, const std::string& symbol, const Shape& rest) {
    Type type = Type::tensor(DType::F32, rest);
    type.dims->insert(type.dims->begin(), Dim{.size = -1, .symbol = symbol});
    return model_.add_input(model_.main(), name, type);
  }
  ValueId node(const char* type, std::vector<ValueId> in, std::vector<Attribute> attributes = {}) {
    const NodeId id =
        model_.add_node(model_.main(), {.name = model_.fresh_node_name(type),
                                        .type = type,
                                        .inputs = std::move(in),
                                        .attributes = Attributes(std::move(attributes))});
    return model_.node(id).outputs[0];
  }
  void start() {
    model_ = Model();
    model_.opset_imports = {{"", 17}};
  }
  ValueId conv(ValueId x, const Shape& w, std::int64_t pad) {
    return node("Conv", {x, weight(reals(w)), weight(reals({w[0]}))},
                {{"pads", std::vector<std::int64_t>{pad, pad, pad, pad}}});
  }

  void check(const Engine& engine, Session& session, std::int64_t size, const Shape& rest) {
    Shape shape = {size};
    shape.insert(shape.end(), rest.begin(), rest.end());
    const Tensor x = reals(shape);
    const std::vector<Value> inputs(engine.inputs().size(), x);
    const auto got = session.run(inputs);
    ASSERT_TRUE(got) << got.error().message;
    std::vector<std::pair<ValueId, Value>> feeds;
    for (const ValueId id : model_.graph(model_.main()).inputs)
      feeds.emplace_back(id, x);
    Evaluator evaluator(model_);
    const auto want = evaluator.run(feeds, model_.graph(model_.main()).outputs);
    ASSERT_TRUE(want) << want.error().message;
    for (std::size_t k = 0; k < want->size(); ++k) {
      const Tensor &a = (*want)[k].tensor(), &b = (*got)[k].tensor();
      ASSERT_EQ(to_string(a.shape()), to_string(b.shape())) << "size " << size;
      for (std::int64_t i = 0; i < a.size(); ++i)
        ASSERT_NEAR(a.number(i), b.number(i), 1e-4) << "size " << size << ", element " << i;
    }
  }
  Result<Engine> build(bool open) {
    auto built = build_engine(model_, {});
    if (!built) return built.error();
    EXPECT_EQ(!built->open_dimension.empty(), open);
    if (open) EXPECT_EQ(built->generic_operations, 0U);
    return Engine::load_bytes(built->bytes);
  }
  void check_sizes(const Shape& rest) {
    const auto engine = build(true);
    ASSERT_TRUE(engine) << engine.error().message;
    EXPECT_EQ(engine->inputs()[0].dims[0].size, -1);
    auto session = Session::create(*engine, {.threads = 2});
    ASSERT_TRUE(session);
    for (const std::int64_t size : {1, 3, 2, 1, 7, 3, 16})
      check(*engine, *session, size, rest);
  }
};

TEST_F(OpenSize, ConvolutionsOfAnyBatch) {
  start();
  ValueId x = input("x", "batch", {3, 20, 20});
  x = node("Relu", {conv(x, {16, 3, 3, 3}, 1)});
  x = node("Add", {conv(x, {16, 16, 3, 3}, 1), x});
  x = node("MaxPool", {x},
           {{"kernel_shape", std::vector<std::int64_t>{2, 2}},
            {"strides", std::vector<std::int64_t>{2, 2}}});
  x = node("Flatten", {node("GlobalAveragePool", {conv(x, {40, 16, 1, 1}, 0)})});
  model_.add_output(model_.main(), node("Gemm", {x, weight(reals({40, 10}))}));
  check_sizes({3, 20, 20});
}

// For a batch of one the parts lie in the whole; for others they are copied.
TEST_F(OpenSize, PartsOfAWhole) {
  start();
  const ValueId x = input("x", "N", {16, 9, 9});
  const ValueId a = conv(x, {16, 16, 1, 1}, 0), b = conv(x, {32, 16, 3, 3}, 1);
  const ValueId both = node("Concat", {a, b}, {{"axis", std::int64_t{1}}});
  model_.add_output(model_.main(), conv(both, {8, 48, 1, 1}, 0));
  check_sizes({16, 9, 9});
}

TEST_F(OpenSize, MatricesOfAnUnnamedDimension) {
  start();
  ValueId x = input("x", "", {6, 32});
  x = node("LayerNormalization", {x, weight(reals({32})), weight(reals({32}))});
  x = node("Softmax", {node("MatMul", {x, weight(reals({32, 24}))})}, {{"axis", std::int64_t{-1}}});
  x = node("Transpose", {x}, {{"perm", std::vector<std::int64_t>{0, 2, 1}}});
  model_.add_output(model_.main(), x);
  check_sizes({6, 32});
}

TEST_F(OpenSize, InputsThatContradictOneAnother) {
  start();
  const ValueId x = input("x", "N", {4}), y = input("y", "N", {4});
  model_.add_output(model_.main(), node("Add", {x, y}));
  const auto engine = build(true);
  ASSERT_TRUE(engine) << engine.error().message;
  auto session = Session::create(*engine);
  const Value two = reals({2, 4}), three = reals({3, 4}), none = reals({0, 4});
  auto out = session->run(std::vector<Value>{two, three});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().message,
            "inputs 'x' and 'y' have 2 and 3 in a dimension that is one in the model");
  EXPECT_FALSE(session->run(std::vector<Value>{none, none}));
  EXPECT_TRUE(session->run(std::vector<Value>{three, three}));
}

// Two unknown sizes, or numbers that do not grow evenly: the model stays dynamic, and right.
TEST_F(OpenSize, OthersStayDynamic) {
  start();
  const ValueId x = input("x", "N", {4});
  const ValueId y = node("MatMul", {x, node("Transpose", {x})});  // [N, N]
  model_.add_output(model_.main(), y);
  const auto engine = build(false);
  ASSERT_TRUE(engine) << engine.error().message;
  auto session = Session::create(*engine);
  for (const std::int64_t size : {1, 2, 5})
    check(*engine, *session, size, {4});
}

// What lies on a line for the sizes that were tried and leaves it later: the first four rows, the
// last four, a quarter of them. And a joined list of n and one more, whose length is no multiple.
TEST_F(OpenSize, WhatOnlySeemsToGrowEvenlyStaysDynamic) {
  const auto integers = [&](std::vector<std::int64_t> all) {
    return weight(Tensor::of<std::int64_t>({static_cast<std::int64_t>(all.size())},
                                           std::span<const std::int64_t>(all)));
  };
  for (const char* kind : {"first", "last", "quarter", "joined"}) {
    start();
    const ValueId x = input("x", "N", {4});
    ValueId y = node("Relu", {node("MatMul", {x, weight(reals({4, 8}))})});
    const std::string which = kind;
    if (which == "joined") {
      y = node("Concat", {y, weight(reals({1, 8}))}, {{"axis", std::int64_t{0}}});
    } else {
      ValueId from = integers({which == "last" ? -4 : 0}), to = integers({4});
      if (which == "last") to = integers({INT64_MAX});
      if (which == "quarter") {
        const ValueId rows = node("Gather", {node("Shape", {x}), integers({0})});
        to = node("Div", {rows, integers({4})});
      }
      y = node("Slice", {y, from, to, integers({0})});
    }
    model_.add_output(model_.main(), y);
    const auto engine = build(false);
    ASSERT_TRUE(engine) << kind << ": " << engine.error().message;
    auto session = Session::create(*engine);
    ASSERT_TRUE(session);
    for (const std::int64_t size : {1, 4, 5, 8, 70})
      check(*engine, *session, size, {4});
  }
}

// Exporters compute the shape of a Reshape from the batch: that is proven.
TEST_F(OpenSize, ShapesThatHangOnTheBatch) {
  const auto integers = [&](std::vector<std::int64_t> all) {
    return weight(Tensor::of<std::int64_t>({static_cast<std::int64_t>(all.size())},
                                           std::span<const std::int64_t>(all)));
  };
  for (const bool computed : {false, true}) {
    start();
    const ValueId x = input("x", "N", {8, 6, 6});
    const ValueId y = conv(x, {16, 8, 3, 3}, 1);
    const ValueId shape =
        computed
            ? node("Concat", {node("Gather", {node("Shape", {y}), integers({0})}), integers({576})},
                   {{"axis", std::int64_t{0}}})
            : integers({-1, 576});
    model_.add_output(model_.main(),
                      node("Gemm", {node("Reshape", {y, shape}), weight(reals({576, 10}))}));
    check_sizes({8, 6, 6});
  }
}

TEST_F(OpenSize, CallersShareThePlans) {
  start();
  const ValueId x = input("x", "N", {8, 6, 6});
  model_.add_output(model_.main(), conv(x, {16, 8, 3, 3}, 1));
  const auto engine = build(true);
  ASSERT_TRUE(engine) << engine.error().message;
  std::vector<Value> batches;
  for (std::int64_t n = 1; n <= 20; ++n)
    batches.emplace_back(reals({n, 8, 6, 6}));
  std::vector<int> wrong(3, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      auto session = Session::create(*engine, {.threads = 2});
      for (const Value& batch : batches) {
        const auto out = session->run({&batch, 1});
        wrong[t] += out && (*out)[0].tensor().dim(0) == batch.tensor().dim(0) ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(wrong, std::vector<int>(3, 0));
}

// Indices of a constant hold for the sizes that were tried, not for one row.
TEST_F(OpenSize, IndicesThatASizeDoesNotHave) {
  for (const std::vector<std::int64_t>& indices : {std::vector<std::int64_t>{1, 0, 1}, {1}, {-2}}) {
    start();
    const ValueId x = node("Relu", {input("x", "N", {4})});
    const auto count = static_cast<std::int64_t>(indices.size());
    const ValueId rows =
        node("Gather", {x, weight(Tensor::of<std::int64_t>({count}, std::span(indices)))});
    model_.add_output(model_.main(), x);
    model_.add_output(model_.main(), rows);
    const auto built = build_engine(model_, {});
    ASSERT_TRUE(built);
    const auto engine = Engine::load_bytes(built->bytes);
    ASSERT_TRUE(engine);
    auto session = Session::create(*engine);
    ASSERT_TRUE(session);
    for (const std::int64_t size : {2, 3, 7})
      check(*engine, *session, size, {4});
    EXPECT_FALSE(session->run(std::vector<Value>{reals({1, 4})}));
    check(*engine, *session, 5, {4});
  }
}

}  // namespace
}  // namespace rulec
