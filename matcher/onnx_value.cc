// SPDX-License-Identifier: Apache-2.0
#include "matcher/onnx_value.h"

#include "matcher/file.h"
#include "matcher/onnx_tensor.h"
#include "matcher/widen.h"
#include "matcher/wire.h"

namespace rulec {

static constexpr std::int64_t most_dense = std::int64_t{1} << 31;  // elements

namespace {

// SequenceProto.DataType and OptionalProto.DataType.
enum Element : std::uint64_t {
  undefined_element = 0,
  tensor_element = 1,
  sequence_element = 3,
  map_element = 4,
  optional_element = 5
};

class Decoder {
 public:
  Decoder(std::filesystem::path folder, std::shared_ptr<const void> owner)
      : home_(std::move(owner), std::move(folder)) {}

  Result<Value> tensor(std::string_view bytes) {
    auto decoded = decode_tensor(bytes, home_);
    if (!decoded) return decoded.error();
    return Value(std::move(decoded->tensor));
  }

  // What runs has no sparse values: it becomes the tensor that it stands for.
  Result<Value> sparse(std::string_view bytes) {
    auto decoded = decode_sparse(bytes, home_);
    if (!decoded) return decoded.error();
    const auto elements = checked_element_count(decoded->tensor.shape);
    if (!elements || *elements > most_dense) {
      return make_error("a sparse tensor of {} would take more memory than a value may",
                        to_string(decoded->tensor.shape));
    }
    return Value(densify(decoded->tensor));
  }

  // Tensors are field `first`, then sparse tensors, sequences, maps and optionals.
  Result<Value> element(const wire::Field& field, std::uint32_t first) {
    switch (field.number - first) {
      case 0:
        return tensor(field.bytes);
      case 1:
        return sparse(field.bytes);
      case 2:
        return sequence(field.bytes);
      case 3:
        return map(field.bytes);
      case 4:
        return optional(field.bytes);
      default:
        return make_error("field {} holds an element that is no tensor, sequence, map or optional",
                          field.number);
    }
  }

  Result<Value> sequence(std::string_view bytes) {
    std::vector<Value> items;
    wire::Reader reader(bytes);
    wire::Field field;
    while (reader.next(field)) {
      if (field.kind != wire::Kind::Bytes || field.number < 3) continue;
      auto item = element(field, 3);
      if (!item) return item.error();
      items.push_back(*std::move(item));
    }
    if (reader.failed()) return make_error("it is no SequenceProto");
    const DType dtype =
        !items.empty() && items[0].is_tensor() ? items[0].tensor().dtype() : DType::Undefined;
    return Value(Sequence{dtype, std::make_shared<const std::vector<Value>>(std::move(items))});
  }

  Result<Value> optional(std::string_view bytes) {
    Optional out;
    wire::Reader reader(bytes);
    wire::Field field;
    std::uint64_t kind = undefined_element;
    while (reader.next(field)) {
      if (field.number == 2) kind = field.value;
      if (field.kind != wire::Kind::Bytes || field.number < 3) continue;
      auto held = element(field, 3);
      if (!held) return held.error();
      out.held = std::make_shared<const Value>(*std::move(held));
    }
    if (reader.failed()) return make_error("it is no OptionalProto");
    if (kind == undefined_element) out.held = nullptr;
    return Value(std::move(out));
  }

  Result<Value> map(std::string_view bytes) {
    std::vector<std::int64_t> numbers;
    std::vector<std::string> texts;
    Map out;
    wire::Reader reader(bytes);
    wire::Field field;
    while (reader.next(field)) {
      if (field.number == 3 && field.kind == wire::Kind::Varint) {
        numbers.push_back(static_cast<std::int64_t>(field.value));
      } else if (field.number == 3) {
        wire::Reader packed(field.bytes);
        for (std::uint64_t value; packed.varint(value);) {
          numbers.push_back(static_cast<std::int64_t>(value));
        }
        if (packed.failed()) return make_error("it is no MapProto");
      } else if (field.number == 4) {
        texts.emplace_back(field.bytes);
      } else if (field.number == 5) {
        auto status = map_values(field.bytes, out);
        if (!status) return status.error();
      }
    }
    if (reader.failed()) return make_error("it is no MapProto");
    out.keys = texts.empty()
                   ? Tensor::of<std::int64_t>({static_cast<std::int64_t>(numbers.size())}, numbers)
                   : Tensor::of_strings({static_cast<std::int64_t>(texts.size())}, texts);
    return Value(std::move(out));
  }

