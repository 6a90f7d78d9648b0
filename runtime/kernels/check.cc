// SPDX-License-Identifier: Apache-2.0
// Whether the operands of a fast operation are what its kernel relies on. Called once for each
// operation when an engine is loaded; the kernels themselves check nothing.

#include "runtime/kernels/check.h"

#include <algorithm>
#include <cstring>

#include "runtime/kernels/check_operands.h"

namespace rulec {

bool is_castable(DType dtype) {
  switch (dtype) {
    case DType::Bool:
    case DType::U8:
    case DType::I8:
    case DType::I32:
    case DType::I64:
    case DType::F32:
    case DType::F64:
      return true;
    default:
      return false;
  }
}

Status check_indices(const kernels::GatherParameters& p, const TensorRef& index) {
  const auto axis = static_cast<std::int64_t>(p.axis);
  for (std::uint32_t i = 0; i < p.count; ++i) {
    std::int64_t at = 0;
    if (index.dtype == DType::I64) {
      std::memcpy(&at, index.data + std::size_t{i} * 8, 8);
    } else {
      std::int32_t narrow = 0;
      std::memcpy(&narrow, index.data + std::size_t{i} * 4, 4);
      at = narrow;
    }
    if (at < -axis || at >= axis)
      return make_error("index {} is outside of an axis of {} elements", at, axis);
  }
  return Done{};
}

namespace check {

using format::Layout;
using kernels::Activation;
using kernels::Epilogue;
using kernels::Residual;

static bool known(const Epilogue& e) {
  return static_cast<std::uint32_t>(e.activation) < kernels::activation_count &&
         e.residual <= Residual::AfterActivation;
}

// Operands behind the fixed ones: slopes, then the residual.
static Status check_epilogue(const Epilogue& e, Refs in, std::size_t fixed, const TensorRef& out,
                             std::int64_t channels) {
  if (!known(e)) return bad("unknown epilogue");
  std::size_t at = fixed;
  if (e.activation == Activation::PRelu) {
    if (at >= in.size() || !is_vector(in[at], channels)) return bad("slopes of the wrong size");
    ++at;
  }
  if (e.residual != Residual::None) {
    if (at >= in.size() || !is_f32(in[at]) || in[at].layout != out.layout ||
        !same_dims(in[at], out)) {
      return bad("a residual of another shape");
    }
    ++at;
  }
  if (at != in.size()) return bad("too many operands");
  return Done{};
}

static Status check_conv(Opcode opcode, Refs in, Refs out, std::span<const std::byte> bytes) {
  kernels::ConvParameters p;
  if (!read_parameters(bytes, p)) return bad("parameters of another size");
  if (in.size() < 3 || out.size() != 1 || !is_blocked(out[0]) || !is_plain(in[1]) ||
      !is_f32(in[1])) {
    return bad("wrong operands");
  }
  const std::int64_t* o = out[0].dims;
  const std::int64_t oc = padded(o[1]);
  if (!is_vector(in[2], oc)) return bad("a bias of the wrong size");
  if (p.kernel_h > 64 || p.kernel_w > 64) return bad("a window that is too large");
  if (p.scaled > 1 || (p.scaled == 1 && opcode != Opcode::Conv)) return bad("unknown parameters");
  const std::int64_t taps = std::int64_t{p.kernel_h} * p.kernel_w;
  if (opcode == Opcode::ConvStem) {
    if (!is_plain(in[0]) || !is_f32(in[0]) || in[0].rank != 4 || p.channels_last > 1) {
      return bad("wrong input");
    }
    const std::int64_t* x = in[0].dims;
    const std::int64_t c = p.channels_last ? x[3] : x[1];
    const std::int64_t h = p.channels_last ? x[1] : x[2];
    const std::int64_t w = p.channels_last ? x[2] : x[3];
    // Beyond its edges the kernel reads zeros, as far as it likes.
    if (x[0] != o[0] || c < 1 || c > 16 || h < 1 || w < 1 || p.pad_top > 64 || p.pad_left > 64 ||
        !window_fits(h, p.pad_top, max_window, o[2], p.stride_h, p.kernel_h, p.dilation_h) ||
        !window_fits(w, p.pad_left, max_window, o[3], p.stride_w, p.kernel_w, p.dilation_w) ||
        count(in[1]) != oc * c * taps) {
      return bad("sizes that do not fit");
    }
    return check_epilogue(p.epilogue, in, 3, out[0], oc);
  }
  if (!is_blocked(in[0])) return bad("wrong input");
  const std::int64_t* x = in[0].dims;
  const auto halo = static_cast<std::int64_t>(in[0].halo);
  if (x[0] != o[0] || p.pad_top > halo || p.pad_left > halo ||
      !window_fits(x[2], p.pad_top, halo, o[2], p.stride_h, p.kernel_h, p.dilation_h) ||
      !window_fits(x[3], p.pad_left, halo, o[3], p.stride_w, p.kernel_w, p.dilation_w)) {
    return bad("windows that leave the input");
  }
  std::int64_t expected = opcode == Opcode::ConvDepthwise ? oc * taps : oc * padded(x[1]) * taps;
  if (opcode == Opcode::ConvWinograd) {
    const bool plain3 = p.kernel_h == 3 && p.kernel_w == 3 && p.stride_h == 1 && p.stride_w == 1 &&
                        p.dilation_h == 1 && p.dilation_w == 1;
    if (!plain3 || (p.winograd != 2 && p.winograd != 4)) return bad("not a form of Winograd");
    expected = oc * padded(x[1]) * (p.winograd + 2) * (p.winograd + 2);
  }
  if (count(in[1]) != expected || (opcode == Opcode::ConvDepthwise && x[1] != o[1])) {
    return bad("weights of the wrong size");
  }
  if (p.scaled == 1) {
    const bool fits = in.size() > 3 && is_blocked(in[3]) && in[3].dims[0] == x[0] &&
                      in[3].dims[1] == x[1] && in[3].dims[2] == 1 && in[3].dims[3] == 1;
    if (!fits) return bad("scales of the wrong size");
  }
  return check_epilogue(p.epilogue, in, 3 + p.scaled, out[0], oc);
}

static Status check_pool(Opcode opcode, Refs in, Refs out, std::span<const std::byte> bytes) {
  kernels::PoolParameters p;
  if (!read_parameters(bytes, p) || p.kind > kernels::PoolKind::AverageIncludingPad) {
    return bad("unknown parameters");
  }
  if (in.size() != 1 || out.size() != 1 || !is_blocked(in[0])) return bad("wrong operands");
  const std::int64_t *x = in[0].dims, *o = out[0].dims;
  if (opcode == Opcode::GlobalPool) {
    const bool shape = is_f32(out[0]) && out[0].rank == 4 && o[0] == x[0] && o[1] == x[1] &&
                       o[2] == 1 && o[3] == 1 && x[2] > 0 && x[3] > 0;
    return shape ? Status(Done{}) : Status(bad("wrong output"));
  }
  if (!is_blocked(out[0]) || x[0] != o[0] || x[1] != o[1] || p.pad_top > max_window ||
      p.pad_left > max_window || p.pad_bottom > max_window || p.pad_right > max_window ||
      !window_fits(x[2], p.pad_top, max_window, o[2], p.stride_h, p.kernel_h, p.dilation_h) ||
      !window_fits(x[3], p.pad_left, max_window, o[3], p.stride_w, p.kernel_w, p.dilation_w)) {
    return bad("sizes that do not fit");
  }
  return Done{};
}

static Status check_reorder(Refs in, Refs out, std::span<const std::byte> bytes) {
  kernels::ReorderParameters p;
  if (!read_parameters(bytes, p) || p.channels_last > 1) return bad("unknown parameters");
  if (in.size() != 1 || out.size() != 1 || !is_f32(in[0]) || !is_f32(out[0]) || in[0].rank != 4 ||
      out[0].rank != 4) {
    return bad("wrong operands");
  }
  if (in[0].layout == Layout::Blocked && out[0].layout == Layout::Blocked) {
    return same_dims(in[0], out[0]) ? Status(Done{}) : Status(bad("sizes that differ"));
  }
  if (in[0].layout == out[0].layout) return bad("nothing to reorder");
  const TensorRef& plain = in[0].layout == Layout::Plain ? in[0] : out[0];
  const TensorRef& blocked = in[0].layout == Layout::Plain ? out[0] : in[0];
  const std::int64_t *a = plain.dims, *b = blocked.dims;
  const bool same = p.channels_last ? a[0] == b[0] && a[3] == b[1] && a[1] == b[2] && a[2] == b[3]
                                    : same_dims(plain, blocked);
  return same ? Status(Done{}) : Status(bad("sizes that differ"));
}

static Status check_chain(Refs in, Refs out, std::span<const std::byte> bytes) {
  kernels::ChainParameters p;
  if (!read_parameters(bytes, p) || p.steps > kernels::max_chain_steps) {
    return bad("unknown parameters");
  }
  if (in.empty() || in.size() > kernels::max_chain_operands || out.size() != 1 || !is_f32(out[0])) {
    return bad("wrong operands");
  }
  for (std::uint32_t i = 0; i < p.steps; ++i) {
    const kernels::ChainStep& s = p.step[i];
    if (static_cast<std::uint32_t>(s.op) >= kernels::chain_op_count || s.reversed > 1 ||
        s.has_operand > 1 || (s.has_operand && s.operand >= in.size()) ||
        static_cast<std::uint32_t>(s.activation) >= kernels::activation_count ||
        (s.activation == Activation::PRelu && !s.has_operand)) {
      return bad("an unknown step");
    }
  }
  const bool blocked = out[0].layout == Layout::Blocked;
  for (const TensorRef& t : in) {
    if (!is_f32(t)) return bad("wrong operands");
    if (t.layout == Layout::Blocked) {
      const bool channel = blocked && t.rank == 4 && t.dims[0] == out[0].dims[0] &&
                           t.dims[1] == out[0].dims[1] && t.dims[2] == 1 && t.dims[3] == 1;
      if (!blocked || (!same_dims(t, out[0]) && !channel))
        return bad("an operand of another shape");
    } else if (blocked) {
      if (count(t) != 1 && count(t) != padded(out[0].dims[1])) {
        return bad("an operand of another shape");
      }
    } else {
      if (t.rank > out[0].rank) return bad("an operand of another shape");
      for (std::uint32_t d = 0; d < t.rank; ++d) {
        const std::int64_t whole = out[0].dims[out[0].rank - t.rank + d];
        if (t.dims[d] != whole && t.dims[d] != 1) return bad("an operand of another shape");
      }
    }
  }
  return Done{};
}

static Status check_gemm(Refs in, Refs out, std::span<const std::byte> bytes) {
  kernels::GemmParameters p;
  if (!read_parameters(bytes, p) || p.has_bias > 1) return bad("unknown parameters");
  const std::size_t fixed = 2 + p.has_bias;
  if (in.size() < fixed || out.size() != 1) return bad("wrong operands");
  const std::int64_t n = padded(p.columns);
  if (p.rows == 0 || p.depth == 0 || p.columns == 0 ||
      !is_vector(in[0], (std::int64_t{p.rows} - 1) * (p.row == 0 ? p.depth : p.row) + p.depth) ||
      !is_vector(in[1], n * p.depth) || !is_vector(out[0], std::int64_t{p.rows} * p.columns) ||
      (p.has_bias && !is_vector(in[2], n))) {
    return bad("sizes that do not fit");
  }
  return check_epilogue(p.epilogue, in, fixed, out[0], n);
}

static Status check_matmul(Refs in, Refs out, std::span<const std::byte> bytes) {
  kernels::MatMulParameters p;
  if (!read_parameters(bytes, p) || p.batch_rank > 6 || p.transposed > 1) {
    return bad("unknown parameters");
  }
  if (in.size() != 2 || out.size() != 1) return bad("wrong operands");
  std::int64_t batches = 1, last_x = 0, last_w = 0;
  for (std::uint32_t i = 0; i < p.batch_rank; ++i) {
    if (p.batch_dim[i] == 0 || batches > (1 << 30)) return bad("sizes that do not fit");
    batches *= p.batch_dim[i];
    last_x += std::int64_t{p.batch_dim[i] - 1} * p.batch_stride_x[i];
    last_w += std::int64_t{p.batch_dim[i] - 1} * p.batch_stride_w[i];
  }
  const std::int64_t m = p.rows, k = p.depth, n = p.columns;
  if (batches != p.batches || m == 0 || k == 0 || n == 0 || !is_plain(in[0]) || !is_f32(in[0]) ||
      !is_plain(in[1]) || !is_f32(in[1]) || last_x + m * k > count(in[0]) ||
      last_w + k * n > count(in[1]) || !is_vector(out[0], batches * m * n)) {
    return bad("sizes that do not fit");
  }
  return Done{};
}

static Status check_rows(Opcode opcode, Refs in, Refs out, std::span<const std::byte> bytes) {
  kernels::RowParameters p;
  if (!read_parameters(bytes, p) || p.kind > kernels::RowKind::Prod)
    return bad("unknown parameters");
  if (in.empty() || in.size() > 3 || out.size() != 1) return bad("wrong operands");
  const std::int64_t rows = std::int64_t{p.outer} * p.inner, all = rows * p.length;
  if (p.outer == 0 || p.length == 0 || p.inner == 0 || p.inner > (1u << 30) / p.outer ||
      !is_vector(in[0], all)) {
    return bad("sizes that do not fit");
  }
  const bool softmax = p.kind <= kernels::RowKind::LogSoftmax;
  const bool norm = p.kind == kernels::RowKind::LayerNorm;
  if (softmax != (opcode == Opcode::Softmax) || norm != (opcode == Opcode::LayerNorm)) {
    return bad("unknown parameters");
  }
  if (norm && p.inner != 1) return bad("sizes that do not fit");
  for (std::size_t i = 1; i < in.size(); ++i) {
    if (!norm || !is_vector(in[i], p.length)) return bad("sizes that do not fit");
  }
  if (!is_vector(out[0], softmax || norm ? all : rows)) return bad("sizes that do not fit");
  return Done{};
}

static Status check_copy(Refs in, Refs out, std::span<const std::byte> bytes) {
  kernels::CopyParameters p;
  if (bytes.size() < sizeof p) return bad("parameters of another size");
  std::memcpy(&p, bytes.data(), sizeof p);
  if (p.parts != in.size() || bytes.size() != sizeof p + p.parts * sizeof(kernels::CopyPart) ||
      p.rank > kernels::max_copy_rank || p.fill > 1 || out.size() != 1 || !is_plain(out[0])) {
    return bad("unknown parameters");
  }
  const std::uint32_t e = p.element_bytes;
  if ((e != 1 && e != 2 && e != 4 && e != 8) || out[0].bytes % e != 0)
    return bad("unknown elements");
  for (std::uint32_t i = 0; i < p.parts; ++i) {
    kernels::CopyPart part;
    std::memcpy(&part, bytes.data() + sizeof p + i * sizeof part, sizeof part);
    if (!is_plain(in[i]) || in[i].bytes % e != 0) return bad("wrong operands");
    std::int64_t in_low = part.in_offset, in_high = part.in_offset;
    std::int64_t out_low = part.out_offset, out_high = part.out_offset;
    bool empty = false;
    for (std::uint32_t d = 0; d < p.rank; ++d) {
      const std::int64_t limit = std::int64_t{1} << 40;
      const auto beyond = [&](std::int64_t v) { return v > limit || v < -limit; };
      if (part.dims[d] < 0 || beyond(part.dims[d]) || beyond(part.in_stride[d]) ||
          beyond(part.out_stride[d])) {
        return bad("sizes that do not fit");
      }
      if (part.dims[d] == 0) {
        empty = true;
        continue;
      }
      std::int64_t reach = 0;
      if (__builtin_mul_overflow(part.dims[d] - 1, part.in_stride[d], &reach) ||
          __builtin_add_overflow(reach < 0 ? in_low : in_high, reach,
                                 reach < 0 ? &in_low : &in_high)) {
        return bad("sizes that do not fit");
      }
      if (__builtin_mul_overflow(part.dims[d] - 1, part.out_stride[d], &reach) ||
          __builtin_add_overflow(reach < 0 ? out_low : out_high, reach,
                                 reach < 0 ? &out_low : &out_high)) {
        return bad("sizes that do not fit");
      }
    }
    if (empty) continue;
    if (in_low < 0 || out_low < 0 || in_high >= static_cast<std::int64_t>(in[i].bytes / e) ||
        out_high >= static_cast<std::int64_t>(out[0].bytes / e)) {
      return bad("places outside the operands");
    }
  }
  return Done{};
}

static Status check_resize(Refs in, Refs out, std::span<const std::byte> bytes) {
  kernels::ResizeParameters p;
  if (!read_parameters(bytes, p) || p.kind > kernels::ResizeKind::Linear) {
    return bad("unknown parameters");
  }
  const bool linear = p.kind == kernels::ResizeKind::Linear;
  if (in.size() != (linear ? 3u : 2u) || out.size() != 1 || !is_blocked(in[0]) ||
      !is_blocked(out[0])) {
    return bad("wrong operands");
  }
  const std::int64_t *x = in[0].dims, *o = out[0].dims;
  if (x[0] != o[0] || x[1] != o[1] || !is_plain(in[1]) || in[1].dtype != DType::I32 ||
      count(in[1]) != o[2] + o[3] || (linear && !is_vector(in[2], o[2] + o[3]))) {
    return bad("sizes that do not fit");
  }
  // A weight: its contents are known now. (Others are refused: the kernel trusts them.)
  if (in[1].data == nullptr) return bad("positions that are not constant");
  for (std::int64_t i = 0; i < o[2] + o[3]; ++i) {
    std::int32_t at = 0;
    std::memcpy(&at, in[1].data + i * 4, 4);
    if (at < 0 || at >= (i < o[2] ? x[2] : x[3])) return bad("positions outside the input");
  }
  return Done{};
}

static Status check_gather(Refs in, Refs out, std::span<const std::byte> bytes) {
  kernels::GatherParameters p;
  if (!read_parameters(bytes, p)) return bad("unknown parameters");
  if (in.size() != 2 || out.size() != 1 || !is_plain(in[0]) || !is_plain(in[1]) ||
      !is_plain(out[0]) || (in[1].dtype != DType::I32 && in[1].dtype != DType::I64)) {
    return bad("wrong operands");
  }
  const auto product = [](std::uint64_t a, std::uint64_t b, std::uint64_t c) -> std::uint64_t {
    std::uint64_t r = 0;
    if (__builtin_mul_overflow(a, b, &r) || __builtin_mul_overflow(r, c, &r)) return UINT64_MAX;
    return r;
  };
  if (p.axis == 0 || product(p.outer, p.axis, p.inner_bytes) != in[0].bytes ||
      product(p.outer, p.count, p.inner_bytes) != out[0].bytes || count(in[1]) != p.count) {
    return bad("sizes that do not fit");
  }
  // A weight's indices are known now; the executor looks at those that the run makes.
  return in[1].data == nullptr ? Status(Done{}) : check_indices(p, in[1]);
}

static Status check_recurrent(Refs in, Refs out, std::span<const std::byte> bytes) {
  kernels::RecurrentParameters p;
  if (!read_parameters(bytes, p) || p.kind > kernels::CellKind::Gru || p.directions < 1 ||
      p.directions > 2 || p.reversed > 1 || p.linear_before_reset > 1 || p.has_h0 > 1 ||
      p.has_c0 > 1 || p.hidden == 0 || p.hidden > (1u << 20)) {
    return bad("unknown parameters");
  }
  const bool lstm = p.kind == kernels::CellKind::Lstm;
  if (in.size() != 4u + p.has_h0 + p.has_c0 || out.size() != (lstm ? 3u : 2u) ||
      (!lstm && p.has_c0) || !is_f32(in[0]) || !is_plain(in[0]) || in[0].rank != 3) {
    return bad("wrong operands");
  }
  const std::int64_t t = in[0].dims[0], b = in[0].dims[1], i = in[0].dims[2];
  const std::int64_t d = p.directions, h = p.hidden, g = lstm ? 4 : 3;
  const std::int64_t wide = padded(g * h);
  if (t < 1 || b < 1 || i < 1 || !is_vector(in[1], d * wide * i) ||
      !is_vector(in[2], d * wide * h) || !is_vector(in[3], d * 2 * wide)) {
    return bad("sizes that do not fit");
  }
  for (std::size_t s = 4; s < in.size(); ++s) {
    if (!is_vector(in[s], d * b * h)) return bad("a state of the wrong size");
  }
  if (out[0].present() && !is_vector(out[0], t * d * b * h)) return bad("wrong output");
  for (std::size_t s = 1; s < out.size(); ++s) {
    if (out[s].present() && !is_vector(out[s], d * b * h)) return bad("wrong output");
  }
  return Done{};
}

static Status check_typed(Refs in, Refs out, std::span<const std::byte> bytes) {
  kernels::TypedParameters p;
  if (!read_parameters(bytes, p) || static_cast<std::uint32_t>(p.op) >= kernels::typed_op_count) {
    return bad("unknown parameters");
  }
  using kernels::TypedOp;
  const bool unary = p.op == TypedOp::Cast || p.op == TypedOp::Not;
  const std::size_t operands = p.op == TypedOp::Where ? 3 : unary ? 1 : 2;
  if (in.size() != operands || out.size() != 1 || !is_plain(out[0]) ||
      out[0].rank > kernels::max_copy_rank) {
    return bad("wrong operands");
  }
  for (const TensorRef& t : in) {
    if (!is_plain(t) || t.rank > out[0].rank) return bad("wrong operands");
    for (std::uint32_t d = 0; d < t.rank; ++d) {
      if (t.dims[d] != 1 && t.dims[d] != out[0].dims[d + out[0].rank - t.rank])
        return bad("an operand of another shape");
    }
  }
  if (p.op == TypedOp::Cast) {
    return is_castable(in[0].dtype) && is_castable(out[0].dtype) ? Status(Done{})
                                                                 : bad("wrong types");
  }
  const bool same = in[operands - 1].dtype == in[operands == 3 ? 1 : 0].dtype;
  const DType dtype = in[operands - 1].dtype;
  bool good = false;
  if (p.op == TypedOp::Where) {
    const int bits = bit_width(dtype);
    good = in[0].dtype == DType::Bool && out[0].dtype == dtype && dtype != DType::String &&
           (bits == 8 || bits == 16 || bits == 32 || bits == 64) && !is_complex(dtype);
  } else if (p.op >= TypedOp::And && p.op <= TypedOp::Not) {
    good = dtype == DType::Bool && out[0].dtype == DType::Bool;
  } else if (p.op >= TypedOp::Add) {
    good = (dtype == DType::I32 || dtype == DType::I64) && out[0].dtype == dtype;
  } else {
    good = is_castable(in[0].dtype) && out[0].dtype == DType::Bool;
  }
  return same && good ? Status(Done{}) : bad("wrong types");
}

}  // namespace check

Status check_operation(Opcode opcode, std::span<const TensorRef> in, std::span<const TensorRef> out,
                       std::span<const std::byte> parameters) {
  using namespace check;
  for (const TensorRef& t : in) {
    if (!t.present()) return bad("a missing operand");
  }
  if (opcode != Opcode::Recurrent) {
    for (const TensorRef& t : out) {
      if (!t.present()) return bad("a missing result");
    }
  }
  switch (opcode) {
    case Opcode::Generic:
      return bad("not a fast operation");
    case Opcode::Reorder:
      return check_reorder(in, out, parameters);
    case Opcode::Conv:
    case Opcode::ConvStem:
    case Opcode::ConvDepthwise:
    case Opcode::ConvWinograd:
      return check_conv(opcode, in, out, parameters);
    case Opcode::Pool:
    case Opcode::GlobalPool:
      return check_pool(opcode, in, out, parameters);
    case Opcode::Chain:
      return check_chain(in, out, parameters);
    case Opcode::Gemm:
      return check_gemm(in, out, parameters);
    case Opcode::MatMul:
      return check_matmul(in, out, parameters);
    case Opcode::Softmax:
    case Opcode::LayerNorm:
    case Opcode::Reduce:
      return check_rows(opcode, in, out, parameters);
    case Opcode::Copy:
      return check_copy(in, out, parameters);
    case Opcode::Resize:
      return check_resize(in, out, parameters);
    case Opcode::Gather:
      return check_gather(in, out, parameters);
    case Opcode::Recurrent:
      return check_recurrent(in, out, parameters);
    case Opcode::Typed:
      return check_typed(in, out, parameters);
    case Opcode::QuantizedConv:
    case Opcode::QuantizedDepthwise:
    case Opcode::QuantizedWinograd:
      return quantized_conv(opcode, in, out, parameters);
    case Opcode::QuantizedPool:
      return quantized_pool(in, out, parameters);
    case Opcode::Quantized:
      return quantized(in, out, parameters);
  }
  return bad("an unknown operation");
}

}  // namespace rulec
