// SPDX-License-Identifier: Apache-2.0
#include "compiler/npy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>

#include "matcher/file.h"

namespace rulec {

static_assert(std::endian::native == std::endian::little);

namespace {

constexpr std::string_view npy_magic{"\x93NUMPY", 6};

struct TypeName {
  DType dtype;
  std::string_view text;
};
constexpr std::array type_names = {
    TypeName{DType::Bool, "|b1"}, TypeName{DType::U8, "|u1"},   TypeName{DType::I8, "|i1"},
    TypeName{DType::U16, "<u2"},  TypeName{DType::I16, "<i2"},  TypeName{DType::U32, "<u4"},
    TypeName{DType::I32, "<i4"},  TypeName{DType::U64, "<u8"},  TypeName{DType::I64, "<i8"},
    TypeName{DType::F16, "<f2"},  TypeName{DType::F32, "<f4"},  TypeName{DType::F64, "<f8"},
    TypeName{DType::C64, "<c8"},  TypeName{DType::C128, "<c16"}};

// What the header's dictionary says.
struct Header {
  std::string descr;
  bool fortran = false;
  Shape shape;
};

// One element as it lies in the file.
struct Element {
  DType dtype = DType::Undefined;
  std::size_t width = 0;   // bytes
  std::size_t swap = 0;    // bytes that are in the other order; 0: none
  bool wide_text = false;  // UCS-4, else bytes
};

// Reads Python's literal of a dictionary, as far as headers of arrays use it.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : left_(text) {}

  Result<Header> read() {
    Header header;
    bool descr = false, order = false, shape = false;
    if (!eat('{')) return bad("it does not start with `{`");
    while (!eat('}')) {
      const auto key = text();
      if (!key || !eat(':')) return bad("a key is no string");
      if (*key == "descr") {
        if (peek() == '[')
          return make_error("it holds records (a structured array), which are no tensor");
        const auto value = text();
        if (!value) return bad("`descr` is no string");
        header.descr = *value;
        descr = true;
      } else if (*key == "fortran_order") {
        if (!word("True") && !word("False"))
          return bad("`fortran_order` is neither True nor False");
        header.fortran = last_word_ == "True";
        order = true;
      } else if (*key == "shape") {
        if (!read_shape(header.shape)) return bad("`shape` is no tuple of sizes");
        shape = true;
      } else {
        return bad("it has an unknown key");
      }
      eat(',');
    }
    if (!descr || !order || !shape) return bad("`descr`, `fortran_order` or `shape` is missing");
    return header;
  }

 private:
  static Error bad(std::string_view why) { return make_error("its header is broken: {}", why); }

  void skip_space() {
    while (!left_.empty() && (left_.front() == ' ' || left_.front() == '\n'))
      left_.remove_prefix(1);
  }
  char peek() {
    skip_space();
    return left_.empty() ? '\0' : left_.front();
  }
  bool eat(char c) {
    if (peek() != c) return false;
    left_.remove_prefix(1);
    return true;
  }
  bool word(std::string_view wanted) {
    skip_space();
    if (!left_.starts_with(wanted)) return false;
    left_.remove_prefix(wanted.size());
    last_word_ = wanted;
    return true;
  }
  std::optional<std::string> text() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return std::nullopt;
    const auto end = left_.find(quote, 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string out(left_.substr(1, end - 1));
    left_.remove_prefix(end + 1);
    return out;
  }
  bool read_shape(Shape& shape) {
    if (!eat('(')) return false;
    while (!eat(')')) {
      skip_space();
      std::int64_t size = 0;
      const auto [stop, code] = std::from_chars(left_.data(), left_.data() + left_.size(), size);
      if (code != std::errc() || size < 0) return false;
      left_.remove_prefix(static_cast<std::size_t>(stop - left_.data()));
      eat('L');  // Python 2's long integers
      shape.push_back(size);
      if (!eat(',') && peek() != ')') return false;
    }
    return true;
  }

  std::string_view left_;
  std::string_view last_word_;
};

}  // namespace

std::string_view npy_type(DType dtype) {
  for (const TypeName& entry : type_names)
    if (entry.dtype == dtype) return entry.text;
  return "";
}

bool npy_holds(DType dtype) {
  return !npy_type(dtype).empty();
}

static Result<Element> element_of(std::string_view descr) {
  const auto unknown = [&] {
    return make_error("its element type `{}` is none that a tensor can have", descr);
  };
  if (descr.ends_with('O'))
    return make_error(
        "it holds Python objects; save it with a plain element type (array.astype(…))");
  if (descr.size() < 3) return unknown();
  const char order = descr[0], kind = descr[1];
  if (std::string_view("<>|=").find(order) == std::string_view::npos) return unknown();
  std::size_t size = 0;
  const char* const end = descr.data() + descr.size();
  const auto [stop, code] = std::from_chars(descr.data() + 2, end, size);
  if (code != std::errc() || stop != end || size > (1U << 20)) return unknown();
  if (kind == 'U' || kind == 'S')
    return Element{.dtype = DType::String,
                   .width = kind == 'U' ? 4 * size : size,
                   .swap = order == '>' && kind == 'U' ? std::size_t{4} : 0,
                   .wide_text = kind == 'U'};
  for (const TypeName& entry : type_names) {
    if (entry.text.substr(1) != descr.substr(1)) continue;
    const std::size_t part = is_complex(entry.dtype) ? size / 2 : size;
    return Element{.dtype = entry.dtype,
                   .width = size,
                   .swap = order == '>' && part > 1 ? part : 0,
                   .wide_text = false};
  }
  return unknown();
}

static void swap_bytes(char* data, std::size_t bytes, std::size_t width) {
  for (std::size_t i = 0; i + width <= bytes; i += width)
    std::reverse(data + i, data + i + width);
}

