// SPDX-License-Identifier: Apache-2.0
#include "matcher/type_forms.h"

#include <algorithm>
#include <limits>
#include <span>

namespace rulec {

// Numpy's broadcasting of one dimension, as ONNX does it: nothing on contradiction.
static bool broadcast_dim(const Dim* a, const Dim* b, Dim& out) {
  std::int64_t size = 1;
  const Dim* symbol = nullptr;
  int symbols = 0;
  for (const Dim* dim : {a, b}) {
    if (dim == nullptr) continue;
    if (dim->known()) {
      if (dim->size == 1) continue;
      if (size != 1 && size != dim->size) return false;
      size = dim->size;
    } else if (symbols == 0) {
      symbol = dim;
      symbols = 1;
    } else if (dim->symbol != symbol->symbol || dim->symbol.empty()) {
      ++symbols;
    }
  }
  if (size != 1 || symbols == 0) {
    out.size = size;
  } else if (symbols == 1) {
    out = *symbol;
  }
  return true;
}

using Dims = std::span<const Dim>;

static bool broadcast_dims(Dims a, Dims b, std::vector<Dim>& out) {
  const std::size_t rank = std::max(a.size(), b.size());
  out.reserve(rank + 2);
  for (std::size_t i = 0; i < rank; ++i) {
    const Dim* left = i + a.size() >= rank ? &a[i + a.size() - rank] : nullptr;
    const Dim* right = i + b.size() >= rank ? &b[i + b.size() - rank] : nullptr;
    if (!broadcast_dim(left, right, out.emplace_back())) return false;
  }
  return true;
}

static Type made(DType dtype, SharedOptional<std::vector<Dim>> dims) {
  return {.kind = Type::Kind::Tensor, .dtype = dtype, .dims = std::move(dims)};
}

// Whether broadcasting `from` with `to` gives `to` again, so that its list can be shared.
static bool fits_in(Dims from, Dims to) {
  if (from.size() > to.size()) return false;
  to = to.last(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    const bool same = from[i] == to[i] && (from[i].known() || !from[i].symbol.empty());
    if (from[i].size != 1 && !same) return false;
  }
  return true;
}

std::optional<Type> broadcast(const Type& a, const Type& b, DType dtype) {
  if (fits_in(*b.dims, *a.dims)) return made(dtype, a.dims);
  if (fits_in(*a.dims, *b.dims)) return made(dtype, b.dims);
  std::vector<Dim> dims;
  if (!broadcast_dims(*a.dims, *b.dims, dims)) return std::nullopt;
  return made(dtype, std::move(dims));
}

std::optional<Type> matmul(const Type& a, const Type& b) {
  const Dims left = *a.dims, right = *b.dims;
  if (left.empty() || right.empty()) return std::nullopt;
  const Dim& inner = left.back();
  const Dim& other = right.size() == 1 ? right[0] : right[right.size() - 2];
  if (inner.known() && other.known() && inner.size != other.size) return std::nullopt;
  std::vector<Dim> dims;
  const Dims left_batch = left.size() > 2 ? left.first(left.size() - 2) : Dims();
  const Dims right_batch = right.size() > 2 ? right.first(right.size() - 2) : Dims();
  if (!broadcast_dims(left_batch, right_batch, dims)) return std::nullopt;
  if (left.size() > 1) dims.push_back(left[left.size() - 2]);
  if (right.size() > 1) dims.push_back(right.back());
  return made(a.dtype, std::move(dims));
}

// As the generic kernel reads a stack: rows in front (transBatch), the last axes swapped (trans).
std::optional<Type> fused_matmul(const GraphNode& node, Type a, Type b) {
  const auto stack = [&](Type& type, std::string_view batch, std::string_view turned) {
    if (type.dims->size() < 2) return false;
    std::vector<Dim>& dims = *type.dims;
    if (node.attributes.integer(batch, 0) != 0)
      std::rotate(dims.begin(), dims.begin() + 1, dims.end() - 1);
    if (node.attributes.integer(turned, 0) != 0) std::swap(dims.back(), dims[dims.size() - 2]);
    return true;
  };
  if (!stack(a, "transBatchA", "transA") || !stack(b, "transBatchB", "transB")) return std::nullopt;
  return matmul(a, b);
}

std::optional<Type> transpose(const GraphNode& node, const Type& from) {
  const std::size_t rank = from.dims->size();
  if (rank == 0) return std::nullopt;  // ONNX says nothing of a scalar's
  std::vector<Dim> dims(from.dims->rbegin(), from.dims->rend());
  if (const AttributeValue* given = node.attributes.find("perm")) {
    const auto* perm = std::get_if<std::vector<std::int64_t>>(given);
    if (perm == nullptr || perm->size() != rank) return std::nullopt;
    std::vector<bool> seen(rank, false);
    for (std::size_t i = 0; i < rank; ++i) {
      const std::int64_t at = (*perm)[i];
      if (at < 0 || at >= static_cast<std::int64_t>(rank)) return std::nullopt;
      if (seen[static_cast<std::size_t>(at)]) return std::nullopt;
      seen[static_cast<std::size_t>(at)] = true;
      dims[i] = (*from.dims)[static_cast<std::size_t>(at)];
    }
  }
  return made(from.dtype, std::move(dims));
}

// The axes of a reduction, from attribute or operand; nothing where only the run knows them.
static std::optional<std::vector<std::int64_t>> reduced_axes(const Model& model,
                                                             const GraphNode& node) {
  if (node.inputs.size() > 1 && node.inputs[1]) {
    const auto tensor = model.constant(node.inputs[1]);
    if (!tensor || tensor->dtype() != DType::I64 || tensor->rank() != 1) return std::nullopt;
    if (tensor->size() == 0) return std::nullopt;
    return tensor->integers();
  }
  const AttributeValue* given = node.attributes.find("axes");
  if (given == nullptr) return std::vector<std::int64_t>();
  const auto* axes = std::get_if<std::vector<std::int64_t>>(given);
  return axes == nullptr ? std::nullopt : std::optional(*axes);
}

// An int attribute: nothing where it is of another kind.
static std::optional<std::int64_t> integer(const GraphNode& node, std::string_view name,
                                           std::int64_t otherwise) {
  const AttributeValue* given = node.attributes.find(name);
  if (given == nullptr) return otherwise;
  const auto* number = std::get_if<std::int64_t>(given);
  return number == nullptr ? std::nullopt : std::optional(*number);
}

std::optional<Type> reduce(const Model& model, const GraphNode& node, const Type& from, int opset) {
  const bool operand = opset >= (node.type == "ReduceSum" ? 13 : 18);
  if (node.inputs.size() > (operand ? 2U : 1U)) return std::nullopt;
  if (operand && node.attributes.has("axes")) return std::nullopt;
  const auto axes = reduced_axes(model, node);
  const auto keep = integer(node, "keepdims", 1);
  const auto none_if_empty = integer(node, "noop_with_empty_axes", 0);
  if (!axes || !keep || !none_if_empty) return std::nullopt;
  if (axes->empty() && *none_if_empty != 0) return from;
  const auto rank = static_cast<std::int64_t>(from.dims->size());
  std::vector<bool> goes(from.dims->size(), axes->empty());
  for (const std::int64_t axis : *axes) {
    if (axis < -rank || axis >= rank) return std::nullopt;
    goes[static_cast<std::size_t>(axis < 0 ? axis + rank : axis)] = true;
  }
  std::vector<Dim> dims;
  for (std::size_t i = 0; i < goes.size(); ++i) {
    if (!goes[i]) {
      dims.push_back((*from.dims)[i]);
    } else if (*keep == 1) {
      dims.push_back({.size = 1});
    }
  }
  return made(from.dtype, std::move(dims));
}

bool axis_exists(const GraphNode& node, const Type& from, std::int64_t otherwise) {
  const auto axis = integer(node, "axis", otherwise);
  const auto rank = static_cast<std::int64_t>(from.dims->size());
  return axis && *axis >= -rank && *axis < rank;
}

std::optional<Type> gemm(const GraphNode& node, const Type& a, const Type& b) {
  const auto turn_a = integer(node, "transA", 0), turn_b = integer(node, "transB", 0);
  if (!turn_a || !turn_b || a.dims->size() != 2 || b.dims->size() != 2) return std::nullopt;
  const Dim& inner = (*a.dims)[*turn_a != 0 ? 0 : 1];
  const Dim& other = (*b.dims)[*turn_b != 0 ? 1 : 0];
  if (inner.known() && other.known() && inner.size != other.size) return std::nullopt;
  return made(a.dtype,
              std::vector<Dim>{(*a.dims)[*turn_a != 0 ? 1 : 0], (*b.dims)[*turn_b != 0 ? 0 : 1]});
}

std::optional<Type> cast(const GraphNode& node, const Type& from) {
  const auto to = integer(node, "to", 0);
  if (!to || *to <= 0 || *to > static_cast<std::int64_t>(DType::I2)) return std::nullopt;
  return made(static_cast<DType>(*to), from.dims);
}

// An attribute of one integer for each axis, or for each end of it; nothing where it has another
// number of them.
static std::optional<std::vector<std::int64_t>> per_axis(const GraphNode& node,
                                                         std::string_view name, std::size_t count,
                                                         std::int64_t otherwise) {
  const AttributeValue* given = node.attributes.find(name);
  if (given == nullptr) return std::vector<std::int64_t>(count, otherwise);
  const auto* all = std::get_if<std::vector<std::int64_t>>(given);
  return all == nullptr || all->size() != count ? std::nullopt : std::optional(*all);
}

// With ceil_mode: no window begins in the padding at the end. ONNX's functions know this from opset
// 22 on; the operator's text and its runtimes always meant it.
std::optional<Type> pool(const GraphNode& node, const Type& from) {
  const auto ceil = integer(node, "ceil_mode", 0);
  const std::string_view automatic = node.attributes.text("auto_pad", "NOTSET");
  const bool padded = automatic == "NOTSET" || automatic.empty();
  if (!ceil || *ceil == 0 || (!padded && automatic != "VALID")) return std::nullopt;
  if (from.dims->size() < 3) return std::nullopt;
  const std::size_t rank = from.dims->size() - 2;
  const auto kernel = per_axis(node, "kernel_shape", rank, 0);
  const auto strides = per_axis(node, "strides", rank, 1);
  const auto dilations = per_axis(node, "dilations", rank, 1);
  auto pads = per_axis(node, "pads", 2 * rank, 0);
  if (!kernel || !strides || !dilations || !pads) return std::nullopt;
  if (!padded) pads->assign(2 * rank, 0);
  std::vector<Dim> dims(from.dims->begin(), from.dims->begin() + 2);
  for (std::size_t i = 0; i < rank; ++i) {
    Dim& dim = dims.emplace_back();
    if (!(*from.dims)[2 + i].known()) continue;
    const std::int64_t begin = (*pads)[i], size = (*from.dims)[2 + i].size + begin;
    const std::int64_t stride = (*strides)[i];
    const std::int64_t room = size + (*pads)[rank + i] - ((*kernel)[i] - 1) * (*dilations)[i] - 1;
    if ((*kernel)[i] < 1 || stride < 1 || (*dilations)[i] < 1 || begin < 0 || room < 0)
      return std::nullopt;
    dim.size = (room + stride - 1) / stride + 1;
    if ((dim.size - 1) * stride >= size) --dim.size;
  }
  return made(from.dtype, std::move(dims));
}

// The integers of an operand; nothing where only the run knows them. An absent one has none.
static std::optional<std::vector<std::int64_t>> integers(const Model& model, const GraphNode& node,
                                                         std::size_t operand) {
  if (node.inputs.size() <= operand || !node.inputs[operand]) return std::vector<std::int64_t>();
  const auto tensor = model.constant(node.inputs[operand]);
  if (!tensor || tensor->rank() != 1 || !is_integer(tensor->dtype())) return std::nullopt;
  return tensor->integers();
}

// Exporters write "to the end" as a large number. An axis of unknown size stays the same one where
// the end is past all that a tensor can hold, which ONNX's functions do not say.
std::optional<Type> slice(const Model& model, const GraphNode& node, const Type& from) {
  const auto starts = integers(model, node, 1), ends = integers(model, node, 2);
  auto axes = integers(model, node, 3), steps = integers(model, node, 4);
  if (!starts || !ends || !axes || !steps || starts->size() != ends->size()) return std::nullopt;
  const auto rank = static_cast<std::int64_t>(from.dims->size());
  if (axes->empty()) {
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(starts->size()); ++i)
      axes->push_back(i);
  }
  if (steps->empty()) steps->assign(starts->size(), 1);
  if (axes->size() != starts->size() || steps->size() != starts->size()) return std::nullopt;
  double inner = 1;  // elements to a row, as far as they are known
  for (const Dim& dim : *from.dims)
    inner *= dim.known() ? static_cast<double>(dim.size) : 1;
  constexpr double most = 1ULL << 40;
  std::vector<Dim> dims(from.dims->begin(), from.dims->end());
  for (std::size_t i = 0; i < axes->size(); ++i) {
    const std::int64_t axis = (*axes)[i] < 0 ? (*axes)[i] + rank : (*axes)[i];
    if (axis < 0 || axis >= rank || (*steps)[i] < 1) return std::nullopt;
    Dim& dim = dims[static_cast<std::size_t>(axis)];
    std::int64_t start = (*starts)[i], end = (*ends)[i];
    if (dim.known()) {
      start = std::clamp(start < 0 ? start + dim.size : start, std::int64_t{0}, dim.size);
      end = std::clamp(end < 0 ? end + dim.size : end, std::int64_t{0}, dim.size);
      dim.size = end > start ? (end - start - 1) / (*steps)[i] + 1 : 0;
      continue;
    }
    const bool past_all =
        end >= std::numeric_limits<std::int32_t>::max() || static_cast<double>(end) * inner >= most;
    if (start != 0 || (*steps)[i] != 1 || !past_all) return std::nullopt;
  }
  return made(from.dtype, std::move(dims));
}

// ArrayFeatureExtractor: as many of the last axis as there are indices. A vector counts as a row.
std::optional<Type> features(const Type& from, const Type& indices) {
  if (from.dims->empty()) return std::nullopt;
  Dim count{.size = 1};
  for (const Dim& dim : *indices.dims) {
    if (dim.known() && dim.size == 1) continue;
    if (!count.known() || count.size != 1) return std::nullopt;
    count = dim;
  }
  std::vector<Dim> dims(from.dims->begin(), from.dims->end());
  if (dims.size() == 1) dims.insert(dims.begin(), Dim{.size = 1});
  dims.back() = std::move(count);
  return made(from.dtype, std::move(dims));
}

}  // namespace rulec
