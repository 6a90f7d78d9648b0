// SPDX-License-Identifier: Apache-2.0
// Elementwise operations with broadcasting, many in a row. The output is cut into tiles that stay
// in the first-level cache; every step runs over a whole tile, so that choosing the step costs
// nothing.

#include "runtime/kernels.h"
#include "runtime/kernels/activation.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

namespace {
constexpr int max_dims = 40, tile_floats = 1024;

struct Operand {
  const float* data = nullptr;
  std::int64_t stride[max_dims] = {};
};

// The loop nest: dims of size 1 left out, neighbours joined where every operand allows it.
struct Nest {
  int rank = 0;
  int operands = 0;
  std::int64_t dim[max_dims] = {};
  Operand in[max_chain_operands];
  float* out = nullptr;
  std::int64_t out_stride[max_dims] = {};

  void join() {
    int to = 0;
    for (int from = 0; from < rank; ++from) {
      if (dim[from] == 1) continue;
      bool joins = to > 0 && out_stride[to - 1] == out_stride[from] * dim[from];
      for (int i = 0; joins && i < operands; ++i) {
        joins = in[i].stride[to - 1] == in[i].stride[from] * dim[from];
      }
      const int at = joins ? to - 1 : to++;
      dim[at] = joins ? dim[at] * dim[from] : dim[from];
      out_stride[at] = out_stride[from];
      for (int i = 0; i < operands; ++i)
        in[i].stride[at] = in[i].stride[from];
    }
    rank = to;
    while (rank < 2) {  // the tiles want two dims: put ones in front
      for (int d = rank; d > 0; --d) {
        dim[d] = dim[d - 1];
        out_stride[d] = out_stride[d - 1];
        for (int i = 0; i < operands; ++i)
          in[i].stride[d] = in[i].stride[d - 1];
      }
      dim[0] = 1;
      out_stride[0] = rank == 0 ? 1 : dim[1];
      for (int i = 0; i < operands; ++i)
        in[i].stride[0] = 0;
      ++rank;
    }
  }
};
}  // namespace

template <typename F>
RULEC_INLINE void each(float* x, const float* from, int count, F f) {
  for (int i = 0; i < count; i += lanes)
    store(x + i, f(load(from + i), i));
}

static Vec power_slowly(Vec base, Vec exponent) {
  alignas(64) float a[lanes], b[lanes];
  store(a, base);
  store(b, exponent);
  for (int i = 0; i < lanes; ++i)
    a[i] = __builtin_powf(a[i], b[i]);
  return load(a);
}

template <typename F>
RULEC_INLINE Vec each_lane(Vec x, F f) {
  alignas(64) float a[lanes];
  store(a, x);
  for (int i = 0; i < lanes; ++i)
    a[i] = f(a[i]);
  return load(a);
}

#define RULEC_STEP(expression) \
  each(x, from, count,         \
       [&](Vec a, [[maybe_unused]] int i) RULEC_LAMBDA_INLINE { return expression; })

// One step over a tile: reads `from`, writes x. `b` points at the operand's tile.
static void run_step(const ChainStep& s, float* x, const float* from, const float* b,
                     const float* saved, int count) {
  switch (s.op) {
    case ChainOp::Add:
      return RULEC_STEP(a + load(b + i));
    case ChainOp::Sub:
      return s.reversed ? RULEC_STEP(load(b + i) - a) : RULEC_STEP(a - load(b + i));
    case ChainOp::Mul:
      return RULEC_STEP(a * load(b + i));
    case ChainOp::Div:
      return s.reversed ? RULEC_STEP(load(b + i) / a) : RULEC_STEP(a / load(b + i));
    case ChainOp::Min:
      return RULEC_STEP(minimum(load(b + i), a));
    case ChainOp::Max:
      return RULEC_STEP(maximum(load(b + i), a));
    case ChainOp::Pow:
      return s.reversed ? RULEC_STEP(power_slowly(load(b + i), a))
                        : RULEC_STEP(power_slowly(a, load(b + i)));
    case ChainOp::Activate:
      if (s.activation == Activation::PRelu) {
        return RULEC_STEP(where_less(a, splat(0.0f), a * load(b + i), a));
      }
      if (is_long(s.activation)) {
        Finish finish;
        finish.activation = s.activation;
        finish.alpha = s.alpha;
        if (x != from) RULEC_STEP(a);
        return finish_slowly(finish, x, nullptr, nullptr, count);
      }
      return RULEC_STEP(activate(s.activation, s.alpha, s.beta, a, a));
    case ChainOp::Neg:
      return RULEC_STEP(-a);
    case ChainOp::Abs:
      return RULEC_STEP(absolute(a));
    case ChainOp::Exp:
      return RULEC_STEP(exponential(a));
    case ChainOp::Log:
      return RULEC_STEP(logarithm(a));
    case ChainOp::Sqrt:
      return RULEC_STEP(square_root(a));
    case ChainOp::Reciprocal:
      return RULEC_STEP(splat(1.0f) / a);
    case ChainOp::Erf:
      return RULEC_STEP(error_function(a));
    case ChainOp::Floor:
      return RULEC_STEP(round_down(a));
    case ChainOp::Ceil:
      return RULEC_STEP(-round_down(-a));
    case ChainOp::Square:
      return RULEC_STEP(a * a);
    case ChainOp::Round:
      return RULEC_STEP(round_even(a));
    case ChainOp::Sin:
      return RULEC_STEP(each_lane(a, [](float v) { return __builtin_sinf(v); }));
    case ChainOp::Cos:
      return RULEC_STEP(each_lane(a, [](float v) { return __builtin_cosf(v); }));
    case ChainOp::Sign:
      return RULEC_STEP(
          where_less(a, splat(0.0f), splat(-1.0f), where_less(splat(0.0f), a, splat(1.0f), a)));
    case ChainOp::AddSaved:
      return RULEC_STEP(a + load(saved + i));
    case ChainOp::SubSaved:
      return s.reversed ? RULEC_STEP(load(saved + i) - a) : RULEC_STEP(a - load(saved + i));
    case ChainOp::MulSaved:
      return RULEC_STEP(a * load(saved + i));
    case ChainOp::DivSaved:
      return s.reversed ? RULEC_STEP(load(saved + i) / a) : RULEC_STEP(a / load(saved + i));
    case ChainOp::Swap:
    case ChainOp::Save:
      return;  // moves between buffers: run_tile's business
  }
}
#undef RULEC_STEP

