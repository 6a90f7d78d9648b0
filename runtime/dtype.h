// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace rulec {

// Element types. The numbers are those of ONNX's TensorProto.DataType.
enum class DType : std::uint8_t {
  Undefined = 0,
  F32 = 1,
  U8 = 2,
  I8 = 3,
  U16 = 4,
  I16 = 5,
  I32 = 6,
  I64 = 7,
  String = 8,
  Bool = 9,
  F16 = 10,
  F64 = 11,
  U32 = 12,
  U64 = 13,
  C64 = 14,
  C128 = 15,
  BF16 = 16,
  F8E4M3FN = 17,
  F8E4M3FNUZ = 18,
  F8E5M2 = 19,
  F8E5M2FNUZ = 20,
  U4 = 21,
  I4 = 22,
  F4E2M1 = 23,
  F8E8M0 = 24,
  U2 = 25,
  I2 = 26,
};

// "f32", "bool", "f8e4m3fn", ...: the spelling of the rule language, reports and dumps.
std::string_view name(DType dtype);
std::optional<DType> dtype_of(std::string_view name);

// Bits of one element in memory and in files (4-bit types are packed, low nibble first);
// 0 for strings and Undefined.
int bit_width(DType dtype);

// Bytes of `count` packed elements; 0 for strings.
std::size_t byte_size(DType dtype, std::int64_t count);

bool is_float(DType dtype);    // f64 f32 f16 bf16 and the 8- and 4-bit floats
bool is_integer(DType dtype);  // signed and unsigned, not bool
bool is_signed_integer(DType dtype);
bool is_complex(DType dtype);

}  // namespace rulec
