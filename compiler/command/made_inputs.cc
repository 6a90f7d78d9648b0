// SPDX-License-Identifier: Apache-2.0
// Inputs made up by a seed.
#include <algorithm>
#include <cmath>

#include "compiler/command/interface.h"
#include "matcher/random.h"
#include "runtime/convert.h"

namespace rulec::command {

namespace {

// Sizes for unknown dimensions.
class Sizes {
 public:
  // `all`: every input, so that a symbol has one size wherever it stands.
  Sizes(const std::vector<Formal>& all, const std::vector<Formal>& like) : like_(like) {
    for (const Formal& formal : all)
      if (formal.type.dims)
        for (std::size_t axis = 0; axis < formal.type.dims->size(); ++axis) {
          const Dim& dim = (*formal.type.dims)[axis];
          if (dim.known() || dim.symbol.empty() || named_.contains(dim.symbol)) continue;
          named_[dim.symbol] = size_at(formal, axis);
        }
  }

  Shape shape(const Formal& formal) const {
    Shape out;
    if (!formal.type.dims) {
      const Formal* twin = twin_of(formal.name);
      return twin != nullptr && twin->type.dims ? shape(*twin) : Shape{};
    }
    for (std::size_t axis = 0; axis < formal.type.dims->size(); ++axis) {
      const Dim& dim = (*formal.type.dims)[axis];
      if (dim.known())
        out.push_back(dim.size);
      else if (!dim.symbol.empty() && named_.contains(dim.symbol))
        out.push_back(named_.at(dim.symbol));
      else
        out.push_back(size_at(formal, axis));
    }
    return out;
  }

 private:
  const Formal* twin_of(const std::string& name) const {
    for (const Formal& formal : like_)
      if (formal.name == name) return &formal;
    return nullptr;
  }

  std::int64_t size_at(const Formal& formal, std::size_t axis) const {
    const std::vector<Dim>& dims = *formal.type.dims;
    const Formal* twin = twin_of(formal.name);
    if (twin != nullptr && twin->type.dims && axis < twin->type.dims->size() &&
        (*twin->type.dims)[axis].known())
      return (*twin->type.dims)[axis].size;
    if (axis == 0 && dims.size() > 1) return 1;  // a batch
    if (dims.size() >= 4) {                      // a picture, or its channels
      const bool channels_last = dims.back().size == 1 || dims.back().size == 3;
      const bool channels = channels_last ? axis + 1 == dims.size() : axis == 1;
      return channels ? 3 : 64;
    }
    // A signal, more likely than a row of features: those have a known size.
    if (dims.size() == 2 && is_float(formal.type.dtype)) return 512;
    return 8;
  }

