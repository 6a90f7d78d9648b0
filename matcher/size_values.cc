// SPDX-License-Identifier: Apache-2.0
#include "matcher/size_values.h"

#include <algorithm>
#include <iterator>

#include "matcher/facts.h"

namespace rulec {

static constexpr std::size_t longest_list = 64;
static constexpr std::int64_t largest_factor = std::int64_t{1} << 40;  // no product overflows

bool SizeList::known() const {
  return std::all_of(elements.begin(), elements.end(),
                     [](const SizeElement& one) { return one.known(); });
}

bool SizeList::complete() const {
  return std::none_of(elements.begin(), elements.end(),
                      [](const SizeElement& one) { return one.open; });
}

std::vector<std::int64_t> SizeList::integers() const {
  std::vector<std::int64_t> out;
  for (const SizeElement& one : elements)
    out.push_back(one.factor);
  return out;
}

const SizeList* SizeValues::find(ValueId value) const {
  const auto found = value ? lists_.find(value.index) : lists_.end();
  return found == lists_.end() ? nullptr : &found->second;
}

std::string size_name(const SizeElement& size) {
  std::string out;
  if (size.factor != 1 || size.sizes.empty()) out = std::to_string(size.factor);
  for (const std::string& one : size.sizes)
    out += (out.empty() ? "" : "*") + one;
  return out;
}

// Only what size_name may have written is taken apart: numbers and names, a star between them.
SizeElement size_named(const std::string& name) {
  SizeElement out = SizeElement::of(1);
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('*', at), name.size());
    const std::string part = name.substr(at, end - at);
    at = end + 1;
    if (part.empty()) return {false, 1, {name}};
    const bool number = part.find_first_not_of("0123456789") == part.npos && part.size() < 10;
    if (!number) {
      out.sizes.push_back(part);
      continue;
    }
    out.factor *= std::stoll(part);
    if (out.factor <= 0 || out.factor > (std::int64_t{1} << 40)) return {false, 1, {name}};
  }
  if (out.sizes.empty()) return {false, 1, {name}};
  std::sort(out.sizes.begin(), out.sizes.end());
  return out;
}

std::optional<SizeList> dimensions_of(const Model& model, ValueId value) {
  const Type type = type_of(model, value);
  if (!type.is_tensor() || !type.dims || type.dims->size() > longest_list) return std::nullopt;
  SizeList out;
  for (std::size_t i = 0; i < type.dims->size(); ++i) {
    const Dim& dim = (*type.dims)[i];
    if (dim.known()) {
      out.elements.push_back(SizeElement::of(dim.size));
    } else {
      out.elements.push_back(size_named(dimension_key(model, value, i)));
    }
  }
  return out;
}

static bool in_bounds(std::int64_t factor) {
  return factor <= largest_factor && factor >= -largest_factor;
}

SizeElement product_of(const SizeElement& a, const SizeElement& b) {
  if (a.open || b.open || !in_bounds(a.factor) || !in_bounds(b.factor)) return {};
  SizeElement out{false, 0, {}};
  if (__builtin_mul_overflow(a.factor, b.factor, &out.factor)) return {};
  if (out.factor == 0) return out;
  out.sizes = a.sizes;
  out.sizes.insert(out.sizes.end(), b.sizes.begin(), b.sizes.end());
  std::sort(out.sizes.begin(), out.sizes.end());
  return out;
}

SizeElement quotient_of(const SizeElement& total, const SizeElement& part) {
  if (total.open || part.open || part.factor <= 0 || total.factor % part.factor != 0) return {};
  SizeElement out{false, total.factor / part.factor, {}};
  if (!std::includes(total.sizes.begin(), total.sizes.end(), part.sizes.begin(),
                     part.sizes.end())) {
    return {};
  }
  std::set_difference(total.sizes.begin(), total.sizes.end(), part.sizes.begin(), part.sizes.end(),
                      std::back_inserter(out.sizes));
  return out;
}

// a + sign · b
static SizeElement sum(const SizeElement& a, const SizeElement& b, std::int64_t sign) {
  if (a.open || b.open || !in_bounds(a.factor) || !in_bounds(b.factor)) return {};
  if (b.known() && b.factor == 0) return a;
  if (a.known() && a.factor == 0 && sign > 0) return b;
  if (a.sizes != b.sizes) return {};
  SizeElement out = a;
  out.factor += sign * b.factor;
  if (out.factor == 0) out.sizes.clear();
  return out;
}

// As ONNX divides integers: towards zero. Only what is exact for every size.
static SizeElement quotient(const SizeElement& a, const SizeElement& b) {
  if (a.open || !b.known() || b.factor == 0) return {};
  if (!a.known() && a.factor % b.factor != 0) return {};
  SizeElement out = a;
  out.factor /= b.factor;
  return out;
}