// `rows` rows of `columns` elements, made contiguous in `to`.
static void gather_tile(const float* data, std::int64_t row, std::int64_t column, int rows,
                        int columns, float* to) {
  for (int r = 0; r < rows; ++r, data += row, to += columns) {
    if (column == 1) {
      __builtin_memcpy(to, data, static_cast<std::size_t>(columns) * sizeof(float));
    } else if (column == 0) {
      const float value = *data;
      for (int i = 0; i < columns; ++i)
        to[i] = value;
    } else {
      for (int i = 0; i < columns; ++i)
        to[i] = data[i * column];
    }
  }
}

static void run_tile(const ChainParameters& p, const Nest& nest, const std::int64_t* offset,
                     float* out, int rows, int columns, float* scratch) {
  const int count = rows * columns, last = nest.rank - 1;
  const bool whole = count % lanes == 0;
  const int rounded = (count + lanes - 1) / lanes * lanes;
  float* buffer = scratch;  // of operands
  float* saved = scratch + tile_floats;
  float* work = scratch + 2 * tile_floats;
  const auto tile_of = [&](std::uint32_t index, float* into) -> const float* {
    const Operand& o = nest.in[index];
    const float* data = o.data + offset[index];
    const std::int64_t row = o.stride[last - 1], column = o.stride[last];
    if (whole && column == 1 && (rows == 1 || row == columns)) return data;
    gather_tile(data, row, column, rows, columns, into);
    for (int i = count; i < rounded; ++i)
      into[i] = 0.0f;
    return into;
  };
  // Not straight into the output: a later operand may be the tensor whose place it takes.
  float* x = work;
  const float* from = tile_of(0, work);
  for (std::uint32_t i = 0; i < p.steps; ++i) {
    const ChainStep& s = p.step[i];
    if (s.op == ChainOp::Save || s.op == ChainOp::Swap) {
      for (int k = 0; k < rounded; k += lanes) {
        const Vec value = load(from + k);
        if (s.op == ChainOp::Swap) store(x + k, load(saved + k));
        store(saved + k, value);
      }
      if (s.op == ChainOp::Swap) from = x;
      continue;
    }
    const float* operand = buffer;
    if (s.has_operand) {
      operand = tile_of(s.operand, buffer);
    } else if (s.op <= ChainOp::Pow) {
      for (int k = 0; k < rounded; k += lanes)
        store(buffer + k, splat(s.alpha));
    }
    run_step(s, x, from, operand, saved, rounded);
    from = x;
  }
  __builtin_memcpy(out, from, static_cast<std::size_t>(count) * sizeof(float));
}

static void describe_plain(const KernelCall& call, Nest& nest) {
  const TensorRef& out = call.outputs[0];
  nest.rank = static_cast<int>(out.rank);
  std::int64_t stride = 1;
  for (int d = nest.rank - 1; d >= 0; --d) {
    nest.dim[d] = out.dims[d];
    nest.out_stride[d] = stride;
    stride *= out.dims[d];
  }
  for (int i = 0; i < nest.operands; ++i) {
    const TensorRef& t = call.inputs[static_cast<std::size_t>(i)];
    std::int64_t step = 1;
    for (int d = nest.rank - 1, k = static_cast<int>(t.rank) - 1; d >= 0; --d, --k) {
      const std::int64_t size = k >= 0 ? t.dims[k] : 1;
      nest.in[i].stride[d] = size == 1 ? 0 : step;
      step *= size;
    }
  }
}

