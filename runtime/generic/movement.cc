// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <numeric>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

namespace rulec::generic {

static Result<Outputs> identity(const Call& call) {
  if (!call.has(0)) return one(Value());
  return one(*call.inputs[0]);
}

static Result<Outputs> reshape(const Call& call) {
  const Tensor& in = call.tensor(0);
  auto wanted = required_integers(call, 1, "shape");
  if (!wanted) return wanted.error();
  const bool allow_zero = call.attributes.integer("allowzero", 0) != 0;
  Shape shape = *wanted;
  std::size_t open = shape.size();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && !allow_zero) {
      if (i >= in.rank()) {
        return make_error("size 0 at axis {} of {} has nothing to copy from {}", i,
                          to_string(*wanted), to_string(in.shape()));
      }
      shape[i] = in.dim(i);
    } else if (shape[i] == -1) {
      if (open != shape.size()) return make_error("{} has -1 twice", to_string(*wanted));
      open = i;
    }
  }
  if (open != shape.size()) {
    shape[open] = 1;
    const auto rest = checked_element_count(shape);
    if (!rest || (*rest == 0 ? in.size() != 0 : in.size() % *rest != 0)) {
      return make_error("{} does not fit {}", to_string(in.shape()), to_string(*wanted));
    }
    shape[open] = *rest == 0 ? 0 : in.size() / *rest;
  }
  if (checked_element_count(shape) != in.size()) {
    return make_error("{} does not fit {}", to_string(in.shape()), to_string(*wanted));
  }
  return one(in.reshaped(std::move(shape)));
}

static Result<Outputs> transpose(const Call& call) {
  const Tensor& in = call.tensor(0);
  Integers permutation = call.attributes.integers("perm");
  if (!call.attributes.has("perm")) {
    permutation.resize(in.rank());
    std::iota(permutation.rbegin(), permutation.rend(), 0);
  }
  auto axes = normalize_axes(permutation, in.rank());
  if (!axes) return axes.error();
  if (axes->size() != in.rank()) {
    return make_error("perm has {} axes, the tensor {}", axes->size(), in.rank());
  }
  return one(transposed(in, Integers(axes->begin(), axes->end())));
}

static Result<Outputs> concat(const Call& call) {
  std::vector<Tensor> parts;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    if (!call.has(i) || !call.inputs[i]->is_tensor()) {
      return make_error("operand {} is not a tensor", i);
    }
    parts.push_back(call.tensor(i));
  }
  // Exporters join shapes of scalars and vectors: a scalar beside vectors is a vector of one.
  const bool vectors =
      std::any_of(parts.begin(), parts.end(), [](const Tensor& part) { return part.rank() == 1; });
  for (Tensor& part : parts) {
    if (vectors && part.rank() == 0) part = part.reshaped({1});
  }
  const Tensor& first = parts[0];
  auto axis = axis_attribute(call, 1, first.rank());
  if (!axis) return axis.error();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    Shape shape = parts[i].shape();
    if (shape.size() == first.rank()) shape[*axis] = first.dim(*axis);
    if (shape != first.shape() || parts[i].dtype() != first.dtype()) {
      return make_error("operand {} ({}{}) does not join operand 0 ({}{}) along axis {}", i,
                        name(parts[i].dtype()), to_string(parts[i].shape()), name(first.dtype()),
                        to_string(first.shape()), *axis);
    }
  }
  return one(concatenated(parts, *axis));
}

static Result<Outputs> split(const Call& call) {
  const Tensor& in = call.tensor(0);
  auto axis = axis_attribute(call, 0, in.rank());
  if (!axis) return axis.error();
  auto given = optional_integers(call, 1, "split");
  if (!given) return given.error();
  const std::int64_t length = in.dim(*axis);
  Integers lengths;
  if (*given) {
    lengths = **given;
  } else {
    const std::int64_t count =
        call.attributes.integer("num_outputs", static_cast<std::int64_t>(call.output_count));
    if (count < 1) return make_error("num_outputs is {}", count);
    const std::int64_t part = (length + count - 1) / count;
    if (part * count != length && call.opset < 18) {
      return make_error("axis {} of {} does not split into {} equal parts", *axis,
                        to_string(in.shape()), count);
    }
    for (std::int64_t i = 0; i < count; ++i) {
      lengths.push_back(std::clamp<std::int64_t>(length - i * part, 0, part));
    }
  }
  std::int64_t sum = 0;
  for (std::int64_t part : lengths) {
    if (part < 0) return make_error("a part has negative length {}", part);
    sum += part;
  }
  if (sum != length) {
    return make_error("the parts add up to {}, axis {} has {}", sum, *axis, length);
  }
  const Integers strides = strides_of(in.shape());
  Outputs out;
  std::int64_t at = 0;
  for (std::int64_t part : lengths) {
    Shape shape = in.shape();
    shape[*axis] = part;
    out.push_back(strided(in, std::move(shape), strides, at * strides[*axis]));
    at += part;
  }
  return out;
}

