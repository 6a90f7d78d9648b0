// SPDX-License-Identifier: Apache-2.0
// Convolutions and products of 8-bit numbers: QLinearConv and QLinearMatMul as they are defined,
// on sums of integers; and rulec.QuantizedConv and QuantizedGemm, which stand for the nodes
// DequantizeLinear, Conv (or Gemm), QuantizeLinear and give their very bits: the sum of integers
// says what the result is wherever the roundings of those nodes cannot matter, and the kernel
// follows them step by step where they can.
#include "compiler/backend/packing.h"
#include "compiler/backend/quantization.h"
#include "compiler/backend/weight_steps.h"
#include "runtime/window.h"

namespace rulec::backend {

using format::Layout;
using kernels::QuantizedCoefficient;

namespace {
// The weights of one product, and how its results are stored.
struct Product {
  std::int64_t oc = 0, ic = 0, taps = 1;  // ic: that a result reads
  std::vector<std::int16_t> weights;      // [oc][ic][taps], less the zero points
  std::vector<float> scales;              // of the weights, one for each oc
  kernels::Quantization x, y;
  Range range = {0, 255};
  bool nodes = false;             // stands for three nodes
  std::vector<float> bias;        // of real numbers, or empty; where it does
  std::vector<std::int32_t> sum;  // of stored ones, or empty; where it does not
};
}  // namespace

// `w` [oc][…] or, transposed to that already, with its scale (operand i + 1) and zero point.
static bool read_weights(Lowering& l, const GraphNode& n, std::size_t i, const Tensor& w,
                         Product& p) {
  const auto scale = i + 1 < n.inputs.size() ? l.constant(n.inputs[i + 1]) : nullptr;
  const ValueId zero_point = i + 2 < n.inputs.size() ? n.inputs[i + 2] : ValueId{};
  const auto zero = l.constant(zero_point);
  if (!scale || scale->dtype() != DType::F32 || (zero_point && !zero))
    return l.refuse("scales that are not constant");
  const auto fits = [&](const Tensor& t) {
    return t.size() == 1 || (t.rank() == 1 && t.size() == p.oc);
  };
  if (!fits(*scale) || (zero && (!fits(*zero) || zero->dtype() != w.dtype())))
    return l.refuse("scales in blocks");
  const std::int64_t each = p.ic * p.taps;
  for (std::int64_t o = 0; o < p.oc; ++o) {
    const float s = scale->data<float>()[scale->size() == 1 ? 0 : o];
    if (!(s > 1e-15f && s < 1e15f)) return l.refuse("an odd scale");
    p.scales.push_back(s);
    const std::int64_t z = zero ? zero->integer(zero->size() == 1 ? 0 : o) : 0;
    for (std::int64_t k = 0; k < each; ++k)
      p.weights.push_back(static_cast<std::int16_t>(w.integer(o * each + k) - z));
  }
  return true;
}

// How far a stored number times its scale is from what f32 has for it, at most.
static double largest_rounding(const kernels::Quantization& q, std::int32_t least) {
  double largest = 0;
  for (std::int32_t i = least; i < least + 256; ++i) {
    const double exact = static_cast<double>(i - q.zero) * static_cast<double>(q.scale);
    const float rounded = static_cast<float>(i - q.zero) * q.scale;
    largest = std::max(largest, std::abs(static_cast<double>(rounded) - exact));
  }
  return largest;
}

// Biases and coefficients for the kernel; false where a sum may leave 32 bits, or where the
// roundings of the nodes may matter for too many results. `folded`: the kernel's inputs are
// unsigned bytes not less their zero point, and the bias makes up for it.
static bool prepare_sums(const Product& p, DType input, bool folded, Tensor& bias,
                         Tensor& coefficients) {
  const std::int64_t padded = (p.oc + 15) / 16 * 16;
  bias = Tensor::zeros(DType::I32, {padded});
  coefficients = Tensor::zeros(DType::F64, {kernels::quantized_coefficients, padded});
  const auto set = [&](QuantizedCoefficient which, std::int64_t o, double v) {
    coefficients.mutable_data<double>()[static_cast<std::int64_t>(which) * padded + o] = v;
  };
  const std::int32_t least = input == DType::I8 ? -128 : 0;
  const double farthest = std::max(p.x.zero - least, least + 255 - p.x.zero);
  const double x_scale = static_cast<double>(p.x.scale), y_scale = static_cast<double>(p.y.scale);
  const double x_off = largest_rounding(p.x, least);
  const std::int64_t each = p.ic * p.taps;
  for (std::int64_t o = 0; o < padded; ++o)
    set(QuantizedCoefficient::Limit, o, 1);  // never
  for (std::int64_t o = 0; o < p.oc; ++o) {
    const auto at = static_cast<std::size_t>(o);
    double size = 0, w_off = 0;
    std::uint32_t sum = 0;  // of 32 bits, as the kernel's
    for (std::int64_t k = 0; k < each; ++k) {
      const std::int16_t w = p.weights[static_cast<std::size_t>(o * each + k)];
      const float rounded = static_cast<float>(w) * p.scales[at];
      size += std::abs(w);
      sum += static_cast<std::uint32_t>(w);
      w_off += std::abs(static_cast<double>(rounded) -
                        static_cast<double>(w) * static_cast<double>(p.scales[at]));
    }
    const std::int32_t start = p.sum.empty() ? 0 : p.sum[at];
    if (size * farthest + std::abs(static_cast<double>(start)) >= 0x1p31) return false;
    const std::uint32_t zeros = folded ? sum * static_cast<std::uint32_t>(p.x.zero - least) : 0;
    bias.mutable_data<std::int32_t>()[o] =
        static_cast<std::int32_t>(static_cast<std::uint32_t>(start) - zeros);
    const double w_scale = static_cast<double>(p.scales[at]);
    const double b = p.bias.empty() ? 0 : static_cast<double>(p.bias[at]);
    const double steps =
        (size * farthest + std::abs(static_cast<double>(start))) * x_scale * w_scale / y_scale;
    // The kernel rounds to 32 bits before it takes the ends of the range.
    if (steps + std::abs(b) / y_scale > 0x1p30) return false;
    set(QuantizedCoefficient::Multiplier, o, x_scale * w_scale / y_scale);
    if (!p.nodes) continue;
    set(QuantizedCoefficient::Offset, o, b / y_scale);
    set(QuantizedCoefficient::WeightScale, o, w_scale);
    set(QuantizedCoefficient::Bias, o, b);
    // Both factors of a product are rounded to f32: how far off weights are is known, and stored
    // numbers at most. Then the sum and the quotient are rounded; beyond 256 steps the result is
    // one end of its range anyway.
    const double products = (farthest * x_scale + x_off) * w_off + x_off * size * w_scale;
    const double off =
        1.001 * products / y_scale + 0x1p-24 * 530 + 1e-15 * (steps + std::abs(b) / y_scale);
    if (off > 0.1 || std::abs(b) > 1e30) return false;
    set(QuantizedCoefficient::Limit, o, 0.5 - off);
  }
  return true;
}

// Whether Winograd's F(4,3) on integers has the sums (its kernel bounds them by 2^25), in less
// time. In units of a multiplication: transforms, and weights that no cache keeps.
static bool takes_winograd(const Product& product, const kernels::QuantizedConvParameters& p,
                           DType input, Optimize optimize, std::int64_t n, std::int64_t h,
                           std::int64_t w) {
  if (optimize == Optimize::Size || p.kernel_h != 3 || p.kernel_w != 3 || p.stride_h != 1 ||
      p.stride_w != 1 || p.dilation_h != 1 || p.dilation_w != 1 || product.ic % 16 != 0) {
    return false;
  }
  const std::int64_t each = product.ic * 9;
  const std::int32_t least = input == DType::I8 ? -128 : 0;
  const std::int64_t farthest = std::max(product.x.zero - least, least + 255 - product.x.zero);
  for (std::int64_t o = 0; o < product.oc; ++o) {
    std::int64_t size = 0;
    for (std::int64_t i = 0; i < each; ++i)
      size += std::abs(product.weights[static_cast<std::size_t>(o * each + i)]);
    if (size * farthest >= (1 << 25)) return false;
  }
  const auto ic = static_cast<double>(product.ic);
  const auto oc = static_cast<double>((product.oc + 15) / 16 * 16);
  if (optimize == Optimize::Balanced && 72 * ic * oc > 1 << 20) return false;
  const auto tiles = static_cast<double>(n * ((h + 3) / 4) * ((w + 3) / 4));
  const double direct = static_cast<double>(n * h * w) * 9 * ic * oc;
  return tiles * (36 * ic * oc + 500 * ic + 900 * oc) + 36 * 14 * ic * oc < 0.9 * direct;
}

// The operation on images [N,H,W,C].
static bool add_product(Lowering& l, NodeId node, const Product& product,
                        kernels::QuantizedConvParameters p, Opcode opcode, Index from, Index to) {
  const bool dense = opcode == Opcode::QuantizedConv;
  Tensor bias, coefficients;
  if (!prepare_sums(product, l.value(from).dtype, dense, bias, coefficients))
    return l.refuse("sums that may leave 32 bits, or steps that are too fine");
  p.x = product.x;
  p.y = product.y;
  p.low = product.range.low;
  p.high = product.range.high;
  const GraphNode& n = l.model.node(node);
  const std::string name = l.model.value(n.inputs[3]).name;
  WeightSteps packed;
  if (dense) {
    packed = pack_steps(product.weights,
                        {product.oc, product.ic, p.kernel_h, p.kernel_w, p.dilation_w == 1});
    // Modulo 2^32, as the kernel adds.
    for (std::size_t o = 0; o < packed.complemented.size(); ++o) {
      auto& b = bias.mutable_data<std::int32_t>()[o];
      b = static_cast<std::int32_t>(static_cast<std::uint32_t>(b) +
                                    static_cast<std::uint32_t>(packed.complemented[o]));
    }
  } else if (opcode == Opcode::QuantizedWinograd) {
    packed.weights = pack_whole_winograd(product.weights, product.oc, product.ic);
  } else {
    packed.weights = pack_depthwise_pairs(product.weights, product.oc, p.kernel_h, p.kernel_w);
  }
  std::vector<Index> inputs = {from, l.add_weight(name, std::move(packed.weights)),
                               l.add_weight(name + ".bias", std::move(bias)),
                               l.add_weight(name + ".scale", std::move(coefficients))};
  if (dense) inputs.push_back(l.add_weight(name + ".steps", std::move(packed.table)));
  l.add(opcode, node, std::move(inputs), {to}).set(p);
  l.report(node, std::string(rulec::name(opcode)), "");
  return true;
}

// What the operands 0 … 8 of all four operators have in common.
static bool read_product(Lowering& l, const GraphNode& n, Product& p) {
  const ValueId y = n.outputs[0];
  p.nodes = n.domain == "rulec";
  const auto of_x = quantization_of(l, n, 1), of_y = quantization_of(l, n, 6);
  if (!of_x || !of_y) return l.refuse("scales that are not one constant number");
  if (!is_stored(l, n.inputs[0]) || l.constant(n.inputs[0]) || !is_stored(l, y))
    return l.refuse("not 8-bit numbers");
  p.x = *of_x;
  p.y = *of_y;
  const auto range = stored_range(n.attributes, p.y, l.model.value(y).type.dtype);
  if (!range) return l.refuse("an activation without a kernel");
  p.range = *range;
  const ValueId addend = n.inputs.size() > 8 ? n.inputs[8] : ValueId{};
  if (!addend) return true;
  const auto b = l.constant(addend);
  if (!b || b->size() != p.oc || b->dtype() != (p.nodes ? DType::F32 : DType::I32))
    return l.refuse("a bias that is not constant, or no row");
  for (std::int64_t i = 0; i < p.oc; ++i) {
    if (p.nodes) p.bias.push_back(b->data<float>()[i]);
    if (!p.nodes) p.sum.push_back(b->data<std::int32_t>()[i]);
  }
  return true;
}

static bool lower_conv(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  const ValueId x = n.inputs[0], y = n.outputs[0];
  const auto w = l.constant(n.inputs[3]);
  const auto in = l.shape(x), out = l.shape(y);
  if (!w || !is_stored(l, n.inputs[3])) return l.refuse("weights that are not constant");
  if (!in || !out) return l.refuse("a shape that is not known");
  if (in->size() != 4 || w->rank() != 4) return l.refuse("not two spatial dimensions");
  const auto window = window_of(n.attributes, *in, *out, {w->dim(2), w->dim(3)});
  if (!window || window->pad_top > 64 || window->pad_left > 64 || w->dim(2) > 64 || w->dim(3) > 64)
    return l.refuse("an odd window");
  const std::int64_t groups = n.attributes.integer("group", 1);
  Product product;
  product.oc = w->dim(0);
  product.ic = w->dim(1);
  product.taps = w->dim(2) * w->dim(3);
  if (groups < 1 || (*in)[1] != product.ic * groups || (*out)[1] != product.oc)
    return l.refuse("weights that do not fit");
  if (product.ic * w->dim(3) > (1 << 22)) return l.refuse("rows that are too large");
  const bool depthwise = groups > 1 && product.ic == 1 && groups == product.oc;
  if (groups > 1 && !depthwise) return l.refuse("groups of 8-bit channels");
  if (!read_product(l, n, product) || !read_weights(l, n, 3, *w, product)) return false;
  kernels::QuantizedConvParameters p;
  set_window(p, w->dim(2), w->dim(3), *window);
  const Index from = l.channels_last(x), to = l.add_channels_last(y);
  const std::int64_t images = l.any_batch ? 1 : (*out)[0];
  const bool winograd = !depthwise && takes_winograd(product, p, l.value(from).dtype, l.optimize,
                                                     images, (*out)[2], (*out)[3]);
  const Opcode opcode = depthwise  ? Opcode::QuantizedDepthwise
                        : winograd ? Opcode::QuantizedWinograd
                                   : Opcode::QuantizedConv;
  if (!add_product(l, node, product, p, opcode, from, to)) return false;
  l.bind_channels_last(y, to);
  return true;
}

static bool lower_matrix(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  const ValueId x = n.inputs[0], y = n.outputs[0];
  const auto w = l.constant(n.inputs[3]);
  const auto in = l.shape(x), out = l.shape(y);
  if (!w || w->rank() != 2 || !is_stored(l, n.inputs[3]))
    return l.refuse("columns that are not constant");
  if (!in || !out || in->size() < 2) return l.refuse("a shape that is not known");
  if (in->back() > (1 << 22)) return l.refuse("rows that are too large");
  const bool transposed = n.attributes.integer("transB", 0) != 0;
  Product product;
  product.oc = out->back();
  product.ic = in->back();
  if (w->dim(transposed ? 0 : 1) != product.oc || w->dim(transposed ? 1 : 0) != product.ic)
    return l.refuse("columns that do not fit");
  Tensor columns = *w;
  if (!transposed) {
    columns = Tensor::allocate(w->dtype(), {product.oc, product.ic});
    for (std::int64_t o = 0; o < product.oc; ++o) {
      for (std::int64_t k = 0; k < product.ic; ++k)
        columns.set_integer(o * product.ic + k, w->integer(k * product.oc + o));
    }
  }
  if (!read_product(l, n, product) || !read_weights(l, n, 3, columns, product)) return false;
  // One row of an image, a pixel for each row of the matrix.
  const std::int64_t rows = element_count(*in) / product.ic;
  const Index from =
      l.add_alias(l.plain_in_arena(x), l.model.value(x).name, {1, 1, rows, product.ic});
  const Index to = l.add_arena(l.model.value(y).name, l.model.value(y).type.dtype,
                               {1, 1, rows, product.oc}, Layout::Plain);
  if (!add_product(l, node, product, {}, Opcode::QuantizedConv, from, to)) return false;
  l.bind(y, l.add_alias(to, l.model.value(y).name, *out));
  return true;
}

bool lower_quantized_product(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  if (n.inputs.size() < 7 || n.outputs.size() != 1) return l.refuse("missing operands");
  return n.type == "QLinearConv" || n.type == "QuantizedConv" ? lower_conv(l, node)
                                                              : lower_matrix(l, node);
}

}  // namespace rulec::backend
