// SPDX-License-Identifier: Apache-2.0
#pragma once

// Operators made of others: what the kernels of fused operators (fused.cc, quantized.cc) share.
//
//   auto y = apply("", "Conv", {&x, &w}, call.attributes);  // as a node Conv in a model would

#include <string_view>
#include <vector>

#include "runtime/generic/kernel.h"

namespace rulec::generic {

inline constexpr int standard_opset = 24;  // of the operators that the engine's own are made of

// The first result of an operator; null stands for an absent operand.
Result<Value> apply(std::string_view domain, std::string_view type,
                    const std::vector<const Value*>& inputs, const Attributes& attributes,
                    int opset = standard_opset);

// The activation that the attributes of a fused operator name. `slopes` is operand 1 of a PRelu.
Result<Value> activate(const Attributes& given, const Value& x, const Value* slopes);

// The table of quantized.cc.
std::span<const KernelEntry> quantized_kernels();

}  // namespace rulec::generic
