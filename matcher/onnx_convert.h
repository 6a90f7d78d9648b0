// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "matcher/graph.h"
#include "runtime/result.h"

namespace rulec {

// The model at another opset, by ONNX's version converter. An Error where the converter has no way
// (an operator without adapter, an operator outside the standard).
Result<Model> convert_opset(const Model& model, int version);

}  // namespace rulec
