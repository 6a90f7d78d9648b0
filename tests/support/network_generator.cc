// SPDX-License-Identifier: Apache-2.0
#include "tests/support/network_generator.h"

#include <algorithm>
#include <cmath>

#include "matcher/onnx_infer_node.h"
#include "matcher/onnx_io.h"
#include "tests/support/network_maker.h"

namespace rulec::test {

Model NetworkMaker::make(int nodes) {
  constexpr std::int64_t opsets[] = {11, 13, 17, 18, 20};
  opset_ = opsets[below(5)];
  model_.ir_version = 8;
  model_.opset_imports = {{"", opset_}};
  model_.graph(model_.main()).name = "network";
  chain_ = coin();
  large_ = coin(12);
  const std::int64_t batch = coin(3) ? 2 : 1;
  for (std::int64_t i = coin(3) ? 2 : 1; i > 0; --i)
    values_.push_back(model_.add_input(model_.main(), model_.fresh_value_name("x"),
                                       Type::tensor(DType::F32, first_shape(batch))));
  // What a node has no room for is passed over, so there are more tries than nodes.
  for (int tries = 0; made_ < nodes && tries < 20 * nodes; ++tries)
    step();
  for (const ValueId value : values_)
    if (model_.use_count(value) == 0 || coin(12)) hand_out(value);
  return std::move(model_);
}

Shape NetworkMaker::first_shape(std::int64_t batch) {
  constexpr std::int64_t channels[] = {1, 2, 3, 4, 8, 12, 16, 17, 24, 32, 40};
  if (large_) return {1, coin() ? 3 : channels[below(11)], between(40, 80), between(40, 80)};
  if (coin(4)) return {batch, between(1, 12), 8 * between(1, 5)};
  if (coin(8)) return {batch, between(1, 40)};
  return {batch, channels[below(11)], between(1, 14), between(1, 18)};
}

Tensor uniform(Random& random, const Shape& shape, double low, double high) {
  Tensor t = Tensor::allocate(DType::F32, shape);
  for (std::int64_t i = 0; i < t.size(); ++i)
    t.set_number(i, static_cast<float>(random.uniform(low, high)));
  return t;
}

Random seeded_by(const unsigned char* data, std::size_t size) {
  std::uint64_t seed = size;
  for (std::size_t i = 0; i < size; ++i)
    seed = Random(seed ^ data[i]).bits();
  return Random(seed);
}

ValueId NetworkMaker::constant(Tensor t) {
  return model_.add_initializer(model_.main(), model_.fresh_value_name("w"), std::move(t));
}

ValueId NetworkMaker::constant(const Integers& list) {
  return constant(Tensor::of<std::int64_t>({static_cast<std::int64_t>(list.size())}, list));
}

ValueId NetworkMaker::weights(const Shape& of, std::int64_t products) {
  const double most = 1.7 / std::sqrt(static_cast<double>(products));
  return constant(numbers(of, -most, most));
}

std::optional<ValueId> NetworkMaker::node(const char* type, std::vector<ValueId> inputs,
                                          AttributeList attributes, std::size_t results) {
  const NodeId id = model_.add_node(model_.main(), {.name = model_.fresh_node_name(type),
                                                    .type = type,
                                                    .inputs = std::move(inputs),
                                                    .output_count = results,
                                                    .attributes = Attributes(attributes)});
  const NodeId one[] = {id};
  const bool inferred = static_cast<bool>(infer_node_types(model_, one));
  const std::vector<ValueId> outputs(model_.node(id).outputs.begin(),
                                     model_.node(id).outputs.end());
  const bool usable = std::all_of(outputs.begin(), outputs.end(), [&](ValueId v) {
    const auto found = model_.value(v).type.static_shape();
    const std::int64_t size = found ? element_count(*found) : 0;
    return size > 0 && size < (large_ ? 400000 : 40000) && !found->empty();
  });
  if (!inferred || !usable) {
    model_.remove_node(id);
    return std::nullopt;
  }
  ++made_;
  values_.insert(values_.end(), outputs.begin(), outputs.end());
  return outputs.front();
}

std::optional<ValueId> NetworkMaker::with_axes(const char* type, ValueId x, const Integers& axes,
                                               std::int64_t since, AttributeList attributes) {
  if (opset_ >= since) return node(type, {x, constant(axes)}, std::move(attributes));
  attributes.push_back({"axes", axes});
  return node(type, {x}, std::move(attributes));
}

ValueId NetworkMaker::any() {
  if (chain_ && !coin(4)) return values_.back();
  const auto count = static_cast<std::int64_t>(values_.size());
  const std::int64_t at =
      coin(3) ? below(count) : count - 1 - below(std::min<std::int64_t>(3, count));
  return values_[static_cast<std::size_t>(at)];
}

void NetworkMaker::hand_out(ValueId value) {
  if (model_.is_graph_output(value)) return;
  if (model_.value(value).is_input)
    value = model_
                .node(model_.add_node(model_.main(), {.name = model_.fresh_node_name("Identity"),
                                                      .type = "Identity",
                                                      .inputs = {value}}))
                .outputs[0];
  model_.add_output(model_.main(), value);
}

void NetworkMaker::step() {
  const ValueId x = any();
  const bool image = rank(x) == 4;
  switch (below(image ? 25 : 17)) {
    case 0:
    case 1:
      return activation(x);
    case 2:
    case 3:
      return binary(x);
    case 4:
      return with_constant(x);
    case 5:
      return concat(x);
    case 6:
      return slice(x);
    case 7:
      return transpose(x);
    case 8:
      return reshape(x);
    case 9:
      return reduce(x);
    case 10:
      return split(x);
    case 11:
      return coin() ? product(x) : pad(x);
    case 12:
      return coin() ? softmax(x) : norm(x);
    case 13:
      return image ? scale(x) : product(x);
    case 14:
      return gather(x);
    case 15:
      return coin() ? expand(x) : scatter(x);
    case 16:
      return rank(x) != 3 ? composite(x) : coin() ? recurrent(x) : conv_of_signal(x);
    case 17:
    case 18:
    case 19:
    case 20:
      return conv(x);
    case 21:
      return pool(x);
    case 22:
      return resize(x);
    case 23:
      return coin() ? depth(x) : transposed_conv(x);
    default:
      return block(x);
  }
}

static void follow_inputs(Model& model) {
  for (std::uint32_t i = 0; i < model.value_capacity(); ++i) {
    GraphValue& value = model.value(ValueId{i});
    if (value.alive && value.producer) value.type = {};
  }
  std::vector<std::string> warnings;
  infer_types(model, warnings);
}

void open_batch(Model& model) {
  for (const ValueId id : model.graph(model.main()).inputs)
    (*model.value(id).type.dims)[0] = {.symbol = "N"};
  follow_inputs(model);
}

void open_some(Model& model, Random& random) {
  const bool named = random.below(2) == 0;
  for (const ValueId id : model.graph(model.main()).inputs) {
    for (Dim& dim : *model.value(id).type.dims)
      if (random.below(3) == 0)
        dim = {.symbol = named ? fmt::format("d{}", dim.size) : std::string()};
  }
  follow_inputs(model);
}

Model random_network(Random& random, int nodes) {
  return NetworkMaker(random).make(nodes);
}

}  // namespace rulec::test
