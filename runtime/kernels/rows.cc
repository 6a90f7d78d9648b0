// SPDX-License-Identifier: Apache-2.0
// Softmax, layer normalisation and reductions over one axis: [outer][length][inner].

#include "runtime/kernels.h"
#include "runtime/kernels/simd.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

template <typename F>
RULEC_INLINE float fold_lanes(Vec v, F f) {
  alignas(64) float a[lanes];
  store(a, v);
  float r = a[0];
  for (int i = 1; i < lanes; ++i)
    r = f(r, a[i]);
  return r;
}

// The last vector of a row, its missing lanes filled.
RULEC_INLINE Vec load_part(const float* p, std::int64_t count, float fill) {
  alignas(64) float a[lanes];
  for (int i = 0; i < lanes; ++i)
    a[i] = i < count ? p[i] : fill;
  return load(a);
}
RULEC_INLINE void store_part(float* p, std::int64_t count, Vec v) {
  alignas(64) float a[lanes];
  store(a, v);
  for (std::int64_t i = 0; i < count; ++i)
    p[i] = a[i];
}

// f(vector, position, count) over a row; missing lanes hold `fill`.
template <typename F>
RULEC_INLINE void walk(const float* x, std::int64_t n, float fill, F f) {
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    f(load(x + i), i, std::int64_t{lanes});
  if (i < n) f(load_part(x + i, n - i, fill), i, n - i);
}

static void put(float* p, std::int64_t count, Vec v) {
  if (count == lanes) {
    store(p, v);
  } else {
    store_part(p, count, v);
  }
}

static void softmax_row(const float* x, float* y, std::int64_t n, bool logarithmic) {
  Vec top = splat(-__builtin_inff());
  walk(x, n, -__builtin_inff(), [&](Vec v, std::int64_t, std::int64_t) { top = maximum(top, v); });
  const float highest = fold_lanes(top, [](float a, float b) { return a > b ? a : b; });
  const Vec shift = splat(highest);
  Vec sum = splat(0.0f);
  walk(x, n, -__builtin_inff(), [&](Vec v, std::int64_t i, std::int64_t count) {
    const Vec e = bounded_exponential(v - shift);
    if (!logarithmic) put(y + i, count, e);
    sum = sum + (count == lanes ? e : load_part(reinterpret_cast<const float*>(&e), count, 0.0f));
  });
  const float total = horizontal_sum(sum);
  if (logarithmic) {
    const Vec offset = splat(highest + __builtin_logf(total));
    walk(x, n, 0.0f,
         [&](Vec v, std::int64_t i, std::int64_t count) { put(y + i, count, v - offset); });
  } else {
    const Vec scale = splat(1.0f / total);
    walk(y, n, 0.0f,
         [&](Vec v, std::int64_t i, std::int64_t count) { put(y + i, count, v * scale); });
  }
}

static void layer_norm_row(const float* x, float* y, std::int64_t n, float epsilon,
                           const float* scale, const float* bias) {
  const float inverse = 1.0f / static_cast<float>(n);
  Vec sum = splat(0.0f);
  walk(x, n, 0.0f, [&](Vec v, std::int64_t, std::int64_t) { sum = sum + v; });
  const float mean = horizontal_sum(sum) * inverse;
  const Vec center = splat(mean);
  Vec squares = splat(0.0f);
  walk(x, n, mean,
       [&](Vec v, std::int64_t, std::int64_t) { squares = fma(v - center, v - center, squares); });
  const float variance = horizontal_sum(squares) * inverse;
  const Vec factor = splat(1.0f / __builtin_sqrtf(variance + epsilon));
  walk(x, n, 0.0f, [&](Vec v, std::int64_t i, std::int64_t count) {
    Vec r = (v - center) * factor;
    if (scale != nullptr)
      r = r * (count == lanes ? load(scale + i) : load_part(scale + i, count, 0));
    if (bias != nullptr) r = r + (count == lanes ? load(bias + i) : load_part(bias + i, count, 0));
    put(y + i, count, r);
  });
}

static float neutral(RowKind kind) {
  if (kind == RowKind::Max) return -__builtin_inff();
  if (kind == RowKind::Min) return __builtin_inff();
  if (kind == RowKind::Prod) return 1.0f;
  return 0.0f;
}

RULEC_INLINE Vec accumulate(RowKind kind, Vec sum, Vec v) {
  if (kind == RowKind::Max) return maximum(sum, v);
  if (kind == RowKind::Min) return minimum(sum, v);
  if (kind == RowKind::SumSquare || kind == RowKind::L2) return fma(v, v, sum);
  if (kind == RowKind::L1) return sum + absolute(v);
  if (kind == RowKind::Prod) return sum * v;
  return sum + v;
}

static float finish(RowKind kind, float value, std::int64_t n) {
  if (kind == RowKind::Mean) return value / static_cast<float>(n);
  if (kind == RowKind::L2) return __builtin_sqrtf(value);
  return value;
}

static float reduce_row(RowKind kind, const float* x, std::int64_t n) {
  Vec sum = splat(neutral(kind));
  walk(x, n, neutral(kind),
       [&](Vec v, std::int64_t, std::int64_t) { sum = accumulate(kind, sum, v); });
  float value = 0;
  if (kind == RowKind::Max) {
    value = fold_lanes(sum, [](float a, float b) { return a > b ? a : b; });
  } else if (kind == RowKind::Min) {
    value = fold_lanes(sum, [](float a, float b) { return a < b ? a : b; });
  } else if (kind == RowKind::Prod) {
    value = fold_lanes(sum, [](float a, float b) { return a * b; });
  } else {
    value = horizontal_sum(sum);
  }
  return finish(kind, value, n);
}

