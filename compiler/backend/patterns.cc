// SPDX-License-Identifier: Apache-2.0
// Activations that exporters spell out: x·sigmoid(x), x·hardsigmoid(x), x·tanh(softplus(x)),
// x·clip(x+3,0,6)/6 and GELU by erf.
#include <cmath>

#include "compiler/backend/lowering.h"

namespace rulec::backend {

namespace {
class PatternFinder {
 public:
  explicit PatternFinder(Lowering& l) : l_(l), m_(l.model) {}

  void run() {
    for (NodeId id : m_.nodes(m_.main())) {
      if (!is(id, "Mul") && !is(id, "Div")) continue;
      if (l_.absorbed.contains(id.index)) continue;
      if (is(id, "Mul") && (product_with_gate(id) || gelu(id))) continue;
      hard_swish_by_clip(id);
    }
  }

 private:
  bool is(NodeId id, std::string_view type) const {
    return id && m_.node(id).domain.empty() && m_.node(id).type == type;
  }
  NodeId maker(ValueId id) const {
    return id && m_.value(id).graph.index == m_.main().index ? m_.value(id).producer : NodeId{};
  }
  bool private_to_pattern(ValueId id) const {
    return m_.use_count(id) == 1 && !m_.is_graph_output(id);
  }
  std::optional<double> scalar(ValueId id) const {
    const auto c = l_.constant(id);
    if (!c || c->size() != 1 || c->dtype() != DType::F32) return std::nullopt;
    return c->number(0);
  }
  static bool near(std::optional<double> a, double b) { return a && std::abs(*a - b) < 1e-4 * b; }
  // The operand of a binary node that is not a scalar constant near `c`.
  std::optional<ValueId> other_than(NodeId id, double c) const {
    const auto& in = m_.node(id).inputs;
    if (in.size() != 2) return std::nullopt;
    if (near(scalar(in[1]), c)) return in[0];
    if (near(scalar(in[0]), c) && !is(id, "Div")) return in[1];
    return std::nullopt;
  }

  bool found(NodeId root, ValueId x, kernels::Activation activation,
             std::initializer_list<NodeId> inner) {
    const auto shape = l_.shape(x), result = l_.shape(m_.node(root).outputs[0]);
    if (!l_.is_f32(x) || !shape || !result || *shape != *result) return false;
    for (NodeId id : inner) {
      if (l_.absorbed.contains(id.index) || l_.activations.contains(id.index)) return false;
    }
    l_.activations[root.index] = {x, activation};
    for (NodeId id : inner)
      l_.absorbed[id.index] = "part of " + l_.name_of(root);
    return true;
  }

  // x · gate(x)
  bool product_with_gate(NodeId id) {
    const auto& in = m_.node(id).inputs;
    for (std::size_t k = 0; k < 2; ++k) {
      const ValueId x = in[k], gate = in[1 - k];
      const NodeId g = maker(gate);
      if (!g || !private_to_pattern(gate)) continue;
      const GraphNode& gn = m_.node(g);
      if (is(g, "Sigmoid") && gn.inputs[0] == x) {
        return found(id, x, kernels::Activation::Silu, {g});
      }
      if (is(g, "HardSigmoid") && gn.inputs[0] == x &&
          near(static_cast<double>(gn.attributes.number("alpha", 0.2f)), 1.0 / 6) &&
          near(static_cast<double>(gn.attributes.number("beta", 0.5f)), 0.5)) {
        return found(id, x, kernels::Activation::HardSwish, {g});
      }
      const NodeId s = is(g, "Tanh") ? maker(gn.inputs[0]) : NodeId{};
      if (is(s, "Softplus") && m_.node(s).inputs[0] == x && private_to_pattern(gn.inputs[0])) {
        return found(id, x, kernels::Activation::Mish, {g, s});
      }
    }
    return false;
  }

