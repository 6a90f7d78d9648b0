// SPDX-License-Identifier: Apache-2.0
#pragma once

// Activations on vectors, and the epilogue that convolutions and products end with.

#include "runtime/kernels/parameters.h"
#include "runtime/kernels/simd.h"

namespace rulec::kernels::RULEC_ISA {

// `slope` is read for PRelu only.
RULEC_INLINE Vec activate(Activation kind, float alpha, float beta, Vec x, Vec slope) {
  const Vec zero = splat(0.0f), one = splat(1.0f);
  switch (kind) {
    case Activation::None:
      return x;
    case Activation::Relu:
      return maximum(zero, x);
    case Activation::Clip:
      return minimum(splat(beta), maximum(splat(alpha), x));
    case Activation::LeakyRelu:
      return where_less(x, zero, x * splat(alpha), x);
    case Activation::Sigmoid:
      return sigmoid(x);
    case Activation::Silu:
      return x * sigmoid(x);
    case Activation::HardSigmoid:
      return minimum(one, maximum(zero, fma(x, splat(alpha), splat(beta))));
    case Activation::HardSwish:
      return x * minimum(one, maximum(zero, fma(x, splat(1.0f / 6.0f), splat(0.5f))));
    case Activation::Tanh:
      return hyperbolic_tangent(x);
    case Activation::Elu:
      return where_less(x, zero, splat(alpha) * (exponential(x) - one), x);
    case Activation::Gelu:
      return splat(0.5f) * x * (one + error_function(x * splat(0.70710678f)));
    case Activation::PRelu:
      return where_less(x, zero, x * slope, x);
    case Activation::Softplus:
      // ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)
      return maximum(zero, x) + logarithm(one + exponential(-absolute(x)));
    case Activation::Mish:
      return x * hyperbolic_tangent(maximum(zero, x) + logarithm(one + exponential(-absolute(x))));
    case Activation::GeluTanh: {
      // (1 + tanh u) / 2 = 1 / (1 + e^-2u)
      const Vec u = x * fma(x * x, splat(0.0356774081f), splat(0.797884561f));
      return x / (one + exponential(splat(-2.0f) * u));
    }
    case Activation::Swish:
      return x / (one + exponential(splat(-alpha) * x));
  }
  return x;
}

// An epilogue made ready: the common activations are two bounds, applied without a branch.
struct Finish {
  Activation activation = Activation::None;
  float alpha = 0, beta = 0;
  float low = -__builtin_inff(), high = __builtin_inff();
  bool add_before = false, add_after = false, bounds_only = true;
  const float* slopes = nullptr;    // of channel 0
  const float* residual = nullptr;  // of the place that `out` has
};

static inline Finish make_finish(const Epilogue& e) {
  Finish f;
  f.activation = e.activation;
  f.alpha = e.alpha;
  f.beta = e.beta;
  f.add_before = e.residual == Residual::BeforeActivation;
  f.add_after = e.residual == Residual::AfterActivation;
  f.bounds_only = !f.add_after;
  if (e.activation == Activation::Relu) {
    f.low = 0;
  } else if (e.activation == Activation::Clip) {
    f.low = e.alpha;
    f.high = e.beta;
  } else if (e.activation != Activation::None) {
    f.bounds_only = false;
  }
  return f;
}

// Everything but the bounds, on `count` floats at `values` (a multiple of the vector), which
// become the result. `slopes` repeats every 16.
[[maybe_unused]] __attribute__((noinline)) static void finish_slowly(const Finish& f, float* values,
                                                                     const float* slopes,
                                                                     const float* residual,
                                                                     int count) {
  const auto loop = [&](auto apply) {
    for (int i = 0; i < count; i += lanes) {
      Vec x = load(values + i);
      if (f.add_before) x = x + load(residual + i);
      x = apply(x, i);
      if (f.add_after) x = x + load(residual + i);
      store(values + i, x);
    }
  };
  if (f.activation == Activation::Silu || f.activation == Activation::Sigmoid) {
    constexpr int together = 4;
    const bool scaled = f.activation == Activation::Silu;
    int i = 0;
    for (; i + together * lanes <= count; i += together * lanes) {
      Vec x[together], y[together];
      each<together>([&](int j) RULEC_LAMBDA_INLINE {
        x[j] = load(values + i + j * lanes);
        if (f.add_before) x[j] = x[j] + load(residual + i + j * lanes);
        y[j] = x[j];
      });
      sigmoid(y);
      each<together>([&](int j) RULEC_LAMBDA_INLINE {
        if (scaled) y[j] = x[j] * y[j];
        if (f.add_after) y[j] = y[j] + load(residual + i + j * lanes);
        store(values + i + j * lanes, y[j]);
      });
    }
    if (i == count) return;
    values += i;
    count -= i;
    if (residual != nullptr) residual += i;
  }
  const Vec alpha = splat(f.alpha);
  switch (f.activation) {
    case Activation::LeakyRelu:
      return loop([&](Vec x, int)
                      RULEC_LAMBDA_INLINE { return where_less(x, splat(0.0f), x * alpha, x); });
#define RULEC_LOOP(kind)       \
  case Activation::kind:       \
    return loop([](Vec x, int) \
                    RULEC_LAMBDA_INLINE { return activate(Activation::kind, 0, 0, x, x); });
      RULEC_LOOP(Sigmoid)
      RULEC_LOOP(Silu)
      RULEC_LOOP(HardSwish)
      RULEC_LOOP(Gelu)
#undef RULEC_LOOP
    default:
      return loop([&](Vec x, int i) RULEC_LAMBDA_INLINE {
        const Vec slope = slopes != nullptr ? load(slopes + (i & 15)) : x;
        return activate(f.activation, f.alpha, f.beta, x, slope);
      });
  }
}

}  // namespace rulec::kernels::RULEC_ISA
