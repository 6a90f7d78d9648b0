// SPDX-License-Identifier: Apache-2.0
#include "tests/support/network_quantizer.h"

#include <algorithm>
#include <cmath>

#include "matcher/evaluate.h"
#include "tests/support/network_generator.h"

namespace rulec::test {

namespace {

class Quantizer {
 public:
  Quantizer(Model& model, Random& random) : model_(model), random_(random) {}

  bool run() {
    std::vector<ValueId> values = model_.graph(model_.main()).inputs;
    const std::vector<NodeId> nodes = model_.nodes(model_.main());
    for (const NodeId id : nodes)
      for (const ValueId output : model_.node(id).outputs)
        if (output && model_.value(output).type.dtype == DType::F32) values.push_back(output);
    const auto numbers = calibrate(values);
    if (!numbers) return false;
    for (std::size_t i = 0; i < values.size(); ++i)
      quantize_value(values[i], (*numbers)[i].tensor());
    for (const NodeId id : nodes)
      quantize_weights(id);
    return true;
  }

 private:
  bool coin(std::int64_t of = 2) { return random_.below(of) == 0; }

  Result<std::vector<Value>> calibrate(const std::vector<ValueId>& values) {
    std::vector<std::pair<ValueId, Value>> feeds;
    for (const ValueId id : model_.graph(model_.main()).inputs) {
      feeds.emplace_back(id, uniform(random_, *model_.value(id).type.static_shape()));
    }
    return Evaluator(model_).run(feeds, values);
  }

  ValueId constant(Tensor t) {
    return model_.add_initializer(model_.main(), model_.fresh_value_name("q"), std::move(t));
  }
  ValueId node(const char* type, std::vector<ValueId> inputs, const Type& result, NodeId before,
               std::vector<Attribute> attributes = {}) {
    const NodeId id = model_.add_node(model_.main(),
                                      {.name = model_.fresh_node_name(type),
                                       .type = type,
                                       .inputs = std::move(inputs),
                                       .attributes = Attributes(attributes)},
                                      before);
    model_.value(model_.node(id).outputs[0]).type = result;
    return model_.node(id).outputs[0];
  }

  void quantize_value(ValueId value, const Tensor& seen) {
    double low = 0, high = 0;
    for (std::int64_t i = 0; i < seen.size(); ++i) {
      low = std::min(low, seen.number(i));
      high = std::max(high, seen.number(i));
    }
    const bool is_signed = coin();
    const double range = std::max(high - low, 1e-3);
    const auto scale =
        static_cast<float>(is_signed ? 2 * std::max(-low, high) / 255 + 1e-5 : range / 255);
    Tensor zero = Tensor::zeros(is_signed ? DType::I8 : DType::U8, {});
    if (!is_signed)
      zero.set_integer(0, std::clamp<std::int64_t>(std::llround(-low / scale), 0, 255));
    const Type real = model_.value(value).type;
    Type narrow = real;
    narrow.dtype = zero.dtype();
    const ValueId step = constant(Tensor::scalar(scale)), origin = constant(std::move(zero));
    const std::vector<Use> uses = model_.uses(value);
    const NodeId producer = model_.value(value).producer;
    const NodeId before = producer ? model_.next_node(producer) : model_.first_node(model_.main());
    const ValueId stored = node("QuantizeLinear", {value, step, origin}, narrow, before);
    const ValueId back = node("DequantizeLinear", {stored, step, origin}, real, before);
    for (const Use& use : uses) {
      if (use.node)
        model_.set_input(use.node, use.slot, back);
      else
        model_.set_output(use.graph, use.slot, back);
    }
  }

  void quantize_weights(NodeId id) {
    const std::string type = model_.node(id).type.str();
    const bool conv = type == "Conv" || type == "ConvTranspose";
    if (!conv && type != "MatMul" && type != "Gemm") return;
    const ValueId weight = model_.node(id).inputs[1];
    const auto real = model_.constant(weight);
    if (!real || real->rank() < 2) return;
    const std::size_t axis = type == "Conv" ? 0 : 1;
    const bool each = type != "Gemm" && real->rank() == (conv ? real->rank() : 2) && coin();
    const std::int64_t channels = each ? real->dim(axis) : 1;
    std::int64_t inner = 1;
    for (std::size_t d = axis + 1; d < real->rank(); ++d)
      inner *= real->dim(d);
    const auto channel_of = [&](std::int64_t i) { return each ? i / inner % channels : 0; };
    std::vector<float> scales(static_cast<std::size_t>(channels), 1e-4F);
    for (std::int64_t i = 0; i < real->size(); ++i) {
      float& scale = scales[static_cast<std::size_t>(channel_of(i))];
      scale = std::max(scale, static_cast<float>(std::abs(real->number(i)) / 127));
    }
    Tensor narrow = Tensor::allocate(DType::I8, real->shape());
    for (std::int64_t i = 0; i < real->size(); ++i) {
      const auto scale = static_cast<double>(scales[static_cast<std::size_t>(channel_of(i))]);
      narrow.set_integer(
          i, std::clamp<std::int64_t>(std::llround(real->number(i) / scale), -127, 127));
    }
    const Shape count = each ? Shape{channels} : Shape{};
    std::vector<Attribute> attributes;
    if (each) attributes.push_back({"axis", static_cast<std::int64_t>(axis)});
    const ValueId back =
        node("DequantizeLinear",
             {constant(std::move(narrow)), constant(Tensor::of<float>(count, scales)),
              constant(Tensor::zeros(DType::I8, count))},
             model_.value(weight).type, id, attributes);
    model_.set_input(id, 1, back);
  }

  Model& model_;
  Random& random_;
};

}  // namespace

bool quantize(Model& model, Random& random) {
  return Quantizer(model, random).run();
}

}  // namespace rulec::test