// Calls `place(from, to)` with element numbers of the file (first index fastest) and of the tensor.
template <typename Place>
static void for_each_fortran(const Shape& shape, Place place) {
  const auto strides = strides_of(shape);
  std::vector<std::int64_t> index(shape.size(), 0);
  const std::int64_t count = element_count(shape);
  std::int64_t to = 0;
  for (std::int64_t from = 0; from < count; ++from) {
    place(static_cast<std::size_t>(from), static_cast<std::size_t>(to));
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      to += strides[axis];
      if (++index[axis] < shape[axis]) break;
      to -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

static void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | (code >> 6));
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3f));
    put(0x80 | ((code >> 6) & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

// Texts are padded by zeros.
static std::string text_of(std::string_view bytes, const Element& element) {
  if (!element.wide_text) return std::string(bytes.substr(0, bytes.find_last_not_of('\0') + 1));
  std::string out;
  for (std::size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    std::uint32_t code = 0;
    std::memcpy(&code, bytes.data() + i, 4);
    if (element.swap != 0) code = __builtin_bswap32(code);
    if (code == 0) break;
    append_utf8(out, code <= 0x10ffff ? code : 0xfffd);
  }
  return out;
}

static Tensor tensor_of(std::string_view data, const Element& element, const Header& header) {
  const std::size_t width = element.width;
  const bool reorder = header.fortran && header.shape.size() > 1;
  const auto count = static_cast<std::size_t>(element_count(header.shape));
  if (element.dtype == DType::String) {
    std::vector<std::string> strings(count);
    const auto place = [&](std::size_t from, std::size_t to) {
      strings[to] = text_of(data.substr(from * width, width), element);
    };
    if (reorder)
      for_each_fortran(header.shape, place);
    else
      for (std::size_t i = 0; i < count; ++i)
        place(i, i);
    return Tensor::of_strings(header.shape, std::move(strings));
  }
  Tensor tensor = Tensor::allocate(element.dtype, header.shape);
  char* const to_bytes = tensor.mutable_data<char>();
  if (reorder)
    for_each_fortran(header.shape, [&](std::size_t from, std::size_t to) {
      std::memcpy(to_bytes + to * width, data.data() + from * width, width);
    });
  else if (!data.empty())
    std::memcpy(to_bytes, data.data(), data.size());
  if (element.swap != 0) swap_bytes(to_bytes, data.size(), element.swap);
  if (element.dtype == DType::Bool)
    for (std::size_t i = 0; i < count; ++i)
      to_bytes[i] = to_bytes[i] != 0 ? 1 : 0;
  return tensor;
}

Result<Tensor> decode_npy(std::string_view bytes) {
  if (!bytes.starts_with(npy_magic))
    return make_error("it is no .npy file (its first bytes differ)");
  if (bytes.size() < 10) return make_error("it is cut off in its header");
  const int version = static_cast<unsigned char>(bytes[6]);
  if (version < 1 || version > 3)
    return make_error("it is of version {} of the format; 1 to 3 are known", version);
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  const std::size_t start = 8 + length_bytes;
  if (bytes.size() < start) return make_error("it is cut off in its header");
  std::size_t length = 0;
  std::memcpy(&length, bytes.data() + 8, length_bytes);
  if (length > bytes.size() - start) return make_error("it is cut off in its header");
  const auto header = HeaderReader(bytes.substr(start, length)).read();
  if (!header) return header.error();
  const auto element = element_of(header->descr);
  if (!element) return element.error();
  const auto count = checked_element_count(header->shape);
  const std::size_t width = element->width;
  if (!count ||
      (width > 0 && static_cast<std::uint64_t>(*count) > (std::uint64_t{1} << 56) / width))
    return make_error("its shape {} is too large", to_string(header->shape));
  const std::string_view data = bytes.substr(start + length);
  const std::size_t wanted = static_cast<std::size_t>(*count) * width;
  if (data.size() != wanted)
    return make_error("it has {} bytes of data; {} elements of {} bytes need {}", data.size(),
                      *count, width, wanted);
  if (width == 0 && *count > (std::int64_t{1} << 24))
    return make_error("its shape {} is too large", to_string(header->shape));
  return tensor_of(data, *element, *header);
}

Result<Tensor> read_npy(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  if (!file) return file.error();
  auto tensor = decode_npy((*file)->bytes());
  if (!tensor) return make_error("cannot read `{}`: {}", path.string(), tensor.error().message);
  return tensor;
}

std::string encode_npy_header(const Tensor& tensor) {
  const std::string_view type = npy_type(tensor.dtype());
  RULEC_CHECK(!type.empty());
  std::string shape;
  for (const std::int64_t size : tensor.shape())
    shape += fmt::format("{}{}", shape.empty() ? "" : ", ", size);
  if (tensor.rank() == 1) shape += ',';
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type, shape);
  // The data starts at a multiple of 64 bytes; a newline ends the header.
  const std::size_t prefix = npy_magic.size() + 4;
  text.append((64 - (prefix + text.size() + 1) % 64) % 64, ' ');
  text += '\n';
  std::string out(npy_magic);
  out += '\x01';
  out += '\0';
  out += static_cast<char>(text.size() & 0xff);
  out += static_cast<char>(text.size() >> 8);
  return out + text;
}

Status write_npy(const std::filesystem::path& path, const Tensor& tensor) {
  const std::string header = encode_npy_header(tensor);
  const std::array<std::string_view, 2> pieces = {
      header, {reinterpret_cast<const char*>(tensor.bytes().data()), tensor.bytes().size()}};
  return write_file(path, pieces);
}

}  // namespace rulec
