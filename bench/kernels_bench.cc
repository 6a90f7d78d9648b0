// SPDX-License-Identifier: Apache-2.0
// Each family of fast kernels on layers of real networks, at one thread and two:
//
//   rulec_kernels_bench --benchmark_filter=winograd
//
// GFLOP/s counts the work that the layer's definition asks for, and `peak` is its share of what
// fused multiply-adds of f32 reach in the same run; so Winograd's may pass 100 %, and that of 8-bit
// numbers, of which an instruction takes twice as many. Families without multiply-adds say GB/s of
// what they read and write.
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "compiler/command/peak.h"
#include "runtime/kernels.h"
#include "runtime/thread_pool.h"

namespace rulec {
namespace {

using Dims = std::vector<std::int64_t>;
using kernels::Activation;

// Tensors that live as long as the benchmark.
class Operands {
 public:
  TensorRef blocked(Dims dims, std::uint32_t halo) {
    TensorRef t = add(std::move(dims), 0);
    t.halo = halo;
    t.layout = format::Layout::Blocked;
    return filled(t, blocked_bytes(t.dims, halo));
  }
  TensorRef plain(Dims dims) {
    std::uint64_t count = 4;
    for (std::int64_t d : dims)
      count *= static_cast<std::uint64_t>(d);
    return filled(add(std::move(dims), 0), count);
  }
  // Of another type, each element `value`.
  template <typename T>
  TensorRef plain_of(DType dtype, Dims dims, T value) {
    std::uint64_t bytes = sizeof(T);
    for (std::int64_t d : dims)
      bytes *= static_cast<std::uint64_t>(d);
    TensorRef t = filled(add(std::move(dims), 0), (bytes + 3) / 4 * 4);
    t.dtype = dtype;
    t.bytes = bytes;
    for (std::uint64_t at = 0; at < bytes; at += sizeof(T))
      std::memcpy(t.data + at, &value, sizeof(T));
    return t;
  }

