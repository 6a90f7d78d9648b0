// SPDX-License-Identifier: Apache-2.0
#include "runtime/generic/operands.h"

#include <algorithm>

namespace rulec::generic {

Result<std::optional<Integers>> optional_integers(const Call& call, std::size_t index,
                                                  std::string_view name) {
  if (call.has(index)) {
    if (!call.inputs[index]->is_tensor() || !is_integer(call.tensor(index).dtype())) {
      return make_error("operand {} ({}) must be an integer tensor", index, name);
    }
    return std::optional(call.tensor(index).integers());
  }
  if (const auto* many = call.attributes.get<Integers>(name)) return std::optional(*many);
  if (const auto* single = call.attributes.get<std::int64_t>(name)) {
    return std::optional(Integers{*single});
  }
  return std::optional<Integers>();
}

Result<Integers> required_integers(const Call& call, std::size_t index, std::string_view name) {
  auto found = optional_integers(call, index, name);
  if (!found) return found.error();
  if (!*found) return make_error("neither operand {} nor attribute {} is given", index, name);
  return **found;
}

Result<std::int64_t> integer_operand(const Call& call, std::size_t index, std::int64_t otherwise) {
  if (!call.has(index)) return otherwise;
  const Value& value = *call.inputs[index];
  if (!value.is_tensor() || value.tensor().size() != 1 ||
      !(is_integer(value.tensor().dtype()) || is_float(value.tensor().dtype()))) {
    return make_error("operand {} must be one integer", index);
  }
  return value.tensor().integer(0);
}

Result<double> number_operand(const Call& call, std::size_t index, double otherwise) {
  if (!call.has(index)) return otherwise;
  const Value& value = *call.inputs[index];
  if (!value.is_tensor() || value.tensor().size() != 1 ||
      !(is_integer(value.tensor().dtype()) || is_float(value.tensor().dtype()))) {
    return make_error("operand {} must be one number", index);
  }
  return value.tensor().number(0);
}

Result<std::vector<std::size_t>> normalize_axes(const Integers& axes, std::size_t rank) {
  std::vector<std::size_t> out;
  for (std::int64_t axis : axes) {
    auto normal = normalize_axis(axis, rank);
    if (!normal) return normal.error();
    if (std::find(out.begin(), out.end(), *normal) != out.end()) {
      return make_error("axis {} is listed twice", axis);
    }
    out.push_back(*normal);
  }
  return out;
}

Result<std::size_t> axis_attribute(const Call& call, std::int64_t otherwise, std::size_t rank,
                                   std::string_view name) {
  return normalize_axis(call.attributes.integer(name, otherwise), rank);
}

Result<Integers> wrapped_indices(const Tensor& indices, std::int64_t n) {
  if (!is_integer(indices.dtype())) {
    return make_error("indices must be integers, not {}", name(indices.dtype()));
  }
  Integers out = indices.integers();
  for (std::int64_t& index : out) {
    if (index < -n || index >= n) {
      return make_error("index {} is out of range for {} elements", index, n);
    }
    if (index < 0) index += n;
  }
  return out;
}

Status check_shape(const Shape& shape) {
  if (checked_element_count(shape)) return Done{};
  return make_error("shape {} is negative or too large", to_string(shape));
}

Outputs one(Value value) {
  Outputs out;
  out.push_back(std::move(value));
  return out;
}

}  // namespace rulec::generic
