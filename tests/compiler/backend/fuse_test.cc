// SPDX-License-Identifier: Apache-2.0
// What rules/lower make of a model: how many operations are left, and the same numbers; with sizes
// known when the engine is built, and with a batch that only the run knows.
#include <cmath>
#include <functional>
#include <random>

#include <gtest/gtest.h>

#include "compiler/backend/build.h"
#include "matcher/evaluate.h"
#include "runtime/session.h"

namespace rulec {
namespace {

class Net {
 public:
  explicit Net(std::int64_t opset) { model.opset_imports = {{"", opset}}; }

  Model model;

  ValueId input(Shape shape) {
    Type type = Type::tensor(DType::F32, shape);
    if (dynamic) (*type.dims)[0] = {.symbol = "N"};
    shapes.push_back(std::move(shape));
    return model.add_input(model.main(), model.fresh_value_name("x"), type);
  }
  ValueId weight(const Shape& shape, float low = -1, float high = 1) {
    std::uniform_real_distribution<float> uniform(low, high);
    Tensor t = Tensor::allocate(DType::F32, shape);
    for (std::int64_t i = 0; i < t.size(); ++i)
      t.mutable_data<float>()[i] = uniform(random);
    return constant(std::move(t));
  }
  ValueId number(float value) { return constant(Tensor::scalar(value)); }
  ValueId constant(Tensor t) {
    return model.add_initializer(model.main(), model.fresh_value_name("w"), std::move(t));
  }
  ValueId operator()(const char* type, std::vector<ValueId> in,
                     std::vector<Attribute> attributes = {}) {
    const NodeId id = model.add_node(model.main(), {.name = model.fresh_node_name(type),
                                                    .type = type,
                                                    .inputs = std::move(in),
                                                    .attributes = Attributes(attributes)});
    return model.node(id).outputs[0];
  }

