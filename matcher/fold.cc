// SPDX-License-Identifier: Apache-2.0
// fold(): the value of an expression over constants. First it looks whether all leaves are
// constants (most values fail here, cheaply), then it runs the nodes, each only after a look at
// how large its result will be.
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "matcher/evaluate.h"
#include "matcher/widen.h"
#include "runtime/generic/kernel.h"

namespace rulec {

// Expressions of more nodes than this are not worth the look, which every pattern may ask for.
static constexpr std::size_t most_nodes = 1024;

namespace {

using Known = std::unordered_map<std::uint32_t, Tensor>;

class Folding {
 public:
  Folding(const Model& model, std::int64_t max_elements)
      : model_(model), max_elements_(max_elements) {}

  std::optional<Tensor> run(ValueId id) {
    if (!collect(id)) return std::nullopt;
    for (const NodeId node : order_) {
      if (!evaluate(node)) return std::nullopt;
    }
    const auto found = known_.find(id.index);
    return found == known_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  // Whether the value is known without running its producer; then it is kept.
  bool leaf(ValueId id);
  bool collect(ValueId target);
  bool evaluate(NodeId id);
  bool fits(const generic::Call& call) const;

  const Model& model_;
  std::int64_t max_elements_;
  Known known_;
  std::vector<NodeId> order_;
};

}  // namespace

// What Shape or Size gives for a value whose type says enough.
static std::optional<Tensor> shape_of(const Model& model, const GraphNode& node) {
  if (node.inputs.size() != 1 || !node.inputs[0] || !node.domain.empty()) return std::nullopt;
  const Type& type = model.value(node.inputs[0]).type;
  if (!type.is_tensor() || !type.dims) return std::nullopt;
  if (node.type == "Size") {
    const auto shape = type.static_shape();
    const auto count = shape ? checked_element_count(*shape) : std::nullopt;
    if (!count) return std::nullopt;
    return Tensor::scalar(*count);
  }
  if (node.type != "Shape") return std::nullopt;
  const auto rank = static_cast<std::int64_t>(type.dims->size());
  const auto bound = [rank](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const std::int64_t start = bound(node.attributes.integer("start", 0));
  const std::int64_t end = bound(node.attributes.integer("end", rank));
  std::vector<std::int64_t> sizes;
  for (std::int64_t i = start; i < end; ++i) {
    const Dim& dim = (*type.dims)[static_cast<std::size_t>(i)];
    if (!dim.known()) return std::nullopt;
    sizes.push_back(dim.size);
  }
  return Tensor::of<std::int64_t>({static_cast<std::int64_t>(sizes.size())}, std::span(sizes));
}

bool Folding::leaf(ValueId id) {
  if (known_.contains(id.index)) return true;
  if (const auto constant = model_.constant(id)) {
    return known_.emplace(id.index, aligned(*constant)).second;
  }
  const GraphValue& it = model_.value(id);
  if (it.sparse_initializer && !it.is_input) {
    const auto count = checked_element_count(it.sparse_initializer->shape);
    if (!count || *count > max_elements_) return false;
    return known_.emplace(id.index, densify(*it.sparse_initializer)).second;
  }
  if (!it.producer) return false;
  auto shape = shape_of(model_, model_.node(it.producer));
  return shape && known_.emplace(id.index, std::move(*shape)).second;
}

// Nodes between the constants and the target, operands first; false when a leaf is no constant.
bool Folding::collect(ValueId target) {
  if (leaf(target)) return true;
  struct Step {
    NodeId node;
    std::size_t next = 0;
  };
  std::vector<Step> stack;
  std::unordered_map<std::uint32_t, bool> entered;
  const auto enter = [&](ValueId id) {
    if (leaf(id)) return true;
    const NodeId producer = model_.value(id).producer;
    if (!producer) return false;
    if (!entered.emplace(producer.index, true).second) return true;
    const GraphNode& node = model_.node(producer);
    if (entered.size() > most_nodes || !is_repeatable(node.type.str()) || node.inputs.empty() ||
        generic::find_kernel(node.domain, node.type) == nullptr ||
        !model_.bodies(producer).empty()) {
      return false;
    }
    stack.push_back({.node = producer});
    return true;
  };
  if (!enter(target)) return false;
  while (!stack.empty()) {
    Step& top = stack.back();
    const GraphNode& node = model_.node(top.node);
    if (top.next < node.inputs.size()) {
      const ValueId input = node.inputs[top.next++];
      if (input && !enter(input)) return false;
      continue;
    }
    order_.push_back(top.node);
    stack.pop_back();
  }
  return true;
}

// A guess, from above where it matters, of the elements of the largest result.
bool Folding::fits(const generic::Call& call) const {
  const auto size = [&call](std::size_t i) {
    return call.has(i) ? static_cast<double>(call.tensor(i).size()) : 1.0;
  };
  const auto product = [&](std::size_t i) {  // of the numbers of a small tensor
    double all = 1;
    if (!call.has(i) || call.tensor(i).size() > 64) return all;
    for (const double n : call.tensor(i).numbers())
      all *= std::max(1.0, std::abs(n));
    return all;
  };
  double count = 0;
  if (call.type == "ConstantOfShape") {
    count = product(0);
  } else if (call.type == "Expand" && call.has(0) && call.has(1) && call.tensor(1).size() <= 64) {
    const auto shape = broadcast(call.tensor(0).shape(), call.tensor(1).integers());
    count = shape ? 1 : HUGE_VAL;
    for (const std::int64_t dim : shape.value_or(Shape{}))
      count *= static_cast<double>(dim);
  } else if (call.type == "Tile" || call.type == "Upsample") {
    count = size(0) * product(1);
  } else if (call.type == "Resize") {
    count = std::max(size(0) * product(call.inputs.size() == 2 ? 1 : 2), product(3));
  } else if (call.type == "Range" && call.has(2)) {
    const double step = std::abs(call.tensor(2).number(0));
    const double span = call.tensor(1).number(0) - call.tensor(0).number(0);
    count = step == 0 ? HUGE_VAL : std::abs(span) / step + 1;
  } else if (call.type == "OneHot") {
    count = size(0) * product(1);
  } else if (call.type == "Pad" && call.has(0)) {
    count = 1;
    const Shape& shape = call.tensor(0).shape();
    double added = 0;
    if (call.has(1)) {
      for (const double n : call.tensor(1).numbers())
        added += std::max(0.0, n);
    }
    for (const std::int64_t n : call.attributes.integers("pads")) {
      added += static_cast<double>(std::max<std::int64_t>(0, n));
    }
    for (const std::int64_t dim : shape)
      count *= static_cast<double>(dim) + added;
  } else if (call.type == "MatMul" || call.type == "Gemm") {
    count =
        call.has(0) && call.has(1) && call.tensor(0).rank() > 0 && call.tensor(1).rank() > 0
            ? size(0) * size(1) /
                  std::max(1.0, static_cast<double>(*std::min_element(
                                    call.tensor(1).shape().begin(), call.tensor(1).shape().end())))
            : 1;
  } else {
    // Element by element: the broadcast shape. Others rarely give more than they take.
    std::optional<Shape> shape = Shape{};
    double sum = 0;
    for (std::size_t i = 0; i < call.inputs.size(); ++i) {
      if (!call.has(i)) continue;
      sum += size(i);
      if (shape) shape = broadcast(*shape, call.tensor(i).shape());
    }
    count = sum;
    if (shape) {
      double all = 1;
      for (const std::int64_t dim : *shape)
        all *= static_cast<double>(dim);
      count = std::max(count, all);
    }
    count /= 4;  // a sum of several operands is no reason to refuse
  }
  return count <= static_cast<double>(max_elements_);
}

bool Folding::evaluate(NodeId id) {
  const GraphNode& node = model_.node(id);
  std::vector<Value> held;
  held.reserve(node.inputs.size());
  std::vector<const Value*> inputs;
  for (const ValueId input : node.inputs) {
    if (!input) {
      inputs.push_back(nullptr);
      continue;
    }
    const auto at = known_.find(input.index);
    if (at == known_.end()) return false;
    held.emplace_back(at->second);
    inputs.push_back(&held.back());
  }
  generic::Call call{.domain = node.domain,
                     .type = node.type,
                     .opset = static_cast<int>(model_.opset(node.domain)),
                     .inputs = inputs,
                     .attributes = node.attributes,
                     .output_count = node.outputs.size()};
  if (!fits(call)) return false;
  auto outputs = generic::run(call);
  if (!outputs) return false;
  for (std::size_t i = 0; i < node.outputs.size() && i < outputs->size(); ++i) {
    if (!node.outputs[i] || !(*outputs)[i].is_tensor()) continue;
    Tensor tensor = (*outputs)[i].tensor();
    if (tensor.size() > max_elements_) return false;
    known_.insert_or_assign(node.outputs[i].index, std::move(tensor));
  }
  return true;
}

std::optional<Tensor> fold(const Model& model, ValueId id, std::int64_t max_elements) {
  if (!id) return std::nullopt;
  if (const auto constant = model.constant(id)) return *constant;
  return Folding(model, max_elements).run(id);
}

}  // namespace rulec
