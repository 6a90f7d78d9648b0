// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

namespace rulec::generic {

static Result<Outputs> gather(const Call& call) {
  const Tensor& in = call.tensor(0);
  const Tensor& indices = call.tensor(1);
  auto axis = axis_attribute(call, 0, in.rank());
  if (!axis) return axis.error();
  auto wrapped = wrapped_indices(indices, in.dim(*axis));
  if (!wrapped) return wrapped.error();
  Shape shape = in.shape();
  shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(*axis));
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(*axis), indices.shape().begin(),
               indices.shape().end());
  if (auto fine = check_shape(shape); !fine) return fine.error();
  return one(take(in, *axis, *wrapped).reshaped(std::move(shape)));
}

// Calls visit(flat position in `shape`, flat position of the same index in a tensor with `strides`
// where axis `axis` is set to 0) for every element in order.
template <typename Visit>
static void each_line(const Shape& shape, const Integers& strides, std::size_t axis, Visit visit) {
  const std::int64_t count = element_count(shape);
  Integers index(shape.size(), 0);
  std::int64_t base = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    visit(i, base);
    for (std::size_t k = shape.size(); k-- > 0;) {
      const std::int64_t stride = k == axis ? 0 : strides[k];
      base += stride;
      if (++index[k] < shape[k]) break;
      base -= stride * shape[k];
      index[k] = 0;
    }
  }
}

// Whether `part` lies within `whole` in every axis but `axis`.
static bool fits_beside(const Shape& part, const Shape& whole, std::size_t axis) {
  if (part.size() != whole.size()) return false;
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (i != axis && part[i] > whole[i]) return false;
  }
  return true;
}

static Result<Outputs> gather_elements(const Call& call) {
  const Tensor& in = call.tensor(0);
  const Tensor& indices = call.tensor(1);
  auto axis = axis_attribute(call, 0, in.rank());
  if (!axis) return axis.error();
  if (!fits_beside(indices.shape(), in.shape(), *axis)) {
    return make_error("indices {} do not fit data {}", to_string(indices.shape()),
                      to_string(in.shape()));
  }
  auto wrapped = wrapped_indices(indices, in.dim(*axis));
  if (!wrapped) return wrapped.error();
  Tensor out = Tensor::allocate(in.dtype(), indices.shape());
  const ElementCopy copy(in, out);
  const Integers strides = strides_of(in.shape());
  each_line(indices.shape(), strides, *axis, [&](std::int64_t i, std::int64_t base) {
    copy(base + (*wrapped)[static_cast<std::size_t>(i)] * strides[*axis], i);
  });
  return one(std::move(out));
}

// Flat positions of the tuples that the last axis of `indices` holds, counted in slices of the
// axes below; the tuples index axes skip … skip+k-1 of `shape`.
static Result<Integers> tuple_positions(const Tensor& indices, const Shape& shape,
                                        std::size_t skip) {
  if (indices.rank() == 0 || !is_integer(indices.dtype())) {
    return make_error("indices must be integers of rank 1 or more");
  }
  const std::int64_t width = indices.shape().back();
  if (width < 0 || skip + static_cast<std::size_t>(width) > shape.size()) {
    return make_error("indices {} are too long for data {}", to_string(indices.shape()),
                      to_string(shape));
  }
  const std::int64_t tuples = element_count(std::span(indices.shape()).first(indices.rank() - 1));
  const Integers flat = indices.integers();
  Integers out;
  out.reserve(static_cast<std::size_t>(tuples));
  for (std::int64_t t = 0; t < tuples; ++t) {
    std::int64_t at = 0;
    for (std::int64_t k = 0; k < width; ++k) {
      const std::int64_t size = shape[skip + static_cast<std::size_t>(k)];
      const std::int64_t index = flat[static_cast<std::size_t>(t * width + k)];
      if (index < -size || index >= size) {
        return make_error("index {} is out of range for {} elements", index, size);
      }
      at = at * size + (index < 0 ? index + size : index);
    }
    out.push_back(at);
  }
  return out;
}

