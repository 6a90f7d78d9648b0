// SPDX-License-Identifier: Apache-2.0
// Activation functions of one number, with their parameters.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"

namespace rulec::generic {

static double attribute(const Call& call, std::string_view name, float otherwise) {
  return static_cast<double>(call.attributes.number(name, otherwise));
}

template <typename F>
static Result<Outputs> activate(const Call& call, F f) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  return one(map_numbers(call.tensor(0), f));
}

static double logistic(double v) {
  // exp of a large positive number would overflow and lose the small result.
  if (v >= 0) return 1 / (1 + std::exp(-v));
  const double e = std::exp(v);
  return e / (1 + e);
}

static double softplus(double v) {
  return std::max(v, 0.0) + std::log1p(std::exp(-std::fabs(v)));
}

static Result<Outputs> run_sigmoid(const Call& call) {
  return activate(call, logistic);
}
static Result<Outputs> run_softplus(const Call& call) {
  return activate(call, softplus);
}

static Result<Outputs> run_softsign(const Call& call) {
  return activate(call, [](double v) { return v / (1 + std::fabs(v)); });
}

static Result<Outputs> run_mish(const Call& call) {
  return activate(call, [](double v) { return v * std::tanh(softplus(v)); });
}

static Result<Outputs> run_swish(const Call& call) {
  const double alpha = attribute(call, "alpha", 1);
  return activate(call, [=](double v) { return v * logistic(alpha * v); });
}

static Result<Outputs> run_swiglu(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Tensor& a = call.tensor(0);
  const Tensor& b = call.tensor(1);
  if (a.shape() != b.shape() || !is_float(b.dtype())) {
    return make_error("the operands must be of one float type and shape");
  }
  const double alpha = attribute(call, "alpha", 1);
  const Tensor y = zip_elements<double, double, double>(
      as_doubles(a), as_doubles(b), a.shape(), DType::F64,
      [alpha](double v, double w) { return v * logistic(alpha * v) * w; });
  return one(convert(y, a.dtype()));
}

static Result<Outputs> run_gelu(const Call& call) {
  const std::string_view form = call.attributes.text("approximate", "none");
  if (form == "none") {
    return activate(call,
                    [](double v) { return 0.5 * v * (1 + std::erf(v / std::numbers::sqrt2)); });
  }
  if (form != "tanh") {
    return make_error("the attribute approximate is '{}', but must be none or tanh", form);
  }
  return activate(call, [](double v) {
    const double inner = std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * v * v * v);
    return 0.5 * v * (1 + std::tanh(inner));
  });
}

static Result<Outputs> run_elu(const Call& call) {
  const double alpha = attribute(call, "alpha", 1);
  return activate(call, [=](double v) { return v < 0 ? alpha * std::expm1(v) : v; });
}

static Result<Outputs> run_celu(const Call& call) {
  const double alpha = attribute(call, "alpha", 1);
  return activate(call, [=](double v) { return v < 0 ? alpha * std::expm1(v / alpha) : v; });
}

static Result<Outputs> run_selu(const Call& call) {
  const double alpha = attribute(call, "alpha", 1.67326319217681884765625F);
  const double gamma = attribute(call, "gamma", 1.05070102214813232421875F);
  return activate(call, [=](double v) { return gamma * (v > 0 ? v : alpha * std::expm1(v)); });
}

static Result<Outputs> run_leaky_relu(const Call& call) {
  const double alpha = attribute(call, "alpha", 0.01F);
  return activate(call, [=](double v) { return v < 0 ? alpha * v : v; });
}

static Result<Outputs> run_thresholded_relu(const Call& call) {
  const double alpha = attribute(call, "alpha", 1);
  return activate(call, [=](double v) { return v > alpha ? v : 0; });
}

static Result<Outputs> run_hard_sigmoid(const Call& call) {
  const double alpha = attribute(call, "alpha", 0.2F);
  const double beta = attribute(call, "beta", 0.5F);
  return activate(call, [=](double v) { return std::clamp(alpha * v + beta, 0.0, 1.0); });
}

static Result<Outputs> run_hard_swish(const Call& call) {
  return activate(call, [](double v) { return v * std::clamp(v / 6 + 0.5, 0.0, 1.0); });
}

// `f` takes a double or an integer and returns the same type.
template <typename F>
static Result<Outputs> on_numbers(const Call& call, F f) {
  const Tensor& x = call.tensor(0);
  if (is_float(x.dtype())) return one(map_numbers(x, f));
  Tensor y;
  const bool done = with_integer_type(x.dtype(), [&]<typename T>() { y = map_elements<T>(x, f); });
  if (!done) return make_error("operand 0 is of type {}, but must be a number", name(x.dtype()));
  return one(std::move(y));
}

static Result<Outputs> run_relu(const Call& call) {
  // Written so that NaN stays NaN.
  return on_numbers(call, []<typename T>(T v) { return v < T{0} ? T{0} : v; });
}

static Result<Outputs> run_shrink(const Call& call) {
  const double lambda = attribute(call, "lambd", 0.5F);
  const double bias = attribute(call, "bias", 0);
  return on_numbers(call, [=]<typename T>(T v) {
    const auto x = static_cast<double>(v);
    const double y = x < -lambda ? x + bias : x > lambda ? x - bias : 0;
    return static_cast<T>(y);
  });
}

