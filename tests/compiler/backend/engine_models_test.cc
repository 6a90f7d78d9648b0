// SPDX-License-Identifier: Apache-2.0
// Whole models: the engine gives what the reference evaluator gives, with one thread and with two.
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "compiler/backend/build.h"
#include "matcher/evaluate.h"
#include "matcher/onnx_io.h"
#include "runtime/session.h"

namespace rulec {
namespace {

struct Case {
  const char* file;
  std::map<std::string, std::int64_t> dims = {};
  std::map<std::string, std::vector<std::int64_t>> shapes = {};
  std::map<std::string, std::int64_t> run_dims = {};  // of dimensions that stay dynamic
  std::map<std::string, std::vector<std::int64_t>> run_shapes = {};
  std::int64_t integers = 2;  // those of the inputs are below this
  // Quantisation inside the model: every bit must be the same, since another rounding would shift
  // whole steps.
  bool quantized = false;
  // Of the input with this name, instead of random numbers.
  std::map<std::string, std::vector<double>> given = {};
};

// Small integers and uniform numbers; what a model makes of them is its own affair.
Tensor random_tensor(DType dtype, const Shape& shape, std::int64_t integers, std::mt19937& random) {
  Tensor t = Tensor::zeros(dtype, shape);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  for (std::int64_t i = 0; i < t.size(); ++i) {
    if (is_float(dtype)) {
      t.set_number(i, uniform(random));
    } else {
      t.set_integer(i, static_cast<std::int64_t>(uniform(random) * static_cast<double>(integers)));
    }
  }
  return t;
}

void compare(const std::string& name, const Value& want, const Value& got, bool quantized) {
  ASSERT_EQ(want.is_tensor(), got.is_tensor()) << name;
  if (!want.is_tensor()) return;
  const Tensor &a = want.tensor(), &b = got.tensor();
  ASSERT_EQ(a.dtype(), b.dtype()) << name;
  ASSERT_EQ(to_string(a.shape()), to_string(b.shape())) << name;
  if (a.dtype() == DType::String) {
    EXPECT_EQ(a.strings(), b.strings()) << name;
    return;
  }
  double worst = 0;
  std::int64_t at = -1;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const double x = a.number(i), y = b.number(i);
    if (std::isnan(x) && std::isnan(y)) continue;
    if (x == y) continue;
    const double error = std::abs(x - y) / (1e-4 + 1e-3 * std::abs(x));
    if (!(error <= worst)) {
      worst = std::isnan(error) ? 1e30 : error;
      at = i;
    }
  }
  if (quantized) {
    EXPECT_TRUE(same_bits(a, b)) << name << " differs most at " << at;
    return;
  }
  EXPECT_LE(worst, 1.0) << name << to_string(a.shape()) << " differs most at " << at << ": "
                        << (at < 0 ? 0.0 : a.number(at)) << " and "
                        << (at < 0 ? 0.0 : b.number(at));
}

class EngineModels : public testing::TestWithParam<Case> {};

TEST_P(EngineModels, AgreeWithTheEvaluator) {
  const std::filesystem::path path =
      std::filesystem::path(RULEC_SHARED_DIR) / "models" / GetParam().file;
  if (!std::filesystem::exists(path)) {
    if (const char* ci = std::getenv("CI"); ci != nullptr && std::string(ci) == "true") {
      FAIL() << path << " is missing";
    }
    GTEST_SKIP() << path << " is not there";
  }
  auto model = import_onnx(path);
  ASSERT_TRUE(model) << model.error().message;
  if (std::getenv("RULEC_ALL_OUTPUTS") != nullptr) {  // to find the first wrong value
    for (NodeId node : model->nodes(model->main())) {
      for (ValueId out : model->node(node).outputs) {
        if (out && !model->is_graph_output(out)) model->add_output(model->main(), out);
      }
    }
  }
  BuildOptions options;
  options.dims = GetParam().dims;
  options.input_shapes = GetParam().shapes;
  options.fast_kernels = std::getenv("RULEC_GENERIC_ONLY") == nullptr;
  auto built = build_engine(*model, options);
  ASSERT_TRUE(built) << built.error().message;
  if (std::getenv("RULEC_REPORT") != nullptr) {
    for (const auto& r : built->report) {
      fmt::print("{:<24} {:<40} {:<10} {}\n", r.type, r.node, r.kernel, r.note);
    }
    for (const auto& w : built->warnings)
      fmt::print("warning: {}\n", w);
  }
  auto engine = Engine::load_bytes(built->bytes, {.verify_weights = true});
  ASSERT_TRUE(engine) << engine.error().message;
  // Loading has checked that what lives at the same time lies apart.
  EXPECT_LE(static_cast<double>(engine->arena_bytes()),
            1.1 * static_cast<double>(engine->least_arena_bytes()) + 4096)
      << "no good plan of the arena";
  auto session = Session::create(*engine, {.threads = 1});
  ASSERT_TRUE(session) << session.error().message;
  std::mt19937 random(7);
  std::vector<Value> inputs;
  std::vector<std::pair<ValueId, Value>> feeds;
  for (const EnginePort& port : engine->inputs()) {
    if (port.has_default) {
      inputs.emplace_back();
      continue;
    }
    Shape shape;
    if (const auto it = GetParam().run_shapes.find(port.name); it != GetParam().run_shapes.end()) {
      shape = it->second;
    } else {
      for (const PortDim& d : port.dims) {
        std::int64_t size = d.size;
        if (size < 0) {
          const auto known = GetParam().run_dims.find(d.symbol);
          size = known == GetParam().run_dims.end() ? 1 : known->second;
        }
        shape.push_back(size);
      }
    }
    Tensor made = random_tensor(port.dtype, shape, GetParam().integers, random);
    if (const auto it = GetParam().given.find(port.name); it != GetParam().given.end()) {
      for (std::int64_t i = 0; i < made.size(); ++i)
        made.set_number(i, it->second[static_cast<std::size_t>(i) % it->second.size()]);
    }
    inputs.emplace_back(std::move(made));
    for (ValueId id : model->graph(model->main()).inputs) {
      if (model->value(id).name == port.name) feeds.emplace_back(id, inputs.back());
    }
  }
  auto got = session->run(inputs);
  ASSERT_TRUE(got) << got.error().message;
  auto again = session->run(inputs);
  ASSERT_TRUE(again);
  auto two = Session::create(*engine, {.threads = 2});
  ASSERT_TRUE(two);
  auto parallel = two->run(inputs);
  ASSERT_TRUE(parallel);
  // Two callers at once, each with a session of its own.
  std::vector<Result<std::vector<Value>>> at_once(2, Error{});
  std::vector<std::thread> callers;
  for (std::size_t t = 0; t < at_once.size(); ++t) {
    callers.emplace_back([&, t] {
      auto own = Session::create(*engine, {.threads = 2});
      if (own) at_once[t] = own->run(inputs);
    });
  }
  for (std::thread& caller : callers)
    caller.join();
  const auto start = std::chrono::steady_clock::now();
  Evaluator evaluator(*model);
  const auto& outputs = model->graph(model->main()).outputs;
  auto want = evaluator.run(feeds, outputs);
  ASSERT_TRUE(want) << want.error().message;
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  ASSERT_EQ(got->size(), want->size());
  for (std::size_t i = 0; i < want->size(); ++i) {
    compare(engine->outputs()[i].name, (*want)[i], (*got)[i], GetParam().quantized);
    if ((*got)[i].is_tensor()) {
      EXPECT_TRUE(same_bits((*got)[i].tensor(), (*again)[i].tensor())) << "a second run differs";
      EXPECT_TRUE(same_bits((*got)[i].tensor(), (*parallel)[i].tensor())) << "two threads differ";
      for (const auto& each : at_once) {
        ASSERT_TRUE(each) << each.error().message;
        EXPECT_TRUE(same_bits((*got)[i].tensor(), (*each)[i].tensor())) << "two callers differ";
      }
    }
  }
  fmt::print("{}: {} operations, {} generic, arena {} KB, evaluator {:.2f} s\n", GetParam().file,
             built->operations, built->generic_operations, built->arena_bytes / 1024,
             spent.count());
}

std::string test_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.file;
  for (char& c : name)
    c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name + "_" + std::to_string(info.index);
}

