// SPDX-License-Identifier: Apache-2.0
// The zip archive around .npy files. The central directory at the end rules; numpy writes entries
// stored (savez) or deflated (savez_compressed), with zip64 fields even for small ones.
#include <algorithm>
#include <cstring>
#include <optional>

#include <zlib.h>

#include "compiler/npy.h"
#include "matcher/file.h"

namespace rulec {

namespace {

struct Entry {
  std::string_view name;
  std::uint16_t flags = 0, method = 0;
  std::uint32_t crc = 0;
  std::uint64_t packed = 0, size = 0, offset = 0;
};

constexpr std::uint32_t local_signature = 0x04034b50;
constexpr std::uint32_t central_signature = 0x02014b50;
constexpr std::uint32_t end_signature = 0x06054b50;
constexpr std::uint32_t end64_signature = 0x06064b50;
constexpr std::uint32_t locator64_signature = 0x07064b50;

}  // namespace

template <typename T>
static T number_at(std::string_view bytes, std::size_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

static Error broken(std::string_view why) {
  return make_error("its zip archive is broken: {}", why);
}

// Offset and count of the central directory.
static Result<std::pair<std::uint64_t, std::uint64_t>> find_directory(std::string_view bytes) {
  constexpr std::size_t end_size = 22;
  if (bytes.size() < end_size) return broken("it is too short");
  const std::size_t lowest =
      bytes.size() > end_size + 0xffff ? bytes.size() - end_size - 0xffff : 0;
  std::optional<std::size_t> end;
  for (std::size_t at = bytes.size() - end_size + 1; at-- > lowest && !end;)
    if (number_at<std::uint32_t>(bytes, at) == end_signature) end = at;
  if (!end) return broken("its end is missing; the file may be cut off");
  std::uint64_t count = number_at<std::uint16_t>(bytes, *end + 10);
  std::uint64_t offset = number_at<std::uint32_t>(bytes, *end + 16);
  if (*end >= 20 && number_at<std::uint32_t>(bytes, *end - 20) == locator64_signature) {
    const auto at = number_at<std::uint64_t>(bytes, *end - 20 + 8);
    if (at > bytes.size() || bytes.size() - at < 56 ||
        number_at<std::uint32_t>(bytes, at) != end64_signature)
      return broken("its zip64 end is missing");
    count = number_at<std::uint64_t>(bytes, at + 32);
    offset = number_at<std::uint64_t>(bytes, at + 48);
  }
  return std::pair{offset, count};
}

// Sizes that do not fit 32 bits stand in the extra field with number 1, in this order.
static bool apply_zip64(std::string_view extra, Entry& entry) {
  while (extra.size() >= 4) {
    const auto kind = number_at<std::uint16_t>(extra, 0);
    const auto size = number_at<std::uint16_t>(extra, 2);
    if (size > extra.size() - 4) return false;
    std::string_view body = extra.substr(4, size);
    extra.remove_prefix(4U + size);
    if (kind != 1) continue;
    for (std::uint64_t* field : {&entry.size, &entry.packed, &entry.offset}) {
      if (*field != 0xffffffff) continue;
      if (body.size() < 8) return false;
      *field = number_at<std::uint64_t>(body, 0);
      body.remove_prefix(8);
    }
  }
  return true;
}

static Result<std::vector<Entry>> read_directory(std::string_view bytes) {
  const auto directory = find_directory(bytes);
  if (!directory) return directory.error();
  auto [at, count] = *directory;
  std::vector<Entry> entries;
  for (std::uint64_t i = 0; i < count; ++i) {
    constexpr std::size_t fixed = 46;
    if (at > bytes.size() || bytes.size() - at < fixed ||
        number_at<std::uint32_t>(bytes, at) != central_signature)
      return broken("its directory ends early");
    Entry entry;
    entry.flags = number_at<std::uint16_t>(bytes, at + 8);
    entry.method = number_at<std::uint16_t>(bytes, at + 10);
    entry.crc = number_at<std::uint32_t>(bytes, at + 16);
    entry.packed = number_at<std::uint32_t>(bytes, at + 20);
    entry.size = number_at<std::uint32_t>(bytes, at + 24);
    entry.offset = number_at<std::uint32_t>(bytes, at + 42);
    const std::size_t name = number_at<std::uint16_t>(bytes, at + 28);
    const std::size_t extra = number_at<std::uint16_t>(bytes, at + 30);
    const std::size_t comment = number_at<std::uint16_t>(bytes, at + 32);
    if (bytes.size() - at - fixed < name + extra + comment)
      return broken("its directory ends early");
    entry.name = bytes.substr(at + fixed, name);
    if (!apply_zip64(bytes.substr(at + fixed + name, extra), entry))
      return broken("an extra field is broken");
    entries.push_back(entry);
    at += fixed + name + extra + comment;
  }
  return entries;
}

static Result<std::string_view> packed_bytes(std::string_view bytes, const Entry& entry) {
  constexpr std::size_t fixed = 30;
  if (entry.offset > bytes.size() || bytes.size() - entry.offset < fixed ||
      number_at<std::uint32_t>(bytes, entry.offset) != local_signature)
    return broken("an entry is not where the directory says");
  const std::uint64_t start = entry.offset + fixed +
                              number_at<std::uint16_t>(bytes, entry.offset + 26) +
                              number_at<std::uint16_t>(bytes, entry.offset + 28);
  if (start > bytes.size() || entry.packed > bytes.size() - start)
    return broken("an entry ends behind the file; it may be cut off");
  return bytes.substr(start, entry.packed);
}

static Result<std::string> inflate_bytes(std::string_view packed, std::uint64_t size) {
  // Deflate packs at most 1032 to 1: a larger claim is a lie, made to take memory.
  if (size / 1032 > packed.size() + 1) return broken("an entry claims to be larger than it can be");
  std::string out(size, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return make_error("zlib cannot start");
  std::size_t read = 0, written = 0;
  int code = Z_OK;
  constexpr std::size_t step = std::size_t{1} << 30;  // zlib counts in 32 bits
  while (code == Z_OK) {
    const auto in = static_cast<uInt>(std::min(step, packed.size() - read));
    const auto room = static_cast<uInt>(std::min(step, out.size() - written));
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data() + read));
    stream.avail_in = in;
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + written);
    stream.avail_out = room;
    code = inflate(&stream, Z_NO_FLUSH);
    read += in - stream.avail_in;
    written += room - stream.avail_out;
    if (code == Z_OK && stream.avail_in == in && stream.avail_out == room) code = Z_BUF_ERROR;
  }
  inflateEnd(&stream);
  if (code != Z_STREAM_END || written != size) return broken("an entry does not unpack");
  return out;
}

