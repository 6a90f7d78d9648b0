// SPDX-License-Identifier: Apache-2.0
// What stands between products of 8-bit numbers: QuantizeLinear, DequantizeLinear, sums, tables,
// averages. Their kernels round at each step as the standard's nodes do, to the same bits.
#include "compiler/backend/quantization.h"

namespace rulec::backend {

using format::Layout;
using kernels::QuantizedKind;

std::optional<kernels::Quantization> quantization_of(const Lowering& l, const GraphNode& n,
                                                     std::size_t scale) {
  const auto s = scale < n.inputs.size() ? l.constant(n.inputs[scale]) : nullptr;
  const ValueId zero = scale + 1 < n.inputs.size() ? n.inputs[scale + 1] : ValueId{};
  const auto z = l.constant(zero);
  if (!s || s->dtype() != DType::F32 || s->size() != 1 || (zero && (!z || z->size() != 1)))
    return std::nullopt;
  if (z && z->dtype() != DType::U8 && z->dtype() != DType::I8) return std::nullopt;
  kernels::Quantization q;
  q.scale = *s->data<float>();
  q.zero = z ? static_cast<std::int32_t>(z->integer(0)) : 0;
  // Far from where a product of scales leaves the normal numbers.
  if (!(q.scale > 1e-15f && q.scale < 1e15f)) return std::nullopt;
  return q;
}

bool is_stored(const Lowering& l, ValueId id) {
  const auto c = l.constant(id);
  const DType dtype = c ? c->dtype() : id ? l.model.value(id).type.dtype : DType::Undefined;
  return dtype == DType::U8 || dtype == DType::I8;
}

std::optional<Range> stored_range(const Attributes& attributes, const kernels::Quantization& y,
                                  DType dtype) {
  const std::int32_t least = dtype == DType::I8 ? -128 : 0, most = least + 255;
  Range range = {least, most};
  const auto e = activation_named(attributes);
  if (!e) return std::nullopt;
  // As the kernel stores a real number.
  const auto stored = [&](float v) {
    const double steps = std::nearbyint(std::clamp(static_cast<double>(v / y.scale), -1e3, 1e3));
    return std::clamp(static_cast<std::int32_t>(steps) + y.zero, least, most);
  };
  switch (e->activation) {
    case kernels::Activation::None:
      return range;
    case kernels::Activation::Relu:
      range.low = std::max(range.low, y.zero);
      return range;
    case kernels::Activation::Clip:
      if (std::isnan(e->alpha) || std::isnan(e->beta) || e->alpha > e->beta) return std::nullopt;
      range.low = stored(e->alpha);
      range.high = stored(e->beta);
      return range;
    default:
      return std::nullopt;
  }
}

// An elementwise operation on operands that lie alike.
static bool add_elementwise(Lowering& l, NodeId node, const std::vector<ValueId>& operands,
                            Index table, const kernels::QuantizedParameters& p) {
  const ValueId y = l.model.node(node).outputs[0];
  bool last = false;
  for (const ValueId id : operands)
    last = last || l.is_channels_last(id);
  std::vector<Index> inputs;
  for (const ValueId id : operands)
    inputs.push_back(last ? l.channels_last(id) : l.plain(id));
  if (table != no_value) inputs.push_back(table);
  const Index out = last ? l.add_channels_last(y) : l.add_arena(y, Layout::Plain);
  l.add(Opcode::Quantized, node, std::move(inputs), {out}).set(p);
  if (last) {
    l.bind_channels_last(y, out);
  } else {
    l.bind(y, out);
  }
  l.report(node, "Quantized", "");
  return true;
}

static bool lower_sum(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  kernels::QuantizedParameters p;
  p.kind = n.type == "QuantizedAdd" ? QuantizedKind::Add : QuantizedKind::Mul;
  if (n.inputs.size() < 7) return l.refuse("missing operands");
  const ValueId a = n.inputs[0], b = n.inputs[3], y = n.outputs[0];
  const auto of_a = quantization_of(l, n, 1), of_b = quantization_of(l, n, 4),
             of_y = quantization_of(l, n, 6);
  if (!of_a || !of_b || !of_y) return l.refuse("scales that are not one constant number");
  if (!is_stored(l, a) || !l.shape(a) || l.shape(a) != l.shape(b) || l.shape(a) != l.shape(y))
    return l.refuse("operands of several shapes");
  const DType dtype = l.model.value(a).type.dtype;
  if (l.model.value(b).type.dtype != dtype || l.model.value(y).type.dtype != dtype ||
      l.constant(a) || l.constant(b)) {
    return l.refuse("operands of several types");
  }
  const auto range = stored_range(n.attributes, *of_y, dtype);
  if (!range) return l.refuse("an activation without a kernel");
  p.a = *of_a;
  p.b = *of_b;
  p.y = *of_y;
  p.low = range->low;
  p.high = range->high;
  return add_elementwise(l, node, {a, b}, no_value, p);
}

static bool lower_average(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  kernels::QuantizedParameters p;
  p.kind = QuantizedKind::GlobalAverage;
  const ValueId x = n.inputs[0], y = n.outputs[0];
  const auto of_x = quantization_of(l, n, 1), of_y = quantization_of(l, n, 3);
  const auto in = l.shape(x);
  if (!of_x || !of_y) return l.refuse("scales that are not one constant number");
  if (!is_stored(l, x) || l.model.value(x).type.dtype != l.model.value(y).type.dtype || !in ||
      in->size() != 4 || (*in)[2] * (*in)[3] > (1 << 20)) {
    return l.refuse("not an image of 8-bit numbers");
  }
  const auto range = stored_range(n.attributes, *of_y, l.model.value(y).type.dtype);
  if (!range) return l.refuse("an activation without a kernel");
  p.a = *of_x;
  p.y = *of_y;
  p.low = range->low;
  p.high = range->high;
  const Index from = l.channels_last(x), to = l.add_channels_last(y);
  l.add(Opcode::Quantized, node, {from}, {to}).set(p);
  l.bind_channels_last(y, to);
  l.report(node, "Quantized", "");
  return true;
}

// Whether each stored number stands for itself.
static bool changes_nothing(const Tensor& table, DType dtype) {
  if (table.dtype() != dtype) return false;
  const std::int64_t least = dtype == DType::I8 ? -128 : 0;
  for (std::int64_t i = 0; i < table.size(); ++i) {
    if (table.integer(i) != least + i) return false;
  }
  return true;
}

static bool pass_on(Lowering& l, NodeId node) {
  const ValueId x = l.model.node(node).inputs[0], y = l.model.node(node).outputs[0];
  if (l.is_channels_last(x)) {
    const Index v = l.channels_last(x);
    l.share(v);
    l.bind_channels_last(y, v);
  } else {
    l.bind(y, l.add_alias(l.plain_in_arena(x), l.model.value(y).name, *l.shape(y)));
  }
  l.report(node, "", "every number stands for itself");
  return true;
}

bool lower_quantized(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  if (n.type == "QuantizedAdd" || n.type == "QuantizedMul") return lower_sum(l, node);
  if (n.type == "QuantizedGlobalAveragePool") return lower_average(l, node);
  const ValueId x = n.inputs[0], y = n.outputs[0];
  if (!l.shape(x) || !l.shape(y) || l.constant(x)) return l.refuse("a shape that is not known");
  kernels::QuantizedParameters p;
  if (n.type == "QuantizedLookup") {
    const auto table = l.constant(n.inputs[1]);
    if (!is_stored(l, x) || !table || table->size() != 256 || !is_stored(l, n.inputs[1]))
      return l.refuse("no table of 8-bit numbers");
    if (changes_nothing(*table, l.model.value(x).type.dtype)) return pass_on(l, node);
    p.kind = QuantizedKind::Lookup;
    p.low = table->dtype() == DType::I8 ? -128 : 0;
    p.high = p.low + 255;
    return add_elementwise(l, node, {x}, l.plain(n.inputs[1]), p);
  }
  const auto q = quantization_of(l, n, 1);
  if (!q) return l.refuse("a scale that is not one constant number");
  // What asks for another type or precision than its operands have.
  for (const char* attribute : {"output_dtype", "precision"}) {
    if (n.attributes.integer(attribute, 0) != 0) return l.refuse("a type of its own");
  }
  if (n.type == "DequantizeLinear") {
    if (!is_stored(l, x) || !l.is_f32(y)) return l.refuse("not from 8 bits to f32");
    p.kind = QuantizedKind::Dequantize;
    p.a = *q;
    return add_elementwise(l, node, {x}, no_value, p);
  }
  if (!l.is_f32(x) || !is_stored(l, y)) return l.refuse("not from f32 to 8 bits");
  const auto range = stored_range(n.attributes, *q, l.model.value(y).type.dtype);
  if (!range) return l.refuse("an activation without a kernel");
  p.kind = QuantizedKind::Quantize;
  p.y = *q;
  p.low = range->low;
  p.high = range->high;
  return add_elementwise(l, node, {x}, no_value, p);
}

}  // namespace rulec::backend
