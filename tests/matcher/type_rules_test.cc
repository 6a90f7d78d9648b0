// SPDX-License-Identifier: Apache-2.0
// Our own rules for everyday operators against ONNX's inference, over all pairs of a pool of types
// with known, named and unknown sizes: what ours says, ONNX says; what ONNX refuses, ours leaves.
#include "matcher/type_rules.h"

#include <limits>
#include <map>

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include "matcher/onnx_io.h"
#include "matcher/onnx_type_proto.h"

namespace rulec {

using Ints = std::vector<std::int64_t>;

static Type f32(std::vector<Dim> dims) {
  return {.kind = Type::Kind::Tensor, .dtype = DType::F32, .dims = std::move(dims)};
}

static std::vector<Type> pool() {
  const Dim one{.size = 1}, two{.size = 2}, three{.size = 3}, n{.symbol = "N"}, m{.symbol = "M"};
  std::vector<Type> all = {
      f32({}),          f32({three}),      f32({n}),    f32({two, three}),   f32({three, two}),
      f32({n, three}),  f32({one, three}), f32({n, m}), f32({Dim{}, three}), f32({two, two, three}),
      f32({n, one, m}), f32({m, three, n})};
  Type flags = f32({n, three});
  flags.dtype = DType::Bool;
  Type integers = f32({two, three});
  integers.dtype = DType::I64;
  all.push_back(flags);
  all.push_back(integers);
  return all;
}

namespace {

struct Builder {
  Model model;
  std::vector<ValueId> inputs;
  ValueId axes, last_axis;

  explicit Builder(int opset) {
    model.opset_imports = {{"", opset}};
    model.graph(model.main()).name = "g";
    for (const Type& type : pool())
      inputs.push_back(model.add_input(model.main(), "x" + std::to_string(inputs.size()), type));
    axes = model.add_initializer(model.main(), "axes", Tensor::of<std::int64_t>({2}, Ints{0, -1}));
    last_axis =
        model.add_initializer(model.main(), "last", Tensor::of<std::int64_t>({1}, Ints{-1}));
  }