static Result<Outputs> slice(const Call& call) {
  const Tensor& in = call.tensor(0);
  auto starts = required_integers(call, 1, "starts");
  if (!starts) return starts.error();
  auto ends = required_integers(call, 2, "ends");
  if (!ends) return ends.error();
  auto given_axes = optional_integers(call, 3, "axes");
  if (!given_axes) return given_axes.error();
  auto given_steps = optional_integers(call, 4, "steps");
  if (!given_steps) return given_steps.error();
  Integers all(starts->size());
  std::iota(all.begin(), all.end(), 0);
  auto axes = normalize_axes(given_axes->value_or(all), in.rank());
  if (!axes) return axes.error();
  const Integers steps = given_steps->value_or(Integers(starts->size(), 1));
  if (ends->size() != starts->size() || axes->size() != starts->size() ||
      steps.size() != starts->size()) {
    return make_error("starts, ends, axes and steps differ in length ({}, {}, {}, {})",
                      starts->size(), ends->size(), axes->size(), steps.size());
  }
  Shape shape = in.shape();
  Integers strides = strides_of(shape);
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < axes->size(); ++i) {
    const std::size_t axis = (*axes)[i];
    const std::int64_t length = shape[axis];
    const std::int64_t step = steps[i];
    if (step == 0) return make_error("the step of axis {} is 0", axis);
    const std::int64_t low = step > 0 ? 0 : -1;
    const std::int64_t high = step > 0 ? length : length - 1;
    const auto clamped = [&](std::int64_t at) {
      return std::clamp(at < 0 ? at + length : at, low, std::max(low, high));
    };
    const std::int64_t start = clamped((*starts)[i]);
    const std::int64_t end = clamped((*ends)[i]);
    const std::int64_t distance = step > 0 ? end - start : start - end;
    // A step may be as large as INT64_MAX: divide without adding to it.
    const std::uint64_t stride = step > 0 ? static_cast<std::uint64_t>(step)
                                          : std::uint64_t{0} - static_cast<std::uint64_t>(step);
    shape[axis] =
        distance <= 0
            ? 0
            : static_cast<std::int64_t>((static_cast<std::uint64_t>(distance) - 1) / stride) + 1;
    if (shape[axis] > 0) offset += start * strides[axis];
    strides[axis] = shape[axis] > 1 ? strides[axis] * step : 0;
  }
  return one(strided(in, std::move(shape), strides, offset));
}

static Result<Outputs> squeeze(const Call& call) {
  const Tensor& in = call.tensor(0);
  auto given = optional_integers(call, 1, "axes");
  if (!given) return given.error();
  std::vector<bool> dropped(in.rank(), false);
  if (*given) {
    auto axes = normalize_axes(**given, in.rank());
    if (!axes) return axes.error();
    for (std::size_t axis : *axes) {
      if (in.dim(axis) != 1) {
        return make_error("axis {} of {} is not 1", axis, to_string(in.shape()));
      }
      dropped[axis] = true;
    }
  } else {
    for (std::size_t i = 0; i < in.rank(); ++i)
      dropped[i] = in.dim(i) == 1;
  }
  Shape shape;
  for (std::size_t i = 0; i < in.rank(); ++i) {
    if (!dropped[i]) shape.push_back(in.dim(i));
  }
  return one(in.reshaped(std::move(shape)));
}

