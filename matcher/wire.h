// SPDX-License-Identifier: Apache-2.0
#pragma once

// Protocol buffers' wire format, without messages: a reader that walks the fields of a message in
// place, and a writer whose large payloads stay where they are. Not a protobuf library: who reads
// knows the field numbers.
//
//   wire::Reader reader(bytes);
//   wire::Field field;
//   while (reader.next(field))
//     if (field.number == 1 && field.kind == wire::Kind::Bytes) name = field.bytes;
//   if (reader.failed()) …

#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rulec::wire {

enum class Kind : std::uint8_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

struct Field {
  std::uint32_t number = 0;
  Kind kind = Kind::Varint;
  std::uint64_t value = 0;  // of a Varint, Fixed64 or Fixed32
  std::string_view bytes;   // of Bytes: a string, a message or packed numbers
  std::string_view whole;   // tag and payload, to be kept as it is
};

class Reader {
 public:
  explicit Reader(std::string_view message) : left_(message) {}
  // The next field; false at the end, or where the bytes are no message.
  bool next(Field& field);
  // A bare varint, as in packed numbers; false at the end or past a broken one.
  bool varint(std::uint64_t& value);
  bool failed() const { return failed_; }
  bool at_end() const { return left_.empty(); }

 private:
  bool fail();
  std::string_view left_;
  bool failed_ = false;
};

inline float as_float(std::uint64_t value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value));
}

// How many numbers a packed run of varints holds, without decoding them.
std::size_t count_varints(std::string_view packed);

class Writer {
 public:
  void varint(std::uint32_t number, std::uint64_t value);
  void integer(std::uint32_t number, std::int64_t value) {
    varint(number, static_cast<std::uint64_t>(value));
  }
  void fixed32(std::uint32_t number, float value);
  void bytes(std::uint32_t number, std::string_view value);
  // As bytes(), but `value` is referred to: it must live until the writer's pieces are used.
  void view(std::uint32_t number, std::string_view value);
  void text(std::uint32_t number, std::string_view value) {  // nothing when it is empty
    if (!value.empty()) bytes(number, value);
  }
  void message(std::uint32_t number, const Writer& nested);
  void raw(std::string_view fields) { bytes_ += fields; }  // whole fields, already encoded
  void append(const Writer& fields);                       // the same, in another writer

  std::size_t size() const { return before_ + bytes_.size(); }
  void clear();
  // Everything in order, as views; they live as long as the writer, unchanged.
  std::vector<std::string_view> pieces() const;
  std::string joined() const;

 private:
  void put_varint(std::uint64_t value);
  void tag(std::uint32_t number, Kind kind) {
    put_varint((static_cast<std::uint64_t>(number) << 3) | static_cast<std::uint64_t>(kind));
  }
  void seal();

  // What was written, in order: views of payloads elsewhere and of sealed blocks, which no growth
  // moves and writers around this one share, then `bytes_`.
  std::vector<std::string_view> pieces_;
  std::vector<std::shared_ptr<const std::string>> sealed_;
  std::size_t before_ = 0;  // bytes of all pieces
  std::string bytes_;
};

}  // namespace rulec::wire