static void describe_blocked(const KernelCall& call, Nest& nest) {
  const TensorRef& out = call.outputs[0];
  const BlockedExtent o = blocked_extent(out.dims, out.halo);
  nest.rank = 5;
  const std::int64_t dims[] = {o.n, o.blocks, o.h, o.w, 16};
  const std::int64_t strides[] = {o.image, o.plane, o.row, 16, 1};
  nest.out += o.origin;
  for (int d = 0; d < 5; ++d) {
    nest.dim[d] = dims[d];
    nest.out_stride[d] = strides[d];
  }
  for (int i = 0; i < nest.operands; ++i) {
    const TensorRef& t = call.inputs[static_cast<std::size_t>(i)];
    Operand& operand = nest.in[i];
    if (t.layout == format::Layout::Blocked) {
      const BlockedExtent e = blocked_extent(t.dims, t.halo);
      const bool spread = e.h == 1 && e.w == 1;
      const std::int64_t own[] = {e.image, e.plane, spread ? 0 : e.row, spread ? 0 : 16, 1};
      for (int d = 0; d < 5; ++d)
        operand.stride[d] = own[d];
      operand.data += e.origin;
    } else if (t.bytes > sizeof(float)) {
      operand.stride[1] = 16;
      operand.stride[4] = 1;
    }
  }
}

void chain(const KernelCall& call) {
  ChainParameters p;
  __builtin_memcpy(&p, call.parameters, sizeof p);
  Nest nest;
  nest.operands = static_cast<int>(call.inputs.size());
  nest.out = reinterpret_cast<float*>(call.outputs[0].data);
  for (int i = 0; i < nest.operands; ++i) {
    nest.in[i].data = reinterpret_cast<const float*>(call.inputs[static_cast<std::size_t>(i)].data);
  }
  if (call.outputs[0].layout == format::Layout::Blocked) {
    describe_blocked(call, nest);
  } else {
    describe_plain(call, nest);
  }
  for (int d = 0; d < nest.rank; ++d) {
    if (nest.dim[d] == 0) return;
  }
  nest.join();
  const int last = nest.rank - 1;
  const std::int64_t columns = nest.dim[last], rows = nest.dim[last - 1];
  // Short rows that follow one another in the output share a tile.
  const bool several = columns <= tile_floats / 2 && nest.out_stride[last - 1] == columns;
  const std::int64_t tile_rows = several ? smaller(rows, tile_floats / columns) : 1;
  const std::int64_t tile_columns = smaller(columns, tile_floats);
  const std::int64_t row_tiles = ceil_div(rows, tile_rows);
  const std::int64_t column_tiles = ceil_div(columns, tile_columns);
  std::int64_t outer = 1;
  for (int d = 0; d < last - 1; ++d)
    outer *= nest.dim[d];
  const std::int64_t tiles = outer * row_tiles * column_tiles;
  const std::int64_t per_chunk = larger(1, 16384 / (tile_rows * tile_columns));
  const auto chunk = [&](std::int64_t index) {
    auto* scratch = reinterpret_cast<float*>(thread_scratch(3 * tile_floats * sizeof(float)));
    const std::int64_t end = smaller(tiles, (index + 1) * per_chunk);
    for (std::int64_t t = index * per_chunk; t < end; ++t) {
      std::int64_t rest = t;
      const std::int64_t column = rest % column_tiles * tile_columns;
      rest /= column_tiles;
      const std::int64_t row = rest % row_tiles * tile_rows;
      rest /= row_tiles;
      std::int64_t offset[max_chain_operands], out = row * nest.out_stride[last - 1] + column;
      for (int i = 0; i < nest.operands; ++i) {
        offset[i] = row * nest.in[i].stride[last - 1] + column * nest.in[i].stride[last];
      }
      for (int d = last - 2; d >= 0; --d) {
        const std::int64_t at = rest % nest.dim[d];
        rest /= nest.dim[d];
        out += at * nest.out_stride[d];
        for (int i = 0; i < nest.operands; ++i)
          offset[i] += at * nest.in[i].stride[d];
      }
      run_tile(p, nest, offset, nest.out + out, static_cast<int>(smaller(tile_rows, rows - row)),
               static_cast<int>(smaller(tile_columns, columns - column)), scratch);
    }
  };
  const std::int64_t chunks = ceil_div(tiles, per_chunk);
  if (chunks < 2) {
    chunk(0);
  } else {
    call.pool->run(chunks, chunk);
  }
}

}  // namespace rulec::kernels::RULEC_ISA
