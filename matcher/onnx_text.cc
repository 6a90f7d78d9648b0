// SPDX-License-Identifier: Apache-2.0
// ONNX's text form, through ONNX's own parser and printer.
#include <exception>

#include <onnx/defs/parser.h>
#include <onnx/defs/printer.h>

#include "matcher/onnx_io.h"

namespace rulec {

Result<Model> import_onnx_text(std::string_view text) {
  std::string bytes;
  try {
    onnx::ModelProto proto;
    // The parser works on a terminated string.
    const std::string copy(text);
    onnx::OnnxParser parser(copy.c_str());
    const auto status = parser.Parse(proto);
    if (!status.IsOK()) return make_error("ONNX's text parser: {}", status.ErrorMessage());
    if (!parser.EndOfInput()) return make_error("ONNX's text parser: text after the model's end");
    if (!proto.SerializeToString(&bytes)) return make_error("the model exceeds 2 GB");
  } catch (const std::exception& error) {
    return make_error("ONNX's text parser: {}", error.what());
  }
  return import_onnx_bytes(std::move(bytes));
}

std::string export_onnx_text(const Model& model) {
  const Result<std::string> bytes = export_onnx_bytes(model);
  if (!bytes) return bytes.error().message;
  try {
    onnx::ModelProto proto;
    if (!proto.ParseFromString(*bytes)) return "a model that ONNX cannot read";
    return onnx::ProtoToString(proto);
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace rulec
