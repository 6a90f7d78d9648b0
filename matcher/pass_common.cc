// SPDX-License-Identifier: Apache-2.0
// common_subexpressions: of nodes with the same operator, operands and attributes the first stays.
// A body's node may give way to one of an enclosing graph that stands before the body's owner.
// Constants of the same bits count as one operand.
#include <algorithm>
#include <unordered_map>

#include "matcher/passes.h"
#include "matcher/widen.h"

namespace rulec {

// Larger constants are compared by where they lie, not by their bytes: weights are not read.
static constexpr std::size_t longest_constant = 4096;

static std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  a ^= b + 0x9e3779b97f4a7c15ULL + (a << 6) + (a >> 2);
  return a * 0xff51afd7ed558ccdULL;
}

static std::uint64_t hash_text(std::string_view text) {
  std::uint64_t out = 0xcbf29ce484222325ULL;
  for (const char c : text)
    out = (out ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return out;
}

static std::string_view text_of(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.bytes().data()), tensor.byte_size()};
}

static bool same_constants(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  if (a.dtype() == DType::String) return a.strings() == b.strings();
  return same_bits(a, b);
}

static bool same_values(const AttributeValue& a, const AttributeValue& b) {
  if (a.index() != b.index()) return false;
  const auto same = [&](auto* left) {
    return *left == *std::get_if<std::remove_cvref_t<decltype(*left)>>(&b);
  };
  if (const auto* one = std::get_if<std::int64_t>(&a)) return same(one);
  if (const auto* one = std::get_if<float>(&a)) return same(one);
  if (const auto* one = std::get_if<std::string>(&a)) return same(one);
  if (const auto* many = std::get_if<std::vector<std::int64_t>>(&a)) return same(many);
  if (const auto* many = std::get_if<std::vector<float>>(&a)) return same(many);
  if (const auto* many = std::get_if<std::vector<std::string>>(&a)) return same(many);
  if (const auto* one = std::get_if<Tensor>(&a)) {
    return one->byte_size() <= longest_constant && same_constants(*one, *std::get_if<Tensor>(&b));
  }
  return false;
}

static bool same_attributes(const Attributes& a, const Attributes& b) {
  if (a.all().size() != b.all().size()) return false;
  return std::all_of(a.all().begin(), a.all().end(), [&](const Attribute& one) {
    const AttributeValue* other = b.find(one.name);
    return other != nullptr && same_values(one.value, *other);
  });
}

namespace {

class Sharing {
 public:
  Sharing(Model& model, const OpTable& ops) : model_(model), ops_(ops) {}

  void graph(GraphId graph);
  std::size_t changes() const { return changes_; }

 private:
  ValueId canonical(ValueId value);
  std::vector<ValueId> operands_of(const GraphNode& node);
  bool may_share(NodeId id) const;
  bool same(NodeId a, NodeId b);
  void visit(NodeId id);
  void forget(std::size_t mark);

  Model& model_;
  const OpTable& ops_;
  std::unordered_multimap<std::uint64_t, ValueId> constants_;
  std::unordered_map<std::uint32_t, ValueId> canonical_;
  std::unordered_multimap<std::uint64_t, NodeId> nodes_;
  std::vector<std::pair<std::uint64_t, NodeId>> entered_;  // in order, to leave a body again
  std::size_t changes_ = 0;
};

}  // namespace

// The first constant of the same bits stands for all of them, in comparisons only: each keeps its
// readers, so that no weight is moved between graphs.
ValueId Sharing::canonical(ValueId value) {
  if (!value || model_.value(value).producer) return value;
  const auto known = canonical_.find(value.index);
  if (known != canonical_.end()) return known->second;
  ValueId out = value;
  const auto tensor = model_.constant(value);
  if (tensor && (tensor->dtype() == DType::String || tensor->byte_size() <= longest_constant)) {
    std::uint64_t hash = mix(static_cast<std::uint64_t>(tensor->dtype()), tensor->rank());
    for (const std::int64_t size : tensor->shape())
      hash = mix(hash, static_cast<std::uint64_t>(size));
    if (tensor->dtype() != DType::String) hash = mix(hash, hash_text(text_of(*tensor)));
    const auto [first, last] = constants_.equal_range(hash);
    const auto found = std::find_if(first, last, [&](const auto& entry) {
      return same_constants(*model_.constant(entry.second), *tensor);
    });
    if (found != last) {
      out = found->second;
    } else {
      constants_.emplace(hash, value);
    }
  }
  canonical_.emplace(value.index, out);
  return out;
}

