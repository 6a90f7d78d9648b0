// SPDX-License-Identifier: Apache-2.0
#pragma once

// Calls one generic kernel from a test.
//
//   auto out = KernelCall("TopK", 11).input(f32({3}, {1, 3, 2})).input(i64({1}, {2})).run();
//   EXPECT_EQ(numbers(out[0]), (std::vector<double>{3, 2}));

#include <deque>
#include <initializer_list>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/generic/kernel.h"

namespace rulec::generic {

inline Tensor f32(Shape shape, std::vector<float> values) {
  return Tensor::of<float>(std::move(shape), values);
}
inline Tensor i64(Shape shape, std::vector<std::int64_t> values) {
  return Tensor::of<std::int64_t>(std::move(shape), values);
}
inline std::vector<double> numbers(const Value& value) {
  return value.is_tensor() ? value.tensor().numbers() : std::vector<double>();
}
inline Shape shape_of(const Value& value) {
  return value.is_tensor() ? value.tensor().shape() : Shape{-1};
}

class KernelCall {
 public:
  explicit KernelCall(std::string type, int opset = 17, std::string domain = "")
      : type_(std::move(type)), domain_(std::move(domain)), opset_(opset) {}

  KernelCall& input(Value value) {
    inputs_.push_back(std::move(value));
    return *this;
  }
  KernelCall& absent() { return input(Value()); }
  KernelCall& attribute(std::string name, AttributeValue value) {
    attributes_.set(name, std::move(value));
    return *this;
  }
  KernelCall& integer(std::string name, std::int64_t value) { return attribute(name, value); }
  KernelCall& number(std::string name, float value) { return attribute(name, value); }
  KernelCall& text(std::string name, std::string value) { return attribute(name, value); }
  KernelCall& outputs(std::size_t count) {
    output_count_ = count;
    return *this;
  }
  KernelCall& bodies(Bodies* bodies) {
    bodies_ = bodies;
    return *this;
  }

  Result<Outputs> result() const {
    std::vector<const Value*> operands;
    for (const Value& value : inputs_)
      operands.push_back(value.absent() ? nullptr : &value);
    return generic::run({.domain = domain_,
                         .type = type_,
                         .opset = opset_,
                         .inputs = operands,
                         .attributes = attributes_,
                         .output_count = output_count_,
                         .bodies = bodies_});
  }
  // The outputs of a call that must succeed.
  Outputs run() const {
    auto out = result();
    EXPECT_TRUE(out) << out.error().message;
    return out ? *out : Outputs(8);
  }
  // The message of a call that must fail.
  std::string error() const {
    auto out = result();
    EXPECT_FALSE(out);
    return out ? "" : out.error().message;
  }

 private:
  std::string type_, domain_;
  int opset_;
  std::deque<Value> inputs_;
  Attributes attributes_;
  std::size_t output_count_ = 1;
  Bodies* bodies_ = nullptr;
};

}  // namespace rulec::generic
