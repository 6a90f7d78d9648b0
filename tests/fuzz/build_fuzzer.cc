// SPDX-License-Identifier: Apache-2.0
// Any bytes are a seed: the engine of a random network, on each instruction set of this machine,
// gives the numbers of the reference evaluator in double, and the same bits with one thread and
// two; with the batch left open, for several sizes of it.
#include <cmath>

#include "compiler/backend/build.h"
#include "matcher/evaluate.h"
#include "runtime/check.h"
#include "runtime/session.h"
#include "tests/support/network_generator.h"

using namespace rulec;

static Tensor numbers(Random& random, const Shape& of) {
  Tensor t = Tensor::allocate(DType::F32, of);
  for (std::int64_t i = 0; i < t.size(); ++i)
    t.set_number(i, static_cast<float>(random.uniform(-1, 1)));
  return t;
}

// How far the numbers are apart, in units of what f32 may do to them; shapes must be equal.
static double distance(const Tensor& want, const Tensor& got) {
  if (want.shape() != got.shape()) return 1e9;
  double scale = 1, most = 0;
  for (std::int64_t i = 0; i < want.size(); ++i)
    scale = std::max(scale, std::abs(want.number(i)));
  for (std::int64_t i = 0; i < want.size(); ++i) {
    const double off = std::abs(want.number(i) - got.number(i));
    most = std::max(most, std::isnan(off) ? 1e9 : off);
  }
  return most / (3e-4 * scale);
}

static void fail(const Model& model, const BuildOptions& options, const std::string& what) {
  fmt::print(stderr, "{}\noptimize {}, {}\n", dump(model), static_cast<int>(options.optimize),
             name(options.isa));
  fmt::print(stderr, "{}\n", what);
  std::abort();
}

// Runs the engine and compares it with the evaluator, for inputs of the given batch.
static void check(const Model& model, const Engine& engine, const BuildOptions& options,
                  std::int64_t batch, Random& random) {
  std::vector<std::pair<ValueId, Value>> feeds;
  std::vector<Value> inputs;
  for (const ValueId id : model.graph(model.main()).inputs) {
    Shape shape;
    for (const Dim& dim : *model.value(id).type.dims)
      shape.push_back(dim.known() ? dim.size : batch);
    inputs.emplace_back(numbers(random, shape));
    feeds.emplace_back(id, inputs.back());
  }
  Evaluator evaluator(model, {.precision = Precision::Double});
  const auto want = evaluator.run(feeds, model.graph(model.main()).outputs);
  std::vector<Value> first;
  for (const int threads : {1, 2}) {
    auto session = Session::create(engine, {.threads = threads});
    RULEC_CHECK(session);
    const auto got = session->run(inputs);
    // What the definition does not allow for some size, the engine must not allow either.
    if (!want || !got) {
      if (static_cast<bool>(want) != static_cast<bool>(got))
        fail(model, options,
             fmt::format("batch {}: {} but {}", batch, want ? "defined" : want.error().message,
                         got ? "computed" : got.error().message));
      return;
    }
    for (std::size_t i = 0; i < want->size(); ++i) {
      const Tensor &a = (*want)[i].tensor(), &b = (*got)[i].tensor();
      if (const double far = distance(a, b); far > 1)
        fail(model, options,
             fmt::format("batch {}, {} threads, output {}: {} against {}, {:.3g} times what is "
                         "allowed",
                         batch, threads, i, to_string(b.shape()), to_string(a.shape()), far));
      if (threads == 2 && !same_bits(first[i].tensor(), b))
        fail(model, options, fmt::format("output {} has other bits with two threads", i));
    }
    first = *got;
  }
}

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  std::uint64_t seed = size;
  for (std::size_t i = 0; i < size; ++i)
    seed = Random(seed ^ data[i]).bits();
  Random random(seed);
  for (int i = 0; i < 4; ++i) {
    Model model = test::random_network(random, static_cast<int>(1 + random.below(16)));
    const std::int64_t batch =
        (*model.value(model.graph(model.main()).inputs[0]).type.dims)[0].size;
    const bool open = random.below(3) == 0;
    if (open) test::open_batch(model);
    BuildOptions options;
    options.optimize = static_cast<Optimize>(random.below(3));
    options.isa = random.below(3) == 0 ? Isa::Portable : Isa::Avx512;
    options.fast_kernels = random.below(12) != 0;
    const auto built = build_engine(model, options);
    if (!built) fail(model, options, built.error().message);
    const auto engine = Engine::load_bytes(built->bytes);
    if (!engine) fail(model, options, engine.error().message);
    check(model, *engine, options, batch, random);
    if (!open) continue;
    for (const std::int64_t other : {1, 2, 3, 5})
      check(model, *engine, options, other, random);
  }
  return 0;
}