  void add(const char* type, std::vector<ValueId> operands, Attributes attributes = {}) {
    const NodeId node = model.add_node(model.main(), {.name = model.fresh_node_name(type),
                                                      .type = type,
                                                      .inputs = std::move(operands),
                                                      .attributes = std::move(attributes)});
    model.add_output(model.main(), model.node(node).outputs[0]);
  }
};

}  // namespace

static void fill(Builder& to, int opset) {
  for (const ValueId x : to.inputs) {
    for (const char* type :
         {"Relu", "Erf", "Sqrt", "Sigmoid", "Neg", "Tanh", "Reciprocal", "Round"})
      to.add(type, {x});
    if (opset >= 20) to.add("Gelu", {x});
    for (const std::int64_t axis : {-1, 0, 1, 2})
      to.add("Softmax", {x}, Attributes({{"axis", axis}}));
    to.add("Softmax", {x});
    to.add("Transpose", {x});
    for (const Ints& perm : {Ints{1, 0}, Ints{2, 0, 1}, Ints{0, 0}, Ints{0, 2}})
      to.add("Transpose", {x}, Attributes({{"perm", perm}}));
    for (const std::int64_t dtype : {1, 7, 10, 0, 99})
      to.add("Cast", {x}, Attributes({{"to", dtype}}));
    for (const std::int64_t keep : {0, 1}) {
      for (const char* type : {"ReduceMean", "ReduceSum"}) {
        const bool operand = opset >= (std::string_view(type) == "ReduceSum" ? 13 : 18);
        to.add(type, {x}, Attributes({{"keepdims", keep}}));
        for (const Ints& axes : {Ints{-1}, Ints{0, -1}, Ints{3}}) {
          if (!operand) to.add(type, {x}, Attributes({{"axes", axes}, {"keepdims", keep}}));
        }
        if (!operand) continue;
        to.add(type, {x, to.axes}, Attributes({{"keepdims", keep}}));
        to.add(type, {x, to.last_axis}, Attributes({{"keepdims", keep}}));
        to.add(type, {x, to.inputs.back()});
        to.add(type, {x}, Attributes({{"noop_with_empty_axes", std::int64_t{1}}}));
      }
    }
    for (const ValueId y : to.inputs) {
      for (const char* type : {"Add", "Mul", "Pow", "Less", "And", "MatMul"})
        to.add(type, {x, y});
      to.add("Equal", {x, y});
      to.add("Gemm", {x, y}, Attributes({{"transA", std::int64_t{1}}}));
      to.add("Gemm", {x, y}, Attributes({{"transB", std::int64_t{1}}}));
      if (opset >= 17) to.add("LayerNormalization", {x, y});
    }
  }
}

// ONNX names the dimensions that it cannot tell; ours are named where a model takes them up.
static std::string without_fresh_names(Type type) {
  if (!type.dims) return to_string(type);
  for (Dim& dim : *type.dims) {
    if (dim.symbol.starts_with("unk__")) dim.symbol.clear();
  }
  return to_string(type);
}

static void compare(int opset) {
  Builder builder(opset);
  fill(builder, opset);
  const auto bytes = export_onnx_bytes(builder.model);
  ASSERT_TRUE(bytes);
  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(*bytes));
  std::map<std::string, Type> inferred;
  // Node by node: one that is refused must not hide the others.
  onnx::shape_inference::InferShapes(proto, onnx::OpSchemaRegistry::Instance(),
                                     onnx::ShapeInferenceOptions(false, 0, false));
  for (const auto& list : {proto.graph().output(), proto.graph().value_info()}) {
    for (const auto& info : list)
      inferred[info.name()] = from_proto(info.type());
  }
  std::size_t answers = 0;
  const Model& model = builder.model;
  for (const NodeId node : model.nodes(model.main())) {
    const auto ours = type_of_result(model, model.node(node), opset);
    if (!ours) continue;
    ++answers;
    const Type& theirs = inferred[model.value(model.node(node).outputs[0]).name];
    EXPECT_EQ(to_string(*ours), without_fresh_names(theirs))
        << "opset " << opset << ", " << model.node(node).type.str() << " of "
        << to_string(model.value(model.node(node).inputs[0]).type) << ", "
        << (model.node(node).inputs.size() > 1
                ? to_string(model.value(model.node(node).inputs[1]).type)
                : std::string("nothing"));
  }
  EXPECT_GT(answers, model.live_nodes() / 2);
}

TEST(TypeRules, AgreeWithOnnx) {
  for (const int opset : {12, 13, 17, 18, 20, 23})
    compare(opset);
}

TEST(TypeRules, LeaveOtherOperatorsToOnnx) {
  Builder builder(17);
  builder.add("Shape", {builder.inputs[3]});
  builder.add("Add", {builder.inputs.back(), builder.inputs.back()});  // integers: computed shapes
  for (const NodeId node : builder.model.nodes(builder.model.main()))
    EXPECT_FALSE(type_of_result(builder.model, builder.model.node(node), 17));
}

// A Slice of x [n, 3, 5] from `starts` to `ends` along `axes`, by our rule.
static std::optional<Type> sliced(const Type& x, const Ints& starts, const Ints& ends,
                                  const Ints& axes, const Ints& steps, std::string* theirs) {
  Model model;
  model.opset_imports = {{"", 17}};
  model.graph(model.main()).name = "g";
  std::vector<ValueId> inputs = {model.add_input(model.main(), "x", x)};
  for (const Ints* list : {&starts, &ends, &axes, &steps}) {
    const Shape shape = {static_cast<std::int64_t>(list->size())};
    inputs.push_back(model.add_initializer(model.main(), model.fresh_value_name("i"),
                                           Tensor::of<std::int64_t>(shape, *list)));
  }
  const NodeId node =
      model.add_node(model.main(), {.name = "s", .type = "Slice", .inputs = inputs});
  model.add_output(model.main(), model.node(node).outputs[0]);
  onnx::ModelProto proto;
  const auto bytes = export_onnx_bytes(model);
  if (bytes && proto.ParseFromString(*bytes)) {
    onnx::shape_inference::InferShapes(proto, onnx::OpSchemaRegistry::Instance(),
                                       onnx::ShapeInferenceOptions(false, 0, false));
    *theirs = without_fresh_names(from_proto(proto.graph().output(0).type()));
  }
  return type_of_result(model, model.node(node), 17);
}

