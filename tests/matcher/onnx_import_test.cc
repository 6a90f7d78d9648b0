// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include "matcher/onnx_io.h"
#include "shared_models.h"

namespace rulec {
namespace {

std::string error_of(const Result<Model>& model) {
  return model ? "no error" : model.error().message;
}

ValueId find(const Model& model, std::string_view name) {
  for (std::uint32_t i = 0; i < model.value_capacity(); ++i) {
    if (model.value(ValueId{i}).alive && model.value(ValueId{i}).name == name) return {i};
  }
  return {};
}

constexpr const char* small_text = R"(
  <ir_version: 8, opset_import: ["" : 17], producer_name: "test">
  main (float[N, 3] x, int64 n) => (float[N, 3] y, float[] z)
  <float[3] w = {1, 2, 3}, int64[2] s = {3, -1}> {
    a = Add(x, w)
    c = Greater(a, w)
    y, mask = Dropout(a)
    z = Loop(n, , a) <body = body (int64 i, bool cond, float[] state) => (bool again, float[] next) {
      again = Identity(cond)
      next = Mul(state, a)
    }>
  })";

onnx::ModelProto proto_of(const Model& model) {
  onnx::ModelProto proto;
  const auto bytes = export_onnx_bytes(model);
  EXPECT_TRUE(bytes && proto.ParseFromString(*bytes));
  return proto;
}

TEST(OnnxImport, ReadsAModel) {
  const auto model = import_onnx_text(small_text);
  ASSERT_TRUE(model) << error_of(model);
  EXPECT_TRUE(model->verify());
  EXPECT_EQ(model->ir_version, 8);
  EXPECT_EQ(model->opset(""), 17);
  EXPECT_EQ(model->opset("other"), 0);
  EXPECT_EQ(model->live_nodes(), 6u);
  EXPECT_EQ(to_string(model->value(find(*model, "x")).type), "f32[N,3]");
  const auto w = model->constant(find(*model, "w"));
  ASSERT_TRUE(w);
  EXPECT_EQ(w->numbers(), (std::vector<double>{1, 2, 3}));
}

// Of a tensor stored in pieces a model can hold one only: it must be all of it.
TEST(OnnxImport, ASegmentIsReadWhereItIsTheWholeTensor) {
  const auto with = [](std::int64_t begin, std::int64_t end) {
    auto small = import_onnx_text(small_text);
    EXPECT_TRUE(small) << error_of(small);
    onnx::ModelProto proto = proto_of(*small);
    auto& tensor = *proto.mutable_graph()->mutable_initializer(0);
    tensor.mutable_segment()->set_begin(begin);
    tensor.mutable_segment()->set_end(end);
    return import_onnx_bytes(proto.SerializeAsString());
  };
  const auto whole = with(0, 3);
  ASSERT_TRUE(whole) << error_of(whole);
  EXPECT_EQ(whole->constant(find(*whole, "w"))->numbers(), (std::vector<double>{1, 2, 3}));
  EXPECT_TRUE(proto_of(*whole).graph().initializer(0).has_segment()) << "written as it was read";
  const auto part = with(0, 2);
  ASSERT_FALSE(part);
  EXPECT_NE(error_of(part).find("initializer `w`: it holds elements 0 to 2 of a tensor of 3"),
            std::string::npos)
      << error_of(part);
}

TEST(OnnxImport, CapturesAreTheOuterValue) {
  const auto model = import_onnx_text(small_text);
  ASSERT_TRUE(model) << error_of(model);
  const ValueId a = find(*model, "a");
  std::size_t inside = 0;
  for (const Use& use : model->uses(a))
    inside += use.graph != model->main() ? 1 : 0;
  EXPECT_EQ(inside, 1u);
  const NodeId loop = model->last_node(model->main());
  EXPECT_FALSE(model->node(loop).inputs[1]);  // the empty name
  ASSERT_EQ(model->bodies(loop).size(), 1u);
  EXPECT_EQ(model->graph(model->bodies(loop)[0]).owner, loop);
}

TEST(OnnxImport, SiblingBodiesMayRepeatNames) {
  const auto model = import_onnx_text(R"(
    <ir_version: 8, opset_import: ["" : 17]>
    main (bool c, float[2] x) => (float[2] y) {
      y = If(c) <then_branch = t () => (float[2] r) { r = Relu(x) },
                 else_branch = e () => (float[2] r) { r = Abs(x) }>
    })");
  ASSERT_TRUE(model) << error_of(model);
  EXPECT_TRUE(model->verify());
}

onnx::ModelProto small_proto() {
  return proto_of(*import_onnx_text(small_text));
}

Result<Model> import_proto(const onnx::ModelProto& proto) {
  return import_onnx_bytes(proto.SerializeAsString());
}

TEST(OnnxImport, SortsWhatIsNotSorted) {
  auto proto = small_proto();
  proto.mutable_graph()->mutable_node()->SwapElements(0, 3);
  const auto model = import_proto(proto);
  ASSERT_TRUE(model) << error_of(model);
  const Status status = model->verify();
  EXPECT_TRUE(status) << status.error().message;
}

TEST(OnnxImport, RefusesCycles) {
  auto proto = small_proto();
  proto.mutable_graph()->mutable_node(0)->set_input(1, "y");
  const std::string error = error_of(import_proto(proto));
  EXPECT_NE(error.find("cycle"), std::string::npos) << error;
}

TEST(OnnxImport, NamesWhatIsMissing) {
  auto proto = small_proto();
  proto.mutable_graph()->mutable_node(0)->set_name("adder");
  proto.mutable_graph()->mutable_node(0)->set_input(1, "nowhere");
  std::string error = error_of(import_proto(proto));
  EXPECT_NE(error.find("`nowhere`"), std::string::npos) << error;
  EXPECT_NE(error.find("`adder`"), std::string::npos) << error;

  proto = small_proto();
  proto.mutable_graph()->mutable_output(0)->set_name("gone");
  error = error_of(import_proto(proto));
  EXPECT_NE(error.find("output `gone`"), std::string::npos) << error;

  proto = small_proto();
  proto.mutable_graph()->mutable_node(0)->set_domain("my.ops");
  error = error_of(import_proto(proto));
  EXPECT_NE(error.find("`my.ops` has no opset_import"), std::string::npos) << error;

  proto = small_proto();
  proto.mutable_graph()->mutable_node(1)->set_output(0, "a");
  error = error_of(import_proto(proto));
  EXPECT_NE(error.find("`a` is defined twice"), std::string::npos) << error;
}

TEST(OnnxImport, UnknownOperatorsOfKnownDomainsPass) {
  auto proto = small_proto();
  proto.mutable_graph()->mutable_node(1)->set_op_type("Unheard");
  EXPECT_TRUE(import_proto(proto));
}

TEST(OnnxImport, RefusesBadTensors) {
  const auto with = [](auto change) {
    auto proto = small_proto();
    change(*proto.mutable_graph()->mutable_initializer(0));
    return error_of(import_proto(proto));
  };
  EXPECT_NE(with([](auto& t) { t.set_dims(0, 4); }).find("`w`"), std::string::npos);
  EXPECT_NE(with([](auto& t) { t.set_dims(0, -1); }).find("negative"), std::string::npos);
  EXPECT_NE(with([](auto& t) { t.set_dims(0, INT64_MAX); }).find("large"), std::string::npos);
  EXPECT_NE(with([](auto& t) { t.set_data_type(99); }).find("99"), std::string::npos);
  EXPECT_NE(with([](auto& t) { t.clear_float_data(); }).find("no data"), std::string::npos);
}

TEST(OnnxImport, ReadsEveryTypedField) {
  struct Case {
    int dtype;
    void (*fill)(onnx::TensorProto&);
    std::vector<double> expected;
  };
  const Case cases[] = {
      {1,
       [](onnx::TensorProto& t) {
         t.add_float_data(1.5f);
         t.add_float_data(-2);
       },
       {1.5, -2}},
      {11,
       [](onnx::TensorProto& t) {
         t.add_double_data(1.5);
         t.add_double_data(-2);
       },
       {1.5, -2}},
      {6,
       [](onnx::TensorProto& t) {
         t.add_int32_data(-7);
         t.add_int32_data(9);
       },
       {-7, 9}},
      {3,
       [](onnx::TensorProto& t) {
         t.add_int32_data(-7);
         t.add_int32_data(9);
       },
       {-7, 9}},
      {2,
       [](onnx::TensorProto& t) {
         t.add_int32_data(200);
         t.add_int32_data(9);
       },
       {200, 9}},
      {9,
       [](onnx::TensorProto& t) {
         t.add_int32_data(1);
         t.add_int32_data(0);
       },
       {1, 0}},
      {10,
       [](onnx::TensorProto& t) {
         t.add_int32_data(0x3c00);
         t.add_int32_data(0xc000);
       },
       {1, -2}},
      {16,
       [](onnx::TensorProto& t) {
         t.add_int32_data(0x3f80);
         t.add_int32_data(0xc000);
       },
       {1, -2}},
      {22, [](onnx::TensorProto& t) { t.add_int32_data(0xf3); }, {3, -1}},
      {21, [](onnx::TensorProto& t) { t.add_int32_data(0xf3); }, {3, 15}},
      {7,
       [](onnx::TensorProto& t) {
         t.add_int64_data(-1);
         t.add_int64_data(5);
       },
       {-1, 5}},
      {12,
       [](onnx::TensorProto& t) {
         t.add_uint64_data(7);
         t.add_uint64_data(5);
       },
       {7, 5}},
      {13,
       [](onnx::TensorProto& t) {
         t.add_uint64_data(7);
         t.add_uint64_data(5);
       },
       {7, 5}},
  };
  for (const Case& it : cases) {
    auto proto = small_proto();
    auto& tensor = *proto.mutable_graph()->add_initializer();
    tensor.set_name("typed");
    tensor.add_dims(2);
    tensor.set_data_type(it.dtype);
    it.fill(tensor);
    const auto model = import_proto(proto);
    ASSERT_TRUE(model) << it.dtype << ": " << error_of(model);
    const auto read = model->constant(find(*model, "typed"));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->numbers(), it.expected) << it.dtype;
    // Written back as it stood.
    const auto again = proto_of(*model);
    EXPECT_EQ(again.graph().initializer(again.graph().initializer_size() - 1).SerializeAsString(),
              tensor.SerializeAsString());
  }
}