static Result<Outputs> gather_nd(const Call& call) {
  const Tensor& in = call.tensor(0);
  const Tensor& indices = call.tensor(1);
  const std::int64_t given = call.attributes.integer("batch_dims", 0);
  if (given < 0 || given >= static_cast<std::int64_t>(std::min(in.rank(), indices.rank()))) {
    if (given != 0) return make_error("batch_dims is {}", given);
  }
  const auto batch = static_cast<std::size_t>(given);
  if (!std::equal(in.shape().begin(), in.shape().begin() + given, indices.shape().begin())) {
    return make_error("data {} and indices {} differ in their batch axes", to_string(in.shape()),
                      to_string(indices.shape()));
  }
  auto positions = tuple_positions(indices, in.shape(), batch);
  if (!positions) return positions.error();
  const auto width = static_cast<std::size_t>(indices.shape().back());
  Shape shape(indices.shape().begin(), indices.shape().end() - 1);
  shape.insert(shape.end(), in.shape().begin() + static_cast<std::ptrdiff_t>(batch + width),
               in.shape().end());
  if (auto fine = check_shape(shape); !fine) return fine.error();
  const std::int64_t batches = element_count(std::span(in.shape()).first(batch));
  const std::int64_t slices = element_count(std::span(in.shape()).subspan(batch, width));
  const std::int64_t inner = element_count(std::span(in.shape()).subspan(batch + width));
  Tensor out = Tensor::allocate(in.dtype(), std::move(shape));
  const ElementCopy copy(in, out);
  const auto count = static_cast<std::int64_t>(positions->size());
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t b =
        i / std::max<std::int64_t>(count / std::max<std::int64_t>(batches, 1), 1);
    copy((b * slices + (*positions)[static_cast<std::size_t>(i)]) * inner, i * inner, inner);
  }
  return one(std::move(out));
}

namespace {
enum class Reduction { None, Add, Mul, Min, Max };
}

static Result<Reduction> reduction_of(const Call& call, DType dtype) {
  const std::string_view text = call.attributes.text("reduction", "none");
  if (text == "none") return Reduction::None;
  if (!is_float(dtype) && !is_integer(dtype)) {
    return make_error("reduction \"{}\" of {} is not supported", text, name(dtype));
  }
  if (text == "add") return Reduction::Add;
  if (text == "mul") return Reduction::Mul;
  if (text == "min") return Reduction::Min;
  if (text == "max") return Reduction::Max;
  return make_error("reduction \"{}\" is not known", text);
}

template <typename T>
static T combined(Reduction reduction, T old, T update) {
  switch (reduction) {
    case Reduction::Add:
      return static_cast<T>(old + update);
    case Reduction::Mul:
      return static_cast<T>(old * update);
    case Reduction::Min:
      return update < old || update != update ? update : old;
    case Reduction::Max:
      return update > old || update != update ? update : old;
    case Reduction::None:
      break;
  }
  return update;
}

// out[to …] ⊕= updates[from …], with integers in 64 bits (wrapping) and floats in double.
static void combine(Reduction reduction, const Tensor& updates, std::int64_t from, Tensor& out,
                    std::int64_t to, std::int64_t count) {
  if (reduction == Reduction::None) {
    ElementCopy(updates, out)(from, to, count);
    return;
  }
  const bool unsigned64 = out.dtype() == DType::U64 || reduction == Reduction::Add ||
                          reduction == Reduction::Mul;  // modulo 2^64 suits both signs
  for (std::int64_t i = 0; i < count; ++i) {
    if (is_float(out.dtype())) {
      out.set_number(to + i, combined(reduction, out.number(to + i), updates.number(from + i)));
    } else if (unsigned64) {
      out.set_integer(to + i, static_cast<std::int64_t>(combined(
                                  reduction, static_cast<std::uint64_t>(out.integer(to + i)),
                                  static_cast<std::uint64_t>(updates.integer(from + i)))));
    } else {
      out.set_integer(to + i, combined(reduction, out.integer(to + i), updates.integer(from + i)));
    }
  }
}

static Result<Outputs> scatter_elements(const Call& call) {
  const Tensor& in = call.tensor(0);
  const Tensor& indices = call.tensor(1);
  const Tensor& updates = call.tensor(2);
  auto axis = axis_attribute(call, 0, in.rank());
  if (!axis) return axis.error();
  if (!fits_beside(indices.shape(), in.shape(), *axis) || updates.shape() != indices.shape() ||
      updates.dtype() != in.dtype()) {
    return make_error("indices {} and updates {}{} do not fit data {}{}",
                      to_string(indices.shape()), name(updates.dtype()), to_string(updates.shape()),
                      name(in.dtype()), to_string(in.shape()));
  }
  auto wrapped = wrapped_indices(indices, in.dim(*axis));
  if (!wrapped) return wrapped.error();
  auto reduction = reduction_of(call, in.dtype());
  if (!reduction) return reduction.error();
  Tensor out = cloned(in);
  const Integers strides = strides_of(in.shape());
  each_line(indices.shape(), strides, *axis, [&](std::int64_t i, std::int64_t base) {
    combine(*reduction, updates, i, out,
            base + (*wrapped)[static_cast<std::size_t>(i)] * strides[*axis], 1);
  });
  return one(std::move(out));
}

