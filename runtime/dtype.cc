// SPDX-License-Identifier: Apache-2.0
#include "runtime/dtype.h"

#include <array>

namespace rulec {
namespace {

enum class Kind : std::uint8_t { Other, Float, Unsigned, Signed, Complex };

struct Row {
  std::string_view name;
  int bits;
  Kind kind;
};

// In the order of the enumeration's numbers.
constexpr std::array<Row, 27> rows = {{
    {"undefined", 0, Kind::Other},  {"f32", 32, Kind::Float},    {"u8", 8, Kind::Unsigned},
    {"i8", 8, Kind::Signed},        {"u16", 16, Kind::Unsigned}, {"i16", 16, Kind::Signed},
    {"i32", 32, Kind::Signed},      {"i64", 64, Kind::Signed},   {"string", 0, Kind::Other},
    {"bool", 8, Kind::Other},       {"f16", 16, Kind::Float},    {"f64", 64, Kind::Float},
    {"u32", 32, Kind::Unsigned},    {"u64", 64, Kind::Unsigned}, {"c64", 64, Kind::Complex},
    {"c128", 128, Kind::Complex},   {"bf16", 16, Kind::Float},   {"f8e4m3fn", 8, Kind::Float},
    {"f8e4m3fnuz", 8, Kind::Float}, {"f8e5m2", 8, Kind::Float},  {"f8e5m2fnuz", 8, Kind::Float},
    {"u4", 4, Kind::Unsigned},      {"i4", 4, Kind::Signed},     {"f4e2m1", 4, Kind::Float},
    {"f8e8m0", 8, Kind::Float},     {"u2", 2, Kind::Unsigned},   {"i2", 2, Kind::Signed},
}};

}  // namespace

static const Row& row_of(DType dtype) {
  const auto index = static_cast<std::size_t>(dtype);
  return rows[index < rows.size() ? index : 0];
}

std::string_view name(DType dtype) {
  return row_of(dtype).name;
}

std::optional<DType> dtype_of(std::string_view name) {
  for (std::size_t i = 1; i < rows.size(); ++i) {
    if (rows[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

int bit_width(DType dtype) {
  return row_of(dtype).bits;
}

std::size_t byte_size(DType dtype, std::int64_t count) {
  const auto bits = static_cast<std::size_t>(bit_width(dtype));
  const auto n = static_cast<std::size_t>(count);
  return bits >= 8 ? n * (bits / 8) : (n * bits + 7) / 8;
}

bool is_float(DType dtype) {
  return row_of(dtype).kind == Kind::Float;
}

bool is_integer(DType dtype) {
  return row_of(dtype).kind == Kind::Unsigned || row_of(dtype).kind == Kind::Signed;
}

bool is_signed_integer(DType dtype) {
  return row_of(dtype).kind == Kind::Signed;
}

bool is_complex(DType dtype) {
  return row_of(dtype).kind == Kind::Complex;
}

}  // namespace rulec