static bool counts_sizes(DType dtype) {
  return dtype == DType::I64 || dtype == DType::I32;
}

std::optional<SizeList> constant_sizes(const Model& model, ValueId value) {
  const auto tensor = model.constant(value);
  if (!tensor || !counts_sizes(tensor->dtype()) || tensor->rank() > 1 ||
      tensor->size() > static_cast<std::int64_t>(longest_list)) {
    return std::nullopt;
  }
  SizeList list{.rank = tensor->rank(), .elements = {}};
  for (const std::int64_t n : tensor->integers())
    list.elements.push_back(SizeElement::of(n));
  return list;
}

namespace {

class Reader {
 public:
  Reader(const Model& model, SizeValues& values) : model_(model), values_(values) {}
  void node(NodeId id);

 private:
  const SizeList* operand(const GraphNode& node, std::size_t index);
  std::optional<std::vector<std::int64_t>> constant(const GraphNode& node, std::size_t index);
  std::optional<SizeList> result(NodeId id, const GraphNode& node);
  std::optional<SizeList> elementwise(const GraphNode& node);
  std::optional<SizeList> sliced(const GraphNode& node);
  std::optional<SizeList> gathered(const GraphNode& node);
  std::optional<SizeList> reduced(const GraphNode& node);
  std::optional<SizeList> reshaped(const GraphNode& node);
  std::optional<SizeList> joined(const GraphNode& node);

  const Model& model_;
  SizeValues& values_;
};

}  // namespace

const SizeList* Reader::operand(const GraphNode& node, std::size_t index) {
  if (index >= node.inputs.size() || !node.inputs[index]) return nullptr;
  const ValueId value = node.inputs[index];
  if (const SizeList* known = values_.find(value)) return known;
  auto list = constant_sizes(model_, value);
  if (!list) return nullptr;
  values_.set(value, std::move(*list));
  return values_.find(value);
}

std::optional<std::vector<std::int64_t>> Reader::constant(const GraphNode& node,
                                                          std::size_t index) {
  const SizeList* list = operand(node, index);
  if (list == nullptr || !list->known()) return std::nullopt;
  return list->integers();
}

std::optional<SizeList> Reader::elementwise(const GraphNode& node) {
  const SizeList* a = operand(node, 0);
  const SizeList* b = operand(node, 1);
  if (a == nullptr || b == nullptr || node.inputs.size() != 2) return std::nullopt;
  const std::size_t n = std::max(a->elements.size(), b->elements.size());
  if ((a->elements.size() != n && a->elements.size() != 1) ||
      (b->elements.size() != n && b->elements.size() != 1)) {
    return std::nullopt;
  }
  SizeList out{.rank = std::max(a->rank, b->rank), .elements = {}};
  for (std::size_t i = 0; i < n; ++i) {
    const SizeElement& x = a->elements[a->elements.size() == 1 ? 0 : i];
    const SizeElement& y = b->elements[b->elements.size() == 1 ? 0 : i];
    if (node.type == "Mul") {
      out.elements.push_back(product_of(x, y));
    } else if (node.type == "Div") {
      out.elements.push_back(quotient(x, y));
    } else {
      out.elements.push_back(sum(x, y, node.type == "Sub" ? -1 : 1));
    }
  }
  return out;
}

std::optional<SizeList> Reader::sliced(const GraphNode& node) {
  const SizeList* from = operand(node, 0);
  if (from == nullptr || from->rank != 1) return std::nullopt;
  std::optional<std::vector<std::int64_t>> starts, ends;
  std::int64_t step = 1;
  if (node.inputs.size() == 1) {
    starts = node.attributes.integers("starts");
    ends = node.attributes.integers("ends");
  } else {
    starts = constant(node, 1);
    ends = constant(node, 2);
    if (node.inputs.size() > 4 && node.inputs[4]) {
      const auto steps = constant(node, 4);
      if (!steps || steps->size() != 1) return std::nullopt;
      step = steps->front();
    }
  }
  if (!starts || !ends || starts->size() != 1 || ends->size() != 1 || step != 1)
    return std::nullopt;
  const auto size = static_cast<std::int64_t>(from->elements.size());
  const auto bound = [size](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? at + size : at, 0, size);
  };
  SizeList out;
  for (std::int64_t i = bound(starts->front()); i < bound(ends->front()); ++i)
    out.elements.push_back(from->elements[static_cast<std::size_t>(i)]);
  return out;
}

std::optional<SizeList> Reader::gathered(const GraphNode& node) {
  const SizeList* from = operand(node, 0);
  const SizeList* index = operand(node, 1);
  if (from == nullptr || index == nullptr || from->rank != 1 || !index->known())
    return std::nullopt;
  SizeList out{.rank = index->rank, .elements = {}};
  const auto size = static_cast<std::int64_t>(from->elements.size());
  for (std::int64_t at : index->integers()) {
    if (at < 0) at += size;
    if (at < 0 || at >= size) return std::nullopt;
    out.elements.push_back(from->elements[static_cast<std::size_t>(at)]);
  }
  return out;
}

