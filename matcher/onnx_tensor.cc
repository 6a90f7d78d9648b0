// SPDX-License-Identifier: Apache-2.0
#include "matcher/onnx_tensor.h"

#include <algorithm>
#include <charconv>
#include <new>
#include <optional>

#include "matcher/file.h"
#include "matcher/onnx_type.h"

namespace rulec {

namespace {

// Field numbers of TensorProto.
enum : std::uint32_t {
  Dims = 1,
  DataType = 2,
  Segment = 3,
  FloatData = 4,
  Int32Data = 5,
  StringData = 6,
  Int64Data = 7,
  Name = 8,
  RawData = 9,
  DoubleData = 10,
  Uint64Data = 11,
  ExternalData = 13,
  DataLocation = 14,
};

// A TensorProto, its fields still encoded.
struct TensorMessage {
  Shape dims;
  std::uint64_t data_type = 0;
  std::string_view name;
  bool has_raw = false, external = false, extra = false;
  // Which elements these are of a tensor that is stored in pieces.
  struct Segment {
    std::int64_t begin = 0, end = 0;
  };
  std::optional<Segment> segment = {};
  std::string_view raw;
  std::uint32_t typed_field = 0;         // which of the …_data fields has values
  std::vector<std::string_view> chunks;  // of that field: packed runs, single numbers, or strings
  std::vector<Metadata> location;
};

}  // namespace

Result<TensorHome::Bytes> TensorHome::find(std::string_view location, std::uint64_t offset,
                                           std::uint64_t length) {
  namespace fs = std::filesystem;
  auto known = open_.find(location);
  if (known == open_.end()) {
    const fs::path relative = fs::path(location).lexically_normal();
    if (location.empty() || location.find('\0') != std::string_view::npos) {
      return make_error("external data without a file name");
    }
    if (relative.is_absolute()) {
      return make_error(
          "external data in `{}`: the path is absolute; it must be relative to the "
          "model's folder",
          location);
    }
    if (*relative.begin() == "..") {
      return make_error("external data in `{}`: the path leaves the model's folder", location);
    }
    fs::path path = folder_;
    for (const fs::path& part : relative) {
      path /= part;
      std::error_code code;
      if (fs::is_symlink(fs::symlink_status(path, code))) {
        return make_error("external data in `{}`: `{}` is a symbolic link, which is not followed",
                          location, path.string());
      }
    }
    auto file = MappedFile::open(path);
    if (!file) return make_error("external data in `{}`: {}", location, file.error().message);
    known =
        open_.emplace(std::string(location), Bytes{(*file)->bytes(), *file, path.string()}).first;
  }
  const std::string_view all = known->second.bytes;
  if (offset > all.size() || length > all.size() - offset) {
    return make_error("external data in `{}`: {} bytes at offset {} are wanted, the file has {}",
                      location, length, offset, all.size());
  }
  Bytes found = known->second;
  found.bytes = all.substr(offset, length);
  return found;
}

Tensor TensorHome::copy(DType dtype, Shape shape, std::string_view bytes) {
  static constexpr std::size_t alignment = 64, block_size = 1 << 16, most = 1 << 12;
  const std::size_t taken =
      (std::max<std::size_t>(bytes.size(), 1) + alignment - 1) / alignment * alignment;
  if (taken > most) {
    Tensor copy = Tensor::allocate(dtype, std::move(shape));
    std::memcpy(copy.mutable_data<char>(), bytes.data(), bytes.size());
    return copy;
  }
  if (block_left_ < taken) {
    static constexpr std::align_val_t aligned{alignment};
    block_ = {static_cast<std::byte*>(::operator new(block_size, aligned)),
              [](std::byte* memory) { ::operator delete(memory, aligned); }};
    block_left_ = block_size;
  }
  std::byte* const at = block_.get() + (block_size - block_left_);
  block_left_ -= taken;
  std::memcpy(at, bytes.data(), bytes.size());
  return Tensor::borrow(dtype, std::move(shape), {at, bytes.size()}, block_);
}

static bool read_segment(std::string_view bytes, TensorMessage::Segment& segment) {
  wire::Reader reader(bytes);
  wire::Field field;
  while (reader.next(field)) {
    if (field.kind != wire::Kind::Varint) return false;
    if (field.number == 1) segment.begin = static_cast<std::int64_t>(field.value);
    if (field.number == 2) segment.end = static_cast<std::int64_t>(field.value);
  }
  return !reader.failed();
}

static Result<TensorMessage> read_message(std::string_view bytes) {
  TensorMessage message;
  wire::Reader reader(bytes);
  wire::Field field;
  const auto is_bytes = [&field] { return field.kind == wire::Kind::Bytes; };
  while (reader.next(field)) {
    switch (field.number) {
      case Dims:
        if (field.kind == wire::Kind::Varint) {
          message.dims.push_back(static_cast<std::int64_t>(field.value));
        } else if (is_bytes()) {
          wire::Reader packed(field.bytes);
          std::uint64_t dim = 0;
          while (packed.varint(dim))
            message.dims.push_back(static_cast<std::int64_t>(dim));
          if (packed.failed()) return make_error("its dims are broken");
        }
        break;
      case DataType:
        message.data_type = field.value;
        break;
      case Segment:
        if (!is_bytes()) return make_error("its segment is broken");
        message.extra = true;
        if (!read_segment(field.bytes, message.segment.emplace())) {
          return make_error("its segment is broken");
        }
        break;
      case Name:
        if (is_bytes()) message.name = field.bytes;
        break;
      case RawData:
        if (!is_bytes()) return make_error("its raw data is no byte string");
        message.has_raw = true;
        message.raw = field.bytes;
        break;
      case FloatData:
      case Int32Data:
      case StringData:
      case Int64Data:
      case DoubleData:
      case Uint64Data: {
        if (is_bytes() && field.bytes.empty() && field.number != StringData) break;
        if (message.typed_field != 0 && message.typed_field != field.number) {
          return make_error("it has data of two types");
        }
        message.typed_field = field.number;
        if (is_bytes()) {
          message.chunks.push_back(field.bytes);
        } else {  // unpacked: what follows the tag
          std::string_view payload = field.whole;
          while ((static_cast<unsigned char>(payload.front()) & 0x80) != 0)
            payload.remove_prefix(1);
          message.chunks.push_back(payload.substr(1));
        }
        break;
      }
      case ExternalData:
        if (!is_bytes() || !decode_metadata(field.bytes, message.location)) {
          return make_error("its external data entries are broken");
        }
        break;
      case DataLocation:
        message.external = field.value == 1;
        break;
      default:
        message.extra = true;
    }
  }
  if (reader.failed()) return make_error("its bytes are no TensorProto");
  return message;
}

// Borrowed where the bytes are aligned or large; small misaligned ones are copied, so that only
// bulk data needs Tensor's care about alignment.
static Tensor borrow(DType dtype, Shape shape, std::string_view bytes,
                     const std::shared_ptr<const void>& owner, TensorHome& home) {
  static constexpr std::size_t small = 1 << 16;
  const auto align = static_cast<std::uintptr_t>(std::max(8, std::min(bit_width(dtype), 64)) / 8);
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % align == 0;
  if (!aligned && bytes.size() < small) return home.copy(dtype, std::move(shape), bytes);
  return Tensor::borrow(dtype, std::move(shape),
                        std::as_bytes(std::span(bytes.data(), bytes.size())), owner);
}

// A bool is 0 or 1; anything else in a file would be undefined behaviour later.
static Tensor clean_bools(Tensor tensor) {
  const auto* data = tensor.data<std::uint8_t>();
  const auto size = static_cast<std::size_t>(tensor.size());
  if (std::all_of(data, data + size, [](std::uint8_t b) { return b <= 1; })) return tensor;
  Tensor clean = Tensor::allocate(DType::Bool, tensor.shape());
  for (std::size_t i = 0; i < size; ++i)
    clean.mutable_data<std::uint8_t>()[i] = data[i] != 0;
  return clean;
}

// Which typed field holds a dtype's values, and how many entries one element takes (0: packed
// bytes of several elements).
static std::uint32_t field_of(DType dtype) {
  switch (dtype) {
    case DType::F32:
    case DType::C64:
      return FloatData;
    case DType::I64:
      return Int64Data;
    case DType::F64:
    case DType::C128:
      return DoubleData;
    case DType::U32:
    case DType::U64:
      return Uint64Data;
    case DType::String:
      return StringData;
    default:
      return Int32Data;
  }
}

// Typed data into dense memory. Entries of int32_data are truncated to the element's width, which
// is how the small types are stored; those below a byte lie packed, a byte an entry.
static Result<Tensor> from_typed(const TensorMessage& message, DType dtype, std::int64_t count,
                                 TensorHome& home) {
  if (message.typed_field != field_of(dtype)) {
    return make_error("it is of type {} but its data stands in field {} of TensorProto",
                      name(dtype), message.typed_field);
  }
  if (dtype == DType::String) {
    if (static_cast<std::int64_t>(message.chunks.size()) != count) {
      return make_error("it has {} strings for {} elements", message.chunks.size(), count);
    }
    std::vector<std::string> strings(message.chunks.begin(), message.chunks.end());
    return Tensor::of_strings(message.dims, std::move(strings));
  }
  const std::size_t wanted = byte_size(dtype, count);
  const bool fixed = message.typed_field == FloatData || message.typed_field == DoubleData;
  if (fixed) {
    std::size_t held = 0;
    for (const std::string_view chunk : message.chunks)
      held += chunk.size();
    if (held != wanted) {
      return make_error("its data has {} bytes, {} elements of {} need {}", held, count,
                        name(dtype), wanted);
    }
    if (message.chunks.size() == 1) {
      return borrow(dtype, message.dims, message.chunks[0], home.owner(), home);
    }
    Tensor tensor = Tensor::allocate(dtype, message.dims);
    char* to = tensor.mutable_data<char>();
    for (const std::string_view chunk : message.chunks) {
      std::memcpy(to, chunk.data(), chunk.size());
      to += chunk.size();
    }
    return tensor;
  }
  const std::size_t width = static_cast<std::size_t>(std::max(8, bit_width(dtype))) / 8;
  const std::size_t entries = wanted / width;
  std::size_t held = 0;
  for (const std::string_view chunk : message.chunks)
    held += wire::count_varints(chunk);
  if (held != entries) {
    return make_error("its data has {} entries, {} elements of {} need {}", held, count,
                      name(dtype), entries);
  }
  Tensor tensor = Tensor::allocate(dtype, message.dims);
  char* to = tensor.mutable_data<char>();
  for (const std::string_view chunk : message.chunks) {
    wire::Reader reader(chunk);
    std::uint64_t value = 0;
    while (reader.varint(value)) {
      if (dtype == DType::Bool) value = value != 0 ? 1 : 0;
      std::memcpy(to, &value, width);  // little-endian, as the files are
      to += width;
    }
    if (reader.failed()) return make_error("its packed data is broken");
  }
  return tensor;
}

static Result<std::uint64_t> parse_number(const Metadata& entry) {
  std::uint64_t number = 0;
  const char* const end = entry.value.data() + entry.value.size();
  const auto [stop, code] = std::from_chars(entry.value.data(), end, number);
  if (code != std::errc() || stop != end) {
    return make_error("external data has {} `{}`, which is no number", entry.key, entry.value);
  }
  return number;
}

static Result<DecodedTensor> from_external(const TensorMessage& message, DType dtype,
                                           std::size_t wanted, TensorHome& home) {
  std::string_view location;
  std::uint64_t offset = 0, length = wanted;
  for (const Metadata& entry : message.location) {
    if (entry.key == "location") location = entry.value;
    if (entry.key != "offset" && entry.key != "length") continue;
    const Result<std::uint64_t> number = parse_number(entry);
    if (!number) return number.error();
    (entry.key == "offset" ? offset : length) = *number;
  }
  if (dtype == DType::String) return make_error("strings cannot be external data");
  if (length != wanted) {
    return make_error("external data in `{}` has length {}, the tensor needs {} bytes", location,
                      length, wanted);
  }
  auto found = home.find(location, offset, wanted);
  if (!found) return found.error();
  return DecodedTensor{.name = message.name,
                       .tensor = borrow(dtype, message.dims, found->bytes, found->owner, home),
                       .plain = false,
                       .external = found->path};
}

Result<DecodedTensor> decode_tensor(std::string_view bytes, TensorHome& home) {
  Result<TensorMessage> read = read_message(bytes);
  if (!read) return read.error();
  TensorMessage& message = *read;
  if (message.data_type == 0 || message.data_type > static_cast<std::uint64_t>(DType::I2)) {
    return make_error("its element type has number {}, which is not one of ONNX's 1 to 26",
                      message.data_type);
  }
  const auto dtype = static_cast<DType>(message.data_type);
  const auto count = checked_element_count(message.dims);
  if (!count || *count > (std::int64_t{1} << 56)) {
    return make_error("its dims {} are negative or too large", to_string(message.dims));
  }
  if (const auto& part = message.segment; part && (part->begin != 0 || part->end != *count)) {
    return make_error(
        "it holds elements {} to {} of a tensor of {}, and nothing in a model says where the "
        "others "
        "are: save the model with whole tensors",
        part->begin, part->end, *count);
  }
  const std::size_t wanted = byte_size(dtype, *count);
  DecodedTensor decoded;
  decoded.name = message.name;
  if (message.external) {
    auto external = from_external(message, dtype, wanted, home);
    if (!external) return external.error();
    decoded = std::move(*external);
  } else if (message.has_raw && dtype != DType::String) {
    if (message.typed_field != 0) return make_error("it has both raw and typed data");
    if (message.raw.size() != wanted) {
      return make_error("its raw data has {} bytes, {} elements of {} need {}", message.raw.size(),
                        *count, rulec::name(dtype), wanted);
    }
    decoded.tensor = borrow(dtype, std::move(message.dims), message.raw, home.owner(), home);
    decoded.plain = !message.extra;
  } else if (message.typed_field != 0) {
    auto typed = from_typed(message, dtype, *count, home);
    if (!typed) return typed.error();
    decoded.tensor = std::move(*typed);
    decoded.plain = dtype == DType::String && !message.extra;
  } else if (*count == 0) {
    decoded.tensor = dtype == DType::String ? Tensor::of_strings(message.dims, {})
                                            : Tensor::allocate(dtype, message.dims);
    decoded.plain = !message.extra;
  } else {
    return make_error("it has {} elements but no data", *count);
  }
  if (dtype == DType::Bool) decoded.tensor = clean_bools(std::move(decoded.tensor));
  return decoded;
}

Result<DecodedSparse> decode_sparse(std::string_view bytes, TensorHome& home) {
  DecodedSparse decoded;
  wire::Reader reader(bytes);
  wire::Field field;
  while (reader.next(field)) {
    if (field.number <= 2 && field.kind == wire::Kind::Bytes) {
      auto part = decode_tensor(field.bytes, home);
      if (!part) {
        return make_error("the {} of a sparse tensor: {}", field.number == 1 ? "values" : "indices",
                          part.error().message);
      }
      if (field.number == 1) decoded.name = part->name;
      (field.number == 1 ? decoded.tensor.values : decoded.tensor.indices) =
          std::move(part->tensor);
    } else if (field.number == 3 && field.kind == wire::Kind::Varint) {
      decoded.tensor.shape.push_back(static_cast<std::int64_t>(field.value));
    } else if (field.number == 3 && field.kind == wire::Kind::Bytes) {
      wire::Reader packed(field.bytes);
      std::uint64_t dim = 0;
      while (packed.varint(dim))
        decoded.tensor.shape.push_back(static_cast<std::int64_t>(dim));
    }
  }
  if (reader.failed()) return make_error("a sparse tensor's bytes are no SparseTensorProto");
  const SparseTensor& sparse = decoded.tensor;
  const auto elements = checked_element_count(sparse.shape);
  const bool flat = sparse.indices.rank() == 1;
  if (!elements || sparse.values.rank() != 1 || sparse.indices.dtype() != DType::I64 ||
      (!flat && sparse.indices.rank() != 2) || sparse.indices.dim(0) != sparse.values.dim(0) ||
      (!flat && sparse.indices.dim(1) != static_cast<std::int64_t>(sparse.shape.size()))) {
    return make_error("a sparse tensor's values, indices and dims do not fit together");
  }
  const std::vector<std::int64_t> indices = sparse.indices.integers();
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const std::int64_t bound = flat ? *elements : sparse.shape[i % sparse.shape.size()];
    if (indices[i] < 0 || indices[i] >= bound) {
      return make_error("a sparse tensor has index {} of a dimension of {}", indices[i], bound);
    }
  }
  return decoded;
}

