// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

namespace rulec::generic {
namespace {

// The elements of a tensor as values that compare exactly: doubles, 64-bit integers or strings.
class Keys {
 public:
  explicit Keys(const Tensor& tensor) : tensor_(tensor) {
    if (is_float(tensor.dtype())) {
      numbers_ = tensor.numbers();
    } else if (tensor.dtype() != DType::String) {
      integers_ = tensor.integers();
    }
  }

  // Negative, zero or positive; NaN is above every number and equal to itself.
  int compare(std::int64_t a, std::int64_t b) const {
    const auto i = static_cast<std::size_t>(a), k = static_cast<std::size_t>(b);
    if (!numbers_.empty()) {
      const double x = numbers_[i], y = numbers_[k];
      if (std::isnan(x) || std::isnan(y)) return std::isnan(x) - std::isnan(y);
      return (x > y) - (x < y);
    }
    if (!integers_.empty()) {
      if (tensor_.dtype() == DType::U64) {
        const auto x = static_cast<std::uint64_t>(integers_[i]);
        const auto y = static_cast<std::uint64_t>(integers_[k]);
        return (x > y) - (x < y);
      }
      return (integers_[i] > integers_[k]) - (integers_[i] < integers_[k]);
    }
    const int order = tensor_.strings()[i].compare(tensor_.strings()[k]);
    return (order > 0) - (order < 0);
  }

 private:
  const Tensor& tensor_;
  std::vector<double> numbers_;
  Integers integers_;
};

}  // namespace

static Result<Outputs> top_k(const Call& call) {
  const Tensor& in = call.tensor(0);
  auto axis = axis_attribute(call, -1, in.rank());
  if (!axis) return axis.error();
  auto given = required_integers(call, 1, "k");
  if (!given) return given.error();
  if (!is_float(in.dtype()) && !is_integer(in.dtype())) {
    return make_error("{} cannot be ordered", name(in.dtype()));
  }
  const std::int64_t length = in.dim(*axis);
  if (given->size() != 1 || (*given)[0] < 0 || (*given)[0] > length) {
    return make_error("k is {} for axis {} of {}", given->empty() ? 0 : (*given)[0], *axis,
                      to_string(in.shape()));
  }
  const std::int64_t k = (*given)[0];
  const bool largest = call.attributes.integer("largest", 1) != 0;
  const bool sorted = call.attributes.integer("sorted", 1) != 0;
  Shape shape = in.shape();
  shape[*axis] = k;
  const std::int64_t outer = element_count(std::span(shape).first(*axis));
  const std::int64_t inner = element_count(std::span(shape).subspan(*axis + 1));
  Tensor values = Tensor::allocate(in.dtype(), shape);
  Tensor indices = Tensor::allocate(DType::I64, shape);
  const Keys keys(in);
  const ElementCopy copy(in, values);
  auto* index_of = indices.mutable_data<std::int64_t>();
  Integers order(static_cast<std::size_t>(length));
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) {
      const std::int64_t base = o * length * inner + i;
      std::iota(order.begin(), order.end(), 0);
      const auto first = [&](std::int64_t a, std::int64_t b) {
        const int compared = keys.compare(base + a * inner, base + b * inner);
        if (compared == 0) return a < b;
        return largest ? compared > 0 : compared < 0;
      };
      std::partial_sort(order.begin(), order.begin() + k, order.end(), first);
      // Unsorted results may come in any order: that of the input is as good as any.
      if (!sorted) std::sort(order.begin(), order.begin() + k);
      for (std::int64_t j = 0; j < k; ++j) {
        const std::int64_t to = (o * k + j) * inner + i;
        copy(base + order[static_cast<std::size_t>(j)] * inner, to);
        index_of[to] = order[static_cast<std::size_t>(j)];
      }
    }
  }
  Outputs out;
  out.push_back(std::move(values));
  out.push_back(std::move(indices));
  return out;
}

static Result<Outputs> non_zero(const Call& call) {
  const Tensor& in = call.tensor(0);
  if (in.dtype() == DType::String || is_complex(in.dtype())) {
    return make_error("{} has no zero", name(in.dtype()));
  }
  const std::vector<double> values = in.numbers();
  Integers found;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] != 0) found.push_back(static_cast<std::int64_t>(i));
  }
  const auto count = static_cast<std::int64_t>(found.size());
  Tensor out = Tensor::allocate(DType::I64, {static_cast<std::int64_t>(in.rank()), count});
  auto* to = out.mutable_data<std::int64_t>();
  const Integers strides = strides_of(in.shape());
  for (std::size_t axis = 0; axis < in.rank(); ++axis) {
    for (std::int64_t at : found)
      *to++ = at / strides[axis] % in.dim(axis);
  }
  return one(std::move(out));
}

