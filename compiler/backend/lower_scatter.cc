// SPDX-License-Identifier: Apache-2.0
// ScatterND with constant indices. What exporters make of `cache[:, :, a:b] = x` lists every place
// of a box: where the places lie at even distances along each dimension of the indices, the result
// is two copies, the operand and the updates over it.
#include <algorithm>

#include "compiler/backend/copies.h"

namespace rulec::backend {

bool lower_scatter(Lowering& l, NodeId node, const Shape& from) {
  const GraphNode& n = l.model.node(node);
  if (n.attributes.text("reduction", "none") != "none") return l.refuse("a reduction");
  if (n.inputs.size() != 3 || !l.constant(n.inputs[1])) {
    return l.refuse("places that are not constant");
  }
  const Tensor& places = *l.constant(n.inputs[1]);
  const auto updates = l.shape(n.inputs[2]);
  if (!updates || !copyable(l, n.inputs[2]) || places.rank() < 1)
    return l.refuse("a shape that is not known");
  const Shape& shape = places.shape();
  const std::size_t depth = static_cast<std::size_t>(shape.back()), outer = shape.size() - 1;
  if (depth < 1 || depth > from.size()) return l.refuse("places of another rank");
  Shape dims(shape.begin(), shape.end() - 1);
  dims.insert(dims.end(), from.begin() + static_cast<std::ptrdiff_t>(depth), from.end());
  if (dims != *updates || dims.empty() || dims.size() > kernels::max_copy_rank)
    return l.refuse("an odd rank");

  // Where each update goes, in elements.
  const auto strides = strides_of(from);
  const std::vector<std::int64_t> index = places.integers();
  const std::size_t count = index.size() / depth;
  std::vector<std::int64_t> at(count, 0);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t d = 0; d < depth; ++d) {
      std::int64_t k = index[i * depth + d];
      if (k < -from[d] || k >= from[d]) return l.refuse("a place outside");
      if (k < 0) k += from[d];
      at[i] += k * strides[d];
    }
  }
  const std::int64_t begin = at[0];
  // The distances that the first step along each dimension has must be those of all.
  std::vector<std::int64_t> out(strides.begin() + static_cast<std::ptrdiff_t>(depth),
                                strides.end());
  std::size_t step = 1;  // of `at` along dimension d
  std::vector<std::size_t> steps(outer);
  for (std::size_t d = outer; d-- > 0;) {
    steps[d] = step;
    const std::int64_t distance = dims[d] > 1 ? at[step] - at[0] : 0;
    if (dims[d] > 1 && distance == 0) return l.refuse("places that are not apart");
    out.insert(out.begin(), distance);
    step *= static_cast<std::size_t>(dims[d]);
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::int64_t expected = at[0];
    for (std::size_t d = 0; d < outer; ++d) {
      expected += static_cast<std::int64_t>(i / steps[d]) % dims[d] * out[d];
    }
    if (at[i] != expected) return l.refuse("places at uneven distances");
  }
  // Threads may copy in any order.
  std::sort(at.begin(), at.end());
  if (std::adjacent_find(at.begin(), at.end()) != at.end()) return l.refuse("a place twice");

  kernels::CopyParameters head;
  head.rank = static_cast<std::uint32_t>(dims.size());
  Shape whole(dims.size(), 1);
  whole.back() = element_count(from);
  const std::vector<std::int64_t> along(dims.size(), 1);
  const Index data = l.plain(n.inputs[0]), over = l.plain(n.inputs[2]);
  emit_copy(l, node, head,
            {part_of(whole, along, along), part_of(dims, strides_of(dims), out, 0, begin)},
            {data, over}, n.outputs[0]);
  l.report(node, "Copy", "");
  return true;
}

}  // namespace rulec::backend