TEST(TypeRules, SlicesOfKnownAxesAsOnnxHasThem) {
  constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min(),
                         highest = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t start : {lowest, std::int64_t{-6}, std::int64_t{-2}, std::int64_t{0},
                                   std::int64_t{1}, std::int64_t{9}}) {
    for (const std::int64_t end :
         {lowest, std::int64_t{-1}, std::int64_t{0}, std::int64_t{3}, std::int64_t{5}, highest}) {
      for (const std::int64_t step : {std::int64_t{1}, std::int64_t{2}, highest}) {
        std::string theirs;
        const auto ours =
            sliced(Type::tensor(DType::F32, {4, 3, 5}), {start}, {end}, {2}, {step}, &theirs);
        ASSERT_TRUE(ours);
        EXPECT_EQ(to_string(*ours), theirs) << start << " to " << end << " by " << step;
      }
    }
  }
}

// Exporters write "to the end" as a large number.
TEST(TypeRules, ASliceOfAllOfAnAxisKeepsItsName) {
  const Type x = f32({{.size = -1, .symbol = "n"}, {.size = 3}, {.size = 5}});
  std::string theirs;
  const auto text = [&](const Ints& starts, const Ints& ends, const Ints& axes) {
    const auto ours = sliced(x, starts, ends, axes, Ints(starts.size(), 1), &theirs);
    return ours ? to_string(*ours) : "left to ONNX";
  };
  EXPECT_EQ(text({0, 1}, {2147483647, -1}, {0, 2}), "f32[n,3,3]");
  EXPECT_EQ(text({0}, {1'000'000'000'000}, {-3}), "f32[n,3,5]");
  // As many as a tensor may have, or another beginning.
  EXPECT_EQ(text({0}, {1'000'000'000}, {0}), "left to ONNX");
  EXPECT_EQ(text({1}, {2147483647}, {0}), "left to ONNX");
  EXPECT_EQ(text({0}, {-1}, {0}), "left to ONNX");
  EXPECT_EQ(text({1}, {2}, {1}), "f32[n,1,5]");
}

TEST(TypeRules, StacksOfAFusedProduct) {
  Model model;
  const auto result = [&](const Shape& a, const Shape& b, const Attributes& attributes) {
    const ValueId x = model.add_input(model.main(), model.fresh_value_name("x"),
                                      Type::tensor(DType::F32, a)),
                  y = model.add_input(model.main(), model.fresh_value_name("y"),
                                      Type::tensor(DType::F32, b));
    const NodeId node = model.add_node(model.main(), {.domain = "com.microsoft",
                                                      .type = "FusedMatMul",
                                                      .inputs = {x, y},
                                                      .attributes = attributes});
    const auto type = type_of_result(model, model.node(node), 1);
    return type ? to_string(*type) : "left to ONNX";
  };
  const std::int64_t yes = 1;
  EXPECT_EQ(result({2, 3, 4}, {2, 4, 5}, {}), "f32[2,3,5]");
  EXPECT_EQ(result({2, 4, 3}, {5, 4}, Attributes({{"transA", yes}, {"transB", yes}})),
            "f32[2,3,5]");
  EXPECT_EQ(result({3, 2, 4}, {2, 4, 5}, Attributes({{"transBatchA", yes}})), "f32[2,3,5]");
  EXPECT_EQ(result({2, 6, 3, 4}, {5, 2, 6, 4}, Attributes({{"transBatchB", yes}, {"transB", yes}})),
            "f32[2,6,3,5]");
  EXPECT_EQ(result({3, 2, 4}, {2, 4, 5}, {}), "left to ONNX");
}

TEST(TypeRules, FeaturesAreAsManyAsTheirIndices) {
  Model model;
  const auto result = [&](const Type& x, const Type& indices) {
    const ValueId a = model.add_input(model.main(), model.fresh_value_name("x"), x),
                  b = model.add_input(model.main(), model.fresh_value_name("i"), indices);
    const NodeId node = model.add_node(
        model.main(), {.domain = "ai.onnx.ml", .type = "ArrayFeatureExtractor", .inputs = {a, b}});
    const auto type = type_of_result(model, model.node(node), 3);
    return type ? to_string(*type) : "left to ONNX";
  };
  const Dim n{.size = -1, .symbol = "n"};
  Type indices = Type::tensor(DType::I64, {1, 1});
  (*indices.dims)[0] = n;
  EXPECT_EQ(result(Type::tensor(DType::String, {10}), indices), "string[1,n]");
  EXPECT_EQ(result(f32({n, {.size = 10}}), Type::tensor(DType::I64, {4})), "f32[n,4]");
  (*indices.dims)[1] = n;
  EXPECT_EQ(result(Type::tensor(DType::String, {10}), indices), "left to ONNX");
}

// The last dimension that ONNX's newest function gives for a pooling with ceil_mode.
static std::int64_t pooled_by_onnx(const char* type, std::int64_t size,
                                   const Attributes& attributes) {
  Model model;
  model.opset_imports = {{"", 22}};
  model.graph(model.main()).name = "g";
  const ValueId x =
      model.add_input(model.main(), "x", f32({{.size = 1}, {.size = 2}, {.size = size}}));
  const NodeId node = model.add_node(
      model.main(), {.name = "pool", .type = type, .inputs = {x}, .attributes = attributes});
  model.add_output(model.main(), model.node(node).outputs[0]);
  const auto bytes = export_onnx_bytes(model);
  onnx::ModelProto proto;
  if (!bytes || !proto.ParseFromString(*bytes)) return -1;
  onnx::shape_inference::InferShapes(proto, onnx::OpSchemaRegistry::Instance(),
                                     onnx::ShapeInferenceOptions(false, 0, false));
  const Type found = from_proto(proto.graph().output(0).type());
  return found.dims && found.dims->size() == 3 ? (*found.dims)[2].size : -1;
}

TEST(TypeRules, NoWindowBeginsInThePaddingAtTheEndWhateverTheOpset) {
  int answers = 0;
  for (const char* type : {"MaxPool", "AveragePool", "LpPool"}) {
    for (const std::int64_t size : {3, 6, 7, 11}) {
      for (const std::int64_t kernel : {1, 2, 3, 7}) {
        for (const std::int64_t stride : {1, 2, 3, 4}) {
          for (const Ints& pads : {Ints{0, 0}, Ints{1, 1}, Ints{0, 1}, Ints{6, 6}, Ints{2, 5}}) {
            if (pads[0] >= kernel && pads[0] > 0) continue;
            const Attributes attributes({{"ceil_mode", std::int64_t{1}},
                                         {"kernel_shape", Ints{kernel}},
                                         {"strides", Ints{stride}},
                                         {"pads", pads}});
            for (const int opset : {18, 22}) {
              Model model;
              model.opset_imports = {{"", opset}};
              const ValueId x = model.add_input(model.main(), "x",
                                                f32({{.size = 1}, {.size = 2}, {.size = size}}));
              const NodeId node = model.add_node(
                  model.main(), {.type = type, .inputs = {x}, .attributes = attributes});
              const auto ours = type_of_result(model, model.node(node), opset);
              if (!ours) continue;
              ++answers;
              EXPECT_EQ((*ours->dims)[2].size, pooled_by_onnx(type, size, attributes))
                  << type << " of " << size << ", kernel " << kernel << ", stride " << stride
                  << ", pads " << pads[0] << " " << pads[1] << ", opset " << opset;
            }
          }
        }
      }
    }
  }
  EXPECT_GT(answers, 500);
}

}  // namespace rulec