 private:
  // The values of a map lie in a sequence of one tensor that has a value for each key.
  Status map_values(std::string_view bytes, Map& out) {
    auto values = sequence(bytes);
    if (!values) return values.error();
    const auto& items = *std::get_if<Sequence>(&values->data)->items;
    if (items.size() != 1 || !items[0].is_tensor()) {
      return make_error("a map's values are not one tensor");
    }
    out.values = items[0].tensor();
    return Done{};
  }

  TensorHome home_;
};

}  // namespace

Result<Value> read_value(const std::filesystem::path& path, const Type& type) {
  auto file = MappedFile::open(path);
  if (!file) return file.error();
  Decoder decoder(path.parent_path(), *file);
  const auto decode = [&](std::string_view bytes) {
    switch (type.kind) {
      case Type::Kind::Sequence:
        return decoder.sequence(bytes);
      case Type::Kind::Optional:
        return decoder.optional(bytes);
      case Type::Kind::Map:
        return decoder.map(bytes);
      case Type::Kind::SparseTensor:
        return decoder.sparse(bytes);
      default:
        return decoder.tensor(bytes);
    }
  };
  auto value = decode((*file)->bytes());
  if (!value) return make_error("cannot read {}: {}", path.string(), value.error().message);
  return value;
}

static wire::Writer encode(std::string_view name, const Value& value);

// How SequenceProto and OptionalProto number a kind of value, and the field it stands in.
struct ElementCode {
  std::uint64_t kind;
  std::uint32_t field;
};
static ElementCode code_of(const Value& value) {
  static constexpr ElementCode codes[] = {{undefined_element, 0},
                                          {tensor_element, 3},
                                          {sequence_element, 5},
                                          {optional_element, 7},
                                          {map_element, 6}};
  return codes[value.data.index()];
}

static void encode_items(wire::Writer& writer, std::span<const Value> items) {
  writer.varint(2, items.empty() ? tensor_element : code_of(items[0]).kind);
  for (const Value& item : items)
    writer.message(code_of(item).field, encode({}, item));
}

static void encode_map(wire::Writer& writer, const Map& map) {
  writer.varint(2, static_cast<std::uint64_t>(map.keys.dtype()));
  for (std::int64_t i = 0; i < map.keys.size(); ++i) {
    if (map.keys.dtype() == DType::String) {
      writer.bytes(4, map.keys.strings()[static_cast<std::size_t>(i)]);
    } else {
      writer.integer(3, map.keys.integer(i));
    }
  }
  wire::Writer values;
  const Value whole = map.values;
  encode_items(values, {&whole, 1});
  writer.message(5, values);
}

static wire::Writer encode(std::string_view name, const Value& value) {
  if (value.is_tensor()) return encode_tensor(name, value.tensor());
  wire::Writer writer;
  writer.text(1, name);
  if (const auto* sequence = std::get_if<Sequence>(&value.data)) {
    encode_items(writer, sequence->items ? std::span<const Value>(*sequence->items)
                                         : std::span<const Value>());
  } else if (const auto* optional = std::get_if<Optional>(&value.data)) {
    if (optional->held) {
      encode_items(writer, {optional->held.get(), 1});
    } else {
      writer.varint(2, undefined_element);
    }
  } else if (const auto* map = std::get_if<Map>(&value.data)) {
    encode_map(writer, *map);
  }
  return writer;
}

std::string encode_value(std::string_view name, const Value& value) {
  return encode(name, value).joined();
}

Status write_value(const std::filesystem::path& path, std::string_view name, const Value& value) {
  const wire::Writer writer = encode(name, value);
  return write_file(path, writer.pieces());
}

}  // namespace rulec