std::optional<SizeList> Reader::reduced(const GraphNode& node) {
  const SizeList* from = operand(node, 0);
  if (from == nullptr || from->rank != 1) return std::nullopt;
  SizeElement all = SizeElement::of(1);
  for (const SizeElement& one : from->elements)
    all = product_of(all, one);
  const std::size_t rank = node.attributes.integer("keepdims", 1) != 0 ? 1 : 0;
  return SizeList{.rank = rank, .elements = {std::move(all)}};
}

// Reshape, Squeeze, Unsqueeze and Flatten where the result has at most one axis.
std::optional<SizeList> Reader::reshaped(const GraphNode& node) {
  const SizeList* from = operand(node, 0);
  if (from == nullptr) return std::nullopt;
  const auto rank = type_of(model_, node.outputs[0]).rank();
  if (!rank || *rank > 1 || (*rank == 0 && from->elements.size() != 1)) return std::nullopt;
  return SizeList{.rank = *rank, .elements = from->elements};
}

std::optional<SizeList> Reader::joined(const GraphNode& node) {
  SizeList out;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (const SizeList* part = operand(node, i)) {
      if (part->rank != 1) return std::nullopt;
      out.elements.insert(out.elements.end(), part->elements.begin(), part->elements.end());
      continue;
    }
    // Something else of a known length leaves its places open.
    const auto shape =
        node.inputs[i] ? type_of(model_, node.inputs[i]).static_shape() : std::nullopt;
    if (!shape || shape->size() != 1) return std::nullopt;
    if (shape->front() > static_cast<std::int64_t>(longest_list)) return std::nullopt;
    out.elements.resize(out.elements.size() + static_cast<std::size_t>(shape->front()));
  }
  if (out.elements.size() > longest_list) return std::nullopt;
  return out;
}

std::optional<SizeList> Reader::result(NodeId, const GraphNode& node) {
  const Symbol& type = node.type;
  if (type == "Shape") {
    if (node.inputs.size() != 1) return std::nullopt;
    auto all = dimensions_of(model_, node.inputs[0]);
    if (!all) return std::nullopt;
    const auto rank = static_cast<std::int64_t>(all->elements.size());
    const auto bound = [rank](std::int64_t at) {
      return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank);
    };
    const std::int64_t start = bound(node.attributes.integer("start", 0));
    const std::int64_t end = std::max(start, bound(node.attributes.integer("end", rank)));
    return SizeList{.rank = 1,
                    .elements = {all->elements.begin() + start, all->elements.begin() + end}};
  }
  if (type == "Size") {
    const auto all = dimensions_of(model_, node.inputs[0]);
    if (!all) return std::nullopt;
    SizeElement count = SizeElement::of(1);
    for (const SizeElement& one : all->elements)
      count = product_of(count, one);
    return SizeList{.rank = 0, .elements = {std::move(count)}};
  }
  if (type == "Gather") return gathered(node);
  if (type == "Slice") return sliced(node);
  if (type == "Concat") return joined(node);
  if (type == "ReduceProd") return reduced(node);
  if (type == "Reshape" || type == "Squeeze" || type == "Unsqueeze" || type == "Flatten") {
    return reshaped(node);
  }
  if (type == "Add" || type == "Sub" || type == "Mul" || type == "Div") return elementwise(node);
  if (type == "Identity" || type == "Cast") {
    const SizeList* from = operand(node, 0);
    return from != nullptr ? std::optional(*from) : std::nullopt;
  }
  return std::nullopt;
}

void Reader::node(NodeId id) {
  const GraphNode& node = model_.node(id);
  if (!node.domain.empty() || node.outputs.size() != 1 || !node.outputs[0] || node.inputs.empty())
    return;
  const DType dtype = type_of(model_, node.outputs[0]).dtype;
  if (!counts_sizes(dtype)) return;
  if (node.type == "Cast" && !counts_sizes(type_of(model_, node.inputs[0]).dtype)) return;
  auto list = result(id, node);
  if (!list || list->elements.size() > longest_list) return;
  // What i32 cannot hold is not known.
  for (SizeElement& one : list->elements) {
    if (dtype == DType::I32 && (one.factor > INT32_MAX || one.factor < INT32_MIN)) one = {};
  }
  const bool nothing = std::all_of(list->elements.begin(), list->elements.end(),
                                   [](const SizeElement& one) { return one.open; });
  if (!nothing || list->elements.empty()) values_.set(node.outputs[0], std::move(*list));
}

void read_sizes(const Model& model, NodeId node, SizeValues& values) {
  Reader(model, values).node(node);
}

}  // namespace rulec
