// SPDX-License-Identifier: Apache-2.0
#include "runtime/generic/elements.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace rulec::generic {
namespace {

struct Wide {
  std::byte bytes[16];
};

struct Dimension {
  std::int64_t size, from, to;
};

template <typename T>
void copy_typed(const std::byte* from, std::int64_t from_stride, std::byte* to,
                std::int64_t to_stride, std::int64_t count) {
  const T* source = reinterpret_cast<const T*>(from);
  T* target = reinterpret_cast<T*>(to);
  for (std::int64_t i = 0; i < count; ++i)
    target[i * to_stride] = source[i * from_stride];
}

}  // namespace

static void copy_bits(const std::byte* from, std::int64_t source, std::byte* to,
                      std::int64_t target, int bits) {
  const std::int64_t source_bit = source * bits;
  const std::int64_t target_bit = target * bits;
  const unsigned mask = (1U << bits) - 1;
  const unsigned value =
      (std::to_integer<unsigned>(from[source_bit / 8]) >> (source_bit % 8)) & mask;
  const unsigned old = std::to_integer<unsigned>(to[target_bit / 8]);
  const int shift = static_cast<int>(target_bit % 8);
  to[target_bit / 8] = static_cast<std::byte>((old & ~(mask << shift)) | (value << shift));
}

ElementCopy::ElementCopy(const Tensor& from, Tensor& to) : bits_(bit_width(from.dtype())) {
  RULEC_CHECK(from.dtype() == to.dtype());
  if (from.dtype() == DType::String) {
    from_strings_ = from.strings().data();
    to_strings_ = to.mutable_strings().data();
  } else {
    from_ = from.data<std::byte>();
    to_ = to.mutable_data<std::byte>();
  }
}

void ElementCopy::operator()(std::int64_t from, std::int64_t to, std::int64_t count) const {
  if (count <= 0) return;
  if (from_strings_ != nullptr) {
    std::copy_n(from_strings_ + from, count, to_strings_ + to);
  } else if (bits_ >= 8) {
    const std::int64_t width = bits_ / 8;
    std::memcpy(to_ + to * width, from_ + from * width, static_cast<std::size_t>(count * width));
  } else {
    strided(from, 1, to, 1, count);
  }
}

void ElementCopy::repeat(std::int64_t from, std::int64_t to, std::int64_t count) const {
  strided(from, 0, to, 1, count);
}

void ElementCopy::strided(std::int64_t from, std::int64_t from_stride, std::int64_t to,
                          std::int64_t to_stride, std::int64_t count) const {
  if (from_strings_ != nullptr) {
    for (std::int64_t i = 0; i < count; ++i) {
      to_strings_[to + i * to_stride] = from_strings_[from + i * from_stride];
    }
    return;
  }
  const std::int64_t width = bits_ / 8;
  const std::byte* source = from_ + from * width;
  std::byte* target = to_ + to * width;
  switch (bits_) {
    case 8:
      return copy_typed<std::uint8_t>(source, from_stride, target, to_stride, count);
    case 16:
      return copy_typed<std::uint16_t>(source, from_stride, target, to_stride, count);
    case 32:
      return copy_typed<std::uint32_t>(source, from_stride, target, to_stride, count);
    case 64:
      return copy_typed<std::uint64_t>(source, from_stride, target, to_stride, count);
    case 128:
      return copy_typed<Wide>(source, from_stride, target, to_stride, count);
    default:
      for (std::int64_t i = 0; i < count; ++i) {
        copy_bits(from_, from + i * from_stride, to_, to + i * to_stride, bits_);
      }
  }
}

// Drops dimensions of size 1 and joins neighbours that both sides walk as one.
static std::vector<Dimension> joined(std::span<const std::int64_t> shape,
                                     std::span<const std::int64_t> from,
                                     std::span<const std::int64_t> to) {
  std::vector<Dimension> out;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    const Dimension next{shape[i], from[i], to[i]};
    if (!out.empty() && out.back().from == next.from * next.size &&
        out.back().to == next.to * next.size) {
      out.back() = {out.back().size * next.size, next.from, next.to};
    } else {
      out.push_back(next);
    }
  }
  if (out.empty()) out.push_back({1, 1, 1});
  return out;
}

