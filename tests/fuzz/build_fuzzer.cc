// SPDX-License-Identifier: Apache-2.0
// Any bytes are a seed: the engine of a random network, on each instruction set of this machine,
// gives the numbers of the reference evaluator in double, and the same bits with one thread and
// two; with the batch or other dimensions left open, for several sizes of them.
#include <cmath>
#include <map>

#include "compiler/backend/build.h"
#include "matcher/evaluate.h"
#include "runtime/check.h"
#include "runtime/session.h"
#include "tests/support/network_generator.h"
#include "tests/support/network_quantizer.h"

using namespace rulec;

// How far the numbers are apart, in units of what f32 may do to them; shapes must be equal.
static double distance(const Tensor& want, const Tensor& got) {
  if (want.shape() != got.shape()) return 1e9;
  double scale = 1, most = 0;
  for (std::int64_t i = 0; i < want.size(); ++i)
    if (std::isfinite(want.number(i))) scale = std::max(scale, std::abs(want.number(i)));
  for (std::int64_t i = 0; i < want.size(); ++i) {
    const double a = want.number(i), b = got.number(i);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;  // means of nothing
    const double off = std::abs(a - b);
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

static std::vector<Shape> input_shapes(const Model& model) {
  std::vector<Shape> shapes;
  for (const ValueId id : model.graph(model.main()).inputs)
    shapes.push_back(*model.value(id).type.static_shape());
  return shapes;
}

// Others for the dimensions that are open, one for each name.
static void change_sizes(const Model& model, std::vector<Shape>& shapes, Random& random) {
  std::map<std::string, std::int64_t> sizes;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const auto& dims = *model.value(model.graph(model.main()).inputs[i]).type.dims;
    for (std::size_t d = 0; d < dims.size(); ++d) {
      if (dims[d].known()) continue;
      const std::int64_t size = 1 + random.below(9);
      shapes[i][d] =
          dims[d].symbol.empty() ? size : sizes.try_emplace(dims[d].symbol, size).first->second;
    }
  }
}

// Runs the engine and compares it with the evaluator, for inputs of the given shapes.
static void check(const Model& model, const Engine& engine, const BuildOptions& options,
                  const std::vector<Shape>& shapes, Random& random) {
  std::vector<std::pair<ValueId, Value>> feeds;
  std::vector<Value> inputs;
  std::string of;
  for (const Shape& shape : shapes) {
    inputs.emplace_back(test::uniform(random, shape));
    feeds.emplace_back(model.graph(model.main()).inputs[feeds.size()], inputs.back());
    of += to_string(shape);
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
             fmt::format("{}: {} but {}", of, want ? "defined" : want.error().message,
                         got ? "computed" : got.error().message));
      return;
    }
    for (std::size_t i = 0; i < want->size(); ++i) {
      const Tensor &a = (*want)[i].tensor(), &b = (*got)[i].tensor();
      if (const double far = distance(a, b); far > 1)
        fail(model, options,
             fmt::format("{}, {} threads, output {}: {} against {}, {:.3g} times what is "
                         "allowed",
                         of, threads, i, to_string(b.shape()), to_string(a.shape()), far));
      if (threads == 2 && !same_bits(first[i].tensor(), b))
        fail(model, options, fmt::format("output {} has other bits with two threads", i));
    }
    first = *got;
  }
}

// Of a network of 8 bits: the engine gives the very bits that it gives without fast kernels.
static void check_bits(const Model& model, BuildOptions options, Random& random) {
  std::vector<Value> inputs;
  for (const Shape& shape : input_shapes(model))
    inputs.emplace_back(test::uniform(random, shape));
  std::vector<Value> want;
  for (const bool fast : {false, true}) {
    options.fast_kernels = fast;
    const auto built = build_engine(model, options);
    if (!built) fail(model, options, built.error().message);
    const auto engine = Engine::load_bytes(built->bytes);
    if (!engine) fail(model, options, engine.error().message);
    auto session = Session::create(*engine, {.threads = 2});
    RULEC_CHECK(session);
    auto got = session->run(inputs);
    if (!got) fail(model, options, got.error().message);
    for (std::size_t i = 0; fast && i < want.size(); ++i)
      if (!same_bits(want[i].tensor(), (*got)[i].tensor()))
        fail(model, options, fmt::format("output {} has other bits with fast kernels", i));
    want = std::move(*got);
  }
}

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  Random random = test::seeded_by(data, size);
  for (int i = 0; i < 4; ++i) {
    Model model = test::random_network(random, static_cast<int>(1 + random.below(16)));
    BuildOptions options;
    options.optimize = static_cast<Optimize>(random.below(3));
    options.isa = random.below(3) == 0 ? Isa::Portable : Isa::Avx512;
    if (random.below(4) == 0 && model.opset("") >= 13 && test::quantize(model, random)) {
      check_bits(model, options, random);
      continue;
    }
    std::vector<Shape> shapes = input_shapes(model);
    const auto open = random.below(6);
    if (open == 0 || open == 1) test::open_batch(model);
    if (open == 2) test::open_some(model, random);
    options.fast_kernels = random.below(12) != 0;
    const auto built = build_engine(model, options);
    if (!built) fail(model, options, built.error().message);
    const auto engine = Engine::load_bytes(built->bytes);
    if (!engine) fail(model, options, engine.error().message);
    check(model, *engine, options, shapes, random);
    for (int other = 0; other < 4 && open < 3; ++other) {
      change_sizes(model, shapes, random);
      check(model, *engine, options, shapes, random);
    }
  }
  return 0;
}
