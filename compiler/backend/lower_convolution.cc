// SPDX-License-Identifier: Apache-2.0
// Conv by the direct kernels: a stem for few input channels, depthwise, and the blocked one for the
// rest (groups become zeros in its weights).
#include "compiler/backend/lowering.h"
#include "compiler/backend/packing.h"
#include "compiler/backend/window.h"

namespace rulec::backend {

using format::Layout;

bool lower_convolution(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  if (n.inputs.size() < 2 || n.outputs.size() != 1) return l.refuse("missing operands");
  const ValueId x = n.inputs[0], y = n.outputs[0];
  const auto weights = l.constant(n.inputs[1]);
  const bool has_bias = n.inputs.size() > 2 && n.inputs[2];
  const auto bias = has_bias ? l.constant(n.inputs[2]) : nullptr;
  if (!weights || (has_bias && !bias)) return l.refuse("weights that are not constant");
  if (!l.is_f32(x) || weights->dtype() != DType::F32) return l.refuse("not f32");
  auto in = l.shape(x), out = l.shape(y);
  if (!in || !out) return l.refuse("a shape that is not known");
  if (in->size() != 3 && in->size() != 4) return l.refuse("not one or two spatial dimensions");
  const bool flat = in->size() == 3;  // a convolution along W of images of height 1
  const auto window =
      window_of(n.attributes, *in, *out, {weights->shape().begin() + 2, weights->shape().end()});
  if (!window) return l.refuse("a window that leaves its input");
  const Shape x4 = flat ? Shape{(*in)[0], (*in)[1], 1, (*in)[2]} : *in;
  const Shape y4 = flat ? Shape{(*out)[0], (*out)[1], 1, (*out)[2]} : *out;
  const Tensor w4 =
      flat ? weights->reshaped({weights->dim(0), weights->dim(1), 1, weights->dim(2)}) : *weights;
  const std::int64_t groups = n.attributes.integer("group", 1);
  const std::int64_t oc = y4[1], ic = x4[1];
  if (groups < 1 || ic != w4.dim(1) * groups || oc != w4.dim(0) || oc % groups != 0) {
    return l.refuse("weights that do not fit");
  }
  kernels::ConvParameters p;
  p.kernel_h = static_cast<std::uint32_t>(w4.dim(2));
  p.kernel_w = static_cast<std::uint32_t>(w4.dim(3));
  p.stride_h = window->stride_h;
  p.stride_w = window->stride_w;
  p.dilation_h = window->dilation_h;
  p.dilation_w = window->dilation_w;
  p.pad_top = window->pad_top;
  p.pad_left = window->pad_left;
  const std::int64_t halo = window->halo;
  if (halo > 64 || p.kernel_h > 64 || p.kernel_w > 64) return l.refuse("a very large window");

  const bool depthwise = groups > 1 && groups == ic && oc == ic;
  const bool stem = !depthwise && groups == 1 && ic <= 4 && !l.only_blocked(x);
  Opcode opcode = Opcode::Conv;
  Index input = no_value;
  Tensor packed;
  if (flat && !l.is_blocked(x)) {
    // The same bytes with a height of one.
    input = l.add_alias(l.plain_in_arena(x), l.model.value(x).name, x4);
    if (!stem) {
      const Index to = l.add_arena(l.model.value(x).name, DType::F32, x4, Layout::Blocked);
      l.value(to).halo = static_cast<std::uint32_t>(halo);
      l.add(Opcode::Reorder, {}, {input}, {to}).set(kernels::ReorderParameters{});
      input = to;
    }
  } else if (flat) {
    return l.refuse("an operand of rank 3 in blocks");
  }
  if (stem) {
    opcode = Opcode::ConvStem;
    packed = pack_stem(w4);
    if (!flat) {
      const auto source = l.channels_last_source(x);
      p.channels_last = source ? 1 : 0;
      input = l.plain(source ? *source : x);
    }
  } else {
    opcode = depthwise ? Opcode::ConvDepthwise : Opcode::Conv;
    packed = depthwise ? pack_depthwise(w4) : pack_conv(w4, groups);
    if (!flat) input = l.blocked(x, halo);
  }
  const std::span<const float> b =
      bias ? std::span(bias->data<float>(), static_cast<std::size_t>(bias->size()))
           : std::span<const float>();
  const std::string& weight_name = l.model.value(n.inputs[1]).name;
  const Index w = l.add_weight(weight_name, std::move(packed));
  const Index v = l.add_weight(weight_name + ".bias", pad_vector(b, oc, 0.0f));
  const Index result = l.add_arena(l.model.value(y).name, DType::F32, y4, Layout::Blocked);
  l.add(opcode, node, {input, w, v}, {result}).set(p);
  if (flat) {
    const Index plain = l.add_arena(l.model.value(y).name, DType::F32, y4, Layout::Plain);
    l.add(Opcode::Reorder, {}, {result}, {plain}).set(kernels::ReorderParameters{});
    l.bind(y, l.add_alias(plain, l.model.value(y).name, *out));
  } else {
    l.bind(y, result);
  }
  l.report(node, std::string(name(opcode)),
           groups > 1 && !depthwise ? "groups as zeros of a dense kernel" : "");
  return true;
}

}  // namespace rulec::backend
