// SPDX-License-Identifier: Apache-2.0
// The operators of domain rulec that rules/lower/quantized.rules writes: one of the standard's
// between DequantizeLinear and QuantizeLinear, and ONNX Runtime's of the same meaning. Each is done
// here as those nodes one after the other, so it gives the very bits that the model's own nodes
// give.
#include "runtime/generic/compose.h"

namespace rulec::generic {

// Operand `i`, null where it is absent.
static const Value* operand(const Call& call, std::size_t i) {
  return call.has(i) ? call.inputs[i] : nullptr;
}

// Operands i, i+1 and i+2: stored numbers, scale, zero point.
static Result<Value> dequantized(const Call& call, std::size_t i, std::int64_t axis = 1) {
  Attributes a;
  a.set("axis", axis);
  return apply("", "DequantizeLinear", {call.inputs[i], call.inputs[i + 1], operand(call, i + 2)},
               a);
}

// The activation, then the quantization by operands `scale` and `scale` + 1.
static Result<Outputs> quantized(const Call& call, Result<Value> y, std::size_t scale) {
  if (y) y = activate(call.attributes, *y, nullptr);
  if (!y) return y.error();
  auto q = apply("", "QuantizeLinear", {&*y, call.inputs[scale], operand(call, scale + 1)},
                 Attributes());
  if (!q) return q.error();
  return Outputs{*std::move(q)};
}

static Result<Outputs> run_quantize(const Call& call) {
  return quantized(call, *call.inputs[0], 1);
}

// `type` of operands 0 and 3, dequantized, and operand 8.
static Result<Outputs> product(const Call& call, std::string_view domain, std::string_view type,
                               std::int64_t weight_axis) {
  const auto x = dequantized(call, 0);
  if (!x) return x.error();
  const auto w = dequantized(call, 3, weight_axis);
  if (!w) return w.error();
  std::vector<const Value*> operands = {&*x, &*w};
  if (call.has(8)) operands.push_back(call.inputs[8]);
  Attributes plain = call.attributes;
  plain.set("activation", std::string("None"));
  return quantized(call, apply(domain, type, operands, plain), 6);
}

static Result<Outputs> run_quantized_conv(const Call& call) {
  return product(call, "", "Conv", 0);
}

static Result<Outputs> run_quantized_gemm(const Call& call) {
  const bool transposed = call.attributes.integer("transB", 0) != 0;
  return product(call, "rulec", "FusedGemm", transposed ? 0 : 1);
}

static Result<Outputs> combined(const Call& call, std::string_view type) {
  const auto a = dequantized(call, 0);
  if (!a) return a.error();
  const auto b = dequantized(call, 3);
  if (!b) return b.error();
  return quantized(call, apply("", type, {&*a, &*b}, Attributes()), 6);
}

static Result<Outputs> run_quantized_add(const Call& call) {
  return combined(call, "Add");
}
static Result<Outputs> run_quantized_mul(const Call& call) {
  return combined(call, "Mul");
}

static Result<Outputs> run_quantized_average(const Call& call) {
  const auto x = dequantized(call, 0);
  if (!x) return x.error();
  return quantized(call, apply("", "GlobalAveragePool", {&*x}, Attributes()), 3);
}

// ONNX Runtime's, of images in either layout.
static Result<Outputs> run_qlinear_average(const Call& call) {
  if (call.attributes.integer("channels_last", 0) == 0) return run_quantized_average(call);
  const auto x = dequantized(call, 0);
  if (!x) return x.error();
  std::vector<std::int64_t> axes;
  for (std::size_t d = 1; d + 1 < call.tensor(0).rank(); ++d)
    axes.push_back(static_cast<std::int64_t>(d));
  const Value list =
      Tensor::of<std::int64_t>({static_cast<std::int64_t>(axes.size())}, std::span(axes));
  return quantized(call, apply("", "ReduceMean", {&*x, &list}, Attributes()), 3);
}

static Result<Outputs> run_qlinear_sigmoid(const Call& call) {
  const auto x = dequantized(call, 0);
  if (!x) return x.error();
  return quantized(call, apply("", "Sigmoid", {&*x}, Attributes()), 3);
}

static Result<Outputs> run_qlinear_leaky_relu(const Call& call) {
  const auto x = dequantized(call, 0);
  if (!x) return x.error();
  Attributes a;
  a.set("alpha", call.attributes.number("alpha", 0.01F));
  return quantized(call, apply("", "LeakyRelu", {&*x}, a), 3);
}

// Operands: scale and zero point of the result, then three for each part.
static Result<Outputs> run_qlinear_concat(const Call& call) {
  if (call.inputs.size() < 5 || call.inputs.size() % 3 != 2)
    return make_error("{} operands; two and three for each part are expected", call.inputs.size());
  std::vector<Value> parts;
  for (std::size_t i = 2; i < call.inputs.size(); i += 3) {
    auto x = dequantized(call, i);
    if (!x) return x.error();
    parts.push_back(*std::move(x));
  }
  std::vector<const Value*> operands;
  for (const Value& part : parts)
    operands.push_back(&part);
  return quantized(call, apply("", "Concat", operands, call.attributes), 0);
}

// The result for each stored number, from the least one on.
static Result<Outputs> run_lookup(const Call& call) {
  const Tensor &x = call.tensor(0), &table = call.tensor(1);
  const bool is_signed = x.dtype() == DType::I8;
  if ((!is_signed && x.dtype() != DType::U8) || table.size() != 256 ||
      bit_width(table.dtype()) != 8) {
    return make_error("a table of {} elements for {}", table.size(), name(x.dtype()));
  }
  Tensor y = Tensor::allocate(table.dtype(), x.shape());
  for (std::int64_t i = 0; i < x.size(); ++i)
    y.set_integer(i, table.integer(x.integer(i) + (is_signed ? 128 : 0)));
  return Outputs{Value(std::move(y))};
}

std::span<const KernelEntry> quantized_kernels() {
  static constexpr KernelEntry entries[] = {
      {"com.microsoft", "QLinearAdd", run_quantized_add, 2},
      {"com.microsoft", "QLinearConcat", run_qlinear_concat, 2},
      {"com.microsoft", "QLinearGlobalAveragePool", run_qlinear_average, 2},
      {"com.microsoft", "QLinearLeakyRelu", run_qlinear_leaky_relu, 2},
      {"com.microsoft", "QLinearMul", run_quantized_mul, 2},
      {"com.microsoft", "QLinearSigmoid", run_qlinear_sigmoid, 2},
      {"rulec", "Quantize", run_quantize, 2},
      {"rulec", "QuantizedAdd", run_quantized_add, 2},
      {"rulec", "QuantizedConv", run_quantized_conv, 2},
      {"rulec", "QuantizedGemm", run_quantized_gemm, 2},
      {"rulec", "QuantizedGlobalAveragePool", run_quantized_average, 2},
      {"rulec", "QuantizedLookup", run_lookup, 2},
      {"rulec", "QuantizedMul", run_quantized_mul, 2},
  };
  return entries;
}

}  // namespace rulec::generic