TEST(OnnxImport, NeverCrashesOnCutOrChangedFiles) {
  const std::string good = small_proto().SerializeAsString();
  std::size_t accepted = 0;
  for (std::size_t length = 0; length < good.size(); ++length) {
    const auto model = import_onnx_bytes(good.substr(0, length));
    if (model) {
      EXPECT_TRUE(model->verify());
    } else {
      EXPECT_FALSE(model.error().message.empty());
    }
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      auto model = import_onnx_bytes(bad);
      if (!model) continue;
      ++accepted;
      const Status status = model->verify();
      ASSERT_TRUE(status) << status.error().message;
      std::vector<std::string> warnings;
      infer_types(*model, warnings);
      EXPECT_TRUE(export_onnx_bytes(*model));
    }
  }
  EXPECT_GT(accepted, 0u);  // changed names and numbers are still models
}

TEST(OnnxImport, RefusesWhatIsNoModel) {
  for (const char* text : {"", "hello, world", "{\"json\": 1}", "PK\x03\x04"}) {
    const auto model = import_onnx_bytes(text);
    ASSERT_FALSE(model);
    EXPECT_NE(model.error().message.find("ONNX model"), std::string::npos) << model.error().message;
  }
  EXPECT_FALSE(import_onnx("/nonexistent/model.onnx"));
  EXPECT_FALSE(import_onnx_text("this is no model"));
}