// The same with `step` elements between neighbours of a row: a vector of rows at a time.
static void strided(const RowParameters& p, std::int64_t step, const float* x, float* y,
                    std::int64_t count) {
  const std::int64_t n = p.length;
  const auto at = [&](std::int64_t i) {
    return count == lanes ? load(x + i * step) : load_part(x + i * step, count, 0.0f);
  };
  if (p.kind <= RowKind::LogSoftmax) {
    Vec top = at(0);
    for (std::int64_t i = 1; i < n; ++i)
      top = maximum(top, at(i));
    const bool logarithmic = p.kind == RowKind::LogSoftmax;
    Vec sum = splat(0.0f);
    for (std::int64_t i = 0; i < n; ++i) {
      const Vec e = bounded_exponential(at(i) - top);
      if (!logarithmic) put(y + i * step, count, e);
      sum = sum + e;
    }
    if (logarithmic) {
      const Vec shift = top + logarithm(sum);
      for (std::int64_t i = 0; i < n; ++i)
        put(y + i * step, count, at(i) - shift);
      return;
    }
    const Vec scale = splat(1.0f) / sum;
    for (std::int64_t i = 0; i < n; ++i) {
      float* to = y + i * step;
      put(to, count, (count == lanes ? load(to) : load_part(to, count, 0.0f)) * scale);
    }
    return;
  }
  Vec sum = splat(neutral(p.kind));
  for (std::int64_t i = 0; i < n; ++i)
    sum = accumulate(p.kind, sum, at(i));
  if (p.kind == RowKind::Mean) sum = sum / splat(static_cast<float>(n));
  if (p.kind == RowKind::L2) sum = square_root(sum);
  put(y, count, sum);
}

// Short rows one behind the other, a vector of them at a time, turned there and back.
static constexpr std::int64_t short_row = 16;
static void short_softmax(const RowParameters& p, const float* x, float* y, std::int64_t count) {
  const std::int64_t n = p.length;
  alignas(64) float turned[short_row * lanes] = {}, made[short_row * lanes];
  for (std::int64_t r = 0; r < count; ++r) {
    for (std::int64_t i = 0; i < n; ++i)
      turned[i * lanes + r] = x[r * n + i];
  }
  strided(p, lanes, turned, made, lanes);
  for (std::int64_t r = 0; r < count; ++r) {
    for (std::int64_t i = 0; i < n; ++i)
      y[r * n + i] = made[i * lanes + r];
  }
}

void rows(const KernelCall& call) {
  RowParameters p;
  __builtin_memcpy(&p, call.parameters, sizeof p);
  const auto* x = reinterpret_cast<const float*>(call.inputs[0].data);
  auto* y = reinterpret_cast<float*>(call.outputs[0].data);
  const auto* scale =
      call.inputs.size() > 1 ? reinterpret_cast<const float*>(call.inputs[1].data) : nullptr;
  const auto* bias =
      call.inputs.size() > 2 ? reinterpret_cast<const float*>(call.inputs[2].data) : nullptr;
  const std::int64_t n = p.length, inner = p.inner;
  const bool keeps = p.kind <= RowKind::LayerNorm;  // the output has the input's size
  const bool is_short = inner == 1 && p.kind <= RowKind::LogSoftmax && n <= short_row;
  const std::int64_t parts = ceil_div(inner, lanes);
  const auto row = [&](std::int64_t index) {
    if (is_short) {
      const std::int64_t first = index * lanes;
      return short_softmax(p, x + first * n, y + first * n, smaller(lanes, p.outer - first));
    }
    if (inner == 1) {
      if (p.kind == RowKind::LayerNorm) {
        layer_norm_row(x + index * n, y + index * n, n, p.epsilon, scale, bias);
      } else if (keeps) {
        softmax_row(x + index * n, y + index * n, n, p.kind == RowKind::LogSoftmax);
      } else {
        y[index] = reduce_row(p.kind, x + index * n, n);
      }
      return;
    }
    const std::int64_t outer = index / parts, part = index % parts * lanes;
    strided(p, inner, x + outer * n * inner + part, y + outer * (keeps ? n : 1) * inner + part,
            smaller(lanes, inner - part));
  };
  const bool together = is_short || inner > 1;  // a vector of rows at a time
  const std::int64_t all = is_short     ? ceil_div(std::int64_t{p.outer}, lanes)
                           : inner == 1 ? p.outer
                                        : p.outer * parts;
  const std::int64_t per_chunk = larger(1, 8192 / larger(1, n * (together ? lanes : 1)));
  const auto chunk = [&](std::int64_t c) {
    const std::int64_t end = smaller(all, (c + 1) * per_chunk);
    for (std::int64_t i = c * per_chunk; i < end; ++i)
      row(i);
  };
  const std::int64_t chunks = ceil_div(all, per_chunk);
  if (chunks < 3) {
    for (std::int64_t c = 0; c < chunks; ++c)
      chunk(c);
  } else {
    call.pool->run(chunks, chunk);
  }
}

}  // namespace rulec::kernels::RULEC_ISA
