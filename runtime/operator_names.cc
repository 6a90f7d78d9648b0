// SPDX-License-Identifier: Apache-2.0
#include "runtime/operator_names.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace rulec {

using kernels::Activation;
using kernels::ChainOp;
using kernels::RowKind;
using kernels::TypedOp;

template <typename T, std::size_t N>
static std::optional<T> look_up(const std::pair<std::string_view, T> (&table)[N],
                                std::string_view name) {
  const auto it = std::find_if(std::begin(table), std::end(table),
                               [&](const auto& entry) { return entry.first == name; });
  return it == std::end(table) ? std::nullopt : std::optional(it->second);
}

std::optional<ChainOp> unary_chain_op(std::string_view type) {
  static constexpr std::pair<std::string_view, ChainOp> table[] = {
      {"Neg", ChainOp::Neg},     {"Abs", ChainOp::Abs},     {"Exp", ChainOp::Exp},
      {"Log", ChainOp::Log},     {"Sqrt", ChainOp::Sqrt},   {"Reciprocal", ChainOp::Reciprocal},
      {"Erf", ChainOp::Erf},     {"Floor", ChainOp::Floor}, {"Ceil", ChainOp::Ceil},
      {"Round", ChainOp::Round}, {"Sin", ChainOp::Sin},     {"Cos", ChainOp::Cos},
      {"Sign", ChainOp::Sign}};
  return look_up(table, type);
}

std::optional<ChainOp> binary_chain_op(std::string_view type) {
  static constexpr std::pair<std::string_view, ChainOp> table[] = {
      {"Add", ChainOp::Add}, {"Sum", ChainOp::Add}, {"Sub", ChainOp::Sub}, {"Mul", ChainOp::Mul},
      {"Div", ChainOp::Div}, {"Min", ChainOp::Min}, {"Max", ChainOp::Max}, {"Pow", ChainOp::Pow}};
  return look_up(table, type);
}

std::optional<TypedOp> typed_op(std::string_view type) {
  static constexpr std::pair<std::string_view, TypedOp> table[] = {
      {"Cast", TypedOp::Cast},       {"CastLike", TypedOp::Cast},
      {"Equal", TypedOp::Equal},     {"Less", TypedOp::Less},
      {"Greater", TypedOp::Greater}, {"LessOrEqual", TypedOp::LessOrEqual},
      {"And", TypedOp::And},         {"GreaterOrEqual", TypedOp::GreaterOrEqual},
      {"Or", TypedOp::Or},           {"Xor", TypedOp::Xor},
      {"Not", TypedOp::Not},         {"Where", TypedOp::Where},
      {"Add", TypedOp::Add},         {"Sub", TypedOp::Sub},
      {"Mul", TypedOp::Mul},         {"Min", TypedOp::Min},
      {"Max", TypedOp::Max}};
  return look_up(table, type);
}

std::optional<RowKind> row_kind(std::string_view type) {
  static constexpr std::pair<std::string_view, RowKind> table[] = {
      {"ReduceMean", RowKind::Mean}, {"ReduceSum", RowKind::Sum},
      {"ReduceMax", RowKind::Max},   {"ReduceMin", RowKind::Min},
      {"ReduceL2", RowKind::L2},     {"ReduceSumSquare", RowKind::SumSquare},
      {"ReduceL1", RowKind::L1},     {"ReduceProd", RowKind::Prod}};
  return look_up(table, type);
}

std::optional<kernels::Epilogue> activation_named(const Attributes& attributes) {
  static constexpr std::pair<std::string_view, Activation> table[] = {
      {"None", Activation::None},
      {"Relu", Activation::Relu},
      {"Clip", Activation::Clip},
      {"LeakyRelu", Activation::LeakyRelu},
      {"Sigmoid", Activation::Sigmoid},
      {"HardSigmoid", Activation::HardSigmoid},
      {"HardSwish", Activation::HardSwish},
      {"Tanh", Activation::Tanh},
      {"Elu", Activation::Elu},
      {"Gelu", Activation::Gelu},
      {"GeluTanh", Activation::GeluTanh},
      {"Swish", Activation::Swish},
      {"PRelu", Activation::PRelu},
      {"Softplus", Activation::Softplus},
      {"Mish", Activation::Mish}};
  const auto activation = look_up(table, attributes.text("activation", "None"));
  if (!activation) return std::nullopt;
  kernels::Epilogue e;
  e.activation = *activation;
  e.alpha = attributes.number("activation_alpha", 0.0f);
  e.beta = attributes.number("activation_beta", 0.0f);
  // The most used Swish has its own, quicker code.
  if (e.activation == Activation::Swish && e.alpha == 1.0f) e.activation = Activation::Silu;
  return e;
}

}  // namespace rulec