class ExternalData : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              fmt::format("rulec_external_{}", static_cast<long>(::getpid()));
    std::filesystem::create_directories(folder_ / "sub");
    std::ofstream(folder_ / "weights.bin", std::ios::binary) << std::string(64, '\0') << "abcdefgh";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Result<Model> with(std::vector<std::pair<std::string, std::string>> entries) {
    auto proto = small_proto();
    auto& tensor = *proto.mutable_graph()->add_initializer();
    tensor.set_name("far");
    tensor.add_dims(8);
    tensor.set_data_type(onnx::TensorProto::UINT8);
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    for (auto& [key, value] : entries) {
      auto* entry = tensor.add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    }
    std::ofstream(folder_ / "model.onnx", std::ios::binary) << proto.SerializeAsString();
    return import_onnx(folder_ / "model.onnx");
  }
  std::filesystem::path folder_;
};

TEST_F(ExternalData, IsMapped) {
  const auto model = with({{"location", "weights.bin"}, {"offset", "64"}, {"length", "8"}});
  ASSERT_TRUE(model) << error_of(model);
  EXPECT_EQ(model->constant(find(*model, "far"))->number(0), 'a');
  // Beside the model it stays a reference, elsewhere the data comes along.
  ASSERT_TRUE(export_onnx(*model, folder_ / "again.onnx"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "again.onnx.data"));
  ASSERT_TRUE(import_onnx(folder_ / "again.onnx"));
  ASSERT_TRUE(export_onnx(*model, folder_ / "sub" / "again.onnx"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "sub" / "again.onnx.data"));
  const auto moved = import_onnx(folder_ / "sub" / "again.onnx");
  ASSERT_TRUE(moved) << error_of(moved);
  EXPECT_EQ(moved->constant(find(*moved, "far"))->number(7), 'h');
}

