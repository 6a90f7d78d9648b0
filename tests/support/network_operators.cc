// SPDX-License-Identifier: Apache-2.0
// Operators over values of any rank.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "matcher/onnx_infer_node.h"
#include "tests/support/network_maker.h"

namespace rulec::test {

void NetworkMaker::activation(ValueId x) {
  constexpr const char* types[] = {"Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid",
                                   "Neg",  "Abs",     "Elu",  "Erf",       "Softplus"};
  if (coin(6)) {
    node("Clip", {x, constant(Tensor::scalar(static_cast<float>(between(-2, 0)))),
                  constant(Tensor::scalar(static_cast<float>(between(1, 6))))});
    return;
  }
  if (coin(8)) {  // SiLU
    if (const auto gate = node("Sigmoid", {x})) node("Mul", {x, *gate});
    return;
  }
  if (coin(10) && opset_ >= 14) {
    node("HardSwish", {x});
    return;
  }
  node(types[below(10)], {x});
}

bool NetworkMaker::broadcasts(const Shape& a, const Shape& b) const {
  for (std::size_t i = 1; i <= std::min(a.size(), b.size()); ++i) {
    const std::int64_t p = a[a.size() - i], q = b[b.size() - i];
    if (p != q && p != 1 && q != 1) return false;
  }
  return true;
}

std::optional<ValueId> NetworkMaker::partner(ValueId x, bool same) {
  for (int tries = 0; tries < 12; ++tries) {
    const ValueId y = any();
    if (same ? shape(x) == shape(y) : broadcasts(shape(x), shape(y))) return y;
  }
  return std::nullopt;
}

void NetworkMaker::binary(ValueId x) {
  constexpr const char* types[] = {"Add", "Add", "Mul", "Sub", "Max", "Min"};
  const auto y = partner(x, coin());
  if (y) node(types[below(6)], coin() ? std::vector{x, *y} : std::vector{*y, x});
}

void NetworkMaker::with_constant(ValueId x) {
  constexpr const char* types[] = {"Add", "Mul", "Sub", "Div"};
  Shape of = shape(x);
  for (std::int64_t& d : of)
    d = coin() ? 1 : d;
  if (coin(3)) of.erase(of.begin(), of.begin() + below(static_cast<std::int64_t>(of.size()) + 1));
  const ValueId c = constant(numbers(of, 0.5, 1.5));
  const char* type = types[below(4)];
  node(type, coin(4) && type[0] != 'D' ? std::vector{c, x} : std::vector{x, c});
}

void NetworkMaker::concat(ValueId x) {
  const std::int64_t axis = below(rank(x));
  std::vector<ValueId> parts = {x};
  for (std::int64_t more = between(1, 2); more > 0; --more) {
    for (int tries = 0; tries < 8; ++tries) {
      const ValueId y = any();
      Shape a = shape(x), b = shape(y);
      if (a.size() != b.size()) continue;
      a[static_cast<std::size_t>(axis)] = b[static_cast<std::size_t>(axis)];
      if (a != b) continue;
      parts.push_back(y);
      break;
    }
  }
  node("Concat", parts, {{"axis", coin(3) ? axis - rank(x) : axis}});
}

void NetworkMaker::slice(ValueId x) {
  const Shape of = shape(x);
  const std::int64_t axis = below(rank(x)), size = of[static_cast<std::size_t>(axis)];
  std::int64_t start = below(size), end = between(start + 1, size), step = coin(3) ? 2 : 1;
  if (coin(8)) {
    std::swap(start, end);
    --start;
    end = end == 0 ? -size - 1 : end - 1;
    step = -step;
  }
  node("Slice", {x, constant(Integers{start}), constant(Integers{end}), constant(Integers{axis}),
                 constant(Integers{step})});
}

void NetworkMaker::transpose(ValueId x) {
  Integers perm(static_cast<std::size_t>(rank(x)));
  std::iota(perm.begin(), perm.end(), 0);
  for (std::size_t i = perm.size(); i-- > 1;)
    if (!coin(3))
      std::swap(perm[i], perm[static_cast<std::size_t>(below(static_cast<std::int64_t>(i) + 1))]);
  node("Transpose", {x}, {{"perm", perm}});
}

void NetworkMaker::reshape(ValueId x) {
  const Shape of = shape(x);
  Integers to(of.begin(), of.end());
  const std::int64_t axis = below(rank(x));
  const auto at = static_cast<std::size_t>(axis);
  switch (below(5)) {
    case 0:  // one axis into two, and perhaps shuffled
      for (std::int64_t part : {2, 3, 4, 8}) {
        if (to[at] % part != 0 || to[at] == part || to.size() > 4) continue;
        to.insert(to.begin() + axis, part);
        to[at + 1] /= part;
        const auto parted = node("Reshape", {x, constant(to)});
        if (!parted || !coin()) return;
        Integers perm(to.size());
        std::iota(perm.begin(), perm.end(), 0);
        std::swap(perm[at], perm[at + 1]);
        const auto turned = node("Transpose", {*parted}, {{"perm", perm}});
        if (turned && coin()) node("Reshape", {*turned, constant(Integers(of.begin(), of.end()))});
        return;
      }
      return;
    case 1:
      if (at + 1 < to.size()) {
        to[at] *= to[at + 1];
        to.erase(to.begin() + axis + 1);
        if (coin()) to[below(static_cast<std::int64_t>(to.size())) == 0 ? 0 : to.size() - 1] = -1;
        node("Reshape", {x, constant(to)});
      }
      return;
    case 2:
      node("Flatten", {x}, {{"axis", below(rank(x) + 1)}});
      return;
    case 3:
      if (rank(x) < 5) with_axes("Unsqueeze", x, {coin(3) ? -1 : below(rank(x) + 1)}, 13);
      return;
    default:
      if (to[at] == 1 && rank(x) > 1) with_axes("Squeeze", x, {axis}, 13);
      return;
  }
}

void NetworkMaker::reduce(ValueId x) {
  constexpr const char* types[] = {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"};
  Integers axes = {between(rank(x) > 1 ? 1 : 0, rank(x) - 1)};
  if (coin() && axes[0] + 1 < rank(x)) axes.push_back(axes[0] + 1);
  const char* type = types[below(4)];
  with_axes(type, x, axes, std::string_view(type) == "ReduceSum" ? 13 : 18,
            {{"keepdims", below(2)}});
}

void NetworkMaker::split(ValueId x) {
  const std::int64_t axis = below(rank(x)), size = shape(x)[static_cast<std::size_t>(axis)];
  if (size < 2) return;
  const std::int64_t first = coin() && size % 2 == 0 ? size / 2 : between(1, size - 1);
  const Integers parts = {first, size - first};
  if (opset_ >= 13)
    node("Split", {x, constant(parts)}, {{"axis", axis}}, 2);
  else
    node("Split", {x}, {{"axis", axis}, {"split", parts}}, 2);
}

void NetworkMaker::product(ValueId x) {
  const Shape of = shape(x);
  const std::int64_t depth = of.back(), columns = between(1, 40);
  if (of.size() == 2 && coin()) {
    const bool turned = coin();
    std::vector<ValueId> inputs = {
        x, weights(turned ? Shape{columns, depth} : Shape{depth, columns}, depth)};
    if (coin()) inputs.push_back(constant(numbers({coin() ? columns : 1}, -1, 1)));
    node("Gemm", inputs, {{"transB", std::int64_t{turned ? 1 : 0}}});
    return;
  }
  if (of.size() > 1 && coin(3)) {  // of two computed values
    const auto y = partner(x, true);
    if (!y) return;
    Integers perm(of.size());
    std::iota(perm.begin(), perm.end(), 0);
    std::swap(perm[perm.size() - 2], perm.back());
    const auto turned = node("Transpose", {*y}, {{"perm", perm}});
    if (!turned) return;
    const auto scores = node("MatMul", {x, *turned});
    if (!scores) return;
    const auto scaled = node("Mul", {*scores, constant(Tensor::scalar(static_cast<float>(
                                                  1 / std::sqrt(static_cast<double>(depth)))))});
    if (!scaled || !coin()) return;
    const auto weight = node("Softmax", {*scaled}, {{"axis", std::int64_t{-1}}});
    if (weight) node("MatMul", {*weight, coin() ? x : *y});
    return;
  }
  const auto y = node("MatMul", {x, weights({depth, columns}, depth)});
  if (y && coin()) node("Add", {*y, constant(numbers({columns}, -1, 1))});
}

void NetworkMaker::pad(ValueId x) {
  const std::int64_t r = rank(x);
  Integers pads(static_cast<std::size_t>(2 * r), 0);
  const std::int64_t axis = below(r);
  pads[static_cast<std::size_t>(axis)] = between(0, 2);
  pads[static_cast<std::size_t>(axis + r)] = between(coin(4) ? -1 : 0, 2);
  constexpr const char* modes[] = {"constant", "constant", "reflect", "edge"};
  const std::string mode = modes[below(4)];
  if (mode == "reflect" && shape(x)[static_cast<std::size_t>(axis)] < 3) return;
  std::vector<ValueId> inputs = {x, constant(pads)};
  if (mode == "constant" && coin())
    inputs.push_back(constant(Tensor::scalar(static_cast<float>(between(-1, 1)))));
  node("Pad", inputs, {{"mode", mode}});
}

void NetworkMaker::softmax(ValueId x) {
  node(coin(5) ? "LogSoftmax" : "Softmax", {x},
       {{"axis", opset_ >= 13 ? below(rank(x)) : rank(x) - 1}});
}

void NetworkMaker::norm(ValueId x) {
  const std::int64_t last = shape(x).back();
  if (last < 3) return;
  if (opset_ >= 17 && coin()) {
    node("LayerNormalization",
         {x, constant(numbers({last}, 0.5, 1.5)), constant(numbers({last}, -1, 1))},
         {{"epsilon", 1e-3F}});
    return;
  }
  const auto mean = with_axes("ReduceMean", x, {-1}, 18);
  const auto centred = mean ? node("Sub", {x, *mean}) : std::nullopt;
  const auto squares = centred ? node("Mul", {*centred, *centred}) : std::nullopt;
  const auto variance = squares ? with_axes("ReduceMean", *squares, {-1}, 18) : std::nullopt;
  const auto moved =
      variance ? node("Add", {*variance, constant(Tensor::scalar(1e-3F))}) : std::nullopt;
  const auto deviation = moved ? node("Sqrt", {*moved}) : std::nullopt;
  const auto normal = deviation ? node("Div", {*centred, *deviation}) : std::nullopt;
  if (normal) node("Mul", {*normal, constant(numbers({last}, 0.5, 1.5))});
}

void NetworkMaker::gather(ValueId x) {
  const std::int64_t axis = below(rank(x)), size = shape(x)[static_cast<std::size_t>(axis)];
  Integers indices(static_cast<std::size_t>(between(1, 4)));
  for (std::int64_t& i : indices)
    i = between(-size, size - 1);
  const ValueId at = coin(3) ? constant(Tensor::scalar(indices[0])) : constant(indices);
  node("Gather", {x, at}, {{"axis", axis}});
}

void NetworkMaker::expand(ValueId x) {
  Integers to = shape(x);
  for (std::int64_t& d : to)
    d = d == 1 && coin() ? between(1, 4) : coin(3) ? 1 : d;
  if (to.size() < 4 && coin(3)) to.insert(to.begin(), 2);
  node("Expand", {x, constant(to)});
}

void NetworkMaker::scatter(ValueId x) {
  Shape of = shape(x);
  Integers rows(static_cast<std::size_t>(of[0]));
  std::iota(rows.begin(), rows.end(), 0);
  const std::int64_t first = below(of[0]), step = between(1, 2);
  Integers chosen;
  for (std::int64_t row = first; row < of[0]; row += coin(5) ? step + 1 : step)
    chosen.push_back(coin(4) ? row - of[0] : row);
  const auto count = static_cast<std::int64_t>(chosen.size());
  of[0] = count;
  node("ScatterND",
       {x, constant(Tensor::of<std::int64_t>({count, 1}, chosen)), constant(numbers(of, -1, 1))});
}

void NetworkMaker::composite(ValueId x) {
  const auto number = [&](float v) { return constant(Tensor::scalar(v)); };
  if (coin()) {  // GELU
    const auto a = node("Div", {x, number(1.41421356F)});
    const auto b = a ? node("Erf", {*a}) : std::nullopt;
    const auto c = b ? node("Add", {*b, number(1)}) : std::nullopt;
    const auto d = c ? node("Mul", {x, *c}) : std::nullopt;
    if (d) node("Mul", {*d, number(0.5F)});
  } else if (coin()) {  // HardSwish
    const auto a = node("Add", {x, number(3)});
    const auto b = a ? node("Clip", {*a, number(0), number(6)}) : std::nullopt;
    const auto c = b ? node("Mul", {x, *b}) : std::nullopt;
    if (c) node("Div", {*c, number(6)});
  } else {  // an input chooses, whose numbers are not rounded
    const ValueId input = model_.graph(model_.main()).inputs[0];
    if (shape(input) != shape(x)) return;
    const NodeId above = model_.add_node(model_.main(), {.name = model_.fresh_node_name("Greater"),
                                                         .type = "Greater",
                                                         .inputs = {input, number(0.25F)}});
    const NodeId one[] = {above};
    if (infer_node_types(model_, one))
      node("Where", {model_.node(above).outputs[0], x, number(-1)});
  }
}

void NetworkMaker::recurrent(ValueId x) {  // [time, batch, features]
  const Shape of = shape(x);
  const bool lstm = coin();
  const std::int64_t gates = lstm ? 4 : 3, hidden = between(1, 20), sides = coin(3) ? 2 : 1;
  AttributeList attributes = {{"hidden_size", hidden},
                              {"direction", std::string(sides == 2 ? "bidirectional"
                                                        : coin()   ? "forward"
                                                                   : "reverse")}};
  if (!lstm && coin()) attributes.push_back({"linear_before_reset", std::int64_t{1}});
  std::vector<ValueId> inputs = {x, weights({sides, gates * hidden, of[2]}, of[2]),
                                 weights({sides, gates * hidden, hidden}, hidden)};
  if (coin()) inputs.push_back(constant(numbers({sides, 2 * gates * hidden}, -0.5, 0.5)));
  node(lstm ? "LSTM" : "GRU", inputs, attributes,
       static_cast<std::size_t>(between(1, lstm ? 3 : 2)));
}

void NetworkMaker::conv_of_signal(ValueId x) {  // [batch, channels, length]
  const Shape of = shape(x);
  const std::int64_t size = between(1, 5), group = coin(3) ? of[1] : 1;
  const std::int64_t outputs = group == 1 ? channels() : of[1];
  node("Conv", {x, weights({outputs, of[1] / group, size}, of[1] / group * size)},
       {{"group", group},
        {"pads", Integers{size / 2, below(size)}},
        {"strides", Integers{between(1, 2)}}});
}

}  // namespace rulec::test
