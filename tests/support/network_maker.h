// SPDX-License-Identifier: Apache-2.0
#pragma once

// Makes a random network, node by node; what random_network does. Each function adds a node, or
// the few that an exporter writes for one operator, where the operand allows it.

#include <optional>

#include "matcher/graph.h"
#include "matcher/random.h"
#include "tests/support/network_generator.h"

namespace rulec::test {

using Integers = std::vector<std::int64_t>;
using AttributeList = std::vector<Attribute>;

class NetworkMaker {
 public:
  explicit NetworkMaker(Random& random) : random_(random) {}
  Model make(int nodes);

 private:
  std::int64_t below(std::int64_t count) { return random_.below(count); }
  bool coin(std::int64_t of = 2) { return below(of) == 0; }
  std::int64_t between(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }
  Shape first_shape(std::int64_t batch);
  Shape shape(ValueId value) const { return *model_.value(value).type.static_shape(); }
  std::int64_t rank(ValueId value) const { return static_cast<std::int64_t>(shape(value).size()); }
  Tensor numbers(const Shape& of, double low, double high) {
    return uniform(random_, of, low, high);
  }
  ValueId constant(Tensor t);
  ValueId constant(const Integers& list);
  // Weights whose sums of products stay about as large as what they multiply.
  ValueId weights(const Shape& of, std::int64_t products);
  // The node's first result, or nothing where ONNX refuses it or a result is empty or too large.
  std::optional<ValueId> node(const char* type, std::vector<ValueId> inputs,
                              AttributeList attributes = {}, std::size_t results = 1);
  // Axes as attribute, or as operand from opset `since` on.
  std::optional<ValueId> with_axes(const char* type, ValueId x, const Integers& axes,
                                   std::int64_t since, AttributeList attributes = {});
  // Later values more often than earlier ones.
  ValueId any();
  void hand_out(ValueId value);

  // network_generator.cc
  void step();

  // network_operators.cc
  void activation(ValueId x);
  bool broadcasts(const Shape& a, const Shape& b) const;
  std::optional<ValueId> partner(ValueId x, bool same);
  void binary(ValueId x);
  void with_constant(ValueId x);
  void concat(ValueId x);
  void slice(ValueId x);
  void transpose(ValueId x);
  void reshape(ValueId x);
  void reduce(ValueId x);
  void split(ValueId x);
  void product(ValueId x);
  void pad(ValueId x);
  void softmax(ValueId x);
  void norm(ValueId x);
  void gather(ValueId x);
  void expand(ValueId x);
  // Some rows written over; at even distances, or at any.
  void scatter(ValueId x);
  // What exporters write for one operator.
  void composite(ValueId x);
  void recurrent(ValueId x);
  void conv_of_signal(ValueId x);

  // network_images.cc
  void scale(ValueId x);
  std::optional<ValueId> conv_of(ValueId x, std::int64_t outputs, std::int64_t group,
                                 std::int64_t size, std::int64_t stride, bool keeps);
  std::int64_t channels();
  void conv(ValueId x);
  void transposed_conv(ValueId x);
  void pool(ValueId x);
  void resize(ValueId x);
  void depth(ValueId x);
  // What networks are made of: an inverted residual, or squeeze and excitation.
  void block(ValueId x);

  Random& random_;
  Model model_;
  std::int64_t opset_ = 17;
  bool chain_ = false;  // most nodes read what was made last, as what rules match does
  bool large_ = false;  // enough for several threads, and for kernels that want much to do
  int made_ = 0;
  std::vector<ValueId> values_;
};

}  // namespace rulec::test