static Result<Tensor> read_entry(std::string_view bytes, const Entry& entry) {
  if ((entry.flags & 1) != 0) return make_error("it is encrypted");
  if (entry.method != 0 && entry.method != 8)
    return make_error("it is packed by method {}; numpy uses 0 (stored) and 8 (deflate)",
                      entry.method);
  const auto packed = packed_bytes(bytes, entry);
  if (!packed) return packed.error();
  std::string unpacked;
  std::string_view content = *packed;
  if (entry.method == 8) {
    auto inflated = inflate_bytes(*packed, entry.size);
    if (!inflated) return inflated.error();
    unpacked = std::move(*inflated);
    content = unpacked;
  }
  if (content.size() != entry.size) return broken("an entry has not the size it claims");
  const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
  if (crc != entry.crc) return broken("an entry's checksum does not agree with its bytes");
  return decode_npy(content);
}

Result<std::vector<std::pair<std::string, Tensor>>> decode_npz(std::string_view bytes) {
  const auto entries = read_directory(bytes);
  if (!entries) return entries.error();
  std::vector<std::pair<std::string, Tensor>> arrays;
  for (const Entry& entry : *entries) {
    std::string_view name = entry.name;
    if (!name.ends_with(".npy")) continue;
    name.remove_suffix(4);
    auto tensor = read_entry(bytes, entry);
    if (!tensor) return make_error("array `{}`: {}", name, tensor.error().message);
    arrays.emplace_back(name, std::move(*tensor));
  }
  return arrays;
}

Result<std::vector<std::pair<std::string, Tensor>>> read_npz(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  if (!file) return file.error();
  auto arrays = decode_npz((*file)->bytes());
  if (!arrays) return make_error("cannot read `{}`: {}", path.string(), arrays.error().message);
  return arrays;
}

}  // namespace rulec
