// SPDX-License-Identifier: Apache-2.0
// Conv by the direct kernels: a stem for few input channels, depthwise, and the blocked one for the
// rest (groups become zeros in its weights).
#include <tuple>

#include "compiler/backend/lowering.h"
#include "compiler/backend/packing.h"
#include "runtime/result.h"
#include "runtime/window.h"

namespace rulec::backend {

using format::Layout;

// What one output image costs, in units of a multiplication and addition: the products, the
// transforms there and back, and reading weights that no cache keeps.
static double cost(int m, std::int64_t ic, std::int64_t oc, std::int64_t n, std::int64_t h,
                   std::int64_t w) {
  const auto inputs = static_cast<double>((ic + 15) / 16 * 16);
  const auto outputs = static_cast<double>((oc + 15) / 16 * 16);
  const auto up = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
  const int points = m == 0 ? 9 : (m + 2) * (m + 2);
  const auto places = static_cast<double>(m == 0 ? n * h * w : n * up(h, m) * up(w, m));
  const double transforms = m == 0   ? 0
                            : m == 2 ? places * (120 * inputs + 100 * outputs)
                                     : places * (400 * inputs + 300 * outputs);
  return points * inputs * outputs * places + transforms + 8.0 * points * inputs * outputs;
}

// The cheapest form of a 3x3 convolution with stride 1: 0 (direct), 2 or 4 (F(m,3)). Winograd's
// weights are 16/9 or 4 times as large, so size has a say when it is asked for.
static int winograd_form(const kernels::ConvParameters& p, Optimize optimize, std::int64_t ic,
                         const Shape& out) {
  if (optimize == Optimize::Size || p.kernel_h != 3 || p.kernel_w != 3 || p.stride_h != 1 ||
      p.stride_w != 1 || p.dilation_h != 1 || p.dilation_w != 1) {
    return 0;
  }
  int best = 0;
  double least = 0.9 * cost(0, ic, out[1], out[0], out[2], out[3]);
  for (int m : {2, 4}) {
    const std::int64_t bytes = (m + 2) * (m + 2) * ic * out[1] * 4;
    if (optimize == Optimize::Balanced && bytes > (std::int64_t{1} << 20)) continue;
    const double c = cost(m, ic, out[1], out[0], out[2], out[3]);
    if (c < least) {
      least = c;
      best = m;
    }
  }
  return best;
}

// Where x is a product with one factor a channel (squeeze and excitation), which nothing else
// reads, the convolution may multiply its weights by these instead, which are fewer than its
// inputs: then that product is dropped, and its operands are returned.
static std::optional<std::pair<Index, Index>> take_scale(Lowering& l, ValueId x, NodeId node,
                                                         const Shape& in, const Shape& out,
                                                         std::int64_t taps) {
  const std::int64_t outputs = (out[1] + 15) / 16 * 16;
  const auto index = l.fusable_maker(x);
  if (!index || in[2] * in[3] < 2 * outputs * taps) return std::nullopt;
  Operation& op = l.operation(*index);
  if (op.opcode != Opcode::Chain || op.inputs.size() != 2) return std::nullopt;
  const auto chain = op.get<kernels::ChainParameters>();
  const Index a = op.inputs[0], s = op.inputs[1];
  const bool product = chain.steps == 1 && chain.step[0].op == kernels::ChainOp::Mul &&
                       chain.step[0].has_operand == 1 && chain.step[0].operand == 1;
  if (!product || l.value(a).layout != Layout::Blocked || l.value(s).layout != Layout::Blocked ||
      *l.value(a).dims != in || *l.value(s).dims != Shape{in[0], in[1], 1, 1}) {
    return std::nullopt;
  }
  op.dead = true;
  for (auto r = l.out.report.rbegin(); r != l.out.report.rend(); ++r) {
    if (r->node != op.name || r->kernel != "Chain") continue;
    r->kernel.clear();
    r->note = "fused into " + l.name_of(node);
    break;
  }
  return std::pair(a, s);
}

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
  set_window(p, w4.dim(2), w4.dim(3), *window);
  const std::int64_t halo = window->halo;
  if (n.domain.empty() && x4[0] == 1 && ic == 1 && x4[2] == 1 && halo == 0 && p.kernel_w > 16 &&
      p.dilation_w == 1 && !l.only_blocked(x) && l.is_f32(x)) {
    l.report(node, "Gemm", "a filter bank");
    return lower_filter_bank(l, node, w4, bias.get(), p.stride_w);
  }
  if (halo > 64 || p.kernel_h > 64 || p.kernel_w > 64) return l.refuse("a very large window");

  const bool depthwise = groups > 1 && groups == ic && oc == ic;
  const bool stem = !depthwise && groups == 1 && ic <= 4 && !l.only_blocked(x);
  Opcode opcode = Opcode::Conv;
  Index input = no_value, scales = no_value;
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
    Shape usual = y4;
    if (l.any_batch) usual[0] = 1;  // one form for all
    const int form = groups == 1 ? winograd_form(p, l.optimize, ic, usual) : 0;
    p.winograd = static_cast<std::uint32_t>(form);
    opcode = depthwise ? Opcode::ConvDepthwise : form != 0 ? Opcode::ConvWinograd : Opcode::Conv;
    packed = depthwise   ? pack_depthwise(w4)
             : form != 0 ? pack_winograd(w4, form)
                         : pack_conv(w4, groups);
    if (!flat && opcode == Opcode::Conv && halo == 0) {
      const std::int64_t taps = std::int64_t{p.kernel_h} * p.kernel_w;
      if (const auto both = take_scale(l, x, node, x4, y4, taps)) {
        std::tie(input, scales) = *both;
        p.scaled = 1;
      }
    }
    if (!flat && scales == no_value) input = l.blocked(x, halo);
  }
  const std::span<const float> b =
      bias ? std::span(bias->data<float>(), static_cast<std::size_t>(bias->size()))
           : std::span<const float>();
  const std::string& weight_name = l.model.value(n.inputs[1]).name;
  const Index w = l.add_weight(weight_name, std::move(packed));
  const Index v = l.add_weight(weight_name + ".bias", pad_vector(b, oc, 0.0f));
  const Index result = l.add_arena(l.model.value(y).name, DType::F32, y4, Layout::Blocked);
  Operation& op = l.add(opcode, node, {input, w, v}, {result});
  op.set(p);
  if (scales != no_value) op.inputs.push_back(scales);
  if (flat) {
    const Index plain = l.add_arena(l.model.value(y).name, DType::F32, y4, Layout::Plain);
    l.add(Opcode::Reorder, {}, {result}, {plain}).set(kernels::ReorderParameters{});
    l.bind(y, l.add_alias(plain, l.model.value(y).name, *out));
  } else {
    l.bind(y, result);
  }
  l.report(node, std::string(name(opcode)),
           groups > 1 && !depthwise         ? "groups as zeros of a dense kernel"
           : opcode == Opcode::ConvWinograd ? fmt::format("F({},3)", p.winograd)
                                            : "");
  return true;
}

}  // namespace rulec::backend
