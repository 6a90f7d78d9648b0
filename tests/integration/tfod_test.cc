// SPDX-License-Identifier: Apache-2.0
// The two-line file on real exports: what fires, what is fitted, and that the model computes what
// it did. What is expected stands beside the models (../shared/models/tfod/*.json).
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/compile.h"
#include "compiler/npy.h"
#include "matcher/edit.h"
#include "matcher/evaluate.h"
#include "matcher/onnx_io.h"
#include "matcher/rewrite.h"

namespace rulec {
namespace {

const std::string folder = RULEC_SHARED_DIR "/models/tfod/";
const std::vector<std::string> kept = {"detection_boxes", "detection_scores", "detection_classes",
                                       "num_detections"};

// The numbers of the JSON list behind a key; none when the key is not there.
std::vector<double> numbers_of(const std::string& json, const std::string& key) {
  std::vector<double> numbers;
  std::size_t at = json.find('"' + key + '"');
  if (at == std::string::npos) return numbers;
  at = json.find('[', at) + 1;
  while (at < json.size() && json[at] != ']') {
    if (json[at] == '-' || std::isdigit(static_cast<unsigned char>(json[at]))) {
      char* end = nullptr;
      numbers.push_back(std::strtod(json.c_str() + at, &end));
      at = static_cast<std::size_t>(end - json.c_str());
    } else {
      ++at;
    }
  }
  return numbers;
}

double number_of(const std::string& json, const std::string& key) {
  const std::size_t at = json.find('"' + key + "\":");
  return at == std::string::npos ? NAN : std::strtod(json.c_str() + at + key.size() + 3, nullptr);
}

class Tfod : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string path = folder + GetParam();
    std::ifstream file(path + ".json");
    if (!file) {
      if (std::getenv("CI")) FAIL() << path << " is not there";
      GTEST_SKIP() << path << " is not there";
    }
    std::stringstream text;
    text << file.rdbuf();
    json_ = text.str();
    auto model = import_onnx(path + ".onnx");
    ASSERT_TRUE(model) << model.error().message;
    original_ = std::move(*model);
    std::vector<std::string> warnings;
    infer_types(original_, warnings);
    auto files = load_rule_text("card.rules",
                                "Loop[body contains Gather] → preprocess(mean, std, NCHW)\n"
                                "NonMaxSuppression* → BatchedNMS_TRT\n",
                                default_rule_path({}));
    ASSERT_TRUE(files) << files.error().message;
    std::vector<std::string> errors;
    rules_ = compile_rules(*files, {}, errors);
    ASSERT_TRUE(rules_) << files->render();
  }

  // Drops outputs that the plugin does not return, as --outputs does.
  void keep_outputs(Model& model) {
    Edit edit;
    edit.changes.push_back({Edit::Outputs{kept}, {}});
    const auto said = apply_edit(model, rules_->rules, rules_->ops, edit);
    ASSERT_TRUE(said) << said.error().message;
  }

  RewriteReport rewrite_model(Model& model) {
    auto report = rewrite(model, rules_->rules, rules_->ops, {});
    EXPECT_TRUE(report) << report.error().message;
    const Status whole = model.verify();
    EXPECT_TRUE(whole) << whole.error().message;
    return report ? std::move(*report) : RewriteReport{};
  }

  static std::vector<Tensor> run(const Model& model, const Tensor& image) {
    auto values = Evaluator(model).run(
        std::vector<std::pair<ValueId, Value>>{{model.graph(model.main()).inputs[0], image}},
        model.graph(model.main()).outputs);
    EXPECT_TRUE(values) << values.error().message;
    std::vector<Tensor> tensors;
    for (const Value& value : *values)
      tensors.push_back(value.tensor());
    return tensors;
  }

  static bool fired(const RewriteReport& report, const RuleSet& rules, const std::string& callee) {
    for (const Firing& firing : report.firings) {
      const Rule& rule = rules[firing.rule];
      if (rule.call && rules[rule.call->callee].name == callee) return true;
    }
    return false;
  }

  std::string json_;
  Model original_;
  std::optional<CompiledRules> rules_;
};

// Boxes, scores, classes, count of two runs; rows may swap where scores are nearly equal.
void expect_same(const std::vector<Tensor>& a, const std::vector<Tensor>& b, double scores,
                 double boxes) {
  ASSERT_EQ(a[3].number(0), b[3].number(0));
  const std::int64_t rows = a[1].size();
  ASSERT_EQ(rows, b[1].size());
  std::vector<bool> taken(static_cast<std::size_t>(rows));
  for (std::int64_t i = 0; i < rows; ++i) {
    const auto same = [&](std::int64_t j) {
      if (std::fabs(a[1].number(i) - b[1].number(j)) > scores) return false;
      if (a[2].number(i) != b[2].number(j)) return false;
      for (int k = 0; k < 4; ++k) {
        if (std::fabs(a[0].number(4 * i + k) - b[0].number(4 * j + k)) > boxes) return false;
      }
      return true;
    };
    bool found = false;
    for (std::int64_t j = 0; j < rows && !found; ++j) {
      const bool near = j == i || std::fabs(a[1].number(i) - b[1].number(j)) < 1e-4;
      if (!near || taken[static_cast<std::size_t>(j)] || !same(j)) continue;
      taken[static_cast<std::size_t>(j)] = found = true;
    }
    EXPECT_TRUE(found) << "row " << i;
  }
}

