// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "compiler/generate/guess.h"

namespace rulec {
namespace {

// Operand `index` of one node, by the operator's own meaning.
class OperandDraw {
 public:
  OperandDraw(const Spot& spot, const Shape& base, Random& random, const Words& words)
      : spot_(spot), base_(base), random_(random), words_(words) {}

  OperandGuess guess() {
    const std::string& type = spot_.type;
    if (type == "If") return {{}};
    if (type == "Loop" && spot_.index < 2)  // a few turns, that no condition ends
      return {{}, std::vector{spot_.index == 0 ? static_cast<double>(1 + random_.below(3)) : 1.0}};
    if (type == "Scan" && base_.empty()) return {{2, 3}};
    if (spot_.index == 0) return {first(type)};
    if (type == "Conv" || type == "ConvInteger" || type == "QLinearConv" || type == "DeformConv")
      return convolution();
    if (type == "ConvTranspose") return transposed();
    if (type == "BatchNormalization") return {{channels()}, std::nullopt, spot_.index == 4};
    if (type == "InstanceNormalization" || type == "GroupNormalization") return {{channels()}};
    if (type == "LayerNormalization" || type == "RMSNormalization" ||
        type == "SimplifiedLayerNormalization")
      return {behind_axis()};
    if (type == "Gemm") return gemm();
    if (type == "MatMul" || type == "MatMulInteger") return {matmul()};
    if (type == "PRelu") return {one_per_channel()};
    if (type == "Einsum") return {by_equation()};
    if (type == "Clip" || type == "Dropout" || type == "OneHot" || type == "Range" ||
        type == "CumSum" || type == "Trilu")
      return scalar_operand();
    if (type == "QuantizeLinear" || type == "DequantizeLinear" || type == "DynamicQuantizeLinear")
      return {{}, std::nullopt, spot_.index == 1};
    if (auto found = shape_operand()) return *found;
    if (auto found = index_operand()) return *found;
    if (type == "Concat" || type == "Where" || type == "GridSample") return {data()};
    return {beside()};
  }

 private:
  bool coin(int of = 2) { return random_.below(of) == 0; }

  Shape first(const std::string& type) {
    Shape out = base_;
    if (type == "Conv" || type == "ConvTranspose" || type == "MaxPool" || type == "AveragePool" ||
        type == "GlobalAveragePool" || type == "GlobalMaxPool" || type == "Resize" ||
        type == "Upsample" || type == "DepthToSpace" || type == "SpaceToDepth" ||
        type == "InstanceNormalization" || type == "GroupNormalization" || type == "GridSample" ||
        type == "LRN" || (type == "BatchNormalization" && out.size() < 2)) {
      if (out.size() < 3 || type == "DepthToSpace" || type == "SpaceToDepth")
        out = {1 + random_.below(2), 4, 4 + random_.below(4), 4 + random_.below(4)};
      out[1] = type == "DepthToSpace" ? 4 : 2 * (1 + random_.below(2));
      for (std::size_t i = 2; i < out.size(); ++i)
        out[i] = std::max<std::int64_t>(out[i], 4);
      if (type == "SpaceToDepth") out[2] = out[3] = 4;
      return out;
    }
    if (type == "Gemm") return {1 + random_.below(4), 1 + random_.below(4)};
    if (type == "MatMul" && out.empty()) return {2, 3};
    if (type == "Shape" || type == "Size") return out;
    if (type == "TopK" && out.empty()) return {4};
    if (type == "ConstantOfShape") return {std::max<std::int64_t>(1, random_.below(3))};
    return out;
  }

  // Shape of operand `index` when it is known, else of the base.
  Shape of(std::size_t index) const {
    if (index < spot_.operands.size())
      if (const auto shape = spot_.operands[index].static_shape()) return *shape;
    return base_;
  }
  Shape data() const {
    for (std::size_t i = 0; i < spot_.operands.size(); ++i)
      if (spot_.operands[i].static_shape()) return *spot_.operands[i].static_shape();
    return base_;
  }
  std::int64_t channels() const {
    const Shape shape = of(0);
    return shape.size() > 1 ? shape[1] : shape.empty() ? 1 : shape[0];
  }

  Shape kernel(std::int64_t rank) {
    Shape out = spot_.attributes.integers("kernel_shape");
    while (static_cast<std::int64_t>(out.size()) < rank)
      out.push_back(1 + random_.below(3));
    return out;
  }

