// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the checks of operations (check.cc, check_quantized.cc) ask of operands. Private to them.
//
//   if (!is_plain(in[0]) || count(in[0]) != n) return bad("sizes that do not fit");

#include <algorithm>
#include <cstring>
#include <span>

#include "runtime/kernels.h"
#include "runtime/result.h"
#include "runtime/shape.h"

namespace rulec::check {

using Refs = std::span<const TensorRef>;

template <typename T>
bool read_parameters(std::span<const std::byte> bytes, T& out) {
  if (bytes.size() != sizeof(T)) return false;
  std::memcpy(&out, bytes.data(), sizeof(T));
  return true;
}

inline bool is_f32(const TensorRef& t) {
  return t.present() && t.dtype == DType::F32;
}
inline bool is_blocked(const TensorRef& t) {
  return is_f32(t) && t.layout == format::Layout::Blocked && t.rank == 4;
}
inline bool is_plain(const TensorRef& t) {
  return t.present() && t.layout == format::Layout::Plain;
}
inline std::int64_t count(const TensorRef& t) {
  return element_count({t.dims, t.rank});
}
inline std::int64_t padded(std::int64_t channels) {
  return (channels + 15) / 16 * 16;
}
inline bool is_vector(const TensorRef& t, std::int64_t size) {
  return is_f32(t) && is_plain(t) && count(t) == size;
}
inline bool same_dims(const TensorRef& a, const TensorRef& b) {
  return a.rank == b.rank && std::equal(a.dims, a.dims + a.rank, b.dims);
}
inline Error bad(const char* what) {
  return {std::string(what)};
}
inline constexpr std::uint32_t max_window = 1 << 12;

// The last window must end inside `size` plus what lies around it.
inline bool window_fits(std::int64_t size, std::int64_t before, std::int64_t after,
                        std::int64_t out, std::uint32_t stride, std::uint32_t kernel,
                        std::uint32_t dilation) {
  if (out <= 0 || size <= 0 || stride == 0 || kernel == 0 || dilation == 0) return false;
  if (stride > max_window || kernel > max_window || dilation > max_window) return false;
  const std::int64_t last = (out - 1) * stride - before + std::int64_t{kernel - 1} * dilation;
  return last < size + after;
}

// check_quantized.cc
Status quantized_conv(Opcode opcode, Refs in, Refs out, std::span<const std::byte> bytes);
Status quantized_pool(Refs in, Refs out, std::span<const std::byte> bytes);
Status quantized(Refs in, Refs out, std::span<const std::byte> bytes);

}  // namespace rulec::check