  // Whether v is clip(x + 3, 0, 6).
  bool is_clipped(ValueId v, ValueId x, NodeId& clip, NodeId& add) const {
    clip = maker(v);
    if (!is(clip, "Clip") || !private_to_pattern(v)) return false;
    const GraphNode& c = m_.node(clip);
    const auto bound = [&](std::size_t i, const char* name) -> std::optional<double> {
      if (c.inputs.size() > i && c.inputs[i]) return scalar(c.inputs[i]);
      if (c.attributes.has(name)) return static_cast<double>(c.attributes.number(name, 0));
      return std::nullopt;
    };
    const auto low = bound(1, "min"), high = bound(2, "max");
    if (!low || *low != 0.0 || !high || *high != 6.0) return false;
    add = maker(c.inputs[0]);
    return is(add, "Add") && private_to_pattern(c.inputs[0]) && other_than(add, 3.0) == x;
  }

  // (x · clip(x+3, 0, 6)) / 6, or with · 1/6
  bool hard_swish_by_clip(NodeId id) {
    const auto product = other_than(id, is(id, "Div") ? 6.0 : 1.0 / 6);
    if (!product || !private_to_pattern(*product)) return false;
    const NodeId mul = maker(*product);
    if (!is(mul, "Mul")) return false;
    const auto in = m_.node(mul).inputs;
    for (std::size_t k = 0; k < 2; ++k) {
      NodeId clip, add;
      if (is_clipped(in[1 - k], in[k], clip, add)) {
        return found(id, in[k], kernels::Activation::HardSwish, {mul, clip, add});
      }
    }
    return false;
  }

  // What is added to one to make the erf factor: erf(x / sqrt 2) + 1 at `v`.
  bool is_erf_factor(ValueId v, ValueId& x, NodeId (&inner)[3]) const {
    inner[0] = maker(v);
    if (!is(inner[0], "Add") || !private_to_pattern(v)) return false;
    const auto e = other_than(inner[0], 1.0);
    inner[1] = e ? maker(*e) : NodeId{};
    if (!is(inner[1], "Erf") || !private_to_pattern(*e)) return false;
    const ValueId scaled = m_.node(inner[1]).inputs[0];
    inner[2] = maker(scaled);
    if (!private_to_pattern(scaled)) return false;
    if (!is(inner[2], "Div") && !is(inner[2], "Mul")) return false;
    const auto from = other_than(inner[2], is(inner[2], "Div") ? std::sqrt(2.0) : std::sqrt(0.5));
    if (!from) return false;
    x = *from;
    return true;
  }

  bool gelu(NodeId id) {
    const auto& in = m_.node(id).inputs;
    NodeId inner[3];
    ValueId x;
    for (std::size_t k = 0; k < 2; ++k) {
      // (x/2) · factor, or x · (factor/2)
      if (is_erf_factor(in[k], x, inner)) {
        const NodeId half = maker(in[1 - k]);
        if (is(half, "Mul") && private_to_pattern(in[1 - k]) && other_than(half, 0.5) == x) {
          return found(id, x, kernels::Activation::Gelu, {inner[0], inner[1], inner[2], half});
        }
      }
      const NodeId half = maker(in[k]);
      if (is(half, "Mul") && private_to_pattern(in[k])) {
        const auto factor = other_than(half, 0.5);
        if (factor && is_erf_factor(*factor, x, inner) && in[1 - k] == x) {
          return found(id, x, kernels::Activation::Gelu, {half, inner[0], inner[1], inner[2]});
        }
      }
    }
    // (x · factor) / 2
    const auto whole = other_than(id, 0.5);
    const NodeId mul = whole && private_to_pattern(*whole) ? maker(*whole) : NodeId{};
    if (!is(mul, "Mul")) return false;
    for (std::size_t k = 0; k < 2; ++k) {
      const auto operands = m_.node(mul).inputs;
      if (is_erf_factor(operands[k], x, inner) && operands[1 - k] == x) {
        return found(id, x, kernels::Activation::Gelu, {mul, inner[0], inner[1], inner[2]});
      }
    }
    return false;
  }

  Lowering& l_;
  const Model& m_;
};
}  // namespace

void find_patterns(Lowering& l) {
  PatternFinder(l).run();
}

}  // namespace rulec::backend
