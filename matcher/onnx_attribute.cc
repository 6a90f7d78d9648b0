// SPDX-License-Identifier: Apache-2.0
#include "matcher/onnx_attribute.h"

#include <algorithm>

namespace rulec {

namespace {

// Field numbers of AttributeProto.
enum : std::uint32_t {
  Name = 1,
  F = 2,
  I = 3,
  S = 4,
  T = 5,
  G = 6,
  Floats = 7,
  Ints = 8,
  Strings = 9,
  Tensors = 10,
  Graphs = 11,
  Tp = 14,
  TypeProtos = 15,
  TypeField = 20,
  RefName = 21,
  Sparse = 22,
  SparseTensors = 23,
};

// The field that each AttributeType (1 to 14) is held in; 0 for numbers that are no type.
constexpr std::uint32_t field_of_kind[] = {
    0,  F,         I, S, T, G, Floats, Ints, Strings, Tensors, Graphs, Sparse, SparseTensors,
    Tp, TypeProtos};

// All fields of one AttributeProto, still encoded.
struct Parts {
  std::string_view name, ref;
  std::uint64_t kind = 0;
  std::vector<wire::Field> held;
};

}  // namespace

static Result<Parts> read_parts(std::string_view bytes) {
  Parts parts;
  wire::Reader reader(bytes);
  wire::Field field;
  while (reader.next(field)) {
    if (field.number == Name && field.kind == wire::Kind::Bytes) {
      parts.name = field.bytes;
    } else if (field.number == RefName && field.kind == wire::Kind::Bytes) {
      parts.ref = field.bytes;
    } else if (field.number == TypeField && field.kind == wire::Kind::Varint) {
      parts.kind = field.value;
    } else if (std::find(std::begin(field_of_kind), std::end(field_of_kind), field.number) !=
               std::end(field_of_kind)) {
      parts.held.push_back(field);
    }
  }
  if (reader.failed()) return make_error("an attribute's bytes are no AttributeProto");
  if (parts.name.empty()) return make_error("an attribute has no name");
  if (parts.kind == 0 && !parts.held.empty()) {  // files older than the type field
    const auto* const at =
        std::find(std::begin(field_of_kind), std::end(field_of_kind), parts.held.front().number);
    parts.kind = static_cast<std::uint64_t>(at - std::begin(field_of_kind));
  }
  if (parts.kind == 0 || parts.kind >= std::size(field_of_kind)) {
    return make_error("attribute `{}` has a type of number {}, which is not one of ONNX's 1 to 14",
                      parts.name, parts.kind);
  }
  const std::uint32_t own = field_of_kind[parts.kind];
  std::erase_if(parts.held, [own](const wire::Field& it) { return it.number != own; });
  for (const wire::Field& it : parts.held) {
    const bool number = own == F || own == I || own == Floats || own == Ints;
    const wire::Kind wanted = own == F || own == Floats ? wire::Kind::Fixed32 : wire::Kind::Varint;
    const bool packed = (own == Floats || own == Ints) && it.kind == wire::Kind::Bytes;
    if (number ? it.kind != wanted && !packed : it.kind != wire::Kind::Bytes) {
      return make_error("attribute `{}` is encoded wrongly", parts.name);
    }
  }
  return parts;
}

static Result<std::vector<float>> read_floats(const Parts& parts) {
  std::vector<float> all;
  for (const wire::Field& it : parts.held) {
    if (it.kind == wire::Kind::Fixed32) {
      all.push_back(wire::as_float(it.value));
      continue;
    }
    if (it.bytes.size() % 4 != 0) return make_error("attribute `{}` is cut short", parts.name);
    const std::size_t old = all.size();
    all.resize(old + it.bytes.size() / 4);
    if (!it.bytes.empty()) std::memcpy(all.data() + old, it.bytes.data(), it.bytes.size());
  }
  return all;
}

static Result<std::vector<std::int64_t>> read_ints(const Parts& parts) {
  std::vector<std::int64_t> all;
  for (const wire::Field& it : parts.held) {
    if (it.kind == wire::Kind::Varint) {
      all.push_back(static_cast<std::int64_t>(it.value));
      continue;
    }
    wire::Reader packed(it.bytes);
    std::uint64_t value = 0;
    while (packed.varint(value))
      all.push_back(static_cast<std::int64_t>(value));
    if (packed.failed()) return make_error("attribute `{}` is cut short", parts.name);
  }
  return all;
}

Result<DecodedAttribute> decode_attribute(std::string_view bytes, TensorHome& home) {
  const Result<Parts> read = read_parts(bytes);
  if (!read) return read.error();
  const Parts& parts = *read;
  DecodedAttribute decoded;
  decoded.name = parts.name;
  const auto in = [&](const Error& error) {
    return make_error("attribute `{}`: {}", parts.name, error.message);
  };
  const wire::Field none;
  const wire::Field& last = parts.held.empty() ? none : parts.held.back();
  if (!parts.ref.empty()) {
    decoded.value =
        RefAttribute{.name = std::string(parts.ref), .kind = static_cast<int>(parts.kind)};
  } else {
    switch (field_of_kind[parts.kind]) {
      case F:
        decoded.value = wire::as_float(last.value);
        break;
      case I:
        decoded.value = static_cast<std::int64_t>(last.value);
        break;
      case S:
        decoded.value = std::string(last.bytes);
        break;
      case Floats: {
        auto all = read_floats(parts);
        if (!all) return all.error();
        decoded.value = std::move(*all);
        break;
      }
      case Ints: {
        auto all = read_ints(parts);
        if (!all) return all.error();
        decoded.value = std::move(*all);
        break;
      }
      case Strings: {
        std::vector<std::string> all;
        for (const wire::Field& it : parts.held)
          all.emplace_back(it.bytes);
        decoded.value = std::move(all);
        break;
      }
      case T:
      case Tensors: {
        std::vector<Tensor> all;
        for (const wire::Field& it : parts.held) {
          auto tensor = decode_tensor(it.bytes, home);
          if (!tensor) return in(tensor.error());
          decoded.plain = decoded.plain && tensor->plain && tensor->name.empty();
          all.push_back(std::move(tensor->tensor));
        }
        if (field_of_kind[parts.kind] == Tensors) {
          decoded.value = std::move(all);
        } else if (all.empty()) {
          return make_error("attribute `{}` is a tensor but has none", parts.name);
        } else {
          decoded.value = std::move(all.back());
        }
        return decoded;
      }
      case Sparse: {
        auto sparse = decode_sparse(last.bytes, home);
        if (!sparse) return in(sparse.error());
        decoded.value = std::move(sparse->tensor);
        break;
      }
      case Tp:
        decoded.value = TypeBytes{std::string(last.bytes)};
        break;
      case G:
      case Graphs:
        decoded.is_graph = field_of_kind[parts.kind] == G;
        decoded.is_graphs = !decoded.is_graph;
        for (const wire::Field& it : parts.held)
          decoded.graphs.push_back(it.bytes);
        if (decoded.is_graph && decoded.graphs.size() != 1) {
          return make_error("attribute `{}` is a graph but has {}", parts.name,
                            decoded.graphs.empty() ? "none" : "several");
        }
        return decoded;
      default:
        decoded.plain = false;
        return decoded;
    }
  }
  const Attribute again{.name = std::string(decoded.name), .value = *decoded.value};
  decoded.plain = encode_attribute(again, {}).joined() == bytes;
  return decoded;
}

namespace {

// Writes one AttributeProto, fields in the order of their numbers.
struct Encoder {
  wire::Writer& out;
  const EncodeGraph& graph;

