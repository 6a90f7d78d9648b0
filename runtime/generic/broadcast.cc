// SPDX-License-Identifier: Apache-2.0
#include "runtime/generic/broadcast.h"

namespace rulec::generic {

Strides broadcast_strides(std::span<const std::int64_t> shape, std::span<const std::int64_t> out) {
  RULEC_CHECK(shape.size() <= out.size());
  const Strides own = strides_of(shape);
  Strides strides(out.size(), 0);
  const std::size_t lead = out.size() - shape.size();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    RULEC_CHECK(shape[i] == out[lead + i] || shape[i] == 1);
    strides[lead + i] = shape[i] == 1 ? 0 : own[i];
  }
  return strides;
}

Result<Shape> common_shape(std::span<const Value* const> inputs) {
  Shape shape;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i] || !inputs[i]->is_tensor()) continue;
    const Shape& next = inputs[i]->tensor().shape();
    auto joined = broadcast(shape, next);
    if (!joined) {
      return make_error("operand {} of shape {} does not broadcast with {}", i, to_string(next),
                        to_string(shape));
    }
    shape = *std::move(joined);
  }
  return shape;
}

Walk merge_dimensions(std::span<const std::int64_t> shape, std::span<const Strides> strides) {
  Walk plan;
  plan.strides.resize(strides.size());
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) continue;
    bool merges = !plan.shape.empty();
    for (std::size_t k = 0; merges && k < strides.size(); ++k) {
      merges = plan.strides[k].back() == strides[k][d] * shape[d];
    }
    if (merges) {
      plan.shape.back() *= shape[d];
    } else {
      plan.shape.push_back(shape[d]);
    }
    for (std::size_t k = 0; k < strides.size(); ++k) {
      if (merges) {
        plan.strides[k].back() = strides[k][d];
      } else {
        plan.strides[k].push_back(strides[k][d]);
      }
    }
  }
  return plan;
}

}  // namespace rulec::generic