static Result<Outputs> unsqueeze(const Call& call) {
  const Tensor& in = call.tensor(0);
  auto given = required_integers(call, 1, "axes");
  if (!given) return given.error();
  const std::size_t rank = in.rank() + given->size();
  auto axes = normalize_axes(*given, rank);
  if (!axes) return axes.error();
  Shape shape(rank, 0);
  for (std::size_t axis : *axes)
    shape[axis] = 1;
  std::size_t from = 0;
  for (std::int64_t& size : shape) {
    if (size == 0) size = in.dim(from++);
  }
  return one(in.reshaped(std::move(shape)));
}

static Result<Outputs> flatten(const Call& call) {
  const Tensor& in = call.tensor(0);
  std::int64_t axis = call.attributes.integer("axis", 1);
  const auto rank = static_cast<std::int64_t>(in.rank());
  if (axis < -rank || axis > rank) return make_error("axis {} of a rank {} tensor", axis, rank);
  if (axis < 0) axis += rank;
  const auto at = static_cast<std::size_t>(axis);
  return one(in.reshaped({element_count(std::span(in.shape()).first(at)),
                          element_count(std::span(in.shape()).subspan(at))}));
}

// `in` repeated along its axes of size 1 until it has `shape`, which it broadcasts to.
static Tensor expanded(const Tensor& in, const Shape& shape) {
  if (in.shape() == shape) return in;
  const Integers own = strides_of(in.shape());
  Integers strides(shape.size(), 0);
  const std::size_t lead = shape.size() - in.rank();
  for (std::size_t i = 0; i < in.rank(); ++i)
    strides[lead + i] = in.dim(i) == 1 ? 0 : own[i];
  return strided(in, shape, strides);
}

static Result<Outputs> expand(const Call& call) {
  const Tensor& in = call.tensor(0);
  auto wanted = required_integers(call, 1, "shape");
  if (!wanted) return wanted.error();
  if (auto fine = check_shape(*wanted); !fine) return fine.error();
  const auto shape = broadcast(in.shape(), *wanted);
  if (!shape) {
    return make_error("{} does not broadcast with {}", to_string(in.shape()), to_string(*wanted));
  }
  if (auto fine = check_shape(*shape); !fine) return fine.error();
  return one(expanded(in, *shape));
}

static Result<Outputs> tile(const Call& call) {
  const Tensor& in = call.tensor(0);
  auto repeats = required_integers(call, 1, "repeats");
  if (!repeats) return repeats.error();
  if (repeats->size() != in.rank()) {
    return make_error("{} repeats for a tensor of rank {}", repeats->size(), in.rank());
  }
  // [a, b] seen as [1, a, 1, b], expanded to [r, a, s, b], read as [r·a, s·b].
  Shape apart, repeated, joined;
  for (std::size_t i = 0; i < in.rank(); ++i) {
    apart.insert(apart.end(), {1, in.dim(i)});
    repeated.insert(repeated.end(), {(*repeats)[i], in.dim(i)});
    joined.push_back((*repeats)[i] * in.dim(i));
  }
  if (auto fine = check_shape(repeated); !fine) return fine.error();
  return one(expanded(in.reshaped(std::move(apart)), repeated).reshaped(std::move(joined)));
}

// The element that padding puts at `at` (outside 0 … length-1), for the modes that copy elements.
static std::int64_t mirrored(std::int64_t at, std::int64_t length, std::string_view mode) {
  if (mode == "edge") return std::clamp<std::int64_t>(at, 0, length - 1);
  const std::int64_t period = mode == "wrap" ? length : std::max<std::int64_t>(2 * length - 2, 1);
  const std::int64_t phase = ((at % period) + period) % period;
  return phase < length ? phase : period - phase;
}

