// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

namespace rulec::generic {

static Result<Outputs> shape(const Call& call) {
  const Shape& sizes = call.tensor(0).shape();
  const auto rank = static_cast<std::int64_t>(sizes.size());
  const auto bound = [&](std::string_view attribute, std::int64_t otherwise) {
    const std::int64_t at = call.attributes.integer(attribute, otherwise);
    return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const std::int64_t start = bound("start", 0);
  const std::int64_t end = std::max(start, bound("end", rank));
  return one(Tensor::of<std::int64_t>(
      {end - start}, std::span(sizes).subspan(static_cast<std::size_t>(start),
                                              static_cast<std::size_t>(end - start))));
}

static Result<Outputs> size(const Call& call) {
  return one(Tensor::scalar<std::int64_t>(call.tensor(0).size()));
}

static Result<Outputs> constant_of_shape(const Call& call) {
  auto wanted = required_integers(call, 0, "shape");
  if (!wanted) return wanted.error();
  if (auto fine = check_shape(*wanted); !fine) return fine.error();
  Tensor value = Tensor::zeros(DType::F32, {1});
  if (const Tensor* given = call.attributes.get<Tensor>("value")) {
    if (given->size() != 1) return make_error("value has {} elements, not one", given->size());
    value = *given;
  }
  Tensor out = Tensor::allocate(value.dtype(), *std::move(wanted));
  fill(out, value);
  return one(std::move(out));
}

static Result<Outputs> range(const Call& call) {
  const Tensor& start = call.tensor(0);
  const Tensor& limit = call.tensor(1);
  const Tensor& delta = call.tensor(2);
  if (start.size() != 1 || limit.size() != 1 || delta.size() != 1 ||
      start.dtype() != limit.dtype() || start.dtype() != delta.dtype()) {
    return make_error("start, limit and delta must be three scalars of one type");
  }
  const DType dtype = start.dtype();
  constexpr double most = 4e9;
  if (is_float(dtype)) {
    const double first = start.number(0), step = delta.number(0);
    const double count = std::max(std::ceil((limit.number(0) - first) / step), 0.0);
    if (!(count < most)) return make_error("delta {} gives no finite range", step);
    Tensor out = Tensor::allocate(dtype, {static_cast<std::int64_t>(count)});
    for (std::int64_t i = 0; i < out.size(); ++i) {
      out.set_number(i, first + static_cast<double>(i) * step);
    }
    return one(std::move(out));
  }
  if (!is_integer(dtype)) return make_error("a range of {} is not defined", name(dtype));
  const std::int64_t first = start.integer(0), step = delta.integer(0);
  if (step == 0) return make_error("delta is 0");
  const double count =
      std::max(std::ceil((limit.number(0) - start.number(0)) / delta.number(0)), 0.0);
  if (!(count < most)) return make_error("the range has {} elements", count);
  Tensor out = Tensor::allocate(dtype, {static_cast<std::int64_t>(count)});
  for (std::int64_t i = 0; i < out.size(); ++i)
    out.set_integer(i, first + i * step);
  return one(std::move(out));
}

std::span<const KernelEntry> shape_kernels() {
  static const KernelEntry entries[] = {
      {"", "ConstantOfShape", constant_of_shape},
      {"", "Range", range, 3},
      {"", "Shape", shape},
      {"", "Size", size},
  };
  return entries;
}

}  // namespace rulec::generic