 private:
  TensorRef add(Dims dims, std::uint64_t bytes) {
    dims_.push_back(std::make_unique<Dims>(std::move(dims)));
    TensorRef t;
    t.dims = dims_.back()->data();
    t.rank = static_cast<std::uint32_t>(dims_.back()->size());
    t.dtype = DType::F32;
    t.bytes = bytes;
    return t;
  }
  TensorRef filled(TensorRef t, std::uint64_t bytes) {
    const std::size_t floats = bytes / 4;
    memory_.emplace_back(new (std::align_val_t{4096}) float[floats]);
    for (std::size_t i = 0; i < floats; ++i)
      memory_.back()[i] = static_cast<float>(i * 2654435761U >> 8 & 1023) * 1e-3f - 0.5f;
    t.data = reinterpret_cast<std::byte*>(memory_.back().get());
    t.bytes = bytes;
    return t;
  }
  struct Free {
    void operator()(float* p) const { ::operator delete[](p, std::align_val_t{4096}); }
  };
  std::vector<std::unique_ptr<Dims>> dims_;
  std::vector<std::unique_ptr<float[], Free>> memory_;
};

double peak(int threads) {
  static double measured[3] = {};
  if (measured[threads] == 0) measured[threads] = command::measure_peak(detected_isa(), threads);
  return measured[threads];
}

template <typename P>
void run(benchmark::State& state, Opcode opcode, const std::vector<TensorRef>& in,
         const TensorRef& out, const P& parameters, double flop) {
  const int threads = static_cast<int>(state.range(0));
  ThreadPool pool(threads);
  const ThreadPool::Burst burst(pool);
  const TensorRef outputs[] = {out};
  const KernelCall call{in, outputs, reinterpret_cast<const std::byte*>(&parameters),
                        sizeof parameters, &pool};
  const FastKernel kernel = kernels_for(detected_isa()).run[static_cast<std::size_t>(opcode)];
  kernel(call);
  for (auto _ : state)
    kernel(call);
  const auto iterations = static_cast<double>(state.iterations());
  using benchmark::Counter;
  if (flop > 0) {
    state.counters["GFLOP/s"] = Counter(flop * 1e-9 * iterations, Counter::kIsRate);
    state.counters["peak_%"] =
        Counter(100 * flop * 1e-9 * iterations / peak(threads), Counter::kIsRate);
  } else {
    double bytes = static_cast<double>(out.bytes);
    for (const TensorRef& t : in)
      bytes += static_cast<double>(t.bytes);
    state.counters["GB/s"] = Counter(bytes * 1e-9 * iterations, Counter::kIsRate);
  }
}

struct Layer {
  std::int64_t ic, oc, size;
  std::uint32_t kernel = 1, stride = 1;
  Activation activation = Activation::Relu;
};

std::int64_t padded(std::int64_t c) {
  return (c + 15) / 16 * 16;
}

void convolution(benchmark::State& state, Opcode opcode, const Layer& l, std::uint32_t winograd) {
  Operands o;
  kernels::ConvParameters p;
  p.kernel_h = p.kernel_w = l.kernel;
  p.stride_h = p.stride_w = l.stride;
  p.pad_top = p.pad_left = l.kernel / 2;
  p.winograd = winograd;
  p.epilogue.activation = l.activation;
  const bool stem = opcode == Opcode::ConvStem, depthwise = opcode == Opcode::ConvDepthwise;
  const std::int64_t taps = std::int64_t{l.kernel} * l.kernel;
  const std::int64_t points = winograd == 0 ? taps : (winograd + 2) * (winograd + 2);
  const std::int64_t out = (l.size - 1) / l.stride + 1;
  const std::int64_t depth = depthwise ? 1 : stem ? l.ic : padded(l.ic);
  const TensorRef x = stem ? o.plain({1, l.ic, l.size, l.size})
                           : o.blocked({1, l.ic, l.size, l.size}, l.kernel / 2);
  const TensorRef y = o.blocked({1, l.oc, out, out}, 0);
  const double macs = static_cast<double>(l.oc * out * out * taps * (depthwise ? 1 : l.ic));
  run(state, opcode, {x, o.plain({padded(l.oc) * depth * points}), o.plain({padded(l.oc)})}, y, p,
      2 * macs);
}

void quantized(benchmark::State& state, Opcode opcode, const Layer& l) {
  Operands o;
  kernels::QuantizedConvParameters p;
  p.kernel_h = p.kernel_w = l.kernel;
  p.stride_h = p.stride_w = l.stride;
  p.pad_top = p.pad_left = l.kernel / 2;
  const bool depthwise = opcode == Opcode::QuantizedDepthwise;
  const std::int64_t taps = std::int64_t{l.kernel} * l.kernel, out = (l.size - 1) / l.stride + 1;
  const double macs = static_cast<double>(l.oc * out * out * taps * (depthwise ? 1 : l.ic));
  const std::int64_t oc = padded(l.oc);
  std::vector<TensorRef> in = {
      o.plain_of<std::uint8_t>(DType::U8, {1, l.size, l.size, l.ic}, 7),
      {},
      o.plain_of<std::int32_t>(DType::I32, {oc}, 0),
      o.plain_of<double>(DType::F64, {kernels::quantized_coefficients, oc}, 1)};
  if (depthwise) {
    in[1] = o.plain_of<std::int16_t>(DType::I16, {oc * l.kernel * ((l.kernel + 1) / 2) * 2}, 3);
  } else {
    // Each panel reads all of a window; every eighth step is masked.
    const std::int64_t quads = (l.kernel * l.ic + 3) / 4, steps = l.kernel * quads;
    in[1] = o.plain_of<std::int8_t>(DType::I8, {oc * (2 * steps - steps * 7 / 8) * 4}, 3);
    in.push_back(o.plain_of<std::int32_t>(DType::I32, {oc / 8 + oc / 16 * steps}, 0));
    auto* table = reinterpret_cast<std::int32_t*>(in[4].data);
    for (std::int64_t panel = 0; panel < oc / 16; ++panel) {
      table[2 * panel] = static_cast<std::int32_t>(panel * steps + steps * 7 / 8);
      table[2 * panel + 1] = static_cast<std::int32_t>((panel + 1) * steps);
      for (std::int64_t s = 0; s < steps; ++s)
        table[oc / 8 + panel * steps + s] =
            static_cast<std::int32_t>((s / quads << 20) + s % quads);
    }
  }
  run(state, opcode, in, o.plain_of<std::uint8_t>(DType::U8, {1, out, out, l.oc}, 0), p, 2 * macs);
}

void product(benchmark::State& state, std::uint32_t rows, std::uint32_t depth,
             std::uint32_t columns, Activation activation) {
  Operands o;
  kernels::GemmParameters p;
  p.rows = rows;
  p.depth = depth;
  p.columns = columns;
  p.has_bias = 1;
  p.epilogue.activation = activation;
  run(state, Opcode::Gemm,
      {o.plain({rows, depth}), o.plain({padded(columns) * depth}), o.plain({padded(columns)})},
      o.plain({rows, columns}), p, 2.0 * rows * depth * columns);
}

void attention_product(benchmark::State& state, std::uint32_t heads, std::uint32_t rows,
                       std::uint32_t depth, std::uint32_t columns) {
  Operands o;
  kernels::MatMulParameters p;
  p.rows = rows;
  p.depth = depth;
  p.columns = columns;
  p.batches = p.batch_dim[0] = heads;
  p.batch_rank = 1;
  p.batch_stride_x[0] = rows * depth;
  p.batch_stride_w[0] = depth * columns;
  run(state, Opcode::MatMul, {o.plain({heads, rows, depth}), o.plain({heads, depth, columns})},
      o.plain({heads, rows, columns}), p, 2.0 * heads * rows * depth * columns);
}

void rows(benchmark::State& state, Opcode opcode, kernels::RowKind kind, std::uint32_t outer,
          std::uint32_t length) {
  Operands o;
  kernels::RowParameters p;
  p.kind = kind;
  p.outer = outer;
  p.length = length;
  p.epsilon = 1e-6f;
  std::vector<TensorRef> in = {o.plain({outer, length})};
  if (kind == kernels::RowKind::LayerNorm) {
    in.push_back(o.plain({length}));
    in.push_back(o.plain({length}));
  }
  run(state, opcode, in, o.plain({outer, length}), p, 0);
}

void pool(benchmark::State& state, std::int64_t c, std::int64_t size) {
  Operands o;
  kernels::PoolParameters p;
  p.kernel_h = p.kernel_w = 3;
  p.stride_h = p.stride_w = 2;
  p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = 1;
  run(state, Opcode::Pool, {o.blocked({1, c, size, size}, 0)},
      o.blocked({1, c, size / 2, size / 2}, 1), p, 0);
}

template <typename F>
void add(const std::string& name, F f) {
  benchmark::RegisterBenchmark(name.c_str(), f)
      ->ArgName("threads")
      ->Arg(1)
      ->Arg(2)
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}

void add_convolutions() {
  const auto text = [](const Layer& l) {
    return fmt::format("{}x{}_{}to{}_k{}s{}", l.size, l.size, l.ic, l.oc, l.kernel, l.stride);
  };
  const auto all = [&](const char* family, Opcode opcode, std::uint32_t winograd,
                       const std::vector<Layer>& layers) {
    for (const Layer& l : layers) {
      add(std::string(family) + "/" + text(l),
          [=](benchmark::State& s) { convolution(s, opcode, l, winograd); });
    }
  };
  const std::vector<Layer> square = {
      {64, 64, 56, 3}, {128, 128, 28, 3}, {256, 256, 14, 3}, {512, 512, 7, 3}};
  all("direct", Opcode::Conv, 0, square);
  all("direct", Opcode::Conv, 0, {{64, 128, 56, 3, 2}, {256, 512, 14, 3, 2}});
  all("winograd_F43", Opcode::ConvWinograd, 4, square);
  all("winograd_F23", Opcode::ConvWinograd, 2, square);
  all("pointwise", Opcode::Conv, 0,
      {{64, 256, 56},
       {256, 64, 56},
       {512, 128, 28},
       {1024, 256, 14},
       {2048, 512, 7},
       {1024, 2048, 14, 1, 2},
       {16, 96, 112},
       {24, 144, 56},
       {64, 384, 14},
       {960, 320, 7}});
  all("stem", Opcode::ConvStem, 0, {{3, 64, 224, 7, 2}, {3, 32, 224, 3, 2}});
  all("depthwise", Opcode::ConvDepthwise, 0,
      {{96, 96, 112, 3, 2},
       {144, 144, 56, 3},
       {384, 384, 14, 3},
       {240, 240, 28, 5},
       {672, 672, 14, 5}});
  const auto stored = [&](Opcode opcode, const std::vector<Layer>& layers) {
    for (const Layer& l : layers) {
      add("int8/" + text(l), [=](benchmark::State& s) { quantized(s, opcode, l); });
    }
  };
  stored(Opcode::QuantizedConv, square);
  stored(Opcode::QuantizedConv, {{64, 256, 56}, {512, 128, 28}, {960, 320, 7}, {3, 64, 224, 7, 2}});
  stored(Opcode::QuantizedDepthwise, {{96, 96, 112, 3, 2}, {384, 384, 14, 3}});
  all("silu", Opcode::Conv, 0,
      {{16, 96, 112, 1, 1, Activation::Silu}, {64, 384, 14, 1, 1, Activation::Silu}});
}

void add_products() {
  struct Shape {
    std::uint32_t m, k, n;
    Activation activation = Activation::None;
  };
  for (Shape s : {Shape{128, 256, 256}, Shape{128, 256, 1024, Activation::Gelu},
                  Shape{128, 1024, 256}, Shape{197, 192, 768}, Shape{1, 2048, 1000}}) {
    add(fmt::format("gemm/{}x{}x{}{}", s.m, s.k, s.n,
                    s.activation == Activation::Gelu ? "_gelu" : ""),
        [=](benchmark::State& state) { product(state, s.m, s.k, s.n, s.activation); });
  }
  add("matmul/3x197x64x197", [](benchmark::State& s) { attention_product(s, 3, 197, 64, 197); });
  add("matmul/3x197x197x64", [](benchmark::State& s) { attention_product(s, 3, 197, 197, 64); });
  add("softmax/591x197",
      [](benchmark::State& s) { rows(s, Opcode::Softmax, kernels::RowKind::Softmax, 591, 197); });
  add("layer_norm/197x192", [](benchmark::State& s) {
    rows(s, Opcode::LayerNorm, kernels::RowKind::LayerNorm, 197, 192);
  });
  add("max_pool/64x112x112", [](benchmark::State& s) { pool(s, 64, 112); });
}

}  // namespace
}  // namespace rulec

int main(int argc, char** argv) {
  rulec::add_convolutions();
  rulec::add_products();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