wire::Writer encode_tensor_header(std::string_view name, const Tensor& tensor) {
  wire::Writer out;
  for (const std::int64_t dim : tensor.shape())
    out.integer(Dims, dim);
  out.integer(DataType, static_cast<std::int64_t>(tensor.dtype()));
  if (tensor.dtype() == DType::String) {
    for (const std::string& text : tensor.strings())
      out.bytes(StringData, text);
  }
  out.text(Name, name);
  return out;
}

wire::Writer encode_tensor(std::string_view name, const Tensor& tensor) {
  wire::Writer out = encode_tensor_header(name, tensor);
  if (tensor.dtype() != DType::String) out.view(RawData, file_bytes(tensor));
  return out;
}

wire::Writer encode_external(std::string_view name, const Tensor& tensor, std::string_view location,
                             std::size_t offset) {
  wire::Writer out = encode_tensor_header(name, tensor);
  encode_metadata(out, ExternalData,
                  {{"location", std::string(location)},
                   {"offset", fmt::format("{}", offset)},
                   {"length", fmt::format("{}", tensor.byte_size())}});
  out.integer(DataLocation, 1);
  return out;
}

wire::Writer encode_sparse(std::string_view name, const SparseTensor& tensor) {
  wire::Writer out;
  out.message(1, encode_tensor(name, tensor.values));
  out.message(2, encode_tensor({}, tensor.indices));
  for (const std::int64_t dim : tensor.shape)
    out.integer(3, dim);
  return out;
}

}  // namespace rulec
