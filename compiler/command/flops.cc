// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/flops.h"

#include <algorithm>

namespace rulec::command {

static std::optional<Shape> shape_of(const Model& model, const std::vector<ValueId>& values,
                                     std::size_t index) {
  if (index >= values.size() || !values[index]) return std::nullopt;
  const GraphValue& value = model.value(values[index]);
  if (value.initializer) return value.initializer->shape();
  return value.type.static_shape();
}

static double product(const Shape& shape, std::size_t from = 0) {
  double out = 1;
  for (std::size_t i = from; i < shape.size(); ++i)
    out *= static_cast<double>(shape[i]);
  return out;
}

std::optional<double> flops_of(const Model& model, NodeId id) {
  const GraphNode& node = model.node(id);
  const std::string_view type = node.type;
  const auto x = shape_of(model, node.inputs, 0), w = shape_of(model, node.inputs, 1);
  const auto y = shape_of(model, node.outputs, 0);
  const auto is = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), type) != names.end();
  };
  if (is({"Conv", "ConvInteger"})) {
    // Every result takes the kernel's window over the channels of its group.
    if (!y || !w || w->size() < 2) return std::nullopt;
    return 2 * product(*y) * product(*w, 1);
  }
  if (type == "QLinearConv") {
    const auto kernel = shape_of(model, node.inputs, 3);
    if (!y || !kernel || kernel->size() < 2) return std::nullopt;
    return 2 * product(*y) * product(*kernel, 1);
  }
  if (type == "ConvTranspose") {  // here every operand is spread over a window
    if (!x || !w || w->size() < 2) return std::nullopt;
    return 2 * product(*x) * product(*w, 1);
  }
  if (is({"MatMul", "MatMulInteger", "Gemm"})) {
    if (!x || !y || x->empty()) return std::nullopt;
    const bool transposed = type == "Gemm" && node.attributes.integer("transA", 0) != 0;
    return 2 * product(*y) * static_cast<double>(transposed ? x->front() : x->back());
  }
  if (is({"LSTM", "GRU", "RNN"})) {
    const auto recurrent = shape_of(model, node.inputs, 2);
    if (!x || !w || !recurrent || x->size() != 3) return std::nullopt;
    return 2 * static_cast<double>((*x)[0]) * static_cast<double>((*x)[1]) *
           (product(*w) + product(*recurrent));
  }
  if (is({"MaxPool", "AveragePool", "LpPool"})) {
    if (!y) return std::nullopt;
    double window = 1;
    for (const std::int64_t size : node.attributes.integers("kernel_shape"))
      window *= static_cast<double>(size);
    return product(*y) * window;
  }
  if (type.starts_with("Reduce") || type.starts_with("Global"))
    return x ? std::optional(product(*x)) : std::nullopt;
  if (is({"BatchNormalization", "Softmax", "LogSoftmax", "LayerNormalization",
          "InstanceNormalization", "Resize", "Upsample"}))
    return y ? std::optional(4 * product(*y)) : std::nullopt;
  if (is({"Add",     "Sub",  "Mul",  "Div",      "Pow",        "Sqrt",        "Exp",
          "Log",     "Neg",  "Abs",  "Relu",     "LeakyRelu",  "PRelu",       "Clip",
          "Sigmoid", "Tanh", "Erf",  "Gelu",     "HardSwish",  "HardSigmoid", "Min",
          "Max",     "Sum",  "Mean", "Softplus", "Reciprocal", "Elu",         "Selu"}))
    return y ? std::optional(product(*y)) : std::nullopt;
  return 0.0;
}

}  // namespace rulec::command
