// SPDX-License-Identifier: Apache-2.0
#pragma once

// KernelCall in one line, for kernels of tensors that give one tensor.
//
//   Outputs y = apply("Clip", 6, {floats({3}, {-1, 0, 2})}, {{"min", 0.0F}});

#include <string_view>
#include <vector>

#include "tests/runtime/kernel_call.h"

namespace rulec::generic {

inline Tensor numbers(DType dtype, Shape shape, const std::vector<double>& values) {
  Tensor t = Tensor::allocate(dtype, std::move(shape));
  RULEC_CHECK(t.size() == static_cast<std::int64_t>(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    t.set_number(static_cast<std::int64_t>(i), values[i]);
  }
  return t;
}

inline Tensor floats(Shape shape, const std::vector<double>& values) {
  return numbers(DType::F32, std::move(shape), values);
}

inline Tensor longs(Shape shape, const std::vector<double>& values) {
  return numbers(DType::I64, std::move(shape), values);
}

// An undefined tensor stands for an absent operand.
inline Result<Outputs> try_apply(std::string_view type, int opset,
                                 const std::vector<Tensor>& operands,
                                 const std::vector<Attribute>& attributes = {},
                                 std::size_t outputs = 1) {
  KernelCall call(std::string(type), opset);
  for (const Tensor& t : operands)
    call.input(t.defined() ? Value(t) : Value());
  for (const Attribute& a : attributes)
    call.attribute(a.name, a.value);
  return call.outputs(outputs).result();
}

inline Tensor apply(std::string_view type, int opset, const std::vector<Tensor>& operands,
                    const std::vector<Attribute>& attributes = {}) {
  Result<Outputs> out = try_apply(type, opset, operands, attributes);
  if (!out) {
    ADD_FAILURE() << out.error().message;
    return Tensor::zeros(DType::F32, {0});
  }
  return (*out)[0].tensor();
}

}  // namespace rulec::generic
