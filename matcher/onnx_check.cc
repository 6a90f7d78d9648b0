// SPDX-License-Identifier: Apache-2.0
// check_onnx: ONNX's checker on the exported model. The checker wants data in every tensor but does
// not look at it, so large tensors go without: an empty one of the same type stands for each.
#include <exception>

#include <onnx/checker.h>

#include "matcher/onnx_io.h"
#include "matcher/plugin_ops.h"

namespace rulec {

static constexpr std::size_t data_shown = 4096;  // bytes of a tensor

static void abridge(onnx::TensorProto& tensor) {
  if (tensor.data_location() != onnx::TensorProto::EXTERNAL &&
      tensor.raw_data().size() <= data_shown) {
    return;
  }
  onnx::TensorProto empty;
  empty.set_name(tensor.name());
  empty.set_data_type(tensor.data_type());
  empty.add_dims(0);
  empty.set_raw_data("");
  tensor.Swap(&empty);
}

Status check_onnx(const Model& model) {
  register_plugin_operators();
  Model light = model;
  for (std::uint32_t i = 0; i < light.value_capacity(); ++i) {
    GraphValue& value = light.value(ValueId{i});
    if (!value.initializer || value.initializer->byte_size() <= data_shown) continue;
    value.initializer =
        std::make_shared<const Tensor>(Tensor::allocate(value.initializer->dtype(), {0}));
  }
  const Result<std::string> bytes = export_onnx_bytes(light);
  if (!bytes) return bytes.error();
  try {
    onnx::ModelProto proto;
    if (!proto.ParseFromString(*bytes)) return make_error("ONNX cannot read the model");
    for (auto& tensor : *proto.mutable_graph()->mutable_initializer())
      abridge(tensor);
    onnx::checker::check_model(proto);
  } catch (const std::exception& error) {
    std::string_view what = error.what();
    while (what.ends_with('\n'))
      what.remove_suffix(1);
    return make_error("ONNX's checker: {}", what);
  }
  return Done{};
}

}  // namespace rulec
