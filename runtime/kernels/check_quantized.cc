// SPDX-License-Identifier: Apache-2.0
// The operands of operations on 8-bit numbers: what their kernels rely on, as check.h.
#include <cmath>
#include <cstring>

#include "runtime/kernels/check_operands.h"

namespace rulec::check {

using kernels::Quantization;
using kernels::QuantizedKind;

static bool is_stored(const TensorRef& t) {
  return is_plain(t) && (t.dtype == DType::U8 || t.dtype == DType::I8);
}
static bool is_image(const TensorRef& t) {
  return is_stored(t) && t.rank == 4;
}
static bool known(const Quantization& q) {
  return std::isfinite(q.scale) && q.scale > 0 && q.zero >= -128 && q.zero <= 255;
}
static bool in_range(std::int32_t low, std::int32_t high, DType dtype) {
  const std::int32_t least = dtype == DType::I8 ? -128 : 0;
  return low >= least && low <= high && high <= least + 255;
}

// Whether the steps of a dense product's panels lie one after the other, and in its windows, and
// its weights, of so many bytes, are theirs.
static bool known_steps(const kernels::QuantizedConvParameters& p, std::int64_t channels,
                        std::int64_t panels, std::int64_t bytes, const TensorRef& table) {
  const std::int64_t steps = count(table) - 2 * panels;
  if (table.data == nullptr || steps < 0) return false;
  const auto number = [&](std::int64_t i) {
    std::uint32_t n;
    std::memcpy(&n, table.data + i * 4, 4);
    return n;
  };
  std::int64_t end = 0, masked = 0;
  for (std::int64_t i = 0; i < 2 * panels; ++i) {
    if (number(i) < end) return false;
    masked += i % 2 == 0 ? 0 : number(i) - end;
    end = number(i);
  }
  const bool joined = p.dilation_w == 1;
  const std::int64_t runs = p.kernel_h * std::int64_t{joined ? 1 : p.kernel_w};
  const std::int64_t quads = ((joined ? p.kernel_w : 1) * channels + 3) / 4;
  if (end != steps || bytes != (steps + masked) * 64 || quads > (1 << 20)) return false;
  for (std::int64_t i = 2 * panels; i < 2 * panels + steps; ++i) {
    if (number(i) >> 20 >= runs || (number(i) & 0xfffff) >= quads) return false;
  }
  return true;
}

Status quantized_conv(Opcode opcode, Refs in, Refs out, std::span<const std::byte> bytes) {
  kernels::QuantizedConvParameters p;
  if (!read_parameters(bytes, p)) return bad("parameters of another size");
  const bool dense = opcode == Opcode::QuantizedConv;
  if (in.size() != (dense ? 5u : 4u) || out.size() != 1 || !is_image(in[0]) || !is_image(out[0]) ||
      !is_plain(in[1]) || in[1].dtype != (dense ? DType::I8 : DType::I16) || !is_plain(in[2]) ||
      in[2].dtype != DType::I32 || !is_plain(in[3]) || in[3].dtype != DType::F64) {
    return bad("wrong operands");
  }
  if (dense && (!is_plain(in[4]) || in[4].dtype != DType::I32)) return bad("wrong operands");
  if (!known(p.x) || !known(p.y) || !in_range(p.low, p.high, out[0].dtype))
    return bad("unknown parameters");
  const std::int64_t *x = in[0].dims, *y = out[0].dims;
  const std::int64_t oc = padded(y[3]);
  if (p.kernel_h > 64 || p.kernel_w > 64 || p.pad_top > 64 || p.pad_left > 64 || x[3] < 1 ||
      x[3] > (1 << 20) || y[3] < 1 || y[3] > (1 << 20) || x[0] != y[0] ||
      // Beyond its edges the kernel reads zeros, as far as it likes.
      !window_fits(x[1], p.pad_top, max_window, y[1], p.stride_h, p.kernel_h, p.dilation_h) ||
      !window_fits(x[2], p.pad_left, max_window, y[2], p.stride_w, p.kernel_w, p.dilation_w)) {
    return bad("sizes that do not fit");
  }
  // What one row of the output reads lies in memory at once.
  const std::int64_t rows = std::int64_t{p.kernel_h - 1} * p.dilation_h + 1;
  const std::int64_t columns = std::min<std::int64_t>(
      (y[2] - 1) * p.stride_w + std::int64_t{p.kernel_w - 1} * p.dilation_w + 1, INT32_MAX);
  if (columns * rows > (std::int64_t{1} << 26) / std::max<std::int64_t>(x[3], 32))
    return bad("rows that are too large");
  if (count(in[2]) != oc || count(in[3]) != oc * kernels::quantized_coefficients)
    return bad("weights of the wrong size");
  if (opcode == Opcode::QuantizedDepthwise) {
    const std::int64_t pairs = p.kernel_h * ((std::int64_t{p.kernel_w} + 1) / 2);
    if (count(in[1]) != oc * pairs * 2 || x[3] != y[3]) return bad("weights of the wrong size");
    return Done{};
  }
  if (opcode == Opcode::QuantizedWinograd) {
    const bool plain3 = p.kernel_h == 3 && p.kernel_w == 3 && p.stride_h == 1 && p.stride_w == 1 &&
                        p.dilation_h == 1 && p.dilation_w == 1;
    if (!plain3 || x[3] % 16 != 0) return bad("not a form of Winograd");
    return count(in[1]) == oc * 36 * x[3] ? Status(Done{})
                                          : Status(bad("weights of the wrong size"));
  }
  if (!known_steps(p, x[3], oc / 16, count(in[1]), in[4]))
    return bad("weights whose steps do not fit");
  return Done{};
}

Status quantized_pool(Refs in, Refs out, std::span<const std::byte> bytes) {
  kernels::PoolParameters p;
  if (!read_parameters(bytes, p) || p.kind != kernels::PoolKind::Max)
    return bad("unknown parameters");
  if (in.size() != 1 || out.size() != 1 || !is_image(in[0]) || !is_image(out[0]) ||
      in[0].dtype != out[0].dtype) {
    return bad("wrong operands");
  }
  const std::int64_t *x = in[0].dims, *y = out[0].dims;
  if (x[0] != y[0] || x[3] != y[3] || p.pad_top > max_window || p.pad_left > max_window ||
      !window_fits(x[1], p.pad_top, max_window, y[1], p.stride_h, p.kernel_h, p.dilation_h) ||
      !window_fits(x[2], p.pad_left, max_window, y[2], p.stride_w, p.kernel_w, p.dilation_w)) {
    return bad("sizes that do not fit");
  }
  return Done{};
}

Status quantized(Refs in, Refs out, std::span<const std::byte> bytes) {
  kernels::QuantizedParameters p;
  if (!read_parameters(bytes, p) ||
      static_cast<std::uint32_t>(p.kind) >= kernels::quantized_kind_count || !known(p.a) ||
      !known(p.b) || !known(p.y)) {
    return bad("unknown parameters");
  }
  const bool two = p.kind == QuantizedKind::Add || p.kind == QuantizedKind::Mul ||
                   p.kind == QuantizedKind::Lookup;
  if (in.size() != (two ? 2u : 1u) || out.size() != 1 || !is_plain(in[0]) || !is_plain(out[0]))
    return bad("wrong operands");
  const bool to_stored = p.kind != QuantizedKind::Dequantize;
  if (to_stored && (!is_stored(out[0]) || !in_range(p.low, p.high, out[0].dtype)))
    return bad("a wrong result");
  if (p.kind == QuantizedKind::Quantize ? !is_f32(in[0]) : !is_stored(in[0]))
    return bad("wrong types");
  if (p.kind == QuantizedKind::GlobalAverage) {
    const std::int64_t *x = in[0].dims, *y = out[0].dims;
    const bool shape = in[0].rank == 4 && out[0].rank == 4 && in[0].dtype == out[0].dtype &&
                       x[0] == y[0] && y[1] == 1 && y[2] == 1 && x[3] == y[3] && x[1] > 0 &&
                       x[2] > 0;
    return shape ? Status(Done{}) : Status(bad("sizes that do not fit"));
  }
  if (count(in[0]) != count(out[0])) return bad("sizes that do not fit");
  switch (p.kind) {
    case QuantizedKind::Dequantize:
      return is_f32(out[0]) ? Status(Done{}) : Status(bad("a wrong result"));
    case QuantizedKind::Lookup:
      return is_stored(in[1]) && count(in[1]) == 256 ? Status(Done{})
                                                     : Status(bad("a table of another size"));
    case QuantizedKind::Add:
    case QuantizedKind::Mul:
      return in[1].dtype == in[0].dtype && out[0].dtype == in[0].dtype && is_plain(in[1]) &&
                     count(in[1]) == count(in[0])
                 ? Status(Done{})
                 : Status(bad("operands that differ"));
    default:
      return Done{};
  }
}

}  // namespace rulec::check
