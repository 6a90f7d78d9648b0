// SPDX-License-Identifier: Apache-2.0
#pragma once

// Graphs of a few nodes, built, run on each instruction set of this machine with one thread and two
// (bit for bit), and compared with the generic kernels in double. Not a test itself.
//
//   Model m = start();
//   check(m, node(m, "Relu", {input(m, {2, 3})}), "Chain", "relu");

#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "compiler/backend/build.h"
#include "matcher/evaluate.h"
#include "runtime/session.h"

namespace rulec {

using Integers = std::vector<std::int64_t>;

class Kernels : public testing::Test {
 protected:
  std::mt19937 random_{11};

  std::int64_t pick(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  Tensor uniform(const Shape& shape, float low = -1, float high = 1) {
    Tensor t = Tensor::allocate(DType::F32, shape);
    std::uniform_real_distribution<float> d(low, high);
    for (std::int64_t i = 0; i < t.size(); ++i)
      t.mutable_data<float>()[i] = d(random_);
    return t;
  }

  // A graph in the making.
  Model start() {
    Model m;
    m.opset_imports = {{"", 17}};
    return m;
  }
  ValueId input(Model& m, const Shape& shape) {
    const std::string name = m.fresh_value_name("in");
    feeds_.emplace_back(uniform(shape));
    return m.add_input(m.main(), name, Type::tensor(DType::F32, shape));
  }
  ValueId weight(Model& m, Tensor t) {
    return m.add_initializer(m.main(), m.fresh_value_name("w"), std::move(t));
  }
  ValueId integers(Model& m, const Integers& v) {
    return weight(m, Tensor::of<std::int64_t>({static_cast<std::int64_t>(v.size())}, std::span(v)));
  }
  ValueId node(Model& m, const char* type, std::vector<ValueId> in,
               std::vector<Attribute> attributes = {}) {
    const NodeId id = m.add_node(m.main(), {.name = m.fresh_node_name(type),
                                            .type = type,
                                            .inputs = std::move(in),
                                            .attributes = Attributes(std::move(attributes))});
    return m.node(id).outputs[0];
  }

  // Builds, runs and compares with a reference in double; `kernel` must begin the name of one in
  // the report unless it is empty.
  void check(Model& m, ValueId out, const std::string& kernel, const std::string& what) {
    m.add_output(m.main(), out);
    std::vector<std::pair<ValueId, Value>> feeds;
    for (std::size_t i = 0; i < feeds_.size(); ++i) {
      feeds.emplace_back(m.graph(m.main()).inputs[i], feeds_[i]);
    }
    Evaluator evaluator(m, {.precision = Precision::Double});
    const ValueId targets[] = {out};
    auto want = evaluator.run(feeds, targets);
    ASSERT_TRUE(want) << what << want.error().message;
    for (Isa isa : {Isa::Portable, detected_isa()}) {
      BuildOptions options;
      options.isa = isa;
      auto built = build_engine(m, options);
      ASSERT_TRUE(built) << what << built.error().message;
      bool found = kernel.empty();
      for (const auto& r : built->report)
        found = found || r.kernel.starts_with(kernel);
      EXPECT_TRUE(found) << what << " did not become " << kernel << ": "
                         << (built->report.empty() ? "" : built->report.back().note);
      auto engine = Engine::load_bytes(built->bytes);
      ASSERT_TRUE(engine) << what << engine.error().message;
      std::optional<Tensor> first;
      for (int threads : {1, 2}) {
        auto session = Session::create(*engine, {.threads = threads});
        ASSERT_TRUE(session);
        auto got = session->run(feeds_);
        ASSERT_TRUE(got) << what << got.error().message;
        const Tensor& t = (*got)[0].tensor();
        compare((*want)[0].tensor(), t, what + " " + std::string(name(isa)));
        if (first) EXPECT_TRUE(same_bits(*first, t)) << what << ": two threads differ";
        first = t;
      }
    }
    feeds_.clear();
  }

  static void compare(const Tensor& want, const Tensor& got, const std::string& what) {
    ASSERT_EQ(to_string(want.shape()), to_string(got.shape())) << what;
    double scale = 1;
    for (std::int64_t i = 0; i < want.size(); ++i) {
      if (std::isfinite(want.number(i))) scale = std::max(scale, std::abs(want.number(i)));
    }
    for (std::int64_t i = 0; i < want.size(); ++i) {
      const double a = want.number(i), b = got.number(i);
      if (a == b || (std::isnan(a) && std::isnan(b))) continue;
      ASSERT_LE(std::abs(a - b), 6e-6 * scale + 2e-5 * std::abs(a))
          << what << " at " << i << ": " << a << ", " << b;
    }
  }

  std::vector<Value> feeds_;
};

}  // namespace rulec