static Result<Outputs> scatter_nd(const Call& call) {
  const Tensor& in = call.tensor(0);
  const Tensor& indices = call.tensor(1);
  const Tensor& updates = call.tensor(2);
  auto positions = tuple_positions(indices, in.shape(), 0);
  if (!positions) return positions.error();
  const auto width = static_cast<std::size_t>(indices.shape().back());
  Shape expected(indices.shape().begin(), indices.shape().end() - 1);
  expected.insert(expected.end(), in.shape().begin() + static_cast<std::ptrdiff_t>(width),
                  in.shape().end());
  if (updates.shape() != expected || updates.dtype() != in.dtype()) {
    return make_error("updates {}{} should be {}{}", name(updates.dtype()),
                      to_string(updates.shape()), name(in.dtype()), to_string(expected));
  }
  auto reduction = reduction_of(call, in.dtype());
  if (!reduction) return reduction.error();
  const std::int64_t inner = element_count(std::span(in.shape()).subspan(width));
  Tensor out = cloned(in);
  for (std::size_t i = 0; i < positions->size(); ++i) {
    combine(*reduction, updates, static_cast<std::int64_t>(i) * inner, out, (*positions)[i] * inner,
            inner);
  }
  return one(std::move(out));
}

static Result<Outputs> tensor_scatter(const Call& call) {
  const Tensor& past = call.tensor(0);
  const Tensor& update = call.tensor(1);
  auto axis = axis_attribute(call, -2, past.rank());
  if (!axis) return axis.error();
  Shape same = update.shape();
  if (same.size() == past.rank()) same[*axis] = past.dim(*axis);
  if (*axis == 0 || same != past.shape() || update.dim(*axis) > past.dim(*axis) ||
      update.dtype() != past.dtype()) {
    return make_error("update {} does not fit the cache {} along axis {}",
                      to_string(update.shape()), to_string(past.shape()), *axis);
  }
  const std::int64_t length = past.dim(*axis), count = update.dim(*axis);
  Integers begin(static_cast<std::size_t>(past.dim(0)), 0);
  if (call.has(2)) {
    auto wrapped = wrapped_indices(call.tensor(2), std::max<std::int64_t>(length, 1));
    if (!wrapped) return wrapped.error();
    if (wrapped->size() != begin.size()) {
      return make_error("{} write indices for a batch of {}", wrapped->size(), begin.size());
    }
    begin = *std::move(wrapped);
  }
  const bool circular = call.attributes.text("mode", "linear") == "circular";
  const std::int64_t middle = element_count(std::span(past.shape()).subspan(1, *axis - 1));
  const std::int64_t inner = element_count(std::span(past.shape()).subspan(*axis + 1));
  Tensor out = cloned(past);
  const ElementCopy copy(update, out);
  for (std::int64_t o = 0; o < past.dim(0) * middle; ++o) {
    for (std::int64_t s = 0; s < count; ++s) {
      std::int64_t at = begin[static_cast<std::size_t>(o / middle)] + s;
      if (circular) at %= length;
      if (at >= length) return make_error("write index {} is past the cache's {}", at, length);
      copy((o * count + s) * inner, (o * length + at) * inner, inner);
    }
  }
  return one(std::move(out));
}

static Result<Outputs> reverse_sequence(const Call& call) {
  const Tensor& in = call.tensor(0);
  auto batch = axis_attribute(call, 1, in.rank(), "batch_axis");
  if (!batch) return batch.error();
  auto time = axis_attribute(call, 0, in.rank(), "time_axis");
  if (!time) return time.error();
  auto lengths = required_integers(call, 1, "sequence_lens");
  if (!lengths) return lengths.error();
  if (*batch == *time || static_cast<std::int64_t>(lengths->size()) != in.dim(*batch)) {
    return make_error("{} lengths for batch axis {} of {}", lengths->size(), *batch,
                      to_string(in.shape()));
  }
  Tensor out = cloned(in);
  const Integers strides = strides_of(in.shape());
  Shape slice = in.shape();
  slice[*batch] = 1;
  for (std::int64_t b = 0; b < in.dim(*batch); ++b) {
    const std::int64_t length = (*lengths)[static_cast<std::size_t>(b)];
    if (length < 0 || length > in.dim(*time)) {
      return make_error("length {} of a sequence of {}", length, in.dim(*time));
    }
    slice[*time] = length;
    Integers backwards = strides;
    backwards[*time] = -strides[*time];
    const std::int64_t base = b * strides[*batch];
    copy_strided(in, base + (length - 1) * strides[*time], backwards, out, base, strides, slice);
  }
  return one(std::move(out));
}

