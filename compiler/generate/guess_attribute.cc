// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <numeric>

#include "compiler/generate/guess.h"

namespace rulec {
namespace {

class AttributeDraw {
 public:
  AttributeDraw(const Spot& spot, const AttributeSchema& schema, Random& random, const Words& words)
      : spot_(spot), schema_(schema), random_(random), words_(words) {
    if (!spot.operands.empty())
      if (const auto shape = spot.operands[0].static_shape()) {
        shape_ = *shape;
        known_ = true;
      }
    rank_ = static_cast<std::int64_t>(shape_.size());
  }

  std::optional<AttributeValue> draw() {
    switch (schema_.kind) {
      case AttributeKind::Int:
        return integer();
      case AttributeKind::Float:
        return number();
      case AttributeKind::String:
        return text();
      case AttributeKind::Ints:
        return list();
      case AttributeKind::Floats:
        if (schema_.name == "scales") return AttributeValue(std::vector<float>{1, 1, 2, 2});
        return std::nullopt;
      case AttributeKind::Tensor:
        return AttributeValue(Tensor::of<float>({1}, std::vector<float>{1}));
      default:
        return std::nullopt;
    }
  }

 private:
  bool coin(int of = 2) { return random_.below(of) == 0; }
  template <typename T>
  const T& pick(const std::vector<T>& list) {
    return list[static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(list.size())))];
  }
  bool is(std::string_view name) const { return schema_.name == name; }

  std::optional<AttributeValue> integer() {
    if (is("to") || is("dtype") || is("output_dtype")) {
      constexpr DType dtypes[] = {DType::F32, DType::F16, DType::F64,  DType::I32,
                                  DType::I64, DType::U8,  DType::Bool, DType::I8};
      if (is("to") && coin(3) && !spot_.operands.empty() && spot_.operands[0].is_tensor())
        return static_cast<std::int64_t>(spot_.operands[0].dtype);
      return static_cast<std::int64_t>(dtypes[random_.below(8)]);
    }
    if (is("group")) {
      const std::int64_t channels = shape_.size() > 1 ? shape_[1] : 1;
      return coin() ? channels : channels % 2 == 0 ? std::int64_t{2} : std::int64_t{1};
    }
    if (is("num_groups")) return std::int64_t{shape_.size() > 1 && shape_[1] % 2 == 0 ? 2 : 1};
    if (!words_.integers.empty() && coin(3)) return pick(words_.integers);
    if (is("axis") || is("batch_axis") || is("time_axis")) {
      if (!known_ || rank_ == 0) return std::int64_t{0};
      return random_.below(2 * rank_) - rank_;
    }
    if (is("blocksize")) return std::int64_t{2};
    if (is("k") || is("num_outputs") || is("size")) return 1 + random_.below(3);
    if (is("training_mode") || is("stash_type")) return std::nullopt;
    if (is("start") || is("end")) return random_.below(rank_ + 1) - (coin() ? rank_ : 0);
    return random_.below(2);
  }

  std::optional<AttributeValue> number() {
    if (!words_.numbers.empty() && coin(3)) return static_cast<float>(pick(words_.numbers));
    if (!words_.integers.empty() && coin(4)) return static_cast<float>(pick(words_.integers));
    if (is("epsilon")) return coin() ? 1e-3F : 1e-5F;
    if (is("min")) return static_cast<float>(random_.below(3) - 1);
    if (is("max")) return static_cast<float>(2 + random_.below(5));
    return static_cast<float>(random_.uniform(0.1, 2));
  }