  void kind(int number) { out.integer(TypeField, number); }

  void operator()(float value) {
    out.fixed32(F, value);
    kind(1);
  }
  void operator()(std::int64_t value) {
    out.integer(I, value);
    kind(2);
  }
  void operator()(const std::string& value) {
    out.bytes(S, value);
    kind(3);
  }
  void operator()(const Tensor& value) {
    out.message(T, encode_tensor({}, value));
    kind(4);
  }
  void operator()(GraphId value) {
    out.message(G, graph(value));
    kind(5);
  }
  void operator()(const std::vector<float>& value) {
    for (const float one : value)
      out.fixed32(Floats, one);
    kind(6);
  }
  void operator()(const std::vector<std::int64_t>& value) {
    for (const std::int64_t one : value)
      out.integer(Ints, one);
    kind(7);
  }
  void operator()(const std::vector<std::string>& value) {
    for (const std::string& one : value)
      out.bytes(Strings, one);
    kind(8);
  }
  void operator()(const std::vector<Tensor>& value) {
    for (const Tensor& one : value)
      out.message(Tensors, encode_tensor({}, one));
    kind(9);
  }
  void operator()(const std::vector<GraphId>& value) {
    for (const GraphId one : value)
      out.message(Graphs, graph(one));
    kind(10);
  }
  void operator()(const TypeBytes& value) {
    out.bytes(Tp, value.bytes);
    kind(13);
  }
  void operator()(const SparseTensor& value) {
    kind(11);
    out.message(Sparse, encode_sparse({}, value));
  }
  void operator()(const RefAttribute& value) {
    kind(value.kind);
    out.bytes(RefName, value.name);
  }
};

}  // namespace

wire::Writer encode_attribute(const Attribute& attribute, const EncodeGraph& graph) {
  wire::Writer out;
  out.bytes(Name, attribute.name);
  std::visit(Encoder{.out = out, .graph = graph}, attribute.value);
  return out;
}

}  // namespace rulec