// Without absent operands at the end; in one order where the operator allows any.
std::vector<ValueId> Sharing::operands_of(const GraphNode& node) {
  std::vector<ValueId> out = node.inputs;
  while (!out.empty() && !out.back())
    out.pop_back();
  for (ValueId& value : out)
    value = canonical(value);
  static constexpr std::string_view symmetric[] = {"Add", "Mul", "And", "Or", "Xor", "Equal"};
  if (out.size() == 2 && out[0] && out[1] && node.domain.empty() &&
      std::find(std::begin(symmetric), std::end(symmetric), node.type.str()) !=
          std::end(symmetric) &&
      out[1].index < out[0].index) {
    std::swap(out[0], out[1]);
  }
  return out;
}

bool Sharing::may_share(NodeId id) const {
  const GraphNode& node = model_.node(id);
  if (!node.domain.empty() || !is_repeatable(node.type.str()) || node.type == "Constant" ||
      node.inputs.empty() || !model_.bodies(id).empty()) {
    return false;
  }
  const OpSchema* schema =
      ops_.find(node.domain.str(), node.type.str(), static_cast<int>(model_.opset("")));
  return schema != nullptr && schema->deterministic;
}

bool Sharing::same(NodeId a, NodeId b) {
  const GraphNode& one = model_.node(a);
  const GraphNode& other = model_.node(b);
  if (one.type != other.type || one.domain != other.domain) return false;
  if (one.outputs.size() < other.outputs.size()) return false;
  for (std::size_t i = 0; i < other.outputs.size(); ++i) {
    if (other.outputs[i] && !one.outputs[i]) return false;
  }
  return operands_of(one) == operands_of(other) &&
         same_attributes(one.attributes, other.attributes);
}

void Sharing::visit(NodeId id) {
  if (!may_share(id)) return;
  std::uint64_t hash = hash_text(model_.node(id).type.str());
  for (const ValueId operand : operands_of(model_.node(id)))
    hash = mix(hash, operand ? operand.index + 1 : 0);
  const auto [first, last] = nodes_.equal_range(hash);
  for (auto at = first; at != last; ++at) {
    if (!same(at->second, id) || is_any_output(model_, id)) continue;
    const std::vector<ValueId> outputs = model_.node(id).outputs;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i]) model_.replace_uses(outputs[i], model_.node(at->second).outputs[i]);
    }
    model_.remove_node(id);
    ++changes_;
    return;
  }
  nodes_.emplace(hash, id);
  entered_.emplace_back(hash, id);
}

void Sharing::forget(std::size_t mark) {
  while (entered_.size() > mark) {
    const auto [first, last] = nodes_.equal_range(entered_.back().first);
    const auto found = std::find_if(
        first, last, [&](const auto& entry) { return entry.second == entered_.back().second; });
    if (found != last) nodes_.erase(found);
    entered_.pop_back();
  }
}

void Sharing::graph(GraphId graph) {
  for (NodeId at = model_.first_node(graph); at;) {
    const NodeId next = model_.next_node(at);
    for (const GraphId body : model_.bodies(at)) {
      const std::size_t mark = entered_.size();
      this->graph(body);
      forget(mark);
    }
    visit(at);
    at = next;
  }
}

PassResult common_subexpressions(Model& model, const OpTable& ops) {
  Sharing sharing(model, ops);
  sharing.graph(model.main());
  return {.changes = sharing.changes()};
}

}  // namespace rulec