  bool dynamic = false;
  std::vector<Shape> shapes;  // of the inputs, with a batch of one
  std::mt19937 random{3};
};

using Integers = std::vector<std::int64_t>;
using Make = std::function<ValueId(Net&)>;

struct Case {
  const char* name;
  std::size_t operations;  // that are left, sizes being known
  std::int64_t opset;
  Make make;
};

Attribute ints(const char* name, Integers v) {
  return {name, std::move(v)};
}

const Case cases[] = {
    {"conv_bn_relu", 1, 13,
     [](Net& g) {
       const ValueId c =
           g("Conv", {g.input({1, 3, 9, 9}), g.weight({8, 3, 3, 3})}, {ints("pads", {1, 1, 1, 1})});
       const ValueId b = g("BatchNormalization",
                           {c, g.weight({8}), g.weight({8}), g.weight({8}), g.weight({8}, 0.5, 2)});
       return g("Relu", {b});
     }},
    {"residual", 3, 13,
     [](Net& g) {
       const ValueId x = g.input({1, 32, 6, 6});
       const ValueId c = g("Conv", {x, g.weight({32, 32, 1, 1}), g.weight({32})});
       return g("Relu", {g("Add", {x, c})});
     }},
    {"pad_conv_clip", 1, 13,
     [](Net& g) {
       const ValueId p =
           g("Pad", {g.input({1, 3, 8, 8}),
                     g.constant(Tensor::of<std::int64_t>({8}, Integers{0, 0, 0, 0, 0, 0, 1, 1}))});
       const ValueId c = g("Conv", {p, g.weight({16, 3, 3, 3})}, {ints("strides", {2, 2})});
       return g("Clip", {c, g.number(0), g.number(6)});
     }},
    {"hard_swish", 1, 11,
     [](Net& g) {
       const ValueId c = g("Conv", {g.input({1, 4, 8, 8}), g.weight({8, 4, 1, 1})});
       const ValueId clipped = g("Clip", {g("Add", {c, g.number(3)}), g.number(0), g.number(6)});
       return g("Div", {g("Mul", {c, clipped}), g.number(6)});
     }},
    {"silu", 1, 13,
     [](Net& g) {
       const ValueId c = g("Conv", {g.input({1, 4, 8, 8}), g.weight({8, 4, 1, 1})});
       return g("Mul", {c, g("Sigmoid", {c})});
     }},
    {"gelu_before_a_product", 2, 13,
     [](Net& g) {  // its half is no factor of the next weights
       const ValueId c =
           g("Add", {g("MatMul", {g.input({1, 5, 24}), g.weight({24, 48})}), g.weight({48})});
       const ValueId e = g("Erf", {g("Div", {c, g.number(1.41421356F)})});
       const ValueId a = g("Mul", {g("Mul", {c, g("Add", {e, g.number(1)})}), g.number(0.5)});
       return g("Add", {g("MatMul", {a, g.weight({48, 24})}), g.weight({24})});
     }},
    {"gelu", 1, 13,
     [](Net& g) {
       const ValueId c =
           g("Add", {g("MatMul", {g.input({1, 5, 24}), g.weight({24, 48})}), g.weight({48})});
       const ValueId e = g("Erf", {g("Div", {c, g.number(1.41421356F)})});
       return g("Mul", {g("Mul", {c, g("Add", {e, g.number(1)})}), g.number(0.5)});
     }},
    {"gelu_tanh", 1, 13,
     [](Net& g) {
       const ValueId c =
           g("Add", {g("MatMul", {g.input({1, 5, 24}), g.weight({24, 48})}), g.weight({48})});
       const ValueId cube = g("Mul", {g("Pow", {c, g.number(3)}), g.number(0.044715F)});
       const ValueId t = g("Tanh", {g("Mul", {g("Add", {c, cube}), g.number(0.7978845608F)})});
       return g("Mul", {g("Mul", {c, g.number(0.5)}), g("Add", {t, g.number(1)})});
     }},
    {"layer_norm", 1, 13,
     [](Net& g) {
       const ValueId x = g.input({1, 5, 24});
       const Attribute last = ints("axes", {-1});
       const ValueId d = g("Sub", {x, g("ReduceMean", {x}, {last})});
       const ValueId v = g("ReduceMean", {g("Pow", {d, g.number(2)})}, {last});
       const ValueId n = g("Div", {d, g("Sqrt", {g("Add", {v, g.number(1e-5F)})})});
       return g("Add", {g("Mul", {n, g.weight({24})}), g.weight({24})});
     }},
    {"attention", 4, 13,
     [](Net& g) {
       const ValueId q = g.input({1, 4, 6, 8}), k = g.input({1, 4, 6, 8}),
                     v = g.input({1, 4, 6, 8});
       const ValueId t = g("Transpose", {k}, {ints("perm", {0, 1, 3, 2})});
       const ValueId s = g("Div", {g("MatMul", {q, t}), g.number(2.5)});
       return g("MatMul", {g("Softmax", {s}), v});
     }},
    {"squeeze_excite", 6, 13,
     [](Net& g) {
       const ValueId x = g("Conv", {g.input({1, 16, 6, 6}), g.weight({32, 16, 1, 1})});
       const ValueId p = g("GlobalAveragePool", {x});
       const ValueId a = g("Relu", {g("Conv", {p, g.weight({8, 32, 1, 1}), g.weight({8})})});
       const ValueId b = g("Sigmoid", {g("Conv", {a, g.weight({32, 8, 1, 1}), g.weight({32})})});
       return g("Mul", {x, b});
     }},
};

class Fusions : public testing::TestWithParam<Case> {};

void run(const Engine& engine, const Net& net, ValueId out, std::int64_t batch) {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform(-2, 2);
  std::vector<Value> inputs;
  std::vector<std::pair<ValueId, Value>> feeds;
  for (std::size_t i = 0; i < net.shapes.size(); ++i) {
    Shape shape = net.shapes[i];
    shape[0] = batch;
    Tensor t = Tensor::allocate(DType::F32, shape);
    for (std::int64_t k = 0; k < t.size(); ++k)
      t.mutable_data<float>()[k] = uniform(random);
    inputs.emplace_back(t);
    feeds.emplace_back(net.model.graph(net.model.main()).inputs[i], t);
  }
  auto session = Session::create(engine, {.threads = 2});
  ASSERT_TRUE(session);
  Evaluator evaluator(net.model);
  const ValueId targets[] = {out};
  auto want = evaluator.run(feeds, targets);
  ASSERT_TRUE(want) << want.error().message;
  for (int again = 0; again < 2; ++again) {  // the second time by the plans of the first
    auto got = session->run(inputs);
    ASSERT_TRUE(got) << got.error().message;
    const Tensor &a = (*want)[0].tensor(), &b = (*got)[0].tensor();
    ASSERT_EQ(to_string(a.shape()), to_string(b.shape()));
    for (std::int64_t i = 0; i < a.size(); ++i)
      ASSERT_LE(std::abs(a.number(i) - b.number(i)), 2e-5 + 2e-5 * std::abs(a.number(i))) << i;
  }
}

TEST_P(Fusions, LeaveOneOperation) {
  Net net(GetParam().opset);
  const ValueId out = GetParam().make(net);
  net.model.add_output(net.model.main(), out);
  auto built = build_engine(net.model, {});
  ASSERT_TRUE(built) << built.error().message;
  std::string left;
  for (const BuiltNode& node : built->report)
    left += node.type + ": " + node.kernel + " " + node.note + "\n";
  EXPECT_EQ(built->generic_operations, 0U) << left;
  auto engine = Engine::load_bytes(built->bytes);
  ASSERT_TRUE(engine) << engine.error().message;
  std::size_t kernels = 0;
  for (const auto& op : engine->operations())
    kernels += op.kernel == "Reorder" || op.kernel == "Copy" ? 0 : 1;
  EXPECT_LE(kernels, GetParam().operations) << left << engine->dump();
  run(*engine, net, out, 1);
}

TEST_P(Fusions, WorkOnABatchThatOnlyTheRunKnows) {
  Net net(GetParam().opset);
  net.dynamic = true;
  const ValueId out = GetParam().make(net);
  net.model.add_output(net.model.main(), out);
  auto built = build_engine(net.model, {});
  ASSERT_TRUE(built) << built.error().message;
  auto engine = Engine::load_bytes(built->bytes);
  ASSERT_TRUE(engine) << engine.error().message;
  for (const std::int64_t batch : {1, 3, 2, 3})
    run(*engine, net, out, batch);
}

INSTANTIATE_TEST_SUITE_P(Rules, Fusions, testing::ValuesIn(cases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace rulec
