// SPDX-License-Identifier: Apache-2.0
#include "runtime/generic/elementwise.h"

namespace rulec::generic {

Result<DType> common_type(const Call& call, std::size_t first) {
  DType common = DType::Undefined;
  for (std::size_t i = first; i < call.inputs.size(); ++i) {
    if (!call.has(i)) continue;
    const DType dtype = call.tensor(i).dtype();
    if (common == DType::Undefined || common == dtype) {
      common = dtype;
    } else if (is_float(common) && is_float(dtype)) {
      common = DType::F64;
    } else {
      return make_error("operand {} is of type {}, but those before it are of type {}", i,
                        name(dtype), name(common));
    }
  }
  return common;
}

Status check_float(const Call& call, std::size_t operand) {
  const DType dtype = call.tensor(operand).dtype();
  if (is_float(dtype)) return Done{};
  return make_error("operand {} is of type {}, but must be of a float type", operand, name(dtype));
}

}  // namespace rulec::generic
