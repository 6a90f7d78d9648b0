// SPDX-License-Identifier: Apache-2.0
#pragma once

// Operators that ONNX does not define but we know: TensorRT's plugins, which live in the empty
// domain, and some of com.microsoft. Told to ONNX's own registry, so that its checker, its shape
// inference and OpTable see them like any other.

#include <string_view>

namespace rulec {

// Once per process; cheap afterwards. Whoever uses ONNX's registry calls it first.
void register_plugin_operators();

// Whether an operator of the empty domain is one of TensorRT's plugins, not ONNX's own.
bool is_plugin_operator(std::string_view type);

}  // namespace rulec
