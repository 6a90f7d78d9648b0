// SPDX-License-Identifier: Apache-2.0
#pragma once

// Types and shapes of the plugin operators' results, in ONNX's terms. Private to plugin_ops.cc.

#include <string_view>

#include <onnx/defs/schema.h>

namespace rulec {

onnx::InferenceFunction plugin_inference(std::string_view domain, std::string_view type);

}  // namespace rulec
