// SPDX-License-Identifier: Apache-2.0
// The lists of a Model: who reads a value, and the order of nodes.
//
// Uses: the operands of one node lie side by side in `uses_`, so that (node, slot) finds its entry
// without a search; entries of one value are chained. Blocks of operands come in powers of two and
// are recycled.
//
// Order: every node has a 64-bit key. A node that finds no key left between its neighbours makes
// room by spreading the keys of the smallest aligned range around it that is thin enough
// (list labelling after Bender, Cole, Demaine, Farach-Colton and Zito): O(log n) amortised.
#include <bit>

#include "matcher/graph.h"

namespace rulec {

static constexpr std::uint64_t append_gap = 1ULL << 24;

void Model::reserve_uses(Block& block, std::size_t held, std::size_t count) {
  if (count <= block.capacity) return;
  const auto capacity = static_cast<std::uint32_t>(std::bit_ceil(count));
  const auto size_class = static_cast<std::size_t>(std::countr_zero(capacity));
  if (free_blocks_.size() <= size_class) free_blocks_.resize(size_class + 1);
  Block grown{.first = 0, .capacity = capacity};
  if (auto& free = free_blocks_[size_class]; !free.empty()) {
    grown.first = free.back();
    free.pop_back();
  } else {
    grown.first = static_cast<std::uint32_t>(uses_.size());
    uses_.resize(uses_.size() + capacity);
  }
  for (std::uint32_t i = 0; i < held; ++i) {
    const UseLink old = uses_[block.first + i];
    const std::uint32_t at = grown.first + i;
    uses_[at] = old;
    uses_[block.first + i] = {};
    if (!old.value) continue;
    ValueLink& list = value_links_[old.value.index];
    (old.previous == none ? list.first : uses_[old.previous].next) = at;
    (old.next == none ? list.last : uses_[old.next].previous) = at;
  }
  release_uses(block);
  block = grown;
}

void Model::release_uses(Block& block) {
  if (block.capacity != 0) {
    free_blocks_[static_cast<std::size_t>(std::countr_zero(block.capacity))].push_back(block.first);
  }
  block = {};
}

void Model::link_use(std::uint32_t at, Use use, ValueId value) {
  UseLink& link = uses_[at];
  link = {.use = use, .value = value, .previous = none, .next = none};
  if (!value) return;
  ValueLink& list = value_links_[value.index];
  link.previous = list.last;
  (list.last == none ? list.first : uses_[list.last].next) = at;
  list.last = at;
  ++list.count;
}

void Model::unlink_use(std::uint32_t at) {
  const UseLink link = uses_[at];
  uses_[at] = {};
  if (!link.value) return;
  ValueLink& list = value_links_[link.value.index];
  (link.previous == none ? list.first : uses_[link.previous].next) = link.next;
  (link.next == none ? list.last : uses_[link.next].previous) = link.previous;
  --list.count;
}

void Model::link_node(NodeId id, NodeId before) {
  GraphLink& list = graph_links_[node(id).graph.index];
  NodeLink& link = node_links_[id.index];
  if (before && !node_links_[before.index].previous && node_links_[before.index].key == 0) {
    make_gap(before);
  }
  const NodeId previous = before ? node_links_[before.index].previous : list.last;
  if (before && previous && node_links_[before.index].key - node_links_[previous.index].key < 2) {
    make_gap(before);
  }
  if (!before && previous && node_links_[previous.index].key > UINT64_MAX - append_gap) {
    make_gap(previous);
  }
  link.previous = previous;
  link.next = before;
  (previous ? node_links_[previous.index].next : list.first) = id;
  (before ? node_links_[before.index].previous : list.last) = id;

  const std::uint64_t low = previous ? node_links_[previous.index].key : 0;
  if (before) {
    const std::uint64_t high = node_links_[before.index].key;
    link.key = low + (high - low) / 2;
  } else {
    link.key = previous ? low + std::min(append_gap, (UINT64_MAX - low) / 2) : 1ULL << 32;
  }
}

void Model::unlink_node(NodeId id) {
  GraphLink& list = graph_links_[node(id).graph.index];
  NodeLink& link = node_links_[id.index];
  (link.previous ? node_links_[link.previous.index].next : list.first) = link.next;
  (link.next ? node_links_[link.next.index].previous : list.last) = link.previous;
  link.previous = link.next = {};
}

void Model::make_gap(NodeId before) {
  const std::uint64_t key = node_links_[before.index].key;
  // A range of 2^bits keys may hold (4/3)^bits nodes, so that wide ranges are sparse and a spread
  // one is not full again soon.
  double capacity = 1;
  NodeId first = before, last = before;
  std::uint64_t count = 1;
  for (int bits = 1; bits <= 64; ++bits) {
    capacity *= 4.0 / 3.0;
    const std::uint64_t mask = bits == 64 ? UINT64_MAX : (1ULL << bits) - 1;
    const std::uint64_t low = key & ~mask, high = low | mask;
    for (NodeId p = previous_node(first); p && order_key(p) >= low; p = previous_node(p), ++count) {
      first = p;
    }
    for (NodeId n = next_node(last); n && order_key(n) <= high; n = next_node(n), ++count) {
      last = n;
    }
    if (bits < 8 || static_cast<double>(count) > capacity) continue;
    const std::uint64_t step = mask / (count + 1);
    if (step < 4) continue;
    std::uint64_t next = low + step;
    for (NodeId n = first;; n = next_node(n), next += step) {
      node_links_[n.index].key = next;
      if (n == last) return;
    }
  }
  RULEC_CHECK(false);  // 2^64 keys are more than NodeId can name
}

}  // namespace rulec
