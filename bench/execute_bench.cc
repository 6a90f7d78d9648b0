// SPDX-License-Identifier: Apache-2.0
// Models of one operator through the engine: GFLOP/s, and the share of what the machine's
// multiply-adds reach at that moment. The last argument is the number of threads.
#include <benchmark/benchmark.h>

#include "bench/corpus.h"
#include "compiler/backend/build.h"
#include "compiler/command/flops.h"
#include "compiler/command/interface.h"
#include "compiler/command/peak.h"
#include "matcher/onnx_io.h"
#include "runtime/session.h"

namespace rulec::bench {

using Ints = std::vector<std::int64_t>;

static Tensor noise(Shape shape) {
  Tensor out = Tensor::allocate(DType::F32, std::move(shape));
  std::uint32_t state = 1;
  for (std::int64_t i = 0; i < out.size(); ++i) {
    state = state * 1664525U + 1013904223U;
    out.mutable_data<float>()[i] = static_cast<float>(state >> 8) / (1U << 24) - 0.5F;
  }
  return out;
}

static Model one_node(const std::string& type, Shape input, std::vector<Shape> weights,
                      Attributes attributes = {}) {
  Model model;
  model.opset_imports = {{"", 17}};
  const GraphId graph = model.main();
  model.graph(graph).name = type;
  std::vector<ValueId> operands = {
      model.add_input(graph, "x", Type::tensor(DType::F32, std::move(input)))};
  for (Shape& shape : weights)
    operands.push_back(model.add_initializer(graph, "w" + std::to_string(operands.size()),
                                             noise(std::move(shape))));
  const NodeId node = model.add_node(
      graph, {.name = type, .type = type, .inputs = std::move(operands), .attributes = attributes});
  const ValueId y = model.node(node).outputs[0];
  model.add_output(graph, y);
  std::vector<std::string> warnings;
  infer_types(model, warnings);
  return model;
}

static void run_model(benchmark::State& state, const Model& model, int threads) {
  auto built = build_engine(model, {});
  if (!built) return state.SkipWithError(built.error().message.c_str());
  auto engine = Engine::load_bytes(built->bytes);
  if (!engine) return state.SkipWithError(engine.error().message.c_str());
  auto session = Session::create(*engine, {.threads = threads});
  if (!session) return state.SkipWithError(session.error().message.c_str());
  auto named = command::make_inputs(command::inputs_of(*engine), 0, 0);
  if (!named) return state.SkipWithError(named.error().message.c_str());
  std::vector<Value> inputs;
  for (auto& [name, value] : *named)
    inputs.push_back(value);
  for (auto _ : state) {
    auto outputs = session->run(inputs);
    if (!outputs) return state.SkipWithError(outputs.error().message.c_str());
    benchmark::DoNotOptimize(outputs);
  }
  const double flops = command::flops_of(model, model.first_node(model.main())).value_or(0) / 1e9;
  const double peak = command::measure_peak(engine->isa(), threads);
  const auto runs = static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(flops * runs, benchmark::Counter::kIsRate);
  state.counters["share"] = benchmark::Counter(flops * runs / peak, benchmark::Counter::kIsRate);
  state.counters["generic"] = static_cast<double>(built->generic_operations);
}

static void shapes(benchmark::internal::Benchmark* bench,
                   const std::vector<std::vector<std::int64_t>>& all) {
  bench->Unit(benchmark::kMicrosecond)->MeasureProcessCPUTime()->UseRealTime();
  for (std::vector<std::int64_t> shape : all) {
    shape.push_back(0);
    for (const std::int64_t threads : {1, 2}) {
      shape.back() = threads;
      bench->Args(shape);
    }
  }
}

// Channels in, channels out, height and width, kernel, stride, groups, threads.
static void conv(benchmark::State& state) {
  const std::int64_t in = state.range(0), out = state.range(1), size = state.range(2);
  const std::int64_t kernel = state.range(3), stride = state.range(4), groups = state.range(5);
  Attributes attributes;
  attributes.set("kernel_shape", Ints{kernel, kernel});
  attributes.set("strides", Ints{stride, stride});
  attributes.set("pads", Ints(4, kernel / 2));
  attributes.set("group", groups);
  const Model model = one_node("Conv", {1, in, size, size},
                               {{out, in / groups, kernel, kernel}, {out}}, attributes);
  run_model(state, model, static_cast<int>(state.range(6)));
}
BENCHMARK(conv)->Apply([](benchmark::internal::Benchmark* bench) {
  shapes(bench, {{3, 32, 224, 3, 2, 1},
                 {64, 64, 56, 3, 1, 1},
                 {128, 128, 28, 3, 1, 1},
                 {256, 256, 14, 3, 1, 1},
                 {128, 128, 56, 3, 2, 1},
                 {64, 256, 56, 1, 1, 1},
                 {256, 1024, 14, 1, 1, 1},
                 {96, 96, 56, 3, 1, 96},
                 {384, 384, 14, 5, 1, 384}});
});

// Rows, inner, columns, threads.
static void matmul(benchmark::State& state) {
  const Model model =
      one_node("MatMul", {state.range(0), state.range(1)}, {{state.range(1), state.range(2)}});
  run_model(state, model, static_cast<int>(state.range(3)));
}
BENCHMARK(matmul)->Apply([](benchmark::internal::Benchmark* bench) {
  shapes(bench, {{1, 1024, 1000}, {128, 256, 1024}, {512, 512, 512}});
});

// Channels, height and width, kernel, stride, threads.
static void max_pool(benchmark::State& state) {
  const std::int64_t kernel = state.range(2), stride = state.range(3);
  Attributes attributes;
  attributes.set("kernel_shape", Ints{kernel, kernel});
  attributes.set("strides", Ints{stride, stride});
  const Model model =
      one_node("MaxPool", {1, state.range(0), state.range(1), state.range(1)}, {}, attributes);
  run_model(state, model, static_cast<int>(state.range(4)));
}
BENCHMARK(max_pool)->Apply([](benchmark::internal::Benchmark* bench) {
  shapes(bench, {{64, 112, 3, 2}, {256, 28, 2, 2}});
});

static void global_average(benchmark::State& state) {
  const Model model =
      one_node("GlobalAveragePool", {1, state.range(0), state.range(1), state.range(1)}, {});
  run_model(state, model, static_cast<int>(state.range(2)));
}
BENCHMARK(global_average)->Apply([](benchmark::internal::Benchmark* bench) {
  shapes(bench, {{1280, 7}});
});

// Elements, threads.
static void sigmoid(benchmark::State& state) {
  const Model model = one_node("Sigmoid", {1, state.range(0)}, {});
  run_model(state, model, static_cast<int>(state.range(1)));
}
BENCHMARK(sigmoid)->Apply([](benchmark::internal::Benchmark* bench) {
  shapes(bench, {{1'000'000}});
});

}  // namespace rulec::bench
