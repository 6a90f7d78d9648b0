// SPDX-License-Identifier: Apache-2.0
// Operators over images.
#include <algorithm>

#include "tests/support/network_maker.h"

namespace rulec::test {

void NetworkMaker::scale(ValueId x) {
  const std::int64_t c = shape(x)[1];
  if (coin(3)) {
    node("PRelu", {x, constant(numbers({c, 1, 1}, -0.5, 0.5))});
  } else if (coin(4) && shape(x)[2] * shape(x)[3] > 3) {
    node("InstanceNormalization",
         {x, constant(numbers({c}, 0.5, 1.5)), constant(numbers({c}, -1, 1))},
         {{"epsilon", 1e-2F}});
  } else {
    node("BatchNormalization", {x, constant(numbers({c}, 0.5, 1.5)), constant(numbers({c}, -1, 1)),
                                constant(numbers({c}, -1, 1)), constant(numbers({c}, 0.5, 1.5))});
  }
}

std::optional<ValueId> NetworkMaker::conv_of(ValueId x, std::int64_t outputs, std::int64_t group,
                                             std::int64_t size, std::int64_t stride, bool keeps) {
  const Shape of = shape(x);
  const std::int64_t height = coin(6) ? between(1, size) : size;
  const std::int64_t dilation = coin(6) ? 2 : 1;
  Integers pads = {height / 2 * dilation, size / 2 * dilation, (height - 1) / 2 * dilation,
                   (size - 1) / 2 * dilation};
  if (keeps) std::swap(pads[0], pads[2]), std::swap(pads[1], pads[3]);
  for (std::int64_t& p : pads)
    p = !keeps && coin(4) ? below(3) : p;
  const Shape w = {outputs, of[1] / group, height, size};
  std::vector<ValueId> inputs = {x, weights(w, of[1] / group * height * size)};
  if (!coin(3)) inputs.push_back(constant(numbers({outputs}, -1, 1)));
  return node("Conv", inputs,
              {{"group", group},
               {"pads", pads},
               {"strides", Integers{stride, coin(6) ? 1 : stride}},
               {"dilations", Integers{dilation, dilation}}});
}

std::int64_t NetworkMaker::channels() {
  constexpr std::int64_t some[] = {1, 2, 3, 5, 8, 16, 16, 24, 32, 48};
  return some[below(10)];
}

void NetworkMaker::conv(ValueId x) {
  const std::int64_t c = shape(x)[1];
  constexpr std::int64_t sizes[] = {1, 1, 3, 3, 3, 5, 2, 7};
  const std::int64_t stride = coin(4) ? 2 : 1;
  if (coin(3)) {
    conv_of(x, c, c, sizes[below(8)], stride, coin());
  } else if (coin(5) && c % 2 == 0) {
    conv_of(x, 2 * between(1, 9), 2, sizes[below(8)], stride, coin());
  } else {
    conv_of(x, channels(), 1, sizes[below(8)], stride, coin());
  }
}

void NetworkMaker::transposed_conv(ValueId x) {
  const std::int64_t c = shape(x)[1], size = between(1, 4), stride = between(1, 3);
  const std::int64_t group = coin(3) ? c : 1, outputs = group == 1 ? channels() : between(1, 2);
  AttributeList attributes = {{"strides", Integers{stride, stride}}, {"group", group}};
  if (size > 2 && coin()) attributes.push_back({"pads", Integers{1, 0, 1, 1}});
  if (stride > 1 && coin(3)) attributes.push_back({"output_padding", Integers{1, 0}});
  if (coin(5)) attributes.push_back({"dilations", Integers{2, 1}});
  std::vector<ValueId> inputs = {x, weights({c, outputs, size, size}, c / group * size)};
  if (coin()) inputs.push_back(constant(numbers({outputs * group}, -1, 1)));
  node("ConvTranspose", inputs, attributes);
}

void NetworkMaker::pool(ValueId x) {
  if (coin(4)) {
    node(coin(4) ? "GlobalMaxPool" : "GlobalAveragePool", {x});
    return;
  }
  const std::int64_t size = between(1, 4), stride = between(1, 2);
  AttributeList attributes = {{"kernel_shape", Integers{size, size}},
                              {"strides", Integers{stride, stride}}};
  if (coin()) attributes.push_back({"pads", Integers(4, size / 2)});
  if (coin(3)) attributes.push_back({"ceil_mode", std::int64_t{1}});
  const bool mean = coin();
  if (mean && coin()) attributes.push_back({"count_include_pad", std::int64_t{1}});
  node(mean ? "AveragePool" : "MaxPool", {x}, attributes);
}

void NetworkMaker::resize(ValueId x) {
  struct Mode {
    const char *mode, *coordinates, *nearest;
  };
  constexpr Mode modes[] = {
      {"nearest", "asymmetric", "floor"},        {"nearest", "half_pixel", "round_prefer_floor"},
      {"linear", "half_pixel", "floor"},         {"linear", "align_corners", "floor"},
      {"linear", "pytorch_half_pixel", "floor"}, {"linear", "asymmetric", "floor"}};
  const Mode& m = modes[below(6)];
  const float up = coin() ? 2.0F : 1.5F;
  const ValueId scales =
      constant(Tensor::of<float>({4}, std::vector<float>{1, 1, coin(4) ? 1.0F : up, up}));
  const ValueId region = constant(Tensor::allocate(DType::F32, {0}));
  node("Resize", {x, region, scales},
       {{"mode", std::string(m.mode)},
        {"coordinate_transformation_mode", std::string(m.coordinates)},
        {"nearest_mode", std::string(m.nearest)}});
}

void NetworkMaker::depth(ValueId x) {
  const Shape of = shape(x);
  if (of[1] % 4 == 0 && coin())
    node("DepthToSpace", {x},
         {{"blocksize", std::int64_t{2}}, {"mode", std::string(coin() ? "DCR" : "CRD")}});
  else if (of[2] % 2 == 0 && of[3] % 2 == 0)
    node("SpaceToDepth", {x}, {{"blocksize", std::int64_t{2}}});
}

void NetworkMaker::block(ValueId x) {
  const std::int64_t c = shape(x)[1];
  if (coin()) {
    const std::int64_t wide = c * between(1, 3);
    const auto a = conv_of(x, wide, 1, 1, 1, true);
    const auto b = a ? node("Relu", {*a}) : std::nullopt;
    const auto d = b ? conv_of(*b, wide, wide, 3, 1, true) : std::nullopt;
    const auto e =
        d ? node("Clip", {*d, constant(Tensor::scalar(0.0F)), constant(Tensor::scalar(6.0F))})
          : std::nullopt;
    const auto f = e ? conv_of(*e, c, 1, 1, 1, true) : std::nullopt;
    if (f && shape(*f) == shape(x)) node("Add", {coin() ? *f : x, coin() ? x : *f});
    return;
  }
  const auto mean = node("GlobalAveragePool", {x});
  const auto low =
      mean ? conv_of(*mean, std::max<std::int64_t>(1, c / 4), 1, 1, 1, true) : std::nullopt;
  const auto bent = low ? node("Relu", {*low}) : std::nullopt;
  const auto high = bent ? conv_of(*bent, c, 1, 1, 1, true) : std::nullopt;
  const auto gate = high ? node(coin() ? "Sigmoid" : "HardSigmoid", {*high}) : std::nullopt;
  if (gate) node("Mul", {x, *gate});
}

}  // namespace rulec::test