class Detector : public Tfod {};

TEST_P(Detector, computes_what_it_did) {
  keep_outputs(original_);
  Model model = original_;
  const RewriteReport report = rewrite_model(model);
  const bool loop = json_.find("\"preprocess\": {") != std::string::npos;
  EXPECT_EQ(report.firings.size(), loop ? 2u : 1u);
  EXPECT_EQ(fired(report, rules_->rules, "preprocess"), loop);
  EXPECT_TRUE(fired(report, rules_->rules, "BatchedNMS_TRT"));
  for (const Firing& firing : report.firings) {
    ASSERT_TRUE(firing.verified);
    EXPECT_LT(firing.verified->max_abs, 1e-5);
    if (firing.fitted.size() != 2) continue;
    const std::vector<double> scale = numbers_of(json_, "folded_scale");
    const std::vector<double> bias = numbers_of(json_, "folded_bias");
    for (std::size_t c = 0; c < 3; ++c) {
      const double mean = firing.fitted[0].second[c], std = firing.fitted[1].second[c];
      EXPECT_NEAR(1 / std, scale[c], 1e-6 * std::fabs(scale[c]));
      EXPECT_NEAR(-mean / std, bias[c], 1e-5);
    }
  }
  int plugins = 0;
  for (NodeId id : model.nodes(model.main())) {
    const GraphNode& node = model.node(id);
    EXPECT_NE(node.type, "NonMaxSuppression");
    EXPECT_NE(node.type, "Loop");
    if (node.type != "BatchedNMS_TRT") continue;
    ++plugins;
    for (const char* name :
         {"numClasses", "topK", "keepTopK", "shareLocation", "backgroundLabelId", "isNormalized"}) {
      EXPECT_EQ(static_cast<double>(node.attributes.integer(name, -9)), number_of(json_, name))
          << name;
    }
    EXPECT_NEAR(node.attributes.number("iouThreshold", 0), number_of(json_, "iouThreshold"), 1e-6);
  }
  EXPECT_EQ(plugins, 1);
  const auto arrays = read_npz(folder + GetParam() + ".npz");
  ASSERT_TRUE(arrays) << arrays.error().message;
  const auto array = [&](const std::string& name) -> const Tensor* {
    for (const auto& [key, tensor] : *arrays) {
      if (key == name) return &tensor;
    }
    return nullptr;
  };
  const Type input = model.value(model.graph(model.main()).inputs[0]).type;
  int runs = 0;
  for (int r = 0; r < 4; ++r) {
    const Tensor* image = array(fmt::format("in{}/input_tensor", r));
    if (!image || image->shape() != input.static_shape()) continue;
    ++runs;
    const std::vector<Tensor> before = run(original_, *image), after = run(model, *image);
    expect_same(before, after, 1e-5, 1e-4);
    std::vector<Tensor> recorded;
    for (const std::string& name : kept)
      recorded.push_back(*array(fmt::format("out{}/{}", r, name)));
    expect_same(recorded, after, 1e-3, 1e-3);
  }
  EXPECT_GT(runs, 0);
}

INSTANTIATE_TEST_SUITE_P(models, Detector,
                         testing::Values("ssd_mbv2_c90_op11", "effdet_d0_c6_op11",
                                         "effdet_d0_c6_op13", "effdet_d0_c6_noloop_op13"));

class Control : public Tfod {};

TEST_P(Control, stays_as_it_is) {
  Model model = original_;
  const RewriteReport report = rewrite_model(model);
  EXPECT_TRUE(report.firings.empty());
  EXPECT_FALSE(report.near_misses.empty());
  EXPECT_EQ(model.live_nodes(), original_.live_nodes());
}

INSTANTIATE_TEST_SUITE_P(models, Control,
                         testing::Values("neg_rnn_gather_op13", "neg_map_standardize_op13",
                                         "neg_nms_indices_out_op11"));

class Unpruned : public Tfod {};

TEST_P(Unpruned, names_the_outputs_that_need_the_region) {
  Model model = original_;
  const RewriteReport report = rewrite_model(model);
  EXPECT_TRUE(fired(report, rules_->rules, "preprocess"));
  EXPECT_FALSE(fired(report, rules_->rules, "BatchedNMS_TRT"));
  bool told = false;
  for (const NearMiss& miss : report.near_misses) {
    told = told || (miss.found.find("detection_anchor_indices") != std::string::npos &&
                    miss.found.find("--outputs detection_boxes") != std::string::npos);
  }
  EXPECT_TRUE(told);
}

INSTANTIATE_TEST_SUITE_P(models, Unpruned, testing::Values("ssd_mbv2_c90_op11"));

}  // namespace
}  // namespace rulec