// A slope for each element, broadcast one way: to the shape of operand 0. Before opset 7 it was one
// number or one for each channel.
static Result<Outputs> run_prelu(const Call& call) {
  const Tensor& x = call.tensor(0);
  Tensor slope = call.tensor(1);
  if (call.opset < 7 && x.rank() > 1 && slope.size() == x.dim(1)) {
    Shape channels(x.rank(), 1);
    channels[1] = slope.size();
    slope = slope.reshaped(channels);
  }
  const auto shape = broadcast(x.shape(), slope.shape());
  if (!shape || *shape != x.shape()) {
    return make_error("the slope of shape {} does not broadcast to {}", to_string(slope.shape()),
                      to_string(x.shape()));
  }
  Tensor out;
  const bool done = with_computed_type(x.dtype(), [&]<typename T>() {
    const Tensor a = as_computed(x);
    const Tensor b = as_computed(convert(slope, x.dtype()));
    out = zip_elements<T, T, T>(a, b, *shape, a.dtype(),
                                [](T v, T s) { return v < T{0} ? static_cast<T>(v * s) : v; });
  });
  if (!done) return make_error("operand 0 is of type {}", name(x.dtype()));
  return one(convert(out, x.dtype()));
}

template <typename T>
static Tensor clip(const Tensor& x, std::optional<T> low, std::optional<T> high) {
  return map_elements<T>(x, [=](T v) {
    if (low && v < *low) v = *low;
    if (high && v > *high) v = *high;  // last, so that it wins where the limits cross
    return v;
  });
}

// The limits are attributes before opset 11, operands since.
static Result<Outputs> run_clip(const Call& call) {
  const Tensor& x = call.tensor(0);
  const bool by_operand = call.opset >= 11;
  for (const std::size_t i : {1U, 2U}) {
    if (by_operand && call.has(i) && call.tensor(i).size() != 1) {
      return make_error("operand {} has the shape {}, but must be a scalar", i,
                        to_string(call.tensor(i).shape()));
    }
  }
  Tensor out;
  const bool done = with_computed_type(x.dtype(), [&]<typename T>() {
    std::optional<T> limits[2];
    constexpr std::string_view names[2] = {"min", "max"};
    for (std::size_t i = 0; i < 2; ++i) {
      if (by_operand) {
        if (call.has(i + 1)) {
          limits[i] = as_computed(convert(call.tensor(i + 1), x.dtype())).template data<T>()[0];
        }
      } else if (const float* value = call.attributes.get<float>(names[i])) {
        limits[i] = static_cast<T>(*value);
      }
    }
    out = convert(clip<T>(as_computed(x), limits[0], limits[1]), x.dtype());
  });
  if (!done) return make_error("operand 0 is of type {}, but must be a number", name(x.dtype()));
  return one(std::move(out));
}

// An early operator without a successor: x * scale + bias[channel] over N, C, ….
static Result<Outputs> run_image_scaler(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const double scale = attribute(call, "scale", 1);
  const auto* bias = call.attributes.get<std::vector<float>>("bias");
  const Tensor x = as_doubles(call.tensor(0));
  if (x.rank() < 2) return make_error("operand 0 has no channels");
  const std::int64_t channels = x.dim(1);
  if (bias && static_cast<std::int64_t>(bias->size()) != channels) {
    return make_error("the attribute bias has {} elements for {} channels", bias->size(), channels);
  }
  Tensor y = Tensor::allocate(DType::F64, x.shape());
  const std::int64_t area = x.size() == 0 ? 1 : x.size() / (x.dim(0) * channels);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const auto channel = static_cast<std::size_t>(i / area % channels);
    const double offset = bias ? static_cast<double>((*bias)[channel]) : 0;
    y.mutable_data<double>()[i] = x.data<double>()[i] * scale + offset;
  }
  return one(convert(y, call.tensor(0).dtype()));
}

// Inference only: the operand passes, the mask keeps everything.
static Result<Outputs> run_dropout(const Call& call) {
  const Tensor& x = call.tensor(0);
  const bool training = call.opset >= 12 && call.has(2) && call.tensor(2).size() == 1 &&
                        call.tensor(2).integer(0) != 0;
  const bool drops = !call.has(1) || call.tensor(1).size() != 1 || call.tensor(1).number(0) != 0;
  if (training && drops) {
    return make_error("training_mode=1 is not supported: set it to 0 to run the model");
  }
  Outputs outputs = one(x);
  if (call.output_count > 1) {
    // Before opset 10 the mask has the operand's type.
    const DType mask = call.opset >= 10 ? DType::Bool : x.dtype();
    Tensor kept = Tensor::allocate(DType::Bool, x.shape());
    std::fill_n(kept.mutable_data<bool>(), kept.size(), true);
    outputs.emplace_back(convert(kept, mask));
  }
  return outputs;
}

std::span<const KernelEntry> activation_kernels() {
  static constexpr KernelEntry entries[] = {
      {"", "Celu", run_celu},
      {"", "Clip", run_clip},
      {"", "Dropout", run_dropout},
      {"", "Elu", run_elu},
      {"", "Gelu", run_gelu},
      {"", "HardSigmoid", run_hard_sigmoid},
      {"", "HardSwish", run_hard_swish},
      {"", "ImageScaler", run_image_scaler},
      {"", "LeakyRelu", run_leaky_relu},
      {"", "Mish", run_mish},
      {"", "PRelu", run_prelu, 2},
      {"", "Relu", run_relu},
      {"", "Selu", run_selu},
      {"", "Shrink", run_shrink},
      {"", "Sigmoid", run_sigmoid},
      {"", "Softplus", run_softplus},
      {"", "Softsign", run_softsign},
      {"", "SwiGLU", run_swiglu, 2},
      {"", "Swish", run_swish},
      {"", "ThresholdedRelu", run_thresholded_relu},
  };
  return entries;
}

}  // namespace rulec::generic
