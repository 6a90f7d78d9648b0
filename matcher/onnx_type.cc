// SPDX-License-Identifier: Apache-2.0
#include "matcher/onnx_type.h"

namespace rulec {

static constexpr int deepest_type = 16;  // seq(optional(seq(…)))

static DType dtype_from(std::uint64_t number) {
  return number <= static_cast<std::uint64_t>(DType::I2) ? static_cast<DType>(number)
                                                         : DType::Undefined;
}

static bool decode_dim(std::string_view bytes, Dim& dim) {
  wire::Reader reader(bytes);
  wire::Field field;
  while (reader.next(field)) {
    if (field.number == 1 && field.kind == wire::Kind::Varint) {
      dim = {.size = std::max<std::int64_t>(-1, static_cast<std::int64_t>(field.value))};
    } else if (field.number == 2 && field.kind == wire::Kind::Bytes) {
      dim = {.symbol = std::string(field.bytes)};
    }
  }
  return !reader.failed();
}

static bool decode_tensor_type(std::string_view bytes, Type& type) {
  wire::Reader reader(bytes);
  wire::Field field;
  while (reader.next(field)) {
    if (field.number == 1 && field.kind == wire::Kind::Varint) {
      type.dtype = dtype_from(field.value);
    } else if (field.number == 2 && field.kind == wire::Kind::Bytes) {
      if (!type.dims) type.dims.emplace();
      wire::Reader dims(field.bytes);
      wire::Field dim;
      while (dims.next(dim)) {
        if (dim.number != 1 || dim.kind != wire::Kind::Bytes) continue;
        if (!decode_dim(dim.bytes, type.dims->emplace_back())) return false;
      }
      if (dims.failed()) return false;
    }
  }
  return !reader.failed();
}

static bool decode_into(std::string_view bytes, Type& type, int depth);

// A Sequence, Optional or Map message: field 1 is the element type (the key's number of a map),
// field 2 a map's value type.
static bool decode_container(std::string_view bytes, Type& type, int depth) {
  const bool map = type.kind == Type::Kind::Map;
  wire::Reader reader(bytes);
  wire::Field field;
  while (reader.next(field)) {
    if (map && field.number == 1 && field.kind == wire::Kind::Varint) {
      type.dtype = dtype_from(field.value);
    } else if (field.number == (map ? 2U : 1U) && field.kind == wire::Kind::Bytes) {
      auto element = std::make_shared<Type>();
      if (!decode_into(field.bytes, *element, depth + 1)) return false;
      type.element = std::move(element);
    }
  }
  return !reader.failed();
}

static bool decode_into(std::string_view bytes, Type& type, int depth) {
  if (depth > deepest_type) return false;
  wire::Reader reader(bytes);
  wire::Field field;
  while (reader.next(field)) {
    if (field.kind != wire::Kind::Bytes) continue;
    bool good = true;
    switch (field.number) {
      case 1:
      case 8:
        type = {.kind = field.number == 1 ? Type::Kind::Tensor : Type::Kind::SparseTensor};
        good = decode_tensor_type(field.bytes, type);
        break;
      case 4:
      case 5:
      case 9:
        type = {.kind = field.number == 4   ? Type::Kind::Sequence
                        : field.number == 5 ? Type::Kind::Map
                                            : Type::Kind::Optional};
        good = decode_container(field.bytes, type, depth);
        break;
      default:
        break;
    }
    if (!good) return false;
  }
  return !reader.failed();
}

std::optional<Type> decode_type(std::string_view bytes) {
  Type type;
  if (!decode_into(bytes, type, 0)) return std::nullopt;
  return type;
}

wire::Writer encode_type(const Type& type) {
  wire::Writer out, inner;
  const auto element = [&type](wire::Writer& to, std::uint32_t number) {
    if (type.element) to.message(number, encode_type(*type.element));
  };
  switch (type.kind) {
    case Type::Kind::Unknown:
      return out;
    case Type::Kind::Tensor:
    case Type::Kind::SparseTensor: {
      if (type.dtype != DType::Undefined) inner.integer(1, static_cast<std::int64_t>(type.dtype));
      if (type.dims) {
        wire::Writer shape;
        for (const Dim& dim : *type.dims) {
          wire::Writer one;
          if (dim.known()) {
            one.integer(1, dim.size);
          } else {
            one.text(2, dim.symbol);
          }
          shape.message(1, one);
        }
        inner.message(2, shape);
      }
      out.message(type.kind == Type::Kind::Tensor ? 1 : 8, inner);
      return out;
    }
    case Type::Kind::Sequence:
      element(inner, 1);
      out.message(4, inner);
      return out;
    case Type::Kind::Optional:
      element(inner, 1);
      out.message(9, inner);
      return out;
    case Type::Kind::Map:
      inner.integer(1, static_cast<std::int64_t>(type.dtype));
      element(inner, 2);
      out.message(5, inner);
      return out;
  }
  return out;
}

bool decode_metadata(std::string_view bytes, std::vector<Metadata>& into) {
  wire::Reader reader(bytes);
  wire::Field field;
  Metadata& entry = into.emplace_back();
  while (reader.next(field)) {
    if (field.kind != wire::Kind::Bytes) continue;
    if (field.number == 1) entry.key = field.bytes;
    if (field.number == 2) entry.value = field.bytes;
  }
  return !reader.failed();
}

void encode_metadata(wire::Writer& out, std::uint32_t field, const std::vector<Metadata>& all) {
  for (const Metadata& entry : all) {
    wire::Writer one;
    one.bytes(1, entry.key);
    one.bytes(2, entry.value);
    out.message(field, one);
  }
}

}  // namespace rulec
