// SPDX-License-Identifier: Apache-2.0
// The operators of domain rulec that rules/lower/quantized.rules writes: one of the standard's
// between DequantizeLinear and QuantizeLinear. Each is done here as those nodes one after the
// other, so it gives the very bits that the model's own nodes give.
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
