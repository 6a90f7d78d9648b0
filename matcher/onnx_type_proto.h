// SPDX-License-Identifier: Apache-2.0
#pragma once

// Type and ONNX's TypeProto as an object. Private to matcher/onnx_*.cc.

#include <onnx/onnx_pb.h>

#include "matcher/type.h"

namespace rulec {

void to_proto(const Type& type, onnx::TypeProto& to);
Type from_proto(const onnx::TypeProto& proto);

}  // namespace rulec
