// SPDX-License-Identifier: Apache-2.0
// The only place that calls ONNX's version converter; its exceptions end here.
#include "matcher/onnx_convert.h"

#include <exception>
#include <string>

#include <onnx/onnx_pb.h>
#include <onnx/version_converter/convert.h>

#include "matcher/onnx_io.h"

namespace rulec {

Result<Model> convert_opset(const Model& model, int version) {
  auto bytes = export_onnx_bytes(model);
  if (!bytes) return bytes.error();
  try {
    onnx::ModelProto proto;
    if (!proto.ParseFromString(*bytes))
      return make_error("the model could not be handed to ONNX's version converter");
    const onnx::ModelProto converted = onnx::version_conversion::ConvertVersion(proto, version);
    auto result = import_onnx_bytes(converted.SerializeAsString());
    if (result) result->path = model.path;
    return result;
  } catch (const std::exception& error) {
    return make_error("ONNX's version converter cannot bring the model from opset {} to {}: {}",
                      model.opset(""), version, error.what());
  }
}

}  // namespace rulec
