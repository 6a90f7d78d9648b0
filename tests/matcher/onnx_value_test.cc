// SPDX-License-Identifier: Apache-2.0
// The files of test data: what ONNX lets a value be, read as what runs.
#include "matcher/onnx_value.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>
#include <unistd.h>

#include "matcher/wire.h"

namespace rulec {
namespace {

class OnnxValue : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  Result<Value> read(const std::string& bytes, Type::Kind kind) {
    std::ofstream(path_, std::ios::binary) << bytes;
    return read_value(path_, {.kind = kind});
  }
  std::filesystem::path path_ = std::filesystem::temp_directory_path() /
                                ("rulec-value-" + std::to_string(::getpid()) + ".pb");
};

// 2 at [0, 1] and 5 at [1, 2] of [2, 3].
onnx::SparseTensorProto some_sparse() {
  onnx::SparseTensorProto sparse;
  sparse.mutable_values()->set_data_type(onnx::TensorProto::FLOAT);
  sparse.mutable_values()->add_dims(2);
  for (const float number : {2.0F, 5.0F})
    sparse.mutable_values()->add_float_data(number);
  sparse.mutable_indices()->set_data_type(onnx::TensorProto::INT64);
  sparse.mutable_indices()->add_dims(2);
  for (const std::int64_t index : {1, 5})
    sparse.mutable_indices()->add_int64_data(index);
  sparse.add_dims(2);
  sparse.add_dims(3);
  return sparse;
}

const std::vector<double> dense = {0, 2, 0, 0, 0, 5};

TEST_F(OnnxValue, SparseTensorsBecomeWhatTheyStandFor) {
  const std::string sparse = some_sparse().SerializeAsString();
  const auto alone = read(sparse, Type::Kind::SparseTensor);
  ASSERT_TRUE(alone) << alone.error().message;
  EXPECT_EQ(alone->tensor().numbers(), dense);
  EXPECT_EQ(alone->tensor().shape(), (Shape{2, 3}));

  // Of a SequenceProto and of an OptionalProto: elem_type, then what it holds.
  wire::Writer holder;
  holder.integer(2, 2);
  holder.bytes(4, sparse);
  const auto listed = read(holder.joined(), Type::Kind::Sequence);
  ASSERT_TRUE(listed) << listed.error().message;
  const auto& items = *std::get_if<Sequence>(&listed->data)->items;
  ASSERT_EQ(items.size(), 1U);
  EXPECT_EQ(items[0].tensor().numbers(), dense);
  const auto held = read(holder.joined(), Type::Kind::Optional);
  ASSERT_TRUE(held) << held.error().message;
  EXPECT_EQ(std::get_if<Optional>(&held->data)->held->tensor().numbers(), dense);
}

TEST_F(OnnxValue, ASparseTensorAsLargeAsMemoryIsRefused) {
  auto sparse = some_sparse();
  sparse.set_dims(0, std::int64_t{1} << 40);
  const auto read_back = read(sparse.SerializeAsString(), Type::Kind::SparseTensor);
  ASSERT_FALSE(read_back);
  EXPECT_NE(read_back.error().message.find("would take more memory"), std::string::npos)
      << read_back.error().message;
}

}  // namespace
}  // namespace rulec
