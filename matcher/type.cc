// SPDX-License-Identifier: Apache-2.0
#include "matcher/type.h"

#include <fmt/format.h>

namespace rulec {

Type Type::tensor(DType dtype, const Shape& shape) {
  Type type{.kind = Kind::Tensor, .dtype = dtype, .dims = std::vector<Dim>()};
  type.dims->reserve(shape.size());
  for (const std::int64_t size : shape)
    type.dims->push_back({.size = size});
  return type;
}

std::optional<Shape> Type::static_shape() const {
  if (!is_tensor() || !dims) return std::nullopt;
  Shape shape;
  shape.reserve(dims->size());
  for (const Dim& dim : *dims) {
    if (!dim.known()) return std::nullopt;
    shape.push_back(dim.size);
  }
  return shape;
}

bool operator==(const Type& a, const Type& b) {
  if (a.kind != b.kind || a.dtype != b.dtype || a.dims != b.dims) return false;
  if (!a.element || !b.element) return a.element == b.element;
  return *a.element == *b.element;
}

static void append(std::string& out, const Type& type) {
  const auto put = [&out](std::string_view text) { out += text; };
  const auto element = [&] {
    if (type.element) {
      append(out, *type.element);
    } else {
      put("?");
    }
    put(")");
  };
  switch (type.kind) {
    case Type::Kind::Unknown:
      put("?");
      return;
    case Type::Kind::Sequence:
      put("seq(");
      return element();
    case Type::Kind::Optional:
      put("optional(");
      return element();
    case Type::Kind::Map:
      put("map(");
      put(name(type.dtype));
      put(",");
      return element();
    case Type::Kind::SparseTensor:
      put("sparse ");
      break;
    case Type::Kind::Tensor:
      break;
  }
  put(type.dtype == DType::Undefined ? "?" : name(type.dtype));
  if (!type.dims) return put("[...]");
  put("[");
  for (std::size_t i = 0; i < type.dims->size(); ++i) {
    const Dim& dim = (*type.dims)[i];
    if (i != 0) put(",");
    put(dim.known() ? fmt::format("{}", dim.size) : dim.symbol.empty() ? "?" : dim.symbol);
  }
  put("]");
}

std::string to_string(const Type& type) {
  std::string out;
  append(out, type);
  return out;
}

static bool same_size(const Dim& a, const Dim& b) {
  if (a.known() || b.known()) return a.size == b.size;
  return !a.symbol.empty() && a.symbol == b.symbol;
}

bool proven_equal(const Type& a, const Type& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Type::Kind::Unknown:
      return false;
    case Type::Kind::Tensor:
    case Type::Kind::SparseTensor:
      break;
    case Type::Kind::Map:
      if (a.dtype != b.dtype || a.dtype == DType::Undefined) return false;
      [[fallthrough]];
    case Type::Kind::Sequence:
    case Type::Kind::Optional:
      return a.element && b.element && proven_equal(*a.element, *b.element);
  }
  if (a.dtype == DType::Undefined || a.dtype != b.dtype) return false;
  if (!a.dims || !b.dims || a.dims->size() != b.dims->size()) return false;
  for (std::size_t i = 0; i < a.dims->size(); ++i) {
    if (!same_size((*a.dims)[i], (*b.dims)[i])) return false;
  }
  return true;
}

bool compatible(const Type& a, const Type& b) {
  if (a.kind == Type::Kind::Unknown || b.kind == Type::Kind::Unknown) return true;
  if (a.kind != b.kind) return false;
  if (a.dtype != DType::Undefined && b.dtype != DType::Undefined && a.dtype != b.dtype) {
    return false;
  }
  if (a.element && b.element) return compatible(*a.element, *b.element);
  if (!a.dims || !b.dims) return true;
  if (a.dims->size() != b.dims->size()) return false;
  for (std::size_t i = 0; i < a.dims->size(); ++i) {
    const Dim &x = (*a.dims)[i], &y = (*b.dims)[i];
    if (x.known() && y.known() && x.size != y.size) return false;
  }
  return true;
}

}  // namespace rulec
