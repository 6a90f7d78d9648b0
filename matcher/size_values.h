// SPDX-License-Identifier: Apache-2.0
#pragma once

// What is known, element by element, of the small integer tensors that models compute shapes with:
// `Concat(Gather(Shape(x), 0), [12], …)` is [batch, 12, …]. Not a general evaluator: elements are
// integers, or products of an integer and of sizes that have a name.
//
//   SizeValues sizes;
//   for (NodeId at = model.first_node(graph); at; at = model.next_node(at)) read_sizes(model, at,
//   sizes); if (const SizeList* list = sizes.find(v)) … list->elements[0].known() …

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "matcher/graph.h"

namespace rulec {

// factor · size · size …; `open` where nothing is known.
struct SizeElement {
  bool open = true;
  std::int64_t factor = 0;
  std::vector<std::string> sizes = {};  // names of unknown sizes, sorted

  static SizeElement of(std::int64_t value) { return {false, value, {}}; }
  bool known() const { return !open && (sizes.empty() || factor == 0); }
  friend bool operator==(const SizeElement& a, const SizeElement& b) = default;
};

struct SizeList {
  std::size_t rank = 1;  // 0 or 1
  std::vector<SizeElement> elements;

  bool known() const;     // every element is an integer
  bool complete() const;  // no element is open
  std::vector<std::int64_t> integers() const;
  friend bool operator==(const SizeList& a, const SizeList& b) = default;
};

class SizeValues {
 public:
  const SizeList* find(ValueId value) const;
  void set(ValueId value, SizeList list) { lists_[value.index] = std::move(list); }

 private:
  std::unordered_map<std::uint32_t, SizeList> lists_;
};

// The dimensions of a value, as far as they have a number or a name; nothing for an unknown rank.
std::optional<SizeList> dimensions_of(const Model& model, ValueId value);

// The elements of a short constant of integers with at most one axis.
std::optional<SizeList> constant_sizes(const Model& model, ValueId value);

// A size as the name of a dimension, "7*batch", and back: products keep their meaning in types.
std::string size_name(const SizeElement& size);
SizeElement size_named(const std::string& name);

// `total` over `part`, where that is a whole number of known sizes.
SizeElement quotient_of(const SizeElement& total, const SizeElement& part);
SizeElement product_of(const SizeElement& a, const SizeElement& b);

// What a node's result is, given its operands: nodes are read in their order.
void read_sizes(const Model& model, NodeId node, SizeValues& values);

}  // namespace rulec