static Result<Outputs> compress(const Call& call) {
  Tensor in = call.tensor(0);
  const Tensor& condition = call.tensor(1);
  if (condition.dtype() != DType::Bool || condition.rank() != 1) {
    return make_error("the condition must be bool of rank 1");
  }
  std::size_t axis = 0;
  if (call.attributes.has("axis")) {
    auto given = axis_attribute(call, 0, in.rank());
    if (!given) return given.error();
    axis = *given;
  } else {
    in = in.reshaped({in.size()});
  }
  Integers kept;
  for (std::int64_t i = 0; i < std::min(condition.size(), in.dim(axis)); ++i) {
    if (condition.data<std::uint8_t>()[i] != 0) kept.push_back(i);
  }
  return one(take(in, axis, kept));
}

static Result<Outputs> one_hot(const Call& call) {
  const Tensor& indices = call.tensor(0);
  const Tensor& values = call.tensor(2);
  auto depth = integer_operand(call, 1, 0);
  if (!depth) return depth.error();
  auto axis = axis_attribute(call, -1, indices.rank() + 1);
  if (!axis) return axis.error();
  if (*depth < 0 || values.size() != 2 ||
      !(is_float(indices.dtype()) || is_integer(indices.dtype()))) {
    return make_error("depth {}, {} values and {} indices do not make one-hot vectors", *depth,
                      values.size(), name(indices.dtype()));
  }
  Shape shape = indices.shape();
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(*axis), *depth);
  if (auto fine = check_shape(shape); !fine) return fine.error();
  const std::int64_t inner = element_count(std::span(shape).subspan(*axis + 1));
  Tensor out = Tensor::allocate(values.dtype(), std::move(shape));
  const ElementCopy copy(values, out);
  copy.repeat(0, 0, out.size());
  for (std::int64_t i = 0; i < indices.size(); ++i) {
    std::int64_t index = indices.integer(i);
    if (index < 0) index += *depth;
    if (index < 0 || index >= *depth) continue;
    copy(1, (i / inner * *depth + index) * inner + i % inner);
  }
  return one(std::move(out));
}

static Result<Outputs> unique(const Call& call) {
  Tensor in = call.tensor(0);
  if (is_complex(in.dtype())) return make_error("{} cannot be ordered", name(in.dtype()));
  std::size_t axis = 0;
  if (call.attributes.has("axis")) {
    auto given = axis_attribute(call, 0, in.rank());
    if (!given) return given.error();
    axis = *given;
  } else {
    in = in.reshaped({in.size()});
  }
  const std::int64_t count = in.dim(axis);
  const std::int64_t outer = element_count(std::span(in.shape()).first(axis));
  const std::int64_t inner = element_count(std::span(in.shape()).subspan(axis + 1));
  const Keys keys(in);
  const auto compare = [&](std::int64_t a, std::int64_t b) {
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < inner; ++i) {
        const std::int64_t base = o * count * inner + i;
        if (const int c = keys.compare(base + a * inner, base + b * inner); c != 0) return c;
      }
    }
    return 0;
  };
  Integers order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return compare(a, b) < 0; });
  // Runs of equal slices; the sort is stable, so a run begins with its first occurrence.
  std::vector<Integers> groups;
  for (std::int64_t index : order) {
    if (groups.empty() || compare(groups.back()[0], index) != 0) groups.emplace_back();
    groups.back().push_back(index);
  }
  if (call.attributes.integer("sorted", 1) == 0) {
    std::sort(groups.begin(), groups.end(),
              [](const Integers& a, const Integers& b) { return a[0] < b[0]; });
  }
  Integers firsts, inverse(static_cast<std::size_t>(count)), counts;
  for (const Integers& group : groups) {
    for (std::int64_t index : group) {
      inverse[static_cast<std::size_t>(index)] = static_cast<std::int64_t>(firsts.size());
    }
    firsts.push_back(group[0]);
    counts.push_back(static_cast<std::int64_t>(group.size()));
  }
  const auto list = [](const Integers& values) {
    return Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, values);
  };
  Outputs out;
  out.push_back(take(in, axis, firsts));
  out.push_back(list(firsts));
  out.push_back(list(inverse));
  out.push_back(list(counts));
  return out;
}

std::span<const KernelEntry> selection_kernels() {
  static const KernelEntry entries[] = {
      {"", "Compress", compress, 2}, {"", "NonZero", non_zero}, {"", "OneHot", one_hot, 3},
      {"", "TopK", top_k},           {"", "Unique", unique},
  };
  return entries;
}

}  // namespace rulec::generic