void copy_strided(const Tensor& in, std::int64_t from, std::span<const std::int64_t> from_strides,
                  Tensor& out, std::int64_t to, std::span<const std::int64_t> to_strides,
                  std::span<const std::int64_t> shape) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return;
  const ElementCopy copy(in, out);
  std::vector<Dimension> dims = joined(shape, from_strides, to_strides);
  const Dimension inner = dims.back();
  dims.pop_back();
  std::vector<std::int64_t> index(dims.size(), 0);
  while (true) {
    if (inner.from == 1 && inner.to == 1) {
      copy(from, to, inner.size);
    } else {
      copy.strided(from, inner.from, to, inner.to, inner.size);
    }
    std::size_t axis = dims.size();
    while (axis > 0) {
      --axis;
      from += dims[axis].from;
      to += dims[axis].to;
      if (++index[axis] < dims[axis].size) break;
      from -= dims[axis].from * dims[axis].size;
      to -= dims[axis].to * dims[axis].size;
      index[axis] = 0;
      if (axis == 0) return;
    }
    if (dims.empty()) return;
  }
}

Tensor strided(const Tensor& in, Shape shape, std::span<const std::int64_t> strides,
               std::int64_t offset) {
  Tensor out = Tensor::allocate(in.dtype(), shape);
  copy_strided(in, offset, strides, out, 0, strides_of(shape), shape);
  return out;
}

Tensor transposed(const Tensor& in, std::span<const std::int64_t> permutation) {
  const std::vector<std::int64_t> strides = strides_of(in.shape());
  Shape shape;
  std::vector<std::int64_t> moved;
  for (std::int64_t axis : permutation) {
    shape.push_back(in.dim(static_cast<std::size_t>(axis)));
    moved.push_back(strides[static_cast<std::size_t>(axis)]);
  }
  return strided(in, std::move(shape), moved);
}

Tensor take(const Tensor& in, std::size_t axis, std::span<const std::int64_t> indices) {
  Shape shape = in.shape();
  const std::int64_t length = shape[axis];
  shape[axis] = static_cast<std::int64_t>(indices.size());
  const std::int64_t outer = element_count(std::span(in.shape()).first(axis));
  const std::int64_t inner = element_count(std::span(in.shape()).subspan(axis + 1));
  Tensor out = Tensor::allocate(in.dtype(), std::move(shape));
  const ElementCopy copy(in, out);
  std::int64_t to = 0;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t index : indices) {
      copy((o * length + index) * inner, to, inner);
      to += inner;
    }
  }
  return out;
}

Tensor concatenated(std::span<const Tensor> parts, std::size_t axis) {
  Shape shape = parts[0].shape();
  shape[axis] = 0;
  for (const Tensor& part : parts)
    shape[axis] += part.dim(axis);
  const std::int64_t outer = element_count(std::span(shape).first(axis));
  const std::int64_t inner = element_count(std::span(shape).subspan(axis + 1));
  const std::int64_t row = shape[axis] * inner;
  Tensor out = Tensor::allocate(parts[0].dtype(), std::move(shape));
  std::int64_t at = 0;
  for (const Tensor& part : parts) {
    const ElementCopy copy(part, out);
    const std::int64_t run = part.dim(axis) * inner;
    for (std::int64_t o = 0; o < outer; ++o)
      copy(o * run, o * row + at, run);
    at += run;
  }
  return out;
}

void fill(Tensor& out, const Tensor& value) {
  ElementCopy(value, out).repeat(0, 0, out.size());
}

Tensor from_numbers(DType dtype, Shape shape, std::span<const double> values) {
  Tensor out = Tensor::allocate(dtype, std::move(shape));
  RULEC_CHECK(out.size() == static_cast<std::int64_t>(values.size()));
  if (dtype == DType::F32) {
    std::transform(values.begin(), values.end(), out.mutable_data<float>(),
                   [](double value) { return static_cast<float>(value); });
  } else if (dtype == DType::F64) {
    std::copy(values.begin(), values.end(), out.mutable_data<double>());
  } else {
    for (std::size_t i = 0; i < values.size(); ++i) {
      out.set_number(static_cast<std::int64_t>(i), values[i]);
    }
  }
  return out;
}

Tensor cloned(const Tensor& in) {
  Tensor out = Tensor::allocate(in.dtype(), in.shape());
  ElementCopy(in, out)(0, 0, in.size());
  return out;
}

}  // namespace rulec::generic