  OperandGuess convolution() {
    const std::int64_t group = std::max<std::int64_t>(1, spot_.attributes.integer("group", 1));
    if (spot_.index == 1) {
      const Shape x = of(0);
      if (x.size() < 3) return {x};
      Shape out = {group * (1 + random_.below(3)), std::max<std::int64_t>(1, x[1] / group)};
      for (std::int64_t k : kernel(static_cast<std::int64_t>(x.size()) - 2))
        out.push_back(k);
      return {out};
    }
    const Shape w = of(1);
    return {{w.empty() ? 1 : w[0]}};
  }

  OperandGuess transposed() {
    const std::int64_t group = std::max<std::int64_t>(1, spot_.attributes.integer("group", 1));
    if (spot_.index == 1) {
      const Shape x = of(0);
      if (x.size() < 3) return {x};
      Shape out = {x[1], 1 + random_.below(3)};
      for (std::int64_t k : kernel(static_cast<std::int64_t>(x.size()) - 2))
        out.push_back(k);
      return {out};
    }
    const Shape w = of(1);
    return {{w.size() < 2 ? 1 : w[1] * group}};
  }

  Shape behind_axis() const {
    const Shape x = of(0);
    std::int64_t axis = spot_.attributes.integer("axis", -1);
    if (axis < 0) axis += static_cast<std::int64_t>(x.size());
    axis = std::clamp<std::int64_t>(axis, 0, static_cast<std::int64_t>(x.size()));
    return Shape(x.begin() + axis, x.end());
  }

  OperandGuess gemm() {
    const Shape a = of(0), b = of(1);
    if (a.size() != 2) return {a};
    const bool ta = spot_.attributes.integer("transA", 0) != 0;
    const bool tb = spot_.attributes.integer("transB", 0) != 0;
    if (spot_.index == 1) {
      const std::int64_t k = ta ? a[0] : a[1], n = 1 + random_.below(4);
      return {tb ? Shape{n, k} : Shape{k, n}};
    }
    if (b.size() != 2) return {a};
    const std::int64_t m = ta ? a[1] : a[0], n = tb ? b[0] : b[1];
    switch (random_.below(4)) {
      case 0:
        return {{m, n}};
      case 1:
        return {{1, n}};
      default:
        return {{n}};
    }
  }

  Shape matmul() {
    Shape a = of(0);
    if (a.empty()) return a;
    const std::int64_t k = a.back(), n = 1 + random_.below(4);
    if (a.size() == 1 || coin()) return {k, n};
    Shape out = a;
    out[out.size() - 2] = k;
    out.back() = n;
    return out;
  }

  // One size for each letter of the equation.
  Shape by_equation() {
    const std::string equation(spot_.attributes.text("equation", ""));
    const std::size_t comma = equation.find(',');
    const Shape x = of(0);
    if (comma != x.size()) return x;
    Shape out;
    for (std::size_t i = comma + 1; i < equation.size() && equation[i] != '-'; ++i) {
      const std::size_t at = equation.substr(0, comma).find(equation[i]);
      out.push_back(at != equation.npos ? x[at] : 1 + random_.below(4));
    }
    return out;
  }

  Shape one_per_channel() {
    const Shape x = of(0);
    Shape out(x.size() > 1 ? x.size() - 1 : 0, 1);
    if (!out.empty() && coin()) out[0] = x[1];
    return out;
  }

  OperandGuess scalar_operand() {
    if (spot_.type == "OneHot" && spot_.index == 2) return {{2}, std::vector<double>{0, 1}};
    if (spot_.type == "OneHot") return {{}, std::vector<double>{4}};
    if (spot_.type == "Range")
      return {
          {},
          std::vector<double>{spot_.index == 1 ? static_cast<double>(3 + random_.below(4)) : 1.0}};
    if (spot_.type == "CumSum")
      return {{}, std::vector<double>{static_cast<double>(axis_of(of(0)))}};
    if (spot_.type == "Trilu")
      return {{}, std::vector<double>{static_cast<double>(random_.below(3) - 1)}};
    if (spot_.type == "Clip") {
      const double low = static_cast<double>(random_.below(3) - 1);
      return {{},
              std::vector<double>{
                  spot_.index == 1 ? low : low + 1 + static_cast<double>(random_.below(6))}};
    }
    return {{}};
  }

  std::int64_t axis_of(const Shape& shape) {
    return shape.empty() ? 0 : random_.below(static_cast<std::int64_t>(shape.size()));
  }

  static OperandGuess list(const std::vector<std::int64_t>& values) {
    return {{static_cast<std::int64_t>(values.size())},
            std::vector<double>(values.begin(), values.end())};
  }

