// SPDX-License-Identifier: Apache-2.0
// Strided copies of elements of any size: Transpose, Slice, Concat, Split, Expand, Pad.

#include "runtime/kernels.h"
#include "runtime/kernels/transpose.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

namespace {
struct Nest {
  int rank = 0;
  std::int64_t dim[max_copy_rank + 2], in[max_copy_rank + 2], out[max_copy_rank + 2];
};
}  // namespace

static Nest joined(const CopyPart& part, std::uint32_t rank) {
  Nest n;
  for (std::uint32_t d = 0; d < rank; ++d) {
    if (part.dims[d] == 1) continue;
    const int top = n.rank - 1;
    if (n.rank > 0 && n.in[top] == part.in_stride[d] * part.dims[d] &&
        n.out[top] == part.out_stride[d] * part.dims[d]) {
      n.dim[top] *= part.dims[d];
      n.in[top] = part.in_stride[d];
      n.out[top] = part.out_stride[d];
    } else {
      n.dim[n.rank] = part.dims[d];
      n.in[n.rank] = part.in_stride[d];
      n.out[n.rank] = part.out_stride[d];
      ++n.rank;
    }
  }
  while (n.rank < 2) {
    for (int d = n.rank; d > 0; --d) {
      n.dim[d] = n.dim[d - 1];
      n.in[d] = n.in[d - 1];
      n.out[d] = n.out[d - 1];
    }
    n.dim[0] = 1;
    n.in[0] = n.out[0] = 0;
    ++n.rank;
  }
  // Reads along the input's own direction next to the innermost loop make a blocked transpose.
  const int last = n.rank - 1;
  for (int d = 0; d < last - 1; ++d) {
    if (n.in[last] != 1 && n.in[d] == 1) {
      const auto exchange = [&](std::int64_t* a) {
        const std::int64_t t = a[d];
        a[d] = a[last - 1];
        a[last - 1] = t;
      };
      exchange(n.dim);
      exchange(n.in);
      exchange(n.out);
      break;
    }
  }
  return n;
}

// The two innermost loops.
template <typename T>
static void copy_plane(const T* in, T* out, const Nest& n) {
  const int c = n.rank - 1, r = n.rank - 2;
  const std::int64_t rows = n.dim[r], columns = n.dim[c];
  const std::int64_t in_row = n.in[r], in_column = n.in[c];
  const std::int64_t out_row = n.out[r], out_column = n.out[c];
  const auto bytes = static_cast<std::size_t>(columns) * sizeof(T);
  if (in_column == 1 && out_column == 1 && bytes % sizeof(Vec) == 0 && bytes <= 16 * sizeof(Vec)) {
    // Short rows, as heads of attention are: a call for each would cost more than copying it.
    for (std::int64_t y = 0; y < rows; ++y) {
      const auto* from = reinterpret_cast<const std::byte*>(in + y * in_row);
      auto* to = reinterpret_cast<std::byte*>(out + y * out_row);
      for (std::size_t i = 0; i < bytes; i += sizeof(Vec)) {
        store(reinterpret_cast<float*>(to + i), load(reinterpret_cast<const float*>(from + i)));
      }
    }
    return;
  }
  if (in_column == 1 && out_column == 1) {
    for (std::int64_t y = 0; y < rows; ++y) {
      __builtin_memcpy(out + y * out_row, in + y * in_row, bytes);
    }
    return;
  }
  if constexpr (sizeof(T) == sizeof(float)) {
    if (in_column == 1 && out_row == 1) {
      return turn(reinterpret_cast<const float*>(in), in_row, rows, columns,
                  reinterpret_cast<float*>(out), out_column);
    }
    if (in_row == 1 && out_column == 1) {
      return turn(reinterpret_cast<const float*>(in), in_column, columns, rows,
                  reinterpret_cast<float*>(out), out_row);
    }
  }
  constexpr std::int64_t side = 16;
  for (std::int64_t y0 = 0; y0 < rows; y0 += side) {
    const std::int64_t y1 = smaller(rows, y0 + side);
    for (std::int64_t x0 = 0; x0 < columns; x0 += side) {
      const std::int64_t x1 = smaller(columns, x0 + side);
      for (std::int64_t y = y0; y < y1; ++y) {
        const T* from = in + y * in_row;
        T* to = out + y * out_row;
        for (std::int64_t x = x0; x < x1; ++x)
          to[x * out_column] = from[x * in_column];
      }
    }
  }
}