INSTANTIATE_TEST_SUITE_P(
    Shared, EngineModels,
    testing::Values(
        Case{"mnist.onnx"}, Case{.file = "ImageClassifier.onnx", .dims = {{"batch_size", 1}}},
        Case{"version-RFB-320_simplified.onnx"}, Case{"version-RFB-320.onnx"},
        Case{"face_detection_back_256x256_float32_opt.onnx"}, Case{"FastestDet.onnx"},
        Case{.file = "squeezenet_tensor_input.onnx", .dims = {{"None", 1}}},
        Case{.file = "pytorch_super_resolution.onnx", .dims = {{"batch_size", 1}}},
        Case{"yolox_nano.onnx"}, Case{"gtcrn_simple.onnx"}, Case{"model_1.onnx"},
        Case{"model_2.onnx"}, Case{.file = "nmp.onnx", .dims = {{"unk__749", 1}}},
        Case{.file = "standard_v3_3.onnx", .dims = {{"unk__214", 1}}, .integers = 256},
        Case{.file = "post_process.onnx", .dims = {{"batch_size", 1}}},
        Case{.file = "post_process.onnx"}, Case{"If_p2_11.onnx"}, Case{"Loop_3_16.onnx"},
        Case{"loop.onnx"}, Case{"crop_and_resize.onnx"},
        Case{.file = "nuphar_tiny_model_with_loop.onnx", .run_dims = {{"sequence", 4}}},
        Case{.file = "gpt2_past.onnx", .run_dims = {{"batch_size", 1}, {"seq_len", 3}}},
        Case{.file = "TFBertForQuestionAnswering.onnx", .dims = {{"batch_size", 1}}},
        Case{.file = "qdq_minimal_model.onnx", .run_shapes = {{"input", {1, 3, 32, 48}}}},
        Case{.file = "MauiModelTester_model.onnx", .dims = {{"batch", 1}}, .quantized = true},
        Case{.file = "nms_dynamic_batch_test.onnx",
             .run_shapes = {{"boxes", {2, 6, 4}}, {"scores", {2, 1, 6}}}},
        Case{"yolox_nano_with_post.onnx"},
        Case{.file = "nms-yolov8.onnx",
             .run_shapes = {{"detection", {1, 14, 40}}},
             .given = {{"config", {5, 0.5, 0.25}}}},
        Case{.file = "fp16model_loop.onnx", .run_shapes = {{"data", {3, 4}}}},
        Case{.file = "silero_vad_16k_op15.onnx",
             .run_dims = {{"batch", 1}, {"sequence", 576}},
             .given = {{"sr", {16000}}}},
        Case{.file = "silero_vad_16k_op15.onnx",
             .dims = {{"batch", 1}, {"sequence", 576}},
             .given = {{"sr", {16000}}}},
        Case{.file = "silero_vad_op18_ifless.onnx",
             .run_dims = {{"batch", 1}, {"sequence", 576}},
             .given = {{"sr", {16000}}}},
        Case{.file = "BertForQuestionAnswering_pt14_op10.onnx",
             .run_dims = {{"batch_size", 1}, {"max_seq_len", 7}}},
        Case{.file = "BertForQuestionAnswering_pt14_op10.onnx",
             .dims = {{"batch_size", 1}, {"max_seq_len", 7}}},
        Case{.file = "TFBertForQuestionAnswering.onnx", .run_dims = {{"batch_size", 2}}},
        Case{.file = "pytorch_super_resolution.onnx", .run_dims = {{"batch_size", 2}}},
        Case{.file = "tfod/effdet_d0_c6_noloop_op13.onnx"},
        Case{.file = "tfod/effdet_d0_c6_op11.onnx",
             .run_shapes = {{"input_tensor", {1, 100, 120, 3}}},
             .integers = 256},
        Case{.file = "tfod/effdet_d0_c6_op13.onnx",
             .run_shapes = {{"input_tensor", {1, 100, 120, 3}}},
             .integers = 256},
        Case{.file = "tfod/ssd_mbv2_c90_op11.onnx",
             .run_shapes = {{"input_tensor", {1, 200, 150, 3}}},
             .integers = 256},
        Case{.file = "tfod/neg_map_standardize_op13.onnx",
             .run_shapes = {{"input_tensor", {2, 40, 50, 3}}},
             .integers = 256},
        Case{.file = "tfod/neg_nms_indices_out_op11.onnx", .integers = 256},
        Case{.file = "tfod/neg_rnn_gather_op13.onnx", .run_shapes = {{"tokens", {2, 5}}}}),
    test_name);

}  // namespace
}  // namespace rulec