  // Operands that are sizes, axes, starts and ends.
  std::optional<OperandGuess> shape_operand() {
    const std::string& type = spot_.type;
    const Shape x = of(0);
    const auto rank = static_cast<std::int64_t>(x.size());
    if (!words_.lists.empty() && coin(6))
      if (const auto& some = pick(words_.lists); !some.empty()) return list(some);
    if (type == "Reshape") return list(reshaped(x));
    if (type == "Expand") {
      Shape to = x;
      for (std::int64_t& size : to)
        if (size == 1 && coin()) size = 1 + random_.below(3);
      if (coin(4)) to.insert(to.begin(), 1 + random_.below(2));
      for (std::int64_t& size : to)
        if (coin(4)) size = 1;
      return list(to);
    }
    if (type == "Tile") {
      std::vector<std::int64_t> repeats(x.size(), 1);
      for (std::int64_t& one : repeats)
        if (coin(3)) one = 2;
      return list(repeats);
    }
    if (type == "Squeeze" && spot_.index == 1) {
      std::vector<std::int64_t> ones;
      for (std::int64_t i = 0; i < rank; ++i)
        if (x[static_cast<std::size_t>(i)] == 1 && (ones.empty() || coin())) ones.push_back(i);
      return list(ones);
    }
    if (type == "Unsqueeze" && spot_.index == 1)
      return list({coin() ? random_.below(rank + 1) : -1 - random_.below(rank + 1)});
    if (type.starts_with("Reduce") && spot_.index == 1) {
      const std::int64_t axis = axis_of(x);
      return list({coin() ? axis : axis - rank});
    }
    if (type == "Slice") {
      const std::int64_t size = x.empty() ? 1 : x[0];
      if (spot_.index == 1) return list({random_.below(2) * random_.below(size + 1)});
      if (spot_.index == 2)
        return list({coin() ? std::int64_t{INT64_MAX} : random_.below(size + 1)});
      if (spot_.index == 3) return list({axis_of(x)});
      return list({1 + (coin(4) ? 1 : 0)});
    }
    if (type == "Pad" && spot_.index == 1) {
      std::vector<std::int64_t> pads(2 * x.size(), 0);
      for (std::size_t i = 0; i < pads.size(); ++i)
        if (coin() && (i % x.size() >= 2 || coin(4))) pads[i] = random_.below(3);
      return list(pads);
    }
    if (type == "Pad" && spot_.index == 2)
      return OperandGuess{{}, std::vector<double>{coin() ? 0.0 : 1.0}};
    if (type == "Resize" || type == "Upsample") {
      const bool scales =
          type == "Upsample" || (spot_.opset < 11 ? spot_.index == 1 : spot_.index == 2);
      const bool sizes = type == "Resize" && spot_.index == 3;
      if (!scales && !sizes) return OperandGuess{{0}, std::vector<double>{}};
      std::vector<double> out;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double scale = i < 2 || coin(3) ? 1.0 : coin(3) ? 1.5 : 2.0 + coin(3);
        out.push_back(sizes ? static_cast<double>(x[i]) * (scale == 1.5 ? 1 : scale) : scale);
      }
      const auto count = static_cast<std::int64_t>(out.size());
      return OperandGuess{{count}, std::move(out)};
    }
    if (type == "TopK" && spot_.index == 1) return list({1 + random_.below(2)});
    if (type == "Split" && spot_.index == 1) {
      std::int64_t axis = spot_.attributes.integer("axis", 0);
      if (axis < 0) axis += rank;
      if (axis < 0 || axis >= rank) return list({1, 1});
      const std::int64_t size = x[static_cast<std::size_t>(axis)];
      if (size < 2) return list({size});
      const std::int64_t part = 1 + random_.below(size - 1);
      return list({part, size - part});
    }
    return std::nullopt;
  }

  std::vector<std::int64_t> reshaped(const Shape& x) {
    const std::int64_t count =
        std::accumulate(x.begin(), x.end(), std::int64_t{1}, std::multiplies<>());
    switch (random_.below(6)) {
      case 0:
        return x;
      case 1:
        return {-1};
      case 2: {
        std::vector<std::int64_t> out = x;
        if (!out.empty()) out[random_index(out.size())] = -1;
        return out;
      }
      case 3: {
        std::vector<std::int64_t> out = x;
        out.insert(out.begin() + random_.below(static_cast<std::int64_t>(out.size()) + 1), 1);
        return out;
      }
      case 4: {
        std::vector<std::int64_t> out = x;
        if (!out.empty()) out[0] = 0;
        return out;
      }
      default:
        for (std::int64_t first = 2; first <= count; ++first)
          if (count % first == 0) return {first, count / first};
        return {count};
    }
  }