static Result<Outputs> trilu(const Call& call) {
  const Tensor& in = call.tensor(0);
  if (in.rank() < 2) return make_error("{} is not a matrix", to_string(in.shape()));
  auto k = integer_operand(call, 1, 0);
  if (!k) return k.error();
  const bool upper = call.attributes.integer("upper", 1) != 0;
  const std::int64_t rows = in.dim(in.rank() - 2), columns = in.dim(in.rank() - 1);
  Tensor out = Tensor::zeros(in.dtype(), in.shape());
  const ElementCopy copy(in, out);
  const std::int64_t total = rows * columns == 0 ? 0 : in.size() / columns;
  // Beyond ±2^32 every diagonal lies outside: clamp, so that the sums below cannot overflow.
  const std::int64_t diagonal = std::clamp<std::int64_t>(*k, -(1LL << 32), 1LL << 32);
  for (std::int64_t r = 0; r < total; ++r) {
    const std::int64_t at =
        std::clamp<std::int64_t>(r % rows + diagonal + (upper ? 0 : 1), 0, columns);
    const std::int64_t begin = upper ? at : 0;
    const std::int64_t end = upper ? columns : at;
    copy(r * columns + begin, r * columns + begin, end - begin);
  }
  return one(std::move(out));
}

static Result<Outputs> eye_like(const Call& call) {
  const Tensor& in = call.tensor(0);
  if (in.rank() != 2) return make_error("{} is not a matrix", to_string(in.shape()));
  const auto dtype =
      static_cast<DType>(call.attributes.integer("dtype", static_cast<std::int64_t>(in.dtype())));
  if (!is_float(dtype) && !is_integer(dtype) && dtype != DType::Bool) {
    return make_error("dtype {} has no 1", name(dtype));
  }
  const std::int64_t k = call.attributes.integer("k", 0);
  Tensor out = Tensor::zeros(dtype, in.shape());
  for (std::int64_t r = 0; r < in.dim(0); ++r) {
    if (k >= -r && k < in.dim(1) - r) out.set_number(r * in.dim(1) + r + k, 1);
  }
  return one(std::move(out));
}

static Result<Outputs> center_crop_pad(const Call& call) {
  Tensor in = call.tensor(0);
  auto wanted = required_integers(call, 1, "shape");
  if (!wanted) return wanted.error();
  Integers all(in.rank());
  std::iota(all.begin(), all.end(), 0);
  auto axes = normalize_axes(call.attributes.has("axes") ? call.attributes.integers("axes") : all,
                             in.rank());
  if (!axes) return axes.error();
  if (axes->size() != wanted->size()) {
    return make_error("{} sizes for {} axes", wanted->size(), axes->size());
  }
  Shape shape = in.shape(), kept = in.shape();
  const Integers from_strides = strides_of(in.shape());
  for (std::size_t i = 0; i < axes->size(); ++i) {
    shape[(*axes)[i]] = (*wanted)[i];
    kept[(*axes)[i]] = std::min((*wanted)[i], kept[(*axes)[i]]);
  }
  if (auto fine = check_shape(shape); !fine) return fine.error();
  const Integers to_strides = strides_of(shape);
  std::int64_t from = 0, to = 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    from += (in.dim(i) - kept[i]) / 2 * from_strides[i];
    to += (shape[i] - kept[i]) / 2 * to_strides[i];
  }
  Tensor out = Tensor::zeros(in.dtype(), std::move(shape));
  copy_strided(in, from, from_strides, out, to, to_strides, kept);
  return one(std::move(out));
}

std::span<const KernelEntry> indexing_kernels() {
  static const KernelEntry entries[] = {
      {"", "CenterCropPad", center_crop_pad, 2},
      {"", "EyeLike", eye_like},
      {"", "Gather", gather, 2},
      {"", "GatherElements", gather_elements, 2},
      {"", "GatherND", gather_nd, 2},
      {"", "ReverseSequence", reverse_sequence, 2},
      {"", "Scatter", scatter_elements, 3},
      {"", "ScatterElements", scatter_elements, 3},
      {"", "ScatterND", scatter_nd, 3},
      {"", "TensorScatter", tensor_scatter, 2},
      {"", "Trilu", trilu},
  };
  return entries;
}

}  // namespace rulec::generic
