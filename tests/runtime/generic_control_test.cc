// SPDX-License-Identifier: Apache-2.0
#include <functional>

#include "tests/runtime/kernel_call.h"

namespace rulec::generic {
namespace {

// A nested graph written as a function.
class FakeBodies : public Bodies {
 public:
  using Body = std::function<std::vector<Value>(std::span<const Value>)>;
  explicit FakeBodies(Body body, std::vector<OutputType> types = {})
      : body_(std::move(body)), types_(std::move(types)) {}

  Result<std::vector<Value>> run(GraphId body, std::span<const Value> inputs) override {
    last = body;
    ++runs;
    return body_(inputs);
  }
  std::optional<OutputType> output_type(GraphId, std::size_t index) const override {
    return index < types_.size() ? std::optional(types_[index]) : std::nullopt;
  }

  GraphId last;
  int runs = 0;

 private:
  Body body_;
  std::vector<OutputType> types_;
};

}  // namespace

static Value truth(bool value) {
  return Tensor::scalar(value);
}

TEST(If, RunsOneBranch) {
  FakeBodies bodies([](auto) { return std::vector<Value>{f32({}, {1})}; });
  KernelCall call("If");
  call.attribute("then_branch", GraphId{1}).attribute("else_branch", GraphId{2}).bodies(&bodies);
  call.input(truth(false)).run();
  EXPECT_EQ(bodies.last, GraphId{2});
  EXPECT_EQ(bodies.runs, 1);
}

// Adds the iteration number to the carried value and scans it; goes on while it is below 5.
static std::vector<Value> summing(std::span<const Value> inputs) {
  const std::int64_t sum = inputs[2].tensor().integer(0) + inputs[0].tensor().integer(0);
  return {truth(sum < 5), i64({}, {sum}), i64({1}, {sum})};
}

TEST(Loop, CarriesAndScansUntilTheConditionFails) {
  FakeBodies bodies(summing);
  KernelCall call("Loop");
  call.input(i64({}, {10})).input(truth(true)).input(i64({}, {0}));
  call.attribute("body", GraphId{1}).bodies(&bodies).outputs(2);
  const auto out = call.run();
  EXPECT_EQ(bodies.runs, 4);  // 0, 1, 3, 6
  EXPECT_EQ(numbers(out[0]), std::vector<double>{6});
  EXPECT_EQ(shape_of(out[1]), (Shape{4, 1}));
  EXPECT_EQ(numbers(out[1]), (std::vector<double>{0, 1, 3, 6}));
}

TEST(Loop, TripCountAndConditionMayBeAbsent) {
  FakeBodies bodies(summing);
  KernelCall call("Loop");
  call.absent().absent().input(i64({}, {0}));
  call.attribute("body", GraphId{1}).bodies(&bodies).outputs(2);
  EXPECT_EQ(numbers(call.run()[0]), std::vector<double>{6});
}

TEST(Loop, NoIterationGivesEmptyScansOfTheDeclaredType) {
  FakeBodies bodies(summing,
                    {{DType::Bool, Shape{}}, {DType::I64, Shape{}}, {DType::F16, Shape{3, -1}}});
  KernelCall call("Loop");
  call.input(i64({}, {0})).input(truth(true)).input(i64({}, {7}));
  call.attribute("body", GraphId{1}).bodies(&bodies).outputs(2);
  const auto out = call.run();
  EXPECT_EQ(bodies.runs, 0);
  EXPECT_EQ(numbers(out[0]), std::vector<double>{7});
  EXPECT_EQ(shape_of(out[1]), (Shape{0, 3, 0}));
  EXPECT_EQ(out[1].tensor().dtype(), DType::F16);

  FakeBodies silent(summing);
  EXPECT_NE(call.bodies(&silent).error().find("does not declare"), std::string::npos);
}

TEST(Loop, CarriesSequences) {
  FakeBodies bodies([](std::span<const Value> inputs) {
    auto items = *std::get_if<Sequence>(&inputs[2].data)->items;
    items.push_back(inputs[0]);
    return std::vector<Value>{
        truth(true), Sequence{DType::I64, std::make_shared<const std::vector<Value>>(items)}};
  });
  KernelCall call("Loop");
  call.input(i64({}, {3})).input(truth(true));
  call.input(Sequence{DType::I64, std::make_shared<const std::vector<Value>>()});
  call.attribute("body", GraphId{1}).bodies(&bodies);
  EXPECT_EQ(std::get_if<Sequence>(&call.run()[0].data)->items->size(), 3U);
}

TEST(Loop, ScansOfDifferentShapesAreRefused) {
  FakeBodies bodies([](std::span<const Value> inputs) {
    const std::int64_t trip = inputs[0].tensor().integer(0);
    return std::vector<Value>{truth(true), Tensor::zeros(DType::F32, {trip})};
  });
  KernelCall call("Loop");
  call.input(i64({}, {3})).input(truth(true)).attribute("body", GraphId{1}).bodies(&bodies);
  EXPECT_NE(call.error().find("a scan output is f32[0] once and f32[1] later"), std::string::npos);
}

// sum' = sum + x, and scans sum'.
static std::vector<Value> running_sum(std::span<const Value> inputs) {
  const Tensor sum =
      f32({}, {static_cast<float>(inputs[0].tensor().number(0) + inputs[1].tensor().number(0))});
  return {sum, sum};
}

TEST(Scan, WalksAxesInBothDirections) {
  FakeBodies bodies(running_sum);
  KernelCall call("Scan");
  call.input(f32({}, {0})).input(f32({1, 3}, {1, 2, 4}));
  call.integer("num_scan_inputs", 1).attribute("body", GraphId{1}).bodies(&bodies).outputs(2);
  call.attribute("scan_input_axes", std::vector<std::int64_t>{-1});
  EXPECT_EQ(numbers(call.run()[1]), (std::vector<double>{1, 3, 7}));
  call.attribute("scan_input_directions", std::vector<std::int64_t>{1});
  EXPECT_EQ(numbers(call.run()[1]), (std::vector<double>{4, 6, 7}));
  call.attribute("scan_output_directions", std::vector<std::int64_t>{1});
  EXPECT_EQ(numbers(call.run()[1]), (std::vector<double>{7, 6, 4}));
}

TEST(Scan, OfOpset8HasBatchesAndLengths) {
  FakeBodies bodies(running_sum);
  KernelCall call("Scan", 8);
  call.input(i64({2}, {3, 2})).input(f32({2}, {0, 10}));
  call.input(f32({2, 3}, {1, 2, 4, 1, 2, 4}));
  call.integer("num_scan_inputs", 1).attribute("body", GraphId{1}).bodies(&bodies).outputs(2);
  const auto out = call.run();
  EXPECT_EQ(numbers(out[0]), (std::vector<double>{7, 13}));
  EXPECT_EQ(shape_of(out[1]), (Shape{2, 3}));
  EXPECT_EQ(numbers(out[1]), (std::vector<double>{1, 3, 7, 11, 13, 0}));
}

TEST(SequenceMap, MapsSequencesBesideTensors) {
  FakeBodies bodies(running_sum);
  KernelCall call("SequenceMap");
  call.input(Sequence{DType::F32, std::make_shared<const std::vector<Value>>(
                                      std::vector<Value>{f32({}, {1}), f32({}, {2})})});
  call.input(f32({}, {10})).attribute("body", GraphId{1}).bodies(&bodies);
  const auto out = call.run();
  const auto& items = *std::get_if<Sequence>(&out[0].data)->items;
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(numbers(items[1]), std::vector<double>{12});
}

}  // namespace rulec::generic
