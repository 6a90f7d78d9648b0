// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "matcher/shared_optional.h"
#include "runtime/dtype.h"
#include "runtime/shape.h"

namespace rulec {

// One dimension: a known size, a named unknown one (equal names are equal sizes), or unknown.
struct Dim {
  std::int64_t size = -1;   // >= 0 when known
  std::string symbol = {};  // "N", "unk__12"; empty when known or anonymous

  bool known() const { return size >= 0; }
  friend bool operator==(const Dim&, const Dim&) = default;
};

// What is known of a value before the model runs. The default knows nothing.
struct Type {
  enum class Kind : std::uint8_t { Unknown, Tensor, SparseTensor, Sequence, Optional, Map };

  Kind kind = Kind::Unknown;
  DType dtype = DType::Undefined;              // of the tensor, or of a map's keys
  SharedOptional<std::vector<Dim>> dims = {};  // nothing: unknown rank
  std::shared_ptr<const Type> element = {};    // of a sequence, an optional, a map's values

  static Type tensor(DType dtype) { return {.kind = Kind::Tensor, .dtype = dtype}; }
  static Type tensor(DType dtype, const Shape& shape);

  bool is_tensor() const { return kind == Kind::Tensor; }
  // The shape, when every dimension is known.
  std::optional<Shape> static_shape() const;
  std::optional<std::size_t> rank() const {
    return dims ? std::optional<std::size_t>(dims->size()) : std::nullopt;
  }
  friend bool operator==(const Type& a, const Type& b);
};

// "f32[1,?,N,3]", "u8[...]" for an unknown rank, "?" for nothing known, "seq(f32[?])".
std::string to_string(const Type& type);

// True only when both are known to be the same dtype and shape (equal symbols are equal sizes).
bool proven_equal(const Type& a, const Type& b);
// False when some known fact of one denies the other: dtype, rank, or a size.
bool compatible(const Type& a, const Type& b);

}  // namespace rulec