  // Operands that count along an axis of the first one.
  std::optional<OperandGuess> index_operand() {
    const Shape x = of(0);
    const std::string& type = spot_.type;
    const auto draw_below = [&](std::int64_t bound, std::int64_t count) {
      std::vector<double> out;
      for (std::int64_t i = 0; i < count; ++i)
        out.push_back(static_cast<double>(random_.below(std::max<std::int64_t>(1, bound)) -
                                          (coin(4) ? bound : 0)));
      return out;
    };
    std::int64_t axis = spot_.attributes.integer("axis", 0);
    if (axis < 0) axis += static_cast<std::int64_t>(x.size());
    const std::int64_t size = axis >= 0 && axis < static_cast<std::int64_t>(x.size())
                                  ? x[static_cast<std::size_t>(axis)]
                                  : 1;
    if (type == "Gather" && spot_.index == 1) {
      if (coin()) return OperandGuess{{}, draw_below(size, 1)};
      const std::int64_t count = 1 + random_.below(3);
      if (coin(3)) {
        std::vector<double> range;
        for (std::int64_t i = 0; i < size; ++i)
          range.push_back(static_cast<double>(i));
        return OperandGuess{{size}, std::move(range)};
      }
      return OperandGuess{{count}, draw_below(size, count)};
    }
    if ((type == "GatherElements" || type == "ScatterElements" || type == "Scatter") &&
        spot_.index == 1) {
      const std::int64_t count =
          std::accumulate(x.begin(), x.end(), std::int64_t{1}, std::multiplies<>());
      return OperandGuess{x, draw_below(size, count)};
    }
    if ((type == "GatherND" || type == "ScatterND") && spot_.index == 1)
      return OperandGuess{{2, 1}, draw_below(x.empty() ? 1 : x[0], 2)};
    if (type == "ScatterND" && spot_.index == 2) {
      Shape out = {2};
      out.insert(out.end(), x.begin() + (x.empty() ? 0 : 1), x.end());
      return OperandGuess{out};
    }
    if ((type == "ScatterElements" || type == "Scatter") && spot_.index == 2)
      return OperandGuess{of(1)};
    return std::nullopt;
  }

  // The other operand of something elementwise: as large, or such that it is broadcast.
  Shape beside() {
    const Shape x = data();
    switch (random_.below(6)) {
      case 0:
        return coin() ? Shape{} : Shape{1};
      case 1:
        return x.empty() ? x : Shape{x.back()};
      case 2: {
        if (x.size() < 2) return x;
        Shape out(coin() ? x.size() : x.size() - 1, 1);
        out[out.size() + 1 - x.size()] = x[1];
        return out;
      }
      default:
        return x;
    }
  }

  std::size_t random_index(std::size_t count) {
    return static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(count)));
  }
  template <typename T>
  const T& pick(const std::vector<T>& list) {
    return list[random_index(list.size())];
  }

  const Spot& spot_;
  const Shape& base_;
  Random& random_;
  const Words& words_;
};

}  // namespace

OperandGuess guess_operand(const Spot& spot, const Shape& base, Random& random,
                           const Words& words) {
  return OperandDraw(spot, base, random, words).guess();
}

DType guess_dtype(const OpSchema& schema, const Spot& spot, DType base, Random& random) {
  const std::size_t last = schema.inputs.empty() ? 0 : schema.inputs.size() - 1;
  if (schema.inputs.empty()) return base;
  const Operand& operand = schema.inputs[std::min(spot.index, last)];
  if (!operand.type_parameter.empty() && operand.homogeneous)
    for (std::size_t i = 0; i < spot.operands.size(); ++i)
      if (schema.inputs[std::min(i, last)].type_parameter == operand.type_parameter &&
          spot.operands[i].is_tensor())
        return spot.operands[i].dtype;
  const auto takes = [&](DType dtype) {
    return operand.dtypes.empty() ||
           std::find(operand.dtypes.begin(), operand.dtypes.end(), dtype) != operand.dtypes.end();
  };
  if (takes(base)) return base;
  for (const DType likely : {DType::F32, DType::I64, DType::Bool, DType::U8, DType::I32})
    if (takes(likely)) return likely;
  return operand.dtypes[static_cast<std::size_t>(
      random.below(static_cast<std::int64_t>(operand.dtypes.size())))];
}

}  // namespace rulec