  std::optional<AttributeValue> text() {
    static const std::map<std::string_view, std::vector<std::string>> known = {
        {"mode", {"constant", "nearest", "linear", "reflect", "edge", "DCR", "CRD", "cubic"}},
        {"coordinate_transformation_mode",
         {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel",
          "tf_half_pixel_for_nn"}},
        {"nearest_mode", {"round_prefer_floor", "floor", "ceil", "round_prefer_ceil"}},
        {"auto_pad", {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}},
        {"approximate", {"none", "tanh"}},
        {"direction", {"forward", "LEFT", "RIGHT"}},
        {"reduction", {"none", "add", "mul"}},
        {"equation", {"ij,jk->ik", "bij,bjk->bik", "ij->ji", "bhid,bhjd->bhij", "ij,kj->ik"}},
        {"activation", {"Relu", "Sigmoid", "Tanh"}},
    };
    if (!words_.strings.empty() && coin()) return pick(words_.strings);
    const auto found = known.find(schema_.name);
    if (found == known.end()) return std::nullopt;
    return pick(found->second);
  }

  std::optional<AttributeValue> list() {
    using Ints = std::vector<std::int64_t>;
    if (is("axes") && spot_.type == "Unsqueeze")
      return Ints{coin() ? random_.below(rank_ + 1) : -1 - random_.below(rank_ + 1)};
    if (is("axes") && spot_.type == "Squeeze") {
      Ints ones;
      for (std::int64_t i = 0; i < rank_; ++i)
        if (shape_[static_cast<std::size_t>(i)] == 1 && (ones.empty() || coin())) ones.push_back(i);
      return ones;
    }
    if (!words_.lists.empty() && coin(3)) return pick(words_.lists);
    if (rank_ == 0) return std::nullopt;
    const std::int64_t space = std::max<std::int64_t>(0, rank_ - 2);
    if (is("perm")) {
      Ints perm(shape_.size());
      std::iota(perm.begin(), perm.end(), 0);
      for (std::size_t i = perm.size(); coin(5) ? false : i > 1; --i)
        std::swap(perm[i - 1],
                  perm[static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(i)))]);
      return perm;
    }
    if (is("axes")) {
      if (coin(3) && rank_ > 1) return Ints{-2, -1};
      const std::int64_t axis = random_.below(rank_);
      return Ints{coin() ? axis : axis - rank_};
    }
    if (is("pads")) {
      const bool whole = spot_.type == "Pad";
      const auto half = static_cast<std::size_t>(whole ? rank_ : space);
      Ints pads(2 * half, 0);
      const bool spatial = coin();
      if (!coin(4))
        for (std::size_t i = 0; i < pads.size(); ++i)
          if (!whole || !spatial || i % half >= 2) pads[i] = random_.below(3);
      return pads;
    }
    if (is("strides") || is("dilations")) {
      Ints out(static_cast<std::size_t>(space), 1);
      for (std::int64_t& one : out)
        one = 1 + random_.below(2);
      return out;
    }
    if (is("kernel_shape")) {
      Ints out(static_cast<std::size_t>(space), 1);
      for (std::int64_t& one : out)
        one = 1 + random_.below(3);
      return out;
    }
    if (is("starts")) return Ints{random_.below(2) * random_.below(shape_[0] + 1)};
    if (is("ends")) return Ints{coin() ? std::int64_t{INT32_MAX} : random_.below(shape_[0] + 1)};
    if (is("steps")) return Ints{coin(4) ? 2 : 1};
    if (is("split")) {
      std::int64_t axis = spot_.attributes.integer("axis", 0);
      if (axis < 0) axis += rank_;
      if (axis < 0 || axis >= rank_) return std::nullopt;
      const std::int64_t size = shape_[static_cast<std::size_t>(axis)];
      if (size < 2) return Ints{size};
      const std::int64_t part = 1 + random_.below(size - 1);
      return Ints{part, size - part};
    }
    if (is("shape")) return shape_;
    if (is("repeats")) return Ints(shape_.size(), 1 + random_.below(2));
    return std::nullopt;
  }

  const Spot& spot_;
  const AttributeSchema& schema_;
  Random& random_;
  const Words& words_;
  Shape shape_;
  bool known_ = false;
  std::int64_t rank_ = 0;
};

}  // namespace

std::optional<AttributeValue> guess_attribute(const Spot& spot, const AttributeSchema& schema,
                                              Random& random, const Words& words) {
  return AttributeDraw(spot, schema, random, words).draw();
}

}  // namespace rulec