TEST_F(ExternalData, IsRefusedOutsideTheFolder) {
  std::filesystem::create_symlink("/etc/passwd", folder_ / "link.bin");
  EXPECT_NE(error_of(with({{"location", "/etc/passwd"}})).find("absolute"), std::string::npos);
  EXPECT_NE(error_of(with({{"location", "../weights.bin"}})).find("leaves"), std::string::npos);
  EXPECT_NE(error_of(with({{"location", "sub/../../x"}})).find("leaves"), std::string::npos);
  EXPECT_NE(error_of(with({{"location", "link.bin"}})).find("symbolic link"), std::string::npos);
  EXPECT_NE(error_of(with({{"location", "gone.bin"}})).find("gone.bin"), std::string::npos);
  EXPECT_NE(error_of(with({})).find("file name"), std::string::npos);
}

TEST_F(ExternalData, IsRefusedWhereItDoesNotFit) {
  EXPECT_NE(error_of(with({{"location", "weights.bin"}, {"offset", "65"}})).find("72"),
            std::string::npos);
  EXPECT_NE(error_of(with({{"location", "weights.bin"}, {"length", "7"}})).find("length 7"),
            std::string::npos);
  EXPECT_NE(error_of(with({{"location", "weights.bin"}, {"offset", "x"}})).find("no number"),
            std::string::npos);
  EXPECT_NE(error_of(with({{"location", "weights.bin"}, {"offset", "18446744073709551615"}}))
                .find("offset"),
            std::string::npos);
}

TEST(OnnxImport, EverySharedModel) {
  RULEC_NEEDS_SHARED_MODELS();
  for (const auto& path : shared_models()) {
    const auto model = import_onnx(path);
    ASSERT_TRUE(model) << error_of(model);
    const Status status = model->verify();
    EXPECT_TRUE(status) << path << ": " << status.error().message;
  }
}

}  // namespace
}  // namespace rulec