static Result<Outputs> pad(const Call& call) {
  Tensor in = call.tensor(0);
  auto pads = required_integers(call, 1, call.opset < 2 ? "paddings" : "pads");
  if (!pads) return pads.error();
  auto given_axes = optional_integers(call, 3, "axes");
  if (!given_axes) return given_axes.error();
  Integers all(in.rank());
  std::iota(all.begin(), all.end(), 0);
  auto axes = normalize_axes(given_axes->value_or(all), in.rank());
  if (!axes) return axes.error();
  if (pads->size() != 2 * axes->size()) {
    return make_error("{} pads for {} axes", pads->size(), axes->size());
  }
  Integers before(in.rank(), 0), after(in.rank(), 0);
  for (std::size_t i = 0; i < axes->size(); ++i) {
    before[(*axes)[i]] = (*pads)[i];
    after[(*axes)[i]] = (*pads)[axes->size() + i];
  }
  const std::string_view mode = call.attributes.text("mode", "constant");
  if (mode != "constant") {
    if (mode != "edge" && mode != "reflect" && mode != "wrap") {
      return make_error("mode \"{}\" is not known", mode);
    }
    for (std::size_t axis = 0; axis < in.rank(); ++axis) {
      if (before[axis] == 0 && after[axis] == 0) continue;
      const std::int64_t length = in.dim(axis);
      const std::int64_t size = length + before[axis] + after[axis];
      if (size < 0) return make_error("axis {} would have size {}", axis, size);
      if (length == 0 && size > 0) return make_error("axis {} has nothing to repeat", axis);
      Integers source;
      for (std::int64_t i = 0; i < size; ++i) {
        source.push_back(mirrored(i - before[axis], length, mode));
      }
      in = take(in, axis, source);
    }
    return one(std::move(in));
  }
  Tensor value = Tensor::zeros(in.dtype(), {});
  if (call.has(2)) {
    value = call.tensor(2);
    if (value.dtype() != in.dtype() || value.size() != 1) {
      return make_error("the constant is {}{}, the data {}", name(value.dtype()),
                        to_string(value.shape()), name(in.dtype()));
    }
  } else if (call.attributes.has("value") && in.dtype() != DType::String) {
    value.set_number(0, static_cast<double>(call.attributes.number("value", 0)));
  }
  Shape shape = in.shape(), kept = in.shape();
  const Integers from_strides = strides_of(in.shape());
  for (std::size_t i = 0; i < in.rank(); ++i) {
    shape[i] += before[i] + after[i];
    kept[i] += std::min<std::int64_t>(before[i], 0) + std::min<std::int64_t>(after[i], 0);
    if (shape[i] < 0) return make_error("axis {} would have size {}", i, shape[i]);
    kept[i] = std::max<std::int64_t>(kept[i], 0);
  }
  if (auto fine = check_shape(shape); !fine) return fine.error();
  const Integers to_strides = strides_of(shape);
  std::int64_t from = 0, to = 0;
  for (std::size_t i = 0; i < in.rank(); ++i) {
    from += std::max<std::int64_t>(-before[i], 0) * from_strides[i];
    to += std::max<std::int64_t>(before[i], 0) * to_strides[i];
  }
  Tensor out = Tensor::allocate(in.dtype(), std::move(shape));
  fill(out, value);
  copy_strided(in, from, from_strides, out, to, to_strides, kept);
  return one(std::move(out));
}

static Result<Outputs> depth_to_space(const Call& call) {
  const Tensor& in = call.tensor(0);
  const std::int64_t block = call.attributes.integer("blocksize", 0);
  if (in.rank() != 4 || block < 1 || block > 4096 || in.dim(1) % (block * block) != 0) {
    return make_error("{} has no blocks of {}", to_string(in.shape()), block);
  }
  const std::int64_t n = in.dim(0), c = in.dim(1) / (block * block), h = in.dim(2), w = in.dim(3);
  const bool columns_first = call.attributes.text("mode", "DCR") == "CRD";
  const Shape apart =
      columns_first ? Shape{n, c, block, block, h, w} : Shape{n, block, block, c, h, w};
  const Integers order = columns_first ? Integers{0, 1, 4, 2, 5, 3} : Integers{0, 3, 4, 1, 5, 2};
  return one(transposed(in.reshaped(apart), order).reshaped({n, c, h * block, w * block}));
}

static Result<Outputs> space_to_depth(const Call& call) {
  const Tensor& in = call.tensor(0);
  const std::int64_t block = call.attributes.integer("blocksize", 0);
  if (in.rank() != 4 || block < 1 || in.dim(2) % block != 0 || in.dim(3) % block != 0) {
    return make_error("{} has no blocks of {}", to_string(in.shape()), block);
  }
  const std::int64_t n = in.dim(0), c = in.dim(1), h = in.dim(2) / block, w = in.dim(3) / block;
  // CRD (opset 28) keeps a channel's block together; the older DCR puts the block outermost.
  const bool columns_first = call.attributes.text("mode", "DCR") == "CRD";
  const Integers order = columns_first ? Integers{0, 1, 3, 5, 2, 4} : Integers{0, 3, 5, 1, 2, 4};
  return one(transposed(in.reshaped({n, c, h, block, w, block}), order)
                 .reshaped({n, c * block * block, h, w}));
}

