// SPDX-License-Identifier: Apache-2.0
#include "matcher/op_table.h"

#include <climits>

#include <gtest/gtest.h>

namespace rulec {
namespace {

TEST(OpTable, FindsTheVersionInForce) {
  const OpTable table;
  EXPECT_EQ(table.find("", "Squeeze", 12)->since, 11);
  EXPECT_EQ(table.find("", "Squeeze", 13)->since, 13);
  EXPECT_NE(table.find("", "Squeeze", 12)->attribute("axes"), nullptr);
  EXPECT_EQ(table.find("", "Squeeze", 13)->attribute("axes"), nullptr);
  EXPECT_EQ(table.find("", "Squeeze", 13)->input("axes"), 1);
  EXPECT_EQ(table.find("", "Nonsense", 13), nullptr);
  EXPECT_EQ(table.find("", "LayerNormalization", 16), nullptr);
  EXPECT_TRUE(table.versions("", "Nonsense").empty());
  EXPECT_EQ(table.versions("", "Squeeze").back()->since, 1);
  EXPECT_GE(table.newest_opset(""), 21);
}

TEST(OpTable, TranslatesSchemas) {
  const OpTable table;
  const OpSchema* conv = table.find("", "Conv", 11);
  EXPECT_EQ(conv->min_inputs(), 2);
  EXPECT_EQ(conv->max_inputs(), 3);
  EXPECT_EQ(std::get<std::int64_t>(*conv->attribute("group")->default_value), 1);
  EXPECT_EQ(std::get<std::string>(*conv->attribute("auto_pad")->default_value), "NOTSET");
  EXPECT_FALSE(conv->attribute("pads")->default_value);
  const OpSchema* concat = table.find("", "Concat", 13);
  EXPECT_EQ(concat->max_inputs(), INT_MAX);
  EXPECT_TRUE(concat->attribute("axis")->required);
  EXPECT_TRUE(table.find("", "Add", 14)->commutative);
  EXPECT_FALSE(table.find("", "Sub", 14)->commutative);
  EXPECT_FALSE(table.find("", "RandomNormal", 14)->deterministic);
  EXPECT_TRUE(table.find("", "Relu", 14)->deterministic);
  EXPECT_TRUE(table.find("", "Upsample", 10)->deprecated);
}

TEST(OpTable, KnowsPlugins) {
  const OpTable table;
  const OpSchema* nms = table.find("", "BatchedNMS_TRT", 11);
  ASSERT_NE(nms, nullptr);
  EXPECT_EQ(nms->outputs.size(), 4u);
  EXPECT_TRUE(nms->attribute("keepTopK")->required);
  EXPECT_EQ(std::get<std::int64_t>(*nms->attribute("clipBoxes")->default_value), 1);
  EXPECT_FALSE(nms->attribute("isNormalized")->default_value);
  EXPECT_EQ(nms->attribute("scoreThreshold")->kind, AttributeKind::Float);
  EXPECT_NE(table.find("", "EfficientNMS_TRT", 13), nullptr);
  EXPECT_NE(table.find("", "GridAnchor_TRT", 13), nullptr);
  EXPECT_NE(table.find("com.microsoft", "FusedMatMul", 1), nullptr);
}

TEST(OpTable, Declares) {
  OpTable table;
  Operand x, y;
  x.name = "x";
  y.name = "y";
  OpSchema own;
  own.domain = "my.domain";
  own.type = "Twist";
  own.inputs.push_back(x);
  EXPECT_TRUE(table.declare(own));
  EXPECT_TRUE(table.declare(own));
  ASSERT_NE(table.find("my.domain", "Twist", 1), nullptr);
  own.inputs.push_back(y);  // of foreign operators the rule file knows best
  EXPECT_TRUE(table.declare(own));
  EXPECT_EQ(table.find("my.domain", "Twist", 1)->inputs.size(), 2u);
  OpSchema relu;
  relu.type = "Relu";
  EXPECT_FALSE(table.declare(relu));
}

TEST(OpTable, SuggestsNames) {
  const OpTable table;
  EXPECT_EQ(table.similar("", "Convv"), "Conv");
  EXPECT_EQ(table.similar("", "relu"), "Relu");
  EXPECT_EQ(table.similar("", "BatchNormalisation"), "BatchNormalization");
  EXPECT_TRUE(table.similar("", "Xyzzyplugh").empty());
}

TEST(OpTable, KnowsWhatMoved) {
  const auto moved = [](const char* type, const char* name) -> std::optional<MovedOperand> {
    for (const MovedOperand& it : moved_operands("", type)) {
      if (it.name == name) return it;
    }
    return std::nullopt;
  };
  struct Case {
    const char *type, *name;
    int input, since;
  };
  const Case cases[] = {
      {"Squeeze", "axes", 1, 13},   {"Unsqueeze", "axes", 1, 13}, {"TopK", "k", 1, 10},
      {"Clip", "min", 1, 11},       {"Clip", "max", 2, 11},       {"Dropout", "ratio", 1, 12},
      {"Slice", "starts", 1, 10},   {"Slice", "ends", 2, 10},     {"Slice", "axes", 3, 10},
      {"Split", "split", 1, 13},    {"Pad", "pads", 1, 11},       {"Pad", "value", 2, 11},
      {"Upsample", "scales", 1, 9}, {"ReduceSum", "axes", 1, 13}, {"ReduceMean", "axes", 1, 18},
      {"ReduceMax", "axes", 1, 18}, {"ReduceL2", "axes", 1, 18},  {"Reshape", "shape", 1, 5},
  };
  for (const Case& it : cases) {
    const auto found = moved(it.type, it.name);
    ASSERT_TRUE(found) << it.type << " " << it.name;
    EXPECT_EQ(found->input, it.input) << it.type << " " << it.name;
    EXPECT_EQ(found->since, it.since) << it.type << " " << it.name;
  }
  EXPECT_TRUE(moved_operands("", "Relu").empty());
}

}  // namespace
}  // namespace rulec