  const std::vector<Formal>& like_;
  std::map<std::string, std::int64_t> named_;
};

}  // namespace

static constexpr int distributions = 6;

static double draw_float(Random& random, int kind) {
  switch (kind) {
    case 0:
      return random.normal();
    case 1:
      return random.uniform();
    case 2:
      return random.uniform(-1, 1);
    case 3:
      return 0;
    case 4:
      return 1;
    default:
      return static_cast<double>(random.below(7) - 3);
  }
}

// Indices and token ids as well as counts: small, never negative.
static std::int64_t draw_integer(Random& random, int kind) {
  constexpr std::int64_t bounds[distributions] = {2, 10, 4, 1, 0, 30};
  return bounds[kind] == 0 ? 1 : random.below(bounds[kind]);
}

// Pictures: a slope with a little noise, noise, dark, black, white, bright.
static std::int64_t draw_byte(Random& random, int kind, std::int64_t index, std::int64_t count) {
  switch (kind) {
    case 0:
      return (223 * index) / std::max<std::int64_t>(1, count) + random.below(32);
    case 1:
      return random.below(256);
    case 2:
      return random.below(64);
    case 3:
      return 0;
    case 4:
      return 255;
    default:
      return 160 + random.below(96);
  }
}

static Tensor draw(DType dtype, const Shape& shape, Random& random, int kind) {
  if (dtype == DType::String) {
    constexpr std::string_view words[] = {"", "a", "rule", "graph", "tensor"};
    std::vector<std::string> strings;
    for (std::int64_t i = 0; i < element_count(shape); ++i)
      strings.emplace_back(words[random.below(5)]);
    return Tensor::of_strings(shape, std::move(strings));
  }
  Tensor tensor = Tensor::allocate(dtype, shape);
  const std::int64_t count = tensor.size();
  if (dtype == DType::C64 || dtype == DType::C128) {
    for (std::int64_t i = 0; i < 2 * count; ++i)
      if (dtype == DType::C64)
        tensor.mutable_data<float>()[i] = static_cast<float>(draw_float(random, kind));
      else
        tensor.mutable_data<double>()[i] = draw_float(random, kind);
    return tensor;
  }
  if (is_float(dtype)) {
    std::vector<double> values(static_cast<std::size_t>(count));
    for (double& value : values)
      value = draw_float(random, kind);
    store_numbers(tensor, 0, values);
    return tensor;
  }
  std::vector<std::int64_t> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::Bool)
      values[i] = kind == 3 ? 0 : kind == 4 ? 1 : random.below(2);
    else if (dtype == DType::U8)
      values[i] = draw_byte(random, kind, static_cast<std::int64_t>(i), count);
    else if (dtype == DType::I8)
      values[i] = draw_byte(random, kind, static_cast<std::int64_t>(i), count) - 128;
    else if (bit_width(dtype) < 8)
      values[i] = random.below(2);
    else
      values[i] = draw_integer(random, kind);
  }
  store_integers(tensor, 0, values);
  return tensor;
}

static Result<Value> make_value(const std::string& name, const Type& type, const Shape& shape,
                                Random& random, int kind) {
  switch (type.kind) {
    case Type::Kind::Tensor:
      if (type.dtype == DType::Undefined) break;
      if (!checked_element_count(shape) || element_count(shape) > (std::int64_t{1} << 31))
        return make_error("input `{}` of shape {} is too large to be made up", name,
                          to_string(shape));
      return Value(draw(type.dtype, shape, random, kind));
    case Type::Kind::Sequence: {
      if (!type.element) break;
      auto items = std::make_shared<std::vector<Value>>();
      for (int i = 0; i < 2; ++i) {
        auto item = make_value(name, *type.element,
                               Sizes({}, {}).shape({name, *type.element, false}), random, kind);
        if (!item) return item.error();
        items->push_back(std::move(*item));
      }
      return Value(Sequence{type.element->dtype, std::move(items)});
    }
    case Type::Kind::Optional: {
      if (!type.element) break;
      auto held = make_value(name, *type.element, Sizes({}, {}).shape({name, *type.element, false}),
                             random, kind);
      if (!held) return held.error();
      return Value(Optional{std::make_shared<const Value>(std::move(*held))});
    }
    default:
      break;
  }
  return make_error("input `{}` of type {} cannot be made up; give it", name, to_string(type));
}

static Result<Value> make(const Formal& input, const Sizes& sizes, std::uint64_t seed, int trial) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a: inputs do not depend on one another
  for (const char c : input.name)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  Random random(seed ^ hash ^ (static_cast<std::uint64_t>(trial) << 48));
  return make_value(input.name, input.type, sizes.shape(input), random, trial % distributions);
}

Result<Value> make_input(const Formal& input, const std::vector<Formal>& all, std::uint64_t seed,
                         int trial) {
  return make(input, Sizes(all, {}), seed, trial);
}

Result<Named> make_inputs(const std::vector<Formal>& inputs, std::uint64_t seed, int trial,
                          const std::vector<Formal>& like) {
  const Sizes sizes(inputs, like);
  Named out;
  for (const Formal& input : inputs) {
    if (input.has_default) continue;
    auto value = make(input, sizes, seed, trial);
    if (!value) return value.error();
    out.emplace_back(input.name, std::move(*value));
  }
  return out;
}

}  // namespace rulec::command