static Result<Tensor> dense(const SparseTensor& sparse) {
  if (auto fine = check_shape(sparse.shape); !fine) return fine.error();
  Tensor out = Tensor::zeros(sparse.values.dtype(), sparse.shape);
  const Integers strides = strides_of(sparse.shape);
  const Integers indices = sparse.indices.integers();
  const ElementCopy copy(sparse.values, out);
  const bool flat = sparse.indices.rank() == 1;
  const std::size_t width = flat ? 1 : sparse.shape.size();
  if (indices.size() != width * static_cast<std::size_t>(sparse.values.size())) {
    return make_error("a sparse tensor has {} indices for {} values", indices.size(),
                      sparse.values.size());
  }
  for (std::int64_t i = 0; i < sparse.values.size(); ++i) {
    std::int64_t at = 0;
    for (std::size_t k = 0; k < width; ++k) {
      at += indices[static_cast<std::size_t>(i) * width + k] * (flat ? 1 : strides[k]);
    }
    if (at < 0 || at >= out.size()) return make_error("sparse index {} is out of range", at);
    copy(i, at);
  }
  return out;
}

static Result<Outputs> constant(const Call& call) {
  const Attributes& all = call.attributes;
  if (const auto* value = all.get<Tensor>("value")) return one(*value);
  if (const auto* value = all.get<SparseTensor>("sparse_value")) {
    auto out = dense(*value);
    if (!out) return out.error();
    return one(*std::move(out));
  }
  if (const auto* value = all.get<float>("value_float")) return one(Tensor::scalar(*value));
  if (const auto* value = all.get<std::int64_t>("value_int")) return one(Tensor::scalar(*value));
  if (const auto* value = all.get<std::string>("value_string")) {
    return one(Tensor::of_strings({}, {*value}));
  }
  const auto length = [](const auto& list) {
    return Shape{static_cast<std::int64_t>(list.size())};
  };
  if (const auto* value = all.get<std::vector<float>>("value_floats")) {
    return one(Tensor::of<float>(length(*value), *value));
  }
  if (const auto* value = all.get<Integers>("value_ints")) {
    return one(Tensor::of<std::int64_t>(length(*value), *value));
  }
  if (const auto* value = all.get<std::vector<std::string>>("value_strings")) {
    return one(Tensor::of_strings(length(*value), *value));
  }
  return make_error("none of its value attributes is given");
}

// The same bits under another type of the same width.
static Result<Outputs> bit_cast(const Call& call) {
  const Tensor& in = call.tensor(0);
  const auto dtype = static_cast<DType>(call.attributes.integer("to", 0));
  if (bit_width(dtype) == 0 || bit_width(dtype) != bit_width(in.dtype())) {
    return make_error("{} and {} differ in width", name(in.dtype()), name(dtype));
  }
  const auto owner = std::make_shared<const Tensor>(in);
  return one(Tensor::borrow(dtype, in.shape(), in.bytes(), owner));
}

std::span<const KernelEntry> movement_kernels() {
  static const KernelEntry entries[] = {
      {"", "BitCast", bit_cast},
      {"", "Concat", concat},
      {"", "Constant", constant, 0},
      {"", "DepthToSpace", depth_to_space},
      {"", "Expand", expand, 2},
      {"", "Flatten", flatten},
      {"", "Identity", identity, 1, true},
      {"", "Pad", pad},
      {"", "Reshape", reshape},
      {"", "Slice", slice},
      {"", "SpaceToDepth", space_to_depth},
      {"", "Split", split},
      {"", "Squeeze", squeeze},
      {"", "Tile", tile, 2},
      {"", "Transpose", transpose},
      {"", "Unsqueeze", unsqueeze},
  };
  return entries;
}

}  // namespace rulec::generic
