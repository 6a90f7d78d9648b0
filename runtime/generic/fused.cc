// SPDX-License-Identifier: Apache-2.0
// The operators of domain rulec, which rules/lower writes for the engine: a convolution or product
// with what follows it, and activations under one roof. Each is done here as the standard's
// operators one after the other, so that a fused node means the same where no fast kernel takes it.
#include <algorithm>

#include "runtime/generic/compose.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

namespace rulec::generic {

static constexpr std::string_view own = "rulec";

Result<Value> apply(std::string_view domain, std::string_view type,
                    const std::vector<const Value*>& inputs, const Attributes& attributes,
                    int opset) {
  auto out = run(
      {.domain = domain, .type = type, .opset = opset, .inputs = inputs, .attributes = attributes});
  if (!out) return out.error();
  return std::move(out->front());
}

Result<Value> activate(const Attributes& given, const Value& x, const Value* slopes) {
  const std::string_view kind = given.text("activation", "None");
  if (kind == "None") return x;
  const float alpha = given.number("activation_alpha", 0),
              beta = given.number("activation_beta", 0);
  Attributes a;
  if (kind == "Clip") {  // in its old form, with limits as attributes
    a.set("min", alpha);
    a.set("max", beta);
    return apply("", "Clip", {&x}, a, 6);
  }
  if (kind == "PRelu") {
    if (slopes == nullptr) return make_error("an activation PRelu without its slopes");
    return apply("", "PRelu", {&x, slopes}, a);
  }
  if (kind == "GeluTanh") a.set("approximate", std::string("tanh"));
  if (kind == "LeakyRelu" || kind == "Elu" || kind == "HardSigmoid" || kind == "Swish")
    a.set("alpha", alpha);
  if (kind == "HardSigmoid") a.set("beta", beta);
  static constexpr std::string_view plain[] = {"Relu",     "LeakyRelu", "Sigmoid", "HardSigmoid",
                                               "Tanh",     "HardSwish", "Elu",     "Gelu",
                                               "Softplus", "Mish",      "Swish"};
  if (kind == "GeluTanh") return apply("", "Gelu", {&x}, a);
  if (std::find(std::begin(plain), std::end(plain), kind) == std::end(plain))
    return make_error("there is no activation '{}'", kind);
  return apply("", kind, {&x}, a);
}

static Result<Outputs> run_activate(const Call& call) {
  auto y = activate(call.attributes, *call.inputs[0], call.has(1) ? call.inputs[1] : nullptr);
  if (!y) return y.error();
  return Outputs{*std::move(y)};
}

// Operand `residual` before or after the activation.
static Result<Outputs> finish(const Call& call, Result<Value> y, const Value* slopes,
                              std::size_t residual) {
  const std::string_view order = call.attributes.text("residual", "first");
  const auto add = [&](Result<Value> value) -> Result<Value> {
    if (!value || !call.has(residual)) return value;
    return apply("", "Add", {&*value, call.inputs[residual]}, {});
  };
  if (order == "first") y = add(std::move(y));
  if (y) y = activate(call.attributes, *y, slopes);
  if (order != "first") y = add(std::move(y));
  if (!y) return y.error();
  return Outputs{*std::move(y)};
}

static Result<Outputs> run_fused_conv(const Call& call) {
  std::vector<const Value*> operands = {call.inputs[0], call.inputs[1]};
  if (call.has(2)) operands.push_back(call.inputs[2]);
  return finish(call, apply("", "Conv", operands, call.attributes),
                call.has(3) ? call.inputs[3] : nullptr, 4);
}

// Rows of any rank times a matrix: alpha x w + beta bias.
static Result<Outputs> run_fused_gemm(const Call& call) {
  const Tensor& x = call.tensor(0);
  if (x.rank() < 2 || call.tensor(1).rank() != 2)
    return make_error("operands of shapes {} and {} are no rows and matrix", to_string(x.shape()),
                      to_string(call.tensor(1).shape()));
  Shape shape = x.shape();
  const Value rows(
      shape.size() == 2
          ? x
          : x.reshaped({x.size() / std::max<std::int64_t>(1, shape.back()), shape.back()}));
  std::vector<const Value*> operands = {&rows, call.inputs[1]};
  if (call.has(2)) operands.push_back(call.inputs[2]);
  auto y = apply("", "Gemm", operands, call.attributes);
  if (!y) return y.error();
  if (shape.size() != 2) {
    shape.back() = y->tensor().dim(1);
    y = Value(y->tensor().reshaped(shape));
  }
  return finish(call, std::move(y), nullptr, 3);
}

static Result<Outputs> run_layer_normalization(const Call& call) {
  auto y =
      apply("", "LayerNormalization", {call.inputs.begin(), call.inputs.end()}, call.attributes);
  if (!y) return y.error();
  return Outputs{*std::move(y)};
}

// com.microsoft's FusedConv: what is added stands third, parameters of the activation in a list.
static Result<Outputs> run_microsoft_conv(const Call& call) {
  Attributes attributes = call.attributes;
  if (const auto* given = call.attributes.get<std::vector<float>>("activation_params")) {
    if (!given->empty()) attributes.set("activation_alpha", (*given)[0]);
    if (given->size() > 1) attributes.set("activation_beta", (*given)[1]);
  }
  const auto operand = [&](std::size_t i) { return call.has(i) ? call.inputs[i] : nullptr; };
  const Value* const inputs[] = {operand(0), operand(1), operand(2), nullptr, operand(3)};
  return run_fused_conv({.domain = own,
                         .type = "FusedConv",
                         .inputs = inputs,
                         .attributes = attributes,
                         .bodies = call.bodies});
}

std::span<const KernelEntry> fused_kernels() {
  static constexpr KernelEntry entries[] = {
      {"com.microsoft", "FusedConv", run_microsoft_conv, 2},
      {"com.microsoft", "FusedGemm", run_fused_gemm, 2},
      {own, "Activate", run_activate},
      {own, "FusedConv", run_fused_conv, 2},
      {own, "FusedGemm", run_fused_gemm, 2},
      {own, "LayerNormalization", run_layer_normalization, 2},
  };
  return entries;
}

}  // namespace rulec::generic
