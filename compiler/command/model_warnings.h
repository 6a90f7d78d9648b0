// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is odd about a model although it can be read: an opset that is not known here, operators
// that ONNX does not have. Not what inference has to say about its types.

#include <string>
#include <vector>

#include "matcher/graph.h"

namespace rulec::command {

std::vector<std::string> model_warnings(const Model& model);

}  // namespace rulec::command
