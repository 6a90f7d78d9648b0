// SPDX-License-Identifier: Apache-2.0
#pragma once

// Activations on vectors, and the epilogue that convolutions and products end with.

#include "runtime/kernels/parameters.h"
#include "runtime/kernels/simd.h"

namespace rulec::kernels::RULEC_ISA {

// Those that are long chains of operations, and are computed for several vectors together.
constexpr bool is_long(Activation kind) {
  switch (kind) {
    case Activation::Sigmoid:
    case Activation::Silu:
    case Activation::Swish:
    case Activation::Gelu:
    case Activation::GeluTanh:
    case Activation::Mish:
      return true;
    default:
      return false;
  }
}

// A long one of y. x(i) is y[i] as it was: to be read once more where registers are few.
template <Activation kind, int N, typename X>
RULEC_INLINE void activate(float alpha, Vec (&y)[N], X x) {
  if constexpr (kind == Activation::Swish) {
    each<N>([&](int i) RULEC_LAMBDA_INLINE { y[i] = splat(alpha) * y[i]; });
  } else if constexpr (kind == Activation::GeluTanh) {
    // (1 + tanh u) / 2 = 1 / (1 + e^-2u)
    each<N>([&](int i) RULEC_LAMBDA_INLINE {
      y[i] = y[i] * fma(y[i] * y[i], splat(0.0713548162f), splat(1.59576912f));
    });
  }
  if constexpr (kind == Activation::Gelu) {
    normal_distribution(y);
  } else if constexpr (kind == Activation::Mish) {
    // tanh(ln(1 + e^x)) = n / (n + 2) where n = e^x (e^x + 2); it is 1 from 20 on.
    each<N>([&](int i) RULEC_LAMBDA_INLINE { y[i] = minimum(splat(20.0f), y[i]); });
    bounded_exponential(y);
    each<N>([&](int i) RULEC_LAMBDA_INLINE {
      const Vec n = y[i] * (y[i] + splat(2.0f));
      y[i] = n * reciprocal(n + splat(2.0f));
    });
  } else {
    sigmoid(y);
  }
  if constexpr (kind != Activation::Sigmoid)
    each<N>([&](int i) RULEC_LAMBDA_INLINE { y[i] = x(i) * y[i]; });
}

template <Activation kind>
RULEC_INLINE Vec activate(float alpha, Vec x) {
  Vec y[1] = {x};
  activate<kind>(alpha, y, [&](int) RULEC_LAMBDA_INLINE { return x; });
  return y[0];
}

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
    case Activation::HardSigmoid:
      return minimum(one, maximum(zero, fma(x, splat(alpha), splat(beta))));
    case Activation::HardSwish:
      return x * minimum(one, maximum(zero, fma(x, splat(1.0f / 6.0f), splat(0.5f))));
    case Activation::Tanh:
      return hyperbolic_tangent(x);
    case Activation::Elu:
      return where_less(x, zero, splat(alpha) * (exponential(x) - one), x);
    case Activation::PRelu:
      return where_less(x, zero, x * slope, x);
    case Activation::Softplus:
      // ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)
      return maximum(zero, x) + logarithm(one + bounded_exponential(-absolute(x)));
#define RULEC_LONG(kind) \
  case Activation::kind: \
    return activate<Activation::kind>(alpha, x);
      RULEC_LONG(Sigmoid)
      RULEC_LONG(Silu)
      RULEC_LONG(Swish)
      RULEC_LONG(Gelu)
      RULEC_LONG(GeluTanh)
      RULEC_LONG(Mish)
#undef RULEC_LONG
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

// The loop of finish_slowly. Adds: there is a residual; else nothing is asked of it on the way.
template <bool Adds, typename F>
RULEC_INLINE void finish_each(const Finish& f, float* values, const float* residual, int count,
                              F apply) {
  for (int i = 0; i < count; i += lanes) {
    Vec x = load(values + i);
    if (Adds && f.add_before) x = x + load(residual + i);
    x = apply(x, i);
    if (Adds && f.add_after) x = x + load(residual + i);
    store(values + i, x);
  }
}

// A long activation; returns how many floats are done.
template <bool Adds, Activation kind, int together>
RULEC_INLINE int finish_together(const Finish& f, float* values, const float* residual, int count) {
  int i = 0;
  for (; i + together * lanes <= count; i += together * lanes) {
    Vec y[together];
    each<together>([&](int j) RULEC_LAMBDA_INLINE {
      float* at = values + i + j * lanes;
      y[j] = load(at);
      if (Adds && f.add_before) {
        y[j] = y[j] + load(residual + i + j * lanes);
        store(at, y[j]);
      }
    });
    activate<kind>(f.alpha, y,
                   [&](int j) RULEC_LAMBDA_INLINE { return load(values + i + j * lanes); });
    each<together>([&](int j) RULEC_LAMBDA_INLINE {
      if (Adds && f.add_after) y[j] = y[j] + load(residual + i + j * lanes);
      store(values + i + j * lanes, y[j]);
    });
  }
  return i;
}

template <bool Adds, Activation kind>
RULEC_INLINE void finish_long(const Finish& f, float* values, const float* residual, int count) {
  const int done = finish_together<Adds, kind, 4>(f, values, residual, count);
  finish_together<Adds, kind, 1>(f, values + done, residual != nullptr ? residual + done : nullptr,
                                 count - done);
}

template <bool Adds>
RULEC_INLINE void finish_all(const Finish& f, float* values, const float* slopes,
                             const float* residual, int count) {
  const auto loop = [&](auto apply) RULEC_LAMBDA_INLINE {
    finish_each<Adds>(f, values, residual, count, apply);
  };
  const Vec alpha = splat(f.alpha), beta = splat(f.beta);
  switch (f.activation) {
    case Activation::LeakyRelu:
      return loop([&](Vec x, int)
                      RULEC_LAMBDA_INLINE { return where_less(x, splat(0.0f), x * alpha, x); });
    case Activation::HardSigmoid:
      return loop([&](Vec x, int) RULEC_LAMBDA_INLINE {
        return minimum(splat(1.0f), maximum(splat(0.0f), fma(x, alpha, beta)));
      });
    case Activation::HardSwish:
      return loop([](Vec x, int)
                      RULEC_LAMBDA_INLINE { return activate(Activation::HardSwish, 0, 0, x, x); });
#define RULEC_LONG(kind) \
  case Activation::kind: \
    return finish_long<Adds, Activation::kind>(f, values, residual, count);
      RULEC_LONG(Sigmoid)
      RULEC_LONG(Silu)
      RULEC_LONG(Swish)
      RULEC_LONG(Gelu)
      RULEC_LONG(GeluTanh)
      RULEC_LONG(Mish)
#undef RULEC_LONG
    default:
      return loop([&](Vec x, int i) RULEC_LAMBDA_INLINE {
        const Vec slope = slopes != nullptr ? load(slopes + (i & 15)) : x;
        return activate(f.activation, f.alpha, f.beta, x, slope);
      });
  }
}

// Everything but the bounds, on `count` floats at `values` (a multiple of the vector), which
// become the result. `slopes` repeats every 16.
[[maybe_unused]] __attribute__((noinline)) static void finish_slowly(const Finish& f, float* values,
                                                                     const float* slopes,
                                                                     const float* residual,
                                                                     int count) {
  // Its own copy: what is stored through `values` may be anything, for all the compiler knows.
  const Finish own = f;
  if (own.add_before || own.add_after) {
    finish_all<true>(own, values, slopes, residual, count);
  } else {
    finish_all<false>(own, values, slopes, residual, count);
  }
}

}  // namespace rulec::kernels::RULEC_ISA
