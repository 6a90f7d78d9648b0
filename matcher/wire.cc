// SPDX-License-Identifier: Apache-2.0
#include "matcher/wire.h"

#include <algorithm>
#include <utility>

namespace rulec::wire {

// Below a page a copy is cheaper than one more piece.
static constexpr std::size_t least_view = 4096;
static constexpr std::size_t largest_block = std::size_t{1} << 18;

bool Reader::fail() {
  failed_ = true;
  left_ = {};
  return false;
}

bool Reader::varint(std::uint64_t& value) {
  if (left_.empty()) return false;
  std::uint64_t result = 0;
  for (std::size_t i = 0; i < 10 && i < left_.size(); ++i) {
    const auto byte = static_cast<unsigned char>(left_[i]);
    result |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0) {
      left_.remove_prefix(i + 1);
      value = result;
      return true;
    }
  }
  return fail();
}

bool Reader::next(Field& field) {
  if (left_.empty()) return false;
  const char* const start = left_.data();
  std::uint64_t key = 0;
  if (!varint(key)) return false;
  if (key >> 32 != 0 || key >> 3 == 0) return fail();
  field.number = static_cast<std::uint32_t>(key >> 3);
  field.bytes = {};
  field.value = 0;
  std::uint64_t length = 0;
  switch (key & 7) {
    case 0:
      field.kind = Kind::Varint;
      if (!varint(field.value)) return fail();
      break;
    case 1:
      field.kind = Kind::Fixed64;
      if (left_.size() < 8) return fail();
      std::memcpy(&field.value, left_.data(), 8);
      left_.remove_prefix(8);
      break;
    case 2:
      field.kind = Kind::Bytes;
      if (!varint(length) || length > left_.size()) return fail();
      field.bytes = left_.substr(0, length);
      left_.remove_prefix(length);
      break;
    case 5: {
      field.kind = Kind::Fixed32;
      if (left_.size() < 4) return fail();
      std::uint32_t four = 0;
      std::memcpy(&four, left_.data(), 4);
      field.value = four;
      left_.remove_prefix(4);
      break;
    }
    default:  // groups, which ONNX never had
      return fail();
  }
  field.whole = {start, static_cast<std::size_t>(left_.data() - start)};
  return true;
}

std::size_t count_varints(std::string_view packed) {
  return static_cast<std::size_t>(
      std::count_if(packed.begin(), packed.end(), [](char c) { return (c & 0x80) == 0; }));
}

void Writer::put_varint(std::uint64_t value) {
  while (value >= 0x80) {
    bytes_.push_back(static_cast<char>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  bytes_.push_back(static_cast<char>(value));
}

void Writer::varint(std::uint32_t number, std::uint64_t value) {
  tag(number, Kind::Varint);
  put_varint(value);
}

void Writer::fixed32(std::uint32_t number, float value) {
  tag(number, Kind::Fixed32);
  char four[4];
  std::memcpy(four, &value, 4);
  bytes_.append(four, 4);
}

void Writer::bytes(std::uint32_t number, std::string_view value) {
  tag(number, Kind::Bytes);
  put_varint(value.size());
  bytes_ += value;
}

void Writer::seal() {
  if (bytes_.empty()) return;
  before_ += bytes_.size();
  sealed_.push_back(std::make_shared<const std::string>(std::exchange(bytes_, {})));
  pieces_.push_back(*sealed_.back());
}

void Writer::view(std::uint32_t number, std::string_view value) {
  if (value.size() < least_view) return bytes(number, value);
  tag(number, Kind::Bytes);
  put_varint(value.size());
  seal();
  pieces_.push_back(value);
  before_ += value.size();
}

void Writer::message(std::uint32_t number, const Writer& nested) {
  tag(number, Kind::Bytes);
  put_varint(nested.size());
  append(nested);
}

void Writer::append(const Writer& fields) {
  if (!fields.pieces_.empty()) {
    seal();
    pieces_.insert(pieces_.end(), fields.pieces_.begin(), fields.pieces_.end());
    sealed_.insert(sealed_.end(), fields.sealed_.begin(), fields.sealed_.end());
    before_ += fields.before_;
  }
  bytes_ += fields.bytes_;
  if (bytes_.size() >= largest_block) seal();
}

void Writer::clear() {
  bytes_.clear();
  pieces_.clear();
  sealed_.clear();
  before_ = 0;
}

std::vector<std::string_view> Writer::pieces() const {
  std::vector<std::string_view> all = pieces_;
  if (!bytes_.empty()) all.push_back(bytes_);
  return all;
}

std::string Writer::joined() const {
  std::string all;
  all.reserve(size());
  for (const std::string_view piece : pieces_)
    all += piece;
  return all += bytes_;
}

}  // namespace rulec::wire
