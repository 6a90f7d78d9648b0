// SPDX-License-Identifier: Apache-2.0
// Matrix products: with weights packed by the compiler (gemm), and of two computed matrices, whose
// columns are packed on the way (matmul).

#include "runtime/kernels.h"
#include "runtime/kernels/product.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

void gemm(const KernelCall& call) {
  GemmParameters p;
  __builtin_memcpy(&p, call.parameters, sizeof p);
  Product g;
  g.a = reinterpret_cast<const float*>(call.inputs[0].data);
  g.row = p.row == 0 ? p.depth : p.row;
  g.depth = p.depth;
  g.w = reinterpret_cast<const float*>(call.inputs[1].data);
  std::size_t next = 2;
  if (p.has_bias) g.bias = reinterpret_cast<const float*>(call.inputs[next++].data);
  g.out = reinterpret_cast<float*>(call.outputs[0].data);
  g.out_row = p.columns;
  g.columns = p.columns;
  g.finish = make_finish(p.epilogue);
  if (p.epilogue.activation == Activation::PRelu) {
    g.finish.slopes = reinterpret_cast<const float*>(call.inputs[next++].data);
  }
  if (p.epilogue.residual != Residual::None) {
    g.finish.residual = reinterpret_cast<const float*>(call.inputs[next].data);
  }
  const std::int64_t rows = p.rows, blocks = ceil_div(p.columns, 16);
  // Rows whose inputs stay in the second-level cache.
  const std::int64_t cached = larger(product_rows, (std::int64_t{192} << 10) / (4 * g.depth));
  std::int64_t band = smaller(rows, cached / product_rows * product_rows);
  if (band < rows) band = larger(band / product_rows * product_rows, product_rows);
  const std::int64_t bands = ceil_div(rows, band);
  const std::int64_t work = band * g.depth * 16;
  std::int64_t group = larger(1, smaller(blocks, 1 + 500000 / larger(1, work)));
  if (group > row_blocks) group = group / row_blocks * row_blocks;
  const std::int64_t groups = ceil_div(blocks, group);
  const auto chunk = [&](std::int64_t index) {
    const std::int64_t row0 = index / groups * band, block0 = index % groups * group;
    product(g, row0, smaller(rows, row0 + band), block0, smaller(blocks, block0 + group));
  };
  if (rows * g.depth * p.columns < 200000) {
    for (std::int64_t i = 0; i < bands * groups; ++i)
      chunk(i);
  } else {
    call.pool->run(bands * groups, chunk);
  }
}

// Columns [column, column+16) of w, zeros beyond its end, times scale.
static void pack(const float* w, std::int64_t depth, std::int64_t columns, bool transposed,
                 std::int64_t column, float scale, float* out) {
  const std::int64_t valid = smaller(16, columns - column);
  const Vec factor = splat(scale);
  if (valid == 16 && !transposed) {
    for (std::int64_t k = 0; k < depth; ++k) {
      for (int v = 0; v < 16; v += lanes)
        store(out + k * 16 + v, load(w + k * columns + column + v) * factor);
    }
    return;
  }
  if (transposed) {
    for (std::int64_t c = 0; c < 16; ++c) {
      const float* row = w + (column + c) * depth;
      for (std::int64_t k = 0; k < depth; ++k)
        out[k * 16 + c] = c < valid ? row[k] * scale : 0.0f;
    }
    return;
  }
  for (std::int64_t k = 0; k < depth; ++k) {
    for (std::int64_t c = 0; c < 16; ++c) {
      out[k * 16 + c] = c < valid ? w[k * columns + column + c] * scale : 0.0f;
    }
  }
}

void matmul(const KernelCall& call) {
  MatMulParameters p;
  __builtin_memcpy(&p, call.parameters, sizeof p);
  const auto* x = reinterpret_cast<const float*>(call.inputs[0].data);
  const auto* w = reinterpret_cast<const float*>(call.inputs[1].data);
  auto* out = reinterpret_cast<float*>(call.outputs[0].data);
  const std::int64_t rows = p.rows, depth = p.depth, columns = p.columns;
  const std::int64_t blocks = ceil_div(columns, 16), group = smaller(blocks, row_blocks);
  const std::int64_t groups = ceil_div(blocks, group);
  const auto chunk = [&](std::int64_t index) {
    std::int64_t batch = index / groups, x_at = 0, w_at = 0;
    const std::int64_t result = batch * rows * columns;
    for (std::uint32_t d = p.batch_rank; d-- > 0;) {
      const std::int64_t i = batch % p.batch_dim[d];
      batch /= p.batch_dim[d];
      x_at += i * p.batch_stride_x[d];
      w_at += i * p.batch_stride_w[d];
    }
    const std::int64_t block0 = index % groups * group;
    const std::int64_t count = smaller(group, blocks - block0);
    auto* packed = reinterpret_cast<float*>(
        thread_scratch(static_cast<std::size_t>(group * depth * 16) * sizeof(float)));
    for (std::int64_t b = 0; b < count; ++b) {
      pack(w + w_at, depth, columns, p.transposed != 0, (block0 + b) * 16, p.scale,
           packed + b * depth * 16);
    }
    Product g;
    g.a = x + x_at;
    g.row = depth;
    g.depth = depth;
    g.w = packed;
    g.out = out + result + block0 * 16;
    g.out_row = columns;
    g.columns = columns - block0 * 16;
    product(g, 0, rows, 0, count);
  };
  const std::int64_t chunks = std::int64_t{p.batches} * groups;
  if (p.batches * rows * depth * columns < 100000) {
    for (std::int64_t i = 0; i < chunks; ++i)
      chunk(i);
  } else {
    call.pool->run(chunks, chunk);
  }
}

}  // namespace rulec::kernels::RULEC_ISA