template <typename T>
static void copy_part(const KernelCall& call, const CopyPart& part, std::uint32_t rank,
                      const std::byte* input) {
  for (std::uint32_t d = 0; d < rank; ++d) {
    if (part.dims[d] == 0) return;
  }
  const Nest n = joined(part, rank);
  const T* in = reinterpret_cast<const T*>(input) + part.in_offset;
  T* out = reinterpret_cast<T*>(call.outputs[0].data) + part.out_offset;
  std::int64_t planes = 1;
  for (int d = 0; d < n.rank - 2; ++d)
    planes *= n.dim[d];
  const std::int64_t plane = n.dim[n.rank - 1] * n.dim[n.rank - 2];
  const auto run = [&](std::int64_t index) {
    std::int64_t from = 0, to = 0;
    for (int d = n.rank - 3; d >= 0; --d) {
      from += index % n.dim[d] * n.in[d];
      to += index % n.dim[d] * n.out[d];
      index /= n.dim[d];
    }
    copy_plane(in + from, out + to, n);
  };
  if (plane * planes < 65536) {
    for (std::int64_t i = 0; i < planes; ++i)
      run(i);
  } else if (planes >= 8) {
    const std::int64_t per_chunk = larger(1, ceil_div(planes, 16));
    call.pool->run(ceil_div(planes, per_chunk), [&](std::int64_t c) {
      for (std::int64_t i = c * per_chunk; i < smaller(planes, (c + 1) * per_chunk); ++i)
        run(i);
    });
  } else {
    // Few but large planes: cut their rows.
    const std::int64_t band = larger(16, ceil_div(n.dim[n.rank - 2], 8));
    const std::int64_t bands = ceil_div(n.dim[n.rank - 2], band);
    call.pool->run(planes * bands, [&](std::int64_t c) {
      Nest piece = n;
      const std::int64_t first = c % bands * band;
      piece.dim[n.rank - 2] = smaller(band, n.dim[n.rank - 2] - first);
      std::int64_t from = first * n.in[n.rank - 2], to = first * n.out[n.rank - 2];
      std::int64_t index = c / bands;
      for (int d = n.rank - 3; d >= 0; --d) {
        from += index % n.dim[d] * n.in[d];
        to += index % n.dim[d] * n.out[d];
        index /= n.dim[d];
      }
      copy_plane(in + from, out + to, piece);
    });
  }
}

template <typename T>
static void fill(const KernelCall& call, std::uint64_t bits) {
  T value;
  __builtin_memcpy(&value, &bits, sizeof value);
  auto* out = reinterpret_cast<T*>(call.outputs[0].data);
  const std::uint64_t count = call.outputs[0].bytes / sizeof(T);
  for (std::uint64_t i = 0; i < count; ++i)
    out[i] = value;
}

template <typename T>
static void copy_all(const KernelCall& call, const CopyParameters& p) {
  if (p.fill) fill<T>(call, p.fill_bits);
  for (std::uint32_t i = 0; i < p.parts; ++i) {
    CopyPart part;
    __builtin_memcpy(&part, call.parameters + sizeof p + i * sizeof part, sizeof part);
    copy_part<T>(call, part, p.rank, call.inputs[i].data);
  }
}

void copy(const KernelCall& call) {
  CopyParameters p;
  __builtin_memcpy(&p, call.parameters, sizeof p);
  switch (p.element_bytes) {
    case 1:
      return copy_all<std::uint8_t>(call, p);
    case 2:
      return copy_all<std::uint16_t>(call, p);
    case 8:
      return copy_all<std::uint64_t>(call, p);
    default:
      return copy_all<std::uint32_t>(call, p);
  }
}

}  // namespace rulec::kernels::RULEC_ISA
