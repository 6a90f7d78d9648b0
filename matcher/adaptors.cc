// SPDX-License-Identifier: Apache-2.0
#include "matcher/adaptors.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include <fmt/ranges.h>

namespace rulec {

static const std::vector<std::int64_t> to_nchw = {0, 3, 1, 2};
static const std::vector<std::int64_t> to_nhwc = {0, 2, 3, 1};

std::string to_string(const Adaptor& adaptor) {
  std::vector<std::string> parts;
  if (!adaptor.perm.empty()) parts.push_back(fmt::format("Transpose {}", to_string(adaptor.perm)));
  if (adaptor.shape) parts.push_back(fmt::format("Reshape to {}", to_string(*adaptor.shape)));
  if (adaptor.cast != DType::Undefined)
    parts.push_back(fmt::format("Cast to {}", name(adaptor.cast)));
  return fmt::format("{}", fmt::join(parts, ", "));
}

Shape without_units(std::span<const std::int64_t> shape) {
  Shape left;
  std::copy_if(shape.begin(), shape.end(), std::back_inserter(left),
               [](std::int64_t size) { return size != 1; });
  return left;
}

static Shape permuted(const Shape& shape, std::span<const std::int64_t> perm) {
  Shape result;
  for (std::int64_t axis : perm)
    result.push_back(shape[static_cast<std::size_t>(axis)]);
  return result;
}

std::vector<Adaptor> adaptors_between(const Shape& from, const Shape& to, bool any_layout) {
  std::vector<Adaptor> ways;
  if (from == to) ways.push_back({});
  if (from != to && without_units(from) == without_units(to))
    ways.push_back({.perm = {}, .shape = to});
  if (any_layout && from.size() == 4 && to.size() == 4) {
    for (const auto& perm : {to_nhwc, to_nchw}) {
      if (permuted(from, perm) == to) ways.push_back({.perm = perm, .shape = {}});
    }
  }
  return ways;
}

Tensor transpose(const Tensor& tensor, std::span<const std::int64_t> perm) {
  const Shape shape = permuted(tensor.shape(), perm);
  const std::vector<std::int64_t> from = strides_of(tensor.shape());
  Tensor result = Tensor::allocate(tensor.dtype(), shape);
  const std::size_t width = static_cast<std::size_t>(bit_width(tensor.dtype())) / 8;
  RULEC_CHECK(width > 0);
  const std::byte* source = tensor.bytes().data();
  auto* target = result.mutable_data<std::byte>();
  std::vector<std::int64_t> at(shape.size());
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    std::int64_t offset = 0;
    for (std::size_t axis = 0; axis < at.size(); ++axis)
      offset += at[axis] * from[static_cast<std::size_t>(perm[axis])];
    std::memcpy(target + static_cast<std::size_t>(i) * width,
                source + static_cast<std::size_t>(offset) * width, width);
    for (std::size_t axis = at.size(); axis-- > 0;) {
      if (++at[axis] < shape[axis]) break;
      at[axis] = 0;
    }
  }
  return result;
}

Tensor apply(const Adaptor& adaptor, const Tensor& tensor) {
  Tensor result = adaptor.perm.empty() ? tensor : transpose(tensor, adaptor.perm);
  if (adaptor.shape) {
    Shape shape = *adaptor.shape;
    std::int64_t rest = 1;
    for (std::int64_t size : shape)
      rest *= size == -1 ? 1 : size;
    for (std::int64_t& size : shape) {
      if (size == -1) size = rest == 0 ? 0 : result.size() / rest;
    }
    result = result.reshaped(std::move(shape));
  }
  return adaptor.cast == DType::Undefined ? result : convert(result, adaptor.cast);
}

ValueId NodeWriter::constant(Tensor tensor) {
  return model_.add_initializer(graph_, model_.fresh_value_name(hint_ + "_const"),
                                std::move(tensor));
}

ValueId NodeWriter::node(std::string type, std::vector<ValueId> inputs,
                         std::vector<Attribute> attributes, Type result) {
  NewNode made{.name = model_.fresh_node_name(hint_ + "_" + type),
               .type = type,
               .inputs = std::move(inputs),
               .output_names = {model_.fresh_value_name(hint_ + "_" + type)},
               .attributes = Attributes(std::move(attributes)),
               .metadata = metadata_};
  const NodeId id = model_.add_node(graph_, std::move(made), before_);
  made_.push_back(id);
  const ValueId value = model_.node(id).outputs[0];
  model_.value(value).type = std::move(result);
  return value;
}

ValueId NodeWriter::adapt(ValueId value, const Adaptor& adaptor) {
  if (!adaptor.perm.empty()) {
    Type type = model_.value(value).type;
    if (type.dims) {
      std::vector<Dim> dims;
      for (std::int64_t axis : adaptor.perm)
        dims.push_back((*type.dims)[static_cast<std::size_t>(axis)]);
      type.dims = std::move(dims);
    }
    value = node("Transpose", {value}, {{"perm", adaptor.perm}}, std::move(type));
  }
  if (adaptor.shape) {
    Type type = Type::tensor(model_.value(value).type.dtype, *adaptor.shape);
    for (Dim& dim : *type.dims) {
      if (dim.size < 0) dim = {};
    }
    const auto rank = static_cast<std::int64_t>(adaptor.shape->size());
    const ValueId shape = constant(Tensor::of<std::int64_t>({rank}, *adaptor.shape));
    value = node("Reshape", {value, shape}, {}, std::move(type));
  }
  if (adaptor.cast != DType::Undefined) {
    Type type = model_.value(value).type;
    type.dtype = adaptor.cast;
    value =
        node("Cast", {value}, {{"to", static_cast<std::int64_t>(adaptor.cast)}}, std::move(type));
  }
  return value;
}

ValueId NodeWriter::pad_rows(ValueId rows, ValueId count, double padding) {
  const Type type = model_.value(rows).type;
  if (!type.dims || type.dims->size() < 2 || !(*type.dims)[1].known()) return {};
  const Dim images = (*type.dims)[0], most = (*type.dims)[1];
  Shape mask(type.dims->size(), 1), index(type.dims->size(), 1);
  mask[0] = images.size;  // -1 where it is not known: as many as there are
  index[1] = most.size;
  Tensor numbers = Tensor::allocate(DType::F32, index);
  for (std::int64_t i = 0; i < most.size; ++i)
    numbers.set_number(i, static_cast<double>(i));
  Tensor fill = Tensor::allocate(type.dtype, {});
  fill.set_number(0, padding);
  // Compared as f32: older engines compare no integers.
  const ValueId limit = adapt(count, {.perm = {}, .shape = mask, .cast = DType::F32});
  Type flags = Type::tensor(DType::Bool, index);
  (*flags.dims)[0] = images;
  const ValueId valid = node("Less", {constant(std::move(numbers)), limit}, {}, std::move(flags));
  return node("Where", {valid, rows, constant(std::move(fill))}, {}, type);
}

}  // namespace rulec
