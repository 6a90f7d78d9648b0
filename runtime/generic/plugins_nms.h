// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the kernels of TensorRT's detection plugins share. They compute as their sources of release
// 10.16 do. Where TensorRT gives no defined result (a field that it reads uninitialised, a kernel
// that returns without writing) these kernels refuse; where it leaves an order open they take the
// lower index first.
//
//   const auto shared = flag(call, "shareLocation", 1);  // 0 or 1, else an Error

#include <array>
#include <cstdint>
#include <string_view>

#include "runtime/generic/kernel.h"

namespace rulec::generic {

using Corners = std::array<double, 4>;

struct Entry {
  double score = 0;
  std::int64_t index = -1;  // of a box and class; -1: nothing
};

inline Result<std::int64_t> required_integer(const Call& call, std::string_view name) {
  if (const auto* value = call.attributes.get<std::int64_t>(name)) return *value;
  return make_error("attribute {} is required and must be an integer", name);
}

inline Result<double> required_number(const Call& call, std::string_view name) {
  if (const auto* value = call.attributes.get<float>(name)) return static_cast<double>(*value);
  return make_error("attribute {} is required and must be a float", name);
}

inline Result<bool> flag(const Call& call, std::string_view name, std::int64_t otherwise) {
  const std::int64_t value = call.attributes.integer(name, otherwise);
  if (value == 0 || value == 1) return value == 1;
  return make_error("attribute {} is {}: TensorRT reads its first byte, use 0 or 1", name, value);
}

// plugins_efficient_nms.cc
Result<Outputs> run_efficient_nms(const Call& call);
Result<Outputs> run_efficient_nms_onnx(const Call& call);

}  // namespace rulec::generic
